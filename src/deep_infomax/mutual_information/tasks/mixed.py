"""Variables that are partly discrete, rounded or heavy-tailed, and noise that multiplies.

Sources: Gao et al., "Estimating mutual information for discrete-continuous mixtures", 2017, arXiv 1709.06212, for
atoms beside a density and for counts with too many zeros (whose exact value is computed here).
"""

import math

import numpy as np
from scipy import integrate, special, stats

from deep_infomax.mutual_information.tasks.densities import NORMAL, NORMAL_WEIGHTS, Blurred, log_normal_density
from deep_infomax.mutual_information.tasks.pairs import random_scale
from deep_infomax.mutual_information.tasks.task import Sample, Task, entropy

Array = np.ndarray


def counts_with_zeros(name: str, zeros: float, rate: float, tolerance: float) -> Task:
    """X exponential; Y is 0 with probability q, else a Poisson count of mean X: ``I = H(Y) - H(Y | X)``."""
    nodes, weights = np.polynomial.laguerre.laggauss(100)
    counts = np.arange(200)

    def conditional(x: Array, y: Array) -> Array:
        value: Array = zeros * (y == 0) + (1 - zeros) * stats.poisson.pmf(y, x)
        return value

    # Poisson counts of an exponential mean are geometric.
    marginal = zeros * (counts == 0) + (1 - zeros) * stats.geom.pmf(counts + 1, 1 / (1 + rate))
    given_x = conditional(rate * nodes[:, None], counts)
    truth = float(weights @ special.xlogy(given_x, given_x).sum(1) - special.xlogy(marginal, marginal).sum())

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x = generator.exponential(rate, n)
        y = np.where(generator.random(n) < zeros, 0, generator.poisson(x))
        return Sample(x[:, None], y[:, None], np.log(conditional(x, y) / marginal[y]))

    return Task(name, truth, tolerance, draw)


def censored(name: str, noise: float, tolerance: float) -> Task:
    """X standard normal, Y = max(0, X + s E), so that half of all Y are 0.

    By symmetry the positive half of Y brings half of what X + s E would: ``I = 1/4 log(1 + 1 / s^2) + int phi(x) q(x)
    log 2 q(x) dx`` with ``q(x) = Phi(-x / s)``, the probability of 0; by quadrature.
    """
    log_zero = special.log_ndtr(-NORMAL / noise)
    truth = math.log1p(noise**-2) / 4 + float(NORMAL_WEIGHTS @ (np.exp(log_zero) * (log_zero + math.log(2))))

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x, error = generator.standard_normal((2, n))
        y = np.maximum(0, x + noise * error)
        density = log_normal_density(y - x, noise) - log_normal_density(y, math.hypot(1, noise))
        ratio = np.where(y > 0, density, special.log_ndtr(-x / noise) + math.log(2))
        return Sample(x[:, None], y[:, None], ratio)

    return Task(name, truth, tolerance, draw)


def rounded(name: str, rho: float, width: float, tolerance: float) -> Task:
    """Normal X and Y with correlation r, Y rounded to multiples of w: ``I = H(Y) - H(Y | X)``, by quadrature."""
    free = math.sqrt(1 - rho**2)
    edges = width * (np.arange(-math.ceil(9 / width), math.ceil(9 / width) + 2) - 0.5)
    marginal = np.diff(special.ndtr(edges))
    x_nodes, weights = NORMAL[::20], NORMAL_WEIGHTS[::20] / NORMAL_WEIGHTS[::20].sum()
    given_x = np.diff(special.ndtr((edges - rho * x_nodes[:, None]) / free), axis=1)
    truth = float(weights @ special.xlogy(given_x, given_x).sum(1) - special.xlogy(marginal, marginal).sum())

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x, error = generator.standard_normal((2, n))
        cell = np.rint((rho * x + free * error) / width)
        around = width * (cell + np.array([[-0.5], [0.5]]))
        low, high = special.ndtr((around - rho * x) / free)
        below, above = special.ndtr(around)
        return Sample(x[:, None], width * cell[:, None], np.log((high - low) / (above - below)))

    return Task(name, truth, tolerance, draw)


def atoms_and_normal(name: str, share: float, rho: float, agree: float, tolerance: float) -> Task:
    """With probability q both X and Y are -1 or 1 and agree with probability a, else normal with correlation r.

    Either variable shows which it is, so ``I = H(q) + q (log 2 - H(a)) - (1 - q)/2 log(1 - r^2)``.
    """
    truth = entropy(share, 1 - share) + share * (math.log(2) - entropy(agree, 1 - agree))
    truth -= (1 - share) * math.log(1 - rho**2) / 2

    def draw(generator: np.random.Generator, n: int) -> Sample:
        atom, equal = generator.random(n) < share, generator.random(n) < agree
        x, error = generator.standard_normal((2, n))
        y = rho * x + math.sqrt(1 - rho**2) * error
        normal = log_normal_density(y - rho * x, math.sqrt(1 - rho**2)) - log_normal_density(y) - math.log(1 - share)
        sign = np.where(generator.random(n) < 0.5, -1.0, 1.0)
        discrete = np.log(2 * np.where(equal, agree, 1 - agree)) - math.log(share)
        x, y = np.where(atom, sign, x), np.where(atom, np.where(equal, sign, -sign), y)
        return Sample(x[:, None], y[:, None], np.where(atom, discrete, normal))

    return Task(name, truth, tolerance, draw)


