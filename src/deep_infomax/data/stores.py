"""Arrays in HDF5 files and Zarr stores, by the names that ``.npz`` files use, or the one that is asked for.

An array that HDF5 keeps in one piece is memory-mapped where it lies. Others, and those of Zarr, are copied into the
cache block by block, and mapped there. So neither has to fit into memory, unless a part of labelled inputs is held out.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from deep_infomax.data import cache
from deep_infomax.data.archives import roles
from deep_infomax.data.arrays import CHUNK, build, check_numbers
from deep_infomax.data.cache import stamp_files
from deep_infomax.data.dataset import Dataset, by
from deep_infomax.data.extras import require
from deep_infomax.data.options import DataOptions
from deep_infomax.data.parquet import first_line
from deep_infomax.runtime.chunks import at_a_time
from deep_infomax.runtime.files import expanded
from deep_infomax.runtime.records import open_regular

HDF5: Final = (".h5", ".hdf5")
ZARR: Final = (".zarr",)


def load_store(spec: str, path: Path, options: DataOptions) -> Dataset:
    """Load an HDF5 file or a Zarr store.

    Args:
        spec: The path, or ``PATH:NAME`` for one array, or for the arrays in one group.
        path: The path alone.
        options: How to read the arrays.

    Raises:
        ValueError: It cannot be read, has no such array, or its arrays cannot be used.
    """
    part = "" if expanded(spec) == path else spec.rpartition(":")[2].strip("/")
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    stamp = stamp_files(files, path if path.is_dir() else path.parent)
    try:
        with (_zarr if path.is_dir() else _hdf5)(path) as arrays:
            names, notes = _chosen(arrays, part)
            found = {role: np.asarray(arrays[name][...]) for role, name in names.items() if role[0] == "y"}
            found |= _inputs(path, stamp, {role: arrays[name] for role, name in names.items() if role[0] == "x"}, names)
        dataset = build(path.stem, found, options, names)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    unread = ", ".join(filter(None, [str(dataset.description.get("not_read", "")), notes.pop("not_read", "")]))
    return replace(dataset, description={**dataset.description, **notes, **({"not_read": unread} if unread else {})})


@contextmanager
def _hdf5(path: Path) -> Iterator[dict[str, Any]]:
    """All arrays of a file by their names."""
    h5py = require("h5py", "arrays", "HDF5 files")
    open_regular(path, "write it again", follow=True).close()  # a pipe would be waited for
    found: dict[str, Any] = {}
    try:
        with h5py.File(path, "r") as file:
            file.visititems(lambda name, item: found.update({name: item} if isinstance(item, h5py.Dataset) else {}))
            yield found
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(_unreadable(error, "HDF5 file")) from error


@contextmanager
def _zarr(path: Path) -> Iterator[dict[str, Any]]:
    """All arrays of a store by their names; one that is an array itself is called ``x``."""
    zarr = require("zarr", "arrays", "Zarr stores")
    try:
        store = zarr.open(path, mode="r")
        members = [("x", store)] if isinstance(store, zarr.Array) else sorted(store.members(max_depth=None))
    except Exception as error:  # of many kinds, by what is damaged
        raise ValueError(_unreadable(error, "Zarr store")) from error
    try:
        yield {name: item for name, item in members if isinstance(item, zarr.Array)}
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        raise ValueError(_unreadable(error, "Zarr store")) from error


def _unreadable(error: Exception, what: str) -> str:
    return f"it is no complete {what} of plain arrays ({first_line(error)}); write it again"


def _chosen(arrays: Mapping[str, Any], part: str) -> tuple[dict[str, str], dict[str, str]]:
    """Which arrays are read as what, and what was decided.

    Raises:
        ValueError: There is no such array, or none that can be inputs.
    """
    if part:
        if part in arrays:
            return {"x": part}, _notes(f"{part}, as asked", arrays, {part})
        if not (within := {name: array for name, array in arrays.items() if name.startswith(f"{part}/")}):
            raise ValueError(f"there is no array {part!r}; it has {', '.join(arrays) or 'none'}")
        arrays = within
    own = {name.removeprefix(f"{part}/"): name for name in arrays}
    try:
        names = {role: own[name] for role, name in roles(own).items()}
    except ValueError as error:
        if not str(error).startswith("no inputs"):
            raise
        return _largest(arrays)
    return names, _notes("", arrays, {*names.values()})


def _largest(arrays: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """The largest array of numbers, where no name says which are the inputs."""
    sizes = {name: array.size for name, array in arrays.items() if array.dtype.kind in "biuf" and array.ndim > 1}
    if not sizes:
        held = f"the arrays {', '.join(arrays)}" if arrays else "no arrays"
        raise ValueError(f"it has {held}, none with inputs as rows; save the inputs as an array called x, (n, ...)")
    largest = max(sizes, key=lambda name: sizes[name])
    if len(alike := [name for name, size in sizes.items() if size == sizes[largest]]) > 1:
        raise ValueError(f"{' and '.join(alike)} can both be the inputs; name one after the path: :{alike[0]}")
    return {"x": largest}, _notes(f"{largest}, the {'largest' if len(arrays) > 1 else 'only one'}", arrays, {largest})


def _notes(rule: str, arrays: Mapping[str, Any], read: set[str]) -> dict[str, str]:
    unread = ", ".join(name for name in arrays if name not in read)
    return ({"array_rule": rule} if rule else {}) | ({"not_read": unread} if unread else {})


def _inputs(path: Path, stamp: Any, stored: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The inputs by role, memory-mapped.

    Raises:
        ValueError: They cannot be inputs.
    """
    for role, array in stored.items():
        if getattr(array, "is_virtual", False) or getattr(array, "external", None):
            raise ValueError(f"{names[role]} lies in other files; copy it into this one")
        check_numbers(np.broadcast_to(np.zeros((), array.dtype), array.shape))
    mapped = {role: found for role, array in stored.items() if (found := _mapped(path, array)) is not None}
    if len(mapped) == len(stored):
        return mapped
    if len({array.shape[1:] for array in stored.values()}) > 1:
        shapes = ", ".join(f"{names[role]} has inputs of {by(array.shape[1:])}" for role, array in stored.items())
        raise ValueError(f"{shapes}; give all one shape")
    place = cache.entry_path(path.stem, ["store", stamp, dict(names)])
    entry = cache.read_entry(place) or _copied(place, stored)
    return {role: entry.arrays[_split(role)] for role in stored}


