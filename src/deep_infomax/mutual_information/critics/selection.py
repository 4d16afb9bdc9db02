r"""Which coordinates of x and y depend on one another pair by pair, so that a network need not search among all.

Each coordinate is described by features that no monotone map changes: cosines of its ranks u, a complete basis,

.. math:: f_k(u) = \sqrt{2} \cos(\pi k u), \qquad k = 1, \dots, K,

or, where it is discrete, one indicator for each level. For independent coordinates i of x and j of y the sum of the
squared correlations of their features, times n, has nearly a chi-squared distribution. The pairs above its limit, at a
level that all pairs share, are those that depend on one another as far as can be seen.
"""

import math
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtr
from scipy.stats import chi2

from deep_infomax.mutual_information.critics.columns import ColumnReader

Array = np.ndarray
WAVES: Final = 6
"""Cosines of each continuous coordinate."""
LEVEL: Final = 1e-3
"""Probability that any pair of coordinates is found where all are independent."""


def dependent_coordinates(
    x: tuple[Float[Array, "n fx"], Int[Array, " fx"]], y: tuple[Float[Array, "n fy"], Int[Array, " fy"]]
) -> tuple[Bool[Array, " dx"], Bool[Array, " dy"]]:
    """Which coordinates of x depend on one of y, and which of y on one of x.

    Args:
        x: Features of x, and the coordinate that each belongs to; every coordinate has one at least.
        y: Features of y, row by row, likewise.

    >>> from deep_infomax.mutual_information.critics.columns import fit_reader
    >>> x, y = np.random.default_rng(0).normal(size=(2, 2000, 3))
    >>> y[:, 2] += x[:, 0] ** 2
    >>> dependent_coordinates(rank_features(fit_reader(x, True), x), rank_features(fit_reader(y, True), y))
    (array([ True, False, False]), array([False, False,  True]))
    """
    (fx, of_x), (fy, of_y) = x, y
    squared = (_standardised(fx).T @ _standardised(fy) / len(fx)) ** 2 * len(fx)
    dx, dy = of_x.max() + 1, of_y.max() + 1
    sums = np.zeros((dx, dy))
    np.add.at(sums, (of_x[:, None], of_y[None]), squared)
    counts = np.outer(np.bincount(of_x, minlength=dx), np.bincount(of_y, minlength=dy))
    found = sums > chi2.ppf(1 - LEVEL / (dx * dy), counts)
    return found.any(axis=1), found.any(axis=0)


def rank_features(reader: ColumnReader, columns: Float[Array, "n d"]) -> tuple[Float[Array, "n f"], Int[Array, " f"]]:
    """Cosines of the ranks of continuous columns and levels of discrete ones, and the column that each belongs to."""
    normal, codes = reader.to_normal(columns), reader.codes(columns)
    parts = [
        codes[column][:, :-1] if column in codes else np.cos(np.outer(ndtr(values), math.pi * np.arange(1, WAVES + 1)))
        for column, values in enumerate(normal.T)
    ]
    return np.concatenate(parts, axis=1), np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])


def _standardised(features: Float[Array, "n f"]) -> Float[Array, "n f"]:
    deviations = features.std(axis=0)
    scaled: Array = (features - features.mean(axis=0)) / np.where(deviations > 0, deviations, 1.0)
    return scaled
