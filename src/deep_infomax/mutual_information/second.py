"""Second opinions on a critic, by estimators of other kinds where they apply: few columns, or categories.

| x and y | estimator |
|---|---|
| numbers without equal ones, 4 coordinates at most | nearest neighbours (`ksg_pointwise`) |
| categories, whose pairs recur | counts with Grassberger's sums (`grassberger`) |
| categories that recur, and up to 3 coordinates of numbers without equal ones | neighbours in each category (`ross`) |
"""

import math
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from deep_infomax.mutual_information.critics.ranks import rank_gaussianiser
from deep_infomax.mutual_information.ksg import ksg_pointwise
from deep_infomax.mutual_information.samples.discrete import (
    COVERED,
    codes_of,
    coverage,
    grassberger,
    miller_madow,
    ross,
)
from deep_infomax.mutual_information.samples.inputs import Columns

Array = np.ndarray
FEW_COORDINATES: Final = 4
"""Of x and y together, up to which nearest neighbours are asked."""
MOST_NEIGHBOURS: Final = 10_000
"""Samples they are asked about."""

FAR: Final = 20
"""The neighbour that is compared with the third."""


class Second(NamedTuple):
    """A second opinion on the information of two variables."""

    name: str
    """The estimator."""
    words: str
    """The same in words."""
    value: float
    """In nats."""
    error: float
    """Its standard error."""
    above: float = 0.0
    """How much further up the truth may be."""
    below: float = 0.0
    """How much further down."""


NO_SECOND: Final = Second("", "", -math.inf, 0.0)
"""Where no other estimator applies."""


def second_opinion(x: Columns, y: Columns) -> Second:
    """What the estimator that suits both variables reads, or `NO_SECOND`."""
    if x.discrete.all() and y.discrete.all():
        return _by_counts(x.codes, y.codes)
    if x.discrete.all():
        return _in_categories(x.codes, y)
    if y.discrete.all():
        return _in_categories(y.codes, x)
    if not _has_density(x) or not _has_density(y) or x.values.shape[1] + y.values.shape[1] > FEW_COORDINATES:
        return NO_SECOND
    return _by_neighbours(_normal(x.values), _normal(y.values))


def _by_neighbours(x: Float[Array, "n dx"], y: Float[Array, "n dy"]) -> Second:
    """Nearest neighbours, which blur what changes fast: less so the nearer ones, and among twice as many samples.

    On thin curves they read too much: less so, too, the nearer ones, and among twice as many samples.
    """
    pointwise = ksg_pointwise(x, y)
    value, error = float(pointwise.mean()), float(pointwise.std()) / math.sqrt(len(x))
    halves = float(np.mean([ksg_pointwise(x[part::2], y[part::2]).mean() for part in (0, 1)]))
    near, far = (float(ksg_pointwise(x, y, k).mean()) for k in (1, FAR))
    above, below = 2 * max(0.0, value - min(halves, far)), 2 * max(0.0, value - near, halves - value)
    return Second("ksg", "nearest neighbours", value, error, above, below)


def _by_counts(x: Int[Array, " n"], y: Int[Array, " n"]) -> Second:
    """Counts of pairs, unless many pairs stand alone.

    What is left of their bias shows in how far two corrections differ, and half the samples from all.
    """
    if coverage(codes_of(np.stack([x, y], axis=1))) < COVERED:
        return NO_SECOND
    value, error = grassberger(x, y)
    halves = float(np.mean([grassberger(x[part::2], y[part::2]).value for part in (0, 1)]))
    biased = max(abs(value - miller_madow(x, y).value), abs(value - halves))
    return Second("grassberger", "counts of pairs", value, math.hypot(error, biased))


def _in_categories(codes: Int[Array, " n"], numbers: Columns) -> Second:
    if coverage(codes) < COVERED or not _has_density(numbers) or numbers.values.shape[1] >= FEW_COORDINATES:
        return NO_SECOND
    return Second("ross", "neighbours in each category", *ross(_some(codes), _normal(numbers.values)))


def _has_density(columns: Columns) -> bool:
    return not (columns.tied or columns.discrete.any())


def _some(z: Array) -> Array:
    """Not too many samples, from all over."""
    return z[:: math.ceil(len(z) / MOST_NEIGHBOURS)]


def _normal(z: Float[Array, "n d"]) -> Float[Array, "s d"]:
    """Some samples, with coordinates through their ranks."""
    some = _some(z)
    return rank_gaussianiser(some)(some)
