"""Variables whose coordinates share sources, a scale or signs, with a known total correlation."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats
from scipy.integrate import trapezoid

from deep_infomax.mutual_information.tasks.dependency import DependencyTask, JointSample
from deep_infomax.mutual_information.tasks.mixing import mixed_sources

Array = np.ndarray


def mapped(
    name: str, task: DependencyTask, one_to_one: Callable[[Float[Array, "n d"]], Float[Array, "n d"]], tolerance: float
) -> DependencyTask:
    """The coordinates of another task, each by itself through a map that can be undone: the truth is the same."""

    def draw(generator: np.random.Generator, n: int) -> JointSample:
        z, log_ratio = task.draw(generator, n)
        return JointSample(one_to_one(z), log_ratio)

    return DependencyTask(name, task.truth, tolerance, draw)


def mixture_of_sources(name: str, source: Any, mixing: Float[Array, "d d"], tolerance: float) -> DependencyTask:
    r"""Linear mixtures ``z = A s`` of independent sources s, every row of A with the same values in another order.

    .. math:: TC = \sum_i h(z_i) - \sum_j h(s_j) - \log |\det A|
    """
    own, mixed = mixed_sources(source, mixing[0])
    volume = float(np.linalg.slogdet(mixing)[1])
    d = len(mixing)

    def draw(generator: np.random.Generator, n: int) -> JointSample:
        s = source.rvs(size=(n, d), random_state=generator)
        z = s @ mixing.T
        return JointSample(z, source.logpdf(s).sum(1) - volume - mixed.log_density(z).sum(1))

    return DependencyTask(name, d * mixed.entropy - d * own - volume, tolerance, draw)


def circulant(*first: float, d: int) -> Float[Array, "d d"]:
    """The matrix whose first row begins with these values and whose other rows are rotations of it."""
    row = np.zeros(d)
    row[: len(first)] = first
    return np.stack([np.roll(row, i) for i in range(d)])


def common_scale(name: str, d: int, freedom: float, tolerance: float) -> DependencyTask:
    r"""Uncorrelated Student-t: independent normal coordinates, all divided by one random scale.

    .. math:: TC = d \, h(t_\nu) - h(t_{\nu, d})
    """
    whole, one = stats.multivariate_t(np.zeros(d), np.eye(d), freedom), stats.t(freedom)

    def draw(generator: np.random.Generator, n: int) -> JointSample:
        scale = np.sqrt(generator.chisquare(freedom, (n, 1)) / freedom)
        z = generator.standard_normal((n, d)) / scale
        return JointSample(z, whole.logpdf(z) - one.logpdf(z).sum(1))

    return DependencyTask(name, d * float(one.entropy()) - float(whole.entropy()), tolerance, draw)


def nearly_equal_sensors(name: str, d: int, noise: float, tolerance: float) -> DependencyTask:
    """D readings of one uniform value, each with normal noise of its own.

    Of the readings only the mean knows the value, so the density is that of the mean times that of normal residuals.
    """

    def log_density(z: Float[Array, "*n"], deviation: float) -> Float[Array, "*n"]:
        mass = stats.norm.cdf(z / deviation) - stats.norm.cdf((z - 1) / deviation)
        values: Array = np.log(mass + 1e-300)
        return values

    def entropy(deviation: float) -> float:
        grid = np.linspace(-10 * deviation, 1 + 10 * deviation, 20_001)
        log_p = log_density(grid, deviation)
        return -float(trapezoid(np.exp(log_p) * log_p, grid))

    of_mean = noise / math.sqrt(d)
    residual = (d - 1) * (math.log(2 * math.pi * noise**2) + 1) / 2

    def draw(generator: np.random.Generator, n: int) -> JointSample:
        z = generator.random((n, 1)) + noise * generator.standard_normal((n, d))
        mean = z.mean(1)
        squares = ((z - mean[:, None]) ** 2).sum(1) / noise**2
        joint = (
            log_density(mean, of_mean) - math.log(d) / 2 - squares / 2 - (d - 1) * math.log(2 * math.pi * noise**2) / 2
        )
        return JointSample(z, joint - log_density(z, noise).sum(1))

    truth = d * entropy(noise) - entropy(of_mean) - math.log(d) / 2 - residual
    return DependencyTask(name, truth, tolerance, draw)


def signs_of_triples(name: str, triples: int, tolerance: float) -> DependencyTask:
    """3 k normal coordinates; in each three the product of signs is positive, while any two of them are independent."""

    def draw(generator: np.random.Generator, n: int) -> JointSample:
        z = generator.standard_normal((n, triples, 3))
        z[..., 2] = np.abs(z[..., 2]) * np.sign(z[..., 0] * z[..., 1])
        return JointSample(z.reshape(n, -1), np.full(n, triples * math.log(2)))

    return DependencyTask(name, triples * math.log(2), tolerance, draw)


def parity(name: str, d: int, tolerance: float) -> DependencyTask:
    """D bits with an even sum, all else by chance: log 2 nats, and any d - 1 of them are independent."""

    def draw(generator: np.random.Generator, n: int) -> JointSample:
        z = generator.integers(2, size=(n, d))
        z[:, -1] = z[:, :-1].sum(1) % 2
        return JointSample(z.astype(float), np.full(n, math.log(2)))

    return DependencyTask(name, math.log(2), tolerance, draw)
