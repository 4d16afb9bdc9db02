"""Columns of one variable as networks and normal models read them, fitted to one part of the samples."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from deep_infomax.mutual_information.critics.ranks import rank_gaussianiser
from deep_infomax.mutual_information.samples.inputs import FEW_LEVELS, is_discrete

Array = np.ndarray
MOST_CODES: Final = 512
"""Codes of all discrete columns of many values together."""
LEAST_CODED: Final = 3
"""Samples from which on one of their values gets a code."""
Standardiser = Callable[[Float[Array, "p d"]], Float[Array, "p d"]]
"""From columns to columns of mean 0 and deviation 1."""


@dataclass(frozen=True)
class ColumnReader:
    """Columns as a network reads them: normal coordinates, their squares, and a code for each discrete value."""

    to_normal: Callable[[Float[Array, "n d"]], Float[Array, "n d"]]
    levels: dict[int, Float[Array, " k"]]
    """The values of the discrete columns, by column."""

    def owners(self, columns: int) -> Int[Array, " e"]:
        """The column that each input comes from, of so many."""
        codes = [np.full(len(values), column) for column, values in self.levels.items()]
        return np.concatenate([np.arange(columns), np.arange(columns), *codes])

    def inputs(self, columns: Float[Array, "n d"], normal: Float[Array, "n d"]) -> Float[Array, "n e"]:
        """Inputs of a network, from columns and their normal coordinates."""
        # Dependence through a scale, the commonest without correlation, is linear in the squares.
        return np.concatenate([normal, (normal**2 - 1) / 2**0.5, *self.codes(columns).values()], axis=1)

    def codes(self, columns: Float[Array, "n d"]) -> dict[int, Float[Array, "n k"]]:
        """Of each discrete column, which of its values a sample has."""
        return {column: (columns[:, [column]] == values) * 1.0 for column, values in self.levels.items()}

    def __call__(self, columns: Float[Array, "n d"], normal: Float[Array, "n d"]) -> Float[Tensor, "n e"]:
        """The inputs as a tensor."""
        return torch.from_numpy(self.inputs(columns, normal).astype(np.float32))


def fit_reader(columns: Float[Array, "n d"], ranks: bool, discrete: Bool[Array, " d"] | None = None) -> ColumnReader:
    """Fit ranks (or means and deviations), and find the values of discrete columns that get a code.

    All of few values get one. Columns of many share 512 codes, for their commonest values; what is rare has none, so
    that a network sees it by its order alone. Where so many columns have many values that each had less than 32, none
    of them gets any.

    Args:
        columns: Samples.
        ranks: Whether to give each column a normal distribution through its ranks.
        discrete: Which columns are discrete; None finds out.
    """
    if discrete is None:
        discrete = np.array([is_discrete(column) for column in columns.T])
    found = {int(place): np.unique(columns[:, place], return_counts=True) for place in np.flatnonzero(discrete)}
    many = sum(len(values) > FEW_LEVELS for values, _ in found.values())
    each = MOST_CODES // max(many, 1)
    levels = {}
    for place, (values, counts) in found.items():
        if len(values) <= FEW_LEVELS:
            levels[place] = values
        elif each >= FEW_LEVELS:
            common = np.argsort(-counts, kind="stable")[:each]
            levels[place] = values[np.sort(common[counts[common] >= LEAST_CODED])]
    return ColumnReader(rank_gaussianiser(columns) if ranks else fit_standardiser(columns), levels)


def fit_standardiser(columns: Float[Array, "n d"]) -> Standardiser:
    """Fit means and deviations."""
    largest = np.abs(columns).max(axis=0)  # whose square may be too large
    largest = np.where(largest > 0, largest, 1.0)
    mean, deviation = (columns / largest).mean(axis=0), (columns / largest).std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    return lambda sample: (sample / largest - mean) / deviation
