"""What the benchmarks share: the log of a training, and the memory of a process."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any


def train_records(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's log about its steps."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [record for record in records if record["kind"] == "train"]


def status_bytes(entry: str) -> int:
    """Bytes of an entry of this process's status, such as VmHWM, its peak resident memory; Linux only."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(entry)]
    return 1024 * int(line.split()[1])


def resumed(
    file: Path, jobs: Mapping[str, tuple[Any, ...]], work: Callable[..., dict[str, Any]], workers: int
) -> list[dict[str, Any]]:
    """The records of all jobs, of which a file keeps one line each: those it has are not done again."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = file.read_text().splitlines() if file.exists() else []
    records = {record["job"]: record for record in map(json.loads, lines)}
    left = {name: job for name, job in jobs.items() if name not in records}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool, file.open("a") as out:
        running = {pool.submit(work, *job): name for name, job in left.items()}
        for done in as_completed(running):
            record = {"job": running[done]} | done.result()
            records[record["job"]] = record
            print(json.dumps(record), file=out, flush=True)
    return [records[name] for name in jobs]
