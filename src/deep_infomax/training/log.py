"""What a training writes down: running means of its terms, the JSONL log, and the progress it shows."""

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from deep_infomax.runtime.files import open_appended
from deep_infomax.runtime.processes import gathered

_SUM, _COUNT = "log.sum.", "log.count"


TRAINING_PAIRS: Final = "training pairs"
"""What the terms of a log are read on, in training mode; inputs not trained on give lower bounds."""


def _shown(name: str) -> str:
    """A term as people read it."""
    return f"{name} on {TRAINING_PAIRS}" if name.endswith("_bound") else name


class RunningMeans:
    """Means of the terms since the last line of the log, kept on the device so that no step waits for the host."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._first_bad: Tensor | None = None

    def add(self, step: int, loss: Tensor, terms: Mapping[str, Tensor]) -> None:
        """Add the terms of one step, and note the first step whose loss is not finite."""
        for name, value in terms.items():
            value = value.detach().to(loss.device, torch.float32)
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count += 1
        bad = torch.where(torch.isfinite(loss.detach()), math.inf, float(step))
        self._first_bad = bad if self._first_bad is None else torch.minimum(self._first_bad, bad)

    def first_non_finite_step(self) -> float:
        """The first step since the start whose loss was not finite, infinity where all were; waits for the device."""
        return math.inf if self._first_bad is None else float(self._first_bad)

    def take(self) -> dict[str, float]:
        """The means over all processes, after which the sums start anew; a ceiling that is infinite is left out."""
        sums, count = self._sums, self._count
        self._sums, self._count = {}, 0
        if not sums:
            return {}
        own = gathered(torch.stack(list(sums.values()))[None]).cpu().double() / count
        means = dict(zip(sums, own.mean(0).tolist(), strict=True))
        return {name: value for name, value in means.items() if not name.endswith("_ceiling") or math.isfinite(value)}

    def tensors(self) -> dict[str, Tensor]:
        """The state for a checkpoint: means over all processes, every one of which has to ask for it."""
        sums = {f"{_SUM}{name}": gathered(value[None]).mean(0) for name, value in self._sums.items()}
        return sums | {_COUNT: torch.tensor(self._count)}

    def load(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        """Take up the state of a checkpoint.

        Raises:
            ValueError: it is no such state.
        """
        for name, value in tensors.items():
            if name.startswith(_SUM) and (value.dim() or not value.is_floating_point()):
                raise ValueError(f"{name} is no number")
        count = tensors.get(_COUNT)
        if count is None or count.dim() or count.dtype != torch.int64 or count < 0:
            raise ValueError(f"{_COUNT} is not there or no count")
        self._sums = {n.removeprefix(_SUM): v.to(device) for n, v in tensors.items() if n.startswith(_SUM)}
        self._count = int(count)


class MetricsFile:
    """``metrics.jsonl``: one JSON object a line. A resume cuts it back to where the checkpoint left it.

    Raises:
        ValueError: something else than a file of its own is in its place.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._file = open_appended(path)
        self._file.truncate(min(size, self.size))

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._file.seek(0, os.SEEK_END)

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one line at once, so that a reader sees the state of a running training."""
        self._file.write(json.dumps(dict(record)).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # a line that cannot be written has been reported by `write`, and is tried again here
            self._file.close()


class TrainingProgress:
    """A bar on a terminal; elsewhere one line now and then, so that a log file stays readable."""

    _LINE_SECONDS = 30.0

    def __init__(self, total: int, step: int, console: Console | None) -> None:
        self._console = console
        self._last_line = 0.0
        self._looked = ""
        self._bar: Progress | None = None
        if console is not None and console.is_terminal:
            self._bar = Progress(
                TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[text]}"),
                TextColumn("left"), TimeRemainingColumn(), console=console,
            )  # fmt: skip
            self._task = self._bar.add_task("training", total=total, completed=step, text="")
            self._bar.start()

    def advance(self, step: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def report(self, record: Mapping[str, Any], seconds_left: float) -> None:
        """Show one record of the log."""
        if self._console is None:
            return
        terms: Mapping[str, float] = record["terms"]
        named = {_shown(name): value for name, value in terms.items() if not name.endswith("_ceiling")}
        shown = "  ".join(f"{name} {value:.3f}" for name, value in named.items())
        text = f"epoch {record['epoch']:.2f}  {shown}{self._looked}  {record['images_per_second']:.0f} inputs/s"
        if self._bar is not None:
            self._bar.update(self._task, text=text)
        elif record["seconds"] - self._last_line >= self._LINE_SECONDS:
            self._last_line = record["seconds"]
            self._console.print(f"{text}  {seconds_left / 60:.1f} min left", soft_wrap=True, highlight=False)

    def look(self, figures: Mapping[str, float]) -> None:
        """Take figures of a look at the encoder, which the lines from here on show."""
        self._looked = "".join(f"  {name} {value:.4g}" for name, value in figures.items())

    def say(self, text: str) -> None:
        """Print a line that stays."""
        if self._console is not None:
            self._console.print(text, soft_wrap=True, highlight=False)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
