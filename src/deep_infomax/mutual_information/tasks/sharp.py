"""Few coordinates and fine structure: waves, jumps, checkerboards and rings, which a smooth critic blurs."""

import math

import numpy as np

from deep_infomax.mutual_information.tasks.densities import log_normal_density, noisy, uniform_law
from deep_infomax.mutual_information.tasks.pairs import uniform_noise
from deep_infomax.mutual_information.tasks.task import Sample, Task, entropy

Array = np.ndarray


def wave(name: str, periods: int, noise: float, tolerance: float) -> Task:
    """X uniform on (0, 1), Y = sin(2 pi k X) + s E: ``I = h(Y) - h(noise)``, the same for every k, by quadrature."""

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, Array]:
        x = generator.random((n, 1))
        return x, np.sin(2 * math.pi * periods * x[:, 0])

    return noisy(name, draw, uniform_law(lambda u: np.sin(2 * math.pi * u)), noise, tolerance)


def jumps(name: str, levels: int, noise: float, tolerance: float) -> Task:
    """X uniform on (0, 1), Y a level for each of k equal pieces of it, in a fixed random order, with normal noise."""
    heights = np.random.default_rng(9).permutation(levels).astype(float)

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, Array]:
        x = generator.random((n, 1))
        return x, heights[(levels * x[:, 0]).astype(int)]

    return noisy(name, draw, (heights, np.ones(levels)), noise, tolerance)


def saw(name: str, teeth: int, e: float, tolerance: float) -> Task:
    """Y = k X modulo 1, X uniform on (0, 1), with uniform noise: the information of `uniform_noise`."""
    tooth = uniform_noise("", e, tolerance)

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x, y, ratio = tooth.draw(generator, n)
        return Sample((x + generator.integers(teeth, size=(n, 1))) / teeth, y, ratio)

    return Task(name, tooth.truth, tolerance, draw)


def checkerboard(name: str, cells: int, stray: float, tolerance: float) -> Task:
    """Uniform on the dark squares of a board of k by k (k even), but for a share p on the light ones.

    ``I = log 2 - H(p)``; both coordinates are uniform.
    """

    def draw(generator: np.random.Generator, n: int) -> Sample:
        place = generator.integers(cells, size=n)
        light = generator.random(n) < stray
        other = 2 * generator.integers(cells // 2, size=n) + (place + light) % 2
        x, y = (np.stack([place, other]) + generator.random((2, n))) / cells
        return Sample(x[:, None], y[:, None], np.log(2 * np.where(light, stray, 1 - stray)))

    return Task(name, math.log(2) - entropy(stray, 1 - stray), tolerance, draw)


def rings(name: str, radii: list[float], deviation: float, tolerance: float) -> Task:
    """A point of the plane near one of several circles around 0, at a uniform angle; x and y are its coordinates.

    The radius is normal around that of the circle. ``I = 2 h(x) - h(x, y)`` with
    ``p(x, y) = p(r) / (2 pi r)``; the density of x is its integral over y, on a grid.
    """
    circles = np.array(radii)

    def log_density(r: Array) -> Array:
        about = np.exp(log_normal_density(r[..., None] - circles, deviation))
        value: Array = np.log(np.maximum(about.mean(-1), 1e-300) / (2 * math.pi * r))
        return value

    step = deviation / 12
    grid = step * (np.arange(math.ceil((2 * circles.max() + 16 * deviation) / step)) + 0.5)
    grid -= grid.mean()
    joint = log_density(np.hypot(*np.meshgrid(grid, grid)))
    marginal = np.exp(joint).sum(0) * step
    log_marginal = np.log(np.maximum(marginal, 1e-300))
    truth = float((np.exp(joint) * joint).sum() * step**2 - 2 * (marginal * log_marginal).sum() * step)

    def draw(generator: np.random.Generator, n: int) -> Sample:
        r = generator.choice(circles, n) + deviation * generator.standard_normal(n)
        angle = generator.uniform(0, 2 * math.pi, n)
        x, y = r * np.cos(angle), r * np.sin(angle)
        ratio = log_density(r) - np.interp(x, grid, log_marginal) - np.interp(y, grid, log_marginal)
        return Sample(x[:, None], y[:, None], ratio)

    return Task(name, truth, tolerance, draw)


def sign_of_wave(name: str, periods: int, flip: float, tolerance: float) -> Task:
    """The sign of a normal Y is that of sin(2 pi k X), flipped with a probability p: ``I = log 2 - H(p)``."""

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x = generator.random(n)
        flipped = generator.random(n) < flip
        sign = np.where(flipped, -1, 1) * np.where((2 * periods * x).astype(int) % 2, -1, 1)
        y = sign * np.abs(generator.standard_normal(n))
        return Sample(x[:, None], y[:, None], np.log(2 * np.where(flipped, flip, 1 - flip)))

    return Task(name, math.log(2) - entropy(flip, 1 - flip), tolerance, draw)


def tasks() -> list[Task]:
    """One coordinate on either side, all uncorrelated or nearly so."""
    return [
        wave("wave-4", 4, 0.3, 0.05),
        wave("wave-10", 10, 0.2, 0.1),
        jumps("jumps-12", 12, 0.6, 0.1),
        saw("saw-6", 6, 0.1, 0.1),
        checkerboard("checkerboard-4", 4, 0.02, 0.05),
        checkerboard("checkerboard-8", 8, 0.05, 0.05),
        rings("ring", [2.0], 0.2, 0.05),
        rings("rings-3", [1.0, 2.0, 3.0], 0.1, 0.05),
        sign_of_wave("sign-of-wave-5", 5, 0.03, 0.05),
    ]
