"""Parquet files in the schema of the Hub: a column of encoded images, a column of labels."""

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deep_infomax.data.cache import stamp_files
from deep_infomax.data.columns import find_columns
from deep_infomax.data.dataset import Dataset
from deep_infomax.data.encoded import EncodedImage, EncodedImages, split_of
from deep_infomax.data.images import Splits, load_images
from deep_infomax.data.options import DataOptions

BLOCK = 1024
"""Images read at a time."""


def load_parquet(folder: Path, files: Sequence[Path], options: DataOptions) -> Dataset:
    """Load a folder of parquet files; the beginnings of their names (or of their folders' names) tell the splits.

    Raises:
        ValueError: A file is broken, lacks a column of images, or belongs to no split.
    """
    return load_images(
        folder.resolve().name, stamp_files(files, folder), lambda: open_parquet(folder, files, options), options
    )


def open_parquet(folder: Path, files: Sequence[Path], options: DataOptions) -> Splits:
    """Group the files by split and read their labels."""
    groups: dict[str | None, list[Path]] = {}
    for file in files:
        parent = None if file.parent == folder else split_of(file.parent.name)
        groups.setdefault(split_of(file.stem) or parent, []).append(file)
    if None in groups and len(groups) > 1:
        raise ValueError(
            f"cannot tell the split of {groups[None][0].name}; "
            "let every file name begin with train, test, valid or unlabelled"
        )
    return {split or "train": open_files(group, options) for split, group in groups.items()}


def open_files(files: Sequence[Path], options: DataOptions) -> EncodedImages:
    """Open the files of one split."""
    try:
        columns, *others = (find_columns(pq.read_schema(file), options) for file in files)
        if any(other != columns for other in others):
            raise ValueError(f"{files[0].name} and the other files of its split have different columns or classes")
        n = sum(pq.read_metadata(file).num_rows for file in files)
        labels: list[Hashable] | None = None
        if columns.label is not None:
            labels = [
                label
                for file in files
                for label in pq.read_table(file, columns=[columns.label])[columns.label].to_pylist()
            ]
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ValueError(
            f"cannot read {files[0].name} and the other files of its split ({first_line(error)}); "
            "replace them by complete copies with equal columns"
        ) from error

    def read() -> Iterator[Sequence[EncodedImage]]:
        for file in files:
            row = 0
            try:
                for batch in pq.ParquetFile(file).iter_batches(BLOCK, columns=[columns.image]):
                    yield encoded_rows(batch.column(0).to_pylist(), file.name, row, file.parent)
                    row += len(batch)
            except (pa.ArrowException, OSError) as error:
                raise ValueError(
                    f"{file.name} is damaged after row {row} ({first_line(error)}); replace it by a complete copy"
                ) from error

    return EncodedImages(n, read, labels, columns.classes)


def first_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def encoded_rows(rows: Sequence[dict[str, Any] | None], file: str, first: int, folder: Path) -> list[EncodedImage]:
    """Name the images of consecutive rows of a table.

    Raises:
        ValueError: A row has no image.
    """
    images = []
    for number, row in enumerate(rows, first):
        row = row or {}
        content, path = row.get("bytes"), row.get("path")
        if content is None:
            if path is None:
                raise ValueError(f"row {number} of {file} has no image; remove the row")
            content = folder / path
        images.append(EncodedImage(f"in row {number} of {file}" + (f" ({path})" if path else ""), content))
    return images
