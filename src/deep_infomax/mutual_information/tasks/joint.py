"""Variables whose total correlation is known, to measure estimators on.

A task draws a variable and, for each draw, the logarithm of its density over the product of its coordinates' densities,
whose mean is the total correlation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float

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


DEPENDENCY_TASKS: Final[dict[str, DependencyTask]] = {
    task.name: task
    for task in (
        equicorrelated("equicorrelated-64", 64, 0.1, 0.10),
        correlated_pairs("correlated-pairs-8", 8, 0.8, 0.15),
        correlated_pairs("correlated-pairs-32", 32, 0.8, 1.0),
    )
}
"""Every task about the total correlation of one variable by name."""
