"""The benchmark of priors: its measures of normality on samples that are normal, and on samples that are not."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from deep_infomax.experiments.series import Setting

priors = pytest.importorskip("priors", reason="the benchmarks are not part of this distribution")


def test_normal_samples_are_rejected_as_often_as_the_level_says() -> None:
    found = priors.normality(torch.randn(1000, 400), torch.randn(20_000, 400))
    assert found["units, %"] == pytest.approx(100 * priors.LEVEL, abs=5)
    assert found["projections, %"] == pytest.approx(100 * priors.LEVEL, abs=6)
    assert found["Epps-Pulley"] == pytest.approx(priors.NULL, abs=0.3)
    assert found["standardised"] == pytest.approx(priors.NULL, abs=0.3)
    assert round(priors.NULL, 4) == 1.0594


def test_shift_and_scale_alone_are_not_told_by_the_test_nor_once_they_are_taken_out() -> None:
    found = priors.normality(3 + 2 * torch.randn(1000, 200), 3 + 2 * torch.randn(20_000, 200))
    assert found["units, %"] < 15
    assert found["Epps-Pulley"] > 50
    assert found["standardised"] == pytest.approx(priors.NULL, abs=0.3)


def test_other_samples_and_constant_ones_are_told() -> None:
    found = priors.normality(torch.rand(1000, 2), torch.rand(1000, 2))
    assert found["units, %"] == 100
    assert found["projections, %"] > 90
    assert found["standardised"] > 2 * priors.NULL
    assert priors.normality(torch.zeros(100, 3), torch.zeros(100, 3))["units, %"] == 100


def test_a_table_is_trained_and_printed_and_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(60, 1, 32)), "y": np.arange(60) % 2}
    np.savez(tmp_path / "series.npz", **arrays, **{f"{name}_test": value[:30] for name, value in arrays.items()})
    methods = {
        "local-infonce": Setting("local-infonce", {"units": 8}),
        "adversary, gaussian": Setting("local-infonce", {"units": 8, "gamma": 0.1}),
    }
    monkeypatch.setattr(priors, "METHODS", methods)
    monkeypatch.setattr(priors, "PROBED", {"knn Y": ("knn", "Y", 1)})
    monkeypatch.setattr(priors, "ROUNDS", 2)
    monkeypatch.setattr(priors, "stepping", lambda config, dataset: lambda: None)
    out = tmp_path / "runs"
    words = ["priors.py", "--out", str(out), "--data", str(tmp_path / "series.npz"), "--epochs", "1", "--seeds", "1"]
    monkeypatch.setattr("sys.argv", words)
    priors.main()
    table = capsys.readouterr().out
    assert "1.00 (1.00 to 1.00)" in table  # the plain recipe, beside itself
    rows = {line.split("\u2502")[1].strip() for line in table.splitlines() if line.count("\u2502") > 3}
    assert rows == {"local-infonce", "adversary, gaussian", "normal samples"}
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.json")}
    assert {path.name for path in out.glob("*.json")} >= {
        "seconds.json",
        "normal.json",
        "local-infonce-0.normality.json",
    }
    priors.main()
    assert capsys.readouterr().out == table
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.json")} == kept
    assert len(json.loads((out / "seconds.json").read_text())["local-infonce"]) == 2
