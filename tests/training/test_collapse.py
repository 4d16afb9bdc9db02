"""A collapse is said while it happens, ends a training that asks for it, and is the same after a resume."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from deep_infomax import Callback, TrainingConfig, fit
from deep_infomax.encoders import Encoder, convolutional
from deep_infomax.objectives import Untrained
from deep_infomax.report import read_runs, write_report
from deep_infomax.training.health import spectral_decay

DATA = torch.randn(64, 1, 32, generator=torch.Generator().manual_seed(0))


def training(**changes) -> TrainingConfig:
    return TrainingConfig(
        **{"epochs": 8, "batch_size": 16, "device": "cpu", "log_every": 4, "learning_rate": 0.02} | changes
    )


def line_up(encoder: Encoder) -> None:
    """Leave Y one direction."""
    with torch.no_grad():
        encoder.output.weight[1:] = 0


class Collapsing(Callback):
    """Collapses the encoder at an epoch."""

    def __init__(self, at: float, well_again: float | None = None) -> None:
        self.at, self.well_again, self.weights = at, well_again, Tensor()

    def on_epoch(self, epoch: float, encoder: Encoder) -> bool:
        if epoch == self.at:
            self.weights = encoder.output.weight.clone()
            line_up(encoder)
        if epoch == self.well_again:
            with torch.no_grad():
                encoder.output.weight.copy_(self.weights)
        return False


def health_lines(out: Path) -> list[dict]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "health"]


def test_a_collapse_is_said_once_with_its_epoch(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    encoder = convolutional(1, (32,))
    result = fit(encoder, Untrained(), DATA, training(), out=tmp_path, callbacks=[Collapsing(2.0)], progress=True)
    said = [line for line in capfd.readouterr().err.splitlines() if "collapsed" in line]
    assert len(said) == 1
    assert said[0].startswith("Y uses 1.0 of 64 directions since epoch 3: collapsed; lower `training.learning_rate`")
    assert result.collapsed_since == 3.0
    assert not result.stopped_early
    assert [line.get("collapsed_since") for line in health_lines(tmp_path)] == [None, None, *[3.0] * 6]
    [run] = read_runs([tmp_path])
    assert run.log.collapsed_since == 3.0
    page = write_report([tmp_path]).read_text()
    assert "Y uses 1.0 of 64 directions since epoch 3: it has collapsed." in page


def test_what_recovers_is_well(tmp_path: Path) -> None:
    encoder = convolutional(1, (32,))
    result = fit(encoder, Untrained(), DATA, training(), out=tmp_path, callbacks=[Collapsing(2.0, 4.0)], progress=False)
    assert result.collapsed_since is None
    assert read_runs([tmp_path])[0].log.collapsed_since is None


def test_a_training_may_end_there(tmp_path: Path) -> None:
    encoder = convolutional(1, (32,))
    result = fit(
        encoder,
        Untrained(),
        DATA,
        training(stop_on_collapse=True),
        out=tmp_path,
        callbacks=[Collapsing(2.0)],
        progress=False,
    )
    assert result.stopped_early
    assert result.steps == 4 * 4  # looked at after epoch 3, and once more an epoch later
    assert (tmp_path / "encoder.json").exists()
    again = fit(convolutional(1, (32,)), Untrained(), DATA, training(stop_on_collapse=True), out=tmp_path, resume=True)
    assert (again.steps, again.stopped_early, again.collapsed_since) == (16, True, 3.0)


def test_slope_of_the_spectrum():
    x = np.random.default_rng(0).normal(size=(4000, 20))
    for alpha in (0.5, 1.0, 2.0):
        vectors = torch.from_numpy(x * np.arange(1, 21.0) ** (-alpha / 2))
        assert spectral_decay(vectors) == pytest.approx(alpha, abs=0.1)
    assert np.isnan(spectral_decay(torch.randn(10, 1)))
    assert np.isnan(spectral_decay(torch.ones(10, 3)))
