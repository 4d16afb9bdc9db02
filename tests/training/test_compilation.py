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
from typing import Any, NamedTuple

import pytest

HEADER = Path(sysconfig.get_path("include"), "Python.h")
COMPILER = (shutil.which(os.environ.get("CXX", "g++")) if HEADER.is_file() else None) or ""
SCORES = 64 * 4 * 4
"""Of an anchor: with every location of a batch of digits."""
NOTHING = "nothing is compiled: torch.compile finds no working compiler here"

# The prior of the recipe has a gradient penalty, which cannot be compiled. The process begins without a compiler, and
# gets one, and what it has compiled before, for the later trainings.
PROGRAM = """
import json, os, sys, torch
from functools import partialmethod
from deep_infomax.cli import main
from deep_infomax.objectives import mutual_information
from deep_infomax.training import can_compile
from torch._dynamo.utils import counters
from torch._inductor import config, cpu_vec_isa

cpu_vec_isa.valid_vec_isa_list = list  # trying each kind of vector that the processor may have takes half a minute
torch.nn.Module.compile = partialmethod(torch.nn.Module.compile, backend="aot_eager_decomp_partition")
for name, compiled, most, gamma, compiler in json.loads(sys.argv[1]):
    torch._dynamo.reset()
    counters.clear()
    if compiler:
        config.cpp.cxx = (None, compiler)
        os.environ.pop("TORCHINDUCTOR_CACHE_DIR", None)
        can_compile.cache_clear()
    mutual_information.MOST_VALUES = most
    words = "train --data digits --epochs 0.1 --recipe local-infonce-paper --objective.units 32 --training.log_every 1"
    words += f" --training.precision float32 --training.device cpu --training.compile {str(compiled).lower()}"
    assert main([*words.split(), "--objective.gamma", str(gamma), "--out", name]) == 0
    print(json.dumps(counters["frames"]["ok"]))
    print("end of a training", file=sys.stderr)
"""


class Trained(NamedTuple):
    terms: dict[str, Any]
    compiled: int
    """Functions."""
    said: str


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    """Trainings by what is peculiar to them, those that are compiled only where a compiler is."""
    folder, most = tmp_path_factory.mktemp("trained"), 2**26  # scores at a time
    trainings: list[tuple[str, bool, int, float, str]] = [
        ("eager", False, most, 1.0, ""),
        ("eager without a prior", False, most, 0.0, ""),
        ("without a compiler", True, most, 1.0, ""),
    ]
    if COMPILER:
        trainings += [("at once", True, most, 1.0, COMPILER), ("in parts", True, 32 * SCORES, 0.0, COMPILER)]
    environment = os.environ | {
        "CXX": str(folder / "none"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "cache"),
        "TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS": "0",  # they take longer than the sum, the one thing compiled
    }
    command = [sys.executable, "-c", PROGRAM, json.dumps(trainings)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {}
    said = done.stderr.split("end of a training")
    for (name, *_), count, words in zip(trainings, done.stdout.split(), said[:-1], strict=True):
        records = [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
        terms = [record for record in records if record["kind"] == "train"][-1]["terms"]
        found[name] = Trained(terms, int(count), words)
    return found


@pytest.mark.skipif(not COMPILER, reason="needs a C++ compiler and the headers of Python")
@pytest.mark.parametrize(("name", "eager"), [("at once", "eager"), ("in parts", "eager without a prior")])
def test_compiled_training_has_the_losses_of_eager_training(trained: dict[str, Trained], name: str, eager: str) -> None:
    assert NOTHING not in trained[name].said
    assert trained[eager].compiled == 0
    assert trained[name].compiled > 0
    assert trained[name].terms == pytest.approx(trained[eager].terms, rel=0.01)


def test_without_a_compiler_training_is_eager_and_says_so(trained: dict[str, Trained]) -> None:
    assert NOTHING in trained["without a compiler"].said
    assert trained["without a compiler"].terms == trained["eager"].terms
