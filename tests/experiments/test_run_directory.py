from pathlib import Path
from textwrap import indent

import pytest
import yaml

from deep_infomax.data import DataOptions
from deep_infomax.experiments.run import train
from deep_infomax.experiments.run_directory import plain, read_settings, write_settings
from deep_infomax.recipes import EncoderConfig, ObjectiveConfig
from deep_infomax.training import TrainingConfig

WRITTEN = """\
recipe: local-infonce
command: dim train --recipe local-infonce --data digits --epochs 12 --seed 3 --training.checkpoint_seconds
  0 --out run
seed: 3
data: digits
probe: null
encoder:
  architecture: auto
  dim: null
objective:
  method: deep-infomax
  bound: infonce
  alpha: 0.0
  beta: 1.0
  gamma: 0.0
  local_scorer: folded
  global_scorer: encode-and-dot
  units: 512
  global_units: 512
  others: null
  limit: 20.0
  penalty: 0.05
  prior: uniform
  gradient_penalty: 1.0
training:
  epochs: 12.0
  batch_size: 128
  learning_rate: 0.002
  schedule: one-cycle
  warmup: 0.1
  weight_decay: 0.0
  adversary_learning_rate: 0.0001
  precision: auto
  device: auto
  compile: false
  log_every: 20
  checkpoint_seconds: 0.0
  checkpoints: 2
  trackers: []
data_options:
  resize: null
  crop: null
  channels: null
  layout: auto
  random_crop: null
  train_inputs: null
  held_out: null
  flip: false
  image_column: null
  label_column: null
dataset:
  spec: digits
  name: digits
  n_train: 1297
environment:
  version: 0.1.0
  precision: bfloat16
  processes: 1
"""
"""What version 0.1.0 writes."""


@pytest.mark.parametrize("lines", [len(WRITTEN.splitlines()), WRITTEN[: WRITTEN.index("dataset:")].count("\n")])
def test_settings_are_read_and_written_without_a_change(tmp_path: Path, lines: int) -> None:
    text = "".join(WRITTEN.splitlines(keepends=True)[:lines])
    (tmp_path / "config.yaml").write_text(text)
    write_settings(tmp_path, read_settings(tmp_path))
    written = (tmp_path / "config.yaml").read_text()
    defaults = vars(DataOptions()) | vars(TrainingConfig()) | vars(EncoderConfig()) | vars(ObjectiveConfig())
    dumped = (yaml.safe_dump(plain({name: value})) for name, value in defaults.items() if f"  {name}:" not in text)
    later = [line for setting in dumped for line in indent(setting, "  ").splitlines(keepends=True)]
    assert [line for line in written.splitlines(keepends=True) if line not in later] == text.splitlines(keepends=True)
    write_settings(tmp_path, read_settings(tmp_path))
    assert (tmp_path / "config.yaml").read_text() == written


def test_a_setting_that_is_wrong_or_unknown_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(WRITTEN.replace("batch_size: 128", "batch_size: 0"))
    with pytest.raises(
        ValueError, match=r"config\.yaml is damaged: training.batch_size is 0; give 1 or more; restore it or"
    ):
        read_settings(tmp_path)
    path.write_text(WRITTEN.replace("batch_size", "batchsize"))
    with pytest.raises(
        ValueError, match=r"config\.yaml is damaged: training has no setting batchsize; did you mean batch_size"
    ):
        read_settings(tmp_path)


def refused(out: Path) -> None:
    with pytest.raises(ValueError, match="the encoder convolutional-32 takes 32x32 inputs, got 8x8"):
        train("local-infonce", "digits", out=out, encoder={"architecture": "convolutional-32"}, progress=False)


def test_a_training_that_is_refused_leaves_no_directory(tmp_path: Path) -> None:
    refused(tmp_path / "run")
    with pytest.raises(ValueError, match=r"`training.device` is xpu, but this torch finds no such GPU"):
        train("local-infonce", "digits", out=tmp_path / "run", training={"device": "xpu"}, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_was_there_stays(tmp_path: Path) -> None:
    refused(tmp_path)
    assert tmp_path.is_dir()
    assert list(tmp_path.iterdir()) == []
