"""All that is wanted of a GPU, in miniature on a CPU: every stage, an interrupt, and a second call that goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deep_infomax.data import Batches
from deep_infomax.training import InterruptedTrainingError

gpu = pytest.importorskip("gpu", reason="the benchmarks are not part of this distribution")


EAGER = "encode-and-dot (4, 8), eager"


@contextmanager
def interrupted_at_once(seconds: float) -> Iterator[None]:
    """An interrupt before the third step from here on, in the place of one after so many seconds."""
    steps, batch = iter(range(1, 10**6)), Batches.batch

    def counted(self: Batches, step: int) -> Any:
        if next(steps) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return batch(self, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Batches, "batch", counted)
        yield


@pytest.fixture
def miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(gpu.training_step, "SHAPES", {"encode-and-dot (4, 8)": ("local-infonce-paper", 4, 8)})
    monkeypatch.setattr(gpu.training_step, "BLOCK", 1)
    monkeypatch.setattr(gpu.training_step, "BLOCKS", {"library": 1})
    monkeypatch.setattr(gpu.training_step, "rates", lambda device: {"bfloat16 GFLOP/s": 1.0})
    monkeypatch.setattr(gpu.training_step, "compiled", lambda shape, device: {"compiled ms": None})
    monkeypatch.setattr(gpu, "LAYERS", ("Y",))
    monkeypatch.setattr(gpu, "tests", lambda most: "3 passed")
    monkeypatch.setattr(gpu, "interrupted_after", interrupted_at_once)
    words = ["--minutes", "1e6", "--device", "cpu", "--data", "digits", "--recipes", "local-infonce-paper"]
    monkeypatch.setattr(sys, "argv", ["gpu.py", *words, "--out", str(tmp_path)])
    return tmp_path


def test_a_second_call_goes_on_where_the_first_stopped(miniature: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu.main()
    first = found(miniature)
    assert set(first) == {"machine", "tests", EAGER, EAGER.replace("eager", "compiled"), "local-infonce-paper"}
    assert first[EAGER]["ms"] > 0
    assert first["local-infonce-paper"]["steps"] == 3
    assert 0 <= first["local-infonce-paper"]["mlp Y"] <= 100
    for picture in ("steps.png", "training.png"):
        assert (miniature / picture).stat().st_size > 1000
    monkeypatch.setattr(gpu, "rows", lambda device: [(EAGER, pytest.fail)])
    monkeypatch.setattr(gpu, "tests", pytest.fail)
    gpu.main()
    second = found(miniature)
    assert second["local-infonce-paper"]["steps"] == 6
    assert second[EAGER] == first[EAGER]


def test_the_interrupt_of_the_clock_arrives() -> None:
    def waits() -> None:
        with gpu.interrupted_after(0.0):
            time.sleep(60)

    with pytest.raises(InterruptedTrainingError):
        waits()


def test_a_measurement_that_fails_ends_nothing() -> None:
    def fails() -> dict[str, Any]:
        raise RuntimeError("out of memory\nand more")

    assert gpu.attempted(fails) == {"failed": "out of memory"}


def test_packages_that_are_not_needed_are_not_in_the_way() -> None:
    blocked = ("datasets", "jsonargparse", "beartype", "huggingface_hub.hf_api", "sphinx", "timm", "nibabel", "h5py")
    code = f"import sys\nfor name in {blocked}: sys.modules[name] = None\nimport gpu"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(gpu.__file__).parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def found(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "gpu.json").read_text())
    return content
