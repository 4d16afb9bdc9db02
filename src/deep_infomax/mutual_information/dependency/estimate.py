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
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from deep_infomax.mutual_information.critics.fitting import Fitting
from deep_infomax.mutual_information.dependency.combining import combined
from deep_infomax.mutual_information.dependency.model import with_margins
from deep_infomax.mutual_information.dependency.paper import EPOCHS, dim_dependency, dim_result
from deep_infomax.mutual_information.dependency.reading import Fold, Work
from deep_infomax.mutual_information.dependency.result import Dependency
from deep_infomax.mutual_information.estimators import DEPENDENCIES
from deep_infomax.mutual_information.rows.arrangement import rows_of
from deep_infomax.mutual_information.running import running, watches_of
from deep_infomax.mutual_information.samples.inputs import as_columns, check_options, few_samples
from deep_infomax.mutual_information.samples.names import column_names
from deep_infomax.mutual_information.samples.units import check_unit
from deep_infomax.runtime.devices import choose_device
from deep_infomax.runtime.progress import Progress
from deep_infomax.runtime.values import unknown

AGAIN: Final = 0.3
"""Share of the learning rate at which a fold that reads far less than the others is trained again."""
LEAST_FAR: Final = 0.05
SPREADS: Final = 5
"""So many nats, and so many times the median distance from the median of all, is far."""


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
    groups: Any = None,
    blocks: Any = None,
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
        groups: A name or number for each row; rows of one name belong together, such as the trials of a subject. Each
            row its own takes all for independent.
        blocks: Rows over which a series depends on its past; ``auto`` takes them from its autocorrelations.
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
    columns = read.values
    if method not in DEPENDENCIES:
        raise unknown("method", method, DEPENDENCIES)
    check_options(len(columns), folds, level, seed, time_budget)
    if columns.shape[1] < 2:
        raise ValueError("`z` has one coordinate that varies; a dependency needs two or more")
    rows = rows_of((columns,), groups, blocks, folds)
    warnings = (*few_samples(len(columns)), *read.warnings, *rows.warnings)
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
                value, course, len(columns), warnings, epochs=EPOCHS, level=level, seconds=time.monotonic() - began,
                finished=not stopped(),
            )  # fmt: skip
            return replace(result, names=names).in_unit(unit)
        work = Work(with_margins(read, rows), method, ranks, on)
        fitting = fitting or Fitting()
        split = rows.split(folds, seed)
        halves = watches_of(tell, stopped, time_budget, 2 * folds)
        watches = list(zip(halves[::2], halves[1::2], strict=True))
        done: list[Fold] = []
        for (rest, test), pair in zip(split, watches, strict=True):
            done.append(work.fold(rest, test, fitting, pair, done))
            if stopped():
                break
        if not stopped() and time_budget is None:
            slower = replace(fitting, learning_rate=AGAIN * fitting.learning_rate)
            for number in _to_repeat(done):
                again = work.fold(*split[number], slower, watches[-1], done)
                done[number] = max(done[number], again, key=lambda fold: fold.validated)
        result = combined(done, read, rows, level, warnings, time.monotonic() - began, not stopped())
        return replace(result, names=names).in_unit(unit)


def _to_repeat(folds: Sequence[Fold]) -> list[int]:
    """The folds that read far less than most, or whose training fell far below its start."""
    fell = {number for number, fold in enumerate(folds) if fold.fell}
    return sorted(fell | set(_far_below([fold.validated for fold in folds])))


def _far_below(values: Sequence[float]) -> list[int]:
    """The folds whose figures on validation samples are far below those of most."""
    middle = float(np.median(values))
    spread = float(np.median(np.abs(np.array(values) - middle)))
    far = max(LEAST_FAR, 0.1 * middle, SPREADS * spread)
    return [number for number, value in enumerate(values) if middle - value > far]
