r"""Mutual information of two variables from samples: a held-out figure with an interval.

The samples are split into folds. For each fold a critic, ``T(x, y) = normal log-ratio + network``, is fitted to the
others, everything in it included: the ranks that make each coordinate normal, the normal model, the network, and the
step its weights are taken from. Its readouts are taken on all pairs of the untouched fold, and the estimate is the mean
of the folds' readouts: of the larger of two lower bounds, Donsker-Varadhan and, where its ceiling is far, InfoNCE. With
all samples of a fold as negatives the latter is Donsker-Varadhan with a critic normalised for each x, which can only be
tighter.

The interval is that of the held-out readout, whose standard error s comes from the influence functions of its pairs; it
reaches further above, as a critic never reads too much on new pairs but for chance. What it reads more on pairs it was
fitted to than on new ones is the price of learning from a sample, and a network stopped early falls short of the truth
by as much again; what the second half of the training added, a training twice as long might add once more. Continuous
variables of few coordinates are also read by nearest neighbours, an estimator of another kind that reads low, too: the
interval reaches up from the larger of the two. At level 1 - a,

.. math::
    \left[ \hat I - z_{1 - a/2}\, s, \quad \max(\hat I, \hat I_{\text{ksg}})
    + 2 \max(0, \hat I_{\text{fitted}} - \hat I) + \hat I_{\text{late}} + z_{1 - a/2}\, s \right]

The allowances were chosen on development seeds of the tasks with known answers; `docs/information.md` shows what the
interval covers on others.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import norm
from torch import nn

from deep_infomax.mutual_information.estimators import ESTIMATORS
from deep_infomax.mutual_information.facts import Facts, facts_of
from deep_infomax.mutual_information.fitting import Fitting
from deep_infomax.mutual_information.folds import Fold, Work, fit_fold
from deep_infomax.mutual_information.inputs import as_columns, as_samples, check_lengths, check_options, few_samples
from deep_infomax.mutual_information.names import check_indexes, column_names
from deep_infomax.mutual_information.result import Estimate
from deep_infomax.mutual_information.running import choose_device, running, split_folds, watch_part
from deep_infomax.mutual_information.units import check_unit
from deep_infomax.runtime.progress import Progress
from deep_infomax.runtime.values import unknown

Array = np.ndarray

MOST_PERMUTATIONS: Final = 10**7
"""Shuffles beyond which no test is meant."""
FEWEST_EFFECTIVE: Final = 50.0
"""Pairs that must carry the exponential mean, for an interval that is closed above."""
NEAR_CEILING: Final = 0.85
"""Share of its ceiling up to which InfoNCE may read, likewise."""


def estimate_mi(
    x: Any,
    y: Any,
    estimator: str = "auto",
    *,
    folds: int = 5,
    level: float = 0.95,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: bool | Progress = True,
    time_budget: float | None = None,
    ranks: bool = True,
    critic: Callable[[], nn.Module] | None = None,
    permutations: int = 0,
    fitting: Fitting | None = None,
    unit: str = "nats",
) -> Estimate:
    """Estimate the mutual information of paired samples.

    An interrupt (Ctrl-C) or the end of the time budget ends the work early with what is known by then. From here on
    the process keeps the memory that it frees (`deep_infomax.runtime.allocator`).

    Args:
        x: Samples (n,) or (n, ...), an array, a tensor or a data frame of any real type. Names of columns reach the
            result; rows are paired by their places, and two indexes must agree.
        y: As many samples of the other variable, row by row.
        estimator: ``auto`` (trained and read with Donsker-Varadhan), ``jsd``, ``infonce``, ``nwj``, ``smile``,
            ``gaussian`` (the normal model of the ranks alone), ``ksg`` or ``mine``.
        folds: Parts of the samples, each held out once.
        level: Of the interval.
        seed: Of the split and of all random numbers of the training.
        device: Where critics are trained; None takes a GPU where there is one.
        progress: Show progress on standard error, or tell it to a function.
        time_budget: Seconds the whole may take, more or less; None trains for the full number of steps.
        ranks: Give every coordinate a normal distribution through its ranks first.
        critic: Makes a new `Critic` for structured samples such as images, which are then neither flattened nor ranked.
        permutations: Shuffles of y for a test of independence; 0 for none.
        fitting: How critics are trained.
        unit: Of every figure: ``nats`` or ``bits``.

    Raises:
        ValueError: The samples or an option cannot be used.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=1000)
        >>> r = estimate_mi(x, x + rng.normal(size=1000), "gaussian", progress=False)  # truth: log(2) / 2
        >>> round(r.mi, 2), r.interval[0] < 0.3466 < r.interval[1]
        (0.34, True)
    """
    check_unit(unit)
    check_indexes((x, y), ("x", "y"))
    x_names, y_names = column_names(x), column_names(y)
    x, y = as_samples(x, "x"), as_samples(y, "y")
    check_lengths((x, y), ("x", "y"))
    if estimator not in ESTIMATORS:
        raise unknown("estimator", estimator, ESTIMATORS)
    method = ESTIMATORS[estimator]
    check_options(len(x), folds, level, seed, time_budget)
    if not 0 <= permutations <= MOST_PERMUTATIONS:
        raise ValueError(f"`permutations` is {permutations}; give 0 for no test, or a number such as 1000")
    if critic is not None and method.loss is None:
        *others, last = (name for name, other in ESTIMATORS.items() if other.loss is not None)
        raise ValueError(f"the estimator {estimator} takes no critic; use {', '.join(others)} or {last}")
    if permutations and method.alone is not None:
        raise ValueError(f"the estimator {estimator} has no held-out critic to test with; leave `permutations` out")
    facts = Facts(tuple(few_samples(len(x))))
    read_x: Callable[[Any, str], Array] = partial(as_samples, least=1)
    read_y = read_x
    if critic is None:
        columns_x, columns_y = as_columns(x, "x"), as_columns(y, "y")
        x, y, read_x, read_y = columns_x.values, columns_y.values, columns_x.of, columns_y.of
        facts = facts_of(columns_x, columns_y, few_samples(len(x)))
    on = torch.device("cpu") if method.alone is not None else choose_device(device)
    with running(progress, seed, on) as (tell, stopped):
        if method.alone is not None:
            watch = watch_part(tell, stopped, time.monotonic(), time_budget, 0, 1)
            estimate = method.alone(x, y, level, facts.warnings, watch)
            return replace(estimate, x_names=x_names, y_names=y_names).in_unit(unit)
        work = Work(method, on, ranks, critic, permutations, fitting or Fitting())
        began = time.monotonic()
        done: list[Fold] = []
        split = split_folds(len(x), folds, seed)
        for number, (rest, test) in enumerate(split):
            watch = watch_part(tell, stopped, began, time_budget, number, folds)
            done.append(fit_fold(x, y, rest, test, work, watch))
            if stopped():
                break
        estimate = _combine(done, estimator, facts, level, len(x), time.monotonic() - began, not stopped())

    def log_ratio(new_x: Any, new_y: Any) -> Float[Array, " p"]:
        new_x, new_y = read_x(new_x, "x"), read_y(new_y, "y")
        check_lengths((new_x, new_y), ("x", "y"))
        values: Array = np.mean([fold.log_ratio(new_x, new_y) for fold in done], axis=0)
        return values

    return replace(estimate, log_ratio=log_ratio, x_names=x_names, y_names=y_names).in_unit(unit)


def _combine(
    folds: Sequence[Fold], estimator: str, facts: Facts, level: float, n: int, seconds: float, finished: bool
) -> Estimate:
    """One estimate from the folds; samples of different folds are independent, so their variances add."""
    means = {name: float(np.mean([fold.values[name] for fold in folds])) for name in folds[0].values}
    errors = {
        name: float(np.sqrt(sum(fold.influences[name].var().item() / fold.paired for fold in folds)) / len(folds))
        for name in means
    }
    readout = max(ESTIMATORS[estimator].readouts, key=lambda name: means[name])
    mi, fitted = means[readout], float(np.mean([fold.fitted for fold in folds]))
    late = float(np.mean([fold.history.gained_after(0.5) for fold in folds]))
    ceiling = math.log(min(fold.paired for fold in folds))
    size = min(fold.effective_sample_size for fold in folds)
    reach = float(norm.ppf((1 + level) / 2)) * errors[readout]
    lower_bound = means["infonce"] - float(norm.ppf(level)) * errors["infonce"]
    above = 2 * max(0.0, fitted - means["dv"]) + late + reach
    interval = (mi - reach, min(max(mi, facts.neighbours) + above, facts.capacity))
    determined = facts.determined or any(fold.determined for fold in folds)
    if determined or facts.crowded or size < FEWEST_EFFECTIVE or means["infonce"] > NEAR_CEILING * ceiling:
        interval = (min(mi - reach, lower_bound), facts.capacity)  # all that can be said
    estimate = Estimate(
        estimator=estimator,
        readout=readout,
        mi=mi,
        interval=interval,
        level=level,
        lower_bound=lower_bound,
        readouts=means,
        standard_errors=errors,
        ceiling=ceiling,
        effective_sample_size=size,
        converged=not any(fold.history.rising for fold in folds),
        warnings=facts.warnings,
        folds=tuple(fold.values for fold in folds),
        history=tuple(fold.history for fold in folds),
        n=n,
        seconds=seconds,
        finished=finished,
        fitted=fitted,
        p_value=_combined_p_value(folds),
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
    elif facts.neighbours - estimate.mi > z * math.hypot(errors[estimate.readout], facts.neighbours_error):
        doubts.append(
            f"nearest neighbours (ksg) read {facts.neighbours:.3f}, more than the critic has found: the interval "
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
    if (paired := sum(fold.paired for fold in folds)) < sum(fold.held_out for fold in folds):
        doubts.append(f"read on {paired:,} held-out samples, a part of all, in pairs within each fold")
    return doubts


def _combined_p_value(folds: Sequence[Fold]) -> float | None:
    """Twice the mean of the folds' p-values, so at least 2 / (1 + permutations).

    It is valid although the folds' critics saw one another's pairs.

    Source: Vovk and Wang, "Combining p-values via averaging", 2020, arXiv 1212.4966.
    """
    values = [fold.p_value for fold in folds if fold.p_value is not None]
    return min(1.0, 2 * float(np.mean(values))) if values else None
