"""From run directories to `RecordedRun`: what is missing or damaged is left out, and what is damaged leaves a note."""

import json
import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from jaxtyping import Float

from deep_infomax.report.runs import Decoded, Log, Neighbours, RecordedResult, RecordedRun, Representation
from deep_infomax.runtime import run_files

_MARKS: Final = (run_files.CONFIG, run_files.METRICS)
"""Files by which a run is known; what `fit` writes by itself has only the second."""


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
    evaluation = _read_json(path / run_files.EVALUATION, "move it away and evaluate the run again", notes)
    results = None if evaluation is None else _results(evaluation.get("results"), notes)
    probe_data = (evaluation or {}).get("data")
    return RecordedRun(
        path=path,
        name=name,
        config=_read_config(path / run_files.CONFIG),
        encoder=_read_json(path / run_files.ENCODER, "train anew", notes),
        log=_read_log(path / run_files.METRICS, notes),
        results=results,
        probe_data=probe_data if isinstance(probe_data, Mapping) else {},
        representation=_read_representation(path / run_files.ARRAYS / "representation.npz", notes),
        neighbours=_read_neighbours(path / run_files.ARRAYS, notes),
        decoded=_read_decoded(path / run_files.ARRAYS, notes),
        notes=tuple(notes),
    )


def _read_config(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({str(error).splitlines()[0]}); restore it or train anew") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} is no configuration of a run; restore it or train anew")
    return config


def _read_json(path: Path, remedy: str, notes: list[str]) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if isinstance(content, dict):
        return content
    notes.append(f"{path.name} is damaged and left out; {remedy}.")
    return None


def _results(entries: Any, notes: list[str]) -> tuple[RecordedResult, ...]:
    results = []
    for entry in entries if isinstance(entries, list) else []:
        try:
            seeds, n, spread = entry.get("seeds") or [], entry.get("n"), entry.get("spread")
            results.append(
                RecordedResult(
                    metric=str(entry["metric"]),
                    variant=str(entry.get("variant") or "default"),
                    layer=str(entry.get("layer") or "Y"),
                    value=float(entry["value"]),
                    unit=str(entry.get("unit") or ""),
                    spread=float(spread) if spread is not None and len(seeds) > 1 else None,
                    n=None if n is None else int(n),
                    seeds=len(seeds),
                    split=str(entry.get("split") or ""),
                    protocol=str(entry.get("protocol") or ""),
                )
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            notes.append(
                f"{run_files.EVALUATION} holds a result that is not understood and left out; evaluate the run again."
            )
    return tuple(results)


def _read_log(path: Path, notes: list[str]) -> Log:
    if not path.is_file():
        return Log()
    # A training that is killed leaves its last line torn: whatever follows the last newline is not a record yet.
    lines = path.read_bytes().split(b"\n")[:-1]
    records = [record for record in map(_record, lines) if record is not None]
    if damaged := len(lines) - len(records):
        notes.append(f"{path.name}: {damaged} damaged line{'s' * (damaged > 1)} left out.")
    ends = [record for record in records if record.get("kind") == "end"]
    # Every curve is drawn over epochs.
    records = [record for record in records if _is_number(record.get("epoch"))]
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
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _columns(records: Sequence[Mapping[str, Any]]) -> dict[str, Float[np.ndarray, " records"]]:
    names = dict.fromkeys(name for record in records for name, value in record.items() if _is_number(value))
    return {name: np.array([_number(record.get(name)) for record in records]) for name in names}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float:
    return float(value) if _is_number(value) and math.isfinite(value) else math.nan


def _read_representation(path: Path, notes: list[str]) -> Representation | None:
    arrays = _read_arrays(path, ("Y", "labels"), notes)
    if arrays is None:
        return None
    vectors = arrays["Y"].astype(np.float32)
    classes = tuple(str(name) for name in arrays.get("classes", ()))
    return Representation(vectors, arrays["labels"].astype(np.int64), classes)


def _read_neighbours(folder: Path, notes: list[str]) -> tuple[Neighbours, ...]:
    names = ("queries", "neighbours", "query_labels", "neighbour_labels", "distance")
    files = [folder / "neighbours.npz", *sorted(folder.glob("neighbours-*.npz"))]
    return tuple(
        Neighbours(
            queries=arrays["queries"],
            neighbours=arrays["neighbours"],
            query_labels=arrays["query_labels"].astype(np.int64),
            neighbour_labels=arrays["neighbour_labels"].astype(np.int64),
            distance=arrays["distance"].astype(np.float32),
            metric=str(arrays.get("metric", "")),
            layer=file.stem.split("-", 2)[2] if file.stem.count("-") > 1 else "Y",
        )
        for file in files
        if (arrays := _read_arrays(file, names, notes)) is not None
    )


def _read_decoded(folder: Path, notes: list[str]) -> tuple[Decoded, ...]:
    found = []
    if (rows := _read_arrays(folder / "objective.npz", ("inputs", "reconstructions", "samples"), notes)) is not None:
        found.append(Decoded(None, rows))
    for path in sorted(folder.glob("ms_ssim-*.npz")):
        if (rows := _read_arrays(path, ("inputs", "reconstructions"), notes)) is not None:
            found.append(Decoded(path.stem.removeprefix("ms_ssim-"), rows))
    return tuple(found)


def _read_arrays(path: Path, names: Sequence[str], notes: list[str]) -> dict[str, np.ndarray] | None:
    if not path.is_file():
        return None
    try:
        # Opened here, because numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        arrays = {}
    if all(name in arrays for name in names):
        return arrays
    notes.append(f"{run_files.ARRAYS}/{path.name} is damaged and left out; evaluate the run again.")
    return None
