"""Variables whose total correlation is known, to measure estimators on.

A task draws a variable and, for each draw, the logarithm of its density over the product of its coordinates' densities,
whose mean is the total correlation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float

from deep_infomax.mutual_information.tasks.narrow import rotation
from deep_infomax.mutual_information.tasks.pairs import crossed_normals
from deep_infomax.mutual_information.tasks.task import Task, entropy

Array = np.ndarray


class JointSample(NamedTuple):
    """Draws of one variable, and the log-ratio of its density to the product of its coordinates' densities."""

    z: Float[Array, "n d"]
    log_ratio: Float[Array, " n"]


@dataclass(frozen=True)
class DependencyTask:
    """One variable whose coordinates depend on each other, with a known total correlation."""

    name: str
    truth: float
    """Total correlation in nats: the divergence of the joint density from the product of its marginals."""
    tolerance: float
    """Wanted absolute bias of the mean estimate at n = 10,000."""
    draw: Callable[[np.random.Generator, int], JointSample]

    def sample(self, n: int, seed: int) -> JointSample:
        """Draw n times, independently."""
        return self.draw(np.random.default_rng(seed), n)


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


DEPENDENCY_TASKS: Final[dict[str, DependencyTask]] = {
    task.name: task
    for task in (
        equicorrelated("equicorrelated-64", 64, 0.1, 0.10),
        correlated_pairs("correlated-pairs-8", 8, 0.8, 0.15),
        correlated_pairs("correlated-pairs-32", 32, 0.8, 1.0),
        narrow("narrow-8-400", 8, 400, 0.1),
        equicorrelated("equicorrelated-4", 4, 0.995, 0.1),
        smooth_series("smooth-series-10", 10, 2.0, 0.2, 0.2),
        repeated("crossed-pairs-3", crossed_normals("", 0.9, 0.0), 3, 0.1),
        repeated("crossed-pairs-50", crossed_normals("", 0.86, 0.0), 50, 5.0),
        chain_of_codes("chain-of-codes-4", 20, 4, 0.8, 0.5),
    )
}
"""Every task about the total correlation of one variable by name."""
