r"""The normal model of one variable with dependent coordinates: its correlation matrix, and log-ratios that follow.

For standard normal coordinates with correlation matrix R,

.. math:: \log \frac{p(z)}{\prod_i p(z_i)} = -\tfrac{1}{2} \log \det R - \tfrac{1}{2} z^T (R^{-1} - 1) z
"""

import warnings
from collections.abc import Iterator
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning

Array = np.ndarray

SMALLEST_EIGENVALUE: Final = 1e-10


def fit_correlations(z: Float[Array, "n d"], validation: Float[Array, "p d"]) -> Float[Array, "d d"]:
    """The correlation matrix, of several regular forms, under which validation samples are likeliest.

    The sample's own matrix costs a held-out estimate about ``d (d - 1) / (4 n)`` nats, the noise in its entries. The
    others are shrunk towards independence, without correlations that are small for a sample of this size, or of a few
    common factors.
    """
    matrices = list(_candidates(z))
    return matrices[int(np.argmax([normal_log_ratio(validation, matrix).mean() for matrix in matrices]))]


def normal_log_ratio(z: Float[Array, "n d"], correlations: Float[Array, "d d"]) -> Float[Array, " n"]:
    """The log-ratio of each sample of standard normal coordinates."""
    inverse = np.linalg.inv(correlations) - np.eye(len(correlations))
    values: Array = -np.linalg.slogdet(correlations)[1] / 2 - np.einsum("ni,ij,nj->n", z, inverse, z, optimize=True) / 2
    return values


def conditionals(
    correlations: Float[Array, "d d"], factors: Int[Array, " t"], contexts: Bool[Array, "t d"]
) -> tuple[Float[Array, "t d"], Float[Array, " t"]]:
    """For each term t, coordinate ``factors[t]`` given ``contexts[t]``: the weights of its mean, and its variance."""
    weights = np.zeros((len(factors), len(correlations)))
    for term, (factor, context) in enumerate(zip(factors, contexts, strict=True)):
        inside = np.flatnonzero(context)
        weights[term, inside] = np.linalg.solve(correlations[np.ix_(inside, inside)], correlations[inside, factor])
    explained = np.einsum("td,dt->t", weights, correlations[:, factors])
    return weights, np.maximum(1 - explained, SMALLEST_EIGENVALUE)


def _candidates(z: Float[Array, "n d"]) -> Iterator[Float[Array, "d d"]]:
    n, d = z.shape
    with np.errstate(invalid="ignore"):
        sample = np.nan_to_num(np.corrcoef(z.T))  # a coordinate that is constant here correlates with none
    np.fill_diagonal(sample, 1.0)
    for shrinkage in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0):
        yield _regular((1 - shrinkage) * sample + shrinkage * np.eye(d))
    for errors in (2, 3, 4):
        yield _regular(np.where(np.abs(sample) * np.sqrt(n) > errors, sample, 0) * (1 - np.eye(d)) + np.eye(d))
    # Few rows with the sample's correlations, as the model reads no more of it, and each of its iterations reads all.
    root = np.linalg.cholesky(_regular(sample)).T * np.sqrt(d)
    rows = np.concatenate([root, -root])
    for factors in (1, 2, 4, 8, 16):
        if 2 * factors < d:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # a rough fit is a candidate, too
                covariance = FactorAnalysis(factors, svd_method="lapack", max_iter=200).fit(rows).get_covariance()
            scale = np.sqrt(np.diag(covariance))
            yield _regular(covariance / np.outer(scale, scale))


def _regular(matrix: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """The matrix with eigenvalues that are positive and a diagonal of ones."""
    values, vectors = np.linalg.eigh(matrix)
    if values[0] >= SMALLEST_EIGENVALUE:
        return matrix
    mended = (vectors * np.maximum(values, SMALLEST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(mended))
    regular: Array = mended / np.outer(scale, scale)
    return regular
