"""Parquet files in the schema of the Hub: a column of encoded images, a column of labels."""

import io
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int

from deep_infomax.data.cache import stamp_files
from deep_infomax.data.columns import Table, find_columns, with_labels
from deep_infomax.data.dataset import Dataset
from deep_infomax.data.encoded import EncodedImage, EncodedImages
from deep_infomax.data.images import Splits, load_images
from deep_infomax.data.index import Contents, Label, Look, Part, ShardFile, joined, kept
from deep_infomax.data.options import DataOptions
from deep_infomax.data.stored import StoredFile, UnreachableError, by_split, local_files
from deep_infomax.data.streams import load_shards

BLOCK = 1024
"""Images read at a time."""


def load_parquet(folder: Path, files: Sequence[Path], options: DataOptions) -> Dataset:
    """Load a folder of parquet files; the beginnings of their names (or of their folders' names) tell the splits.

    Raises:
        ValueError: A file is broken, lacks a column of images, or belongs to no split.
    """
    if options.stream:
        return load_stored_tables(folder.resolve().name, local_files(files, folder), f"{folder}/", options)
    stamp: list[Any] = stamp_files(files, folder)
    if referred := stamp_referred(files, options):
        stamp = [stamp, referred]
    return load_images(folder.resolve().name, stamp, lambda: open_parquet(folder, files, options), options)


def load_stored_tables(name: str, files: Sequence[StoredFile], root: str, options: DataOptions) -> Dataset:
    """Load parquet files as a stream, wherever they are stored.

    Args:
        name: The data set.
        files: At least one.
        root: What messages put before a folder of theirs.
        options: Channels, sizes, columns.

    Raises:
        ValueError: A file is broken, lacks a column of images, or belongs to no split.
    """
    splits = by_split(files, root)
    shards = {split: [ParquetShards(file, options) for file in group] for split, group in splits.items()}
    return load_shards(name, shards, options)


def open_parquet(folder: Path, files: Sequence[Path], options: DataOptions) -> Splits:
    """Group the files by split and read their labels.

    Raises:
        ValueError: The files lie in several configurations, or the split of some is unknown.
    """
    splits = by_split(local_files(files, folder), f"{folder}/")
    return with_labels(
        {split: open_files([Path(file.path) for file in group], options) for split, group in splits.items()}, options
    )


class ParquetShards(ShardFile):
    """A parquet file, a shard for each of its row groups."""

    def contents(self, look: Look) -> Contents:
        """Read images and labels, one row group at a time."""
        with _readable([self.file.name]):
            table = pq.ParquetFile(self._opened())
            columns, metadata = find_columns(table.schema_arrow, self.options), table.metadata
            parts, values, first = list[Part](), {name: list[Label]() for name in columns.labels}, 0
            for group in range(metadata.num_row_groups):
                read = table.read_row_group(group, columns=[columns.image, *columns.labels])
                images = self._encoded(read.column(columns.image).to_pylist(), range(first, first + len(read)))
                look(images)
                for name in columns.labels:
                    values[name] += map(kept, read.column(name).to_pylist())
                if images:
                    parts.append(Part(len(images), first, group, names=joined([image.file for image in images])))
                first += len(images)
        return Contents(parts, columns, values)

    def images(self, part: Part, rows: Int[np.ndarray, " k"]) -> list[EncodedImage]:
        """Read a row group, and take rows of it."""
        with _readable([self.file.name]):
            table = pq.ParquetFile(self._opened())
            column = find_columns(table.schema_arrow, self.options).image
            taken = table.read_row_group(part.group, columns=[column]).column(0).take(pa.array(rows)).to_pylist()
        return self._encoded(taken, (part.first + rows).tolist())

    def _opened(self) -> str | io.BufferedReader:
        return self.file.path if self.file.system is None else self.file.open()

    def _encoded(self, rows: Sequence[Any], numbers: Iterable[int]) -> list[EncodedImage]:
        folders = [Path(self.file.path).parent] if self.file.system is None else []
        named = zip(rows, numbers, strict=True)
        return [image for row, number in named for image in encoded_rows([row], self.file.parts[-1], number, folders)]


