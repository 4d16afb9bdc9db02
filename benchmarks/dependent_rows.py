"""Rows that depend on one another: what is claimed of independent variables, and what is found of dependent ones.

    python benchmarks/dependent_rows.py --out FOLDER   (call it again to go on: what is there is kept)

Nothing is said about the rows, so that all of it has to be found, but where a name ends in "named". A seed fails at
truth 0 if its lower bound is above 0.02 nats, or p is below 0.05, and neither is withheld.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring import resumed
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from deep_infomax.mutual_information import Fitting, estimate_mi

Array = np.ndarray
Sample = tuple[Array, Array, dict[str, Any]]
FALSE = 0.02
"""A lower bound beyond which something is claimed of nothing, in nats."""


def autoregressive(generator: np.random.Generator, phi: float, n: int) -> Array:
    return lfilter([1], [1, -phi], generator.normal(size=n + 1000))[1000:]


def both(one: Callable[[], Array]) -> Sample:
    return one(), one(), {}


def subjects(generator: np.random.Generator, count: int, trials: int, shuffled: bool = False) -> Sample:
    who = np.repeat(np.arange(count), trials)
    who = generator.permutation(who) if shuffled else who
    x, y = (generator.normal(size=(count, 2))[who] + 0.3 * generator.normal(size=(len(who), 2)) for _ in range(2))
    return x, y, {"groups": who}


def copies(generator: np.random.Generator, noise: float, order: Array | slice = slice(None)) -> Sample:
    def one() -> Array:
        return (np.repeat(generator.normal(size=(300, 2)), 5, axis=0) + noise * generator.normal(size=(1500, 2)))[order]

    return both(one)


def correlated_series(generator: np.random.Generator, phi: float, rho: float, n: int) -> Sample:
    x, noise = (autoregressive(generator, phi, n) for _ in range(2))
    return x, rho * x + math.sqrt(1 - rho**2) * noise, {}


def season(generator: np.random.Generator, n: int) -> Array:
    return np.sin(np.arange(n) / 8 + generator.uniform(0, 2 * np.pi)) + 0.5 * generator.normal(size=n)


CASES: dict[str, tuple[float, Callable[[np.random.Generator], Sample]]] = {
    "five copies": (0, lambda g: copies(g, 0.0)),
    "five copies, shuffled": (0, lambda g: copies(g, 0.0, g.permutation(1500))),
    "five copies with noise": (0, lambda g: copies(g, 1e-3)),
    "autoregression 0.99": (0, lambda g: both(lambda: autoregressive(g, 0.99, 1000))),
    "smoothed noise": (0, lambda g: both(lambda: gaussian_filter1d(g.normal(size=(2000, 3)), 30, axis=0))),
    "20 subjects of 50 trials": (0, lambda g: (*subjects(g, 20, 50)[:2], {})),
    "20 subjects, named": (0, lambda g: subjects(g, 20, 50)),
    "20 subjects, shuffled and named": (0, lambda g: subjects(g, 20, 50, shuffled=True)),
    "100 subjects of 20 trials": (0, lambda g: (*subjects(g, 100, 20)[:2], {})),
    "random walks": (0, lambda g: both(lambda: g.normal(size=1000).cumsum())),
    "seasons": (0, lambda g: both(lambda: season(g, 1000))),
    "autoregression 0.9": (0, lambda g: both(lambda: autoregressive(g, 0.9, 1000))),
    "autoregression 0.9, rho 0.6": (-math.log(1 - 0.6**2) / 2, lambda g: correlated_series(g, 0.9, 0.6, 2000)),
    "autoregression 0.5, rho 0.3": (-math.log(1 - 0.3**2) / 2, lambda g: correlated_series(g, 0.5, 0.3, 2000)),
}
"""Truth in nats, and samples with the options that an estimate of them is given."""


def measure(case: str, seed: int, steps: int, permutations: int) -> dict[str, Any]:
    x, y, options = CASES[case][1](np.random.default_rng(seed))
    began = time.perf_counter()
    r = estimate_mi(x, y, progress=False, permutations=permutations, fitting=Fitting(steps=steps), **options)
    found = r.to_json() | {"case": case, "seed": seed, "seconds": time.perf_counter() - began}
    return {
        name: found[name]
        for name in ("case", "seed", "mi", "interval", "lower_bound", "p_value", "seconds", "warnings")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=Fitting().steps)
    parser.add_argument("--permutations", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    jobs = {
        f"{case}/{seed}/{given.steps}/{given.permutations}": (case, seed, given.steps, given.permutations)
        for seed in range(given.seeds)
        for case in given.cases
    }
    records = resumed(given.out / "dependent_rows.jsonl", jobs, measure, given.workers)
    print("| rows | truth | mean | withheld | false or missed | interval holds the truth | seconds |")
    print("|---|---|---|---|---|---|---|")
    for case in given.cases:
        truth, rows = CASES[case][0], [record for record in records if record["case"] == case]
        known = [row for row in rows if row["lower_bound"] is not None]
        claimed = [row["lower_bound"] > FALSE or row["p_value"] < 0.05 for row in known]
        wrong = sum(claimed) if truth == 0 else len(claimed) - sum(claimed)
        held = sum(row["interval"][0] <= truth <= (row["interval"][1] or math.inf) for row in known)
        mean = np.mean([row["mi"] for row in rows])
        print(
            f"| {case} | {truth:.4f} | {mean:.3f} | {len(rows) - len(known)} of {len(rows)} | {wrong} of {len(known)} "
            f"| {held} of {len(known)} | {np.mean([row['seconds'] for row in rows]):.1f} |"
        )


if __name__ == "__main__":
    main()
