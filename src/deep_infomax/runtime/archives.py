"""Arrays read from ``.npz`` files: those that are asked for, of the types and shapes that belong together.

numpy's own reader believes what a file says of itself: it makes room for as much as a header promises, and unpacks
whatever a small file holds.
"""

import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np

from deep_infomax.runtime.records import damaged, open_regular

LARGEST: Final = 2**29
"""Bytes of all arrays together, as they are in memory, at most."""
FLOATS: Final = "efd"
INTEGERS: Final = "bhilqBHILQ"
UINT8: Final = "B"
TEXT: Final = "U"

_LONGEST_HEADER: Final = 20_000
"""Bytes; numpy reads headers of 10,000."""
UNREADABLE: Final = (
    zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, ValueError, EOFError, NotImplementedError,
    RuntimeError, IndexError, OverflowError, SyntaxError, TypeError, KeyError, MemoryError,
)  # fmt: skip
"""What the readers of zip files and of numpy's headers raise for damaged ones."""


class Layout(NamedTuple):
    """What an array has to be."""

    types: str
    """numpy's letters of the types that it can have."""
    axes: str
    """Its axes with spaces between: a number, or a name that stands for one size in all arrays of a file."""
    needed: bool = True
    """Whether the file has to hold it."""


def read_arrays(path: Path, layouts: Mapping[str, Layout], remedy: str) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file by name; others that it holds are passed over.

    Raises:
        ValueError: It is no such file, too large, or lacks an array; or one is of another type or shape.
        OSError: It is not there, or cannot be read.
    """
    with open_regular(path, remedy) as file:
        try:
            arrays = _unpacked(file, layouts)
            _check(arrays, layouts)
        except UNREADABLE as error:
            raise damaged(path, error, remedy) from None
    return arrays


def require_honest(file: BinaryIO, names: Collection[str], largest: int) -> None:
    """Refuse an ``.npz`` file in which arrays are larger than it says, or larger than there is room for.

    Args:
        file: The file.
        names: Of the arrays that are to be read, where they are there.
        largest: Bytes of all of them together at most.

    Raises:
        ValueError, and others of `UNREADABLE`: It is such a file, or is damaged.
    """
    with zipfile.ZipFile(file) as archive:
        for name, info in _members(archive, names, largest).items():
            with archive.open(info) as stream:
                _header(name, io.BytesIO(stream.read(_LONGEST_HEADER)), info.file_size)


def _unpacked(file: BinaryIO, layouts: Mapping[str, Layout]) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        found = _members(archive, layouts, LARGEST)
        if missing := [name for name, layout in layouts.items() if layout.needed and name not in found]:
            raise ValueError(f"it holds no array {missing[0]}")
        return {name: _array(name, archive.read(info)) for name, info in found.items()}


def _members(archive: zipfile.ZipFile, names: Collection[str], largest: int) -> dict[str, zipfile.ZipInfo]:
    held = {info.filename: info for info in archive.infolist()}
    found = {name: held[f"{name}.npy"] for name in names if f"{name}.npy" in held}
    if sum(info.file_size for info in found.values()) > largest:
        raise ValueError(f"its arrays have more than {largest:,} bytes")
    return found


def _array(name: str, content: bytes) -> np.ndarray:
    stream = io.BytesIO(content)
    shape, fortran, dtype = _header(name, stream, len(content))
    return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape, order="F" if fortran else "C")


def _header(name: str, stream: io.BytesIO, size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """What the header of an array of so many bytes says, the stream left behind it."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"the array {name} has format {version}, not 1.0 or 2.0")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject or dtype.itemsize * math.prod(shape) != size - stream.tell():
        raise ValueError(f"the array {name} is not as large as its shape {shape} says")
    return shape, fortran, dtype


def _check(arrays: Mapping[str, np.ndarray], layouts: Mapping[str, Layout]) -> None:
    """Refuse arrays of other types and shapes than their layouts have."""
    sizes: dict[str, int] = {}
    for name, array in arrays.items():
        layout, axes = layouts[name], layouts[name].axes.split()
        if array.dtype.char not in layout.types:
            raise ValueError(f"the array {name} holds {array.dtype}")
        fits = array.ndim == len(axes) and all(
            size == (int(axis) if axis.isdigit() else sizes.setdefault(axis, size))
            for axis, size in zip(axes, array.shape, strict=True)
        )
        if not fits:
            raise ValueError(f"the array {name} has the shape {array.shape}, not ({', '.join(axes)})")
