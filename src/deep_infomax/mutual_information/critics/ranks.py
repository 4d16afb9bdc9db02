"""Rank-Gaussianising: each coordinate through its own ranks to a standard normal distribution."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

Array = np.ndarray


def rank_gaussianiser(x: Float[Array, "n d"]) -> Callable[[Float[Array, "p d"]], Float[Array, "p d"]]:
    """The map that gives each coordinate of x a standard normal distribution, for other samples of the same variable.

    A value is mapped to ``ndtri(r)``, r being the share of x below it, equal values counted half; it is linear between
    the values of x and constant beyond them. As it is increasing in each coordinate, mutual information stays what it
    was but for what the clamped tails lose. Source: the non-paranormal transform of Liu et al., "The nonparanormal:
    semiparametric estimation of high dimensional undirected graphs", 2009, arXiv 0903.0649.

    >>> x = np.array([[0.0], [1.0], [10.0]])
    >>> rank_gaussianiser(x)(np.array([[-5.0], [0.0], [1.0], [5.5], [99.0]])).round(3).ravel().tolist()
    [-0.967, -0.967, 0.0, 0.484, 0.967]
    """
    tables = []
    for column in x.T:
        values, counts = np.unique(column, return_counts=True)
        tables.append((values, ndtri((np.cumsum(counts) - counts / 2) / len(x))))

    def gaussianise(sample: Float[Array, "p d"]) -> Float[Array, "p d"]:
        columns = zip(sample.T, tables, strict=True)
        return np.stack([np.interp(column, values, normal) for column, (values, normal) in columns], axis=1)

    return gaussianise
