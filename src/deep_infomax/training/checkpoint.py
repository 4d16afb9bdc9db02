"""Checkpoints: one safetensors file each, written whole or not at all, holding all that an exact resume needs.

A file holds named tensors (weights, optimiser states, sums of the log) and, in its header, a JSON state. No pickle is
written or read. Random numbers need no place in it: those of a step are a function of (seed, step, process).
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from deep_infomax.runtime.files import written_whole
from deep_infomax.training.errors import WriteError

_SUFFIX = ".safetensors"


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
            ValueError: the disk is too small for ``keep`` checkpoints and the one being written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for torn in self.folder.glob("*.partial"):
            torn.unlink()
        free = shutil.disk_usage(self.folder).free + sum(path.stat().st_size for path in self.paths())
        if free < needed:
            raise ValueError(
                f"{self.folder} has {free / 1e6:.0f} MB free, but {self.keep} checkpoints and one being written need "
                f"{needed / 1e6:.0f} MB; free some space or keep fewer with `training.checkpoints`"
            )

    def write(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
        """Write one checkpoint atomically, then remove those older than the newest ``keep``."""
        path = self.folder / f"step-{step:09d}{_SUFFIX}"
        # Copies, as tensors that share memory (tied weights) cannot be written.
        plain = {n: t.detach().cpu().clone(memory_format=torch.contiguous_format) for n, t in tensors.items()}
        try:
            with written_whole(path) as partial:
                save_file(plain, partial, metadata={"state": json.dumps(dict(state))})
                with partial.open("rb") as file:
                    os.fsync(file.fileno())
        except (SafetensorError, OSError) as error:
            raise WriteError(f"{path} cannot be written ({error}); make room for it; {what_is_kept(self)}") from error
        for old in self.paths()[: -self.keep]:
            old.unlink()
        return path

    def read_latest(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and state of the newest checkpoint; None before the first.

        Raises:
            ValueError: the file is damaged.
        """
        if not (paths := self.paths()):
            return None
        try:
            with safe_open(paths[-1], framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
                return tensors, json.loads(file.metadata()["state"])
        except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{paths[-1]} is damaged ({error}); remove it to resume from the checkpoint before it"
            ) from error


def what_is_kept(checkpoints: Checkpoints | None) -> str:
    """Where a training that failed stands, in words; None stands for one without a run directory."""
    if checkpoints is None:
        return "nothing is kept without a run directory"
    paths = checkpoints.paths()
    return f"the last good checkpoint is {paths[-1]}" if paths else "no checkpoint had been written"


def checkpoint_bytes(module: nn.Module, keep: int) -> int:
    """Size of ``keep`` checkpoints and the one being written, each with Adam's two moments of every parameter."""
    parameters = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    buffers = sum(buffer.numel() * buffer.element_size() for buffer in module.buffers())
    return (keep + 1) * (3 * parameters + buffers)


def optimizer_tensors(name: str, optimizer: Optimizer) -> dict[str, Tensor]:
    """The states of an optimiser as named tensors, parameters numbered in the optimiser's order."""
    return {
        f"optimizer.{name}.{number}.{key}": value
        for number, parameter in enumerate(_parameters(optimizer))
        for key, value in optimizer.state[parameter].items()
    }


def load_optimizer(name: str, optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the states written by `optimizer_tensors` back, each in the memory layout of its parameter."""
    prefix = f"optimizer.{name}."
    parameters = _parameters(optimizer)
    for full, saved in tensors.items():
        if not full.startswith(prefix):
            continue
        number, key = full.removeprefix(prefix).split(".")
        parameter = parameters[int(number)]
        moment = saved.dim() > 0 and saved.shape == parameter.shape
        value = torch.empty_like(parameter).copy_(saved) if moment else saved.to(parameter.device)
        optimizer.state[parameter][key] = value


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    groups: Iterable[dict[str, Any]] = optimizer.param_groups
    return [parameter for group in groups for parameter in group["params"]]
