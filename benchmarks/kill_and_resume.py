"""Kill commands at 100 random moments, look for anything torn, and compare what they end in with runs never killed.

`train`, `evaluate`, `encode`, `compare` and `report` are killed with SIGKILL, SIGTERM and SIGINT and given again, each
until its turns are over. After every kill all files are read. In the end each command runs to its end, and its weights,
checkpoints, figures and vectors are compared with those of a command that was never killed, byte for byte where they
hold no times. Commands are forked from one process that has loaded PyTorch, so that kills fall into work and not into
imports. Run it with `OMP_NUM_THREADS=1 python benchmarks/kill_and_resume.py FOLDER [KILLS]`.
"""

import importlib
import json
import os
import pkgutil
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

import deep_infomax
from deep_infomax.cli import main as dim
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import read_results
from deep_infomax.experiments.run_directory import read_settings
from deep_infomax.training.checkpoint import Checkpoints

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TURNS = {"train": 35, "evaluate": 20, "encode": 15, "compare": 20, "report": 10}
ENDED, INTERRUPTED = 0, 130
TRAIN = "--recipe local-infonce --data digits --epochs 4 --training.checkpoint_seconds 0.2 --training.device cpu"
TRAIN += " --objective.gamma 0.1 --objective.others 16 --data_options.flip true"  # all that is random
TRAIN += " --objective.units 32 --objective.global_units 32 --training.batch_size 64"
COMPARE = "--recipes nat,random --data digits --epochs 0.5 --batch_size 64 --metrics knn --layers Y"


