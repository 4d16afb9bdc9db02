"""Probes: how well classes can be read from features.

Each protocol has a name and a version. Figures of two versions do not compare; what changes a figure is a new version.

``linear/2``
    Multinomial logistic regression on standardised features: the mean cross-entropy (nats) plus ``l2 / 2`` times the
    squared weights, minimised by L-BFGS until the gradient shows that a thousandth is left. ``l2`` goes down the list
    0.1, 0.01, 0.001, 0.0001 for as long as the cross-entropy of the held-out part falls, fitted to a hundredth; the
    last fit is on the whole training part. In version 1 the fits of several seeds ended together, after at most 200
    steps, so that a seed's figure depended on the others.
``svm/3``
    The paper's linear one, which the paper does not define: the support vector machine for several classes of Crammer
    and Singer. The hinge loss of all classes at once stands for the cross-entropy, the penalty is on biases, too, and
    its list begins at 1; all else as ``linear/2``. The hinge's corners are rounded, in the last fit so little that they
    matter by at most a hundredth, or at the temperature 0.001. Version 2 ended early as ``linear/1`` did, and rounded
    more; version 1 had a machine for each class against all others, which hardly tell inputs apart where no class
    stands out.
``knn/1``
    The k nearest by cosine similarity of standardised features, one vote each, ties to the lowest class. k is the one
    of 1, 5, 20, 50 and 200 with the best accuracy on the held-out part, the smallest of equals.
``neighbours/1``
    What of the 8 training inputs nearest to a test input is of its class, the mean over at most 2,000 test inputs,
    evenly spaced; by cosine, L1 (variant ``l1``) or L2 distance (``l2``) of features as they are. Nothing is
    drawn, so there is one figure whatever the seeds.
``mlp/1``
    200 hidden units, batch normalisation, ReLU, dropout 0.1, on standardised features. Adam; the learning rate rises to
    3e-3 over the first tenth and falls to 0 by a cosine; batches of 256; 20 epochs, or as many as make 1,000 steps.
``few-labels/1``
    ``linear/2`` with a tenth of the training labels, or a hundredth (variant ``1%``), but at least 10 and one of every
    class; the seed draws which. Features are standardised by all training inputs, whose labels this does not read. Of
    fewer than 100 labels none is held out, and ``l2`` is 0.1.
``mlp-paper/2``
    The paper's, as the authors released it: 200 hidden units on features as they are, dropout 0.1, batch normalisation
    and ReLU in this order; Adam at 1e-4 with betas 0.5 and 0.999, times 0.1 at epochs 50 and 100; batches of 64; 1,000
    epochs. The figure is the mean of the test accuracies after each of the last 100. It takes an hour or so on a CPU
    for a wide layer, and is here to stand beside published figures. Version 1 had the network of ``mlp/1``, Adam's
    usual betas and 150 epochs, the last of which gave the figure. The encoder's own batch normalisation is in
    evaluation mode; in the code of August 2018 it was in training mode while a classifier was trained.
``svm-paper/1``
    What the paper's machine may have been: scikit-learn's ``LinearSVC`` as it was by default in 2018, on features as
    they are, with the random states 0 to 4, whatever the seeds of the evaluation. A machine for each class against all
    others; the squared hinge, ``C`` 1, and at most 1,000 passes over the dual problem. Most fits to wide layers end
    there, short of the minimum, which is said beside the figure. (Since version 1.5 its default is the primal problem
    where inputs outnumber units, which draws nothing.)

Features are standardised with the means and standard deviations of the training part. The held-out part is a tenth of
the training part, drawn by the seed. Nothing is chosen on the test part, and the last epoch is the one reported, unless
a protocol says otherwise.

Shapes: n training inputs, p test inputs, d features. Accuracies are in percent.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean
from typing import Final, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from deep_infomax.data import evenly_spaced
from deep_infomax.encoders.base import eval_mode
from deep_infomax.evaluation.classifiers import (
    NetworkTraining,
    hidden_layer,
    nearest_rows,
    neighbour_votes,
    train_classifier,
)
from deep_infomax.evaluation.linear_fits import (
    CROSS_ENTROPY,
    HINGE,
    LinearFit,
    LinearLoss,
    cholesky_scales,
    fit_linear,
)
from deep_infomax.evaluation.results import Outcome
from deep_infomax.runtime.progress import Progress, unseen
from deep_infomax.runtime.random_numbers import own_random_numbers

L2: Final = (1e-1, 1e-2, 1e-3, 1e-4)
SVM_L2: Final = (1.0, *L2)
NEIGHBOURS: Final = (1, 5, 20, 50, 200)
ENOUGH: Final = 0.01
"""The share by which a linear fit may lie above its minimum without a word."""
PAPER_EPOCHS: Final = 1000
"""Of ``mlp-paper``: those of the released command."""
PAPER_STATES: Final = 5
"""Random states of ``svm-paper``: the paper has five runs."""
_AVERAGED: Final = 100
"""The last epochs of ``mlp-paper``, whose accuracies are averaged."""
_LEAST_STEPS: Final = 1000
_ENOUGH_TO_CHOOSE: Final = 100
"""Labels from which on a tenth is held out to choose by."""


def linear(
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_features: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    seeds: Sequence[int] = (0,),
    progress: Progress = unseen,
) -> list[Outcome]:
    """Accuracy of multinomial logistic regression, ``linear/2``.

    The seed draws the held-out part and nothing else, so seeds that choose the same ``l2`` share one fit.

    >>> x = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]]).repeat(10, 1)
    >>> y = torch.tensor([0, 0, 1, 1]).repeat(10)
    >>> linear(x, y, x, y)[0].value
    100.0

    Raises:
        ValueError: Fewer than 10 training inputs, or labels that are not 0 and above.
    """
    return _linear(CROSS_ENTROPY, L2, features, labels, test_features, test_labels, seeds, progress)


def svm(
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_features: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    seeds: Sequence[int] = (0,),
    progress: Progress = unseen,
) -> list[Outcome]:
    """Accuracy of a linear support vector machine, ``svm/3``; the seed as for :func:`linear`.

    Raises:
        ValueError: Fewer than 10 training inputs, or labels that are not 0 and above.
    """
    return _linear(HINGE, SVM_L2, features, labels, test_features, test_labels, seeds, progress)


def _linear(
    loss: LinearLoss,
    strengths: Sequence[float],
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_features: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    seeds: Sequence[int],
    progress: Progress,
) -> list[Outcome]:
    classes = _classes(labels, test_labels)
    x, test_x = standardised(features, test_features)
    scale = cholesky_scales(x, loss.curvature(classes))
    fits = len(seeds) * len(strengths) + 1
    chosen = []
    for number, seed in enumerate(seeds):

        def told(fit: int, before: int = number * len(strengths)) -> None:
            progress("fits", before + fit, fits)

        # By itself: fits that end together would depend on one another.
        chosen.append(_choose_l2(loss, strengths, x, labels, classes, scale, hold_out(labels, seed)[1], told))
    final = {}
    for l2 in set(chosen):
        fit = fit_linear(loss, x, labels, classes, l2, scale(l2))
        percent = _percent(fit.scores(test_x).argmax(1), test_labels)
        details = {"iterations": fit.iterations, "gap": fit.gap, "warnings": _unfinished(fit)}
        final[l2] = Outcome(percent, {"l2": l2}, details)
    progress("fits", fits, fits)
    return [final[l2] for l2 in chosen]


def _unfinished(fit: LinearFit) -> list[str]:
    """What to say of a fit that ended before its minimum."""
    if fit.gap <= ENOUGH:
        return []
    return [f"the fit ended after {fit.iterations:,} steps, up to {100 * fit.gap:.2g} % above its minimum"]


def knn(
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_features: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    seeds: Sequence[int] = (0,),
    progress: Progress = unseen,
) -> list[Outcome]:
    """Accuracy of the k nearest neighbours, ``knn/1``.

    The seed draws the held-out part and nothing else; the neighbours of the test part are looked up once for all seeds.

    Raises:
        ValueError: Fewer than 10 training inputs, or labels that are not 0 and above.
    """
    classes = _classes(labels, test_labels)
    x, test_x = (functional.normalize(part) for part in standardised(features, test_features))
    chosen = []
    for number, seed in enumerate(seeds):
        progress("neighbours", number, len(seeds) + 1)
        fit, held_out = hold_out(labels, seed)
        ks = [k for k in NEIGHBOURS if k <= len(fit)]
        votes = neighbour_votes(x[fit], labels[fit], x[held_out], classes, ks)
        chosen.append(max(ks, key=lambda k: (_percent(votes[k], labels[held_out]), -k)))
    progress("neighbours", len(seeds), len(seeds) + 1)
    # Each k by itself: of neighbours equally near, how many are looked up decides which are found.
    percent = {k: _percent(neighbour_votes(x, labels, test_x, classes, [k])[k], test_labels) for k in set(chosen)}
    return [Outcome(percent[k], {"k": k}) for k in chosen]


def few_labels(
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_features: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    seeds: Sequence[int] = (0,),
    progress: Progress = unseen,
    share: float = 0.1,
) -> list[Outcome]:
    """Accuracy of multinomial logistic regression with a share of the labels, ``few-labels/1``.

    Raises:
        ValueError: Fewer than 10 training inputs, or labels that are not 0 and above.
    """
    classes = _classes(labels, test_labels)
    all_x, test_x = standardised(features, test_features)
    outcomes = []
    for number, seed in enumerate(seeds):
        rows = some_labelled(labels, share, seed)
        x, known = all_x[rows], labels[rows]
        scale = cholesky_scales(x, CROSS_ENTROPY.curvature(classes))
        l2 = L2[0]
        if len(rows) >= _ENOUGH_TO_CHOOSE:
            held_out = hold_out(known, seed)[1]
            l2 = _choose_l2(CROSS_ENTROPY, L2, x, known, classes, scale, held_out, lambda fit: None)
        fit = fit_linear(CROSS_ENTROPY, x, known, classes, l2, scale(l2))
        details = {"labels": len(rows), "gap": fit.gap, "warnings": _unfinished(fit)}
        outcomes.append(Outcome(_percent(fit.scores(test_x).argmax(1), test_labels), {"l2": l2}, details))
        progress("fits", number + 1, len(seeds))
    return outcomes


def some_labelled(labels: Int[Tensor, " n"], share: float, seed: int) -> Int[Tensor, " k"]:
    """Positions of a share of the inputs, drawn by a seed: at least 10, and one of every class that there is.

    >>> some_labelled(torch.arange(4).repeat(10), 0.1, seed=0).shape
    torch.Size([10])
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)).to(labels.device)
    drawn = labels[order]
    first = torch.stack([(drawn == each).nonzero()[0, 0] for each in drawn.unique()])
    others = torch.ones(len(labels), dtype=torch.bool, device=labels.device).index_fill_(0, first, False)
    wanted = max(10, round(share * len(labels)))
    return order[torch.cat([first, others.nonzero().flatten()])[: max(wanted, len(first))]]


