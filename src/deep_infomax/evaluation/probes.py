"""Probes: how well classes can be read from features.

Each protocol has a name and a version. Figures of two versions do not compare; what changes a figure is a new version.

``linear/1``
    Multinomial logistic regression on standardised features: the mean cross-entropy (nats) plus ``l2 / 2`` times the
    squared weights, minimised by L-BFGS. ``l2`` goes down the list 0.1, 0.01, 0.001, 0.0001 for as long as the
    cross-entropy of the held-out part falls; the last fit is on the whole training part.
``knn/1``
    The k nearest by cosine similarity of standardised features, one vote each, ties to the lowest class. k is the one
    of 1, 5, 20, 50 and 200 with the best accuracy on the held-out part, the smallest of equals.
``mlp/1``
    200 hidden units, batch normalisation, ReLU, dropout 0.1, on standardised features. Adam; the learning rate rises to
    1e-3 over the first tenth and falls to 0 by a cosine; batches of 256; 20 epochs, or as many as make 1,000 steps.
``mlp-paper/1``
    The paper's: the same network on features as they are; Adam at 1e-4, times 0.1 at epochs 50 and 100; batches of 64;
    150 epochs, a number the paper leaves open. Slow, and here to stand beside published figures.

Features are standardised with the means and standard deviations of the training part. The held-out part is a tenth of
the training part, drawn by the seed. Nothing is chosen on the test part, and the last epoch is the one reported.

Shapes: n training inputs, p test inputs, d features. Accuracies are in percent.
"""

import math
from collections.abc import Callable, Sequence
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
        chosen.append(max(ks, key=lambda k: (_percent(votes[k], labels[held_out]), -k)))
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
    tolerance: float = 1e-6,
) -> tuple[Float[Tensor, "classes d"], Float[Tensor, " classes"]]:
    r"""Weights and biases that minimise ``mean cross-entropy + l2 / 2 |weights|^2``, by L-BFGS.

    The same as scikit-learn's ``LogisticRegression(C=1 / (l2 * n))``.

    Args:
        x: Standardised features.
        labels: Classes 0 to ``classes - 1``.
        classes: Number of classes.
        l2: Strength of the penalty; the biases carry none.
        scale: Lower triangular ``S``: L-BFGS sees ``weights @ S``. With ``S S^T`` near the Hessian of one class it
            needs half as many steps, or fewer. None stands for the identity.
        start: Weights and biases to start from; None for zeros.
        tolerance: A step that changes the minimised quantity by less is the last.
    """
    weight, bias = start or (x.new_zeros(classes, x.shape[1]), x.new_zeros(classes))
    scaled, bias = (weight if scale is None else weight @ scale).clone().requires_grad_(), bias.clone().requires_grad_()
    search = torch.optim.LBFGS(
        [scaled, bias], max_iter=200, history_size=10, tolerance_grad=1e-6, tolerance_change=tolerance,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def unscaled() -> Float[Tensor, "classes d"]:
        # The backward pass of a product is several times slower for weights that are not stored by rows.
        return (
            scaled
            if scale is None
            else torch.linalg.solve_triangular(scale, scaled, upper=False, left=False).contiguous()
        )

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


class _Training(NamedTuple):
    """How a hidden layer is trained; the learning rate is multiplied by ``factor(epoch, epochs)``."""

    learning_rate: float
    batch_size: int
    epochs: int
    least_steps: int
    factor: Callable[[float, int], float]


def _warm_up_and_cosine(epoch: float, epochs: int) -> float:
    progress = epoch / epochs
    return progress / 0.1 if progress < 0.1 else 0.5 + 0.5 * math.cos(math.pi * (progress - 0.1) / 0.9)


def _tenth_at_50_and_100(epoch: float, epochs: int) -> float:
    return 1.0 if epoch < 50 else 0.1 if epoch < 100 else 0.01


def _mlp_accuracy(
    x: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_x: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    classes: int,
    training: _Training,
    seed: int,
) -> float:
    with torch.random.fork_rng([x.device] if x.device.type == "cuda" else []), torch.enable_grad():
        torch.manual_seed(seed)
        network = _train_mlp(x, labels, classes, training)
    network.eval()
    with torch.no_grad():
        return _percent(torch.cat([network(part).argmax(1) for part in test_x.split(8192)]), test_labels)


def _train_mlp(x: Float[Tensor, "n d"], labels: Int[Tensor, " n"], classes: int, training: _Training) -> nn.Module:
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
    return network


def _choose_l2(
    x: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    classes: int,
    scale: Callable[[float], Tensor | None],
    seed: int,
) -> float:
    """The strength with the least cross-entropy on the held-out part; each fit starts from the one before."""
    fit, held_out = hold_out(labels, seed)
    fit_x, held_out_x = x[fit], x[held_out]
    best, least, start = L2[0], math.inf, None
    for l2 in L2:
        start = logistic_regression(fit_x, labels[fit], classes, l2, scale(l2), start, tolerance=1e-5)
        entropy = functional.cross_entropy(functional.linear(held_out_x, *start), labels[held_out]).item()
        if entropy >= least:
            break
        best, least = l2, entropy
    return best


def _cholesky_scales(x: Float[Tensor, "n d"], classes: int) -> Callable[[float], Tensor | None]:
    """For each ``l2`` the Cholesky factor of the Hessian of one class at zero weights; None for very many features."""
    if x.shape[1] > 10_000:
        return lambda l2: None
    hessian = (x.T @ x).div_(len(x) * classes)
    rounding = 1e-6 * hessian.trace()
    return lambda l2: torch.linalg.cholesky(hessian + torch.eye(len(hessian)).to(hessian) * (l2 + rounding))


def _classes(labels: Int[Tensor, " n"], test_labels: Int[Tensor, " p"]) -> int:
    if len(labels) < 10:
        raise ValueError(f"a probe needs at least 10 labelled training inputs, got {len(labels)}; give it more")
    least = int(torch.cat([labels, test_labels]).min())
    if least < 0:
        raise ValueError(f"a probe needs classes numbered from 0, got the label {least}; leave unlabelled inputs out")
    return int(labels.max()) + 1


def _percent(predicted: Int[Tensor, " p"], labels: Int[Tensor, " p"]) -> float:
    return 100 * (predicted == labels).double().mean().item()
