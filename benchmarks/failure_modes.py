"""Samples that defeat estimators of mutual information: what is said of each, and the true value beside it.

python benchmarks/failure_modes.py
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from deep_infomax.mutual_information import estimate_mi

N = 10_000


class Case(NamedTuple):
    what: str
    truth: float
    x: np.ndarray
    y: np.ndarray


def cases() -> Iterator[Case]:
    rng = np.random.default_rng(7)
    x, noise = rng.normal(size=(2, N))
    y = x + noise
    half = math.log(2) / 2
    yield Case("50 samples", half, x[:50], y[:50])
    wide_x, wide_noise = rng.normal(size=(2, 500, 200))
    rho = 0.1
    wide_y = rho * wide_x + math.sqrt(1 - rho**2) * wide_noise
    yield Case("200 coordinates, 500 samples", -100 * math.log(1 - rho**2), wide_x, wide_y)
    yield Case("y is x", math.inf, x, x)
    yield Case("y is x squared", math.inf, x, x**2)
    yield Case("a constant column", half, np.stack([x, np.ones(N)], axis=1), y)
    yield Case("x is constant", 0.0, np.ones(N), y)
    cauchy, more = rng.standard_cauchy(size=(2, N))
    yield Case("heavy tails: Cauchy x, and y = x + another", math.log(2), cauchy, cauchy + more)
    digits = rng.integers(10, size=N)
    shares = np.convolve(np.full(10, 1 / 10), np.full(3, 1 / 3))  # of the values of y
    entropy = -float((shares * np.log(shares)).sum())
    yield Case("ties: x = 0 ... 9, y = x + 0, 1 or 2", entropy - math.log(3), digits, digits + rng.integers(3, size=N))
    labels = rng.integers(4, size=N)
    yield Case("a discrete y, of which x tells everything", math.log(4), labels + 0.1 * noise, labels)
    yield Case("NaN in row 3", math.nan, np.where(np.arange(N) == 3, math.nan, x), y)
    great_x, great_noise = rng.normal(size=(2, N, 20))
    rho = math.sqrt(1 - math.exp(-2 * 15 / 20))
    yield Case("15 nats, log 2,000 = 7.6", 15.0, great_x, rho * great_x + math.sqrt(1 - rho**2) * great_noise)


def main() -> None:
    for case in cases():
        print(f"\n{case.what}; truth {case.truth:.4f}")
        try:
            r = estimate_mi(case.x, case.y, progress=False)
        except ValueError as error:
            print(f"  refused: {error}")
            continue
        assert r.interval is not None
        low, high = r.interval
        print(f"  {r.mi:.4f}, interval {low:.4f} to {high:.4f}, at least {r.lower_bound:.4f}, {r.seconds:.0f} s")
        for warning in r.warnings:
            print(f"  ! {warning}")


if __name__ == "__main__":
    main()
