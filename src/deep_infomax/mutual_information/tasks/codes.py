"""Categories: integer codes whose order means nothing, some of them rare, beside codes, words and continuous variables.

All truths are sums over the table of probabilities, or quadrature.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from deep_infomax.mutual_information.tasks.densities import noisy
from deep_infomax.mutual_information.tasks.task import Sample, Task, entropy

Array = np.ndarray


def table(name: str, joint: Float[Array, "k l"], tolerance: float, x_names: Array, y_names: Array) -> Task:
    """Two discrete variables with the probabilities given: ``I = sum p log p / (p_x p_y)``.

    Row i is seen as ``x_names[i]``, column j as ``y_names[j]``.
    """
    with np.errstate(divide="ignore"):
        ratio = np.log(joint / np.outer(joint.sum(1), joint.sum(0)))
    truth = float((joint[joint > 0] * ratio[joint > 0]).sum())
    cumulative = joint.ravel().cumsum()

    def draw(generator: np.random.Generator, n: int) -> Sample:
        cell = np.searchsorted(cumulative, generator.random(n) * cumulative[-1], side="right")
        i, j = np.divmod(cell, joint.shape[1])
        return Sample(x_names[i, None], y_names[j, None], ratio[i, j])

    return Task(name, truth, tolerance, draw)


def shuffled(levels: int, seed: int) -> Array:
    """The codes of so many levels in a fixed order without meaning."""
    return np.random.default_rng(seed).permutation(levels)


def shift_table(levels: int, noise: Sequence[float]) -> Float[Array, "k k"]:
    """X uniform, Y = X + e modulo the number of levels, where ``noise`` holds the probabilities of e = 0, 1, ...

    ``I = log k - H(e)``.
    """
    joint = np.zeros((levels, levels))
    for e, probability in enumerate(noise):
        joint[np.arange(levels), (np.arange(levels) + e) % levels] += probability / levels
    return joint


def modular_shift(name: str, levels: int, noise: Sequence[float], tolerance: float) -> Task:
    """`shift_table` with the codes of both variables permuted."""
    return table(name, shift_table(levels, noise), tolerance, shuffled(levels, 1), shuffled(levels, 2))


def zipf_table(levels: int, exponent: float, kept: float) -> Float[Array, "k k"]:
    """X has the probabilities ``k ** -exponent``; Y is X with probability q, else drawn anew from the same law."""
    p = np.arange(1, levels + 1.0) ** -exponent
    p /= p.sum()
    joint: Array = kept * np.diag(p) + (1 - kept) * np.outer(p, p)
    return joint


def words(count: int) -> Array:
    """Made-up words of two syllables, all different."""
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    return np.array([syllables[i % 60] + syllables[(7 * i + i // 60) % 60] for i in range(count)])


def sum_of_codes(name: str, levels: int, wrong: float, tolerance: float) -> Task:
    """X holds two independent uniform codes, Y their sum modulo the number of levels; an error makes it another one.

    ``I = log k - H(p) - p log(k - 1)``; neither code alone tells anything.
    """
    truth = math.log(levels) - entropy(wrong, 1 - wrong) - wrong * math.log(levels - 1)

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x = generator.integers(levels, size=(n, 2))
        mistaken = generator.random(n) < wrong
        y = (x.sum(1) + mistaken * generator.integers(1, levels, size=n)) % levels
        ratio = np.log(levels * np.where(mistaken, wrong / (levels - 1), 1 - wrong))
        return Sample(x, y[:, None], ratio)

    return Task(name, truth, tolerance, draw)


def code_in_noise(name: str, levels: int, noise: float, tolerance: float) -> Task:
    """X is one of several equally likely codes in an order without meaning; Y = its place in order + s E."""
    places = shuffled(levels, 3).astype(float)

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, Array]:
        code = generator.integers(levels, size=n)
        return code[:, None], places[code]

    return noisy(name, draw, (places, np.ones(levels)), noise, tolerance)


def tasks() -> list[Task]:
    """Codes of 10 to 500 levels."""
    named = words(40)
    return [
        modular_shift("codes-shift-50", 50, [0.7, 0.2, 0.1], 0.1),
        modular_shift("codes-shift-150", 150, [0.6, 0.4], 0.15),
        modular_shift("codes-shift-500", 500, [0.25] * 4, 0.5),
        table("codes-zipf-100", zipf_table(100, 1.0, 0.5), 0.1, shuffled(100, 4), shuffled(100, 5)),
        table("codes-zipf-400", zipf_table(400, 1.2, 0.3), 0.1, shuffled(400, 6), shuffled(400, 7)),
        table("words-40", shift_table(40, [0.6, 0.2, 0.2]), 0.1, named, named[shuffled(40, 8)]),
        sum_of_codes("codes-sum-12", 12, 0.1, 0.15),
        code_in_noise("label-normal-10", 10, 0.5, 0.05),
        code_in_noise("codes-normal-80", 80, 2.0, 0.1),
    ]
