"""Files of representations: how the rows of a split are written, by the ending of the file.

Beside its values a row has its ``index`` in the split, the ``file`` that it was read from where that is known, the part
of the data that it belongs to (``split``), and the name of its class (``label``) where there are labels. A table calls
the values of a layer ``Y_0``, ``Y_1`` and so on. Rows are written as they are computed, so that they need not fit into
memory.
"""

import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from jaxtyping import Float, Int
from torch import Tensor

from deep_infomax.data import Source

_GROUP_BYTES: Final = 2**26
"""Bytes of values that are put together into one group of rows of a parquet file."""


@dataclass(frozen=True, eq=False)
class Representation:
    """A layer of a split, as it is written."""

    layer: str
    units: int
    beside: Mapping[str, pa.Array]
    """What every row has beside its values, by column."""
    batches: Iterable[Float[np.ndarray, "_ u"]]
    """The values, float32, in the order of the rows."""

    @property
    def columns(self) -> list[str]:
        """The names of the values in a table."""
        return [f"{self.layer}_{unit}" for unit in range(self.units)]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and units."""
        return len(self.beside["index"]), self.units

    def tables(self) -> Iterator[pa.RecordBatch]:
        """The rows with all columns, a batch at a time."""
        start, names = 0, [*self.beside, *self.columns]
        for values in self.batches:
            beside = [column.slice(start, len(values)) for column in self.beside.values()]
            yield pa.record_batch([*beside, *map(pa.array, np.ascontiguousarray(values.T))], names)
            start += len(values)

    @property
    def schema(self) -> pa.Schema:
        """Names and types of all columns."""
        kinds = {name: column.type for name, column in self.beside.items()} | dict.fromkeys(self.columns, pa.float32())
        return pa.schema(kinds)


class Output(NamedTuple):
    """A kind of file that representations can be written as."""

    title: str
    meaning: str
    write: Callable[[IO[bytes], Representation], None]
    described: bool = True
    """Whether it has what rows have beside their values."""


def _write_npy(file: Any, found: Representation) -> None:  # a file, or a member of an archive
    # Written plainly: where a disk is full, a write is an error, and memory that maps a file ends the process.
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": found.shape}
    np.lib.format.write_array_header_1_0(file, header)
    for values in found.batches:
        file.write(values.tobytes())


def _write_npz(file: IO[bytes], found: Representation) -> None:
    if found.layer in found.beside:
        raise ValueError(f"the layer {found.layer!r} is called like what stands beside it; write .parquet or .npy")
    with zipfile.ZipFile(file, "w") as archive:
        with archive.open(f"{found.layer}.npy", "w", force_zip64=True) as member:
            _write_npy(member, found)
        for name, column in found.beside.items():
            values = column.to_numpy(zero_copy_only=False)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values if name == "index" else values.astype(np.str_))


def _write_csv(file: IO[bytes], found: Representation) -> None:
    plain = pa.schema([(field.name, _undivided(field.type)) for field in found.schema])
    with pa.csv.CSVWriter(file, plain) as writer:
        for rows in found.tables():
            writer.write_table(pa.Table.from_batches([rows]).cast(plain))


def _undivided(kind: pa.DataType) -> pa.DataType:
    """The type of a column's values, of one that keeps each but once as well."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _write_parquet(file: IO[bytes], found: Representation) -> None:
    words = [field.name for field in found.schema if field.type != pa.float32()]
    most = max(1, _GROUP_BYTES // (4 * found.units))
    with pa.parquet.ParquetWriter(file, found.schema, use_dictionary=words) as writer:
        for rows in _joined(found.tables(), most):
            writer.write_table(rows, row_group_size=len(rows))


def _joined(batches: Iterable[pa.RecordBatch], most: int) -> Iterator[pa.Table]:
    """Batches put together until they have so many rows; none is parted."""
    waiting: list[pa.RecordBatch] = []
    for rows in batches:
        waiting.append(rows)
        if sum(map(len, waiting)) >= most:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


OUTPUTS: Final[dict[str, Output]] = {
    ".npy": Output("NumPy array", "The values alone, of shape (inputs, units), float32.", _write_npy, described=False),
    ".npz": Output(
        "NumPy arrays",
        "The values under the name of the layer, and index, file, split and label, an array each.",
        _write_npz,
    ),
    ".csv": Output("CSV", "A line for each input, in UTF-8, with names of columns in the first line.", _write_csv),
    ".parquet": Output("Parquet", "A row for each input, with types; small, and fast to read.", _write_parquet),
}
"""The kinds of files, by their endings."""


def output_of(path: Path) -> Output:
    """The kind of a file that representations are to be written as.

    Raises:
        ValueError: Its ending is none of `OUTPUTS`.

    >>> output_of(Path("Y.CSV")).title
    'CSV'
    """
    ending = path.suffix.lower()
    if ending not in OUTPUTS:
        *others, last = OUTPUTS
        found = f"ends in {ending}" if ending else "has no ending"
        raise ValueError(f"{path} {found}; name a file that ends in {', '.join(others)} or {last}")
    return OUTPUTS[ending]


def beside(parts: Sequence[tuple[Source, Int[Tensor, " _"]]]) -> dict[str, pa.Array]:
    """What the rows of a split have beside their values.

    Args:
        parts: Sources, and the rows that their inputs have in the split.
    """
    n = sum(len(source) for source, _ in parts)
    columns = {"index": pa.array(np.arange(n))}
    if all(source.files is not None for source, _ in parts):
        names = np.empty(n, object)
        for source, rows in parts:
            assert source.files is not None
            names[rows.numpy()] = source.files()
        columns["file"] = pa.array(names, pa.string())
    splits = np.empty(n, np.int32)
    for number, (_, rows) in enumerate(parts):
        splits[rows.numpy()] = number
    columns["split"] = _words(splits, [source.split for source, _ in parts])
    if all(source.labels is not None for source, _ in parts):
        labels = np.empty(n, np.int32)
        for source, rows in parts:
            assert source.labels is not None
            labels[rows.numpy()] = source.labels.cpu().numpy()
        columns["label"] = _words(labels, parts[0][0].classes or ())
    return columns


def _words(numbers: Int[np.ndarray, " n"], words: Sequence[str]) -> Any:
    """A column of words, each of which is kept once."""
    return pa.DictionaryArray.from_arrays(pa.array(numbers, pa.int32()), pa.array(words, pa.string()))
