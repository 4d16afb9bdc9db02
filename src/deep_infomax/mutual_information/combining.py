r"""One estimate from the readouts of several folds: its interval, and what speaks against it.

With the folds' readouts I_k and the standard error s_0 of their mean by the influence functions of the pairs,

.. math:: s^2 = \max\left(s_0^2, \; \operatorname{var}(I_k) / K\right)

is the error of the mean: where folds differ by more than their pairs explain, their trainings did.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from deep_infomax.mutual_information.estimators import ESTIMATORS
from deep_infomax.mutual_information.facts import Facts
from deep_infomax.mutual_information.folds import Fold
from deep_infomax.mutual_information.result import Estimate
from deep_infomax.mutual_information.rows.structure import Rows

FEWEST_EFFECTIVE: Final = 50.0
"""Pairs that must carry the exponential mean, for an interval that is closed above."""
NEAR_CEILING: Final = 0.85
"""Share of its ceiling up to which InfoNCE may read, likewise."""
LEAST_DISAGREEMENT: Final = 0.01
"""Nats by which two lower bounds may differ, whatever their errors."""
TOO_MUCH: Final = 0.15
"""Share of the estimate that a critic may read more on fitted pairs, without a word."""
MANY_COORDINATES: Final = 40
"""Coordinates of x and y together, above which what a network does not find says little."""
SEVERAL_COORDINATES: Final = 16
"""Coordinates above which a network that adds little to a simple model has perhaps found a part of something."""
MOST_FOUND: Final = 0.5
"""Share of the estimate that a network must have added there, for an interval that is closed above."""

FUNCTION: Final = (
    "some coordinate of y is a function of x, or of x one of y, as far as can be seen: between continuous variables "
    "the true information is then infinite, and the figure no more than a lower bound"
)


class Doubt(NamedTuple):
    """What speaks against an estimate."""

    words: str
    opens: bool
    """Whether it leaves the interval without an upper end."""


def combine(
    folds: Sequence[Fold],
    estimator: str,
    facts: Facts,
    level: float,
    rows: Rows,
    p_value: float | None,
    seconds: float,
    finished: bool,
) -> Estimate:
    """One estimate from the folds; samples of different folds are independent, so their variances add.

    Where rows belong together and there are too few groups or blocks, it has no interval, bound or p-value.
    """
    means = {name: float(np.mean([fold.values[name] for fold in folds])) for name in folds[0].values}
    errors = {name: _error(name, folds, rows) for name in means}
    second = facts.second
    z = rows.quantile((1 + level) / 2, len(folds))
    readout = _readout(folds, estimator, facts, means)
    reach = means[readout] + still_missing(folds) + z * errors[readout]
    taken = ESTIMATORS[estimator].second and not _determined(folds, facts)
    outdone = taken and _outdone(facts, means[readout], errors[readout], z)
    if math.isfinite(second.value):
        means, errors = means | {second.name: second.value}, errors | {second.name: second.error}
        if outdone:  # the larger of two was taken
            errors[second.name] = math.hypot(second.error, errors[readout])
        beyond = second.value + second.above + z * errors[second.name]
        reach = beyond if outdone else max(reach, beyond)
    readout, below = (second.name, second.below) if outdone else (readout, 0.0)
    lower_bound = means["infonce"] - rows.quantile(level, len(folds)) * errors["infonce"]
    doubts = _doubts(folds, estimator, facts, means, errors, z)
    interval = (means[readout] - below - z * errors[readout], min(reach, facts.capacity))
    if any(doubt.opens for doubt in doubts):
        interval = (min(interval[0], lower_bound), facts.capacity)  # all that can be said
    return Estimate(
        estimator=estimator,
        readout=readout,
        mi=means[readout],
        interval=interval if rows.trusted else None,
        level=level,
        lower_bound=lower_bound if rows.trusted else None,
        readouts=means,
        standard_errors=errors,
        ceiling=_ceiling(folds),
        effective_sample_size=_effective(folds),
        converged=not any(fold.history.rising or fold.history.diverged for fold in folds),
        warnings=(*facts.warnings, *(doubt.words for doubt in doubts)),
        folds=tuple(fold.values for fold in folds),
        history=tuple(fold.history for fold in folds),
        n=len(rows),
        seconds=seconds,
        finished=finished,
        fitted=float(np.mean([fold.fitted for fold in folds])),
        p_value=p_value if rows.trusted else None,
    )


def _error(name: str, folds: Sequence[Fold], rows: Rows) -> float:
    """Standard error of a readout's mean: of its pairs, or of its folds where these differ by more."""
    within = sum(rows.variance(fold.influences[name].numpy(), fold.test) for fold in folds) / len(folds) ** 2
    return math.sqrt(max(within, spread_of([fold.values[name] for fold in folds])))


def spread_of(values: Sequence[float]) -> float:
    """Variance of the mean of figures of folds, from how far they lie apart; infinite where one of them is."""
    if not np.isfinite(values).all():
        return math.inf
    return float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0


def _determined(folds: Sequence[Fold], facts: Facts) -> bool:
    return facts.determined or any(fold.determined for fold in folds)


def _readout(folds: Sequence[Fold], estimator: str, facts: Facts, means: dict[str, float]) -> str:
    """The largest of the estimator's readouts; of an infinite log-ratio the one that has a ceiling."""
    if _determined(folds, facts):
        return "infonce"
    return max(ESTIMATORS[estimator].readouts, key=lambda name: means[name])


