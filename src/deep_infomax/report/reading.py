"""From run directories to `RecordedRun`: what is missing or damaged is left out, and what is damaged leaves a note."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
import numpy as np
from jaxtyping import Float
from msgspec import Meta

from deep_infomax.report.runs import Log, RecordedResult, RecordedRun
from deep_infomax.report.stored_arrays import (
    LARGEST_NUMBER,
    left_out,
    read_decoded,
    read_neighbours,
    read_representation,
)
from deep_infomax.runtime import run_files
from deep_infomax.runtime.records import from_json, read_bytes, read_json, read_yaml, typed

_MARKS: Final = (run_files.CONFIG, run_files.METRICS)
"""Files by which a run is known; what `fit` writes by itself has only the second."""
_LARGEST_LOG: Final = 2**27
"""Bytes of a log at most: the lines of some million steps."""
_MOST_COLUMNS: Final = 50
"""Names of values in a log at most; others are passed over."""
_Scalar = str | int | float | bool | None
_T = TypeVar("_T")


@dataclass(frozen=True)
class _Config:
    """What the report reads of ``config.yaml``, where it is there."""

    recipe: str | None = None
    data: str | None = None
    probe: str | None = None
    seed: int | None = None
    command: str | None = None
    encoder: dict[str, Any] = field(default_factory=dict)
    objective: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    data_options: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Encoder:
    """What it reads of ``encoder.json``."""

    architecture: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Evaluation:
    """What it reads of ``evaluation.json``."""

    data: dict[str, Any] = field(default_factory=dict)
    results: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class _Details:
    """What it reads of the details of a result."""

    ceiling: float | None = None
    warnings: list[str] | None = None


@dataclass(frozen=True)
class _Result:
    """What it reads of a result."""

    metric: str
    value: float
    variant: str | None = None
    layer: str | None = None
    unit: str | None = None
    spread: Annotated[float, Meta(ge=0)] | None = None
    n: Annotated[int, Meta(ge=0)] | None = None
    seeds: list[int] | None = None
    split: str | None = None
    protocol: str | None = None
    details: list[_Details] | None = None
    chosen: dict[str, list[float]] | None = None
    units: Annotated[int, Meta(ge=0)] = 0

    def recorded(self) -> RecordedResult:
        seeds = len(self.seeds or ())
        return RecordedResult(
            metric=self.metric,
            variant=self.variant or "default",
            layer=self.layer or "Y",
            value=self.value,
            unit=self.unit or "",
            spread=self.spread if seeds > 1 and not self._alike() else None,
            n=self.n,
            seeds=seeds,
            split=self.split or "",
            protocol=self.protocol or "",
            ceiling=self.details[0].ceiling if self.metric == "bound" and self.details else None,
            warnings=tuple(dict.fromkeys(said for each in self.details or () for said in each.warnings or ())),
            units=self.units,
        )

    def _alike(self) -> bool:
        """Whether nothing that a seed drew reached the figure; earlier versions wrote a spread of 0 then."""
        chosen = self.chosen or {}
        shared = bool(chosen) and all(len(set(values)) == 1 for values in chosen.values())
        return self.spread == 0 and (shared or self.metric == "neighbours")


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Run directories among ``paths`` and in the folders among them, each once, in the order given.

    Raises:
        ValueError: a path is neither a run directory nor a folder that holds one.
    """
    runs: dict[Path, Path] = {}
    for path in map(Path, paths):
        found = [path] if _is_run(path) else sorted({file.parent for mark in _MARKS for file in path.rglob(mark)})
        if not found:
            missing = f"holds no run: there is no {run_files.CONFIG} in it or below it"
            what = missing if path.is_dir() else "is no folder"
            raise ValueError(f"{path} {what}; give the folder of a run, or one that holds such folders")
        for run in found:
            runs.setdefault(run.resolve(), run)
    return list(runs.values())


def _is_run(path: Path) -> bool:
    return any((path / mark).is_file() for mark in _MARKS)


def read_runs(paths: Sequence[Path]) -> list[RecordedRun]:
    """Read run directories, named by as much of their paths as tells them apart.

    Raises:
        ValueError: one has a configuration that cannot be read.
    """
    resolved = [path.resolve() for path in paths]
    depth = 1
    while len({path.parts[-depth:] for path in resolved}) < len(resolved):
        depth += 1
    names = ["/".join(path.parts[-depth:]) for path in resolved]
    return [read_run(path, name) for path, name in zip(paths, names, strict=True)]


