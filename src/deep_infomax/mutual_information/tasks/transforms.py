"""Injective maps of one variable, which leave mutual information as it is but hide it from simple estimators.

Each takes an array of shape (n, d). All but `swiss_roll` and `spiral` act on each coordinate alone and are increasing.
Source: Czyz et al., "Beyond normal: on the evaluation of mutual information estimators", 2023, arXiv 2306.11078.
"""

import math
from typing import Final

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

_WAVES: Final = ((0.4, 1.0, 0.0), (0.2, 1.7, 1.0), (0.03, 3.3, -2.5))


def normal_cdf(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Normal to uniform on (0, 1)."""
    value: np.ndarray = ndtr(x)
    return value


def half_cube(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """``x sqrt(|x|)``: longer tails."""
    value: np.ndarray = x * np.sqrt(np.abs(x))
    return value


def wiggly(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """``x + sum_k a_k sin(b_k x + c_k)`` with ``sum_k |a_k b_k| < 1``."""
    return x + sum(a * np.sin(b * x + c) for a, b, c in _WAVES)


def bimodal(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Standard normal to an equal mixture of normals around -2 and 2 with deviation 1/2, through the two CDFs."""
    low, high = np.full_like(x, -12.0), np.full_like(x, 12.0)
    wanted = ndtr(-np.abs(x))  # the lower half, in which small probabilities keep their digits
    for _ in range(60):
        middle = (low + high) / 2
        below = (ndtr((middle + 2) / 0.5) + ndtr((middle - 2) / 0.5)) / 2 < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    value: np.ndarray = -np.sign(x) * (low + high) / 2
    return value


def swiss_roll(x: Float[np.ndarray, "n 1"]) -> Float[np.ndarray, "n 2"]:
    """A value u in (0, 1) to ``t (cos t, sin t) / 21`` with ``t = 3 pi (1 + 2 u) / 2``: a line rolled up in a plane."""
    t = 1.5 * math.pi * (1 + 2 * x)
    return np.concatenate([t * np.cos(t), t * np.sin(t)], axis=1) / 21


def spiral(x: Float[np.ndarray, "n d"], plane: tuple[int, int]) -> Float[np.ndarray, "n d"]:
    """``exp(A |x|^2 / d) x``: a turn of two coordinates by an angle that grows with the distance from the origin."""
    angle = (x**2).sum(axis=1) / x.shape[1]
    i, j = plane
    turned = x.copy()
    turned[:, i] = np.cos(angle) * x[:, i] - np.sin(angle) * x[:, j]
    turned[:, j] = np.sin(angle) * x[:, i] + np.cos(angle) * x[:, j]
    return turned
