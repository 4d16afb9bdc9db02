"""Arrays read from ``.npz`` files: those that are asked for, of the types and shapes that belong together.

numpy's own reader believes what a file says of itself: it makes room for as much as a header promises, and unpacks
whatever a small file holds.
"""

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np

from deep_infomax.runtime.records import damaged, open_regular

LARGEST: Final = 2**29
"""Bytes of all arrays together, as they are in memory, at most."""
FLOATS: Final = "efd"
INTEGERS: Final = "bhilqBHILQ"
UINT8: Final = "B"
TEXT: Final = "U"

_UNREADABLE: Final = (
    zipfile.BadZipFile, zlib.error, struct.error, ValueError, EOFError, NotImplementedError, RuntimeError, IndexError,
    OverflowError, SyntaxError, TypeError, KeyError,
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
        except _UNREADABLE as error:
            raise damaged(path, error, remedy) from None
    return arrays


def _unpacked(file: BinaryIO, layouts: Mapping[str, Layout]) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        held = {info.filename: info for info in archive.infolist()}
        found = {name: held[f"{name}.npy"] for name in layouts if f"{name}.npy" in held}
        if missing := [name for name, layout in layouts.items() if layout.needed and name not in found]:
            raise ValueError(f"it holds no array {missing[0]}")
        if sum(info.file_size for info in found.values()) > LARGEST:
            raise ValueError(f"its arrays have more than {LARGEST:,} bytes")
        return {name: _array(name, archive.read(info)) for name, info in found.items()}


def _array(name: str, content: bytes) -> np.ndarray:
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"the array {name} has format {version}, not 1.0 or 2.0")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject or dtype.itemsize * math.prod(shape) != len(content) - stream.tell():
        raise ValueError(f"the array {name} is not as large as its shape {shape} says")
    return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape, order="F" if fortran else "C")


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
