"""Many columns at once: every pair of them, or each beside one target, in a few milliseconds a pair."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from deep_infomax.mutual_information.estimate import estimate_mi
from deep_infomax.mutual_information.estimators import ESTIMATORS
from deep_infomax.mutual_information.result import Estimate
from deep_infomax.mutual_information.rows.arrangement import rows_of
from deep_infomax.mutual_information.rows.structure import Rows, independent
from deep_infomax.mutual_information.running import running
from deep_infomax.mutual_information.samples.inputs import check_lengths, check_options, discrete_levels
from deep_infomax.mutual_information.samples.names import check_indexes, column_names, listed, names_or_numbers
from deep_infomax.mutual_information.samples.units import check_unit
from deep_infomax.mutual_information.samples.variables import read_variable
from deep_infomax.mutual_information.screening import MOST_ROWS, UNKNOWN, Column, Screened, categorical, numeric, screen
from deep_infomax.mutual_information.tables import Pairwise, Ranking, holm
from deep_infomax.runtime.progress import Progress
from deep_infomax.runtime.values import unknown

Array = np.ndarray
NEIGHBOURS: Final = "neighbours"
"""The estimator of pairs that needs no training: see `deep_infomax.mutual_information.screening`."""


def pairwise(
    z: Any,
    estimator: str = NEIGHBOURS,
    *,
    level: float = 0.95,
    seed: int = 0,
    progress: bool | Progress = True,
    time_budget: float | None = None,
    groups: Any = None,
    blocks: int | str | None = None,
    unit: str = "nats",
    **options: Any,
) -> Pairwise:
    """Estimate what every two columns of a table share, with an interval and a p-value for each pair.

    An interrupt (Ctrl-C) or the end of the time budget ends the work early; pairs not looked at are NaN.

    Args:
        z: Samples (n, d), an array, a tensor or a data frame, whose names reach the result.
        estimator: ``neighbours``, which takes milliseconds a pair and tests each for independence, or any estimator of
            `estimate_mi`, which has p-values where ``permutations`` are asked for.
        level: Of the intervals, each by itself.
        seed: Of all random numbers.
        progress: Show progress on standard error, or tell it to a function.
        time_budget: Seconds after which no new pair is begun.
        groups: A name or number for each row; rows of one name belong together.
        blocks: Rows over which a series depends on its past, or ``auto``. Of rows that belong together ``neighbours``
            has p-values and no intervals; where nothing is said they are looked for, as by `estimate_mi`.
        unit: Of every figure: ``nats`` or ``bits``.
        options: Of `estimate_mi`, for its estimators.

    Raises:
        ValueError: The samples or an option cannot be used.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(500, 3))
        >>> z[:, 2] += z[:, 0]  # log(2) / 2 nats
        >>> found = pairwise(z, progress=False)
        >>> bool(found.low[0, 2] < 0.3466 < found.high[0, 2]), bool(found.adjusted[0, 1] < 0.05)
        (True, False)
    """
    columns, names = _columns(z, "z")
    if len(columns) < 2:
        raise ValueError("`z` has one column; a pair needs two or more")
    d = len(columns)
    pairs = [(i, j) for i in range(d) for j in range(i + 1, d)]
    work = _Work(estimator, level, seed, progress, time_budget, groups, blocks, unit, options)
    found = work.carry_out(columns, columns, pairs, "pairs")
    rows, others = np.triu_indices(d, 1)

    def square(values: Float[Array, " p"]) -> Any:
        matrix = np.full((d, d), np.nan)
        matrix[rows, others] = matrix[others, rows] = values
        return matrix

    return Pairwise(
        estimator=estimator,
        names=names,
        **{name: square(values) for name, values in found.figures.items()},
        level=level,
        warnings=found.warnings(names),
        n=found.n,
        seconds=found.seconds,
        finished=found.finished,
    ).in_unit(unit)


def rank_features(
    x: Any,
    y: Any,
    estimator: str = NEIGHBOURS,
    *,
    level: float = 0.95,
    seed: int = 0,
    progress: bool | Progress = True,
    time_budget: float | None = None,
    groups: Any = None,
    blocks: int | str | None = None,
    unit: str = "nats",
    **options: Any,
) -> Ranking:
    """Estimate what each column of a table shares with a target, and put them in order.

    Each column is looked at by itself: two that are of use together only, as in an exclusive or, are not found.

    Args:
        x: Samples (n, d), an array, a tensor or a data frame, whose names reach the result.
        y: The target, one column; of several with the estimators of `estimate_mi`.
        estimator: As for `pairwise`.
        level: Of the intervals, each by itself.
        seed: Of all random numbers.
        progress: Show progress on standard error, or tell it to a function.
        time_budget: Seconds after which no new column is looked at.
        groups: A name or number for each row; rows of one name belong together.
        blocks: Rows over which a series depends on its past, or ``auto``. Of rows that belong together ``neighbours``
            has p-values and no intervals; where nothing is said they are looked for, as by `estimate_mi`.
        unit: Of every figure: ``nats`` or ``bits``.
        options: Of `estimate_mi`, for its estimators.

    Raises:
        ValueError: The samples or an option cannot be used.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(500, 3))
        >>> found = rank_features(x, x[:, 1] + x[:, 2] / 4, progress=False)
        >>> found.order.tolist(), bool(found.adjusted[0] < 0.05)
        ([1, 2, 0], False)
    """
    check_indexes((x, y), ("x", "y"))
    columns, names = _columns(x, "x")
    targets = [y]
    if estimator == NEIGHBOURS:
        targets, _ = _columns(y, "y")
        if len(targets) > 1:
            raise ValueError(
                f"`y` has {len(targets)} columns; give one, or `estimator` auto, which reads them together"
            )
    check_lengths((columns[0], targets[0]), ("x", "y"))
    work = _Work(estimator, level, seed, progress, time_budget, groups, blocks, unit, options)
    found = work.carry_out(columns, targets, [(i, 0) for i in range(len(columns))], "columns")
    return Ranking(
        estimator=estimator,
        names=names,
        target=", ".join(column_names(y)) or "y",
        **found.figures,
        level=level,
        warnings=found.warnings(names),
        n=found.n,
        seconds=found.seconds,
        finished=found.finished,
    ).in_unit(unit)


def information_scores(x: Any, y: Any) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
    """What each column shares with a target, in nats, and the p-value of independence: for selectors of scikit-learn.

    As `rank_features`, without its words; numbers of either kind and classes can be targets.

    Example:
        >>> from sklearn.feature_selection import SelectKBest
        >>> x = np.random.default_rng(0).normal(size=(500, 4))
        >>> SelectKBest(information_scores, k=2).fit(x, x[:, 1] * x[:, 3] > 0.1).get_support().tolist()
        [False, True, False, True]
    """
    found = rank_features(x, y, progress=False)
    return found.mi, found.p_values


class _Found(NamedTuple):
    """What was found of all pairs."""

    figures: dict[str, Any]
    """Of all pairs: estimates, both limits, p-values, and those adjusted for the number of pairs."""
    constant: list[int]
    said: list[str]
    n: int
    seconds: float
    finished: bool

    def warnings(self, names: Sequence[str]) -> tuple[str, ...]:
        """What has to be known of them, in words."""
        constant = [names[i] for i in self.constant]
        told = [f"constant, so they share nothing: {listed(constant)}"] if constant else []
        return (*told, *self.said)


class _Work(NamedTuple):
    """How pairs are estimated."""

    estimator: str
    level: float
    seed: int
    progress: bool | Progress
    time_budget: float | None
    groups: Any
    blocks: int | str | None
    unit: str
    options: dict[str, Any]

    def carry_out(
        self, columns: Sequence[Any], others: Sequence[Any], pairs: Sequence[tuple[int, int]], what: str
    ) -> _Found:
        """Estimate some pairs, one from each of two lists of columns."""
        self._check(len(columns[0]))
        began, found, said = time.monotonic(), [UNKNOWN] * len(pairs), list[str]()
        with running(self.progress, self.seed, torch.device("cpu")) as (tell, stopped):
            read, constant = self._reader(columns, others, said)
            done = 0
            for place, pair in enumerate(pairs):
                late = self.time_budget is not None and time.monotonic() - began > self.time_budget
                if stopped() or late or (one := read(*pair)) is None:
                    break
                found[place], done = one, place + 1
                tell(what, done, len(pairs))
            finished = done == len(pairs) or (not stopped() and late)
        if done < len(pairs):
            said.append(f"the work ended after {done:,} of {len(pairs):,} {what}: the rest is unknown")
        n = len(columns[0])
        if self.estimator == NEIGHBOURS and n > MOST_ROWS:
            said.append(f"neighbours were looked for among {-(-n // -(-n // MOST_ROWS)):,} of {n:,} rows")
        mi, low, high, p_values = np.array(found, dtype=float).reshape(-1, 4).T
        figures = {"mi": mi, "low": low, "high": high, "p_values": p_values, "adjusted": holm(p_values)}
        return _Found(figures, constant, said, n, time.monotonic() - began, finished)

    def _check(self, n: int) -> None:
        check_unit(self.unit)
        if self.estimator not in (NEIGHBOURS, *ESTIMATORS):
            raise unknown("estimator", self.estimator, (NEIGHBOURS, *ESTIMATORS))
        if self.estimator == NEIGHBOURS and self.options:
            raise ValueError(
                f"the estimator {NEIGHBOURS} takes no `{next(iter(self.options))}`; leave it out, or use auto"
            )
        check_options(n, self.options.get("folds", 2), self.level, self.seed, self.time_budget)

    def _reader(
        self, columns: Sequence[Any], others: Sequence[Any], said: list[str]
    ) -> tuple[Callable[[int, int], Screened | None], list[int]]:
        """What reads the pair of two numbers, None where it was interrupted; and which columns are constant."""
        if self.estimator == NEIGHBOURS:
            generator = np.random.default_rng(self.seed)
            left = [_prepared(column, generator) for column in columns]
            right = left if others is columns else [_prepared(column, generator) for column in others]
            constant = [i for i, column in enumerate(left) if column.constant]
            rows = self._rows(columns, others)
            said += rows.warnings
            if rows.kind != "independent":
                said.append(
                    "rows belong together: there are no intervals, and p-values come from shuffles that keep them"
                )
            return lambda i, j: screen(left[i], right[j], self.level, rows), constant

        def estimated(i: int, j: int) -> Screened | None:
            found = estimate_mi(
                columns[i], others[j], self.estimator, level=self.level, seed=self.seed, progress=False,
                groups=self.groups, blocks=self.blocks, **self.options,
            )  # fmt: skip
            return _of_estimate(found) if found.finished else None

        return estimated, []

    def _rows(self, left: Sequence[Array], right: Sequence[Array]) -> Rows:
        """How rows belong together, of one table or of a table and a target."""
        tables = [_varying(left)] if right is left else [_varying(left), _varying(right)]
        if any(table.shape[1] == 0 for table in tables):
            return independent(len(left[0]))
        return rows_of(tables, self.groups, self.blocks, 2)


def _of_estimate(found: Estimate) -> Screened:
    low, high = (np.nan, np.nan) if found.interval is None else found.interval
    return Screened(found.mi, low, high, np.nan if found.p_value is None else found.p_value)


def _columns(z: Any, name: str) -> tuple[list[Array], tuple[str, ...]]:
    """The columns of a table, of numbers or words, and their names or numbers."""
    read = read_variable(z, name)
    words = {place: np.array(levels) for place, levels in read.levels.items()}
    columns = [
        words[place][column.astype(int)] if place in words else column.astype(np.float64)
        for place, column in enumerate(read.columns.T)
    ]
    return columns, names_or_numbers(z, len(columns))


def _varying(columns: Sequence[Array]) -> Float[Array, "n v"]:
    """The columns that vary, as numbers."""
    coded = [column if column.dtype.kind == "f" else np.unique(column, return_inverse=True)[1] for column in columns]
    table = np.stack(coded, axis=1).astype(np.float64)
    return table[:, np.ptp(table, axis=0) > 0]


def _prepared(values: Array, generator: np.random.Generator) -> Column:
    levels = discrete_levels(values) if values.dtype.kind == "f" else np.unique(values)
    return numeric(values, generator) if levels is None else categorical(np.searchsorted(levels, values))
