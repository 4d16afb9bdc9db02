"""Densities of weighted sums of independent variables, by numerical convolution."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float

Array = np.ndarray
CELLS: Final = 2**14


@dataclass(frozen=True)
class Tabled:
    """A density on a grid."""

    grid: Float[Array, " g"]
    density: Float[Array, " g"]

    @property
    def entropy(self) -> float:
        """In nats."""
        p = self.density[self.density > 0]
        return -float((p * np.log(p)).sum() * (self.grid[1] - self.grid[0]))

    def log_density(self, z: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """At any places, linear in the density between those of the grid."""
        values: Array = np.log(np.maximum(np.interp(z, self.grid, self.density), 1e-300))
        return values


def mixed_sources(source: Any, weights: Float[Array, " k"]) -> tuple[float, Tabled]:
    """The entropy of a source, and the density of a weighted sum of independent sources of its distribution.

    The source is a distribution of `scipy.stats`. The grid reaches over all but 1e-12 of the sum's mass; every cell
    holds the exact mass of a weighted source.
    """
    weights = weights[weights != 0]
    bounds = np.sort(np.outer(weights, source.ppf([1e-12, 1 - 1e-12])), axis=1).sum(0)
    middle, reach = weights.sum() * source.mean(), 14 * source.std() * np.sqrt((weights**2).sum())
    low, high = max(bounds[0], middle - 2 * reach), min(bounds[1], middle + 2 * reach)
    step = (high - low) / (CELLS // 2)
    spectrum = np.ones(CELLS // 2 + 1, dtype=complex)
    centre = np.fft.fftfreq(CELLS, 1 / CELLS) * step  # displacements from the mean, around a ring
    for weight in weights:
        edges = np.stack([centre - step / 2, centre + step / 2]) / weight + source.mean()
        spectrum *= np.fft.rfft(np.abs(np.diff(source.cdf(edges), axis=0))[0])
    mass = np.maximum(np.fft.fftshift(np.fft.irfft(spectrum, CELLS)), 0)
    return float(source.entropy()), Tabled(np.fft.fftshift(centre) + middle, mass / mass.sum() / step)
