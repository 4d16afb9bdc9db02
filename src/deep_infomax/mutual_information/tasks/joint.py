"""Variables whose total correlation is known, to measure estimators on."""

import math
from typing import Final

import numpy as np
from jaxtyping import Float
from scipy import stats
from scipy.linalg import hadamard

from deep_infomax.mutual_information.tasks.dependency import DependencyTask, JointSample
from deep_infomax.mutual_information.tasks.narrow import rotation
from deep_infomax.mutual_information.tasks.pairs import crossed_normals
from deep_infomax.mutual_information.tasks.shared import (
    circulant,
    common_scale,
    mapped,
    mixture_of_sources,
    nearly_equal_sensors,
    parity,
    signs_of_triples,
)
from deep_infomax.mutual_information.tasks.task import Task, entropy

Array = np.ndarray


def normal_dependency(name: str, correlation: Float[Array, "d d"], tolerance: float) -> DependencyTask:
    """Normal variable with unit variances: total correlation ``-1/2 log det`` of its correlation matrix."""
    truth = -float(np.linalg.slogdet(correlation)[1]) / 2
    factor, inverse = np.linalg.cholesky(correlation), np.linalg.inv(correlation)

    def draw(generator: np.random.Generator, n: int) -> JointSample:
        z = generator.standard_normal((n, len(correlation))) @ factor.T
        return JointSample(z, truth + ((z**2).sum(1) - np.einsum("ni,ij,nj->n", z, inverse, z)) / 2)

    return DependencyTask(name, truth, tolerance, draw)


def equicorrelated(name: str, d: int, correlation: float, tolerance: float) -> DependencyTask:
    """Every two of d normal coordinates have the same correlation."""
    matrix = np.full((d, d), correlation)
    np.fill_diagonal(matrix, 1.0)
    return normal_dependency(name, matrix, tolerance)


def correlated_pairs(name: str, pairs: int, correlation: float, tolerance: float) -> DependencyTask:
    """2 k normal coordinates, the first correlated with the second, the third with the fourth, and so on."""
    block = np.array([[1.0, correlation], [correlation, 1.0]])
    return normal_dependency(name, np.kron(np.eye(pairs), block), tolerance)


def narrow(name: str, d: int, condition: float, tolerance: float) -> DependencyTask:
    """D normal coordinates, a rotation of independent ones with variances from 1 down to 1 / condition."""
    mix = rotation(d, 4) * np.geomspace(1, condition**-0.5, d)
    covariance = mix @ mix.T
    return normal_dependency(name, covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance))), tolerance)


def smooth_series(name: str, window: int, length: float, noise: float, tolerance: float) -> DependencyTask:
    """Independent windows of a normal series of covariance ``exp(-(s - t)^2 / (2 l^2))``, seen with noise."""
    times = np.arange(window)
    signal = np.exp(-((times[:, None] - times) ** 2) / (2 * length**2))
    return normal_dependency(name, (signal + noise**2 * np.eye(window)) / (1 + noise**2), tolerance)


def repeated(name: str, pair: Task, count: int, tolerance: float) -> DependencyTask:
    """Coordinates x and y of one task, several times over: the sum of their information."""

    def draw(generator: np.random.Generator, n: int) -> JointSample:
        parts = [pair.draw(generator, n) for _ in range(count)]
        z = np.concatenate([side for part in parts for side in (part.x, part.y)], axis=1)
        return JointSample(z, np.sum([part.log_ratio for part in parts], axis=0))

    return DependencyTask(name, count * pair.truth, tolerance, draw)


def chain_of_codes(name: str, levels: int, steps: int, single: float, tolerance: float) -> DependencyTask:
    """Codes of a uniform Markov chain that moves on by one with probability p, else by two, modulo their number.

    Each code is seen permuted. ``TC = (d - 1) (log k - H(p))``.
    """
    seen = np.stack([np.random.default_rng(i).permutation(levels) for i in range(steps)], axis=1).astype(float)

    def draw(generator: np.random.Generator, n: int) -> JointSample:
        by_one = generator.random((n, steps - 1)) < single
        moves = np.concatenate([generator.integers(levels, size=(n, 1)), np.where(by_one, 1, 2)], axis=1)
        z = np.take_along_axis(seen, moves.cumsum(axis=1) % levels, axis=0)
        return JointSample(z, np.log(levels * np.where(by_one, single, 1 - single)).sum(1))

    truth = (steps - 1) * (math.log(levels) - entropy(single, 1 - single))
    return DependencyTask(name, truth, tolerance, draw)


_SERIES = smooth_series("smooth-series-10", 10, 2.0, 0.2, 0.2)
DEPENDENCY_TASKS: Final[dict[str, DependencyTask]] = {
    task.name: task
    for task in (
        equicorrelated("equicorrelated-64", 64, 0.1, 0.10),
        correlated_pairs("correlated-pairs-8", 8, 0.8, 0.15),
        correlated_pairs("correlated-pairs-32", 32, 0.8, 1.0),
        narrow("narrow-8-400", 8, 400, 0.1),
        equicorrelated("equicorrelated-4", 4, 0.995, 0.1),
        _SERIES,
        repeated("crossed-pairs-3", crossed_normals("", 0.9, 0.0), 3, 0.1),
        repeated("crossed-pairs-50", crossed_normals("", 0.86, 0.0), 50, 5.0),
        narrow("narrow-5-400", 5, 400, 0.05),
        narrow("narrow-30-400", 30, 400, 0.20),
        mapped("smooth-series-10-half-cube", _SERIES, lambda z: z * np.sqrt(np.abs(z)), 0.20),
        equicorrelated("sensors-normal-6", 6, 0.9975, 0.10),
        nearly_equal_sensors("sensors-uniform-4", 4, 0.02, 0.20),
        mixture_of_sources("mixture-uniform-3", stats.uniform(-1, 2), circulant(1, 0.6, 0.3, d=3), 0.10),
        mixture_of_sources("mixture-laplace-10", stats.laplace(), circulant(1, 0.6, -0.3, d=10), 0.20),
        mixture_of_sources("mixture-exponential-5", stats.expon(), circulant(1, 0.6, d=5), 0.15),
        mixture_of_sources("mixture-uniform-64", stats.uniform(-1, 2), hadamard(64) / 8, 1.5),
        common_scale("common-scale-5", 5, 3, 0.05),
        common_scale("common-scale-64", 64, 5, 0.5),
        signs_of_triples("signs-of-triples-6", 2, 0.10),
        signs_of_triples("signs-of-triples-60", 20, 1.0),
        parity("parity-5", 5, 0.02),
        correlated_pairs("independent-64", 32, 0.0, 0.02),
        chain_of_codes("chain-of-codes-4", 20, 4, 0.8, 0.5),
    )
}
"""Every task about the total correlation of one variable by name."""
