"""The classifiers that probes fit: linear ones, nearest neighbours, and a network with one hidden layer.

Shapes: n training inputs, p queries, d features.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

TEMPERATURE: Final = 0.01
"""By how much, about, the scores of two classes may differ for the hinge to bend between them."""


class LinearLoss(NamedTuple):
    """What a linear classifier is fitted by."""

    value: Callable[[Float[Tensor, "n fits classes"], Int[Tensor, " n"]], Float[Tensor, "n fits"]]
    """From scores and labels."""
    curvature: Callable[[int], float]
    """Of so many classes, the mean second derivative by a score, about."""
    penalised_bias: bool
    """Whether the penalty on weights is one on biases, too."""


def cross_entropy(scores: Float[Tensor, "n fits classes"], labels: Int[Tensor, " n"]) -> Float[Tensor, "n fits"]:
    """The cross-entropy of every fit."""
    return functional.cross_entropy(scores.mT, labels[:, None].expand(scores.shape[:2]), reduction="none")


def hinge(scores: Float[Tensor, "n fits classes"], labels: Int[Tensor, " n"]) -> Float[Tensor, "n fits"]:
    r"""The hinge loss of all classes at once, its corners rounded: the cross-entropy at a low temperature t = 0.01.

    .. math:: \max_c (s_c + [c \ne y]) - s_y \le t \log \sum_c e^{(s_c + [c \ne y]) / t} - s_y

    s are scores, y is an input's own class. Unlike the corners this has a gradient everywhere, which L-BFGS needs; it
    lies above the hinge by at most ``t log(classes)``.

    Source: Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector machines", 2001.
    """
    margin = 1 - functional.one_hot(labels, scores.shape[-1])
    return TEMPERATURE * cross_entropy((scores + margin[:, None]) / TEMPERATURE, labels)


CROSS_ENTROPY: Final = LinearLoss(cross_entropy, lambda classes: 1 / classes, penalised_bias=False)
"""Logistic regression."""
HINGE: Final = LinearLoss(hinge, lambda classes: 10 / classes, penalised_bias=True)
"""A linear support vector machine."""


class LinearFits(NamedTuple):
    """Linear classifiers, fitted to the same features."""

    weight: Float[Tensor, "fits classes d"]
    bias: Float[Tensor, "fits classes"]

    def scores(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n fits classes"]:
        """Scores of all classes."""
        scores = functional.linear(x, self.weight.flatten(0, 1), self.bias.flatten())
        return scores.view(-1, *self.bias.shape)


def fit_linear(
    loss: LinearLoss,
    x: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    classes: int,
    l2: float,
    scale: Float[Tensor, "d d"] | None = None,
    rows: Bool[Tensor, "n fits"] | None = None,
    start: LinearFits | None = None,
    tolerance: float = 1e-6,
) -> LinearFits:
    """Weights and biases that minimise ``loss(scores, labels) + l2 / 2 |weights|^2``, by L-BFGS.

    With `CROSS_ENTROPY` the same as scikit-learn's ``LogisticRegression(C=1 / (l2 * n))``; with `HINGE`, but for the
    corners, as its ``LinearSVC(multi_class="crammer_singer", C=1 / (l2 * n))``, whose penalty is on biases, too.

    Several fits, each to rows of its own, cost little more than one: all read ``x`` at once.

    Args:
        loss: `CROSS_ENTROPY` or `HINGE`.
        x: Standardised features.
        labels: Classes 0 to ``classes - 1``.
        classes: Number of classes.
        l2: Strength of the penalty.
        scale: Lower triangular ``S``: L-BFGS sees ``weights @ S``. With ``S S^T`` near the Hessian of one class it
            needs half as many steps, or fewer. None stands for the identity.
        rows: The rows of each fit; None for one fit, to all.
        start: Weights and biases to start from; None for zeros.
        tolerance: A step that changes the minimised quantity by less is the last.
    """
    share = x.new_full((len(x), 1), 1 / len(x)) if rows is None else rows / rows.sum(0)
    fits = share.shape[1]
    weight, bias = start or (x.new_zeros(fits, classes, x.shape[1]), x.new_zeros(fits, classes))
    scaled = (weight if scale is None else weight @ scale).flatten(0, 1).clone().requires_grad_()
    bias = bias.clone().requires_grad_()

    def unscaled() -> LinearFits:
        # The backward pass of a product is several times slower for weights that are not stored by rows.
        weight = scaled if scale is None else torch.linalg.solve_triangular(scale, scaled, upper=False, left=False)
        return LinearFits(weight.contiguous().unflatten(0, (fits, classes)), bias)

    search = torch.optim.LBFGS(
        [scaled, bias], max_iter=200, history_size=10, tolerance_grad=1e-6, tolerance_change=tolerance,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Float[Tensor, ""]:
        search.zero_grad()
        fitted = unscaled()
        penalty = fitted.weight.square().sum() + (bias.square().sum() if loss.penalised_bias else 0)
        objective = (loss.value(fitted.scores(x), labels) * share).sum() + l2 / 2 * penalty
        objective.backward()
        return objective.detach()

    with torch.enable_grad():
        search.step(closure)
    return LinearFits(*(part.detach() for part in unscaled()))


def cholesky_scales(x: Float[Tensor, "n d"], curvature: float) -> Callable[[float], Tensor | None]:
    """For each ``l2`` the Cholesky factor of about the Hessian of one class; None for very many features."""
    if x.shape[1] > 10_000:
        return lambda l2: None
    hessian = (x.T @ x).mul_(curvature / len(x))
    rounding = 1e-6 * hessian.trace()
    return lambda l2: torch.linalg.cholesky(hessian + torch.eye(len(hessian)).to(hessian) * (l2 + rounding))


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


def train_mlp(
    x: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    classes: int,
    training: NetworkTraining,
    told: Callable[[int, int], None],
) -> nn.Sequential:
    """A network with one hidden layer of 200 units, trained to its last epoch with torch's global generator.

    What is left over at the end of an epoch, less than a batch, is dropped. ``told`` hears of every epoch done, of all.
    """
    hidden = 200
    network = nn.Sequential(
        nn.Linear(x.shape[1], hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(0.1), nn.Linear(hidden, classes)
    ).to(x.device)
    optimiser = torch.optim.Adam(network.parameters(), lr=training.learning_rate, fused=True)
    steps_per_epoch = len(x) // training.batch_size
    epochs = max(training.epochs, math.ceil(training.least_steps / steps_per_epoch))
    for epoch in range(epochs):
        batches = torch.randperm(len(x)).to(x.device).split(training.batch_size)
        for step in range(steps_per_epoch):
            optimiser.param_groups[0]["lr"] = training.learning_rate * training.factor(
                epoch + step / steps_per_epoch, epochs
            )
            loss = functional.cross_entropy(network(x[batches[step]]), labels[batches[step]])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        told(epoch + 1, epochs)
    return network
