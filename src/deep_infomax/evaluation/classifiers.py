"""The classifiers that probes fit beside linear ones: nearest neighbours, and a network with one hidden layer.

Shapes: n training inputs, p queries, d features.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional


def neighbour_votes(
    x: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    queries: Float[Tensor, "p d"],
    classes: int,
    ks: Sequence[int],
    chunk: int = 512,
) -> dict[int, Int[Tensor, " p"]]:
    """For every k the class that most of the k nearest of ``x`` have; rows of unit length, so nearest by cosine."""
    votes: dict[int, list[Tensor]] = {k: [] for k in ks}
    for part in queries.split(chunk):
        nearest = labels[(part @ x.T).topk(max(ks), dim=1).indices]
        for k in ks:
            counts = x.new_zeros(len(part), classes).scatter_add_(1, nearest[:, :k], x.new_ones(len(part), k))
            votes[k].append(counts.argmax(1))
    return {k: torch.cat(parts) for k, parts in votes.items()}


DISTANCES: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "cosine": lambda a, b: 1 - functional.normalize(a) @ functional.normalize(b).T,
    "l1": lambda a, b: torch.cdist(a, b, p=1),
    "l2": lambda a, b: torch.cdist(a, b),
}
"""Distances between the rows of two matrices."""


def nearest_rows(
    queries: Float[Tensor, "p d"], x: Float[Tensor, "n d"], k: int, distance: str, chunk: int = 256
) -> tuple[Float[Tensor, "p k"], Int[Tensor, "p k"]]:
    """Distances and positions of the k nearest rows of ``x``, nearest first; all of them where there are fewer."""
    found = [DISTANCES[distance](part, x).topk(min(k, len(x)), dim=1, largest=False) for part in queries.split(chunk)]
    return torch.cat([values for values, _ in found]), torch.cat([index for _, index in found])


class NetworkTraining(NamedTuple):
    """How a hidden layer is trained; the learning rate is multiplied by ``factor(epoch, epochs)``."""

    learning_rate: float
    batch_size: int
    epochs: int
    least_steps: int
    factor: Callable[[float, int], float]
    betas: tuple[float, float] = (0.9, 0.999)
    """Of Adam."""


def hidden_layer(size: int, classes: int, dropout_first: bool = False) -> nn.Sequential:
    """A network of 200 hidden units, with batch normalisation, ReLU and dropout of 0.1, the last after or before both.

    >>> [type(layer).__name__ for layer in hidden_layer(4, 2, dropout_first=True)]
    ['Linear', 'Dropout', 'BatchNorm1d', 'ReLU', 'Linear']
    """
    hidden = 200
    rectified = [nn.BatchNorm1d(hidden), nn.ReLU()]
    middle = [nn.Dropout(0.1), *rectified] if dropout_first else [*rectified, nn.Dropout(0.1)]
    return nn.Sequential(nn.Linear(size, hidden), *middle, nn.Linear(hidden, classes))


def train_classifier(
    network: nn.Module,
    x: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    training: NetworkTraining,
    told: Callable[[int, int], None],
) -> None:
    """Train a network in place, to its last epoch, with torch's global generator.

    What is left over at the end of an epoch, less than a batch, is dropped. ``told`` hears of every epoch done, of all.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=training.learning_rate, betas=training.betas, fused=True)
    steps_per_epoch = len(x) // training.batch_size
    epochs = max(training.epochs, math.ceil(training.least_steps / steps_per_epoch))
    for epoch in range(epochs):
        order = torch.randperm(len(x)).to(x.device)
        batches = zip(order.split(training.batch_size), labels[order].split(training.batch_size), strict=True)
        for step, (rows, wanted) in zip(range(steps_per_epoch), batches, strict=False):
            optimiser.param_groups[0]["lr"] = training.learning_rate * training.factor(
                epoch + step / steps_per_epoch, epochs
            )
            loss = functional.cross_entropy(network(x.index_select(0, rows)), wanted)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        told(epoch + 1, epochs)
