"""One variable is the other or a function of it.

Between discrete variables the information is then the entropy of one. Between continuous variables it is infinite: an
instrument passes by an interval that is open above and a warning.
"""

import math
from collections.abc import Callable

import numpy as np

from deep_infomax.mutual_information.tasks.task import Sample, Task, entropy

Array = np.ndarray


def function_of_normal(name: str, d: int, function: Callable[[Array], Array]) -> Task:
    """X standard normal in d coordinates, Y a continuous function of it: infinite."""

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x = generator.standard_normal((n, d))
        return Sample(x, function(x), np.full(n, math.inf))

    return Task(name, math.inf, math.inf, draw)


def function_of_codes(name: str, levels: int, function: Callable[[Array], Array], tolerance: float) -> Task:
    """X one of k equally likely codes, Y a function of it: ``I = H(Y)``."""
    values = function(np.arange(levels))
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    surprise = -np.log(counts / levels)[which]

    def draw(generator: np.random.Generator, n: int) -> Sample:
        code = generator.integers(levels, size=n)
        return Sample(code[:, None], values[code, None], surprise[code])

    return Task(name, float(surprise.mean()), tolerance, draw)


def sectors(name: str, count: int, tolerance: float) -> Task:
    """X a normal point of the plane, Y the number of its sector, counted around 0: ``I = log k``."""

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x = generator.standard_normal((n, 2))
        turn = np.arctan2(x[:, 1], x[:, 0]) / (2 * math.pi) + 0.5
        y = np.minimum((count * turn).astype(int), count - 1)
        return Sample(x, y[:, None], np.full(n, math.log(count)))

    return Task(name, math.log(count), tolerance, draw)


def threshold(name: str, share: float, tolerance: float) -> Task:
    """X uniform on (0, 1), Y = 1 where X is below a share q, else 0: ``I = H(q)``."""

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x = generator.random((n, 1))
        below = x < share
        return Sample(x, below.astype(int), -np.log(np.where(below[:, 0], share, 1 - share)))

    return Task(name, entropy(share, 1 - share), tolerance, draw)


def tasks() -> list[Task]:
    """Three of infinite information, then four of finite."""
    return [
        function_of_normal("identity", 1, lambda x: x),
        function_of_normal("identity-10", 10, lambda x: x),
        function_of_normal("square", 1, lambda x: x**2),
        function_of_codes("identity-codes-60", 60, lambda code: code, 0.1),
        function_of_codes("modulo-7-of-100", 100, lambda code: code % 7, 0.05),
        sectors("sectors-5", 5, 0.1),
        threshold("threshold", 0.3, 0.02),
    ]
