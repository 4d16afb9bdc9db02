r"""The log-ratio of two jointly normal variables, in their canonical coordinates.

Canonical correlation analysis turns jointly normal x and y into standard normal coordinates u and v of which only u_i
and v_i depend on one another, with correlation r_i. In these

.. math::
    \log \frac{p(x, y)}{p(x) p(y)} = \sum_i \left[ -\frac{1}{2} \log(1 - r_i^2)
    + \frac{r_i u_i v_i - r_i^2 (u_i^2 + v_i^2) / 2}{1 - r_i^2} \right]

and the mutual information is the sum of the first terms.

Source: Hotelling, "Relations between two sets of variates", 1936.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Array = np.ndarray


@dataclass(frozen=True)
class NormalRatio:
    """A fitted log-ratio, ``T(x, y) = a(x) + b(y) + <f(x), g(y)>``."""

    mean_x: Float[Array, " dx"]
    mean_y: Float[Array, " dy"]
    to_canonical_x: Float[Array, "dx dx"]
    """From centred x to canonical coordinates, the most correlated first."""
    to_canonical_y: Float[Array, "dy dy"]
    correlations: Float[Array, " r"]
    """Canonical correlations, the largest first; those left out are taken for 0."""

    def canonical(
        self, x: Float[Array, "n dx"], y: Float[Array, "p dy"]
    ) -> tuple[Float[Array, "n dx"], Float[Array, "p dy"]]:
        """All canonical coordinates of x and of y."""
        return (x - self.mean_x) @ self.to_canonical_x, (y - self.mean_y) @ self.to_canonical_y

    def pointwise(self, x: Float[Array, "n dx"], y: Float[Array, "n dy"]) -> Float[Array, " n"]:
        """The log-ratio of each pair."""
        terms: Array = _terms(*self.canonical(x, y), self.correlations).sum(axis=1)
        return terms

    def factors(
        self, x: Float[Array, "n dx"], y: Float[Array, "p dy"]
    ) -> tuple[Float[Array, "n r2"], Float[Array, "p r2"]]:
        """Rows whose dot products are the log-ratios of every x with every y."""
        r = self.correlations
        u, v = (z[:, : len(r)] for z in self.canonical(x, y))
        weights = r / (1 - r**2)
        single_x, single_y = (-(weights * r / 2 * z**2).sum(axis=1, keepdims=True) for z in (u, v))
        single_x -= np.log1p(-(r**2)).sum() / 2
        ones = np.ones_like
        return (
            np.concatenate([u * weights, single_x, ones(single_x)], axis=1),
            np.concatenate([v, ones(single_y), single_y], axis=1),
        )


def fit_normal_ratio(
    x: Float[Array, "n dx"],
    y: Float[Array, "n dy"],
    validation: tuple[Float[Array, "p dx"], Float[Array, "p dy"]] | None = None,
) -> NormalRatio:
    """Fit the log-ratio to pairs; with validation pairs, keep as many correlations as fit those best.

    A correlation that is only sampling noise costs a held-out estimate about as much as a true one of that size would
    give it, and with many coordinates there are many. Correlations are below 1 by at least 1e-7, so that x = y gives a
    large figure and not an infinite one.
    """
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    whiten_x, whiten_y = _whitening(x - mean_x), _whitening(y - mean_y)
    cross = ((x - mean_x) @ whiten_x).T @ ((y - mean_y) @ whiten_y) / len(x)
    left, correlations, right = np.linalg.svd(cross)
    correlations = np.minimum(correlations, 1 - 1e-7)
    fitted = NormalRatio(mean_x, mean_y, whiten_x @ left, whiten_y @ right.T, correlations)
    if validation is None:
        return fitted
    gains = _terms(*fitted.canonical(*validation), correlations).mean(axis=0)
    best = int(np.argmax(np.cumsum(np.concatenate([[0.0], gains]))))
    return NormalRatio(mean_x, mean_y, fitted.to_canonical_x, fitted.to_canonical_y, correlations[:best])


def _terms(u: Float[Array, "n dx"], v: Float[Array, "n dy"], r: Float[Array, " r"]) -> Float[Array, "n r"]:
    u, v = u[:, : len(r)], v[:, : len(r)]
    terms: Array = -np.log1p(-(r**2)) / 2 + (r * u * v - r**2 * (u**2 + v**2) / 2) / (1 - r**2)
    return terms


def _whitening(centred: Float[Array, "n d"]) -> Float[Array, "d d"]:
    """W with ``centred @ W`` of unit covariance, apart from directions in which the sample hardly varies."""
    variances, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    whitening: Array = directions / np.sqrt(np.maximum(variances, max(1e-9 * variances[-1], 1e-12)))
    return whitening
