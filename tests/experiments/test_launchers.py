import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from deep_infomax.experiments.launchers import Job, Processes
from deep_infomax.experiments.task import Measured, Outcome, Plan, Task
from deep_infomax.recipes import RECIPES

TELLS = """
import json, os, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
print(json.dumps(["done", os.environ["CUDA_VISIBLE_DEVICES"], []]))
"""
"""A process that waits for a file and tells which GPUs it sees."""


def outcome_of(job: Job) -> Outcome:
    while (outcome := job.outcome()) is None:
        time.sleep(0.02)
    return outcome


@pytest.mark.parametrize(("visible", "gpus"), [(None, ["0", "1"]), ("5,3", ["5", "3"])])
def test_each_process_sees_the_gpu_that_the_fewest_others_use(
    visible: str | None, gpus: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, files = subprocess.Popen, [tmp_path / name for name in "abcd"]
    waiting = iter(files)

    def tells(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return start([sys.executable, "-S", "-c", TELLS, str(next(waiting))], **options)

    monkeypatch.setattr(subprocess, "Popen", tells)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    task = Task(Plan("nat", 0, tmp_path / "nat-0", RECIPES["nat"], "digits", None), Measured(["knn"], None), {})
    launcher = Processes(3)
    jobs = [launcher.start(task) for _ in range(3)]
    files[1].touch()
    seen = [outcome_of(jobs[1]).words]
    jobs.append(launcher.start(task))
    for file in files:
        file.touch()
    seen += [outcome_of(job).words for job in (jobs[0], jobs[2], jobs[3])]
    assert seen == [gpus[1], gpus[0], gpus[0], gpus[1]]


def test_a_process_that_says_nothing_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda command, **options: start([sys.executable, "-S", "-c", "raise SystemExit(3)"], **options),
    )
    task = Task(Plan("nat", 0, tmp_path / "nat-0", RECIPES["nat"], "digits", None), Measured(["knn"], None), {})
    said = f"ended with exit code 3, see {tmp_path / 'nat-0.log'}"
    assert outcome_of(Processes(2).start(task)) == Outcome("failed", said)
    assert (tmp_path / "nat-0.log").exists()
