"""What a task with a known answer is: a sampler of two variables that knows their mutual information, in nats.

A task draws pairs (x, y) and, for each, its pointwise information ``log p(x, y) / (p(x) p(y))``, whose mean over many
pairs is the truth. Maps of x alone and of y alone that can be undone change neither, so a task can be put into a harder
form by `Task.transformed`. The tolerance is the absolute bias that we want the mean of an estimator to stay within at
n = 10,000.

Shapes: n pairs, dx and dy coordinates.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

Array = np.ndarray


class Sample(NamedTuple):
    """Pairs, and what each pair contributes to the information."""

    x: Shaped[Array, "n dx"]
    y: Shaped[Array, "n dy"]
    log_ratio: Float[Array, " n"]


@dataclass(frozen=True)
class Task:
    """Two dependent variables with a known mutual information."""

    name: str
    truth: float
    """Mutual information in nats."""
    tolerance: float
    """Wanted absolute bias of the mean estimate at n = 10,000."""
    draw: Callable[[np.random.Generator, int], Sample]

    def sample(self, n: int, seed: int) -> Sample:
        """Draw n independent pairs."""
        return self.draw(np.random.default_rng(seed), n)

    def transformed(
        self,
        name: str,
        tolerance: float,
        x: Callable[[Shaped[Array, "n dx"]], Shaped[Array, "n ex"]],
        y: Callable[[Shaped[Array, "n dy"]], Shaped[Array, "n ey"]],
    ) -> "Task":
        """The same information seen through two injective maps."""

        def draw(generator: np.random.Generator, n: int) -> Sample:
            sample = self.draw(generator, n)
            return Sample(x(sample.x), y(sample.y), sample.log_ratio)

        return Task(name, self.truth, tolerance, draw)


def entropy(*probabilities: float) -> float:
    """``-sum p log p``, in nats."""
    return -sum(p * math.log(p) for p in probabilities if p > 0)
