"""Densities of single coordinates: at the samples themselves, by spacings, and as tables for new samples."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from scipy.special import digamma

Array = np.ndarray

BANDWIDTHS: Final = (0.2, 0.4, 0.7, 1.0)
"""Of kernels, as multiples of the rule of thumb."""
BINS: Final = (8, 16, 32, 64, 128)
"""Of equal mass."""
CELLS: Final = 1024


def log_spacings(column: Float[Array, " n"]) -> Float[Array, " n"]:
    r"""The log-density at each sample of a continuous variable, from the distance of samples m ranks to both sides.

    .. math:: \log \hat p(x_{(i)}) = \psi(b - a) - \psi(n + 1) - \log(x_{(b)} - x_{(a)}), \qquad
        a = \max(i - m, 1), \quad b = \min(i + m, n)

    Its mean is minus the entropy, without bias for a uniform variable; it is infinite among many equal values. The
    spacings are those of the inverse hyperbolic sine of the standardised values, whose tails are light. Source:
    Vasicek, "A test for normality based on sample entropy", 1976, with the exact means of spacings.

    >>> abs(float(log_spacings(np.random.default_rng(0).random(2000)).mean())) < 0.02
    True
    """
    n = len(column)
    reach = max(3, round(n**0.25))
    quarter, middle, three_quarters = np.quantile(column, [0.25, 0.5, 0.75])
    scale = float(three_quarters - quarter) / 2
    if scale == 0:
        return np.full(n, math.inf)
    scaled = (column - middle) / scale
    even = np.arcsinh(scaled)  # without heavy tails
    order = np.argsort(even)
    ranks = np.arange(n)
    low, high = np.maximum(ranks - reach, 0), np.minimum(ranks + reach, n - 1)
    values = np.empty(n)
    with np.errstate(divide="ignore"):
        values[order] = digamma(high - low) - digamma(n + 1) - np.log(even[order[high]] - even[order[low]])
    values -= np.log1p(scaled**2) / 2 + math.log(scale)
    return values


@dataclass(frozen=True)
class Table:
    """A density, constant in cells, beside a little of one with heavy tails that reaches everywhere."""

    edges: Float[Array, " c1"]
    density: Float[Array, " c"]
    rest: float
    """Mass of the heavy-tailed part."""

    def log_density(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """At any places."""
        cell = np.searchsorted(self.edges, x, side="right") - 1
        inside = (cell >= 0) & (cell < len(self.density))
        own = np.where(inside, self.density[np.clip(cell, 0, len(self.density) - 1)], 0.0)
        middle, scale = (self.edges[0] + self.edges[-1]) / 2, (self.edges[-1] - self.edges[0]) / 4
        wide = 1 / (math.pi * scale * (1 + ((x - middle) / scale) ** 2))
        values: Array = np.log((1 - self.rest) * own + self.rest * wide)
        return values

    def below(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """The share of the mass below any places, but for the heavy-tailed part."""
        mass = np.concatenate([[0.0], np.cumsum(self.density * np.diff(self.edges))])
        values: Array = np.interp(x, self.edges, mass)
        return values


def fit_table(x: Float[Array, " n"], validation: Float[Array, " p"]) -> Table:
    """The density, by kernels of some width or by bins of equal mass, under which validation values are likeliest."""
    return max(_tables(x), key=lambda table: float(table.log_density(validation).mean()))


def _tables(x: Float[Array, " n"]) -> Iterator[Table]:
    n = len(x)
    rest = 1 / n
    for bins in BINS:
        if 4 * bins <= n:
            edges = np.unique(np.quantile(x, np.linspace(0, 1, bins + 1)))
            counts = np.histogram(x, edges)[0]
            yield Table(edges, counts / n / np.diff(edges), rest)
    low, high = np.quantile(x, [0.25, 0.75])
    thumb = 0.9 * min(float(x.std()), float(high - low) / 1.34) * n**-0.2
    # Wide tails would leave no cells for the middle, so what lies far out is the bins' or the rest's.
    bounds = max(x.min(), low - 10 * (high - low)) - 3 * thumb, min(x.max(), high + 10 * (high - low)) + 3 * thumb
    counts, edges = np.histogram(x, CELLS, bounds)
    width = edges[1] - edges[0]
    for multiple in BANDWIDTHS:
        deviation = multiple * thumb / width
        frequencies = np.fft.rfftfreq(2 * CELLS)
        smooth = np.fft.rfft(counts / n, 2 * CELLS) * np.exp(-2 * (math.pi * frequencies * deviation) ** 2)
        density = np.maximum(np.fft.irfft(smooth, 2 * CELLS)[:CELLS], 0)
        yield Table(edges, density / density.sum() / width, rest)
