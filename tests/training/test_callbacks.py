import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from deep_infomax.encoders import Encoder, convolutional
from deep_infomax.recipes import ObjectiveConfig, build_objective
from deep_infomax.training import Callback, Training, TrainingConfig, fit
from deep_infomax.training.callbacks import Callbacks

SERIES = np.random.default_rng(0).normal(size=(40, 2, 32)).astype(np.float32)
TRAINING = TrainingConfig(epochs=3, batch_size=8, device="cpu", log_every=4)  # 5 steps an epoch
OBJECTIVE = ObjectiveConfig(alpha=0.5, beta=1.0, gamma=0.1, others=3, units=16)


class Listener(Callback):
    """Keeps what it hears, draws random numbers and encodes, as a user's tracker may."""

    def __init__(self) -> None:
        self.lines: list[Mapping[str, Any]] = []
        self.epochs: list[float] = []

    def on_log(self, line: Mapping[str, Any]) -> None:
        self.lines.append(line)
        if "terms" in line:
            line["terms"]["mine"] = torch.rand(1).item()

    def on_epoch(self, epoch: float, encoder: Encoder) -> None:
        assert encoder.training
        encoder.encode(SERIES[:4])
        self.epochs.append(epoch)


class StopAfter(Callback):
    def __init__(self, epochs: float) -> None:
        self.epochs = epochs

    def on_epoch(self, epoch: float, encoder: Encoder) -> bool:
        return epoch >= self.epochs


class Failing(Callback):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def on_epoch(self, epoch: float, encoder: Encoder) -> None:
        if epoch == 1:
            raise self.error


def built() -> tuple[Encoder, nn.Module]:
    torch.manual_seed(1)
    encoder = convolutional(channels=2, spatial=(32,), dim=8)
    return encoder, build_objective(OBJECTIVE, encoder)


def trained(out: Path, *callbacks: Callback, **options: Any) -> tuple[Encoder, Training]:
    encoder, objective = built()
    options = {"training": TRAINING} | options
    return encoder, fit(encoder, objective, SERIES, out=out, progress=False, callbacks=callbacks, **options)


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def weights(run: Path) -> bytes:
    return (run / "encoder.safetensors").read_bytes()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Training]:
    """A training without callbacks."""
    out = tmp_path_factory.mktemp("alone")
    return out, trained(out)[1]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Encoder, Training]:
    """A training that was stopped early."""
    out = tmp_path_factory.mktemp("stopped")
    return out, *trained(out, Listener(), StopAfter(2))


def test_a_callback_that_listens_hears_the_log_and_changes_nothing(
    tmp_path: Path, alone: tuple[Path, Training]
) -> None:
    listener = Listener()
    _, heard = trained(tmp_path / "heard", listener)
    assert weights(tmp_path / "heard") == weights(alone[0])
    assert heard.terms == alone[1].terms
    written = records(tmp_path / "heard")
    for line in listener.lines:
        line.get("terms", {}).pop("mine", None)
    assert listener.lines == written
    assert [line["kind"] for line in written][-3:] == ["train", "health", "end"]
    assert listener.epochs == [1, 2, 3]


def test_the_end_of_a_training_within_an_epoch_is_told_too() -> None:
    encoder, objective = built()
    listener = Listener()
    training = TrainingConfig(epochs=1.4, batch_size=8, device="cpu")
    fit(encoder, objective, SERIES, training, progress=False, callbacks=[listener])
    assert listener.epochs == [1, 1.4]


def test_a_training_stopped_early_ends_well(stopped: tuple[Path, Encoder, Training]) -> None:
    out, encoder, result = stopped
    assert (result.steps, result.stopped_early) == (10, True)
    log = records(out)
    assert [line["step"] for line in log if line["kind"] == "train"] == [4, 8, 10]
    assert [line["step"] for line in log if line["kind"] == "health"] == [5, 10]
    end = {name: value for name, value in log[-1].items() if name != "seconds"}
    assert end == {"kind": "end", "step": 10, "epoch": 2.0, "stopped_early": True, "steps_planned": 15}
    assert not encoder.training
    assert torch.equal(load_file(out / "encoder.safetensors")["output.weight"], encoder.output.weight)
    assert [path.stem for path in (out / "checkpoints").iterdir()] == ["step-000000010"]


@pytest.mark.parametrize("saved", [True, False])
def test_a_training_stopped_early_has_ended_for_a_resume(
    stopped: tuple[Path, Encoder, Training], tmp_path: Path, saved: bool
) -> None:
    run = shutil.copytree(stopped[0], tmp_path / "run")
    if not saved:  # as where it is killed after the last checkpoint
        (run / "encoder.safetensors").unlink()
    _, result = trained(run, resume=True)
    assert (result.steps, result.stopped_early) == (10, True)
    assert weights(run) == weights(stopped[0])
    assert records(run) == records(stopped[0])


def test_a_stop_at_the_last_step_is_not_early(tmp_path: Path) -> None:
    _, result = trained(tmp_path, StopAfter(3))
    assert not result.stopped_early
    assert "stopped_early" not in records(tmp_path)[-1]


# An error of the system's is not told as a file of the run that cannot be written, nor another as a lost process.
@pytest.mark.parametrize("error", [KeyError("mine"), OSError("no such tracker"), RuntimeError("gloo")])
def test_an_error_of_a_callback_is_raised_and_the_last_checkpoint_kept(
    tmp_path: Path, alone: tuple[Path, Training], error: Exception
) -> None:
    training = TrainingConfig(**{**vars(TRAINING), "checkpoint_seconds": 0.0})
    with pytest.raises(type(error)) as caught:
        trained(tmp_path / "failed", Failing(error), training=training)
    assert caught.value is error
    assert max(path.stem for path in (tmp_path / "failed" / "checkpoints").iterdir()) == "step-000000004"
    trained(tmp_path / "failed", resume=True)
    assert weights(tmp_path / "failed") == weights(alone[0])


@pytest.mark.parametrize("callbacks", [StopAfter(1), [print], {"mine": StopAfter(1)}])
def test_what_is_no_list_of_callbacks_gets_a_sentence(callbacks: object) -> None:
    with pytest.raises(ValueError, match=r"^`callbacks` must be a list of objects whose class derives from deep_infom"):
        Callbacks(callbacks)
