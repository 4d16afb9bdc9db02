"""Tables in long form: a row for each moment of a series, a column that names the series, columns of values.

CSV files and parquet files are read by Arrow. Which columns were taken for what is said in the description.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from deep_infomax.data.columns import LABEL_NAMES
from deep_infomax.data.dataset import Dataset
from deep_infomax.data.folders import user_files
from deep_infomax.data.lists import Listed, build_lists
from deep_infomax.data.options import DataOptions
from deep_infomax.data.parquet import first_line
from deep_infomax.data.splits import split_of
from deep_infomax.runtime.records import open_regular

TABLES: Final = (".csv", ".tsv", ".parquet")
_TIMES: Final = ("time", "timestamp", "datetime", "date")
"""Names of columns by which rows are sorted without being told."""
_NO_VALUES: Final = frozenset(("id", "ids", "idx", "index", "row", "unnamed"))
"""Words in the names of numbers that count rows."""


class _Roles(NamedTuple):
    """Which column is what."""

    series: str
    time: str | None
    label: str | None
    values: tuple[str, ...]
    unread: tuple[str, ...]

    def notes(self) -> dict[str, str]:
        order = f"sorted by column {self.time}" if self.time else "in the order of the rows"
        return {
            "series_rule": f"one for each value of column {self.series}, {order}",
            "values_rule": f"columns {', '.join(self.values)}",
            "label_rule": f"column {self.label}",
            **({"not_read": ", ".join(self.unread)} if self.unread else {}),
        }


def load_long(path: Path, options: DataOptions) -> Dataset:
    """Load a table in long form, or those in a folder, whose names tell the splits.

    Raises:
        ValueError: A file cannot be read, `DataOptions.series_column` is not set, or columns cannot be used.
    """
    files = _files_at(path)
    try:
        tables = {split: _table(file) for split, file in files.items()}
        roles = _roles(tables["train"], options)
        splits = {split: _listed(table, roles, files[split].name, options) for split, table in tables.items()}
        given = {split: f"{file.name} as given" for split, file in files.items() if split in ("test", "validation")}
        tested = {"split_rule": given.get("test") or given["validation"]} if given else {}
        return build_lists(path.resolve().stem, splits, options, roles.notes() | tested)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _files_at(path: Path) -> dict[str, Path]:
    if not path.is_dir():
        return {"train": path}
    files = sorted(file for file in user_files(path) if file.suffix.lower() in TABLES)
    found: dict[str, Path] = {}
    for file in files:
        split = split_of(file.stem) or "train"
        if split in found:
            raise ValueError(
                f"{found[split].name} and {file.name} in {path} are both of the {split} part; put them into one "
                "file, or begin their names with train and test"
            )
        found[split] = file
    if "train" not in found:
        held = f"only {', '.join(file.name for file in files)}" if files else "no .csv or .parquet file"
        raise ValueError(f"the folder {path} holds {held}, and nothing to train on; add a file called train")
    return found


def _table(file: Path) -> pa.Table:
    """Read a file.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        with open_regular(file, "write it again", follow=True) as opened:
            if file.suffix.lower() == ".parquet":
                return pq.read_table(opened)
            start = opened.readline().decode("utf-8-sig")
        delimiter = max(",;\t", key=start.count)
        tables = [_csv(file, delimiter, point) for point in (".,"[: 1 + (delimiter == ";")])]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{file.name} cannot be read ({first_line(error)}); write it again, a CSV file in UTF-8 with names in its "
            "first line"
        ) from error
    return max(tables, key=lambda table: sum(map(_is_number, table.schema)))


def _csv(file: Path, delimiter: str, point: str) -> pa.Table:
    return csv.read_csv(
        file,
        parse_options=csv.ParseOptions(delimiter=delimiter),
        convert_options=csv.ConvertOptions(decimal_point=point, strings_can_be_null=True),
    )


def _is_number(field: pa.Field) -> bool:
    kind = field.type
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    )


