"""Slurm's commands for one machine and one queue that is never full: enough for jobs, requeues and cancellations.

Links to this file, named as the commands, stand on the PATH; what they know lies in the folder $FAKE_SLURM. What srun
is to run, ``carry_out`` runs, which is called by whoever has a process to call it in.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

STATE = Path(os.environ.get("FAKE_SLURM", "."))


def install(folder: Path) -> None:
    """Write the commands into a folder."""
    folder.mkdir()
    for name in ("sbatch", "srun", "sacct", "scontrol", "scancel"):
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} -S {Path(__file__).resolve()} {name} "$@"\n')
        (folder / name).chmod(0o755)


def pid(job: str) -> int:
    return int((STATE / f"{job}.pid").read_text())


def running(job: str) -> bool:
    if (STATE / f"{job}.queued").exists():
        return True
    try:
        os.kill(pid(job), 0)
    except ProcessLookupError:
        return False
    return True


def submit(job: str) -> None:
    (STATE / f"{job}.queued").touch()
    environment = os.environ | {"SLURM_JOB_ID": job}
    script = STATE / f"{job}.sh"
    quiet = subprocess.DEVNULL
    subprocess.Popen(["bash", script], env=environment, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)


def sbatch(script: str) -> None:
    job = str(len(list(STATE.glob("*.sh"))) + 1)
    (STATE / f"{job}.sh").write_text(Path(script).read_text())
    submit(job)
    print(f"Submitted batch job {job}")


def srun(*words: str) -> None:
    words = words[1:]  # --unbuffered
    asked = {"words": words, "environment": dict(os.environ)}
    (STATE / "asked").write_text(json.dumps(asked))
    (STATE / "asked").rename(STATE / f"{os.environ['SLURM_JOB_ID']}.asked")


def carry_out(state: Path, words: Sequence[str]) -> None:
    """Run what srun was given, a job of submitit, in this process."""
    from submitit.core.submission import process_job

    job = os.environ["SLURM_JOB_ID"]
    for stream, flag in ((1, "--output"), (2, "--error")):
        path = words[words.index(flag) + 1].replace("%j", job).replace("%t", "0")
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    (state / f"{job}.pid").write_text(str(os.getpid()))
    (state / f"{job}.queued").unlink()
    assert list(words[5:8]) == ["-u", "-m", "submitit.core._submit"]
    process_job(*words[8:])


def sacct(*words: str) -> None:
    print("JobID|State|NodeList")
    for flag, job in pairwise(words):
        if flag == "-j" and (STATE / f"{job}.sh").exists():
            ended = "CANCELLED by 0" if (STATE / f"{job}.cancelled").exists() else "COMPLETED"
            print(f"{job}|{'RUNNING' if running(job) else ended}|here")


def scontrol(order: str, job: str) -> None:
    assert order == "requeue"
    submit(job)


def scancel(*jobs: str) -> None:
    for job in jobs:
        os.kill(pid(job), signal.SIGTERM)
        time.sleep(0.5)  # one that ends by itself shows
        os.kill(pid(job), signal.SIGKILL)
        (STATE / f"{job}.cancelled").touch()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