def neighbours(
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_features: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    seeds: Sequence[int] = (0,),
    progress: Progress = unseen,
    distance: str = "cosine",
) -> list[Outcome]:
    """Agreement in class of the nearest neighbours, ``neighbours/1``, by a distance of `DISTANCES`.

    >>> x = torch.tensor([[1.0], [1.1], [-1.0], [-1.1]]).repeat(8, 1)
    >>> y = torch.tensor([0, 0, 1, 1]).repeat(8)
    >>> neighbours(x, y, x, y, distance="l1")[0].value
    100.0
    """
    rows = evenly_spaced(len(test_features), 2000).to(features.device)
    progress("neighbours", 0, 1)
    _, nearest = nearest_rows(test_features[rows], features, 8, distance)
    agreement = _percent(labels[nearest].flatten(), test_labels[rows].repeat_interleave(nearest.shape[1]))
    progress("neighbours", 1, 1)
    return [Outcome(agreement, {}, n=len(rows))]


def mlp(
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_features: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    seeds: Sequence[int] = (0,),
    progress: Progress = unseen,
) -> list[Outcome]:
    """Accuracy of a network with one hidden layer of 200 units, ``mlp/1``.

    The seed settles the first weights, the order of the inputs and the dropout; nothing is chosen.

    Raises:
        ValueError: Fewer than 10 training inputs, or labels that are not 0 and above.
    """
    classes = _classes(labels, test_labels)
    x, test_x = standardised(features, test_features)
    training = NetworkTraining(3e-3, min(256, len(x)), 20, _LEAST_STEPS, _warm_up_and_cosine)
    return _mlp(
        x, labels, test_x, test_labels, training, partial(hidden_layer, x.shape[1], classes), 1, seeds, progress
    )


