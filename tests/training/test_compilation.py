"""Compiled training: the losses of eager training, and eager training where nothing can be compiled.

In processes of their own, as the checks of types in this one cannot be compiled.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

HEADER = Path(sysconfig.get_path("include"), "Python.h")
COMPILER = shutil.which(os.environ.get("CXX", "g++")) is not None and HEADER.is_file()
SCORES = 64 * 4 * 4
"""Of an anchor: with every location of a batch of digits."""
NOTHING = "nothing is compiled: torch.compile finds no working compiler here"


PROGRAM = """
import sys
from deep_infomax.cli import main
from deep_infomax.objectives import mutual_information
mutual_information.MOST_VALUES = {most}
sys.exit(main())
"""


def train(
    run: Path, compiled: bool, environment: dict[str, str] | None = None, most: int = 2**26
) -> tuple[dict[str, Any], str]:
    """The last line of the log about steps, and what was said on standard error; at most so many scores at a time."""
    command = [sys.executable, "-c", PROGRAM.format(most=most), "train", "--data", "digits", "--epochs", "0.5"]
    command += ["--recipe", "local-infonce-paper", "--objective.units", "32", "--out", str(run)]
    command += ["--training.precision", "float32", "--training.device", "cpu", "--training.log_every", "1"]
    command += ["--training.compile", str(compiled).lower()]
    done = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [record for record in records if record["kind"] == "train"][-1]["terms"], done.stderr


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The terms that compiled training is compared with."""
    return train(tmp_path_factory.mktemp("eager") / "run", compiled=False)[0]


@pytest.mark.skipif(not COMPILER, reason="needs a C++ compiler and the headers of Python")
@pytest.mark.parametrize("rows", [64, 16], ids=["at once", "in parts"])
def test_compiled_training_has_the_losses_of_eager_training(rows: int, eager: dict[str, Any], tmp_path: Path) -> None:
    # The prior of the recipe has a gradient penalty, which cannot be compiled.
    found, said = train(tmp_path / "compiled", compiled=True, most=rows * SCORES)
    assert NOTHING not in said
    assert found == pytest.approx(eager, rel=0.01)
    assert found != eager  # other kernels round otherwise


def test_without_a_compiler_training_is_eager_and_says_so(eager: dict[str, Any], tmp_path: Path) -> None:
    nowhere = {"CXX": str(tmp_path / "none"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    found, said = train(tmp_path / "compiled", compiled=True, environment=nowhere)
    assert NOTHING in said
    assert found == eager
