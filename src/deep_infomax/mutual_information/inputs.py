"""Samples as arrays that can be computed with, and what is unusual about them, in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

Array = np.ndarray
LEAST: Final = 30
"""Samples below which nothing is estimated."""
FEW: Final = 500
"""Samples below which an estimate comes with a warning."""
CONTINUOUS: Final = 0.9
"""Share of different values above which a coordinate is taken for a continuous one."""
FEW_PER_COORDINATE: Final = 4
"""Samples for each coordinate, below which dependence is likely to be missed."""
MOST_LEVELS: Final = 32
"""Different values up to which a coordinate is taken for a discrete one."""


def as_samples(values: Any, name: str, least: int = LEAST) -> Shaped[Array, "n *d"]:
    """Samples (n, ...) as an array of finite real numbers.

    Raises:
        ValueError: No real numbers, values that are not finite, or too few samples.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values  # which NumPy does not have
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"`{name}` has the type {array.dtype}; give an array of real numbers")
    if array.ndim == 0 or len(array) < least:
        count = len(array) if array.ndim else 1
        samples = "1 sample" if count == 1 else f"{count} samples"
        raise ValueError(f"`{name}` has {samples} along its first axis; give at least {least}")
    if array.size == 0:
        raise ValueError(
            f"`{name}` has the shape {array.shape}, so its samples are empty; give at least one coordinate"
        )
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"`{name}` holds {array[place]} in row {place[0]} ({np.sum(~finite):,} such values in all); leave such "
            "rows out of every variable"
        )
    return array


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
    warnings: list[str]
    """What is unusual about them."""

    @property
    def capacity(self) -> float:
        """The most that can be known about the variable, in nats: infinite unless all coordinates are discrete."""
        levels = [discrete_levels(column) for column in self.values.T]
        return sum(math.inf if values is None else math.log(len(values)) for values in levels)

    @property
    def tied(self) -> bool:
        """Whether some coordinate has many equal values."""
        return bool(_different(self.values).min() <= CONTINUOUS * len(self.values))

    @property
    def crowded(self) -> bool:
        """Whether there are so many coordinates for the samples that dependence is likely to be missed."""
        n, d = self.values.shape
        return bool(FEW_PER_COORDINATE * d > n)

    def of(self, samples: Any, name: str) -> Float[Array, "p c"]:
        """The same columns of other samples of the variable.

        Raises ValueError where those are none of it.
        """
        array = as_samples(samples, name, least=1)
        columns = array.reshape(len(array), -1)
        if columns.shape[1] != len(self.varying):
            raise ValueError(
                f"`{name}` has {columns.shape[1]} coordinates, the samples of the estimate had {len(self.varying)}; "
                "give as many"
            )
        return columns[:, self.varying].astype(np.float64)


def as_columns(array: Shaped[Array, "n *d"], name: str) -> Columns:
    """Samples as columns, with warnings about them.

    Raises:
        ValueError: Nothing varies.
    """
    columns = array.reshape(len(array), -1).astype(np.float64)
    varying: Array = np.ptp(columns, axis=0) > 0
    if not varying.any():
        raise ValueError(f"`{name}` is constant, so it tells nothing about anything; give a variable that varies")
    warnings = []
    if not varying.all():
        numbers = ", ".join(str(i) for i in np.flatnonzero(~varying)[:5])
        warnings.append(f"{name}: constant columns are left out ({np.sum(~varying)}: {numbers})")
    columns = columns[:, varying]
    return Columns(columns, varying, warnings + _unusual(columns, name))


def few_samples(n: int) -> list[str]:
    """A warning where there are few samples."""
    return [f"only {n} samples: the estimate says little, look at its interval"] if n < FEW else []


def _unusual(columns: Float[Array, "n d"], name: str) -> list[str]:
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
        warnings.append(
            f"{name}: equal values (column {fewest} has {distinct[fewest]:,} different ones among {n:,}); they are "
            "read as they are, and estimates that assume a density, such as ksg, do not hold"
        )
    continuous = distinct > CONTINUOUS * n
    if (continuous & (reach > 100 * np.maximum(high - low, np.finfo(float).tiny))).any():
        warnings.append(
            f"{name}: heavy tails; ranks keep them from spoiling the estimate, which may miss some of what lies far out"
        )
    return warnings


def _different(columns: Float[Array, "n d"]) -> Int[Array, " d"]:
    """How many different values each column has."""
    different: Array = 1 + (np.diff(np.sort(columns, axis=0), axis=0) > 0).sum(axis=0)
    return different


def discrete_levels(column: Float[Array, " n"]) -> Float[Array, " k"] | None:
    """The values of a coordinate that has few of them for its number of samples; None for any other."""
    levels = np.unique(column)
    return levels if len(levels) <= min(MOST_LEVELS, len(column) // 10) else None
