"""The linear classifiers that probes fit: logistic regression, and a support vector machine for several classes.

Shapes: n inputs, d features.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

TEMPERATURES: Final = (0.01, 0.003, 0.001)
"""By how much, about, the scores of two classes may differ for the hinge to bend between them: first, and where that
is much of what is minimised, afterwards."""
MOST_ITERATIONS: Final = 2000
"""Of one fit at one temperature."""
_BETWEEN_LOOKS: Final = 25


class LinearLoss(NamedTuple):
    """What a linear classifier is fitted by."""

    value: Callable[[Float[Tensor, "n classes"], Int[Tensor, " n"], float], Float[Tensor, " n"]]
    """From scores, labels and a temperature."""
    rounding: Callable[[Float[Tensor, "n classes"], Int[Tensor, " n"], float], Float[Tensor, " n"]]
    """How far, at most, a temperature has kept the minimum of the sharp loss away; from the same."""
    temperatures: Sequence[float]
    """The first, and those after it."""
    curvature: Callable[[int], float]
    """Of so many classes, the mean second derivative by a score at the first temperature, about."""
    penalised_bias: bool
    """Whether the penalty on weights is one on biases, too."""


def cross_entropy(
    scores: Float[Tensor, "n classes"], labels: Int[Tensor, " n"], temperature: float = 1.0
) -> Float[Tensor, " n"]:
    """The cross-entropy of every input; there is nothing to sharpen."""
    return functional.cross_entropy(scores, labels, reduction="none")


def hinge(
    scores: Float[Tensor, "n classes"], labels: Int[Tensor, " n"], temperature: float = TEMPERATURES[0]
) -> Float[Tensor, " n"]:
    r"""The hinge loss of all classes at once, its corners rounded: the cross-entropy at a low temperature t.

    .. math:: \max_c (s_c + [c \ne y]) - s_y \le t \log \sum_c e^{(s_c + [c \ne y]) / t} - s_y

    s are scores, y is an input's own class. Unlike the corners this has a gradient everywhere, which L-BFGS needs; it
    lies above the hinge by at most ``t log(classes)``.

    Source: Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector machines", 2001.
    """
    return temperature * cross_entropy(_raised(scores, labels) / temperature, labels)


def _raised(scores: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]) -> Float[Tensor, "n classes"]:
    """Scores with the margin that other classes have to keep."""
    raised: Tensor = scores + 1 - functional.one_hot(labels, scores.shape[-1])
    return raised


def _hinge_rounding(
    scores: Float[Tensor, "n classes"], labels: Int[Tensor, " n"], temperature: float
) -> Float[Tensor, " n"]:
    """The duality gap of the sharp hinge where the rounded one is least: t times an entropy, less what rounding adds.

    The shares of the classes, a softmax, are a feasible point of the dual problem.
    """
    raised = _raised(scores, labels)
    shares = functional.softmax(raised / temperature, dim=1)
    entropy = -torch.special.xlogy(shares, shares).sum(1)
    added = temperature * (raised / temperature).logsumexp(1) - raised.amax(1)
    gap: Tensor = temperature * entropy - added
    return gap


def _nothing_rounded(
    scores: Float[Tensor, "n classes"], labels: Int[Tensor, " n"], temperature: float
) -> Float[Tensor, " n"]:
    return scores.new_zeros(len(scores))


CROSS_ENTROPY: Final = LinearLoss(cross_entropy, _nothing_rounded, (1.0,), lambda classes: 1 / classes, False)
"""Logistic regression."""
HINGE: Final = LinearLoss(hinge, _hinge_rounding, TEMPERATURES, lambda classes: 10 / classes, True)
"""A linear support vector machine."""


class LinearFit(NamedTuple):
    """A linear classifier, and how well it was fitted."""

    weight: Float[Tensor, "classes d"]
    bias: Float[Tensor, " classes"]
    objective: float
    """What was minimised."""
    gap: float
    """How far above its minimum that may be, as a share of it; an estimate from the gradient."""
    iterations: int

    def scores(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
        """Scores of all classes."""
        return functional.linear(x, self.weight, self.bias)


def fit_linear(
    loss: LinearLoss,
    x: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    classes: int,
    l2: float,
    scale: Float[Tensor, "d d"] | None = None,
    rows: Bool[Tensor, " n"] | None = None,
    start: LinearFit | None = None,
    gap: float = 1e-3,
    sharpen: bool = True,
) -> LinearFit:
    """Weights and biases that minimise ``loss(scores, labels) + l2 / 2 |weights|^2``, by L-BFGS.

    With `CROSS_ENTROPY` the same as scikit-learn's ``LogisticRegression(C=1 / (l2 * n))``; with `HINGE` as its
    ``LinearSVC(multi_class="crammer_singer", C=1 / (l2 * n))``, whose penalty is on biases, too.

    The penalty makes what is minimised strongly convex, so with the gradient g it is at most ``|g|^2 / (2 l2)`` above
    its minimum. A fit ends where that is a small share of it, or as `LinearFit.gap` says after `MOST_ITERATIONS`.

    Args:
        loss: `CROSS_ENTROPY` or `HINGE`.
        x: Standardised features.
        labels: Classes 0 to ``classes - 1``.
        classes: Number of classes.
        l2: Strength of the penalty.
        scale: Lower triangular ``S``: L-BFGS sees ``weights @ S``. With ``S S^T`` near the Hessian of one class it
            needs half as many steps, or fewer. None stands for the identity.
        rows: The rows to fit to; None for all. Memory holds no copy of them.
        start: What to start from; None for zeros.
        gap: The share to come within.
        sharpen: Whether the corners of a rounded loss become sharper until they matter by at most a hundredth.
    """
    share = x.new_full((len(x),), 1 / len(x)) if rows is None else rows / rows.sum()
    search = _Search(loss, x, labels, share, l2, scale, start, classes)
    for temperature in loss.temperatures if sharpen else loss.temperatures[:1]:
        search.minimise(temperature, gap)
        if search.rounding(temperature) <= 0.01:
            break
    return search.found


class _Search:
    """Weights, seen through a scale, on their way to a minimum."""

    def __init__(
        self,
        loss: LinearLoss,
        x: Float[Tensor, "n d"],
        labels: Int[Tensor, " n"],
        share: Float[Tensor, " n"],
        l2: float,
        scale: Float[Tensor, "d d"] | None,
        start: LinearFit | None,
        classes: int,
    ) -> None:
        self.loss, self.x, self.labels, self.share, self.l2, self.scale = loss, x, labels, share, l2, scale
        weight = x.new_zeros(classes, x.shape[1]) if start is None else start.weight
        self.scaled = (weight if scale is None else weight @ scale).clone().requires_grad_()
        self.bias = (x.new_zeros(classes) if start is None else start.bias).clone().requires_grad_()
        self.objective, self.gap, self.iterations = math.inf, math.inf, 0

    @property
    def found(self) -> LinearFit:
        """The classifier as it is."""
        return LinearFit(self._weight().detach(), self.bias.detach(), self.objective, self.gap, self.iterations)

    def minimise(self, temperature: float, gap: float) -> None:
        """Take steps until the gap is small, no step helps any more, or there were many."""
        search = torch.optim.LBFGS(
            [self.scaled, self.bias], max_iter=_BETWEEN_LOOKS, max_eval=10 * _BETWEEN_LOOKS, history_size=10,
            tolerance_grad=0.0, tolerance_change=0.0, line_search_fn="strong_wolfe",
        )  # fmt: skip

        def closure() -> Float[Tensor, ""]:
            search.zero_grad()
            objective = self._objective(temperature)
            objective.backward()
            return objective.detach()

        before = math.inf
        with torch.enable_grad():
            for _ in range(0, MOST_ITERATIONS, _BETWEEN_LOOKS):
                search.step(closure)
                self.iterations += _BETWEEN_LOOKS
                self.objective = closure().item()
                self.gap = self._squared_gradient() / (2 * self.l2) / self.objective if self.objective else 0.0
                if self.gap <= gap or before - self.objective <= 1e-7 * self.objective:
                    break
                before = self.objective

    def rounding(self, temperature: float) -> float:
        """How much of what is minimised may be owed to the rounded corners."""
        with torch.no_grad():
            scores = functional.linear(self.x, self._weight(), self.bias)
            kept_away = (self.loss.rounding(scores, self.labels, temperature) * self.share).sum().item()
        return kept_away / self.objective if self.objective else 0.0

    def _weight(self) -> Float[Tensor, "classes d"]:
        if self.scale is None:
            return self.scaled
        # The backward pass of a product is several times slower for weights that are not stored by rows.
        weight: Tensor = torch.linalg.solve_triangular(self.scale, self.scaled, upper=False, left=False)
        return weight.contiguous()

    def _objective(self, temperature: float) -> Float[Tensor, ""]:
        weight = self._weight()
        penalty = weight.square().sum() + (self.bias.square().sum() if self.loss.penalised_bias else 0)
        scores = functional.linear(self.x, weight, self.bias)
        return (self.loss.value(scores, self.labels, temperature) * self.share).sum() + self.l2 / 2 * penalty

    def _squared_gradient(self) -> float:
        """Of the gradient by weights and biases; that by what L-BFGS sees is ``gradient @ S^-T``."""
        assert self.scaled.grad is not None
        assert self.bias.grad is not None
        weight = self.scaled.grad if self.scale is None else self.scaled.grad @ self.scale.T
        return float(weight.square().sum() + self.bias.grad.square().sum())


def cholesky_scales(x: Float[Tensor, "n d"], curvature: float) -> Callable[[float], Tensor | None]:
    """For each ``l2`` the Cholesky factor of about the Hessian of one class; None for very many features."""
    if x.shape[1] > 10_000:
        return lambda l2: None
    hessian = (x.T @ x).mul_(curvature / len(x))
    rounding = 1e-6 * hessian.trace()
    return lambda l2: torch.linalg.cholesky(hessian + torch.eye(len(hessian)).to(hessian) * (l2 + rounding))
