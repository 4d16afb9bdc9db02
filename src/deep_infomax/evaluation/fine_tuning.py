"""How well a trained encoder begins a supervised training with few labels.

``semi_supervised/2``
    A copy of the whole encoder and a network of one hidden layer (200 units, batch normalisation, ReLU, dropout 0.1) on
    its layer ``conv`` are trained together, by cross-entropy on the labelled part alone, and measured on the test part.
    The labelled part is all of the training inputs, or a tenth (variant ``10%``) or a hundredth (``1%``) of every
    class, at least one input each, drawn by the seed. AdamW with weight decay 0.01, batches of 128 (fewer where there
    are fewer inputs), a one-cycle learning rate up to 1e-3; 10 epochs, or as many as make 500 steps. In bfloat16 where
    the device computes with it faster, the loss in float32. Nothing is chosen, and the last step is the one reported.

Source: Hjelm et al., Learning deep representations by mutual information estimation and maximization, 2019, arXiv
1808.06670, which leaves the training open.
"""

import copy
import math
from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional

from deep_infomax.data import Source, require_labels
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation.results import Outcome
from deep_infomax.mutual_information.critics.fitting import batches
from deep_infomax.runtime.chunks import at_a_time
from deep_infomax.runtime.progress import Progress
from deep_infomax.runtime.random_numbers import own_random_numbers
from deep_infomax.training import TrainingConfig, learning_rate_factor, resolve_precision
from deep_infomax.training.prepare import use_channels_last

EPOCHS: Final = 10
TRAINING: Final = TrainingConfig(batch_size=128, learning_rate=1e-3, weight_decay=0.01)
LEAST_STEPS: Final = 500
HIDDEN: Final = 200


def semi_supervised(
    encoder: Encoder,
    layer: str,
    train: Source,
    test: Source,
    seeds: Sequence[int],
    progress: Progress,
    share: float = 1.0,
) -> list[Outcome]:
    """Accuracy, in percent, of a fine-tuned copy of the encoder, ``semi_supervised/2``.

    The seed draws the labelled part, the weights of the new network and the order of the inputs.

    Raises:
        ValueError: inputs without labels.
    """
    labels, classes = require_labels(train)
    test_labels, _ = require_labels(test)
    device = encoder.mean.device
    outcomes = []
    for number, seed in enumerate(seeds):
        with own_random_numbers(seed, device), torch.enable_grad():
            rows = labelled_part(labels, share)
            size = min(TRAINING.batch_size, len(rows))
            steps = max(LEAST_STEPS, math.ceil(EPOCHS * len(rows) / size))
            network = _Network(copy.deepcopy(encoder), layer, len(classes)).to(device).train()
            use_channels_last(network)
            optimizer = torch.optim.AdamW(network.parameters(), weight_decay=TRAINING.weight_decay, fused=True)
            order = batches(len(rows), size)
            for step in range(steps):
                optimizer.param_groups[0]["lr"] = TRAINING.learning_rate * learning_rate_factor(TRAINING, step, steps)
                chosen = rows[next(order)]
                loss = functional.cross_entropy(network(train.take(chosen).to(device)), labels[chosen].to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                progress("fine-tuning", number * steps + step + 1, len(seeds) * steps)
        outcomes.append(Outcome(_accuracy(network.eval(), test, test_labels), {}, {"labels": len(rows)}))
    return outcomes


def labelled_part(labels: Int[Tensor, " n"], share: float) -> Int[Tensor, " k"]:
    """Positions of a share of every class, at least one of each, drawn with torch's global generator."""
    parts = []
    for label in labels.unique():
        own = (labels == label).nonzero().flatten()
        parts.append(own[torch.randperm(len(own))[: max(1, round(share * len(own)))]])
    return torch.cat(parts)


class _Network(nn.Module):
    """An encoder and a classifier on one of its layers."""

    def __init__(self, encoder: Encoder, layer: str, classes: int) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_()
        self.layer = layer
        self.head = nn.Sequential(
            nn.Linear(encoder.layer_sizes[layer], HIDDEN),
            nn.BatchNorm1d(HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(HIDDEN, classes),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        fast = resolve_precision("auto", inputs.device) is torch.bfloat16
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=fast):
            scores: Tensor = self.head(self.encoder(inputs).layer(self.layer))
        return scores.float()


@torch.no_grad()
def _accuracy(network: nn.Module, test: Source, labels: Int[Tensor, " p"]) -> float:
    device = next(network.parameters()).device
    right = 0
    for rows in torch.arange(len(test)).split(at_a_time(test.shape, 512)):
        right += int((network(test.take(rows).to(device)).argmax(1).cpu() == labels[rows].cpu()).sum())
    return 100 * right / len(test)
