"""What a task of total correlation is: a sampler of one variable whose dependence is known.

A task draws a variable and, for each draw, the logarithm of its density over the product of its coordinates' densities,
whose mean is the total correlation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

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
