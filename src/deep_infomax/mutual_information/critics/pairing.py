"""How samples of two variables become what a critic reads: fitted to one part of them, applied to any other."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from deep_infomax.mutual_information.critics.baselines import Baseline, NormalBaseline, fit_normal_baseline, likeliest
from deep_infomax.mutual_information.critics.category_baselines import category_baselines
from deep_infomax.mutual_information.critics.columns import ColumnReader, fit_reader
from deep_infomax.mutual_information.critics.selection import dependent_coordinates, rank_features
from deep_infomax.mutual_information.critics.variable import VariableReader, fit_variable

Array = np.ndarray
FEW_COORDINATES: Final = 4
"""Of x and y together, up to which sines and cosines of the ranks are inputs."""
Columns = tuple[Bool[Array, " dx"], Bool[Array, " dy"]]
"""Some columns of x and of y."""


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
class ColumnPairing:
    """Pairs of columns, with the log-ratio of a simple model as the baseline."""

    x: VariableReader
    y: VariableReader
    normal: NormalBaseline
    baseline: Baseline
    """The normal model, or one of categories."""
    few: Columns | None
    """The columns of x and of y that depend on one another pair by pair, where they are some and not all."""

    @property
    def determined(self) -> bool:
        """Whether continuous x and y have a perfect correlation."""
        discrete = self.x.columns.levels or self.y.columns.levels
        return not discrete and bool(self.normal.ratio.correlations.max(initial=0.0) > 1 - 1e-6)

    def coordinates(self, few: Columns | None) -> int:
        """Coordinates of x and y together, of some columns or of all."""
        return sum(side.columns_read if part is None else int(part.sum()) for side, part in self._sides(few))

    def has_waves(self, few: Columns | None) -> bool:
        """Whether there are sines and cosines of these columns, or all: where they are few."""
        return self.x.waves and self.coordinates(few) <= FEW_COORDINATES

    def inputs_of(self, few: Columns | None, waves: bool) -> list[Int[Array, " f"]]:
        """Inputs of a network for x and for y, of some columns or of all, with or without sines and cosines."""
        return [side.places(part, waves) for side, part in self._sides(few)]

    def _sides(self, few: Columns | None) -> list[tuple[VariableReader, Bool[Array, " d"] | None]]:
        return list(zip((self.x, self.y), few or (None, None), strict=True))

    def refitted(self, x: Float[Array, "n dx"], y: Float[Array, "n dy"]) -> "ColumnPairing":
        """The baselines fitted to other pairs, all else as it is."""
        return replace(self, normal=self.normal.refitted(x, y), baseline=self.baseline.refitted(x, y))

    def __call__(self, x: Float[Array, "n dx"], y: Float[Array, "n dy"]) -> Pairs:
        """Any samples of the two variables as pairs."""
        inputs = (side.inputs(z, side.columns.to_normal(z)) for side, z in ((self.x, x), (self.y, y)))
        rows = (part.astype(np.float32) for part in self.baseline.factors(x, y))
        return Pairs(*(torch.from_numpy(part) for part in (*inputs, *rows)))


def fit_column_pairing(
    x: Float[Array, "n dx"],
    y: Float[Array, "n dy"],
    validation: tuple[Float[Array, "p dx"], Float[Array, "p dy"]],
    ranks: bool,
    discrete: Columns | None = None,
    categories: bool = True,
) -> ColumnPairing:
    """Fit how columns are read, and the baseline that validation pairs choose.

    Normal models of ranks follow any monotone map, those of standardised columns see the small directions in which
    columns that are nearly equal differ. Where there are such directions, the model that reads more is taken; else that
    of ranks, unless the other reads more by a standard error.

    Args:
        x: Columns to fit to.
        y: Those of the other variable, row by row.
        validation: Others, which choose.
        ranks: Whether to give each column a normal distribution through its ranks.
        discrete: Which columns are discrete; None finds out.
        categories: Whether a model of categories may be the baseline.
    """
    discrete_x, discrete_y = discrete or (None, None)
    few = _few(fit_reader(x, True, discrete_x), fit_reader(y, True, discrete_y), x, y)
    shown = x.shape[1] + y.shape[1] if few is None else sum(int(chosen.sum()) for chosen in few)
    waves = shown <= FEW_COORDINATES
    side_x, side_y = fit_variable(x, ranks, waves, discrete_x), fit_variable(y, ranks, waves, discrete_y)
    maps = [(side_x.columns.to_normal, side_y.columns.to_normal)]
    maps += [(side_x.standard, side_y.standard)] if ranks else []
    collinear = side_x.directions is not None or side_y.directions is not None
    models = [fit_normal_baseline((x, y), validation, *both) for both in maps]
    normal = likeliest(models, validation, 0.0 if collinear else 1.0)
    others = category_baselines((x, y), validation, discrete, *maps[0]) if categories and discrete is not None else ()
    return ColumnPairing(side_x, side_y, normal, likeliest([normal, *others], validation), few)


def _few(
    read_x: ColumnReader, read_y: ColumnReader, x: Float[Array, "n dx"], y: Float[Array, "n dy"]
) -> Columns | None:
    if x.shape[1] + y.shape[1] <= FEW_COORDINATES:
        return None
    chosen = dependent_coordinates(rank_features(read_x, x), rank_features(read_y, y))
    return chosen if 0 < sum(int(part.sum()) for part in chosen) < x.shape[1] + y.shape[1] else None


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