def mlp_paper(
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_features: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    seeds: Sequence[int] = (0,),
    progress: Progress = unseen,
    epochs: int = PAPER_EPOCHS,
) -> list[Outcome]:
    """Accuracy of the paper's probe, ``mlp-paper/2``: raw features, the released network and its long training.

    The figure is the mean over the last 100 epochs, or over all where there are fewer ``epochs``, which the protocol
    fixes at 1,000.

    Source: Hjelm et al., "Learning deep representations by mutual information estimation and maximization", 2019,
    arXiv 1808.06670, and the code released with it.

    Raises:
        ValueError: Fewer than 10 training inputs, or labels that are not 0 and above.
    """
    classes = _classes(labels, test_labels)
    network = partial(hidden_layer, features.shape[1], classes, dropout_first=True)
    training = NetworkTraining(1e-4, min(64, len(features)), epochs, 0, _tenth_at_50_and_100, (0.5, 0.999))
    averaged = min(_AVERAGED, epochs)
    return _mlp(features, labels, test_features, test_labels, training, network, averaged, seeds, progress)


def svm_paper(
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_features: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    seeds: Sequence[int] = tuple(range(PAPER_STATES)),
    progress: Progress = unseen,
) -> list[Outcome]:
    """Accuracy of scikit-learn's ``LinearSVC`` at its defaults of 2018, ``svm-paper/1``; seeds are its random states.

    It runs on the CPU in double precision. A fit is one call, so an interrupt is heard at its end.

    Raises:
        ValueError: Fewer than 10 training inputs, labels that are not 0 and above, or one class alone.

    Source: Fan et al., "LIBLINEAR: a library for large linear classification", 2008.
    """
    # They take a second to load, which no other probe needs.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    _classes(labels, test_labels)
    if len(present := labels.unique()) < 2:
        raise ValueError(
            f"svm-paper tells classes apart, and all {len(labels)} training inputs are of the class {int(present[0])}; "
            "give it another"
        )
    x, test_x = (part.double().cpu().numpy() for part in (features, test_features))
    outcomes = []
    for number, seed in enumerate(seeds):
        progress("fits", number, len(seeds))
        machine = LinearSVC(dual=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # said below
            machine.fit(x, labels.cpu().numpy())
        passes = int(machine.n_iter_)
        ended = passes >= machine.max_iter
        said = [f"the fit ended after {passes:,} passes, short of its minimum"] if ended else []
        right = torch.from_numpy(machine.predict(test_x)) == test_labels.cpu()
        outcomes.append(Outcome(100 * right.double().mean().item(), {}, {"iterations": passes, "warnings": said}))
    progress("fits", len(seeds), len(seeds))
    return outcomes


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


def _warm_up_and_cosine(epoch: float, epochs: int) -> float:
    progress = epoch / epochs
    return progress / 0.1 if progress < 0.1 else 0.5 + 0.5 * math.cos(math.pi * (progress - 0.1) / 0.9)


def _tenth_at_50_and_100(epoch: float, epochs: int) -> float:
    return 1.0 if epoch < 50 else 0.1 if epoch < 100 else 0.01


def _mlp(
    x: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    test_x: Float[Tensor, "p d"],
    test_labels: Int[Tensor, " p"],
    training: NetworkTraining,
    build: Callable[[], nn.Module],
    averaged: int,
    seeds: Sequence[int],
    progress: Progress,
) -> list[Outcome]:
    """The mean of the accuracies after each of the last ``averaged`` epochs of a training."""
    outcomes = []
    for number, seed in enumerate(seeds):
        with own_random_numbers(seed, x.device), torch.enable_grad():
            network = build().to(x.device)
            accuracies: list[float] = []

            def told(epoch: int, epochs: int) -> None:
                if epoch > epochs - averaged:
                    accuracies.append(_accuracy(network, test_x, test_labels))  # noqa: B023
                progress("epochs", number * epochs + epoch, len(seeds) * epochs)  # noqa: B023

            train_classifier(network, x, labels, training, told)
        outcomes.append(Outcome(fmean(accuracies), {}))
    return outcomes


@torch.no_grad()
def _accuracy(network: nn.Module, x: Float[Tensor, "p d"], labels: Int[Tensor, " p"]) -> float:
    with eval_mode(network):
        return _percent(torch.cat([network(part).argmax(1) for part in x.split(8192)]), labels)


def _choose_l2(
    loss: LinearLoss,
    strengths: Sequence[float],
    x: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    classes: int,
    scale: Callable[[float], Tensor | None],
    held_out: Int[Tensor, " held_out"],
    told: Callable[[int], None],
) -> float:
    """The strength with the least loss on the held-out part; fits start from those before."""
    rows = torch.ones(len(x), dtype=torch.bool, device=x.device).index_fill_(0, held_out, False)
    best, least, start = strengths[0], math.inf, None
    for number, l2 in enumerate(strengths, 1):
        start = fit_linear(loss, x, labels, classes, l2, scale(l2), rows, start, gap=1e-2, sharpen=False)
        value = loss.value(start.scores(x[held_out]), labels[held_out], loss.temperatures[0]).mean().item()
        told(number)
        if value >= least:
            break
        best, least = l2, value
    return best


def _classes(labels: Int[Tensor, " n"], test_labels: Int[Tensor, " p"]) -> int:
    if len(labels) < 10:
        raise ValueError(f"a probe needs at least 10 labelled training inputs, got {len(labels)}; give it more")
    least = int(torch.cat([labels, test_labels]).min())
    if least < 0:
        raise ValueError(f"a probe needs classes numbered from 0, got the label {least}; leave unlabelled inputs out")
    return int(labels.max()) + 1


def _percent(predicted: Int[Tensor, " p"], labels: Int[Tensor, " p"]) -> float:
    return 100 * (predicted == labels).double().mean().item()


class Probe(NamedTuple):
    """An accuracy that classes are read with."""

    title: str
    meaning: str
    protocol: str
    """Name and version."""
    measure: Callable[..., list[Outcome]]
    """One outcome a seed, from features and labels of both parts, the seeds and a progress."""
    floors: bool = True
    """Whether floors are measured by it as well."""
    seeds: int | None = None
    """How many seeds the protocol itself asks for; None leaves that to the user."""
    drawn: Literal["figure", "choice"] = "figure"
    """Whether the figure depends on the seed, or only what is chosen on held-out data."""


PROBES: Final[dict[str, Probe]] = {
    "linear": Probe(
        "Logistic regression",
        "Accuracy of multinomial logistic regression on the features.",
        "linear/2",
        linear,
        drawn="choice",
    ),
    "svm": Probe(
        "Linear SVM", "Accuracy of a linear support vector machine on the features.", "svm/3", svm, drawn="choice"
    ),
    "mlp": Probe("Network of 200 units", "Accuracy of a network with one hidden layer on the features.", "mlp/1", mlp),
    "knn": Probe(
        "Nearest neighbours",
        "Accuracy of a vote of the nearest training inputs by cosine.",
        "knn/1",
        knn,
        drawn="choice",
    ),
    "mlp-paper": Probe(
        "Network of 200 units, the paper's way",
        "Mean accuracy of the last 100 of 1,000 epochs on raw features, as the authors released it.",
        "mlp-paper/2",
        mlp_paper,
        floors=False,
    ),
    "svm-paper": Probe(
        "Linear SVM, perhaps the paper's",
        "Accuracy of scikit-learn's machine at its defaults of 2018 on raw features, with five random states.",
        "svm-paper/1",
        svm_paper,
        floors=False,
        seeds=PAPER_STATES,
    ),
}
"""The probes by the names users type."""
