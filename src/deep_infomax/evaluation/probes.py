"""Probes: how well classes can be read from features. Each protocol has a name and a version; figures of two versions do
not compare, and any change of a figure is a new version.

========== =============================================================================================================
protocol   definition
========== =============================================================================================================
linear/1   Multinomial logistic regression on standardised features; minimises the mean cross-entropy (nats) plus
           ``l2 / 2`` times the squared weights. ``l2`` goes down the list 0.1, 0.01, 0.001, 0.0001 as long as the
           cross-entropy of the held-out part falls; refitted on the whole training part by L-BFGS.
knn/1      k nearest by cosine similarity of standardised features, one vote each, ties to the lowest class. k is the one
           of 1, 5, 20, 50, 200 with the best accuracy on the held-out part, the smallest of equals.
mlp/1      200 hidden units, batch normalisation, ReLU, dropout 0.1 on standardised features; Adam, learning rate up
           to 1e-3 in the first tenth and down to 0 by a cosine, batches of 256, 20 epochs or as many as make 1,000 steps.
mlp-paper  As the paper's code where it is known: features as they are, the same network, Adam 1e-4, x0.1 at epochs 50 and
/1         100, batches of 64; 150 epochs, which the paper leaves open. Slow; made to compare with published figures.
========== =============================================================================================================

Features are standardised with the mean and standard deviation of the training part. The held-out part is a tenth of
the training part, drawn by the seed. Nothing is ever chosen on the test part, and the last epoch is the one reported.

Shapes: n training inputs, p test inputs, d features. Accuracies are in percent.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

L2: Final = (1e-1, 1e-2, 1e-3, 1e-4)
NEIGHBOURS: Final = (1, 5, 20, 50, 200)


class Outcome(NamedTuple):
    """What a probe found with one seed."""

    accuracy: float
    """Of the test part, in percent."""
    chosen: dict[str, float]
    """What was chosen on the held-out part, by name."""


def linear(
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_features: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    seeds: Sequence[int] = (0,),
) -> list[Outcome]:
    """Accuracy of multinomial logistic regression, ``linear/1``.

    The seed draws the held-out part and nothing else, so seeds that choose the same ``l2`` share one fit.

    >>> x = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]]).repeat(10, 1)
    >>> y = torch.tensor([0, 0, 1, 1]).repeat(10)
    >>> linear(x, y, x, y)[0].accuracy
    100.0

    Raises:
        ValueError: Fewer than 10 training inputs, or labels that are not 0 and above.
    """
    classes = _classes(labels, test_labels)
    x, test_x = standardised(features, test_features)
    scale = _cholesky_scales(x, classes)
    chosen = [_choose_l2(x, labels, classes, scale, seed) for seed in seeds]
    percent = {}
    for l2 in set(chosen):
        weight, bias = logistic_regression(x, labels, classes, l2, scale(l2))
        percent[l2] = _percent(functional.linear(test_x, weight, bias).argmax(1), test_labels)
    return [Outcome(percent[l2], {"l2": l2}) for l2 in chosen]


def knn(
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_features: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    seeds: Sequence[int] = (0,),
) -> list[Outcome]:
    """Accuracy of the k nearest neighbours, ``knn/1``.

    The seed draws the held-out part and nothing else; the neighbours of the test part are looked up once for all seeds.

    Raises:
        ValueError: Fewer than 10 training inputs, or labels that are not 0 and above.
    """
    classes = _classes(labels, test_labels)
    x, test_x = (functional.normalize(part) for part in standardised(features, test_features))
    chosen = []
    for seed in seeds:
        fit, held_out = hold_out(labels, seed)
        ks = [k for k in NEIGHBOURS if k <= len(fit)]
        votes = neighbour_votes(x[fit], labels[fit], x[held_out], classes, ks)
        chosen.append(max(ks, key=lambda k: (_percent(votes[k], labels[held_out]), -k)))  # noqa: B023 (called at once)
    votes = neighbour_votes(x, labels, test_x, classes, sorted(set(chosen)))
    return [Outcome(_percent(votes[k], test_labels), {"k": k}) for k in chosen]


def mlp(
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_features: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    seeds: Sequence[int] = (0,),
) -> list[Outcome]:
    """Accuracy of a network with one hidden layer of 200 units, ``mlp/1``.

    The seed settles the first weights, the order of the inputs and the dropout; nothing is chosen.

    Raises:
        ValueError: Fewer than 10 training inputs, or labels that are not 0 and above.
    """
    classes = _classes(labels, test_labels)
    x, test_x = standardised(features, test_features)
    training = _Training(1e-3, min(256, len(x)), 20, 1000, _warm_up_and_cosine)
    return [Outcome(_mlp_accuracy(x, labels, test_x, test_labels, classes, training, seed), {}) for seed in seeds]


def mlp_paper(
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_features: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    seeds: Sequence[int] = (0,),
) -> list[Outcome]:
    """Accuracy of the paper's probe, ``mlp-paper/1``; as :func:`mlp`, but raw features and the published training.

    Source: Hjelm et al., "Learning deep representations by mutual information estimation and maximization", 2019,
    arXiv 1808.06670, and the code released with it.

    Raises:
        ValueError: Fewer than 10 training inputs, or labels that are not 0 and above.
    """
    classes = _classes(labels, test_labels)
    training = _Training(1e-4, min(64, len(features)), 150, 0, _tenth_at_50_and_100)
    return [
        Outcome(_mlp_accuracy(features, labels, test_features, test_labels, classes, training, seed), {})
        for seed in seeds
    ]


def standardised(
    features: Float[Tensor, "n d"], test_features: Float[Tensor, "p d"]
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "p d"]]:
    """Both parts with the mean 0 and the standard deviation 1 of the first; a constant feature becomes 0 there."""
    std, mean = torch.std_mean(features, dim=0, correction=0)
    # Rounding leaves a constant feature a deviation of about 1e-7 of its mean, which must not be blown up to 1.
    constant = std <= 1e-6 * mean.abs()
    std = std.masked_fill(constant, 1.0)
    return (features - mean).div_(std), (test_features - mean).div_(std)


def hold_out(labels: Int[Tensor, " n"], seed: int) -> tuple[Int[Tensor, " fit"], Int[Tensor, " held_out"]]:
    """Positions to fit on, and a tenth, drawn at random, to choose on."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)).to(labels.device)
    return order[len(labels) // 10 :], order[: len(labels) // 10]


def logistic_regression(
    x: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    classes: int,
    l2: float,
    scale: Float[Tensor, "d d"] | None = None,
    start: tuple[Float[Tensor, "classes d"], Float[Tensor, " classes"]] | None = None,
) -> tuple[Float[Tensor, "classes d"], Float[Tensor, " classes"]]:
    r"""Weights and biases that minimise ``mean cross-entropy + l2 / 2 |weights|^2``, by L-BFGS.

    The same as scikit-learn's ``LogisticRegression(C=1 / (l2 * n))``.

    Args:
        x: Standardised features.
        labels: Classes 0 to ``classes - 1``.
        classes: Number of classes.
        l2: Strength of the penalty; the biases carry none.
        scale: Lower triangular ``S``: L-BFGS sees ``weights @ S``. With ``S S^T`` near the Hessian of one class it takes
            a half to a fifth of the steps. None stands for the identity.
        start: Weights and biases to start from; None for zeros.
    """
    weight, bias = start or (x.new_zeros(classes, x.shape[1]), x.new_zeros(classes))
    scaled, bias = (weight if scale is None else weight @ scale).clone().requires_grad_(), bias.clone().requires_grad_()
    search = torch.optim.LBFGS(
        [scaled, bias], max_iter=200, history_size=10, tolerance_grad=1e-6, tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def unscaled() -> Float[Tensor, "classes d"]:
        # The backward pass of a product is several times slower for weights that are not stored by rows.
        return scaled if scale is None else torch.linalg.solve_triangular(scale, scaled, upper=False, left=False).contiguous()

    def closure() -> Float[Tensor, ""]:
        search.zero_grad()
        weight = unscaled()
        loss = functional.cross_entropy(functional.linear(x, weight, bias), labels) + l2 / 2 * weight.square().sum()
        loss.backward()
        return loss.detach()

    with torch.enable_grad():
        search.step(closure)
    return unscaled().detach(), bias.detach()


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