def laplace(name: str, scale: float, tolerance: float) -> Task:
    """X Laplace of scale 1, Y = X + Laplace noise of scale b: ``I = h(Y) - 1 - log 2 b``, by quadrature.

    ``p(y) = (exp(-|y|) - b exp(-|y| / b)) / (2 (1 - b^2))``.
    """

    def density(y: Array) -> Array:
        value: Array = (np.exp(-np.abs(y)) - scale * np.exp(-np.abs(y) / scale)) / (2 * (1 - scale**2))
        return value

    grid = np.linspace(0, 60, 200_001)
    entropy_of_y = -2 * float(integrate.simpson(special.xlogy(density(grid), density(grid)), x=grid))

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x, error = generator.laplace(size=(2, n))
        y = x + scale * error
        ratio = -np.abs(error) - math.log(2 * scale) - np.log(density(y))
        return Sample(x[:, None], y[:, None], ratio)

    return Task(name, entropy_of_y - 1 - math.log(2 * scale), tolerance, draw)


def cauchy(name: str, scale: float, tolerance: float) -> Task:
    """X Cauchy of scale 1, Y = X + Cauchy noise of scale g: ``I = log(1 + 1 / g)``, as Y is Cauchy of scale 1 + g."""

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x, error = generator.standard_cauchy((2, n))
        y = x + scale * error
        total = 1 + scale
        ratio = math.log(total / scale) + np.log1p((y / total) ** 2) - np.log1p(error**2)
        return Sample(x[:, None], y[:, None], ratio)

    return Task(name, math.log1p(1 / scale), tolerance, draw)


def multiplied(name: str, spread: float, tolerance: float) -> Task:
    """X standard normal, Y = X exp(s E): ``I = log 2 + h(log|X| + s E) - h(s E)``, as the sign stays; by quadrature."""
    between = (NORMAL[1:] + NORMAL[:-1]) / 2  # without 0
    size = Blurred(np.log(np.abs(between)), np.exp(-(between**2) / 2), spread)
    truth = math.log(2) + size.entropy - math.log(2 * math.pi * math.e * spread**2) / 2

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x, error = generator.standard_normal((2, n))
        y = x * np.exp(spread * error)
        ratio = math.log(2) + log_normal_density(spread * error, spread) - size.log_density(np.log(np.abs(y)))
        return Sample(x[:, None], y[:, None], ratio)

    return Task(name, truth, tolerance, draw)


def variance_of_many(name: str, d: int, spread: float, tolerance: float) -> Task:
    """Y = exp(s u) E, where u is the sum of d normal coordinates over sqrt(d): they set the variance of Y, no mean.

    ``I = h(s u + L) - h(L)`` with ``L = log|E|`` and ``h(L) = 1/2 (log(pi e / 2) + gamma + log 2)``; by quadrature.
    """
    between = (NORMAL[1:] + NORMAL[:-1]) / 2
    size = Blurred(np.log(np.abs(between)), np.exp(-(between**2) / 2), spread)
    truth = size.entropy - (math.log(math.pi * math.e / 2) + np.euler_gamma + math.log(2)) / 2

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x, error = generator.standard_normal((n, d)), generator.standard_normal(n)
        log_scale = spread * x.sum(1) / math.sqrt(d)
        log_size = np.log(np.abs(error))
        given_x = math.log(2) + log_normal_density(error) + log_size
        y = np.exp(log_scale) * error
        return Sample(x, y[:, None], given_x - size.log_density(log_scale + log_size))

    return Task(name, truth, tolerance, draw)


def variance_of_each(name: str, d: int, tolerance: float) -> Task:
    """Y_i = exp(X_i) E_i in each of d coordinates: d times `random_scale`."""
    one = random_scale("", tolerance)

    def draw(generator: np.random.Generator, n: int) -> Sample:
        parts = [one.draw(generator, n) for _ in range(d)]
        x, y, ratios = (np.column_stack(part) for part in zip(*parts, strict=True))
        return Sample(x, y, ratios.sum(1))

    return Task(name, d * one.truth, tolerance, draw)


def tasks() -> list[Task]:
    """One coordinate on either side, but for the last two."""
    return [
        counts_with_zeros("counts-with-zeros", 0.3, 3.0, 0.05),
        censored("censored", 0.3, 0.05),
        rounded("rounded", 0.9, 0.25, 0.05),
        rounded("rounded-coarse", 0.8, 1.0, 0.05),
        atoms_and_normal("atoms-and-normal", 0.4, 0.8, 0.9, 0.1),
        laplace("laplace", 0.3, 0.05),
        cauchy("cauchy", 0.5, 0.05),
        multiplied("multiplied", 0.5, 0.1),
        variance_of_many("variance-of-10", 10, 1.0, 0.1),
        variance_of_each("variance-5", 5, 0.3),
    ]
