"""Kill a training with SIGKILL at ten moments and compare what the resumes end in with a run that was never killed.

One kill comes before the first checkpoint and one inside the writing of a checkpoint; the others at random. Weights,
buffers and optimiser states of the last checkpoint and the saved encoder are compared byte for byte. Run it with
`python benchmarks/kill_and_resume.py FOLDER`.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

KILLS = 10
TRAIN = [sys.executable, "-m", "deep_infomax.cli", "train"]
OPTIONS = ["--recipe", "local-infonce", "--data", "digits", "--epochs", "60", "--training.checkpoint_seconds", "0.5"]
OPTIONS += ["--training.device", "cpu"]  # where a resume ends in the very same weights
OPTIONS += ["--objective.gamma", "0.1", "--objective.others", "64", "--data_options.flip", "true"]  # all that is random


def main() -> None:
    folder = Path(sys.argv[1])
    whole, killed = folder / "whole", folder / "killed"
    seconds = timed(lambda: subprocess.run([*TRAIN, *OPTIONS, "--out", whole], check=True, stderr=subprocess.DEVNULL))
    print(f"uninterrupted: {seconds:.0f} s")
    chance = random.Random(0)
    for number in range(1, KILLS + 1):
        started = (killed / "config.yaml").exists()
        command = [*TRAIN, "--resume", killed] if started else [*TRAIN, *OPTIONS, "--out", killed]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        if number == 1:
            when = kill_before_first_checkpoint(process, killed)
        elif number == 5:
            when = kill_inside_a_write(process, killed)
        else:
            when = kill_after(process, killed, chance.uniform(0.2, seconds / KILLS))
        print(f"kill {number}: {when}; newest checkpoint {newest(killed)}", flush=True)
    subprocess.run([*TRAIN, "--resume", killed], check=True, stderr=subprocess.DEVNULL)
    for name in ("encoder.safetensors", f"checkpoints/{newest(whole)}"):
        expected, found = load_file(whole / name), load_file(killed / name)
        assert expected.keys() == found.keys()
        different = [key for key in expected if not torch.equal(expected[key], found[key])]
        print(f"{name}: {len(expected)} tensors, {len(different)} differ")
        assert not different, different


def kill_before_first_checkpoint(process: subprocess.Popen[bytes], run: Path) -> str:
    wait_for(process, lambda: (run / "metrics.jsonl").exists())
    kill(process)
    assert newest(run) == "none", "a checkpoint was faster than the kill"
    return "after training began, before the first checkpoint"


def kill_inside_a_write(process: subprocess.Popen[bytes], run: Path) -> str:
    checkpoints = run / "checkpoints"
    while True:  # stop the process first and look again, so that the write is certainly unfinished
        wait_for(process, lambda: any(checkpoints.glob("*.partial")))
        process.send_signal(signal.SIGSTOP)
        if torn := list(checkpoints.glob("*.partial")):
            break
        process.send_signal(signal.SIGCONT)
    size = torn[0].stat().st_size
    kill(process)
    return f"inside a checkpoint write, {size:,} bytes of {torn[0].name} on disk"


def kill_after(process: subprocess.Popen[bytes], run: Path, seconds: float) -> str:
    size = (run / "metrics.jsonl").stat().st_size
    wait_for(process, lambda: (run / "metrics.jsonl").stat().st_size != size)  # trains again
    time.sleep(seconds)
    assert process.poll() is None, "the run ended before its kill; train longer"
    kill(process)
    return f"{seconds:.1f} s after it trained again"


def wait_for(process: subprocess.Popen[bytes], happened: Callable[[], bool]) -> None:
    while not happened():
        assert process.poll() is None, "the run ended before its kill; train longer"
        time.sleep(0.001)


def kill(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def newest(run: Path) -> str:
    return max((path.name for path in (run / "checkpoints").glob("step-*.safetensors")), default="none")


def timed(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


if __name__ == "__main__":
    main()
