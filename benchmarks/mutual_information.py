"""Every task with a known answer, measured: bias, spread, coverage of the interval, time, peak memory.

    python benchmarks/mutual_information.py --out FOLDER           (call it again to go on: what is there is kept)
    python benchmarks/mutual_information.py --out FOLDER --table   (only print)
    python benchmarks/mutual_information.py --out FOLDER --estimators auto,peers   (others on the same samples)

It can be run in pieces: ``--tasks`` takes kinds (``--list`` names them) and parts of tasks' names, ``--n`` and
``--seeds`` say how much. Each run has one thread of a process of its own and appends one line to FOLDER/runs.jsonl.
Samples are drawn with the seeds 0 to 4, by which no choice in the library was made; ``--first_seed`` takes others.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before anything that reads it is loaded, here and in every worker

import argparse
import json
import math
import multiprocessing
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import torch
from information_peers import PEERS
from information_tables import print_tables

from deep_infomax.mutual_information import DEPENDENCY_TASKS, TASKS, estimate_mi, neural_dependency
from deep_infomax.mutual_information.tasks.catalogue import KINDS
from deep_infomax.mutual_information.tasks.joint import correlated_pairs
from deep_infomax.runtime.progress import progress_bars

DEPENDENCY = {"correlated-pairs-4": correlated_pairs("correlated-pairs-4", 4, 0.8, 0.10)} | DEPENDENCY_TASKS
GROUPS = {kind: [task.name for task in tasks] for kind, tasks in KINDS.items()} | {"total correlation": [*DEPENDENCY]}
ALL = TASKS | DEPENDENCY
Record = dict[str, Any]


class Job(NamedTuple):
    task: str
    seed: int
    n: int
    estimator: str


def main() -> None:
    arguments = parse()
    if arguments.list:
        print("\n".join(f"{kind}: {', '.join(names)}" for kind, names in GROUPS.items()))
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "runs.jsonl"
    if "torch-mist" not in PEERS and "peers" in arguments.estimators:
        print("torch-mist is not installed here, so it is left out", file=sys.stderr)
    if not arguments.table:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the workers end too
        run(jobs(arguments, file), arguments.workers, file)
    names, sizes = chosen(arguments.tasks), counts(arguments.n)
    records = [r for r in read_records(file) if r["task"] in names and r["n"] in sizes]
    print_tables(records, {kind: [name for name in group if name in names] for kind, group in GROUPS.items()})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/mutual_information"), help="folder of the results")
    parser.add_argument("--tasks", default="", help="kinds and parts of names, separated by commas")
    parser.add_argument("--n", default="1000,10000", help="samples, separated by commas")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first_seed", type=int, default=0, help="of the samples")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--estimators", default="auto", help="separated by commas; `peers` for all of other origin")
    parser.add_argument("--table", action="store_true", help="run nothing, print what is there")
    parser.add_argument("--list", action="store_true", help="print the tasks by kind")
    return parser.parse_args()


def chosen(parts: str) -> list[str]:
    """Tasks of a kind, or with a part of their name, in their order; all for none."""
    wanted = [part.strip() for part in parts.split(",")]
    kinds = {name for kind in wanted for name in GROUPS.get(kind, ())}
    return [name for name in ALL if name in kinds or any(part in name for part in wanted if part not in GROUPS)]


def counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def jobs(arguments: argparse.Namespace, file: Path) -> list[Job]:
    """What is yet to be done: all tasks with the first seed, then all with the next."""
    there = {(r["task"], r["seed"], r["n"], r["estimator"]) for r in read_records(file)}
    every = [
        Job(name, seed, n, estimator)
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        for n in counts(arguments.n)
        for name in chosen(arguments.tasks)
        for estimator in estimators_for(name, arguments.estimators)
    ]
    return [job for job in every if tuple(job) not in there]


def estimators_for(name: str, wanted: str) -> Sequence[str]:
    names = [estimator for part in wanted.split(",") for estimator in (PEERS if part == "peers" else [part])]
    return [estimator for estimator in names if estimator in ("auto", "dim")] if name in DEPENDENCY else names


def run(todo: Sequence[Job], workers: int, file: Path) -> None:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,))
    with pool, progress_bars() as tell:
        try:
            futures = {pool.submit(measure, job): job for job in todo}
            for done, future in enumerate(as_completed(futures), 1):
                if (error := future.exception()) is not None:
                    print(f"{futures[future]} failed: {error}", file=sys.stderr)
                else:
                    with file.open("a") as lines:
                        lines.write(json.dumps(future.result()) + "\n")
                tell("runs", done, len(todo))
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                process.kill()
            raise SystemExit("interrupted; the same command goes on from here") from None


def measure(job: Job) -> Record:
    """One estimator on one sample, in a worker."""
    task = ALL[job.task]
    sample = task.sample(job.n, job.seed)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak counts from here
    began, cpu_began = time.perf_counter(), time.process_time()
    try:
        found = estimate(job, sample)
    except ValueError as error:
        found = {"mi": None, "interval": None, "error": str(error)}
    return (
        found
        | {**job._asdict(), "truth": task.truth if math.isfinite(task.truth) else None}
        | {"tolerance": task.tolerance if math.isfinite(task.tolerance) else None}
        | {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu_began}
        | {"peak_mb": peak_mb()}
    )


def estimate(job: Job, sample: Any) -> Record:
    seed = job.seed + 100  # which did not make the samples
    if job.estimator in PEERS:
        value = PEERS[job.estimator](sample.x, sample.y, seed)
        return {"mi": value if math.isfinite(value) else None, "interval": None}
    if job.task in DEPENDENCY:
        found = neural_dependency(sample.z, job.estimator, seed=seed, device="cpu", progress=False).to_json()
        return found | {"mi": found["total_correlation"]}
    return estimate_mi(sample.x, sample.y, job.estimator, seed=seed, device="cpu", progress=False).to_json()


def peak_mb() -> float:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def read_records(file: Path) -> list[Record]:
    """What is there; a last line that was not written to its end is dropped."""
    text = file.read_text() if file.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole)
    return [json.loads(line) for line in whole.splitlines()]


if __name__ == "__main__":
    main()
