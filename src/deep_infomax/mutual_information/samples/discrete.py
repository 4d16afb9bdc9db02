r"""Information of categories from counts, and of categories and densities from neighbours: second opinions on a critic.

With the counts k of the levels of a variable, which sum to n, an entropy is estimated by

.. math:: \hat H = \log n - \frac{1}{n} \sum_k \varphi(k), \qquad
    \varphi_\text{plug-in}(k) = k \log k, \quad
    \varphi_\text{Miller-Madow}(k) = k \log k - \tfrac{1}{2}, \quad
    \varphi_\text{Grassberger}(k) = k \psi(k) + \tfrac{k}{2} (-1)^k
    \left[\psi\left(\tfrac{k + 1}{2}\right) - \psi\left(\tfrac{k}{2}\right)\right]

(less 1 / 2n by Miller and Madow), and information by H(X) + H(Y) - H(X, Y). The plug-in reads too much, by about half a
nat for every two free cells of the table and sample; Miller and Madow take that away to first order. Grassberger's sum
is exact for counts that are Poisson distributed, but for a remainder that falls fast with them. Of tables whose cells
hold five samples and more all three agree; of tables whose samples are mostly alone in their cells none is right, which
the coverage 1 - (cells with one sample) / n tells.

Sources: Miller, "Note on the bias of information estimates", 1955; Grassberger, "Entropy estimates from insufficient
samplings", 2003, arXiv physics/0307138; Good, "The population frequencies of species and the estimation of population
parameters", 1953; Chao and Shen, "Nonparametric estimation of Shannon's index of diversity when there are unseen
species in sample", 2003; Ross, "Mutual information between discrete and continuous data sets", 2014, PLoS ONE 9(2)
e87357.
"""

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.spatial import KDTree
from scipy.special import digamma, xlogy

Array = np.ndarray
COVERED: Final = 0.95
"""Coverage from which on an estimate by counts is believed."""
SURE: Final = 3.0
"""Standard errors above an entropy, up to which it may be."""


class Reading(NamedTuple):
    """Information in nats, and its standard error."""

    value: float
    error: float


def codes_of(columns: Shaped[Array, "n d"]) -> Int[Array, " n"]:
    """A number for every different row, from 0 on, in the order of the rows' values.

    >>> codes_of(np.array([[2.0, 1.0], [1.0, 5.0], [2.0, 1.0]])).tolist()
    [1, 0, 1]
    """
    one = columns.shape[1] == 1  # a row of one value is compared faster as that value
    found = np.unique(columns[:, 0], return_inverse=True) if one else np.unique(columns, axis=0, return_inverse=True)
    codes: Array = found[1].reshape(-1)
    return codes


def coverage(codes: Int[Array, " n"]) -> float:
    """The share of the distribution that levels in the samples hold, by Good and Turing.

    >>> coverage(np.array([0, 0, 1, 2]))
    0.5
    """
    return 1 - float(np.sum(np.unique(codes, return_counts=True)[1] == 1)) / len(codes)


def plug_in(x: Int[Array, " n"], y: Int[Array, " n"]) -> Reading:
    """Information of two categorical variables from the shares of their pairs, which reads too much.

    Args:
        x: Codes of one variable.
        y: Of the other, row by row.

    Returns:
        Nats, and the standard error of the jackknife.
    """
    return _by_counts(x, y, lambda counts: xlogy(counts, counts))


def miller_madow(x: Int[Array, " n"], y: Int[Array, " n"]) -> Reading:
    """The same with the correction of Miller and Madow, which counts the cells."""
    reading = _by_counts(x, y, lambda counts: xlogy(counts, counts) - (counts > 0) / 2)
    return reading._replace(value=reading.value - 1 / (2 * len(x)))


def grassberger(x: Int[Array, " n"], y: Int[Array, " n"]) -> Reading:
    """The same with Grassberger's sums, the least biased where cells hold few samples; with Miller and Madow's error.

    The sums differ between even and odd counts, so without a sample they say little of the error.

    >>> x, noise = np.random.default_rng(0).integers(0, [[50], [5]], (2, 1000))
    >>> [round(read(x, (x + noise) % 50).value, 2) for read in (plug_in, miller_madow, grassberger)]  # truth: 2.30
    [2.39, 2.32, 2.31]
    """
    return Reading(_by_counts(x, y, _grassberger_sum).value, miller_madow(x, y).error)