def _roles(table: pa.Table, options: DataOptions) -> _Roles:
    """Find the columns: those that the user names, else by their names and types."""
    schema, names = table.schema, list(table.column_names)
    if options.series_column is None:
        raise ValueError(
            "say which column names the series that a row belongs to with `data_options.series_column`; it can be one "
            f"of {names}; inputs of one row each are saved as an array (.npy)"
        )
    series = _known(options.series_column, names, "series_column")
    time = next((name for name in names if name.lower() in _TIMES), None)
    time = _known(options.time_column, names, "time_column") if options.time_column else time
    labels = [name for name in LABEL_NAMES if name in names and not _is_coordinate(table, series, name)]
    label = labels[0] if labels else None
    if options.label_column is not None:
        label = None if options.label_column == "none" else _known(options.label_column, names, "label_column")
    if options.value_columns is not None:
        values = [_known(name.strip(), names, "value_columns") for name in options.value_columns.split(",")]
        if wrong := [name for name in values if not _is_number(schema.field(name))]:
            raise ValueError(f"column {wrong[0]!r} holds no numbers ({schema.field(wrong[0]).type}); choose others")
    else:
        taken = {series, time, label, *labels}
        values = [
            name for name in names if name not in taken and _is_number(schema.field(name)) and not _counts_rows(name)
        ]
    if not values:
        raise ValueError(f"no column holds values; `data_options.value_columns` can name some of {names}")
    unread = tuple(name for name in names if name not in {series, time, label, *values})
    return _Roles(series, time, label, tuple(values), unread)


def _is_coordinate(table: pa.Table, series: str, name: str) -> bool:
    """Whether a column is the y beside an x, which changes within a series as no label does."""
    if name != "y" or not {"x", "y"} <= {*table.column_names}:
        return False
    counts = table.group_by(series).aggregate([("y", "count_distinct")])["y_count_distinct"]
    return bool((pc.max(counts).as_py() or 0) > 1)


def _counts_rows(name: str) -> bool:
    return not name or bool({*re.findall(r"[a-z]+", name.lower())} & _NO_VALUES)


def _known(name: str, names: Sequence[str], option: str) -> str:
    if name not in names:
        raise ValueError(f"there is no column {name!r}; `data_options.{option}` can be one of {names}")
    return name


def _listed(table: pa.Table, roles: _Roles, where: str, options: DataOptions) -> Listed:
    """Part a table into its series."""
    for name in dict.fromkeys((roles.series, *filter(None, (roles.time, roles.label)), *roles.values)):
        if name not in table.column_names:
            raise ValueError(f"{where} has no column {name!r}; give all parts the same columns")
    if not len(table):
        raise ValueError(f"{where} has no rows; give it some")
    series = table[roles.series].combine_chunks()
    if series.null_count:
        raise ValueError(
            f"{series.null_count} rows of {where} name no series in {roles.series}; name it, or remove them"
        )
    encoded = pc.dictionary_encode(series)
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    codes, names = (
        encoded.indices.to_numpy(zero_copy_only=False),
        [str(name) for name in encoded.dictionary.to_pylist()],
    )
    order = _order(table, codes, names, roles.time, where)
    rows = np.stack([_numbers(table[name], name, where, options) for name in roles.values])[:, order]
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    parts = np.split(order, ends[:-1])
    labels = None if roles.label is None else _labels(table, roles.label, parts, names)
    inputs = np.split(rows, ends[:-1], axis=1)
    return Listed(inputs, labels, where, [f"the series {name!r}" for name in names])


def _order(table: pa.Table, codes: np.ndarray, names: Sequence[str], time: str | None, where: str) -> np.ndarray:
    """Rows by series, in the order of their first appearance, and within each by time."""
    if time is None:
        return np.argsort(codes, kind="stable")
    column = table[time]
    if column.null_count:
        raise ValueError(f"{column.null_count} rows of {where} have no {time}; fill it, or remove them")
    ranks = pc.rank(column, tiebreaker="dense").to_numpy()
    order = np.lexsort((ranks, codes))
    twice = (np.diff(codes[order]) == 0) & (np.diff(ranks[order]) == 0)
    if twice.any():
        row = order[int(np.argmax(twice))]
        raise ValueError(
            f"the series {names[codes[row]]!r} of {where} has {column[int(row)].as_py()} twice in {time}; let each "
            "moment have one row"
        )
    return order


def _numbers(column: pa.ChunkedArray, name: str, where: str, options: DataOptions) -> np.ndarray:
    numbers: np.ndarray = pc.cast(column, pa.float64(), safe=False).to_numpy()
    if (missing := int(np.isnan(numbers).sum())) and options.missing is None:
        raise ValueError(
            f"column {name} of {where} has {missing} missing values; set `data_options.missing` to nan to leave them "
            "out of all that is learnt, fill them, or choose other columns with `data_options.value_columns`"
        )
    return numbers


def _labels(table: pa.Table, column: str, parts: Sequence[np.ndarray], names: Sequence[str]) -> list[Any]:
    """One label for each series."""
    values = table[column].to_pylist()
    labels = []
    for rows, name in zip(parts, names, strict=True):
        if len(found := {values[row] for row in rows}) > 1:
            some = ", ".join(sorted(map(repr, found))[:3])
            raise ValueError(
                f"the series {name!r} has several labels in {column} ({some}); give each series one, or set "
                "`data_options.label_column` to none to read no labels"
            )
        labels.append(found.pop())
    return labels
