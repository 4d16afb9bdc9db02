"""Narrow directions: coordinates that are nearly copies of one another, with the information in what little differs."""

import math
from collections.abc import Callable

import numpy as np

from deep_infomax.mutual_information.tasks.densities import noisy, normal_law
from deep_infomax.mutual_information.tasks.pairs import double_angle, normal
from deep_infomax.mutual_information.tasks.task import Sample, Task

Array = np.ndarray


def rotation(d: int, seed: int) -> Array:
    """A fixed rotation or reflection of d coordinates."""
    value: Array = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
    return value


def rotated_normal(name: str, d: int, condition: float, nats: float, pairs: int, tolerance: float) -> Task:
    """X = R D u and Y = Q D v: u and v are standard normal, and in their last few coordinates equally correlated.

    D holds deviations from 1 down to ``condition ** -1/2``, so that the information lies in the directions that vary
    least; R and Q are rotations. ``I = -k/2 log(1 - r^2)`` for k pairs.
    """
    rho = math.sqrt(1 - math.exp(-2 * nats / pairs))
    shared = np.diag(np.repeat([0.0, rho], [d - pairs, pairs]))
    deviations = np.geomspace(1, condition**-0.5, d)
    x, y = rotation(d, 1) * deviations, rotation(d, 2) * deviations
    covariance = np.block([[x @ x.T, x @ shared @ y.T], [y @ shared @ x.T, y @ y.T]])
    return normal(name, covariance, d, tolerance)


def circles_in_the_narrow_plane(name: str, d: int, width: float, tolerance: float) -> Task:
    """The `double_angle` task in two coordinates of deviation 1/50 among d, rotated: ``I = log(pi / w)``."""
    plane = double_angle("", width, tolerance)
    turn = rotation(d, 3)

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x, y, ratio = plane.draw(generator, n)
        wide = generator.standard_normal((n, d - 2))
        return Sample(np.concatenate([wide, x / 50], axis=1) @ turn.T, y, ratio)

    return Task(name, plane.truth, tolerance, draw)


def sensors(name: str, gap: float, signal: Callable[[Array], Array], noise: float, tolerance: float) -> Task:
    """Two sensors read c + g u / 2 and c - g u / 2; Y is a function of u with noise. Both c and u are standard normal.

    The sensors together tell u, so ``I = h(Y) - h(noise)``, by quadrature; for Y = u + s E it is
    ``1/2 log(1 + 1 / s^2)``.
    """

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, Array]:
        common, u = generator.standard_normal((2, n))
        return np.stack([common + gap * u / 2, common - gap * u / 2], axis=1), signal(u)

    return noisy(name, draw, normal_law(signal), noise, tolerance)


def smooth_window(name: str, window: int, length: float, noise: float, tolerance: float) -> Task:
    """Independent windows of a smooth stationary series against the value that follows, both seen with normal noise.

    The series has the covariance ``exp(-(s - t)^2 / (2 l^2))``; ``I`` is that of jointly normal variables.
    """
    times = np.arange(window + 1)
    covariance = np.exp(-((times[:, None] - times) ** 2) / (2 * length**2)) + noise**2 * np.eye(window + 1)
    return normal(name, covariance, window, tolerance)


def autoregressive_window(name: str, window: int, radius: float, angle: float, tolerance: float) -> Task:
    """Independent windows of an autoregressive series of order 2 against the value that follows.

    ``z_t = a z_{t-1} + b z_{t-2} + e_t`` with ``a = 2 r cos w`` and ``b = -r^2``. The value that follows is known from
    the last two but for ``e``, so ``I = 1/2 log(Var z / Var e)``.
    """
    a, b = 2 * radius * math.cos(angle), -(radius**2)
    correlations = [1.0, a / (1 - b)]
    for _ in range(window - 1):
        correlations.append(a * correlations[-1] + b * correlations[-2])
    times = np.arange(window + 1)
    return normal(name, np.array(correlations)[np.abs(times[:, None] - times)], window, tolerance)


def curved_window(name: str, window: int, noise: float, tolerance: float) -> Task:
    """Independent windows of a smooth series; Y is the size of the last second difference, with noise.

    The series is that of `smooth_window` with l = 4. The second difference is normal, so ``I = h(Y) - h(noise)`` with
    ``Y = |u| + s E``, by quadrature.
    """
    times = np.arange(window)
    covariance = np.exp(-((times[:, None] - times) ** 2) / (2 * 4.0**2)) + 1e-6 * np.eye(window)
    factor = np.linalg.cholesky(covariance)
    second = np.zeros(window)
    second[-3:] = 1, -2, 1
    second /= math.sqrt(second @ covariance @ second)

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, Array]:
        x = generator.standard_normal((n, window)) @ factor.T
        return x, np.abs(x @ second)

    return noisy(name, draw, normal_law(np.abs), noise, tolerance)


def tasks() -> list[Task]:
    """Rotated normals, sensors and windows of series, with condition numbers of the covariance from 400 to 40,000."""
    return [
        rotated_normal("rotated-10-400", 10, 400, 3.0, 10, 0.1),
        rotated_normal("rotated-10-10000", 10, 1e4, 2.0, 3, 0.1),
        rotated_normal("rotated-20-2000", 20, 2000, 1.5, 5, 0.1),
        circles_in_the_narrow_plane("narrow-circles-5", 5, 0.5, 0.2),
        sensors("sensors-linear", 0.02, lambda u: u, 0.3, 0.05),
        sensors("sensors-sine", 0.04, lambda u: np.sin(2 * u), 0.2, 0.1),
        smooth_window("smooth-window-8", 8, 3.0, 0.03, 0.1),
        autoregressive_window("autoregressive-window-12", 12, 0.97, 0.15, 0.1),
        curved_window("curved-window-6", 6, 0.3, 0.1),
    ]