def open_files(files: Sequence[Path], options: DataOptions) -> Table:
    """Open the files of one split."""
    with _readable([file.name for file in files]):
        columns, *others = (find_columns(pq.read_schema(file), options) for file in files)
        if any((other.image, set(other.labels), other.classes) != (columns.image, set(columns.labels), columns.classes)
               for other in others):  # fmt: skip
            raise ValueError(f"{files[0].name} and the other files of its split have different columns or classes")
        announced = [pq.read_metadata(file).num_rows for file in files]
        if min(announced) < 0:
            raise pa.ArrowInvalid(f"{min(announced)} rows")

    def values(column: str) -> list[Hashable]:
        with _readable([file.name for file in files]):
            return [value for file in files for value in pq.read_table(file, columns=[column])[column].to_pylist()]

    def read() -> Iterator[Sequence[EncodedImage]]:
        for file, rows in zip(files, announced, strict=True):
            row = 0
            try:
                for batch in pq.ParquetFile(file).iter_batches(BLOCK, columns=[columns.image]):
                    yield encoded_rows(batch.column(0).to_pylist(), file.name, row, [file.parent])
                    row += len(batch)
                if row != rows:
                    raise pa.ArrowInvalid(f"it announces {rows} rows")
            except (pa.ArrowException, OSError) as error:
                raise ValueError(
                    f"{file.name} is damaged after row {row} ({first_line(error)}); replace it by a complete copy"
                ) from error

    return Table(EncodedImages(sum(announced), read, None), columns, values)


@contextmanager
def _readable(names: Sequence[str]) -> Iterator[None]:
    """Turn what is wrong with the files of a split into one sentence."""
    try:
        yield
    except UnreachableError:
        raise
    except (pa.ArrowException, OSError, KeyError) as error:
        others = " and the other files of its split" if len(names) > 1 else ""
        remedy = "them by complete copies with equal columns" if others else "it by a complete copy"
        raise ValueError(f"cannot read {names[0]}{others} ({first_line(error)}); replace {remedy}") from error


def first_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def encoded_rows(rows: Sequence[Any], file: str, first: int, folders: Sequence[Path]) -> list[EncodedImage]:
    """Name the images of consecutive rows of a table; files that rows refer to must lie in one of the folders, if any.

    Raises:
        ValueError: A row refers to a file elsewhere, or its image is no sequence of bytes.
    """
    images = []
    for number, row in enumerate(rows, first):
        content, path = (row or {}).get("bytes"), (row or {}).get("path")
        if not isinstance(content, bytes | None) or not isinstance(path, str | None):
            raise ValueError(
                f"row {number} of {file} has bytes or a path of another type; "
                "write the files with the Image feature of the `datasets` library"
            )
        place = f"in row {number} of {file}" + (f" ({path})" if path else "")
        found = content if content is not None or not path or not folders else within(folders, path, place)
        images.append(EncodedImage(place, found, path or None))
    return images


def within(folders: Sequence[Path], path: str, place: str) -> Path:
    """Return the file that a path stands for, links followed, in the first of the folders unless it is absolute.

    Raises:
        ValueError: It lies in none of the folders.
    """
    try:
        found = (folders[0] / path).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a null character
        raise ValueError(f"the image {place} has no path that can be followed; correct it") from error
    if not any(found.is_relative_to(folder.resolve()) for folder in folders):
        raise ValueError(
            f"the image {place} lies outside {folders[0]}, which a table may not refer to; "
            "move it there, or keep the bytes in the table"
        )
    return found


def stamp_referred(files: Sequence[Path], options: DataOptions) -> list[tuple[str, int, int]]:
    """Identify the files that rows may refer to by path, by their sizes and times of change.

    Tables that cannot be read are passed over: they are refused when they are opened.
    """
    stamps = []
    for file in files:
        if all(other.suffix.lower() == ".parquet" for other in file.parent.iterdir()):
            continue  # as in a copy from the Hub, whose rows keep the bytes and name where they were
        try:
            paths = referred(file, options)
        except (pa.ArrowException, OSError, KeyError, ValueError):
            continue
        for path in paths:
            try:
                stat = (file.parent / path).stat()
            except (OSError, ValueError):  # said when it is opened, if its bytes lack
                continue
            stamps.append((path, stat.st_size, stat.st_mtime_ns))
    return stamps


def referred(file: Path, options: DataOptions) -> list[str]:
    """Return the paths that rows name, whether they keep bytes or not; no bytes are read.

    Statistics of the columns would tell, but of damaged ones Arrow ends the process.
    """
    table = pq.ParquetFile(file)
    column = find_columns(table.schema_arrow, options).image
    if table.schema_arrow.field(column).type.get_field_index("path") < 0:
        return []
    rows = (row for batch in table.iter_batches(columns=[f"{column}.path"]) for row in batch.column(0).to_pylist())
    return [row["path"] for row in rows if row and isinstance(row.get("path"), str)]