def _mapped(path: Path, array: Any) -> np.ndarray | None:
    """An array of HDF5 where it lies in its file; None where it is in pieces, compressed or not there."""
    if not path.is_file() or array.chunks is not None or array.compression is not None:
        return None
    offset = array.id.get_offset()
    if offset is None or offset + array.nbytes > path.stat().st_size:
        return None
    return np.memmap(path, array.dtype, "r", offset, array.shape)


def _copied(place: Path, stored: Mapping[str, Any]) -> cache.Entry:
    """Copy arrays into a new cache entry."""
    kind = np.result_type(*{array.dtype for array in stored.values()})
    kind = np.dtype(np.float32 if kind.kind == "b" else np.float64 if kind.itemsize > 8 else kind.newbyteorder("="))
    size = sum(array.size for array in stored.values()) * kind.itemsize
    with cache.new_entry(place, size) as entry:
        for role, array in stored.items():
            _copy(array, entry.allocate(_split(role), array.shape, kind))
        shape = next(iter(stored.values())).shape[1:]
        entry.record = cache.Record({_split(role): None for role in stored}, None, None, {"shape": by(shape)})
    return cache.read_entry(place) or entry


def _copy(array: Any, target: np.ndarray) -> None:
    rows = at_a_time(target.shape[1:], CHUNK)
    if array.chunks:  # which are unpacked whole
        rows = max(1, rows // array.chunks[0]) * array.chunks[0]
    for start in range(0, len(target), rows):
        target[start : start + rows] = array[start : start + rows]


def _split(role: str) -> str:
    return role.removeprefix("x_") if role != "x" else "train"
