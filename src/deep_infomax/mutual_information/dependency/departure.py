r"""Whether latent coordinates that should be independent are so: any two of them, any three, and all orders of few.

With orthonormal functions f of each coordinate, cosines of its ranks, a sum of squared moments over all pairs is
estimated from products over pairs of samples, which takes one pass over the coordinates:

.. math:: \sum_{i < j} \sum_{a, b} \left( \mathrm{E}\, f_a(w_i) f_b(w_j) \right)^2
    = \mathrm{E}_{w, w'} e_2(k_1, \ldots, k_d), \qquad k_i = \sum_a f_a(w_i) f_a(w_i')

with the elementary symmetric polynomial e_2; e_3 is for triples, and of all orders the sum is the product of 1 + k_i.
Where all is independent, n times such an estimate is distributed about as chi-squared, one degree of freedom for each
moment, less its mean. For weak dependence half the sum is the total correlation.

Source: Pfister, Buhlmann, Scholkopf and Peters, "Kernel-based tests for joint independence", 2018, arXiv 1603.00285.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from scipy.stats import chi2, norm

Array = np.ndarray
MOST_PRODUCTS: Final = 5e7
"""Products of samples with samples, over all coordinates."""
FEW: Final = 6
MANY_WAVES: Final = 12
WAVES: Final = 6
"""Functions of a coordinate for pairs: more of them for up to so few coordinates."""
SLOW_WAVES: Final = 2
"""Functions of a coordinate for triples and more."""
ALL_ORDERS: Final = 10
"""Coordinates up to which all orders are looked at."""
DEPARTS: Final = 1e-3
"""p-value below which coordinates are said to depend."""
AGREES: Final = 0.05
"""p-value above which nothing speaks for dependence."""


@dataclass(frozen=True)
class Departure:
    """Sums of squared moments over pairs, over triples, and over higher orders; the moments and samples of each."""

    sums: tuple[float, ...]
    moments: tuple[int, ...]
    n: int


def departure(latents: Float[Array, "n d"]) -> Departure:
    """Moments of pairs, but for those of two slowest waves, which are the normal model's, and of triples and more."""
    d = latents.shape[1]
    some = latents[: max(20, int(math.sqrt(MOST_PRODUCTS / d)))]
    waves = MANY_WAVES if d <= FEW else WAVES
    n = len(some)
    zero = np.zeros((n, n), dtype=np.float32)
    sums = {"all": zero, "slowest": zero.copy(), "slow": zero.copy()}
    pairs, slowest_pairs, slow_pairs, triples = (zero.copy() for _ in range(4))
    product = np.ones_like(zero) if d <= ALL_ORDERS else None
    for features in _waves(some, waves):
        slowest = np.outer(features[:, 0], features[:, 0])
        slow = features[:, :SLOW_WAVES] @ features[:, :SLOW_WAVES].T
        whole = slow + features[:, SLOW_WAVES:] @ features[:, SLOW_WAVES:].T
        triples += slow_pairs * slow
        for total, kernel, key in (
            (slow_pairs, slow, "slow"),
            (pairs, whole, "all"),
            (slowest_pairs, slowest, "slowest"),
        ):
            total += sums[key] * kernel
            sums[key] = sums[key] + kernel
        if product is not None:
            product *= 1 + slow
    found = [pairs - slowest_pairs, triples]
    moments = [(waves**2 - 1) * math.comb(d, 2), SLOW_WAVES**3 * math.comb(d, 3)]
    if product is not None and d > 3:
        found.append(product - 1 - sums["slow"] - slow_pairs - triples)
        moments.append(sum(SLOW_WAVES**order * math.comb(d, order) for order in range(4, d + 1)))
    others = n * (n - 1)
    return Departure(tuple(float(f.sum(dtype=float) - np.trace(f)) / others for f in found), tuple(moments), n)


def p_value(departures: Sequence[Departure]) -> float:
    """Of the hypothesis that all is independent, by the mean of readings of the same samples, with Bonferroni."""
    values = []
    for order, count in enumerate(departures[0].moments):
        if count:
            statistic = count + float(np.mean([part.n * part.sums[order] for part in departures]))
            values.append(float(chi2.sf(max(statistic, 0.0), count)))
    return min(1.0, len(values) * min(values))


def most_missed(departures: Sequence[Departure], level: float) -> float:
    """Nats of weak dependence of two or three coordinates that such a test leaves possible, at a level."""
    found = float(np.mean([sum(part.sums[:2]) for part in departures]))
    error = float(np.mean([math.sqrt(2 * sum(part.moments[:2])) / part.n for part in departures]))
    return max(0.0, (found + float(norm.ppf((1 + level) / 2)) * error) / 2)


def _waves(latents: Float[Array, "n d"], count: int) -> list[Float[Array, "n w"]]:
    """For each coordinate, cosines of its ranks, with mean 0 and variance 1."""
    n = len(latents)
    shares = (np.argsort(np.argsort(latents, axis=0), axis=0) + 0.5) / n
    numbers = np.arange(1, count + 1)
    return [(math.sqrt(2) * np.cos(math.pi * np.outer(share, numbers))).astype(np.float32) for share in shares.T]
