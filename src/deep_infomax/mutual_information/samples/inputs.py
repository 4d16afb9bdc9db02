r"""Variables as columns that can be computed with, which of them are discrete, and what is unusual about them.

A column is discrete if it holds words, if what estimates says so, or by this rule: its n samples have K different
values that recur, on average 3 times if all are whole numbers and 10 times if not, and K is 1,024 at most,

.. math:: K \leq \min(n / 3, 1024) \text{ of whole numbers}, \qquad K \leq \min(n / 10, 1024) \text{ of others.}

Nothing is lost by it: what reads a discrete column gets a code for each of its values and its order besides. So labels,
counts, ages and rounded measurements are discrete. Identity numbers, times and zeros amid other values are not.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from deep_infomax.mutual_information.samples.discrete import codes_of, entropy_limit
from deep_infomax.mutual_information.samples.variables import LEAST, Variable, columns_said, read_variable

Array = np.ndarray
FEW: Final = 500
"""Samples below which an estimate comes with a warning."""
CONTINUOUS: Final = 0.9
"""Share of different values above which a coordinate is taken for a continuous one."""
FEW_PER_COORDINATE: Final = 4
"""Samples for each coordinate, below which dependence is likely to be missed."""
MOST_LEVELS: Final = 1024
"""Different values up to which a column is discrete by itself."""
RECURRING: Final = {True: 3, False: 10}
"""Samples for each value, on average, from which on a column is; of whole numbers, and of others."""
FEW_LEVELS: Final = 32
"""Values of a column up to which each one gets a code, be it common or rare."""
MOST_ALONE: Final = 0.2
"""Share of samples with a value of their own, above which too little of a discrete column has been seen."""


def as_samples(values: Any, name: str, least: int = LEAST) -> Shaped[Array, "n *d"]:
    """Samples (n, ...) as an array of finite real numbers.

    Raises:
        ValueError: As `read_variable`; or words.
    """
    found = read_variable(values, name, least)
    return numbers_of(found, name)


def numbers_of(variable: Variable, name: str) -> Shaped[Array, "n *d"]:
    """The samples of a variable of numbers.

    Raises ValueError where it holds words.
    """
    if variable.levels:
        raise ValueError(f"{variable.called(min(variable.levels), name)} holds words; give an array of real numbers")
    return variable.numbers


def check_lengths(samples: Sequence[Array], names: Sequence[str]) -> None:
    """Raise ValueError unless all have as many samples."""
    if len({len(sample) for sample in samples}) > 1:
        counts = " and ".join(f"`{name}` has {len(sample):,}" for name, sample in zip(names, samples, strict=True))
        raise ValueError(f"{counts} samples; give as many of each, row i of one belonging to row i of the other")


def check_options(n: int, folds: int, level: float, seed: int, time_budget: float | None) -> None:
    """Raise ValueError for options that no estimate from n samples can use."""
    if int(folds) != folds or not 2 <= folds <= n // 10:
        raise ValueError(f"`folds` is {folds}; give 2 to {n // 10} for {n:,} samples")
    if not 0 <= seed < 2**63:
        raise ValueError(f"`seed` is {seed}; give 0 or a positive number below 2^63")
    if not 0 < level < 1:
        raise ValueError(f"`level` is {level:g}; give a probability between 0 and 1, such as 0.95")
    if time_budget is not None and not time_budget > 0:
        raise ValueError(f"`time_budget` is {time_budget:g} seconds; give a positive number, or leave it out")


@dataclass(frozen=True)
class Columns:
    """Samples as float64 columns, without those that are constant."""

    values: Float[Array, "n c"]
    varying: Bool[Array, " d"]
    """Which of the coordinates they are."""
    discrete: Bool[Array, " c"]
    """Which of them are discrete."""
    warnings: list[str]
    """What is unusual about them."""
    levels: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Of each coordinate of words, what its numbers stand for."""
    said: bool = False
    """Whether somebody said which columns are discrete."""
    in_doubt: Bool[Array, " c"] | None = None
    """Which columns may hold codes, of too few samples each to be read as categories; None for none."""

    @property
    def capacity(self) -> float:
        """The most that can be known about the variable, in nats: infinite unless all columns are discrete."""
        if not self.discrete.all():
            return math.inf
        return min(sum(entropy_limit(codes_of(column[:, None])) for column in self.values.T), entropy_limit(self.codes))

    @property
    def for_rows(self) -> Float[Array, "n c"]:
        """The columns, those that were said to be discrete by numbers: the same category twice is no copied number."""
        if not self.said:
            return self.values
        columns = [
            codes_of(column[:, None]) if discrete else column
            for column, discrete in zip(self.values.T, self.discrete, strict=True)
        ]
        return np.stack(columns, axis=1).astype(np.float64)

    @property
    def codes(self) -> Int[Array, " n"]:
        """A number for every different row."""
        return codes_of(self.values)

    @property
    def tied(self) -> bool:
        """Whether some coordinate has many equal values."""
        return bool(_different(self.values).min() <= CONTINUOUS * len(self.values))

    @property
    def crowded(self) -> bool:
        """Whether coordinates or levels are so many for the samples that dependence is likely to be missed."""
        n, d = self.values.shape
        return bool(FEW_PER_COORDINATE * d > n or (_alone(self.values) > MOST_ALONE)[self.discrete].any())

    def of(self, samples: Any, name: str) -> Float[Array, "p c"]:
        """The same columns of other samples of the variable.

        Raises ValueError where those are none of it.
        """
        found = read_variable(samples, name, least=1, levels=self.levels)
        if found.columns.shape[1] != len(self.varying):
            raise ValueError(
                f"`{name}` has {found.columns.shape[1]} coordinates, the samples of the estimate had "
                f"{len(self.varying)}; give as many"
            )
        if other := set(found.levels) ^ set(self.levels):
            column = min(other)
            now, before = ("words", "numbers") if column in found.levels else ("numbers", "words")
            raise ValueError(f"{found.called(column, name)} holds {now}, and held {before} in the estimate; give these")
        return found.columns[:, self.varying].astype(np.float64)


