"""Decoded images on disk, so that a second command starts at once.

An entry is a folder of ``.npy`` files and one JSON record, under ``$DEEP_INFOMAX_CACHE`` (``~/.cache/deep_infomax``
unless set). Its name holds a hash of everything the arrays depend on. It is written beside its place and renamed, so
that an entry is whole or absent. Entries may be deleted at any time.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from deep_infomax.data.dataset import FileNames, by
from deep_infomax.runtime.files import expanded
from deep_infomax.runtime.records import damaged, open_regular, read_bytes

FORMAT = 4
RECORD = "dataset.json"
SPLITS = ("train", "test", "validation", "unlabelled")
UNFINISHED = ".unfinished-"
LARGEST_RECORD = 2**28
"""Bytes of a record at most: it has a label for every input."""
LARGEST_FILES = 2**30
"""Bytes of the names of files of a split at most."""
DAY = 86_400


@dataclass
class Record:
    """What is known of the arrays of an entry, by split."""

    labels: dict[str, list[int] | None]
    classes: list[str] | None
    held_out: list[int] | None
    description: dict[str, str | int]


@dataclass
class Entry:
    """Arrays of inputs by split, and their record; ``folder`` is None where they live in memory only."""

    folder: Path | None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    record: Record = field(default_factory=lambda: Record({}, None, None, {}))
    files: dict[str, FileNames] = field(default_factory=dict)
    """The files that inputs were read from, by split, where they are known. A training never reads them."""

    def allocate(self, name: str, shape: tuple[int, ...], kind: np.dtype[Any]) -> np.ndarray:
        """Add an array to be filled.

        Raises:
            OSError: The disk is full.
        """
        if self.folder is None:
            self.arrays[name] = np.empty(shape, kind)
            return self.arrays[name]
        path = self.folder / f"{name}.npy"
        header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
        try:
            with path.open("xb") as file:
                np.lib.format.write_array_header_1_0(file, header)
                offset = file.tell()
                reserve(file, offset + kind.itemsize * int(np.prod(shape)))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        self.arrays[name] = np.memmap(path, kind, "r+", offset, shape)
        return self.arrays[name]

    def keep_files(self, split: str, names: list[str]) -> None:
        """Keep the names of the files that the inputs of a split were read from."""
        if self.folder is None:
            self.files[split] = partial(list, names)
        else:
            files_of(self.folder, split).write_text(json.dumps(names), encoding="utf-8")


def reserve(file: BinaryIO, size: int) -> None:
    """Take the room of a file now: where a disk is full, writing to a mapped page would kill the process.

    Raises:
        OSError: The disk is full.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, size)
            return
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
    while (left := size - file.tell()) > 0:
        file.write(bytes(min(left, 1 << 20)))
    file.flush()


def cache_folder() -> Path:
    """Return the folder of all entries, which need not exist."""
    return expanded(os.environ.get("DEEP_INFOMAX_CACHE") or "~/.cache/deep_infomax")


