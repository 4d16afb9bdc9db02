"""The benchmark of the training step measures all that it should, here on so few inputs that no figure says much."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

training_step = pytest.importorskip("training_step", reason="the benchmarks are not part of this distribution")

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read as on Linux")


def test_every_table_is_printed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def in_this_process(device: torch.device, kind: str, *arguments: str) -> Mapping[str, float | None]:
        if kind == "rates":
            return {"float32 GFLOP/s": 10.0, "bfloat16 GFLOP/s": 10.0}
        found: Mapping[str, float | None] = training_step.MEASUREMENTS[kind](*arguments, device)
        return found

    shape, file = "encode-and-dot (4, 8)", tmp_path / "new" / "bench.json"
    small = {"SHAPES": {shape: ("local-infonce-paper", 4, 8)}, "RECIPES_TIMED": ["random"], "BLOCK": 1}
    for name, value in (
        small
        | {"BLOCKS": {"library": 1, "direct": 1, "expanded": 1}, "EPOCH_STEPS": 2, "can_compile": lambda device: False}
    ).items():
        monkeypatch.setattr(training_step, name, value)
    monkeypatch.setattr(training_step, "measured", in_this_process)
    monkeypatch.setattr("sys.argv", ["training_step.py", "--device", "cpu", "--json", str(file)])
    training_step.main()

    found: dict[str, Any] = json.loads(file.read_text())
    tables = ["shapes", "recipes", "data", "compiled", "freed memory returned", "operators"]
    assert list(found) == ["machine", *tables]
    assert "load average" in found["machine"]
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in printed if line in tables] == tables
    [row], [recipe] = found["shapes"], found["recipes"]
    assert row["ratio"] == pytest.approx(row["float32 ms"] / row["ms"], abs=0.01)
    assert row["% of peak"] == pytest.approx(100 * row["GFLOP"] / (row["ms"] / 1e3) / 10, rel=0.1)
    assert recipe["GFLOP"] > 0
    assert [row["data"] for row in found["data"]] == ["resident", "on disk"]
    assert found["compiled"] == [{"shape": shape, "ms": row["ms"], "compiled ms": None, "seconds to compile": None}]
    assert found["freed memory returned"][0].keys() == {"shape", "ms", "returned, ms", "MB"}
    assert [row["of"] for row in found["operators"]] == [shape, "random"]
