"""Samples from a file: an array of NumPy, or a table of text, parquet or Feather."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from deep_infomax.cli.samples.table import Array, listed, pick

_ARRAYS: Final = (".npy", ".npz")
_TEXTS: Final = (".csv", ".tsv", ".txt", ".dat")
_ARROW: Final = (".parquet", ".pq", ".feather", ".arrow")
_KINDS: Final = ".npy, .npz, .csv, .tsv, .txt, .parquet or .feather"


class Samples(NamedTuple):
    """What was read from a file."""

    values: Array
    description: dict[str, Any]
    """The file, how many samples it holds, its columns, and what was decided while reading, as JSON values."""
    numbering: Array | None = None
    """What the file numbers its rows by."""

    def __str__(self) -> str:
        found = self.description
        columns = found["columns"]
        of = f"column{'s' * (len(columns) > 1)} {listed(columns)}" if columns else f"shape {tuple(found['shape'])}"
        count = len(self.values) if self.values.ndim else 1
        return "; ".join([f"{found['file']}: {count:,} samples of {of}", *found["said"]])


class Reading(NamedTuple):
    """How a table is read, where that is not to be found out."""

    columns: Sequence[str] | None = None
    """Those to read; None reads all but those that tell rows apart."""
    header: bool | None = None
    """Whether the first line of a text names its columns."""
    decimal: str | None = None
    """What decimals of a text are written with: ``point`` or ``comma``."""


AS_FOUND: Final = Reading()
"""Everything is found out."""


def read_samples(path: Path, name: str, reading: Reading = AS_FOUND) -> Samples:
    """The samples in a file, of a kind that its ending names.

    Args:
        path: The file.
        name: What its samples are called in the sentences about them.
        reading: How a table is read. It says nothing about other files.

    Raises:
        ValueError: The file cannot be read, does not hold one array or one table of numbers and words, or can be
            read in two ways.
    """
    what = f"`{name}`"
    ending = path.suffix.lower()
    _require_file(path, what, ending)
    try:
        if ending in _ARRAYS:
            return _described(path, _read_array(path, what))
        return _read_table(path, what, reading)
    except OSError as error:
        raise ValueError(f"{what} cannot be read ({error.strerror or error}); write it again") from error


def is_table(path: Path) -> bool:
    """Whether a file holds a table, by its ending."""
    return path.suffix.lower() in (*_TEXTS, *_ARROW)


def check_readings(readings: Mapping[str, tuple[Path, Reading]]) -> None:
    """Raise ValueError for what is said of tables where no file is one."""
    endings = [path.suffix.lower() for path, _ in readings.values()]
    for setting, kinds in (("columns", (*_TEXTS, *_ARROW)), ("header", _TEXTS), ("decimal", _TEXTS)):
        said = any(getattr(reading, setting) is not None for _, reading in readings.values())
        if said and not any(ending in kinds for ending in endings):
            raise ValueError(
                f"`{setting}` says how tables are read ({', '.join(kinds)}), and no file is one; leave it out"
            )


def check_numbering(x: Samples, y: Samples, names: tuple[str, str] = ("x", "y")) -> None:
    """Raise ValueError where two tables number their rows, and not in the same order."""
    if x.numbering is None or y.numbering is None or len(x.values) != len(y.values):
        return
    apart = x.numbering - y.numbering
    if (different := apart != apart[0]).any():  # the one may begin with 0, the other with 1
        row = int(different.argmax())
        raise ValueError(
            f"`{names[0]}` and `{names[1]}` number their rows differently "
            f"({x.numbering[row]:g} and {y.numbering[row]:g} in row {row}); "
            "put them in one order, or name what to read with `columns`"
        )


def _require_file(path: Path, what: str, ending: str) -> None:
    if path.is_dir():
        raise ValueError(f"{what} is a folder; name a file in it ({_KINDS})")
    if not path.exists():
        raise ValueError(f"{what} is not there; give the path of a {_KINDS} file")
    if ending not in (*_ARRAYS, *_TEXTS, *_ARROW):
        raise ValueError(f"{what} is no {_KINDS} file; write it as one, with numpy.save for example")
    if not path.is_file():
        raise ValueError(f"{what} is no regular file; copy what it holds into one")


def _described(path: Path, values: Array, columns: Sequence[str] = (), said: Sequence[str] = ()) -> Samples:
    shape = list(values.shape[1:])
    return Samples(values, {"file": str(path), "shape": shape, "columns": list(columns), "said": list(said)})


def _read_table(path: Path, what: str, reading: Reading) -> Samples:
    if path.suffix.lower() in _ARROW:
        from deep_infomax.cli.samples.arrow import read_arrow

        table = read_arrow(path, what)
    else:
        from deep_infomax.cli.samples.text import read_text

        table = read_text(path.read_bytes(), what, reading.header, reading.decimal)
    picked = pick(table, what, reading.columns)
    return _described(path, picked.values, picked.names, picked.said)._replace(numbering=picked.numbering)


def _read_array(path: Path, what: str) -> Array:
    try:
        if path.suffix.lower() == ".npy":
            found = np.load(path, mmap_mode="r", allow_pickle=False)
            return found if found.dtype.kind == "V" else np.array(found)  # records may have no size, and no end
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            content = archive.read(names[0]) if len(names) == 1 else b""
        if names and len(names) == 1:
            return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
    except OSError:
        raise
    except Exception as error:  # NumPy's and Python's parsers raise of every kind at a damaged file
        raise ValueError(
            f"{what} is no complete file of plain numpy arrays; write numbers to it with numpy.save"
        ) from error
    keys = [name.removesuffix(".npy") for name in names]
    found = f"{len(keys)} arrays ({listed(keys)})" if keys else "no array"
    raise ValueError(f"{what} holds {found}; save one to a .npy file, and name that")
