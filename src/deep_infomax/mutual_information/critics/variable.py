"""One variable as a critic of pairs reads it: normal coordinates, and what else shows small or fast dependence."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtr

from deep_infomax.mutual_information.critics.columns import ColumnReader, Standardiser, fit_reader, fit_standardiser

Array = np.ndarray
WAVES: Final = 8
"""Frequencies of the ranks of a coordinate, of which sine and cosine are inputs."""
COLLINEAR: Final = 50.0
"""Condition number of the correlations from which on uncorrelated directions are inputs, too."""
LEAST_VARIANCE: Final = 1e-9
"""Share of the largest variance, below which a direction is taken for a constant."""
FARTHEST: Final = 5.0
"""Deviations at which uncorrelated directions are clipped."""
NO_COLUMN: Final = -1


@dataclass(frozen=True)
class VariableReader:
    """Reads one variable, as fitted to some samples."""

    columns: ColumnReader
    standard: Standardiser
    directions: Float[Array, "d k"] | None
    """From standardised columns to uncorrelated directions, where the columns are collinear."""
    waves: bool
    """Whether sines and cosines of the ranks are inputs."""
    owners: Int[Array, " f"]
    """The column that each input comes from; -1 for a direction of all."""

    @property
    def columns_read(self) -> int:
        """Number of columns."""
        return int(self.owners.max()) + 1

    def places(self, chosen: Bool[Array, " d"] | None, waves: bool) -> Int[Array, " g"]:
        """The inputs that come from some of the columns, or all; with or without sines and cosines."""
        count = len(self.owners) - (0 if waves or not self.waves else 2 * WAVES * self.columns_read)
        kept = np.ones(count, bool) if chosen is None else (self.owners >= 0)[:count] & chosen[self.owners[:count]]
        return np.flatnonzero(kept)

    def inputs(self, columns: Float[Array, "n d"], normal: Float[Array, "n d"]) -> Float[Array, "n f"]:
        """Inputs of a network, from columns and their normal coordinates."""
        parts = [self.columns.inputs(columns, normal)]
        if self.directions is not None:
            uncorrelated = np.clip(self.standard(columns) @ self.directions, -FARTHEST, FARTHEST)
            parts += [uncorrelated, (uncorrelated**2 - 1) / 2**0.5]
        if self.waves:
            parts.append(_waves(normal))
        both: Array = np.concatenate(parts, axis=1).astype(np.float32)
        return both


def fit_variable(
    columns: Float[Array, "n d"], ranks: bool, waves: bool, discrete: Bool[Array, " d"] | None = None
) -> VariableReader:
    """Fit all of it to samples; ``discrete`` says which columns are, None finds out."""
    reader, standard = fit_reader(columns, ranks, discrete), fit_standardiser(columns)
    directions = _uncorrelated(standard(columns))
    d = columns.shape[1]
    of_directions = 0 if directions is None else 2 * directions.shape[1]
    of_waves = np.repeat(np.arange(d), 2 * WAVES) if waves else np.zeros(0, dtype=int)
    owners = np.concatenate([reader.owners(d), np.full(of_directions, NO_COLUMN), of_waves])
    return VariableReader(reader, standard, directions, waves, owners)


def _waves(normal: Float[Array, "n d"]) -> Float[Array, "n w"]:
    angles = 2 * np.pi * ndtr(normal)[:, :, None] * np.arange(1, WAVES + 1)
    parts: Array = np.concatenate([np.sin(angles), np.cos(angles)], axis=2).reshape(len(normal), -1)
    return parts


def _uncorrelated(standard: Float[Array, "n d"]) -> Float[Array, "d k"] | None:
    variances, directions = np.linalg.eigh(standard.T @ standard / len(standard))
    if variances[-1] < COLLINEAR * max(variances[0], 0.0):
        return None
    kept = variances > LEAST_VARIANCE * variances[-1]
    found: Array = directions[:, kept] / np.sqrt(variances[kept])
    return found
