"""What an evaluation found, in sentences: the representation beside the best of what costs nothing."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from deep_infomax.runtime.figures import decimals
from deep_infomax.runtime.names import Entry

FLOORS: Final[dict[str, Entry]] = {
    "raw": Entry("raw input", "The input itself; one of more than 4,096 numbers averaged over neighbours."),
    "pca": Entry("principal components", "As many principal components of the raw input as Y has units."),
    "statistics": Entry(
        "simple statistics",
        "Of each channel: mean, deviation and quantiles; the power of 8 bands of frequency for series, means and "
        "deviations of a grid of 4 cells a side for images and volumes.",
    ),
    "untrained": Entry("untrained encoder", "Y of the same network with its first weights."),
}
"""What costs nothing, by the names that stand where layers do."""

JUDGED_BY: Final = ("mlp", "knn", "linear", "svm")
"""Probes in the order in which one is taken for the first sentence, before any figure is known: a small network reads
what neighbours and lines read, too."""
FEW: Final = {"default": "a tenth", "1%": "a hundredth"}
"""Shares of labels by the variant of ``few-labels``."""
_CLEAR: Final = 2.0
"""Standard errors of a difference, from which on it is called one."""


class Figure(NamedTuple):
    """What a verdict reads of a result."""

    metric: str
    variant: str
    layer: str
    value: float
    """Accuracy in percent."""
    n: int
    """Inputs it was measured on."""
    units: int
    """Numbers an input; 0 where that is not known."""


class Contest(NamedTuple):
    """Y and the floors by one probe."""

    metric: str
    own: Figure
    best: Figure
    """The best floor."""
    untrained: Figure | None

    @property
    def outcome(self) -> str:
        """How Y does: ``above``, ``below``, or ``level`` where the difference is within two standard errors."""
        difference = self.own.value - self.best.value
        if abs(difference) <= _CLEAR * math.hypot(_error(self.own), _error(self.best)):
            return "level"
        return "above" if difference > 0 else "below"


def verdict(figures: Iterable[Figure]) -> list[str]:
    """Sentences that say what was found; none where there are no floors to stand beside Y.

    The standard error of an accuracy a of n inputs is that of a binomial share, sqrt(a (1 - a) / n); of a difference,
    that of independent ones, which overstates it.

    >>> found = [
    ...     Figure("mlp", "default", layer, value, 500, 64)
    ...     for layer, value in {"Y": 92.8, "raw": 75.2, "pca": 80.4, "untrained": 57.4}.items()
    ... ]
    >>> print(*verdict(found))
    Y, 64 numbers an input: 92.8 %; best floor: principal components 80.4 %; untrained 57.4 % (mlp). Y is above.

    Args:
        figures: Accuracies of one evaluation; those of other metrics are passed over.
    """
    found = {(figure.metric, figure.variant, figure.layer): figure for figure in figures}
    contests = [contest for metric in JUDGED_BY if (contest := _contest(found, metric, "default")) is not None]
    if not contests:
        return []
    first, *others = contests
    said = [f"{_headline(first)} ({first.metric}). {_judged(first, others)}"]
    said += [f"By {_beside(contest.metric, contest)}" for contest in others]
    for variant, share in FEW.items():
        if (contest := _contest(found, "few-labels", variant)) is not None:
            said.append(f"With {share} of the labels: {_beside('', contest)}")
    if any(contest.outcome != "above" for contest in contests):
        said.append(_remedy(first, found))
    return said


def _contest(found: Mapping[tuple[str, str, str], Figure], metric: str, variant: str) -> Contest | None:
    own = found.get((metric, variant, "Y"))
    beside = [figure for name in FLOORS if (figure := found.get((metric, variant, name))) is not None]
    if own is None or not beside:
        return None
    best = max(beside, key=lambda figure: figure.value)
    return Contest(metric, own, best, found.get((metric, variant, "untrained")))


def _headline(contest: Contest) -> str:
    own = f"Y, {contest.own.units:,} numbers an input" if contest.own.units else "Y"
    parts = [
        f"{own}: {_percent(contest.own)}",
        f"best floor: {FLOORS[contest.best.layer].title} {_percent(contest.best)}",
    ]
    if contest.untrained is not None and contest.untrained is not contest.best:
        parts.append(f"untrained {_percent(contest.untrained)}")
    return "; ".join(parts)


def _judged(first: Contest, others: Sequence[Contest]) -> str:
    differing = [contest for contest in others if contest.outcome != first.outcome]
    also = "".join(f", {contest.outcome} by {contest.metric}" for contest in differing)
    return f"Y is {first.outcome}{also}."


def _beside(metric: str, contest: Contest) -> str:
    start = f"{metric}: " if metric else ""
    return f"{start}Y {_percent(contest.own)}, {FLOORS[contest.best.layer].title} {_percent(contest.best)}."


def _remedy(first: Contest, found: Mapping[tuple[str, str, str], Figure]) -> str:
    """What to try where Y is not above everywhere."""
    layers = [
        figure
        for (metric, variant, layer), figure in found.items()
        if (metric, variant) == (first.metric, "default") and layer not in FLOORS and layer != "Y"
    ]
    better = max(layers, key=lambda figure: figure.value, default=None)
    said = "To try: more epochs, a wider Y, another recipe."
    if better is not None and better.value > first.best.value:
        said += f" The layer {better.layer} reads {_percent(better)}."
    if first.outcome != "above":
        said += f" Until then, take the floor: {FLOORS[first.best.layer].title}."
    return said


def _percent(figure: Figure) -> str:
    return f"{figure.value:.{decimals('%', figure.n)}f} %"


def _error(figure: Figure) -> float:
    share = figure.value / 100
    return 100 * math.sqrt(share * (1 - share) / figure.n) if figure.n else math.inf