def as_columns(samples: Any, name: str, discrete: Any = "auto") -> Columns:
    """Samples as columns, with warnings about them.

    Args:
        samples: As `read_variable` takes them, or what that gave.
        name: What they are called.
        discrete: Which columns are discrete, beside those of words: True for all, False for none, numbers or names,
            a mask, or ``auto`` for the rule above.

    Raises:
        ValueError: As `read_variable`; nothing varies; or `discrete` names no column.
    """
    variable = samples if isinstance(samples, Variable) else read_variable(samples, name)
    columns = variable.columns.astype(np.float64)
    chosen = columns_said(variable, name, discrete)
    varying: Array = np.ptp(columns, axis=0) > 0
    if not varying.any():
        raise ValueError(f"`{name}` is constant, so it tells nothing about anything; give a variable that varies")
    warnings = []
    if not varying.all():
        numbers = ", ".join(str(i) for i in np.flatnonzero(~varying)[:5])
        warnings.append(f"{name}: constant columns are left out ({np.sum(~varying)}: {numbers})")
    columns = columns[:, varying]
    words = np.isin(np.flatnonzero(varying), list(variable.levels))
    found = np.array([is_discrete(column) for column in columns.T]) | words if chosen is None else chosen[varying]
    said = chosen is not None
    in_doubt = np.array([not said and _may_be_codes(column) for column in columns.T]) & ~found
    warnings += _unusual(columns, found, name) + _doubtful(columns, found, in_doubt, name)
    return Columns(columns, varying, found, warnings, variable.levels, said, in_doubt)


def few_samples(n: int) -> list[str]:
    """A warning where there are few samples."""
    return [f"only {n} samples: the estimate says little, look at its interval"] if n < FEW else []


