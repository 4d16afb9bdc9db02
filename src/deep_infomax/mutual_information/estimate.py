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

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from deep_infomax.mutual_information.combining import FUNCTION, combine
from deep_infomax.mutual_information.critics.fitting import Fitting
from deep_infomax.mutual_information.estimators import ESTIMATORS, Estimator
from deep_infomax.mutual_information.facts import Facts, facts_of
from deep_infomax.mutual_information.folds import Work, fit_folds
from deep_infomax.mutual_information.result import Estimate
from deep_infomax.mutual_information.rows.arrangement import rows_of
from deep_infomax.mutual_information.rows.independence import combined_p_value, normal_p_value
from deep_infomax.mutual_information.running import running, watches_of
from deep_infomax.mutual_information.samples.inputs import (
    as_columns,
    as_samples,
    check_lengths,
    check_options,
    few_samples,
    numbers_of,
)
from deep_infomax.mutual_information.samples.names import check_indexes, column_names
from deep_infomax.mutual_information.samples.units import check_unit
from deep_infomax.mutual_information.samples.variables import Variable, read_variable
from deep_infomax.runtime.devices import choose_device
from deep_infomax.runtime.progress import Progress
from deep_infomax.runtime.values import unknown

Array = np.ndarray

MOST_PERMUTATIONS: Final = 10**7
"""Shuffles beyond which no test is meant."""


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
    groups: Any = None,
    blocks: int | str | None = None,
    discrete_x: Any = "auto",
    discrete_y: Any = "auto",
    unit: str = "nats",
) -> Estimate:
    """Estimate the mutual information of paired samples.

    Rows must be independent, or it must be known which belong together: those share a fold and count together
    (`deep_infomax.mutual_information.rows.structure`). Copies, and two series, are found where neither ``groups`` nor
    ``blocks`` is given, and a warning says so.

    An interrupt (Ctrl-C) or the end of the time budget ends the work early with what is known by then. From here on
    the process keeps the memory that it frees (`deep_infomax.runtime.allocator`).

    Args:
        x: Samples (n,) or (n, ...), an array, a tensor or a data frame of numbers, words or categories. Names of
            columns reach the result; rows are paired by their places, and two indexes must agree.
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
        groups: A name or number for each row; rows of one name belong together, such as the trials of a subject. Each
            row its own takes all for independent.
        blocks: Rows over which a series depends on its past; ``auto`` takes them from its autocorrelations.
        discrete_x: Which columns of x are discrete, beside those of words: True for all, False for none, a list of
            numbers or names; ``auto`` for those whose values recur (`deep_infomax.mutual_information.samples.inputs`).
        discrete_y: Likewise of y.
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
    read = read_variable(x, "x"), read_variable(y, "y")
    x, y = samples = tuple(variable.numbers for variable in read)
    check_lengths(samples, ("x", "y"))
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
    discrete = None
    if critic is not None:
        if discrete_x != "auto" or discrete_y != "auto":
            raise ValueError("a critic reads samples as they are; leave `discrete_x` and `discrete_y` out")
        numbers_of(read[0], "x"), numbers_of(read[1], "y")
    else:
        columns_x, columns_y = as_columns(read[0], "x", discrete_x), as_columns(read[1], "y", discrete_y)
        discrete = columns_x.discrete, columns_y.discrete
        x, y, read_x, read_y = columns_x.values, columns_y.values, columns_x.of, columns_y.of
        samples = columns_x.for_rows, columns_y.for_rows
        facts = facts_of(columns_x, columns_y, few_samples(len(x)) + _without_order(read, method))
    rows = rows_of(samples, groups, blocks, folds)
    facts = facts.of_rows(rows)
    on = torch.device("cpu") if method.alone is not None else choose_device(device)
    with running(progress, seed, on) as (tell, stopped):
        if method.alone is not None:
            [watch] = watches_of(tell, stopped, time_budget, 1)
            estimate = method.alone(x, y, level, facts.warnings, watch)
            if rows.kind != "independent" and estimate.interval is not None:
                said = f"{estimator} takes rows for independent, so its interval is withheld; use auto"
                estimate = replace(estimate, interval=None, warnings=(*estimate.warnings, said))
            elif facts.determined and estimate.interval is not None:
                interval = (estimate.interval[0], facts.capacity)
                estimate = replace(estimate, interval=interval, warnings=(*estimate.warnings, FUNCTION))
            return replace(estimate, x_names=x_names, y_names=y_names).in_unit(unit)
        work = Work(method, on, ranks, critic, folds * permutations, fitting or Fitting(), rows, discrete)
        began = time.monotonic()
        [watch] = watches_of(tell, stopped, time_budget, 1)
        done = fit_folds(x, y, rows.split(folds, seed), work, watch)
        p_value = None
        if permutations:
            p_value = combined_p_value(
                normal_p_value(x, y, rows, permutations, seed), [fold.p_value for fold in done if fold.p_value]
            )
        estimate = combine(done, estimator, facts, level, rows, p_value, time.monotonic() - began, not stopped())

    def log_ratio(new_x: Any, new_y: Any) -> Float[Array, " p"]:
        new_x, new_y = read_x(new_x, "x"), read_y(new_y, "y")
        check_lengths((new_x, new_y), ("x", "y"))
        values: Array = np.mean([fold.log_ratio(new_x, new_y) for fold in done], axis=0)
        return values

    return replace(estimate, log_ratio=log_ratio, x_names=x_names, y_names=y_names).in_unit(unit)


def _without_order(variables: Sequence[Variable], method: Estimator) -> list[str]:
    """A warning where words are read by an estimator of numbers."""
    several = any(len(levels) > 2 for variable in variables for levels in variable.levels.values())
    said = f"{method.title} reads words by the numbers of their order, which says little; use auto"
    return [said] if several and method.loss is None else []
