"""Runs begun before arrays were read with more care go on as they were read then."""

from pathlib import Path

import numpy as np
import pytest
import torch

from deep_infomax.data import DataOptions, fingerprint, load_dataset
from deep_infomax.data.description import lines, same_data
from deep_infomax.experiments.recorded import in_recorded_precision, recorded_options


@pytest.mark.parametrize(
    ("recorded", "layout"),
    [
        (None, "auto"),
        ({"channels_rule": "one channel", "shape": "1 x 16 x 24"}, "hw"),
        ({"channels_rule": "one channel", "shape": "1 x 50"}, "auto"),
        ({"channels_rule": "channels first", "shape": "2 x 16 x 16"}, "channels_first"),
        ({"channels_rule": "channels last", "shape": "3 x 16 x 16"}, "channels_last"),
        ({"channels_rule": "3 as found", "shape": "3 x 16 x 16"}, "auto"),
    ],
)
def test_the_layout_that_a_run_recorded_needs_no_word(recorded: dict[str, str | int] | None, layout: str) -> None:
    assert recorded_options(DataOptions(), recorded).layout == layout
    assert recorded_options(DataOptions(layout="cl"), recorded).layout == "cl"


def test_values_that_a_run_read_as_float32_stay_so(tmp_path: Path) -> None:
    far = np.random.default_rng(0).random((20, 16)) + 1e4
    np.save(tmp_path / "x.npy", far)
    np.savez(tmp_path / "x.npz", x=far, y=np.arange(20) % 2)
    for name in ("x.npy", "x.npz"):
        found = load_dataset(str(tmp_path / name))
        recorded = {name: value for name, value in found.description.items() if name not in ("axes", "label_rule")}
        assert in_recorded_precision(found, recorded) is found
        recorded |= {"encoding": "float32"}
        del recorded["precision_rule"]
        old = in_recorded_precision(found, recorded)
        inputs = old.train.take(torch.arange(len(old.train)))
        assert inputs.dtype == torch.float32
        assert torch.equal(inputs, found.train.take(torch.arange(len(old.train))).float())
        if old.test is not None:
            recorded["held_out_inputs"] = fingerprint(old.test)[:12]
        assert same_data(recorded, old.description)
        assert not same_data(recorded, found.description)


def test_a_description_says_first_what_was_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((20, 3, 16, 16)), y=np.arange(20) % 2)
    first, *others = lines(load_dataset(str(tmp_path / "x.npz")).description)
    assert first == "x: 16 inputs to train on, 4 held out to test on, 2 classes"
    assert "  axes: chw (channels, height, width)" in others
    assert "  labels: array y" in others
    [held_out] = [line for line in others if line.startswith("  test part: 4 of 20 labelled inputs held out")]
    assert "`data_options.label_column` none trains on these, too" in held_out
    assert lines({"name": "a\x1b[31m", "n_train": 1}) == ["a\\x1b[31m: 1 inputs to train on, no labels"]
