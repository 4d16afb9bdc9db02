r"""Conditional information: what x and y share beyond what z tells of both; and interaction information.

.. math::
    I(X; Y \mid Z) &= I(X; (Y, Z)) - I(X; Z) \\
    I(X; Y; Z) &= I(X; Y \mid Z) - I(X; Y)

Both are differences of informations that are estimated on the same folds: see
`deep_infomax.mutual_information.differences`. The second is positive where z makes x and y tell more of each other, as
in an exclusive or (synergy), and negative where z already holds what they share (redundancy); the sign is that of
McGill, "Multivariate information transmission", 1954.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from deep_infomax.mutual_information.combining import combine, spread_of, still_missing
from deep_infomax.mutual_information.critics.fitting import Fitting
from deep_infomax.mutual_information.differences import Difference, Term, common_readout, interval_of, sum_of
from deep_infomax.mutual_information.estimators import ESTIMATORS
from deep_infomax.mutual_information.facts import facts_of
from deep_infomax.mutual_information.folds import Work, fit_folds
from deep_infomax.mutual_information.rows.arrangement import rows_of
from deep_infomax.mutual_information.running import running, watches_of
from deep_infomax.mutual_information.samples.inputs import (
    Columns,
    as_columns,
    check_lengths,
    check_options,
    few_samples,
)
from deep_infomax.mutual_information.samples.names import check_indexes
from deep_infomax.mutual_information.samples.units import check_unit
from deep_infomax.mutual_information.samples.variables import read_variable
from deep_infomax.runtime.devices import choose_device
from deep_infomax.runtime.progress import Progress
from deep_infomax.runtime.values import unknown

Sum = tuple[tuple[int, tuple[str, ...]], ...]
"""Signs, and the variables that x is read with."""
CONDITIONAL: Final[Sum] = ((1, ("y", "z")), (-1, ("z",)))
INTERACTION: Final[Sum] = (*CONDITIONAL, (-1, ("y",)))


def conditional_mi(
    x: Any,
    y: Any,
    z: Any,
    estimator: str = "auto",
    *,
    discrete_x: Any = "auto",
    discrete_y: Any = "auto",
    discrete_z: Any = "auto",
    **options: Any,
) -> Difference:
    """Estimate what x and y share given z, I(x; y | z).

    An interrupt (Ctrl-C) or the end of the time budget ends the work early.

    Args:
        x: Samples (n,) or (n, ...), of any kind that `estimate_mi` takes.
        y: As many samples of the second variable, row by row.
        z: As many samples of what is given.
        estimator: One of `estimate_mi` that has folds, so not ``ksg`` or ``mine``.
        discrete_x: Which columns are discrete, as of `estimate_mi`.
        discrete_y: Likewise.
        discrete_z: Likewise.
        options: ``folds``, ``level``, ``seed``, ``device``, ``progress``, ``time_budget``, ``ranks``, ``fitting``,
            ``groups``, ``blocks`` and ``unit``, as of `estimate_mi`.

    Raises:
        ValueError: The samples or an option cannot be used.

    Example:
        >>> x, y = np.random.default_rng(0).integers(2, size=(2, 600))
        >>> found = conditional_mi(x, y, x ^ y, fitting=Fitting(steps=50), folds=2, unit="bits", progress=False)
        >>> round(found.mi, 1), found.interval[0] < 1 < found.interval[1]  # truth: 1
        (1.0, True)
    """
    discrete = {"x": discrete_x, "y": discrete_y, "z": discrete_z}
    informations = Informations({"x": x, "y": y, "z": z}, discrete, estimator, **options)
    return informations.sum(CONDITIONAL, "I(x; y | z)", "Conditional information")


def interaction_information(
    x: Any,
    y: Any,
    z: Any,
    estimator: str = "auto",
    *,
    discrete_x: Any = "auto",
    discrete_y: Any = "auto",
    discrete_z: Any = "auto",
    **options: Any,
) -> Difference:
    """Estimate by how much more x and y share given z than without it, I(x; y | z) - I(x; y).

    Positive for synergy, negative for redundancy. All as for `conditional_mi`.

    Args:
        x: As for `conditional_mi`; the order of the three makes no difference but for the error.
        y: Likewise.
        z: Likewise.
        estimator: Likewise.
        discrete_x: Likewise.
        discrete_y: Likewise.
        discrete_z: Likewise.
        options: Likewise.

    Raises:
        ValueError: The samples or an option cannot be used.

    Example:
        >>> z, *noise = np.random.default_rng(0).normal(size=(3, 1000))
        >>> found = interaction_information(z + noise[0], z + noise[1], z, "gaussian", progress=False)  # redundancy
        >>> found.interval[0] < -0.1438 < found.interval[1]  # truth: -log(4 / 3) / 2
        True
    """
    discrete = {"x": discrete_x, "y": discrete_y, "z": discrete_z}
    informations = Informations({"x": x, "y": y, "z": z}, discrete, estimator, **options)
    return informations.sum(INTERACTION, "I(x; y | z) - I(x; y)", "Interaction information")


class Informations:
    """Variables whose informations are estimated on the same folds.

    Args:
        variables: Samples by the name of the variable; the first is read with the others.
        discrete: Which columns of each are discrete.
        estimator: One with folds.
        folds: As all others of `estimate_mi`.

    Raises:
        ValueError: The samples or an option cannot be used.
    """

    def __init__(
        self,
        variables: Mapping[str, Any],
        discrete: Mapping[str, Any],
        estimator: str,
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
        blocks: int | str | None = None,
        unit: str = "nats",
    ) -> None:
        check_unit(unit)
        require_folds(estimator)
        check_indexes(list(variables.values()), list(variables))
        read = {name: read_variable(samples, name) for name, samples in variables.items()}
        check_lengths([variable.numbers for variable in read.values()], list(read))
        self.n = len(next(iter(read.values())).numbers)
        check_options(self.n, folds, level, seed, time_budget)
        self.columns = {name: as_columns(variable, name, discrete[name]) for name, variable in read.items()}
        self.names = tuple((name, variable.names) for name, variable in read.items())
        self.rows = rows_of([columns.values for columns in self.columns.values()], groups, blocks, folds)
        self.estimator, self.folds, self.level, self.seed, self.unit = estimator, folds, level, seed, unit
        self.progress, self.time_budget, self.device = progress, time_budget, choose_device(device)
        self.ranks, self.fitting = ranks, fitting or Fitting()

    def sum(self, wanted: Sum, quantity: str, title: str) -> Difference:
        """A sum with signs of the informations of the first variable with others."""
        target, *_ = self.columns
        with running(self.progress, self.seed, self.device) as (tell, stopped):
            began = time.monotonic()
            split = self.rows.split(self.folds, self.seed)
            watches = watches_of(tell, stopped, self.time_budget, len(wanted))
            terms, folds = [], []
            for (sign, others), watch in zip(wanted, watches, strict=True):
                x, y = self.columns[target], _together([self.columns[name] for name in others])
                done = fit_folds(x.values, y.values, split, self._work(x, y), watch)
                facts = replace(facts_of(x, y, []).of_rows(self.rows), warnings=())  # said once, of each variable
                seconds = time.monotonic() - began
                estimate = combine(done, self.estimator, facts, self.level, self.rows, None, seconds, not stopped())
                terms.append(Term(sign, f"I({target}; {', '.join(others)})", estimate))
                folds.append(done)
            finished = not stopped()
        readout = common_readout(self.estimator, terms[0].estimate)
        read = min(map(len, folds))
        sums = [sum_of([sign for sign, _ in wanted], alike, readout) for alike in zip(*folds, strict=False)]
        mi = float(np.mean([one.value for one in sums]))
        variances = [
            self.rows.variance(one.influence.double().numpy(), fold.test)
            for one, fold in zip(sums, folds[0], strict=False)
        ]
        error = math.sqrt(max(sum(variances) / read**2, spread_of([one.value for one in sums])))
        quantile = self.rows.quantile((1 + self.level) / 2, self.folds)
        known = finished and self.rows.trusted
        alike = [still_missing(done) for done in folds] if self.rows.kind == "blocks" else []
        of_variables = [warning for columns in self.columns.values() for warning in columns.warnings]
        of_terms = [f"{name}: {warning}" for _, name, estimate in terms for warning in estimate.warnings]
        return Difference(
            quantity=quantity,
            title=title,
            mi=mi,
            interval=interval_of(mi, quantile * error, terms, readout, quantile, alike=alike) if known else None,
            level=self.level,
            standard_error=error,
            readout=readout,
            terms=tuple(terms),
            warnings=(*few_samples(self.n), *self.rows.warnings, *of_variables, *of_terms),
            n=self.n,
            seconds=time.monotonic() - began,
            finished=finished,
            names=self.names,
        ).in_unit(self.unit)

    def _work(self, x: Columns, y: Columns) -> Work:
        discrete = (x.discrete, y.discrete)
        return Work(ESTIMATORS[self.estimator], self.device, self.ranks, None, 0, self.fitting, self.rows, discrete)


def require_folds(estimator: str) -> None:
    """Raise ValueError for what is no estimator with folds."""
    if estimator not in ESTIMATORS:
        raise unknown("estimator", estimator, ESTIMATORS)
    if ESTIMATORS[estimator].alone is not None:
        raise ValueError(f"the estimator {estimator} has no folds that two informations could share; use auto")


def _together(columns: Sequence[Columns]) -> Columns:
    """Several variables as one."""
    values, varying, discrete = (
        np.concatenate([getattr(one, part) for one in columns], axis=-1) for part in ("values", "varying", "discrete")
    )
    return Columns(values, varying, discrete, [])
