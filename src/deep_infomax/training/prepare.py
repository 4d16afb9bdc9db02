"""What a training is prepared from: the model of encoder and objective, its optimisers, its devices and processes."""

from pathlib import Path
from typing import Final

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.tracking import get_available_trackers
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from deep_infomax.contracts import Batch, Losses, Objective
from deep_infomax.encoders import Encoder
from deep_infomax.encoders.base import require_encoder
from deep_infomax.runtime.devices import choose_device, has_device
from deep_infomax.runtime.regular import require_own_folder
from deep_infomax.training.config import TrainingConfig

_TRACKED: Final = "deep-infomax"
"""What trackers call a training, and the folder in its own that TensorBoard's files are kept in."""


class Model(nn.Module):
    """Encoder and objective as one module, so that one forward and one backward serve several processes."""

    def __init__(self, encoder: Encoder, objective: Objective) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective

    def forward(self, batch: Batch) -> Losses:
        """The objective's losses of one batch."""
        losses: Losses = self.objective(batch, self.encoder)
        return losses


def require_parts(encoder: object, objective: object, training: object) -> None:
    """Raise ValueError unless a training can be made of these."""
    require_encoder(encoder)
    if not isinstance(objective, Objective):
        made = isinstance(objective, type)
        found = f"the class {objective.__name__}" if isinstance(objective, type) else f"a {type(objective).__name__}"
        remedy = "make one first" if made else "give one, such as DeepInfoMax, or a subclass of contracts.Objective"
        raise ValueError(f"`objective` is {found}, no Objective; {remedy}")
    if not isinstance(training, TrainingConfig | None):
        raise ValueError(f"`training` is a {type(training).__name__}; give a TrainingConfig(...)")


def uses_cpu(training: TrainingConfig) -> bool:
    """Whether a training runs on the CPU, alone or in several processes.

    Raises:
        ValueError: a device is asked for that is not there.
    """
    if training.device == "auto":
        return not has_device("cuda")
    if not has_device(training.device):
        raise ValueError(f"`training.device` is {training.device}, but this torch finds no such GPU; use auto or cpu")
    return training.device == "cpu"


def prepare_accelerator(training: TrainingConfig, out: Path | None) -> Accelerator:
    """The devices and processes of a training, and where else it logs to.

    Raises:
        ValueError: a device is asked for that is not there, or a tracker that is not installed.
    """
    cpu = uses_cpu(training)
    choose_device(training.device)  # which says of some that they were never tested
    if missing := set(training.trackers) - {str(tracker) for tracker in get_available_trackers()}:
        names = " ".join(sorted(missing))
        raise ValueError(
            f"`training.trackers` asks for what is not installed; add it with 'pip install {names}' or leave it out"
        )
    # Accelerate keeps one device for the process; without several processes every training chooses its own.
    if PartialState._shared_state and not PartialState().use_distributed:
        AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(
        cpu=cpu,
        mixed_precision="no",  # the loop's own autocast covers the forward pass
        log_with=list(training.trackers) or None,
        project_dir=out,
    )
    if training.trackers:
        if out is not None:
            require_own_folder(out / _TRACKED)
        accelerator.init_trackers(_TRACKED)
    return accelerator


def check_batch(model: nn.Module, training: TrainingConfig) -> None:
    """Raise ValueError for batches of one, which have no statistics to normalise a vector or a small map by."""
    if training.batch_size == 1 and any(isinstance(part, _BatchNorm) for part in model.modules()):
        raise ValueError("`training.batch_size` is 1; give 2 or more, as a batch is normalised by its own statistics")


def prepare_optimizers(model: Model, training: TrainingConfig) -> dict[str, torch.optim.Optimizer]:
    """One optimiser for the encoder side and, where the objective has an adversary, one for that.

    Weights of layers decay; biases and what normalisations scale and shift by (parameters of one dimension) do not.
    """
    adversary = list(model.objective.adversary_parameters())
    apart = {id(parameter) for parameter in adversary}
    encoder = [p for p in model.parameters() if id(p) not in apart and p.requires_grad]
    groups = [
        {"params": [p for p in encoder if p.dim() > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in encoder if p.dim() <= 1], "weight_decay": 0.0},
    ]
    first, second = training.betas
    optimizers: dict[str, torch.optim.Optimizer] = {
        "encoder": torch.optim.AdamW(groups, training.learning_rate, (first, second), fused=True)
    }
    if adversary:
        rate = training.adversary_learning_rate
        optimizers["adversary"] = torch.optim.Adam(adversary, rate, (first, second), fused=True)
    return optimizers


def use_channels_last(model: nn.Module) -> None:
    """Store the weights of two- and three-dimensional convolutions channels last, the layout of their fast kernels."""
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in model.parameters():
        if parameter.dim() in layouts:
            parameter.data = parameter.data.contiguous(memory_format=layouts[parameter.dim()])