def read_run(path: Path, name: str) -> RecordedRun:
    """Read one run directory, which may be unfinished, not evaluated, or cut short by a kill.

    Raises:
        ValueError: its configuration cannot be read.
    """
    notes: list[str] = []
    evaluation = _read(path / run_files.EVALUATION, _Evaluation, "move it away and evaluate the run again", notes)
    encoder = _read(path / run_files.ENCODER, _Encoder, "train anew", notes)
    return RecordedRun(
        path=path,
        name=name,
        config=_read_config(path / run_files.CONFIG),
        encoder=None if encoder is None else vars(encoder),
        log=_read_log(path / run_files.METRICS, notes),
        results=None if evaluation is None else _results(evaluation.results, notes),
        probe_data={} if evaluation is None else _described(evaluation.data),
        representation=read_representation(path / run_files.ARRAYS / "representation.npz", notes),
        neighbours=read_neighbours(path / run_files.ARRAYS, notes),
        decoded=read_decoded(path / run_files.ARRAYS, notes),
        notes=tuple(notes),
    )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = read_yaml(path, _Config, "restore it or train anew")
    except FileNotFoundError:
        return {}
    return vars(config) | {"dataset": _described(config.dataset), "environment": _described(config.environment)}


def _described(description: Mapping[str, Any]) -> dict[str, _Scalar]:
    """A description's numbers and words; what later versions add to it in other forms is passed over."""
    return {name: value for name, value in description.items() if isinstance(value, _Scalar)}


def _read(path: Path, kind: type[_T], remedy: str, notes: list[str]) -> _T | None:
    try:
        return read_json(path, kind, remedy)
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        notes.append(left_out(path.name, error, remedy))
        return None


def _results(entries: Sequence[Any], notes: list[str]) -> tuple[RecordedResult, ...]:
    if len(entries) > run_files.MOST_RESULTS:
        notes.append(
            f"{run_files.EVALUATION} holds {len(entries):,} results, of which the first {run_files.MOST_RESULTS:,} are "
            "shown."
        )
    results, strange = [], 0
    for entry in entries[: run_files.MOST_RESULTS]:
        try:
            results.append(typed(entry, _Result).recorded())
        except ValueError:
            strange += 1
    if strange:
        notes.append(
            f"{run_files.EVALUATION} holds {'a result that is' if strange == 1 else f'{strange:,} results that are'} "
            "not understood and left out; evaluate the run again."
        )
    return tuple(results)


def _read_log(path: Path, notes: list[str]) -> Log:
    remedy = "nothing of the training is drawn"
    try:
        # A training that is killed leaves its last line torn: what follows the last newline is not a record yet.
        lines = read_bytes(path, remedy, largest=_LARGEST_LOG).split(b"\n")[:-1]
    except FileNotFoundError:
        return Log()
    except (ValueError, OSError) as error:
        notes.append(left_out(path.name, error, remedy))
        return Log()
    records = [record for record in map(_record, lines) if record is not None]
    if damaged := len(lines) - len(records):
        notes.append(f"{path.name}: {damaged:,} damaged line{'s' * (damaged > 1)} left out.")
    ends = [record for record in records if record.get("kind") == "end"]
    # Every curve is drawn over epochs.
    records = [record for record in records if math.isfinite(_number(record.get("epoch")))]
    train = [record for record in records if record.get("kind") == "train"]
    terms = [record["terms"] if isinstance(record.get("terms"), dict) else {} for record in train]
    return Log(
        train=_columns(train),
        terms=_columns(terms),
        health=_columns([record for record in records if record.get("kind") == "health"]),
        finished=bool(ends),
        stopped_early=any(record.get("stopped_early") is True for record in ends),
    )


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = msgspec.json.decode(line)  # quick, but for numbers that are not finite
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        try:
            record = from_json(line, finite=False)
        except ValueError:
            return None
    return record if isinstance(record, dict) else None


def _columns(records: Sequence[Mapping[str, Any]]) -> dict[str, Float[np.ndarray, " records"]]:
    names: dict[str, None] = {}
    for record in records:
        names |= {name: None for name, value in record.items() if name not in names and _is_number(value)}
        if len(names) > _MOST_COLUMNS:
            break
    kept = list(names)[:_MOST_COLUMNS]
    return {name: np.array([_number(record.get(name)) for record in records]) for name in kept}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float:
    """A number as it is drawn; NaN for what is none, or too large to draw."""
    return float(value) if _is_number(value) and abs(value) < LARGEST_NUMBER else math.nan
