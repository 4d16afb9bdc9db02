r"""Conditional information: what x and y share beyond what z tells of both; and interaction information.

.. math::
    I(X; Y \mid Z) &= I(X; (Y, Z)) - I(X; Z) \\
    I(X; Y; Z) &= I(X; Y \mid Z) - I(X; Y)

Both are differences of informations that are estimated on the same folds: see
`deep_infomax.mutual_information.differences`. The second is positive where z makes x and y tell more of each other, as
in an exclusive or (synergy), and negative where z already holds what they share (redundancy); the sign is that of
McGill, "Multivariate information transmission", 1954.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from deep_infomax.mutual_information.combining import combine
from deep_infomax.mutual_information.differences import Difference, Term, common_readout, error_of, interval_of
from deep_infomax.mutual_information.estimators import ESTIMATORS
from deep_infomax.mutual_information.facts import facts_of
from deep_infomax.mutual_information.fitting import Fitting
from deep_infomax.mutual_information.folds import Work, fit_folds
from deep_infomax.mutual_information.inputs import (
    Columns,
    as_columns,
    as_samples,
    check_lengths,
    check_options,
    few_samples,
)
from deep_infomax.mutual_information.names import check_indexes, column_names
from deep_infomax.mutual_information.running import choose_device, running, split_folds, watch_part
from deep_infomax.mutual_information.units import check_unit
from deep_infomax.runtime.progress import Progress
from deep_infomax.runtime.values import unknown

Array = np.ndarray
_Sum = tuple[tuple[int, tuple[str, ...]], ...]
"""Signs, and the variables that x is read with."""
CONDITIONAL: _Sum = ((1, ("y", "z")), (-1, ("z",)))
INTERACTION: _Sum = (*CONDITIONAL, (-1, ("y",)))


def conditional_mi(x: Any, y: Any, z: Any, estimator: str = "auto", **options: Any) -> Difference:
    """Estimate what x and y share given z, I(x; y | z).

    An interrupt (Ctrl-C) or the end of the time budget ends the work early.

    Args:
        x: Samples (n,) or (n, ...), an array, a tensor or a data frame of any real type.
        y: As many samples of the second variable, row by row.
        z: As many samples of what is given.
        estimator: One of `estimate_mi` that has folds, so not ``ksg`` or ``mine``.
        options: ``folds``, ``level``, ``seed``, ``device``, ``progress``, ``time_budget``, ``ranks``, ``fitting`` and
            ``unit``, as of `estimate_mi`.

    Raises:
        ValueError: The samples or an option cannot be used.

    Example:
        >>> x, y = np.random.default_rng(0).integers(2, size=(2, 1000))
        >>> found = conditional_mi(x, y, x ^ y, fitting=Fitting(steps=300), progress=False, unit="bits")  # truth: 1
        >>> round(found.mi, 1), found.interval[0] < 1 < found.interval[1]
        (1.0, True)
    """
    return Informations({"x": x, "y": y, "z": z}, estimator, **options).sum(
        CONDITIONAL, "I(x; y | z)", "Conditional information"
    )


def interaction_information(x: Any, y: Any, z: Any, estimator: str = "auto", **options: Any) -> Difference:
    """Estimate by how much more x and y share given z than without it, I(x; y | z) - I(x; y).

    Positive for synergy, negative for redundancy. All as for `conditional_mi`.

    Args:
        x: As for `conditional_mi`; the order of the three makes no difference but for the error.
        y: Likewise.
        z: Likewise.
        estimator: Likewise.
        options: Likewise.

    Raises:
        ValueError: The samples or an option cannot be used.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(1000, 1))
        >>> x, y = z + np.random.default_rng(1).normal(size=(2, 1000, 1))  # both tell of z: redundancy
        >>> interaction_information(x, y, z, "gaussian", progress=False).mi < 0  # truth: -log(4 / 3) / 2
        True
    """
    return Informations({"x": x, "y": y, "z": z}, estimator, **options).sum(
        INTERACTION, "I(x; y | z) - I(x; y)", "Interaction information"
    )


class Informations:
    """Variables whose informations are estimated on the same folds.

    Args:
        variables: Samples by the name of the variable; the first is read with the others.
        estimator: One with folds.
        folds: As all others of `estimate_mi`.

    Raises:
        ValueError: The samples or an option cannot be used.
    """

    def __init__(
        self,
        variables: dict[str, Any],
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
        unit: str = "nats",
    ) -> None:
        check_unit(unit)
        names, samples = list(variables), list(variables.values())
        check_indexes(samples, names)
        if estimator not in ESTIMATORS:
            raise unknown("estimator", estimator, ESTIMATORS)
        if ESTIMATORS[estimator].alone is not None:
            raise ValueError(f"the estimator {estimator} has no folds that two informations could share; use auto")
        self.column_names = tuple((name, column_names(sample)) for name, sample in variables.items())
        arrays = [as_samples(sample, name) for name, sample in variables.items()]
        check_lengths(arrays, names)
        self.n = len(arrays[0])
        check_options(self.n, folds, level, seed, time_budget)
        self.columns = {name: as_columns(array, name) for name, array in zip(names, arrays, strict=True)}
        self.estimator, self.folds, self.level, self.seed, self.unit = estimator, folds, level, seed, unit
        self.progress, self.time_budget = progress, time_budget
        self.work = Work(ESTIMATORS[estimator], choose_device(device), ranks, None, 0, fitting or Fitting())

    def sum(self, wanted: _Sum, quantity: str, title: str) -> Difference:
        """A sum with signs of the informations of the first variable with others."""
        target, *_ = self.columns
        with running(self.progress, self.seed, self.work.device) as (tell, stopped):
            began, parts = time.monotonic(), len(wanted) * self.folds
            split = split_folds(self.n, self.folds, self.seed)
            terms, folds = [], []
            for number, (sign, others) in enumerate(wanted):
                places = range(number * self.folds, (number + 1) * self.folds)
                watches = [watch_part(tell, stopped, began, self.time_budget, place, parts) for place in places]
                x, y = self.columns[target], _together([self.columns[name] for name in others], others)
                done = fit_folds(x.values, y.values, split, self.work, watches)
                facts = replace(facts_of(x, y, []), warnings=())  # said once, of each variable
                estimate = combine(
                    done, self.estimator, facts, self.level, self.n, time.monotonic() - began, not stopped()
                )
                terms.append(Term(sign, f"I({target}; {', '.join(others)})", estimate))
                folds.append(done)
            finished = not stopped()
        return self._difference(terms, folds, quantity, title, time.monotonic() - began, finished)

    def _difference(
        self, terms: list[Term], folds: list[Any], quantity: str, title: str, seconds: float, finished: bool
    ) -> Difference:
        readout, signs = common_readout(self.estimator, terms[0].estimate), [term.sign for term in terms]
        read = min(map(len, folds))
        folds = [done[:read] for done in folds]
        mi = sum(
            sign * float(np.mean([fold.values[readout] for fold in done]))
            for sign, done in zip(signs, folds, strict=True)
        )
        error = error_of(signs, folds, readout)
        of_variables = [warning for columns in self.columns.values() for warning in columns.warnings]
        of_terms = [f"{name}: {warning}" for _, name, estimate in terms for warning in estimate.warnings]
        return Difference(
            quantity=quantity,
            title=title,
            mi=mi,
            interval=interval_of(mi, error, terms, readout, self.level) if finished else None,
            level=self.level,
            standard_error=error,
            readout=readout,
            terms=tuple(terms),
            warnings=(*few_samples(self.n), *of_variables, *of_terms),
            n=self.n,
            seconds=seconds,
            finished=finished,
            names=self.column_names,
        ).in_unit(self.unit)


def _together(columns: Sequence[Columns], names: Sequence[str]) -> Columns:
    """Several variables as one."""
    if len(columns) == 1:
        return columns[0]
    values: Float[Array, "n c"] = np.concatenate([one.values for one in columns], axis=1)
    return as_columns(values, " and ".join(names))
