"""Compiled training: the losses of eager training, and eager training where nothing can be compiled.

In processes of their own, as the checks of types in this one cannot be compiled. Models are traced, partitioned and
decomposed as for a compiler, whose C++ would take minutes; `can_compile` alone has its sum compiled to the end.
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
TRAININGS = {"eager": (False, 2**26), "at once": (True, 2**26), "in parts": (True, 16 * SCORES)}
"""Whether they are compiled, and how many scores are made at a time."""
NOTHING = "nothing is compiled: torch.compile finds no working compiler here"

# The prior of the recipe has a gradient penalty, which cannot be compiled.
PROGRAM = """
import json, sys, torch
from functools import partialmethod
from deep_infomax.cli import main
from deep_infomax.objectives import mutual_information
from torch._dynamo.utils import counters

torch.nn.Module.compile = partialmethod(torch.nn.Module.compile, backend="aot_eager_decomp_partition")
for name, (compiled, most) in json.loads(sys.argv[1]).items():
    torch._dynamo.reset()
    counters.clear()
    mutual_information.MOST_VALUES = most
    words = "train --data digits --epochs 0.1 --recipe local-infonce-paper --objective.units 32 --training.log_every 1"
    words += f" --training.precision float32 --training.device cpu --training.compile {str(compiled).lower()}"
    assert main([*words.split(), "--out", name]) == 0
    print(json.dumps(counters["frames"]["ok"]))
"""


def train(
    folder: Path, trainings: dict[str, tuple[bool, int]], environment: dict[str, str] | None = None
) -> tuple[dict[str, tuple[dict[str, Any], int]], str]:
    """The last terms of each training and how many functions were compiled, and what was said on standard error."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(trainings)]
    environment = os.environ | (environment or {})
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {}
    for name, count in zip(trainings, done.stdout.split(), strict=True):
        records = [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
        found[name] = [record for record in records if record["kind"] == "train"][-1]["terms"], int(count)
    return found, done.stderr


@pytest.mark.skipif(not COMPILER, reason="needs a C++ compiler and the headers of Python")
def test_compiled_training_has_the_losses_of_eager_training(tmp_path: Path) -> None:
    found, said = train(tmp_path, TRAININGS)
    assert NOTHING not in said
    expected, none = found["eager"]
    assert none == 0
    for name in ("at once", "in parts"):
        terms, compiled = found[name]
        assert compiled > 0
        assert terms == pytest.approx(expected, rel=0.01), name


def test_without_a_compiler_training_is_eager_and_says_so(tmp_path: Path) -> None:
    nowhere = {"CXX": str(tmp_path / "none"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    found, said = train(tmp_path, {"eager": (False, 2**26), "compiled": (True, 2**26)}, nowhere)
    assert NOTHING in said
    assert found["compiled"][0] == found["eager"][0]
