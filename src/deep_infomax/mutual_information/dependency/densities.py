r"""Densities of a whole variable that need no network: normal, independent sources, and one common scale.

Each is fitted to coordinates u, one to one with those of the samples, and each is normalised, so

.. math:: \mathrm{E} \log \frac{q(u)}{\prod_i p(u_i)} = TC - KL(p \,\|\, q)

is a lower bound that needs no exponential mean. Each also maps samples to latent coordinates that are independent where
the density is the true one.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from scipy.integrate import trapezoid
from scipy.special import gammaln
from scipy.stats import chi2
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning

from deep_infomax.mutual_information.dependency.correlations import fit_correlations, normal_log_ratio
from deep_infomax.mutual_information.dependency.one_dimension import Table, fit_table

Array = np.ndarray

MOST_SOURCES: Final = 128
FEWEST_PER_SOURCE: Final = 10
"""Coordinates up to which, and samples of each from which on, other densities than the normal one are tried."""
GRID: Final = np.sinh(np.linspace(-4.1, 4.1, 81))
"""Places of a quadrature over one coordinate, in deviations from its mean given the others."""
MOST_SUMMED: Final = 1e7
"""Evaluations of a source's density by such a quadrature."""


@runtime_checkable
class Density(Protocol):
    """What all densities have."""

    @property
    def name(self) -> str:
        """In words."""
        ...

    def log_density(self, u: Float[Array, "n d"]) -> Float[Array, " n"]:
        """The log-density of each sample."""
        ...

    def log_conditionals(self, u: Float[Array, "n d"]) -> Float[Array, "p d"]:
        """The log-density of each coordinate given all others, of the first p samples."""
        ...

    def latents(self, u: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """Coordinates that are independent where the density is the true one."""
        ...


@dataclass(frozen=True)
class Normal:
    """Standard normal coordinates with correlations."""

    correlations: Float[Array, "d d"]
    name: str = "normal"

    def log_density(self, u: Float[Array, "n d"]) -> Float[Array, " n"]:
        """The log-density of each sample."""
        values: Array = normal_log_ratio(u, self.correlations) + log_standard_normal(u).sum(1)
        return values

    def log_conditionals(self, u: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """The log-density of each coordinate given all others."""
        precision = np.linalg.inv(self.correlations)
        own = np.diag(precision)
        values: Array = log_standard_normal((u @ precision) / np.sqrt(own)) + np.log(own) / 2
        return values

    def latents(self, u: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """Whitened, as close to the coordinates as can be."""
        latents: Array = u @ _inverse_root(self.correlations)
        return latents


@dataclass(frozen=True)
class Sources:
    """Linear mixtures of independent sources. Source: Hyvarinen, "Fast and robust fixed-point algorithms", 1999."""

    unmixing: Float[Array, "d d"]
    tables: tuple[Table, ...]
    normal: Normal
    name: str = "independent sources"

    def log_density(self, u: Float[Array, "n d"]) -> Float[Array, " n"]:
        """The log-density of each sample."""
        return self._log_density(self.latents(u))

    def log_conditionals(self, u: Float[Array, "n d"]) -> Float[Array, "p d"]:
        """The log-density of each coordinate given all others, of as many samples as time allows."""
        rows = u[: max(10, int(MOST_SUMMED / (len(GRID) * u.shape[1] ** 2)))]
        s, own = self.latents(rows), self.log_density(rows)
        terms = []
        for i, steps in enumerate(_steps(rows, self.normal)):
            moved = s[:, None] + steps[..., None] * self.unmixing[i]
            terms.append(own - _log_integral(self._log_density(moved), steps))
        return np.stack(terms, axis=1)

    def latents(self, u: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """The sources."""
        latents: Array = u @ self.unmixing
        return latents

    def _log_density(self, s: Float[Array, "*n d"]) -> Float[Array, "*n"]:
        total = np.full(s.shape[:-1], float(np.linalg.slogdet(self.unmixing)[1]))
        for j, table in enumerate(self.tables):
            total += table.log_density(s[..., j])
        return total


@dataclass(frozen=True)
class CommonScale:
    """Elliptical: normal directions, at a distance from the centre with any distribution."""

    whitening: Float[Array, "d d"]
    log_radius: Table
    normal: Normal
    name: str = "one common scale"

    def log_density(self, u: Float[Array, "n d"]) -> Float[Array, " n"]:
        """The log-density of each sample."""
        return self._log_density(_log_norm(u @ self.whitening))

    def log_conditionals(self, u: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """The log-density of each coordinate given all others."""
        s, own = u @ self.whitening, self.log_density(u)
        squares = (s**2).sum(1)
        terms = []
        for i, steps in enumerate(_steps(u, self.normal)):
            along, length = s @ self.whitening[i], (self.whitening[i] ** 2).sum()
            moved = squares[:, None] + 2 * steps * along[:, None] + steps**2 * length
            terms.append(own - _log_integral(self._log_density(np.log(np.maximum(moved, 1e-200)) / 2), steps))
        return np.stack(terms, axis=1)

    def latents(self, u: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """Normal coordinates of the same directions."""
        s = u @ self.whitening
        log_radius = _log_norm(s)
        share = np.clip(self.log_radius.below(log_radius), 1e-6, 1 - 1e-6)
        latents: Array = s * (np.sqrt(chi2.ppf(share, s.shape[1])) * np.exp(-log_radius))[:, None]
        return latents

    def _log_density(self, log_radius: Float[Array, "*n"]) -> Float[Array, "*n"]:
        d = len(self.whitening)
        sphere = math.log(2) + d / 2 * math.log(math.pi) - float(gammaln(d / 2))
        volume = np.linalg.slogdet(self.whitening)[1]
        values: Array = self.log_radius.log_density(log_radius) - d * log_radius - sphere + volume
        return values


def fit_normal(u: Float[Array, "n d"], validation: Float[Array, "p d"]) -> Normal:
    """The normal density of standardised coordinates."""
    return Normal(fit_correlations(u, validation))


def fit_others(u: Float[Array, "n d"], validation: Float[Array, "p d"], normal: Normal) -> list[Density]:
    """The other densities of standardised coordinates, where there are few coordinates and samples enough."""
    n, d = u.shape
    if d > MOST_SOURCES or n < FEWEST_PER_SOURCE * d:
        return []
    return [_fit_sources(u, validation, normal), _fit_common_scale(u, validation, normal)]


def log_standard_normal(u: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """The log-density of a standard normal variable."""
    values: Array = -(u**2) / 2 - math.log(2 * math.pi) / 2
    return values


def _fit_sources(u: Float[Array, "n d"], validation: Float[Array, "p d"], normal: Normal) -> Sources:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a rough fit is a candidate, too
        model = FastICA(whiten="unit-variance", max_iter=100, tol=1e-3, random_state=0).fit(u)
    unmixing = model.components_.T
    fitted, validated = u @ unmixing, validation @ unmixing
    tables = tuple(fit_table(*columns) for columns in zip(fitted.T, validated.T, strict=True))
    return Sources(unmixing, tables, normal)


def _fit_common_scale(u: Float[Array, "n d"], validation: Float[Array, "p d"], normal: Normal) -> CommonScale:
    whitening = _inverse_root(normal.correlations)
    for _ in range(5):  # towards Tyler's shape, to which samples far out are worth no more than others
        s = u @ whitening
        s *= np.exp(-_log_norm(s))[:, None]
        whitening = whitening @ _inverse_root(s.T @ s * (u.shape[1] / len(s)))
    radii = (_log_norm(z @ whitening) for z in (u, validation))
    return CommonScale(whitening, fit_table(*radii), normal)


def _steps(u: Float[Array, "n d"], normal: Normal) -> list[Float[Array, "n g"]]:
    """For each coordinate, how far the places of a quadrature given all others are from its own values."""
    precision = np.linalg.inv(normal.correlations)
    own = np.diag(precision)
    return [GRID / np.sqrt(own[i]) - ((u @ precision[:, i]) / own[i])[:, None] for i in range(len(own))]


def _log_integral(log_values: Float[Array, "n g"], places: Float[Array, "n g"]) -> Float[Array, " n"]:
    """The logarithm of an integral by the trapezoidal rule."""
    top = log_values.max(axis=1, keepdims=True)
    values: Array = np.log(trapezoid(np.exp(log_values - top), places, axis=1)) + top[:, 0]
    return values


def _log_norm(s: Float[Array, "n d"]) -> Float[Array, " n"]:
    values: Array = np.log(np.maximum(np.linalg.norm(s, axis=1), 1e-100))
    return values


def _inverse_root(matrix: Float[Array, "d d"]) -> Float[Array, "d d"]:
    values, vectors = np.linalg.eigh(matrix)
    root: Array = (vectors / np.sqrt(np.maximum(values, 1e-12))) @ vectors.T
    return root