def ross_pointwise(codes: Int[Array, " n"], values: Float[Array, "n d"], k: int = 3) -> Float[Array, " m"]:
    r"""The contribution of each sample to the information of a categorical and a continuous variable, in nats.

    .. math:: \psi(n) - \psi(n_c) + \psi(k) - \psi(m)

    n_c is the number of samples of the same level, and m that of all samples no further than the k-th neighbour among
    these, which is counted and the sample itself is not. Where a level has no k neighbours, k is n_c - 1. Samples alone
    in their level are left out of all numbers. Distances are in the maximum norm; the estimate is the mean.

    Args:
        codes: Of the categorical variable.
        values: Of the continuous one, without equal ones.
        k: The neighbour that sets the distance.

    Raises ValueError if all samples are alone in their levels.
    """
    levels, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    kept = counts[inverse] > 1
    if not kept.any():
        raise ValueError(f"all {len(levels)} levels have one sample each; give levels that recur")
    values, inverse, n_c = values[kept], inverse[kept], counts[inverse][kept]
    distances = np.empty(len(values))
    near = np.minimum(k, n_c - 1)
    order = np.argsort(inverse, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(inverse[order])) + 1):
        within = KDTree(values[rows])
        distances[rows] = within.query(values[rows], k=[near[rows[0]] + 1], p=np.inf)[0][:, 0]
    m = KDTree(values).query_ball_point(values, distances, p=np.inf, return_length=True) - 1
    pointwise: Array = digamma(len(values)) - digamma(n_c) + digamma(near) - digamma(m)
    return pointwise


def ross(codes: Int[Array, " n"], values: Float[Array, "n d"], k: int = 3) -> Reading:
    """The mean of `ross_pointwise`, with its standard error."""
    pointwise = ross_pointwise(codes, values, k)
    return Reading(float(pointwise.mean()), float(pointwise.std()) / math.sqrt(len(pointwise)))


def entropy_limit(codes: Int[Array, " n"]) -> float:
    r"""What the entropy of a categorical variable hardly exceeds, in nats: no other can share more with it.

    The logarithm of the number of levels holds only where none is missing from the samples, and is far too high where
    few levels hold most of them. This is the larger of Grassberger's estimate and that of Chao and Shen, which allows
    for unseen levels, and three standard errors; infinite below a coverage of 0.95.

    .. math:: s^2 = \frac{\mathrm{var} \log \hat p}{n} + \frac{K - 1}{2 n^2}

    The second term is that of K levels that are equally likely, for which the first one vanishes.
    """
    n = len(codes)
    counts = np.unique(codes, return_counts=True)[1]
    covered = 1 - float((counts == 1).sum()) / n
    if covered < COVERED:
        return math.inf
    shares = covered * counts / n
    chao_shen = -float((xlogy(shares, shares) / -np.expm1(n * np.log1p(-np.minimum(shares, 1 - 1e-12)))).sum())
    smooth = math.log(n) - float(_grassberger_sum(counts).sum()) / n
    logs = np.log(counts / n)
    variance = float((counts * logs**2).sum() / n - (float((counts * logs).sum()) / n) ** 2)
    error = math.sqrt(max(variance, 0.0) / n + (len(counts) - 1) / (2 * n**2))
    limit = max(chao_shen, smooth) + SURE * error
    return min(limit, math.log(len(counts))) if covered == 1 else limit


def _grassberger_sum(counts: Int[Array, " k"]) -> Float[Array, " k"]:
    k = np.maximum(counts, 1).astype(float)
    signs = np.where(counts % 2 == 0, 1.0, -1.0)
    terms: Array = np.where(counts > 0, k * digamma(k) + k / 2 * signs * (digamma((k + 1) / 2) - digamma(k / 2)), 0.0)
    return terms


def _by_counts(x: Int[Array, " n"], y: Int[Array, " n"], phi: Callable[[Array], Array]) -> Reading:
    """Information from the sums of phi; its error from the values without each sample in turn, equal within a cell."""
    n = len(x)
    cells, counts = np.unique(np.stack([x, y], axis=1), axis=0, return_counts=True)
    value, without = math.log(n), np.full(len(cells), math.log(n - 1))
    for part, sign in ((cells[:, 0], 1), (cells[:, 1], 1), (np.arange(len(cells)), -1)):
        place = np.unique(part, return_inverse=True)[1]
        sums = np.bincount(place, weights=counts).astype(int)
        total = float(phi(sums).sum())
        value -= sign * total / n
        without -= sign * (total - phi(sums) + phi(sums - 1))[place] / (n - 1)
    mean = float((counts * without).sum()) / n
    return Reading(value, math.sqrt((n - 1) / n * float((counts * (without - mean) ** 2).sum())))
