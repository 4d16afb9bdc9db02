"""An interactive map of Y, and what stands out on it: inputs are encoded once, compared, and written as a page."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from deep_infomax.data import DataOptions, Dataset, Source, evenly_spaced, load_dataset
from deep_infomax.data.description import same_data
from deep_infomax.data.missing import filling
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import exploration
from deep_infomax.evaluation.arrays import write_representation
from deep_infomax.evaluation.exploration import Chosen, Duplicates
from deep_infomax.evaluation.miniatures import miniatures, side_for
from deep_infomax.evaluation.outputs import beside
from deep_infomax.experiments.data import in_memory, options_for, same_spec
from deep_infomax.experiments.evaluate import finished, load_encoder, reading
from deep_infomax.experiments.recorded import in_recorded_precision, recorded_options
from deep_infomax.experiments.run_directory import IN_MEMORY
from deep_infomax.experiments.settings import configure
from deep_infomax.recipes import Config
from deep_infomax.report.explorer import Exploration, Finding, check_page, write_explorer
from deep_infomax.report.vector_map import Origin, VectorMap, share
from deep_infomax.runtime import run_files
from deep_infomax.runtime.chunks import at_a_time
from deep_infomax.runtime.clusters import clusters
from deep_infomax.runtime.files import check_output
from deep_infomax.runtime.progress import Progress, progress_bars, unseen
from deep_infomax.runtime.values import require_count

POINTS: Final = 4000
FEWEST_POINTS: Final = 2
MOST_POINTS: Final = 20_000
NEIGHBOURS: Final = 8
_MOST_FOUND: Final = 100
"""Rows of a table."""
_TO_LABEL: Final = 50
TABLES: Final = ("duplicates.csv", "outliers.csv", "to-label.csv")


@dataclass(frozen=True, eq=False)
class Explored:
    """What was written."""

    page: Path
    tables: list[Path]
    n: int
    """Inputs on the page."""
    total: int
    """Inputs that there are."""
    lost: int
    """Inputs that were left out as their Y is not finite."""
    found: dict[str, int]
    """Rows of each table."""


@dataclass(frozen=True, eq=False)
class _Shown:
    """The inputs on the page."""

    vectors: Float[np.ndarray, "n d"]
    miniatures: Float[np.ndarray, "n channels *sizes"]
    contents: list[bytes]
    origin: Origin
    lost: int
    total: int
    bytes_as_stored: bool


def explore(
    run: Path,
    data: Any = None,
    *,
    own: Any = None,
    out: Path | None = None,
    split: str | None = None,
    points: int = POINTS,
    data_options: Mapping[str, Any] | None = None,
    encoder: Encoder | None = None,
) -> Explored:
    """Write an interactive map of Y as one HTML page, and what stands out on it as CSV files beside it.

    A run that is not evaluated keeps the map of its own data for its report.

    Args:
        run: Directory of a finished training, or what `fit` wrote, which says nothing of data and needs ``data``.
        data: Data of any kind that `train` takes; None stands for the training's own.
        own: The training's own data, where they were in memory.
        out: The page; None stands for ``explore.html`` in the run.
        split: The part of the data; None stands for all.
        points: Inputs on the page at most, evenly spaced where there are more.
        data_options: Changes of how the data are read.
        encoder: The run's encoder, where it is loaded already.

    Raises:
        ValueError: There is no finished run, the data cannot be read or do not fit, a file cannot be written, or Y is
            nowhere finite or the same everywhere.
    """
    require_count("points", points, MOST_POINTS)
    if points < FEWEST_POINTS:
        raise ValueError(f"`points` is {points}; give {FEWEST_POINTS} or more")
    finished(run)
    page = run / run_files.EXPLORER if out is None else out
    check_output(page)
    check_page(page, TABLES)
    encoder = encoder or load_encoder(run)
    dataset = _data_of(run, data, own, data_options or {})
    with progress_bars() as progress:
        shown = _encoded(encoder, dataset, split, points, progress)
    n = len(shown.vectors)
    if n < FEWEST_POINTS:
        raise ValueError(f"{dataset.name} has one input to show, and a map needs {FEWEST_POINTS}; name more data")
    if not np.ptp(shown.vectors, axis=0).any():
        raise ValueError(f"Y is the same for all {n:,} inputs of {dataset.name}, so it has no map; train anew")
    scaled = exploration.scaled(shown.vectors)
    near = exploration.neighbourhood(scaled, NEIGHBOURS)
    findings = [
        _duplicates(exploration.duplicates(near, shown.contents)),
        _outliers(exploration.isolation(near)),
        _to_label(exploration.to_label(scaled, shown.origin.labels < 0, _TO_LABEL), shown.origin),
    ]
    written = write_explorer(
        Exploration(
            str(run),
            dataset.name,
            VectorMap(
                share(n, shown.total),
                scaled,
                shown.miniatures,
                shown.bytes_as_stored,
                shown.origin,
                near.nearest,
                clusters(scaled),
            ),
            findings,
        ),
        page,
    )
    if data is None and out is None and not (run / run_files.EVALUATION).exists():
        _keep(run / run_files.ARRAYS, shown)
    counts = {finding.file: len(finding.rows) for finding in findings}
    return Explored(written[0], written[1:], n, shown.total, shown.lost, counts)


def _keep(folder: Path, shown: _Shown) -> None:
    """Keep what is shown for the report, which else has it from an evaluation."""
    origin = shown.origin
    write_representation(
        folder,
        shown.vectors,
        origin.labels,
        origin.classes,
        shown.miniatures,
        bytes_as_stored=shown.bytes_as_stored,
        index=origin.index,
        splits=origin.splits,
        files=origin.files,
        total=shown.total,
    )


def _data_of(run: Path, data: Any, own: Any, changes: Mapping[str, Any]) -> Dataset:
    """The data that are shown: those named, or those that the run was trained on."""
    settings = finished(run)
    options = configure(Config(data_options=reading(run)), {"data_options": changes}).data_options
    if data is not None and not isinstance(data, str | Path):
        return in_memory(data, DataOptions() if isinstance(data, Dataset) else options_for(IN_MEMORY, "", options))
    if settings is None:
        if data is None:
            raise ValueError(f"{run} was trained by `fit`, which does not record data; name some to explore")
        return load_dataset(str(data), options)
    spec = settings.data if data is None else same_spec(str(data), settings.data)
    if spec != settings.data:
        return load_dataset(spec, options_for(spec, settings.data, options))
    if settings.in_memory and own is None:
        raise ValueError(
            f"{run} was trained on data in memory, which it does not keep; name others to explore, or give the same "
            f"again from Python, Run({str(run)!r}, data=...).explore()"
        )
    if not isinstance(own, Dataset):
        options = recorded_options(options, settings.dataset)
    dataset = in_memory(own, options) if settings.in_memory else load_dataset(spec, options)
    dataset = in_recorded_precision(dataset, settings.dataset)
    if settings.dataset is None or not same_data(settings.dataset, dataset.description):
        raise ValueError(
            f"{spec} is not the data that {run} was trained on, or `data_options` read them otherwise; restore them, "
            "or name others to explore"
        )
    return dataset


def _encoded(encoder: Encoder, dataset: Dataset, split: str | None, points: int, progress: Progress) -> _Shown:
    """Encode some inputs of the splits, evenly spaced over them all, and make them small."""
    known = [source.split for stored in dataset.stored.values() for source, _ in stored]
    if split not in (None, *known):
        raise ValueError(f"{dataset.name} has no split {split!r}; it has {', '.join(known)}")
    parts = [
        (source, rows, rows_beside)
        for stored in dataset.stored.values()
        for rows_beside in [beside(stored)]
        for source, rows in stored
        if split in (None, source.split)
    ]
    total = sum(len(source) for source, _, _ in parts)
    chosen = evenly_spaced(total, points)
    side, start = side_for(len(chosen)), 0
    found: list[tuple[np.ndarray, np.ndarray, list[bytes], list[dict[str, Any]]]] = []
    for source, rows, rows_beside in parts:
        index = chosen[(chosen >= start) & (chosen < start + len(source))] - start
        start += len(source)
        if len(index):
            described = [_row(rows_beside, row, source) for row in rows[index].tolist()]
            found.append((*_passed(encoder, source, index, side, progress), described))
    vectors = np.concatenate([part[0] for part in found])
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.any():
        raise ValueError(
            f"the encoder gives no finite Y for {dataset.name}; check the inputs, or train anew at a lower learning "
            "rate"
        )
    kept = np.flatnonzero(finite)
    small = np.concatenate([part[1] for part in found])[kept]
    contents = [content for part in found for content in part[2]]
    described = [row for part in found for row in part[3]]
    kind = parts[0][0].inputs.dtype
    return _Shown(
        vectors[kept],
        small,
        [contents[row] for row in kept],
        _origin([described[row] for row in kept]),
        len(vectors) - len(kept),
        total,
        kind in (torch.uint8, np.uint8),
    )


def _passed(
    encoder: Encoder, source: Source, index: Int[Tensor, " k"], side: int, progress: Progress = unseen
) -> tuple[Float[np.ndarray, "k d"], Float[np.ndarray, "k channels *sizes"], list[bytes]]:
    """Y, miniatures and digests of some inputs, which are read once and never lie in memory together."""
    encoder.check_missing(source.missing, f"{source.name} {source.split}")
    small, contents, fill = [], list[bytes](), filling(source)

    def take(rows: slice) -> Tensor:
        inputs = source.take(index[rows]).cpu()
        small.append(miniatures(fill(inputs), side))
        contents.extend(hashlib.blake2b(values.numpy().tobytes(), digest_size=16).digest() for values in inputs)
        return inputs

    found = []
    size = at_a_time(source.shape, 512)
    for rows, batch in encoder.in_batches(take, (len(index), *source.shape), ["Y"], size):
        found.append(batch["Y"].numpy())
        progress(f"encoding {source.name} {source.split}", rows.stop, len(index))
    return np.concatenate(found), np.concatenate(small), contents


def _row(columns: Mapping[str, Any], row: int, source: Source) -> dict[str, Any]:
    """What stands beside one row of a split."""
    return {name: column[row].as_py() for name, column in columns.items()} | {"classes": source.classes}


def _origin(rows: Sequence[Mapping[str, Any]]) -> Origin:
    """Where the inputs come from, with classes numbered over all splits."""
    known = dict.fromkeys(name for row in rows for name in row["classes"] or ())
    number = {name: place for place, name in enumerate(known)}
    return Origin(
        index=np.array([row["index"] for row in rows], np.int64),
        splits=[row["split"] for row in rows],
        files=[row["file"] for row in rows] if all("file" in row for row in rows) else None,
        labels=np.array([number.get(row.get("label"), -1) for row in rows], np.int64),
        classes=tuple(known),
    )


def _duplicates(found: Duplicates) -> Finding:
    equal, distance = found.equal[:_MOST_FOUND].tolist(), found.distance[:_MOST_FOUND].round(4).tolist()
    return Finding(
        TABLES[0],
        "Near-duplicates",
        "Pairs that are equal in every value, and pairs nearer in Y than a fifth of the usual distance to the nearest "
        "input with another Y.",
        [(int(a), int(b)) for a, b in found.pairs[:_MOST_FOUND]],
        {"distance": distance, "equal": ["yes" if same else "no" for same in equal]},
        ["equal" if same else f"{share:.2f} of the usual" for share, same in zip(distance, equal, strict=True)],
        paired=True,
    )


def _outliers(isolation: Float[np.ndarray, " n"]) -> Finding:
    order = np.argsort(-isolation, kind="stable")[:_MOST_FOUND]
    distance = isolation[order].round(4).tolist()
    return Finding(
        TABLES[1],
        "Outliers",
        f"The inputs with the largest mean distance to their {NEIGHBOURS} nearest in Y, in units of the usual one.",
        [(int(row),) for row in order],
        {"distance": distance},
        [f"{value:.2f} times the usual" for value in distance],
    )


def _to_label(chosen: Chosen, origin: Origin) -> Finding:
    mixed = bool((origin.labels < 0).any() and (origin.labels >= 0).any())
    among = "inputs without a label" if mixed else "inputs"
    stands_for = chosen.stands_for.tolist()
    return Finding(
        TABLES[2],
        "What to label next",
        f"The {among} nearest to the centres of {len(stands_for)} clusters of Y by k-means, the largest cluster first.",
        [(int(row),) for row in chosen.rows],
        {"stands_for": stands_for},
        [f"stands for {count:,}" for count in stands_for],
    )