def entry_path(name: str, stamp: Any) -> Path:
    """Return the place of the entry for a data set whose contents and treatment ``stamp`` (JSON) identifies."""
    text = json.dumps([FORMAT, stamp], sort_keys=True)
    return cache_folder() / f"{name.replace('/', '--')}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def stamp_files(files: Sequence[Path], root: Path) -> list[tuple[str, int, int]]:
    """Identify files by their names below ``root``, sizes and times of change."""
    return [(file.relative_to(root).as_posix(), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]


def read_entry(path: Path) -> Entry | None:
    """Open an entry with its arrays memory-mapped; None where there is none, or a damaged one."""
    try:
        content = read_bytes(path / RECORD, "remove it", largest=LARGEST_RECORD)
        record = msgspec.json.decode(content, type=Record)  # a fraction of a second for a million labels
        arrays = {name: read_array(path / f"{name}.npy") for name in SPLITS if (path / f"{name}.npy").exists()}
    except Exception:  # numpy raises errors of many kinds on damaged headers
        return None
    if not is_whole(arrays, record):
        return None
    named = [split for split in arrays if files_of(path, split).exists()]
    files: dict[str, FileNames] = {
        split: partial(read_files, files_of(path, split), len(arrays[split])) for split in named
    }
    return Entry(path, arrays, record, files)


def files_of(folder: Path, split: str) -> Path:
    """Where an entry keeps the names of the files of a split."""
    return folder / f"{split}.files.json"


def read_files(path: Path, count: int) -> list[str]:
    """The names of so many files.

    Raises:
        ValueError: They are damaged.
    """
    remedy = f"remove {path.parent}, which is made anew"
    content = read_bytes(path, remedy, largest=LARGEST_FILES)
    try:
        names = msgspec.json.decode(content, type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise damaged(path, error, remedy) from None
    if len(names) != count:
        raise damaged(path, f"it names {len(names):,} files of {count:,}", remedy)
    return names


def read_array(path: Path) -> np.ndarray:
    """Map an array of real numbers into memory.

    Raises:
        ValueError: It is something else, or not as long as it says.
    """
    with open_regular(path, "remove it") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{path} was not written here")
        shape, fortran, kind = np.lib.format.read_array_header_1_0(file)
        if fortran or kind.kind not in "uif" or not kind.isnative:
            raise ValueError(f"{path} holds no plain numbers")
        return np.memmap(file, kind, "r", file.tell(), shape)


def is_whole(arrays: dict[str, np.ndarray], record: Record) -> bool:
    """Whether arrays and record belong together: one shape, a label for each input, a class for each label."""
    if "train" not in arrays or arrays.keys() != record.labels.keys():
        return False
    shape, kind, classes = arrays["train"].shape[1:], arrays["train"].dtype, len(record.classes or ())
    for name, array in arrays.items():
        labels = record.labels[name]
        if array.shape[1:] != shape or array.dtype != kind or record.description.get("shape") != by(shape):
            return False
        if labels is not None and (len(labels) != len(array) or not 0 <= min(labels) <= max(labels) < classes):
            return False
    if (held := record.held_out) is None:
        return True
    if "test" not in arrays or not 0 < len(held) == len(arrays["test"]) or held != sorted({*held}):
        return False
    return 0 <= held[0] <= held[-1] < len(held) + len(arrays["train"])


@contextmanager
def new_entry(path: Path, size: int) -> Iterator[Entry]:
    """Write the entry at ``path``: it appears when the block ends well, and leaves nothing behind when it does not.

    Where the cache cannot be written the entry stays in memory, with a warning.

    Raises:
        OSError: The disk has no room for ``size`` bytes.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(path.parent)
        folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=path.parent))
    except OSError as error:
        warnings.warn(
            f"the cache {path.parent} cannot be written ({error.strerror}), so images stay in memory and are "
            "decoded again next time; set DEEP_INFOMAX_CACHE to a folder that can be written",
            stacklevel=2,
        )
        yield Entry(None)
        return
    try:
        check_space(path.parent, size)
        entry = Entry(folder)
        yield entry
        for array in entry.arrays.values():
            assert isinstance(array, np.memmap)
            array.flush()
        (folder / RECORD).write_text(json.dumps(asdict(entry.record)), encoding="utf-8")
        shutil.rmtree(path, ignore_errors=True)  # a damaged one; a sound one would have been read
        with suppress(OSError):  # another process was faster: its entry is the same
            folder.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_space(folder: Path, size: int) -> None:
    """Refuse to start what cannot end.

    Raises:
        OSError: The disk of ``folder`` has no room for ``size`` bytes.
    """
    if (free := shutil.disk_usage(folder).free) < size:
        said = f"decoded images need {size / 1e6:,.1f} MB, {free / 1e6:,.1f} are free, DEEP_INFOMAX_CACHE moves them"
        raise OSError(errno.ENOSPC, said, str(folder))


def remove_unfinished(folder: Path) -> None:
    """Remove what commands that were killed left behind more than a day ago."""
    for leftover in folder.glob(f"{UNFINISHED}*"):
        with suppress(FileNotFoundError):  # another process removes them too
            if time.time() - leftover.stat().st_mtime > DAY:
                shutil.rmtree(leftover, ignore_errors=True)
