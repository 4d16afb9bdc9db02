"""The device that work runs on."""

import pytest
import torch

from deep_infomax.encoders import convolutional
from deep_infomax.objectives import Untrained
from deep_infomax.runtime.devices import choose_device
from deep_infomax.training import TrainingConfig, fit


@pytest.mark.parametrize("device", ["cpu", None])
def test_devices_that_tests_cover_need_no_word(device: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    choose_device(device)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("device", ["mps", "xpu:1"])
def test_other_devices_are_said_to_be_untested(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert str(choose_device(device)) == device
    assert capsys.readouterr().err == f"the device {device} was never tested; cpu and cuda are\n"


@pytest.mark.parametrize("device", ["cuda", "mps", "xpu"])
def test_a_training_on_a_device_that_is_not_there_is_refused(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.get_device_module(device), "is_available", lambda: False)
    encoder = convolutional(channels=1, spatial=(8,), dim=2)
    with pytest.raises(ValueError, match=f"`training.device` is {device}, but this torch finds no such GPU"):
        fit(encoder, Untrained(), torch.zeros(4, 1, 8), TrainingConfig(device=device))
