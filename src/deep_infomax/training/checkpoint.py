"""Checkpoints: one safetensors file each, written whole or not at all, holding all that an exact resume needs.

A file holds named tensors (weights, optimiser states, sums of the log) and, in its header, a JSON state. No pickle is
written or read. Random numbers need no place in it: those of a step are a function of (seed, step, process).
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import torch
from msgspec import Meta
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from deep_infomax.runtime.files import remove_partial, written_by_name
from deep_infomax.runtime.records import damaged, from_json, typed
from deep_infomax.runtime.regular import own_folder
from deep_infomax.runtime.tensors import first_misfit, read_tensors
from deep_infomax.training.errors import WriteError

MODEL: Final = "model."
"""What the names of the weights of encoder and objective begin with."""
AVERAGE: Final = "average."
"""What the names of an encoder's averaged weights begin with."""
_SUFFIX = ".safetensors"
_REMEDY = "remove it to resume from the checkpoint before it"
_ADAM = {"step", "exp_avg", "exp_avg_sq"}
"""What Adam keeps of a parameter, once a gradient reached it."""


@dataclass(frozen=True)
class Record:
    """What the header of a checkpoint says; None stands for what older versions did not say."""

    step: Annotated[int, Meta(ge=0)]
    seconds: Annotated[float, Meta(ge=0)]
    """Of training so far."""
    log_size: Annotated[int, Meta(ge=0)]
    """Bytes of the log when it was written."""
    precision: Literal["bfloat16", "float32"]
    tensors: int | None = None
    """How many there are."""
    device: str | None = None
    data: str | None = None
    """Fingerprint of the inputs."""
    seed: int | None = None
    batch_size: int | None = None
    stopped_early: bool = False
    collapsed_since: float | None = None
    """The epoch since which Y uses almost no directions."""


class Checkpoint(NamedTuple):
    """What a file holds."""

    path: Path
    tensors: dict[str, Tensor]
    record: Record

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin so, by the rest of their names."""
        return {name.removeprefix(prefix): t for name, t in self.tensors.items() if name.startswith(prefix)}

    def damaged(self, what: object) -> ValueError:
        """The error of a file whose parts do not agree."""
        return damaged(self.path, what, _REMEDY)


class Checkpoints:
    """The checkpoints of one run, the newest ``keep`` of them."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def paths(self) -> list[Path]:
        """Whole checkpoints, oldest first."""
        return sorted(self.folder.glob(f"step-*{_SUFFIX}"))

    def prepare(self, needed: int) -> None:
        """Make the folder, remove torn files, and check that the disk holds all that will be kept.

        Args:
            needed: bytes, as `checkpoint_bytes` tells them.

        Raises:
            ValueError: the disk is too small for ``keep`` checkpoints and the one being written, or the folder is a
                link.
        """
        own_folder(self.folder)
        remove_partial(self.folder)
        free = shutil.disk_usage(self.folder).free + sum(path.stat().st_size for path in self.paths())
        if free < needed:
            raise ValueError(
                f"{self.folder} has {free / 1e6:.0f} MB free, but {self.keep} checkpoints and one being written need "
                f"{needed / 1e6:.0f} MB; free some space or keep fewer with `training.checkpoints`"
            )

    def write(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
        """Write one checkpoint atomically, then remove those older than the newest ``keep``."""
        path = self.folder / _name(step)
        # Copies, as tensors that share memory (tied weights) cannot be written.
        plain = {n: t.detach().cpu().clone(memory_format=torch.contiguous_format) for n, t in tensors.items()}
        try:
            with written_by_name(path) as partial:
                save_file(plain, partial, metadata={"state": json.dumps({**state, "tensors": len(plain)})})
        except (SafetensorError, OSError) as error:
            raise WriteError(f"{path} cannot be written ({error}); make room for it; {what_is_kept(self)}") from error
        for old in self.paths()[: -self.keep]:
            old.unlink()
        return path

    def read_latest(self) -> Checkpoint | None:
        """The newest checkpoint; None before the first.

        Raises:
            ValueError: the file is damaged.
        """
        if not (paths := self.paths()):
            return None
        path = paths[-1]
        tensors, header = read_tensors(path, _REMEDY)
        try:
            record = typed(from_json(header.get("state", "")), Record)
            if path.name != _name(record.step):
                raise ValueError(f"it is of step {record.step}, and its name says otherwise")
            if record.tensors not in (None, len(tensors)):
                raise ValueError(f"it holds {len(tensors)} tensors of {record.tensors}")
        except ValueError as error:
            raise damaged(path, error, _REMEDY) from None
        return Checkpoint(path, tensors, record)


def _name(step: int) -> str:
    return f"step-{step:09d}{_SUFFIX}"


def what_is_kept(checkpoints: Checkpoints | None) -> str:
    """Where a training that failed stands, in words; None stands for one without a run directory."""
    if checkpoints is None:
        return "nothing is kept without a run directory"
    paths = checkpoints.paths()
    return f"the last good checkpoint is {paths[-1]}" if paths else "no checkpoint had been written"


def checkpoint_bytes(module: nn.Module, keep: int, averaged: nn.Module | None = None) -> int:
    """Size of ``keep`` checkpoints and the one being written.

    Each has Adam's two moments of every parameter, and the average of what is averaged.
    """
    average = 0 if averaged is None else _bytes(averaged.state_dict().values())
    return (keep + 1) * (3 * _bytes(module.parameters()) + _bytes(module.buffers()) + average)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def optimizer_tensors(name: str, optimizer: Optimizer) -> dict[str, Tensor]:
    """The states of an optimiser as named tensors, parameters numbered in the optimiser's order."""
    return {
        f"optimizer.{name}.{number}.{key}": value
        for number, parameter in enumerate(_parameters(optimizer))
        for key, value in optimizer.state[parameter].items()
    }


def load_optimizer(name: str, optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the states written by `optimizer_tensors` back, each in the memory layout of its parameter.

    Raises:
        ValueError: a state is incomplete, or does not fit its parameter.
    """
    prefix, states = f"optimizer.{name}.", dict[str, dict[str, Tensor]]()
    for full, saved in tensors.items():
        if full.startswith(prefix):
            number, _, key = full.removeprefix(prefix).partition(".")
            states.setdefault(number, {})[key] = saved
    for place, parameter in enumerate(_parameters(optimizer)):
        if (state := states.pop(str(place), None)) is not None:
            _check_state(f"{prefix}{place}", state, parameter)
            moments = {key: torch.empty_like(parameter).copy_(state[key]) for key in ("exp_avg", "exp_avg_sq")}
            optimizer.state[parameter].update(moments, step=state["step"].to(parameter.device))
    if states:
        raise ValueError(f"{prefix}{next(iter(states))} is of no parameter")


def _check_state(name: str, state: Mapping[str, Tensor], parameter: Tensor) -> None:
    """Refuse what Adam cannot have kept of a parameter."""
    if wrong := sorted(_ADAM ^ set(state)):
        raise ValueError(f"{name} {'lacks' if wrong[0] in _ADAM else 'has an unknown'} {wrong[0]}")
    expected = {"step": torch.zeros(()), "exp_avg": parameter, "exp_avg_sq": parameter}
    if said := first_misfit(state, expected):
        raise ValueError(f"{name}.{said}")
    for key in ("step", "exp_avg_sq"):
        if (state[key] < 0).any():
            raise ValueError(f"{name}.{key} holds a negative number")


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    groups: Iterable[dict[str, Any]] = optimizer.param_groups
    return [parameter for group in groups for parameter in group["params"]]
