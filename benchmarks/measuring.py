"""What the benchmarks share: the log of a training, and the memory of a process."""

import json
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