class Commands:
    """The commands in a folder of their own; each continues what was killed."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder, self.data = folder, data
        self.run, self.series, self.vectors = folder / "run", folder / "series", folder / "Y.npy"
        self.measured, self.page = folder / "measured", folder / "report.html"

    def words(self, name: str) -> list[str]:
        begun = (self.run / "config.yaml").exists()
        train = f"--resume {self.run}" if begun else f"{TRAIN} --out {self.run}"
        return {
            "train": f"train {train}",
            "evaluate": f"evaluate {self.measured} --metrics knn,linear --layers Y,fc --seeds 1",
            "encode": f"encode {self.measured} {self.data} --out {self.vectors}",
            "compare": f"compare {COMPARE} --out {self.series}",
            "report": f"report {self.measured} --out {self.page}",
        }[name].split()

    def start(self, name: str) -> int:
        """The process number of a command that was started."""
        if (number := os.fork()) != 0:
            return number
        code = 70
        try:
            log = os.open(self.folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1), os.dup2(log, 2)
            code = dim(self.words(name))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def finish(self, name: str) -> float:
        """Run a command to its end; the seconds that it took."""
        began = time.monotonic()
        code = os.waitstatus_to_exitcode(os.waitpid(self.start(name), 0)[1])
        assert code == ENDED, f"{name} ended with {code}: {(self.folder / f'{name}.log').read_text()[-2000:]}"
        return time.monotonic() - began


def main() -> None:
    folder, kills = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100
    folder.mkdir(parents=True)
    for found in pkgutil.walk_packages(deep_infomax.__path__, "deep_infomax."):
        if not found.name.endswith("__main__") and found.name != "deep_infomax.experiments.worker":
            importlib.import_module(found.name)
    for name in ("scipy.optimize", "sklearn.manifold"):
        importlib.import_module(name)
    data, chance = folder / "images.npy", random.Random(0)
    np.save(data, np.random.default_rng(0).integers(0, 256, (6000, 1, 8, 8), np.uint8))
    whole, killed = (Commands(folder / name, data) for name in ("whole", "killed"))
    seconds = {}
    for commands in (whole, killed):
        commands.folder.mkdir()
    for name in TURNS:
        seconds[name] = whole.finish(name)
        if name == "train":
            for commands in (whole, killed):
                shutil.copytree(whole.run, commands.measured)
    print("uninterrupted: " + ", ".join(f"{name} {time:.1f} s" for name, time in seconds.items()), flush=True)

    turns = [name for name, number in TURNS.items() for _ in range(round(number * kills / 100))]
    chance.shuffle(turns)
    happened, trained, compared, inside = Counter[tuple[str, str]](), 0, 0, 0
    while turns:
        name, number = turns[-1], chance.choice(SIGNALS)
        began, process = time.time(), killed.start(name)
        # Two thirds of a training or a series, so that some of them end, and a little more than the others take.
        time.sleep(0.02 + chance.uniform(0.0, seconds[name] * (0.6 if name in ("train", "compare") else 1.1)))
        os.kill(process, number)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        look(killed)
        said = (killed.folder / f"{name}.log").read_text()
        assert code in (ENDED, INTERRUPTED, -signal.SIGKILL, -signal.SIGTERM), f"{name}: {code}: {said[-2000:]}"
        assert "Traceback" not in said, said[-4000:]
        if code != ENDED:
            turns.pop()
            happened[name, number.name] += 1
            inside += any(path.stat().st_mtime > began for path in killed.folder.rglob("*.partial"))
        if name == "train" and (killed.run / "encoder.json").exists() and code == ENDED:
            trained += same_weights(whole.run, killed.run)
            shutil.rmtree(killed.run)
        if name == "compare" and code == ENDED:
            compared += same_series(whole.series, killed.series)
            shutil.rmtree(killed.series)
    for name in TURNS:
        killed.finish(name)
    trained += same_weights(whole.run, killed.run)
    compared += same_series(whole.series, killed.series)
    assert figures(whole.measured) == figures(killed.measured)
    assert whole.vectors.read_bytes() == killed.vectors.read_bytes()
    left = [path for pattern in ("*.partial", ".*lock") for path in killed.folder.rglob(pattern)]
    assert not left, left
    for name in TURNS:
        print(f"{name}: " + ", ".join(f"{number.name} {happened[name, number.name]}" for number in SIGNALS))
    print(f"{sum(happened.values())} kills, {inside} of them inside the writing of a file")
    print("nothing torn, nothing left over, no traceback")
    print(f"{trained} trainings and {compared} series: no tensor and no figure differs")


def look(commands: Commands) -> None:
    """Read every file that is there."""
    for path in sorted(commands.folder.rglob("*")):
        if path.name == "config.yaml":
            read_settings(path.parent)
        elif path.name == "encoder.json":
            Encoder.from_pretrained(path.parent)
        elif path.name == "evaluation.json":
            read_results(path)
        elif path.name == "checkpoints":
            Checkpoints(path, keep=2).read_latest()
        elif path.name == "metrics.jsonl":
            for line in path.read_bytes().split(b"\n")[:-1]:
                json.loads(line)
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                for name in arrays:
                    assert arrays[name] is not None
        elif path.suffix == ".npy":
            assert np.load(path, mmap_mode="r").shape == (6000, 16), path
        elif path.suffix == ".html":
            assert path.read_text().rstrip().endswith("</html>"), path


def same_weights(expected: Path, found: Path) -> int:
    """Compare the encoder and the last checkpoint; 1, as one training was compared."""
    for name in ("encoder.safetensors", max(path.name for path in (expected / "checkpoints").iterdir())):
        folder = "" if name.startswith("encoder") else "checkpoints/"
        one, other = load_file(expected / folder / name), load_file(found / folder / name)
        assert one.keys() == other.keys()
        assert not [key for key in one if not torch.equal(one[key], other[key])], found
    return 1


def same_series(expected: Path, found: Path) -> int:
    """Compare all trainings of a series and their figures; 1, as one series was compared."""
    runs = sorted(path.parent.name for path in expected.glob("*/config.yaml"))
    assert runs == sorted(path.parent.name for path in found.glob("*/config.yaml"))
    for run in runs:
        same_weights(expected / run, found / run)
        assert figures(expected / run) == figures(found / run)
    return 1


def figures(run: Path) -> dict[tuple[str, ...], float]:
    return {result.key: result.value for result in read_results(run / "evaluation.json")}


if __name__ == "__main__":
    main()
