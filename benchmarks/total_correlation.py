"""Total correlation on every task with a known answer: mean, coverage, silent misses, time.

    python benchmarks/total_correlation.py --out FILE            (call it again to go on: what is there is kept)
    python benchmarks/total_correlation.py --out FILE --table    (only print)

A silent miss is an interval that does not hold the truth in a result without a warning. Samples are drawn with seeds
from 8000 (``--first_seed``) on, which no choice in the library was made by.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before anything that reads it is loaded

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deep_infomax.mutual_information import DEPENDENCY_TASKS, neural_dependency

Record = dict[str, Any]
HEADINGS = ("task", "n", "truth", "mean", "bias", "holds the truth", "open", "silent misses", "methods", "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file of the results, one line each")
    parser.add_argument("--n", default="1000,10000", help="samples, separated by commas")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first_seed", type=int, default=8000)
    parser.add_argument("--tasks", default="", help="parts of names, separated by commas")
    parser.add_argument("--table", action="store_true", help="run nothing, print what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = [name for name in DEPENDENCY_TASKS if any(part in name for part in arguments.tasks.split(","))]
    sizes = [int(n) for n in arguments.n.split(",")]
    there = {(r["task"], r["n"], r["seed"]) for r in records(arguments.out)}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for n in sizes:
            for name in names:
                if not arguments.table and (name, n, seed) not in there:
                    with arguments.out.open("a") as lines:
                        lines.write(json.dumps(measure(name, n, seed)) + "\n")
    print_table([r for r in records(arguments.out) if r["task"] in names and r["n"] in sizes])


def measure(name: str, n: int, seed: int) -> Record:
    task = DEPENDENCY_TASKS[name]
    began = time.perf_counter()
    found = neural_dependency(task.sample(n, seed).z, seed=seed % 1000, device="cpu", progress=False).to_json()
    return found | {"task": name, "n": n, "seed": seed, "truth": task.truth, "seconds": time.perf_counter() - began}


def records(file: Path) -> list[Record]:
    """What is there; a last line that was not written to its end is dropped."""
    text = file.read_text() if file.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole)
    return [json.loads(line) for line in whole.splitlines()]


def holds(record: Record) -> bool:
    if record["interval"] is None:
        return True  # nothing was promised
    low, high = record["interval"]
    return bool(low <= record["truth"] <= (math.inf if high is None else high))


def print_table(runs: Sequence[Record]) -> None:
    print(f"| {' | '.join(HEADINGS)} |\n|---|{'--:|' * (len(HEADINGS) - 1)}")
    for task, n in sorted(
        {(r["task"], r["n"]) for r in runs}, key=lambda key: (list(DEPENDENCY_TASKS).index(key[0]), key[1])
    ):
        of_it = [r for r in runs if (r["task"], r["n"]) == (task, n)]
        truth, mean = of_it[0]["truth"], np.mean([r["total_correlation"] for r in of_it])
        held = sum(holds(r) for r in of_it)
        opened = sum(r["interval"] is None or r["interval"][1] is None for r in of_it)
        silent = sum(not holds(r) and not r["warnings"] for r in of_it)
        methods = ", ".join(sorted({r["method"] for r in of_it}))
        cells = [task, f"{n:,}", f"{truth:.3f}", f"{mean:.3f}", f"{mean - truth:+.3f}", f"{held}/{len(of_it)}"]
        cells += [str(opened), str(silent), methods, f"{np.mean([r['seconds'] for r in of_it]):.1f}"]
        print(f"| {' | '.join(cells)} |")
    if runs:
        print(f"\nIntervals hold the truth in {sum(map(holds, runs))} of {len(runs)} runs; ", end="")
        print(f"silent misses: {sum(not holds(r) and not r['warnings'] for r in runs)}.")


if __name__ == "__main__":
    main()
