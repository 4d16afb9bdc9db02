"""Many coordinates: a label in 32 or 64 of them, a relation hidden in few of 10 to 100, and what cannot be found.

The last tasks have more coordinates than a critic can search with 10,000 samples. An instrument passes them by an open
interval and a warning. The truths of the labels' normal mixtures are means of 4 million draws of the pointwise
information given x; their standard errors are below 2e-4.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy import special, stats

from deep_infomax.mutual_information.tasks import transforms
from deep_infomax.mutual_information.tasks.densities import noisy, normal_law
from deep_infomax.mutual_information.tasks.pairs import normal_pairs, student
from deep_infomax.mutual_information.tasks.task import Sample, Task, entropy

Array = np.ndarray


def label_mixture(
    name: str, d: int, classes: int, modes: int, separation: float, truth: float, tolerance: float
) -> Task:
    """X is normal around one of the modes of its class, Y the class, all classes and modes equally likely.

    Modes are drawn once from a normal of deviation ``separation``. The coordinates have deviations from 1 to 1/20 and
    are rotated, modes and all, which changes nothing. The ratio ``log p(x | y) / p(x)`` is known.
    """
    fixed = np.random.default_rng(0)
    centres = separation * fixed.standard_normal((classes * modes, d))
    mix = np.linalg.qr(fixed.standard_normal((d, d)))[0] * np.geomspace(1, 1 / 20, d)

    def draw(generator: np.random.Generator, n: int) -> Sample:
        mode = generator.integers(classes * modes, size=n)
        z = centres[mode] + generator.standard_normal((n, d))
        closeness = z @ centres.T - (centres**2).sum(1) / 2
        by_class = special.logsumexp(closeness.reshape(n, classes, modes), axis=2)
        y = mode // modes
        ratio = by_class[np.arange(n), y] - special.logsumexp(by_class, axis=1) + math.log(classes)
        return Sample(z @ mix.T, y[:, None], ratio)

    return Task(name, truth, tolerance, draw)


def label_scale(name: str, d: int, scales: list[float], tolerance: float) -> Task:
    """X is normal in d coordinates with one of several deviations, Y says which: no mean tells of it.

    The radius is all that matters; ``I = sum_c 1/k int p(r | c) log p(r | c) / p(r)``, by quadrature over ``r^2``.
    """
    s = np.array(scales)
    k = len(s)

    def log_posterior(square: Array) -> Array:
        logs = -square[:, None] / (2 * s**2) - d * np.log(s)
        value: Array = logs - special.logsumexp(logs, axis=1, keepdims=True)
        return value

    nodes = stats.chi2(d).ppf((np.arange(4000) + 0.5) / 4000)
    truth = math.log(k) + float(np.mean([log_posterior(nodes * s[c] ** 2)[:, c].mean() for c in range(k)]))

    def draw(generator: np.random.Generator, n: int) -> Sample:
        y = generator.integers(k, size=n)
        x = s[y, None] * generator.standard_normal((n, d))
        return Sample(x, y[:, None], math.log(k) + log_posterior((x**2).sum(1))[np.arange(n), y])

    return Task(name, truth, tolerance, draw)


def needle(name: str, d: int, signal: Callable[[Array], Array], noise: float, tolerance: float) -> Task:
    """Y is a function of the first of d standard normal coordinates, with normal noise: ``I = h(Y) - h(noise)``."""

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, Array]:
        x = generator.standard_normal((n, d))
        return x, signal(x[:, 0])

    return noisy(name, draw, normal_law(signal), noise, tolerance)


def product(name: str, d: int, noise: float, tolerance: float) -> Task:
    """Y = X_1 X_2 + noise among d standard normal coordinates: no coordinate alone is correlated with Y."""
    nodes = np.linspace(-7, 7, 701)
    weights = np.exp(-(nodes**2) / 2)

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, Array]:
        x = generator.standard_normal((n, d))
        return x, x[:, 0] * x[:, 1]

    law = np.outer(nodes, nodes).ravel(), np.outer(weights, weights).ravel()
    return noisy(name, draw, law, noise, tolerance)


def parity_of_signs(name: str, d: int, of: int, flip: float, tolerance: float) -> Task:
    """Y, 0 or 1, is the parity of the signs of the first few of d normal coordinates, flipped with a probability p.

    ``I = log 2 - H(p)``; any fewer of the coordinates tell nothing.
    """

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x = generator.standard_normal((n, d))
        flipped = generator.random(n) < flip
        y = ((x[:, :of] > 0).sum(1) + flipped) % 2
        return Sample(x, y[:, None], np.log(2 * np.where(flipped, flip, 1 - flip)))

    return Task(name, math.log(2) - entropy(flip, 1 - flip), tolerance, draw)


def tasks() -> list[Task]:
    """Labels and hidden relations among 10 to 64 coordinates, then 100 coordinates in which little can be found."""
    spirals = [
        normal_pairs("", d, [0.9, 0.9], tolerance).transformed(
            f"spiral-{d}",
            tolerance,
            lambda x: transforms.spiral(x, (0, 1)),
            lambda y: transforms.spiral(y, (1, 2)),
        )
        for d, tolerance in ((10, 0.5), (40, 0.7))
    ]
    return [
        label_mixture("label-64-10x3", 64, 10, 3, 0.45, 2.0292, 0.2),
        label_mixture("label-64-4x1", 64, 4, 1, 0.2, 0.7433, 0.1),
        label_scale("label-scale-32", 32, [1.0, 1.2, 1.5], 0.1),
        needle("square-25", 25, lambda u: u**2, 0.5, 0.15),
        needle("sine-50", 50, lambda u: np.sin(2 * u), 0.3, 0.2),
        product("product-40", 40, 0.3, 0.2),
        *spirals,
        parity_of_signs("parity-100", 100, 2, 0.085, 0.4),
        needle("cosine-100", 100, lambda u: np.cos(3 * u), 0.45, 0.4),
        student("student-50-10", 50, 10, 0.5),
    ]
