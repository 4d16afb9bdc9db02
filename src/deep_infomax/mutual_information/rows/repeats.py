r"""Rows that repeat others: copies, exact or with a little noise, and rows with the same value of one variable.

A value that no two draws share by chance, such as a measured number, is a copy where it stands twice. Values on a grid
(classes, counts, rounded numbers) do repeat; rows that agree in all of them are copies only where they repeat as chance
does not. How often chance draws each value is a mixture of Poisson distributions, so of the numbers :math:`f_j` of
values that stand j times,

.. math:: f_{j-1} f_{j+1} \ge \frac{j}{j+1} f_j^2 \quad \text{in expectation}

which copies break: where all stand three times, none stands twice.

Copies with noise show in the distances :math:`r_1 < r_2 < \dots` to the nearest rows. For any density in d dimensions
:math:`(r_k / r_{k+1})^{k d}` is uniform on [0, 1], whatever k. Between the last copy and the next row there is a gap.

Sources: Good, "The population frequencies of species and the estimation of population parameters", 1953; Levina and
Bickel, "Maximum likelihood estimation of intrinsic dimension", 2004.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from deep_infomax.mutual_information.rows.independence import MOST_COORDINATES, normal_coordinates

Array = np.ndarray
FEWEST_VALUES: Final = 20
"""Different values below which a column is one of classes."""
FEW_TIMES: Final = 3
ATOM: Final = 20
"""Times, and times the mean number of repetitions, beyond which a value is one that is often taken, such as 0."""
FEWEST_COMBINATIONS: Final = 50
MOST_REPEATED: Final = 20
"""Combinations of values on grids, and rows of each, between which copies are looked for."""
NEIGHBOURS: Final = 32
MOST_COPIES: Final = 16
"""Copies of a row that are looked for among its neighbours."""
FEWEST_LOOKED_AT: Final = 100
MOST_LOOKED_AT: Final = 1000
"""Rows whose neighbours are looked at first."""
MOST_IN_TREE: Final = 10
"""Coordinates up to which a tree finds them."""
MOST_DISTANCES: Final = 10**9
"""Distances that are computed at most otherwise."""
GAP: Final = 1e-6
"""Probability of a ratio of distances, below which it is a gap."""
GAPS: Final = 0.05
"""Share of rows before a gap, beyond which there are copies with noise."""
FLATTER: Final = 4
"""Ratio of dimensions seen by the rows on either side of a gap."""
LINKED: Final = 0.02
"""Probability of a ratio of distances, below which rows before it are taken for copies of one another."""


def exact_copies(variables: Sequence[Shaped[Array, "n ..."]], whole_only: bool = False) -> Int[Array, " n"]:
    """The number of the set of copies that each row is in; a row without copies is a set of its own.

    Rows that agree in one measured variable alone are of one set, too, unless only whole rows are to be compared.
    """
    n = len(variables[0])
    columns = [z.reshape(n, -1) for z in variables]
    names = [numbered(z) for z in columns]
    measured = [_has_measured(z) for z in columns]
    whole = numbered(np.stack(names, axis=1)) if len(names) > 1 else names[0]
    found = [name for name, is_one in zip(names, measured, strict=True) if is_one and not whole_only]
    if any(measured) or _repeats_beyond_chance(whole):
        found.append(whole)
    return joined(*map(_without_atoms, found)) if found else np.arange(n)


def noisy_copies(variables: Sequence[Shaped[Array, "n ..."]]) -> Int[Array, " n"] | None:
    """Likewise for copies with a little noise, among the rows that no other equals; None where there are none.

    All rows are one set where there are such copies, and too many rows to tell them all.
    """
    columns = [z.reshape(len(z), -1) for z in variables]
    whole = numbered(np.stack([numbered(z) for z in columns], axis=1))
    alone = np.flatnonzero(np.bincount(whole)[whole] == 1)  # rows on atoms are as near as can be
    n = len(alone)
    if n < FEWEST_LOOKED_AT or not any(map(_has_measured, columns)):
        return None
    points = np.concatenate([normal_coordinates(z) for z in variables], axis=1)[alone]
    looked_at = min(MOST_LOOKED_AT, max(FEWEST_LOOKED_AT, MOST_DISTANCES // 10 // n))
    dimension = _dimension_between_gaps(_nearest(points, np.random.default_rng(0).permutation(n)[:looked_at])[0])
    if dimension is None:
        return None
    if points.shape[1] > MOST_IN_TREE and n * n > MOST_DISTANCES:
        return np.zeros(len(whole), int)
    names = np.arange(len(whole))
    names[alone] = alone[_firsts(_of_each_other(points, dimension))]
    return _in_order(names)


def _of_each_other(points: Float[Array, "m d"], dimension: float) -> Int[Array, " m"]:
    """Numbers of sets of points that are copies of each other."""
    n = len(points)
    distances, places = _nearest(points, np.arange(n))
    chances = _chances(distances, dimension)
    copies = np.where(chances.min(axis=1) < LINKED, chances.argmin(axis=1) + 1, 0)
    chosen = np.arange(places.shape[1]) < copies[:, None]
    of, near = np.nonzero(chosen)
    links = coo_array((np.ones(len(of)), (of, places[of, near])), (n, n)).tocsr()
    found: Array = connected_components(links.multiply(links.T), directed=False)[1]
    return found


def is_measured(column: Shaped[Array, " n"]) -> bool:
    """Whether values are those of a density, which no two draws share by chance; not classes, counts, rounded numbers.

    >>> values = np.random.default_rng(0).normal(size=100)
    >>> is_measured(values), is_measured(values.round(2)), is_measured(np.repeat(values[:10], 10))
    (True, False, False)
    """
    values = np.unique(column.astype(np.float64))
    if len(values) < FEWEST_VALUES:
        return False
    steps = np.diff(values)
    # Of rounded numbers every step is a multiple of the least; a number read from 32 bits is one nearly.
    multiples = steps / steps.min()
    return bool(np.abs(multiples - multiples.round()).max() > 0.01)


def _has_measured(columns: Shaped[Array, "n c"]) -> bool:
    """Whether some column is; of very many, some are looked at."""
    some = columns[:, :: -(-columns.shape[1] // MOST_COORDINATES)]
    return columns.dtype.kind == "f" and any(map(is_measured, some.T))


def joined(*names: Int[Array, " n"]) -> Int[Array, " n"]:
    """Sets of rows that share a name of any kind, directly or through others."""
    n = len(names[0])
    links = [coo_array((np.ones(n), (np.arange(n), _firsts(name))), (n, n)) for name in names]
    return _in_order(connected_components(sum(links[1:], start=links[0]), directed=False)[1])


def _firsts(name: Int[Array, " n"]) -> Int[Array, " n"]:
    """The first row with each row's name."""
    _, first, inverse = np.unique(name, return_index=True, return_inverse=True)
    found: Array = first[inverse]
    return found