def is_discrete(column: Float[Array, " n"]) -> bool:
    """Whether a column is discrete by the rule above.

    >>> ages, heights = np.arange(1000) % 90, np.linspace(150, 190, 1000).round(1)
    >>> is_discrete(ages * 1.0), is_discrete(heights)
    (True, False)
    """
    levels = len(np.unique(column))
    return levels <= min(MOST_LEVELS, len(column) // RECURRING[_whole(column)])


def discrete_levels(column: Float[Array, " n"]) -> Float[Array, " k"] | None:
    """The values of a column that has few of them for its number of samples; None for any other."""
    levels = np.unique(column)
    return levels if len(levels) <= min(FEW_LEVELS, len(column) // 10) else None


def _unusual(columns: Float[Array, "n d"], discrete: Bool[Array, " d"], name: str) -> list[str]:
    warnings = []
    n, d = columns.shape
    ordered = np.sort(columns, axis=0)
    distinct = _different(ordered)
    low, middle, high = (ordered[int(q * (n - 1))] for q in (0.25, 0.5, 0.75))
    reach = np.maximum(ordered[-1] - middle, middle - ordered[0])
    if FEW_PER_COORDINATE * d > n:
        warnings.append(
            f"{name}: {d} coordinates for {n} samples; dependence is likely to be missed, reduce them first"
        )
    fewest = int(distinct.argmin())
    if distinct[fewest] <= CONTINUOUS * n:
        manner = "as categories and by their order" if discrete[fewest] else "by their order alone"
        warnings.append(
            f"{name}: equal values (column {fewest} has {distinct[fewest]:,} different ones among {n:,}); they are "
            f"read {manner}, and estimates that assume a density, such as ksg, do not hold"
        )
    continuous = distinct > CONTINUOUS * n
    if (continuous & (reach > 100 * np.maximum(high - low, np.finfo(float).tiny))).any():
        warnings.append(
            f"{name}: heavy tails; ranks keep them from spoiling the estimate, which may miss some of what lies far out"
        )
    return warnings


def _doubtful(
    columns: Float[Array, "n d"], discrete: Bool[Array, " d"], in_doubt: Bool[Array, " d"], name: str
) -> list[str]:
    """What is open about discrete columns, and about columns of whole numbers that may be."""
    warnings = []
    n, distinct, alone = len(columns), _different(columns), _alone(columns)
    rare = np.flatnonzero(discrete & (alone > MOST_ALONE))
    whole = np.flatnonzero(in_doubt)
    if len(rare):
        warnings.append(
            f"{name}: {_counted(rare, distinct)} categories among {n:,} samples, of which {alone[rare[0]]:.0%} are "
            "alone in theirs; what rare ones tell is missed, so the interval is open above"
        )
    if len(whole):
        warnings.append(
            f"{name}: {_counted(whole, distinct)} whole numbers among {n:,} samples; if they are codes, what they "
            "tell is missed, and more samples or fewer codes are needed"
        )
    return warnings


def _counted(places: Int[Array, " p"], distinct: Int[Array, " d"]) -> str:
    others = f" (and {len(places) - 1} other columns likewise)" if len(places) > 1 else ""
    return f"column {places[0]}{others} has {distinct[places[0]]:,} different"


def _different(columns: Float[Array, "n d"]) -> Int[Array, " d"]:
    """How many different values each column has."""
    different: Array = 1 + (np.diff(np.sort(columns, axis=0), axis=0) > 0).sum(axis=0)
    return different


def _alone(columns: Float[Array, "n d"]) -> Float[Array, " d"]:
    """The share of samples that no other equals, in each column."""
    ends = np.ones((1, columns.shape[1]), bool)
    differs = np.concatenate([ends, np.diff(np.sort(columns, axis=0), axis=0) > 0, ends])
    alone: Array = (differs[:-1] & differs[1:]).mean(axis=0)
    return alone


def _may_be_codes(column: Float[Array, " n"]) -> bool:
    """Whether whole numbers have equal ones among them, and are no few."""
    return FEW_LEVELS < len(np.unique(column)) <= CONTINUOUS * len(column) and _whole(column)


def _whole(column: Float[Array, " n"]) -> bool:
    return bool((column == np.round(column)).all())
