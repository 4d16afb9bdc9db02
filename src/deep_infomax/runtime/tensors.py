"""Tensors read from safetensors files, and whether they can stand where others do."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from deep_infomax.runtime.records import damaged, open_regular

_UNREADABLE = (SafetensorError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, OverflowError)
"""What the library raises for damaged files, types that PyTorch lacks among them."""


def read_tensors(path: Path, remedy: str, *, follow: bool = False) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file by name, on the CPU, and the texts in its header.

    Raises:
        ValueError: It is no such file.
        OSError: It is not there, or cannot be read.
    """
    open_regular(path, remedy, follow=follow).close()
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            return tensors, file.metadata() or {}
    except _UNREADABLE as error:
        raise damaged(path, error, remedy) from None


def misfit(name: str, found: Tensor, expected: Tensor) -> str | None:
    """Why a tensor cannot take the place of another, in words; None where it can.

    Both have one shape and are floating-point numbers, or both are not. Numbers are finite.
    """
    if found.shape != expected.shape:
        return f"{name} has the shape {tuple(found.shape)}, not {tuple(expected.shape)}"
    if found.is_floating_point() != expected.is_floating_point() or found.is_complex() != expected.is_complex():
        return f"{name} holds {_type(found)}, not {_type(expected)}"
    if found.is_floating_point() and not found.to(expected.dtype).isfinite().all():
        return f"{name} holds a number that is not finite"
    return None


def first_misfit(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    """The first `misfit` of tensors that have one name in both."""
    return next(
        (said for name in expected if name in found and (said := misfit(name, found[name], expected[name]))), None
    )


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
