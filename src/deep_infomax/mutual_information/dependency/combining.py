"""One estimate of dependency from the folds, with its interval and what speaks against it."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from deep_infomax.mutual_information.critics.readouts import Readout
from deep_infomax.mutual_information.dependency.departure import DEPARTS, most_missed, p_value
from deep_infomax.mutual_information.dependency.reading import Fold
from deep_infomax.mutual_information.dependency.result import Dependency
from deep_infomax.mutual_information.facts import has_function_within
from deep_infomax.mutual_information.rows.structure import Rows
from deep_infomax.mutual_information.samples.inputs import Columns

LEAST_EFFECTIVE: Final = 50.0
"""Samples that must carry the exponential mean, for an interval that is closed above."""
FEW_COORDINATES: Final = 10
FEWEST_PER_COORDINATE: Final = 50
"""Up to so many coordinates, or from so many samples of each, a network that adds nothing is believed."""
MANY_COORDINATES: Final = 48
"""Above which it is said that it adds nothing."""


def combined(
    folds: Sequence[Fold], z: Columns, rows: Rows, level: float, warnings: Sequence[str], seconds: float, finished: bool
) -> Dependency:
    """The mean over folds.

    Samples of different folds are independent, so the variances of their readouts add; where the folds differ by more
    than that, their spread is the error. Where rows belong together and there are too few groups or blocks, there is
    no interval.
    """
    value, error = _mean([fold.total for fold in folds], folds, rows)
    dual, dual_error = _mean([fold.dual for fold in folds], folds, rows)
    fitted = float(np.mean([fold.fitted for fold in folds]))
    late = float(np.mean([fold.late for fold in folds]))
    quantile = rows.quantile((1 + level) / 2, len(folds))
    least = value - quantile * error
    above = 2 * max(0.0, fitted - value) + late + quantile * error
    sizes = [fold.effective_sample_size for fold in folds if not math.isnan(fold.effective_sample_size)]
    size = min(sizes, default=math.nan)
    alone = rows.kind == "independent"  # a neighbour is near for another reason where rows belong together
    determined = (alone and has_function_within(z.values)) or any(fold.determined for fold in folds)
    unlearnt = _unlearnt(folds, rows.clusters, z.values.shape[1])
    if not any(fold.by_network for fold in folds):
        above += most_missed([fold.departure for fold in folds], level)
    interval = (least, value + above)
    if size < LEAST_EFFECTIVE:  # all that can be said
        normal, normal_error = _mean([fold.normal for fold in folds], folds, rows)
        interval = (min(least, normal - quantile * normal_error), math.inf)
    if determined or unlearnt.opens:
        interval = (interval[0], math.inf)
    per_factor = np.zeros((2, len(z.varying)))  # a constant coordinate depends on nothing
    per_factor[:, z.varying] = np.array(
        [_mean(readouts, folds, rows) for readouts in zip(*(f.per_factor for f in folds), strict=True)]
    ).T
    doubts = [*_doubts(folds, value, fitted, size, determined), *unlearnt.sentences, *_disagreement(folds)]
    return Dependency(
        method=folds[0].method,
        reason=folds[0].reason,
        total_correlation=value,
        interval=interval if rows.trusted else None,
        level=level,
        standard_error=error,
        dual_total_correlation=None if determined else dual,
        dual_error=None if determined else dual_error,
        per_factor=per_factor[0],
        per_factor_errors=per_factor[1],
        readouts={
            name: float(np.mean([f.readouts[name] for f in folds if name in f.readouts])) for name in folds[-1].readouts
        },
        effective_sample_size=size,
        warnings=(*warnings, *doubts),
        folds=tuple(fold.total.value for fold in folds),
        history=tuple(fold.history for fold in folds),
        n=len(z.values),
        seconds=seconds,
        fitted=fitted,
        finished=finished,
    )


def _mean(readouts: Sequence[Readout], folds: Sequence[Fold], rows: Rows) -> tuple[float, float]:
    """The mean of independent readouts, one of each fold, and its standard error."""
    values = np.array([r.value for r in readouts])
    variances = [
        rows.variance(r.influence.double().cpu().numpy(), fold.read[: len(r.influence)])
        for r, fold in zip(readouts, folds, strict=True)
    ]
    spread = float(values.var(ddof=1)) / len(values) if len(values) > 2 else 0.0
    return float(values.mean()), math.sqrt(max(sum(variances) / len(readouts) ** 2, spread))


class _Unlearnt:
    """What may have been missed where no network learnt anything, and whether the interval is to be open for it."""

    def __init__(self, opens: bool = False, *sentences: str) -> None:
        self.opens, self.sentences = opens, sentences


def _unlearnt(folds: Sequence[Fold], n: int, d: int) -> _Unlearnt:
    without = [fold.departure for fold in folds if not fold.by_network]
    if not without:
        return _Unlearnt()
    if (p := p_value(without)) < DEPARTS:
        return _Unlearnt(
            True,
            f"some coordinates depend on one another in a way that was not learnt (in {len(without)} of {len(folds)} "
            f"folds; p = {p:.1g}), so the interval is open above: more samples or fewer coordinates are needed",
        )
    if 2 * len(without) < len(folds) or d <= FEW_COORDINATES:
        return _Unlearnt()
    if n < FEWEST_PER_COORDINATE * d:
        return _Unlearnt(
            True,
            f"the network adds nothing: {n:,} samples of {d} coordinates are too few to learn dependence beyond "
            "correlations, so the interval is open above; reduce the coordinates or give "
            f"{FEWEST_PER_COORDINATE} samples for each",
        )
    if d > MANY_COORDINATES and any(fold.readouts.get("density") != fold.readouts["gaussian"] for fold in folds):
        return _Unlearnt(
            True,
            f"{d} coordinates depend on one another beyond correlations, and the network adds nothing to a density "
            "that is only near the true one: the interval is open above",
        )
    if d > MANY_COORDINATES:
        return _Unlearnt(
            False,
            f"the network adds nothing in {d} coordinates: no two or three of them show more than the estimate says, "
            "but dependence among four or more at once would have been missed",
        )
    return _Unlearnt()


def _disagreement(folds: Sequence[Fold]) -> list[str]:
    """Where the joint critic and the chain read different figures on one fold."""
    for fold in folds:
        if fold.disagreement is not None:
            joint, chain = fold.disagreement
            errors = [float(r.influence.std()) / math.sqrt(len(r.influence)) for r in (joint, chain)]
            if abs(joint.value - chain.value) > 3 * math.hypot(*errors):
                return [
                    f"joint ({joint.value:.3f}) and chain ({chain.value:.3f}) disagree beyond their errors in the "
                    "first fold"
                ]
    return []


def _doubts(folds: Sequence[Fold], value: float, fitted: float, size: float, determined: bool) -> list[str]:
    """What else speaks against an estimate, in words."""
    doubts = []
    if determined:
        doubts.append(
            "some coordinate is a function of the others, as far as can be seen: between continuous coordinates the "
            "true dependency is then infinite, and the figure no more than a lower bound"
        )
    if any(fold.history.rising for fold in folds):
        doubts.append("the figure on validation samples was still rising: more steps would read higher")
    if fell := sum(fold.fell for fold in folds):
        doubts.append(
            f"the training fell by more than a nat below its start in {fell} of {len(folds)} folds, and the best "
            "weights were kept: give a lower learning rate"
        )
    if not all(fold.history.complete for fold in folds):
        doubts.append("the training was cut short; give more time for a higher and surer figure")
    if fitted - value > max(0.2 * abs(value), 0.05):
        doubts.append(
            f"the critic reads {fitted:.3f} nats on the samples it was fitted to and {value:.3f} nats on new ones: "
            "more samples or fewer coordinates are needed"
        )
    if size < LEAST_EFFECTIVE:
        doubts.append(
            f"the exponential mean rests on {size:.0f} shuffled samples (effective sample size), so the interval is "
            "open above and begins no higher than that of the normal model: use the method chain"
        )
    if (read := sum(len(fold.read) for fold in folds)) < sum(fold.held_out for fold in folds):
        doubts.append(f"read on {read:,} held-out samples, a part of all")
    return doubts
