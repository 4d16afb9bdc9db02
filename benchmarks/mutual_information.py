"""Every task with a known answer, measured: bias, spread, coverage of the interval, time, peak memory.

    python benchmarks/mutual_information.py --out FOLDER            (call it again to go on: what is there is kept)
    python benchmarks/mutual_information.py --out FOLDER --table    (only print)
    python benchmarks/mutual_information.py --out FOLDER --compare  (several estimators on the same samples)

Each run has one thread of a process of its own and appends one line to FOLDER/runs.jsonl (compare.jsonl). Its samples
are drawn with seeds from 5000 (``--first_seed``) on, which no choice in the library was made by. A task is run with as
many seeds as ``--seeds`` says; with two and a half times as many where its first run took less than 15 seconds of a
processor.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before anything that reads it is loaded, here and in every worker

import argparse
import itertools
import json
import math
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.feature_selection import mutual_info_regression

from deep_infomax.mutual_information import DEPENDENCY_TASKS, TASKS, estimate_mi, neural_dependency
from deep_infomax.mutual_information.tasks.joint import correlated_pairs
from deep_infomax.runtime.progress import Progress, progress_bars

QUICK_SECONDS = 15
COMPARED = ("auto", "ksg", "mine", "gaussian", "scikit-learn")
MOST_COMPARED = 6
"""Coordinates of x and y together, up to which estimators are compared."""
DEPENDENCY = {"correlated-pairs-4": correlated_pairs("correlated-pairs-4", 4, 0.8, 0.10)} | DEPENDENCY_TASKS
HEADINGS = ("task", "truth", "mean", "spread", "bias", "wanted", "within", "covered", "open intervals", "seconds")
Record = dict[str, Any]


class Job(NamedTuple):
    task: str
    seed: int
    n: int
    estimators: tuple[str, ...]


def main() -> None:
    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / ("compare.jsonl" if arguments.compare else "runs.jsonl")
    if not arguments.table:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the workers end too
        measure_all(arguments, file)
    records = [r for r in read_records(file) if r.get("n", arguments.n) == arguments.n]
    runs = [r for r in records if chosen(r.get("task", ""), arguments.tasks)]
    if arguments.compare:
        print_comparison(runs)
        return
    for estimator in arguments.estimators.split(","):
        of_it = [r for r in runs if r["task"] in TASKS and r["estimator"] == estimator]
        print_table(f"Mutual information, {estimator}", of_it)
    dependency = [r for r in runs if r["task"] in DEPENDENCY]
    print_table("Total correlation", [r for r in dependency if r["estimator"] == "auto"], dependency_cells(dependency))
    if runs:
        print(f"\nAll {len(runs)} runs together: {sum(r['seconds'] for r in runs) / 3600:.2f} hours, ", end="")
        print(f"at most {max(r['peak_mb'] for r in runs):.0f} MB. ", end="")
    if walls := [r for r in records if "wall_seconds" in r]:
        hours = sum(r["wall_seconds"] for r in walls) / 3600
        print(f"Wall time {hours:.2f} hours for {sum(r['runs'] for r in walls)} runs, torch {torch.__version__}.")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first_seed", type=int, default=5000, help="of the samples")
    parser.add_argument("--tasks", default="", help="parts of names, separated by commas")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--estimators", default="auto", help="separated by commas")
    parser.add_argument("--table", action="store_true", help="run nothing, print what is there")
    parser.add_argument("--dim", action="store_true", help="the paper's measure of dependency too, minutes a run")
    parser.add_argument("--compare", action="store_true", help=f"{', '.join(COMPARED)} on tasks of few coordinates")
    parser.add_argument("--n", type=int, default=10_000, help="samples")
    return parser.parse_args()


def chosen(task: str, parts: str) -> bool:
    return task in TASKS | DEPENDENCY and any(part in task for part in parts.split(","))


def measure_all(arguments: argparse.Namespace, file: Path) -> None:
    """All tasks with the first seed, then all with the next."""
    began, before = time.monotonic(), len(read_records(file))
    try:
        with progress_bars() as tell:
            run(jobs(arguments, file, lambda task: 1), arguments.jobs, file, "first runs", tell)
            first = [r for r in read_records(file) if r.get("seed") == arguments.first_seed and r["n"] == arguments.n]
            quick = {r["task"] for r in first if r["estimator"] != "dim" and r["cpu_seconds"] < QUICK_SECONDS}
            more = 1 if arguments.compare else 2.5
            seeds = lambda task: int(arguments.seeds * (more if task in quick else 1))  # noqa: E731
            run(jobs(arguments, file, seeds), arguments.jobs, file, "further runs", tell)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command goes on from here") from None
    finally:
        if done := len(read_records(file)) - before:
            append(file, {"wall_seconds": time.monotonic() - began, "runs": done, "jobs": arguments.jobs})


def jobs(arguments: argparse.Namespace, file: Path, seeds: Callable[[str], int]) -> list[Job]:
    """What is yet to be done, seed by seed."""
    there = {(r["task"], r["seed"], r["n"], r["estimator"]) for r in read_records(file) if "task" in r}
    names = [name for name in TASKS | DEPENDENCY if chosen(name, arguments.tasks)]
    todo = []
    for number, name in itertools.product(range(max(map(seeds, names), default=0)), names):
        seed = arguments.first_seed + number
        if number < seeds(name):
            estimators = estimators_for(name, arguments, number)
            missing = [e for e in estimators if (name, seed, arguments.n, e) not in there]
            groups = [missing] if arguments.compare else [[estimator] for estimator in missing]
            todo += [Job(name, seed, arguments.n, tuple(group)) for group in groups if group]
    return todo


def estimators_for(name: str, arguments: argparse.Namespace, number: int) -> Sequence[str]:
    if arguments.compare:
        d = math.inf if name in DEPENDENCY else sum(z.shape[1] for z in TASKS[name].sample(2, 0)[:2])
        return [e for e in COMPARED if d <= MOST_COMPARED and (d == 2 or e != "scikit-learn")]
    if name in DEPENDENCY:
        return ("auto", "dim") if arguments.dim and number < arguments.seeds else ("auto",)
    return arguments.estimators.split(",")


def run(todo: Sequence[Job], workers: int, file: Path, what: str, tell: Progress) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            futures = {pool.submit(measure, job): job for job in todo}
            for done, future in enumerate(as_completed(futures), 1):
                if (error := future.exception()) is not None:
                    print(f"{futures[future]} failed: {error}", file=sys.stderr)
                else:
                    for record in future.result():
                        append(file, record)
                tell(what, done, len(todo))
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                process.kill()
            raise


def measure(job: Job) -> list[Record]:
    """Several estimators on the same samples, in a worker."""
    task = (TASKS | DEPENDENCY)[job.task]
    sample = task.sample(job.n, job.seed)
    records = []
    for estimator in job.estimators:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak counts from here
        began, cpu_began = time.perf_counter(), time.process_time()
        found = estimate(estimator, sample[:-1], job.seed % 1000)  # a seed that did not make the samples
        records.append(
            found
            | {"task": job.task, "seed": job.seed, "n": job.n, "estimator": estimator, "truth": task.truth}
            | {"tolerance": task.tolerance, "sample_mean_log_ratio": float(sample.log_ratio.mean())}
            | {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu_began}
            | {"peak_mb": peak_mb()}
        )
    return records


def estimate(estimator: str, sample: Sequence[np.ndarray], seed: int) -> Record:
    if estimator == "scikit-learn":
        x, y = sample
        return {"mi": float(mutual_info_regression(x, y[:, 0], random_state=seed)[0]), "interval": None}
    if len(sample) == 1:
        found = neural_dependency(sample[0], estimator, seed=seed, device="cpu", progress=False).to_json()
        return found | {"mi": found["total_correlation"]}
    return estimate_mi(*sample, estimator, seed=seed, device="cpu", progress=False).to_json()


def peak_mb() -> float:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def append(file: Path, record: Record) -> None:
    with file.open("a") as lines:
        lines.write(json.dumps(record) + "\n")


def read_records(file: Path) -> list[Record]:
    """What is there; a last line that was not written to its end is dropped."""
    text = file.read_text() if file.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole)
    return [json.loads(line) for line in whole.splitlines()]


def by_task(runs: Sequence[Record]) -> dict[str, list[Record]]:
    grouped = {task: [r for r in runs if r["task"] == task] for task in TASKS | DEPENDENCY}
    return {task: found for task, found in grouped.items() if found}


def coverage(runs: Sequence[Record]) -> str:
    given = [(*r["interval"], r["truth"]) for r in runs if r["interval"] is not None]
    covered = sum(low <= truth <= (math.inf if high is None else high) for low, high, truth in given)
    return f"{covered}/{len(given)}"


def figures(runs: Sequence[Record]) -> tuple[list[str], bool]:
    """The cells that every table has, and whether the bias is within what is wanted."""
    values = np.array([r["mi"] for r in runs])
    truth, tolerance, mean = runs[0]["truth"], runs[0]["tolerance"], values.mean()
    within = abs(mean - truth) <= tolerance
    spread = f"{values.std(ddof=1):.4f}" if len(values) > 1 else "-"
    opened = sum(r["interval"] is not None and r["interval"][1] is None for r in runs)
    seconds = np.mean([r["seconds"] for r in runs])
    cells = [f"{truth:.4f}", f"{mean:.4f}", spread, f"{mean - truth:+.4f}", f"{tolerance:g}", "yes" if within else "NO"]
    return [*cells, coverage(runs), str(opened), f"{seconds:.1f}"], bool(within)


def print_table(what: str, runs: Sequence[Record], more: dict[str, Sequence[str]] | None = None) -> None:
    """A row for each task; ``more`` holds further cells of each, under the key "task" their headings."""
    if not runs:
        return
    more, tasks = more or {}, by_task(runs)
    headings = [*HEADINGS, *more.get("task", ())]
    print(f"\n### {what}, n = {runs[0]['n']:,}, nats\n\n{row(headings)}\n{rule(headings)}")
    right: list[str] = []
    for task, found in tasks.items():
        cells, within = figures(found)
        right += [task] * within
        print(row([task, *cells, *more.get(task, ())]))
    print(f"\nBias as wanted: {len(right)} of {len(tasks)} tasks. Intervals cover the truth in {coverage(runs)} runs,")
    print(f"in {coverage([r for r in runs if r['task'] in right])} of those of tasks with a bias as wanted.")


def dependency_cells(runs: Sequence[Record]) -> dict[str, Sequence[str]]:
    """The methods that ``auto`` chose, and what the paper's measure reads."""
    cells: dict[str, Sequence[str]] = {"task": ("methods chosen", "dim: mean", "dim: spread", "dim: seconds")}
    for task, found in by_task(runs).items():
        methods = [r["method"] for r in found if r["estimator"] == "auto"]
        paper = [r for r in found if r["estimator"] == "dim"]
        dim = [figures(paper)[0][i] for i in (1, 2, 8)] if paper else ["-"] * 3
        cells[task] = [", ".join(f"{method} {methods.count(method)}" for method in sorted(set(methods))), *dim]
    return cells


def print_comparison(runs: Sequence[Record]) -> None:
    headings = ["task", "truth", *(f"{e}: {what}" for e in COMPARED for what in ("bias ± spread", "seconds"))]
    print(f"\n{row(headings)}\n{rule(headings)}")
    for task, found in by_task(runs).items():
        cells = [task, f"{found[0]['truth']:.4f}"]
        for estimator in COMPARED:
            of_it = [r for r in found if r["estimator"] == estimator]
            _, _, spread, bias, *_, seconds = figures(of_it)[0] if of_it else ["-"] * 9
            cells += [f"{bias} ± {spread}", seconds]
        print(row(cells))


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def rule(headings: Sequence[str]) -> str:
    return f"|---|{'--:|' * (len(headings) - 1)}"


if __name__ == "__main__":
    main()
