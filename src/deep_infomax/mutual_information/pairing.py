"""How samples of two variables become what a critic reads: fitted to one part of them, applied to any other."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from deep_infomax.mutual_information.gaussian import NormalRatio, fit_normal_ratio
from deep_infomax.mutual_information.inputs import FEW_LEVELS, is_discrete
from deep_infomax.mutual_information.ranks import rank_gaussianiser

Array = np.ndarray
MOST_CODES: Final = 512
"""Codes of all discrete columns of many values together."""
LEAST_CODED: Final = 3
"""Samples from which on one of their values gets a code."""


@dataclass(frozen=True)
class Pairs:
    """Samples of x and y as a critic reads them, and rows whose dot products are the baseline's scores."""

    x: Float[Tensor, "n *dx"]
    y: Float[Tensor, "n *dy"]
    base_x: Float[Tensor, "n r"]
    base_y: Float[Tensor, "n r"]

    def __getitem__(self, index: slice | Tensor) -> "Pairs":
        """Some of the pairs."""
        return Pairs(self.x[index], self.y[index], self.base_x[index], self.base_y[index])

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.x)

    def to(self, device: torch.device) -> "Pairs":
        """The pairs on a device."""
        return Pairs(*(part.to(device) for part in (self.x, self.y, self.base_x, self.base_y)))

    def baseline(self, rows: slice = slice(None)) -> Float[Tensor, "b n"]:
        """The baseline's scores of some x with every y."""
        return self.base_x[rows] @ self.base_y.T


Pairing = Callable[[Shaped[Array, "n *dx"], Shaped[Array, "n *dy"]], Pairs]
"""From samples to pairs."""


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

    def __call__(self, columns: Float[Array, "n d"], normal: Float[Array, "n d"]) -> Float[Tensor, "n e"]:
        """Inputs of a network, from columns and their normal coordinates."""
        codes = [(columns[:, [column]] == values) * 1.0 for column, values in self.levels.items()]
        # Dependence through a scale, the commonest without correlation, is linear in the squares.
        inputs = np.concatenate([normal, (normal**2 - 1) / 2**0.5, *codes], axis=1)
        return torch.from_numpy(inputs.astype(np.float32))


@dataclass(frozen=True)
class ColumnPairing:
    """Pairs of columns, with a normal log-ratio as the baseline."""

    x: ColumnReader
    y: ColumnReader
    ratio: NormalRatio

    @property
    def determined(self) -> bool:
        """Whether continuous x and y have a perfect correlation."""
        discrete = self.x.levels or self.y.levels
        return not discrete and bool(self.ratio.correlations.max(initial=0.0) > 1 - 1e-6)

    def refitted(self, x: Float[Array, "n dx"], y: Float[Array, "n dy"]) -> "ColumnPairing":
        """The normal model fitted to other pairs, with as many correlations; all else as it is."""
        ratio = fit_normal_ratio(self.x.to_normal(x), self.y.to_normal(y))
        return replace(self, ratio=replace(ratio, correlations=ratio.correlations[: len(self.ratio.correlations)]))

    def __call__(self, x: Float[Array, "n dx"], y: Float[Array, "n dy"]) -> Pairs:
        """Any samples of the two variables as pairs."""
        normal_x, normal_y = self.x.to_normal(x), self.y.to_normal(y)
        rows = (torch.from_numpy(part.astype(np.float32)) for part in self.ratio.factors(normal_x, normal_y))
        return Pairs(self.x(x, normal_x), self.y(y, normal_y), *rows)


def fit_column_pairing(
    x: Float[Array, "n dx"],
    y: Float[Array, "n dy"],
    validation: tuple[Float[Array, "p dx"], Float[Array, "p dy"]],
    ranks: bool,
    discrete: tuple[Bool[Array, " dx"], Bool[Array, " dy"]] | None = None,
) -> ColumnPairing:
    """Fit ranks (or means and deviations) and the normal model; validation pairs choose how rich the latter is."""
    discrete_x, discrete_y = discrete or (None, None)
    read_x, read_y = fit_reader(x, ranks, discrete_x), fit_reader(y, ranks, discrete_y)
    to_x, to_y = read_x.to_normal, read_y.to_normal
    ratio = fit_normal_ratio(to_x(x), to_y(y), (to_x(validation[0]), to_y(validation[1])))
    return ColumnPairing(read_x, read_y, ratio)


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
    return ColumnReader(rank_gaussianiser(columns) if ranks else _standardiser(columns), levels)


@dataclass(frozen=True)
class StructuredPairing:
    """Samples as they are, such as images, scaled as a whole for a critic of the user's, without a baseline."""

    x: tuple[float, float]
    """Mean and deviation of x."""
    y: tuple[float, float]

    def __call__(self, x: Shaped[Array, "n *dx"], y: Shaped[Array, "n *dy"]) -> Pairs:
        """Any samples of the two variables as pairs."""
        return Pairs(_scaled(x, *self.x), _scaled(y, *self.y), torch.zeros(len(x), 0), torch.zeros(len(y), 0))


def _scaled(z: Shaped[Array, "n *d"], mean: float, deviation: float) -> Float[Tensor, "n *d"]:
    values = z - mean
    values /= deviation  # in place, as images are large
    return torch.from_numpy(values.astype(np.float32, copy=False))


def fit_structured_pairing(x: Shaped[Array, "n *dx"], y: Shaped[Array, "n *dy"]) -> StructuredPairing:
    """Fit the scales."""
    scale_x, scale_y = ((float(z.mean()), float(z.std()) or 1.0) for z in (x, y))
    return StructuredPairing(scale_x, scale_y)


def _standardiser(x: Float[Array, "n d"]) -> Callable[[Float[Array, "p d"]], Float[Array, "p d"]]:
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    return lambda sample: (sample - mean) / deviation
