"""Parquet and Feather files as tables."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deep_infomax.cli.samples.table import OTHER, Array, Table, shortened


def read_arrow(path: Path, what: str) -> Table:
    """The table in a file; the index that pandas keeps in it stands first.

    Raises:
        ValueError: The file is damaged.
    """
    import pyarrow as pa

    try:
        table = _read(path)
    except (pa.ArrowException, OSError, EOFError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{what} is no complete {path.suffix} file ({first}); write it again") from error
    kept = _index(table)
    index = [name for name in kept if isinstance(name, str) and table.column_names.count(name) == 1]
    steps = [[one.get(end) for end in ("start", "stop", "step")] for one in kept if isinstance(one, dict)]
    names = [*index, *(name for name in table.column_names if name not in index)]
    columns = [_values(table.column(table.column_names.index(name))) for name in names]
    return Table(
        names=names,
        columns=columns,
        named=True,
        labels=len(index),
        said=[],
        place=lambda row: f"row {row}",
        cell=lambda row, column: shortened(table.column(table.column_names.index(names[column]))[row].as_py()),
        numbering=_numbering(steps, table.num_rows),
    )


def _read(path: Path) -> Any:
    """The whole table, of this file alone: what the names of its folders say is no column."""
    with path.open("rb") as file:
        if path.suffix.lower() in (".parquet", ".pq"):
            from pyarrow import parquet

            return parquet.ParquetFile(file).read()
        from pyarrow import feather

        return feather.read_table(file, memory_map=False)


def _index(table: Any) -> list[Any]:
    """What pandas says of its index: names of columns, or mappings that describe a range."""
    try:
        kept = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}"))["index_columns"]
    except (ValueError, TypeError, KeyError):  # none, or somebody else's metadata
        return []
    return kept if isinstance(kept, list) else []


def _numbering(steps: Sequence[Sequence[Any]], rows: int) -> Array | None:
    """The range that pandas numbers the rows by."""
    if len(steps) != 1 or not all(type(end) is int and abs(end) < 2**53 for end in steps[0]):
        return None
    start, _, step = steps[0]
    numbering: Array = start + step * np.arange(rows, dtype=np.float64)
    return numbering


def _values(column: Any) -> Array:
    """A column's numbers, a missing one as NaN; or its words; `OTHER` where it holds something else."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_decimal(kind) or (column.null_count and pa.types.is_integer(kind)) or pa.types.is_null(kind):
        column = column.cast(pa.float64(), safe=False)
        kind = pa.float64()
    if pa.types.is_boolean(kind):
        column = column.cast(pa.float64() if column.null_count else pa.uint8())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return np.array(column.to_pylist(), object)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return np.full(len(column), OTHER, object)
    return np.asarray(column.to_numpy())
