"""One estimate from the readouts of several folds: its interval, and what speaks against it."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from scipy.stats import norm

from deep_infomax.mutual_information.estimators import ESTIMATORS
from deep_infomax.mutual_information.facts import Facts
from deep_infomax.mutual_information.folds import Fold
from deep_infomax.mutual_information.result import Estimate
from deep_infomax.mutual_information.structure import Rows

FEWEST_EFFECTIVE: Final = 50.0
"""Pairs that must carry the exponential mean, for an interval that is closed above."""
NEAR_CEILING: Final = 0.85
"""Share of its ceiling up to which InfoNCE may read, likewise."""


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
    errors = {
        name: math.sqrt(sum(rows.variance(fold.influences[name].numpy(), fold.test) for fold in folds)) / len(folds)
        for name in means
    }
    readout = max(ESTIMATORS[estimator].readouts, key=lambda name: means[name])
    mi, fitted = means[readout], float(np.mean([fold.fitted for fold in folds]))
    late = float(np.mean([fold.history.gained_after(0.5) for fold in folds]))
    ceiling = math.log(min(len(fold.test) for fold in folds))
    size = min(fold.effective_sample_size for fold in folds)
    reach = rows.quantile((1 + level) / 2, len(folds)) * errors[readout]
    lower_bound = means["infonce"] - rows.quantile(level, len(folds)) * errors["infonce"]
    above = 2 * max(0.0, fitted - means["dv"]) + late + reach
    interval = (mi - reach, min(max(mi, facts.second.value) + above, facts.capacity))
    determined = facts.determined or any(fold.determined for fold in folds)
    if determined or facts.crowded or size < FEWEST_EFFECTIVE or means["infonce"] > NEAR_CEILING * ceiling:
        interval = (min(mi - reach, lower_bound), facts.capacity)  # all that can be said
    estimate = Estimate(
        estimator=estimator,
        readout=readout,
        mi=mi,
        interval=interval if rows.trusted else None,
        level=level,
        lower_bound=lower_bound if rows.trusted else None,
        readouts=means,
        standard_errors=errors,
        ceiling=ceiling,
        effective_sample_size=size,
        converged=not any(fold.history.rising for fold in folds),
        warnings=facts.warnings,
        folds=tuple(fold.values for fold in folds),
        history=tuple(fold.history for fold in folds),
        n=len(rows),
        seconds=seconds,
        finished=finished,
        fitted=fitted,
        p_value=p_value if rows.trusted else None,
    )
    return replace(estimate, warnings=(*facts.warnings, *_doubts(estimate, folds, facts, determined)))


def _doubts(estimate: Estimate, folds: Sequence[Fold], facts: Facts, determined: bool) -> list[str]:
    """What speaks against an estimate, in words."""
    doubts = []
    means, errors = estimate.readouts, estimate.standard_errors
    z = float(norm.ppf((1 + estimate.level) / 2))
    if determined:
        doubts.append(
            "some coordinate of y is a function of x, or of x one of y, as far as can be seen: between continuous "
            "variables the true information is then infinite, and the figure no more than a lower bound"
        )
    elif facts.second.value - estimate.mi > z * math.hypot(errors[estimate.readout], facts.second.error):
        doubts.append(
            f"{facts.second.name} read {facts.second.value:.3f}, more than the critic has found: the interval "
            "reaches up from there"
        )
    if not estimate.converged:
        doubts.append("the figure on validation pairs was still rising: more steps would read higher")
    if not all(fold.history.complete for fold in folds):
        doubts.append("the training was cut short; give more time for a higher and surer figure")
    gap = (estimate.fitted or 0.0) - means["dv"]
    if gap > max(0.2 * abs(estimate.mi), 0.05):
        doubts.append(
            f"the critic reads {gap:.3f} nats more on the pairs it was fitted to than on new ones: more samples or "
            "fewer coordinates are needed"
        )
    if estimate.effective_sample_size < FEWEST_EFFECTIVE:
        doubts.append(
            f"the exponential mean rests on {estimate.effective_sample_size:.0f} pairs (effective sample size): dv and "
            "nwj are not reliable, so the interval is open above"
        )
    if means["infonce"] > NEAR_CEILING * estimate.ceiling:
        doubts.append(
            f"infonce reads {means['infonce']:.2f} under its ceiling of {estimate.ceiling:.2f}: the true value may lie "
            "far above, so the interval is open there; more samples raise the ceiling"
        )
    elif abs(means["dv"] - means["nwj"]) > max(0.001, z * math.hypot(errors["dv"], errors["nwj"])):
        doubts.append(f"dv ({means['dv']:.3f}) and nwj ({means['nwj']:.3f}) disagree beyond their errors")
    if (paired := sum(len(fold.test) for fold in folds)) < sum(fold.held_out for fold in folds):
        doubts.append(f"read on {paired:,} held-out samples, a part of all, in pairs within each fold")
    return doubts
