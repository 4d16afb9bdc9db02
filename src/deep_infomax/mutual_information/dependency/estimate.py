r"""Total correlation: how far the coordinates of a variable are from being independent.

.. math:: TC(z) = KL\left(p(z) \,\|\, \prod_i p(z_i)\right) = \sum_i I(z_i; z_{<i})

The neural dependency measure of Deep InfoMax is an estimate of it. Two ways to one figure, both read on untouched folds
with critics that add a network to a normal model: ``joint`` reads the divergence as a whole, against samples whose
coordinates were shuffled each by itself. The exponential mean over these is carried by ever fewer of them as the
dependency or the number of coordinates grows; ``chain`` reads the terms of the sum, which are small, by one masked
critic for all. ``dim`` is the paper's protocol, read on its own training samples, to stand beside its figures. The
interval is made as that of `estimate_mi`, without its allowance for a longer training.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.stats import norm

from deep_infomax.mutual_information.dependency.folds import (
    MOST_READ,
    JointFold,
    fit_joint,
    fit_model,
    fit_terms,
    read_normal,
)
from deep_infomax.mutual_information.dependency.paper import EPOCHS, dim_dependency, dim_result
from deep_infomax.mutual_information.dependency.result import Dependency
from deep_infomax.mutual_information.estimators import DEPENDENCIES
from deep_infomax.mutual_information.facts import has_function_within
from deep_infomax.mutual_information.fitting import Fitting, History, Watch
from deep_infomax.mutual_information.inputs import (
    Columns,
    as_columns,
    check_options,
    few_samples,
)
from deep_infomax.mutual_information.names import column_names
from deep_infomax.mutual_information.readouts import Readout
from deep_infomax.mutual_information.running import choose_device, running, watch_part
from deep_infomax.mutual_information.structure import independent
from deep_infomax.mutual_information.units import check_unit
from deep_infomax.runtime.progress import Progress
from deep_infomax.runtime.values import unknown

Array = np.ndarray
MOST_COORDINATES: Final = 32
MOST_NATS: Final = 6.0
FEWEST_EFFECTIVE: Final = 500.0
"""The whole is read up to so many coordinates and nats, down to so large an effective sample size; else terms."""
LEAST_EFFECTIVE: Final = 50.0
"""Shuffled samples that must carry the exponential mean, for an interval that is closed above."""


def neural_dependency(
    z: Any,
    method: str = "auto",
    *,
    folds: int = 5,
    level: float = 0.95,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: bool | Progress = True,
    time_budget: float | None = None,
    ranks: bool = True,
    fitting: Fitting | None = None,
    unit: str = "nats",
) -> Dependency:
    """Estimate the total correlation of a variable, and which of its coordinates depend on the others.

    An interrupt (Ctrl-C) or the end of the time budget ends the work early with what is known by then. From here on
    the process keeps the memory that it frees (`deep_infomax.runtime.allocator`).

    Args:
        z: Samples (n, d), an array, a tensor or a data frame of numbers or words. Names of columns reach the result.
        method: ``joint``, ``chain``, ``dim`` (the paper's protocol), or ``auto``: joint for at most 32 coordinates
            where its first fold reads at most 6 nats from an effective sample size of at least 500, else chain.
        folds: Parts of the samples, each held out once.
        level: Of the interval.
        seed: Of the split and of all random numbers of the training.
        device: Where critics are trained; None takes a GPU where there is one.
        progress: Show progress on standard error, or tell it to a function.
        time_budget: Seconds the whole may take, more or less; None trains for the full number of steps.
        ranks: Give every coordinate a normal distribution through its ranks first.
        fitting: How critics are trained.
        unit: Of every figure: ``nats`` or ``bits``.

    Raises:
        ValueError: The samples or an option cannot be used.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(500, 3))
        >>> z[:, 1] += z[:, 0]  # log(2) / 2 nats
        >>> r = neural_dependency(z, "joint", progress=False, fitting=Fitting(steps=20))
        >>> r.interval[0] < 0.3466 < r.interval[1], int(r.per_factor.argmin())
        (True, 2)
    """
    check_unit(unit)
    names = column_names(z)
    read = as_columns(z, "z")
    z = read.values
    if method not in DEPENDENCIES:
        raise unknown("method", method, DEPENDENCIES)
    check_options(len(z), folds, level, seed, time_budget)
    columns, warnings = z, few_samples(len(z)) + read.warnings
    if columns.shape[1] < 2:
        raise ValueError("`z` has one coordinate that varies; a dependency needs two or more")
    on = choose_device(device)
    with running(progress, seed, on) as (tell, stopped):
        began = time.monotonic()
        if method == "dim":
            ends = math.inf if time_budget is None else began + time_budget
            value, course = dim_dependency(
                columns, seed=seed, epochs=EPOCHS, device=on, progress=tell,
                stop=lambda: stopped() or time.monotonic() > ends,
            )  # fmt: skip
            result = dim_result(
                value, course, len(z), warnings, epochs=EPOCHS, level=level, seconds=time.monotonic() - began,
                finished=not stopped(),
            )  # fmt: skip
            return replace(result, names=names).in_unit(unit)
        work = _Work(columns, method, ranks, on, fitting or Fitting())
        done: list[_Fold] = []
        for number, (rest, test) in enumerate(independent(len(z)).split(folds, seed)):
            watches = [
                watch_part(tell, stopped, began, time_budget, half, 2 * folds) for half in (2 * number, 2 * number + 1)
            ]
            done.append(work.fold(rest, test, watches, done))
            if stopped():
                break
        result = _combine(done, read, level, warnings, time.monotonic() - began, not stopped())
        return replace(result, names=names).in_unit(unit)


@dataclass(frozen=True)
class _Fold:
    """What one untouched fold says."""

    method: str
    reason: str
    total: Readout
    fitted: float
    normal: Readout
    readouts: dict[str, float]
    per_factor: tuple[Readout, ...]
    held_out: int
    read: int
    effective_sample_size: float
    history: History
    determined: bool


@dataclass(frozen=True)
class _Work:
    """What is the same for every fold."""

    z: Float[Array, "n d"]
    method: str
    ranks: bool
    device: torch.device
    fitting: Fitting

    def fold(
        self, rest: Int[Array, " r"], test: Int[Array, " t"], watches: Sequence[Watch], done: Sequence[_Fold]
    ) -> _Fold:
        """Read one fold; the first decides by which method the others go."""
        model = fit_model(self.z, rest, self.ranks, self.fitting, self.device)
        held_out = model.samples(self.z[test[:MOST_READ]])
        normal = read_normal(model, held_out)
        method, reason = (done[0].method, done[0].reason) if done else (self.method, "as asked for")
        joint: JointFold | None = None
        d = self.z.shape[1]
        if method == "auto" and d > MOST_COORDINATES:
            method, reason = "chain", f"{d} coordinates, more than {MOST_COORDINATES}"
        elif method == "auto" and normal.value > MOST_NATS:
            method, reason = (
                "chain",
                f"the normal model reads {normal.value:.1f} nats in the first fold, more than {MOST_NATS:g}",
            )
        elif method in ("auto", "joint"):
            joint = fit_joint(model, held_out, self.fitting, watches[0])
            if method == "auto":
                method, reason = _choice(joint.total.value, joint.effective_sample_size)
        factors, contexts = _terms(d, with_chain=method == "chain")
        terms = fit_terms(model, held_out, factors, contexts, d, self.fitting, watches[1])
        readouts = {"gaussian": normal.value}
        if method == "chain":
            total, fitted = _sum(terms.terms[d:]), sum(terms.fitted)
            history, size = terms.history, math.nan
        else:
            assert joint is not None
            total, fitted, history, size = joint.total, joint.fitted, joint.history, joint.effective_sample_size
        if joint is not None:
            readouts |= {"joint": joint.total.value, "one_shuffle": joint.one_shuffle}
        return _Fold(
            method, reason, total, fitted, normal, readouts, terms.terms[:d], len(test), len(held_out), size, history,
            model.determined,
        )  # fmt: skip


def _choice(value: float, size: float) -> tuple[str, str]:
    """The method for what the joint critic reads in the first fold, and why."""
    reading = f"in the first fold joint reads {value:.1f} nats from an effective sample size of {size:,.0f}"
    if value > MOST_NATS:
        return "chain", f"{reading}; more than {MOST_NATS:g} nats"
    if size < FEWEST_EFFECTIVE:
        return "chain", f"{reading}; less than {FEWEST_EFFECTIVE:g}"
    return "joint", f"{reading}; no reason against it"


def _terms(d: int, with_chain: bool) -> tuple[Int[Array, " t"], Bool[Array, "t d"]]:
    """Each coordinate given all others; and, for the chain, each but the first given those before it."""
    others = ~np.eye(d, dtype=bool)
    if not with_chain:
        return np.arange(d), others
    before = np.tri(d, k=-1, dtype=bool)[1:]
    return np.concatenate([np.arange(d), np.arange(1, d)]), np.concatenate([others, before])


def _sum(readouts: Sequence[Readout]) -> Readout:
    return Readout(sum(r.value for r in readouts), torch.stack([r.influence for r in readouts]).sum(0))


def _combine(
    folds: Sequence[_Fold],
    z: Columns,
    level: float,
    warnings: Sequence[str],
    seconds: float,
    finished: bool,
) -> Dependency:
    value, error = _mean([fold.total for fold in folds])
    fitted = float(np.mean([fold.fitted for fold in folds]))
    quantile = float(norm.ppf((1 + level) / 2))
    least = value - quantile * error
    interval = (least, value + 2 * max(0.0, fitted - value) + quantile * error)
    sizes = [fold.effective_sample_size for fold in folds]
    determined = has_function_within(z.values) or any(fold.determined for fold in folds)
    if determined:
        interval = (least, math.inf)
    if min(sizes) < LEAST_EFFECTIVE:  # all that can be said
        normal, normal_error = _mean([fold.normal for fold in folds])
        interval = (min(least, normal - quantile * normal_error), math.inf)
    per_factor = np.zeros((2, len(z.varying)))  # a constant coordinate depends on nothing
    per_factor[:, z.varying] = np.array(
        [_mean(readouts) for readouts in zip(*(f.per_factor for f in folds), strict=True)]
    ).T
    return Dependency(
        method=folds[0].method,
        reason=folds[0].reason,
        total_correlation=value,
        interval=interval,
        level=level,
        standard_error=error,
        per_factor=per_factor[0],
        per_factor_errors=per_factor[1],
        readouts={
            name: float(np.mean([f.readouts[name] for f in folds if name in f.readouts])) for name in folds[-1].readouts
        },
        effective_sample_size=min(sizes),
        warnings=(*warnings, *_doubts(folds, value, fitted, min(sizes), determined)),
        folds=tuple(fold.total.value for fold in folds),
        history=tuple(fold.history for fold in folds),
        n=len(z.values),
        seconds=seconds,
        fitted=fitted,
        finished=finished,
    )


def _mean(readouts: Sequence[Readout]) -> tuple[float, float]:
    """The mean of independent readouts, and its standard error."""
    variance = sum(float(r.influence.var()) / len(r.influence) for r in readouts)
    return float(np.mean([r.value for r in readouts])), math.sqrt(variance) / len(readouts)


def _doubts(folds: Sequence[_Fold], value: float, fitted: float, size: float, determined: bool) -> list[str]:
    """What speaks against an estimate, in words."""
    doubts = []
    if determined:
        doubts.append(
            "some coordinate is a function of the others, as far as can be seen: between continuous coordinates the "
            "true dependency is then infinite, and the figure no more than a lower bound"
        )
    if any(fold.history.rising for fold in folds):
        doubts.append("the figure on validation samples was still rising: more steps would read higher")
    if not all(fold.history.complete for fold in folds):
        doubts.append("the training was cut short; give more time for a higher and surer figure")
    if fitted - value > max(0.2 * abs(value), 0.05):
        doubts.append(
            f"the critic reads {fitted:.3f} on the samples it was fitted to and {value:.3f} on new ones: more samples "
            "or fewer coordinates are needed"
        )
    if size < LEAST_EFFECTIVE:
        doubts.append(
            f"the exponential mean rests on {size:.0f} shuffled samples (effective sample size), so the interval is "
            "open above and begins no higher than that of the normal model: use the method chain"
        )
    if (read := sum(fold.read for fold in folds)) < sum(fold.held_out for fold in folds):
        doubts.append(f"read on {read:,} held-out samples, a part of all")
    return doubts
