"""Densities by quadrature, for tasks in which a known signal is seen through normal noise."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from jaxtyping import Float

from deep_infomax.mutual_information.tasks.task import Sample, Task

Array = np.ndarray

PER_NOISE: Final = 64
"""Steps of the grid within one standard deviation of the noise."""
REACH: Final = 10
"""Standard deviations of the noise to which the grid goes on beyond the signal."""
UNIFORM: Final = (np.arange(100_000) + 0.5) / 100_000
"""Nodes of equal weight of a variable that is uniform on (0, 1)."""
NORMAL: Final = np.linspace(-9, 9, 40_001)
"""Nodes of a standard normal variable, with the weights `NORMAL_WEIGHTS`."""
NORMAL_WEIGHTS: Final = np.exp(-(NORMAL**2) / 2) / np.exp(-(NORMAL**2) / 2).sum()


class Blurred:
    """The density of S + s E, where E is standard normal and S has given values (m,) with given weights (m,).

    A value is shared out between the two nearest points of a grid, which adds less than 1e-4 of the noise's variance.
    """

    def __init__(self, values: Float[Array, " m"], weights: Float[Array, " m"], noise: float) -> None:
        step, margin = noise / PER_NOISE, REACH * noise
        place = (values - values.min() + margin) / step
        left = place.astype(int)
        size = int(left.max()) + REACH * PER_NOISE + 2
        mass = np.bincount(left, weights * (1 - place + left), size)
        mass += np.bincount(left + 1, weights * (place - left), size)
        kernel = np.exp(-((np.arange(-REACH * PER_NOISE, REACH * PER_NOISE + 1) / PER_NOISE) ** 2) / 2)
        density = np.convolve(mass, kernel / (noise * math.sqrt(2 * math.pi)), mode="same") / weights.sum()
        self._grid = values.min() - margin + step * np.arange(size)
        self._log_density = np.log(np.maximum(density, 1e-300))
        self.entropy = -float((density * self._log_density).sum() * step)
        """In nats."""

    def log_density(self, y: Float[Array, " n"]) -> Float[Array, " n"]:
        """At given points."""
        value: Array = np.interp(y, self._grid, self._log_density)
        return value


def log_normal_density(x: Float[Array, "..."], deviation: float | Float[Array, "..."] = 1.0) -> Float[Array, "..."]:
    """Of a normal variable of zero mean."""
    value: Array = -((x / deviation) ** 2) / 2 - np.log(deviation * math.sqrt(2 * math.pi))
    return value


def noisy(
    name: str,
    draw: Callable[[np.random.Generator, int], tuple[Array, Array]],
    law: tuple[Float[Array, " m"], Float[Array, " m"]],
    noise: float,
    tolerance: float,
) -> Task:
    """Y = S + s E, where S is a function of X and E standard normal: ``I = h(Y) - 1/2 log(2 pi e s^2)`` by quadrature.

    ``draw`` makes x (n, d) and its signal (n,); ``law`` holds values of the signal and their weights.
    """
    blurred = Blurred(*law, noise)

    def draw_pairs(generator: np.random.Generator, n: int) -> Sample:
        x, signal = draw(generator, n)
        error = noise * generator.standard_normal(n)
        y = signal + error
        return Sample(x, y[:, None], log_normal_density(error, noise) - blurred.log_density(y))

    return Task(name, blurred.entropy - math.log(2 * math.pi * math.e * noise**2) / 2, tolerance, draw_pairs)


def uniform_law(signal: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Values and weights of a function of a variable that is uniform on (0, 1)."""
    return signal(UNIFORM), np.ones(len(UNIFORM))


def normal_law(signal: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Values and weights of a function of a standard normal variable."""
    return signal(NORMAL), NORMAL_WEIGHTS
