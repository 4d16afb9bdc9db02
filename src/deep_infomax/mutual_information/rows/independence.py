r"""The p-value of independence: held-out critics and a statistic that needs no training, each tested by shuffles.

A critic that was fitted to other rows gives an exact p-value for each fold, whatever it has learnt. Where training
finds nothing its power is that of nothing, so all rows are also tested by what a normal model sees: the sum of the
squared correlations of x's normal coordinates with y's, canonical ones where they are few. For one coordinate each that
is Pearson's test of the ranks. With k folds,

.. math:: p = \min\left(1, \; 2 \, p_{\text{normal}}, \; 2 k \min_i p_i\right)

is valid however the parts depend on each other (Bonferroni). Each fold draws k times as many shuffles as are asked for,
so that the least p is about 2 over their number.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from scipy.special import ndtri
from scipy.stats import rankdata
from torch import Tensor

from deep_infomax.mutual_information.rows.structure import Rows

Array = np.ndarray
MOST_COORDINATES: Final = 64
"""Coordinates of a variable above which as many random combinations stand for all."""
WHITENED: Final = 20
"""Rows for each coordinate, from which on correlations are canonical."""


def combined_p_value(normal: float, folds: Sequence[float]) -> float:
    """One p-value from that of the normal statistic and those of the folds' critics.

    >>> combined_p_value(0.01, [0.5, 0.2, 0.9])
    0.02
    """
    return min(1.0, 2 * normal, 2 * len(folds) * min(folds, default=1.0))


def normal_p_value(
    x: Shaped[Array, "n *dx"], y: Shaped[Array, "n *dy"], rows: Rows, permutations: int, seed: int
) -> float:
    """How likely correlations as large as those of x with y are, were they independent."""
    kept, order = rows.shuffles(np.arange(len(rows)))
    left, right = (_basis(normal_coordinates(z[kept])) for z in (x, y))
    generator = np.random.default_rng(seed)
    own = _shared(left, right) * (1 - 1e-5)  # equal but for rounding counts as reached
    reached = sum(_shared(left, right[order(generator)]) >= own for _ in range(permutations))
    return (1 + reached) / (1 + permutations)


def critic_p_value(
    scores: Float[Tensor, "m m"], test: Int[Array, " m"], rows: Rows, permutations: int, seed: int
) -> float:
    """How likely a mean score as large as that of the own pairs is, were each x paired with a y of another row.

    ``(1 + #{shuffles of y that reach it}) / (1 + shuffles)``, exact for any critic that was fitted to other pairs: its
    power depends on the critic, its level does not.
    """
    kept, order = rows.shuffles(test)
    generator = np.random.default_rng(seed)
    places = torch.from_numpy(kept).to(scores.device)
    own = scores[places, places].mean()
    reached = 0
    for count in _parts(permutations):
        others = torch.from_numpy(kept[np.stack([order(generator) for _ in range(count)])]).to(scores.device)
        means = scores[places, others].mean(dim=1)
        reached += int((~(means < own)).sum())  # whatever is no number counts as reached
    return (1 + reached) / (1 + permutations)


def normal_coordinates(z: Shaped[Array, "n *d"]) -> Float[Array, "n c"]:
    """Columns with a normal distribution, through their ranks; random combinations of them where they are many."""
    columns = z.reshape(len(z), -1).astype(np.float64)
    columns = columns[:, np.ptp(columns, axis=0) > 0]
    if columns.shape[1] > MOST_COORDINATES:
        deviations = columns.std(axis=0)
        weights = np.random.default_rng(0).normal(size=(columns.shape[1], MOST_COORDINATES))
        columns = columns @ (weights / np.where(deviations > 0, deviations, 1)[:, None])
    normal: Array = ndtri((rankdata(columns, axis=0) - 0.5) / len(columns))
    return normal


def _basis(columns: Float[Array, "n c"]) -> Float[Array, "n r"]:
    """Columns of length 1, orthogonal where they are few for the rows."""
    columns = columns - columns.mean(axis=0)
    if columns.shape[1] > 1 and len(columns) >= WHITENED * columns.shape[1]:
        left, values, _ = np.linalg.svd(columns, full_matrices=False)
        columns = left[:, values > 1e-3 * values[0]]
    else:
        columns = columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-12)
    basis: Array = columns.astype(np.float32)
    return basis


def _shared(left: Float[Array, "n r"], right: Float[Array, "n s"]) -> float:
    return float(((left.T @ right) ** 2).sum())


def _parts(count: int) -> list[int]:
    """A count in parts of at most 50, which keep memory small."""
    return [min(50, count - start) for start in range(0, count, 50)]