def _in_order(name: Int[Array, " n"]) -> Int[Array, " n"]:
    """Names as numbers in the order of their first rows."""
    numbers: Array = np.unique(_firsts(name), return_inverse=True)[1]
    return numbers


def numbered(rows: Shaped[Array, "n d"]) -> Int[Array, " n"]:
    """Equal numbers for equal rows, in the order of their first."""
    rows = np.ascontiguousarray(rows + 0)  # without the sign of zeros
    return _in_order(np.fromiter((hash(row.tobytes()) for row in rows), np.int64, len(rows)))


def _without_atoms(name: Int[Array, " n"]) -> Int[Array, " n"]:
    """Names, but rows of one that is taken far more often than others get one of their own."""
    n = len(name)
    counts = np.bincount(name)
    others = (n - counts.max()) / max(1, len(counts) - 1)
    often = counts[name] > FEW_TIMES + ATOM * max(0.0, others - 1)
    return np.where(often, n + np.arange(n), name)


def _repeats_beyond_chance(name: Int[Array, " n"]) -> bool:
    """Whether names stand as often as no draws at random have it."""
    counts = np.bincount(name)
    if not len(counts) >= FEWEST_COMBINATIONS or len(name) > MOST_REPEATED * len(counts):
        return False
    found = np.bincount(counts, minlength=counts.max() + 2).astype(float)
    j = np.arange(2, counts.max() + 1)
    error = 3 * np.sqrt(found)
    least = j / (j + 1) * np.maximum(found[j] - error[j], 0) ** 2 / (found[j - 1] + error[j - 1] + 1)
    return bool((least > found[j + 1] + 5 * np.sqrt(found[j + 1] + 1) + 3).any())


def _nearest(points: Float[Array, "n d"], some: Int[Array, " q"]) -> tuple[Float[Array, "q k"], Int[Array, "q k"]]:
    """Distances and numbers of the nearest other rows of some rows."""
    if points.shape[1] <= MOST_IN_TREE:
        distances, places = KDTree(points).query(points[some], k=NEIGHBOURS + 2)
        return distances[:, 1:], places[:, 1:]
    squares = (points**2).sum(axis=1)
    parts = []
    for rows in np.array_split(some, -(-len(some) // 100)):
        away = squares[rows, None] + squares - 2 * points[rows] @ points.T
        away[np.arange(len(rows)), rows] = np.inf
        near = np.argpartition(away, NEIGHBOURS + 1, axis=1)[:, : NEIGHBOURS + 1]
        near = np.take_along_axis(near, np.take_along_axis(away, near, 1).argsort(axis=1), 1)
        parts.append((np.sqrt(np.maximum(np.take_along_axis(away, near, 1), 0)), near))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _growth(distances: Float[Array, "q k"]) -> Float[Array, "q k1"]:
    """``k log(r_{k + 1} / r_k)``, which a density in d dimensions has with a mean of 1 / d."""
    logs = np.log(np.maximum(distances, 1e-12))
    growth: Array = np.arange(1, logs.shape[1]) * np.diff(logs, axis=1)
    return growth


def _chances(distances: Float[Array, "q k"], dimension: float) -> Float[Array, "q c"]:
    """How likely so large a ratio of the next distance to each of the first is."""
    chances: Array = np.exp(-dimension * _growth(distances)[:, :MOST_COPIES])
    return chances


def _dimension_between_gaps(distances: Float[Array, "q k"]) -> float | None:
    """The dimension of rows where there is no gap; None if there is none anywhere."""
    dimensions = np.log(2) / np.maximum(np.median(_growth(distances), axis=0), 1e-12)
    dimension = float(np.quantile(dimensions, 0.25))
    far = float(np.median(dimensions[MOST_COPIES:]))
    gaps = (_chances(distances, dimension).min(axis=1) < GAP).mean() > GAPS
    return dimension if gaps or FLATTER * dimensions[:MOST_COPIES].min() < far else None
