"""What estimates of all kinds have around them."""

import pytest

from deep_infomax.mutual_information.running import choose_device


@pytest.mark.parametrize("device", ["cpu", None])
def test_devices_that_tests_cover_need_no_word(device: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    choose_device(device)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("device", ["mps", "xpu:1"])
def test_other_devices_are_said_to_be_untested(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert str(choose_device(device)) == device
    assert capsys.readouterr().err == f"the device {device} was never tested; cpu and cuda are\n"
