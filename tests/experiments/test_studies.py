"""Comparisons and studies from Python; what commands make of them is in tests/cli."""

import json
from pathlib import Path

import numpy as np
import pytest

from deep_infomax.experiments import compare, negatives


def test_a_study_gives_its_points(tmp_path: Path) -> None:
    labels = np.arange(80) % 2
    series = np.random.default_rng(0).normal(size=(80, 1, 16)) + labels[:, None, None]
    np.savez(tmp_path / "series.npz", x=series.astype(np.float32), y=labels)
    shown = list[str]()
    study = negatives(
        ["jsd"],
        [1],
        data=str(tmp_path / "series.npz"),
        epochs=1,
        training={"batch_size": 16, "device": "cpu"},
        metrics=["knn"],
        out=tmp_path / "study",
        show=lambda run, results: shown.append(f"{run.name} {[result.layer for result in results]}"),
    )
    [point] = study.points
    assert point.setting == {"bound": "jsd", "others": 1}
    [value] = json.loads((tmp_path / "study" / "jsd-1-0" / "evaluation.json").read_text())["results"]
    assert point.values == {"knn/1": [value["value"]]}
    assert shown == ["jsd-1-0 ['Y']"]
    assert json.loads((tmp_path / "study" / "study.json").read_text())["points"] == [point._asdict()]


def test_what_names_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is nothing to train for compare; name at least one"):
        compare([], out=tmp_path)
    with pytest.raises(ValueError, match="`recipes`: vea is unknown; did you mean vae"):
        compare(["vea"], out=tmp_path)
