"""How often a test of independence finds a faint correlation, and how often it finds one where there is none.

    python benchmarks/power.py --out FOLDER   (call it again to go on: what is there is kept)

Beside the p-value of `estimate_mi` stands Pearson's, on the same samples. Both count below 0.05.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import resumed
from scipy.stats import pearsonr

from deep_infomax.mutual_information import Fitting, estimate_mi


def measure(rho: float, n: int, seed: int, estimator: str, permutations: int, steps: int) -> dict[str, Any]:
    x, noise = np.random.default_rng(seed).normal(size=(2, n))
    y = rho * x + math.sqrt(1 - rho**2) * noise
    began = time.perf_counter()
    r = estimate_mi(x, y, estimator, progress=False, permutations=permutations, fitting=Fitting(steps=steps))
    seconds = time.perf_counter() - began
    return {
        "rho": rho,
        "n": n,
        "seed": seed,
        "p": r.p_value,
        "pearson": float(pearsonr(x, y).pvalue),
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rho", type=float, nargs="*", default=[0.0, 0.1, 0.2])
    parser.add_argument("--n", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--seeds", type=int, default=50, help="of each correlation above 0")
    parser.add_argument("--null_seeds", type=int, default=200, help="of none")
    parser.add_argument(
        "--estimator", default="auto", help="gaussian trains no network, with the same p-value otherwise"
    )
    parser.add_argument("--permutations", type=int, default=200)
    parser.add_argument("--steps", type=int, default=Fitting().steps)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    how = (given.estimator, given.permutations, given.steps)
    jobs = {
        "/".join(map(str, (rho, n, seed, *how))): (rho, n, seed, *how)
        for n in given.n
        for rho in given.rho
        for seed in range(given.seeds if rho else given.null_seeds)
    }
    records = resumed(given.out / "power.jsonl", jobs, measure, given.workers)
    print(f"p below 0.05: estimator {how[0]}, {how[1]} permutations, {how[2]} steps\n")
    print("| rho | n | `estimate_mi` | Pearson | seconds |")
    print("|---|---|---|---|---|")
    for n in given.n:
        for rho in given.rho:
            rows = [record for record in records if (record["rho"], record["n"]) == (rho, n)]
            ours, theirs = (sum(row[name] < 0.05 for row in rows) for name in ("p", "pearson"))
            seconds = np.mean([row["seconds"] for row in rows])
            print(f"| {rho} | {n:,} | {ours} of {len(rows)} | {theirs} of {len(rows)} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
