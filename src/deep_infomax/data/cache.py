"""Decoded images on disk, so that a second command starts at once.

An entry is a folder of ``.npy`` files and one JSON record, under ``$DEEP_INFOMAX_CACHE`` (``~/.cache/deep_infomax``
unless set). Its name holds a hash of everything the arrays depend on. It is written beside its place and renamed, so
that an entry is whole or absent. Entries may be deleted at any time.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 2
RECORD = "dataset.json"
UNFINISHED = ".unfinished-"
DAY = 86_400


@dataclass
class Entry:
    """Named arrays and a record; ``folder`` is None where they live in memory only."""

    folder: Path | None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)

    def allocate(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Add an array of bytes (uint8) to be filled."""
        if self.folder is None:
            self.arrays[name] = np.empty(shape, np.uint8)
        else:
            path = self.folder / f"{name}.npy"
            self.arrays[name] = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        return self.arrays[name]


def cache_folder() -> Path:
    """Return the folder of all entries, which need not exist."""
    return Path(os.environ.get("DEEP_INFOMAX_CACHE") or Path.home() / ".cache" / "deep_infomax").expanduser()


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
        record = json.loads((path / RECORD).read_text())
        arrays = {file.stem: np.load(file, mmap_mode="r") for file in path.glob("*.npy")}
    except (OSError, ValueError, EOFError):
        return None
    return Entry(path, arrays, record) if set(record["arrays"]) == set(arrays) else None


@contextmanager
def new_entry(path: Path, size: int) -> Iterator[Entry]:
    """Write the entry at ``path``: it appears when the block ends well, and leaves nothing behind when it does not.

    Where the cache cannot be written the entry stays in memory, with a warning.

    Raises:
        ValueError: The disk has no room for ``size`` bytes.
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
        (folder / RECORD).write_text(json.dumps(entry.record | {"arrays": sorted(entry.arrays)}))
        shutil.rmtree(path, ignore_errors=True)  # a damaged one; a sound one would have been read
        with suppress(OSError):  # another process was faster: its entry is the same
            folder.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_space(folder: Path, size: int) -> None:
    """Refuse to start what cannot end.

    Raises:
        ValueError: The disk of ``folder`` has no room for ``size`` bytes.
    """
    if (free := shutil.disk_usage(folder).free) < size:
        raise ValueError(
            f"decoded images need {size / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB are free; "
            "set DEEP_INFOMAX_CACHE to a folder with more room, or make the images smaller with `data_options.resize`"
        )


def remove_unfinished(folder: Path) -> None:
    """Remove what commands that were killed left behind more than a day ago."""
    for leftover in folder.glob(f"{UNFINISHED}*"):
        with suppress(FileNotFoundError):  # another process removes them too
            if time.time() - leftover.stat().st_mtime > DAY:
                shutil.rmtree(leftover, ignore_errors=True)
