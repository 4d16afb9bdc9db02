"""The device that work runs on: the one that is asked for, or a CUDA GPU where there is one."""

from typing import Final

import torch

from deep_infomax.runtime.progress import NOTES

_TESTED: Final = ("cpu", "cuda")


def has_device(kind: str) -> bool:
    """Whether this torch finds a device of a kind, such as cuda or mps."""
    return kind == "cpu" or bool(torch.get_device_module(kind).is_available())


def choose_device(device: torch.device | str | None) -> torch.device:
    """The device asked for; for None or auto a CUDA GPU where there is one, else the CPU.

    One that no test covers is said to be so.
    """
    found = torch.device("cuda" if has_device("cuda") else "cpu") if device in (None, "auto") else torch.device(device)
    if found.type not in _TESTED:
        NOTES.print(f"the device {found} was never tested; {' and '.join(_TESTED)} are")
    return found