def _outdone(facts: Facts, value: float, error: float, z: float) -> bool:
    """Whether the second opinion is clearly higher."""
    return facts.second.value - value > z * math.hypot(error, facts.second.error)


def still_missing(folds: Sequence[Fold]) -> float:
    """What more samples and a longer training might add: the allowance above the estimate."""
    learnt_by_heart = float(np.mean([max(0.0, fold.fitted - fold.values["dv"]) for fold in folds]))
    return 2 * learnt_by_heart + float(np.mean([fold.history.gained_after(0.5) for fold in folds]))


def _ceiling(folds: Sequence[Fold]) -> float:
    return math.log(min(len(fold.test) for fold in folds))


def _effective(folds: Sequence[Fold]) -> float:
    return min(fold.effective_sample_size for fold in folds)


def _doubts(
    folds: Sequence[Fold], estimator: str, facts: Facts, means: dict[str, float], errors: dict[str, float], z: float
) -> list[Doubt]:
    """What speaks against an estimate, in words."""
    doubts = [*_of_data(folds, estimator, facts, means, errors, z), *_of_trainings(folds)]
    size, ceiling = _effective(folds), _ceiling(folds)
    if size < FEWEST_EFFECTIVE:
        doubts.append(
            Doubt(
                f"the exponential mean rests on {size:.0f} pairs (effective sample size): dv and nwj are not reliable, "
                "so the interval is open above",
                True,
            )
        )
    if means["infonce"] > NEAR_CEILING * ceiling:
        doubts.append(
            Doubt(
                f"infonce reads {means['infonce']:.2f} nats under its ceiling of {ceiling:.2f} nats: the true value "
                "may lie far above, so the interval is open there; more samples raise the ceiling",
                True,
            )
        )
    elif abs(means["dv"] - means["nwj"]) > max(LEAST_DISAGREEMENT, z * math.hypot(errors["dv"], errors["nwj"])):
        words = f"dv ({means['dv']:.3f} nats) and nwj ({means['nwj']:.3f} nats) disagree beyond their errors"
        doubts.append(Doubt(f"{words}: the interval is open above", True))
    if (paired := sum(len(fold.test) for fold in folds)) < sum(fold.held_out for fold in folds):
        doubts.append(Doubt(f"read on {paired:,} held-out samples, a part of all, in pairs within each fold", False))
    return doubts


def _of_data(
    folds: Sequence[Fold], estimator: str, facts: Facts, means: dict[str, float], errors: dict[str, float], z: float
) -> list[Doubt]:
    doubts = []
    best = _readout(folds, estimator, facts, means)
    if _determined(folds, facts):
        doubts.append(Doubt(FUNCTION, True))
    elif _outdone(facts, means[best], errors[best], z):
        words = (
            f"{facts.second.words} read {facts.second.value:.3f} nats, more than the {means[best]:.3f} nats of the "
            "critic: "
        )
        taken = "that is the estimate" if ESTIMATORS[estimator].second else "the interval reaches up from there"
        doubts.append(Doubt(words + taken, False))
    gap = float(np.mean([fold.fitted for fold in folds])) - means["dv"]
    if gap > max(TOO_MUCH * abs(means["dv"]), 0.05) and not _determined(folds, facts):
        words = (
            f"the critic reads {gap:.3f} nats more on the pairs it was fitted to than on new ones: more samples or "
            "fewer coordinates are needed"
        )
        doubts.append(Doubt(words, False))
    if ESTIMATORS[estimator].loss is not None:
        doubts += _of_coordinates(folds, facts)
    if facts.crowded:
        doubts.append(Doubt("there are few samples for so much to learn: the interval is open above", True))
    return doubts


def _of_coordinates(folds: Sequence[Fold], facts: Facts) -> list[Doubt]:
    """What networks of many coordinates may have missed: they can stand still short of the truth, on new pairs as well.

    Those of few columns that depend on one another pair by pair, and that read most of the estimate, are trusted.
    """

    def mostly(holds: Iterable[bool]) -> bool:
        return sum(holds) > len(folds) / 2

    many, several = facts.coordinates > MANY_COORDINATES, facts.coordinates > SEVERAL_COORDINATES
    among = f"among {facts.coordinates} coordinates"
    remedy = "the interval is open above; give fewer coordinates or more samples"
    if many and mostly(fold.gain == 0 for fold in folds):
        words = f"{among} a network found nothing that new pairs confirm beyond a simple model, which says little: "
    elif several and mostly(0 < fold.gain < MOST_FOUND * fold.values["dv"] for fold in folds):
        words = f"{among} a network adds little to a simple model, which is perhaps a part of what there is: "
    elif many and mostly(fold.coordinates > MANY_COORDINATES for fold in folds):
        words = f"{among} what a network of all does not find cannot be seen: "
    else:
        return []
    return [Doubt(words + remedy, True)]


def _of_trainings(folds: Sequence[Fold]) -> list[Doubt]:
    doubts = []
    if diverged := sum(fold.history.diverged for fold in folds):
        words = f"the training of {diverged} of {len(folds)} folds diverged at every rate; its best weights are read"
        doubts.append(Doubt(words, False))
    if any(fold.history.rising for fold in folds):
        doubts.append(Doubt("the figure on validation pairs was still rising: more steps would read higher", False))
    if not all(fold.history.complete or fold.history.diverged for fold in folds):
        doubts.append(Doubt("the training was cut short; give more time for a higher and surer figure", False))
    return doubts
