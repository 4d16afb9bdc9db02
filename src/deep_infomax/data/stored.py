"""Files wherever they are stored: on this machine, at an address, in a repository of the Hugging Face Hub.

All are read by byte ranges through the interface of fsspec, and remotely with patience: what fails is tried again.
"""

import io
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from deep_infomax.data.cache import stamp_files
from deep_infomax.data.splits import split_of

T = TypeVar("T")

WAITS: Final = (1, 2, 4, 8)
"""Seconds between attempts to read what cannot be reached."""
_BUFFER: Final = 2**23
_AT_ONCE: Final = 16
"""Files that are asked for their sizes at once."""
_NUMBER: Final = re.compile(r"[-_.\d]*(of[-_.\d]+)?$")
"""What shards have at the end of their names."""
_STAMPS: Final = ("ETag", "etag", "blob_id", "mtime", "LastModified", "created")
"""Entries of what file systems know of a file that change with its content, the surest first."""


class UnreachableError(OSError):
    """A file could not be read, however often it was tried."""


@runtime_checkable
class FileSystem(Protocol):
    """What is used of a file system of fsspec."""

    def info(self, path: str) -> Mapping[str, Any]:
        """What is known of a file; its ``size`` at least."""
        ...

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        """The bytes of a file from ``start`` to ``end``; options say how it is opened."""
        ...

    def find(self, path: str) -> Sequence[str]:
        """All files below a folder."""
        ...


@dataclass(frozen=True)
class StoredFile:
    """A file that is read by byte ranges."""

    name: str
    """Its path below the folder or repository that was named, for messages and to tell its split."""
    path: str
    """As its file system calls it."""
    size: int
    stamp: str
    """Changes with the content, together with the size."""
    system: FileSystem | None = None
    """None for a file of this machine."""
    sleep: Callable[[float], None] = time.sleep
    """Waits before another attempt."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders that the file lies in, and its name."""
        return PurePosixPath(self.name).parts

    def read(self, start: int, stop: int) -> bytes:
        """Read some bytes.

        Raises:
            UnreachableError: A remote file could not be read at the last attempt.
            OSError: It is not there, or may not be read.
            ValueError: It is shorter than it was.
        """
        if self.system is None:
            with Path(self.path).open("rb") as file:
                file.seek(start)
                content = file.read(stop - start)
        else:
            exactly = partial(self.system.cat_file, self.path, start, stop, cache_type="none")
            content = patiently(exactly, self.name, self.sleep)
        if len(content) != stop - start:
            raise ValueError(f"{self.name} ends after {start + len(content):,} of {self.size:,} bytes; restore it")
        return content

    def open(self) -> io.BufferedReader:
        """Open it, to be read forwards or here and there."""
        if self.system is None:
            return Path(self.path).open("rb")
        return io.BufferedReader(_Remote(self), _BUFFER)


class _Remote(io.RawIOBase):
    """A remote file as Python's libraries read files."""

    def __init__(self, file: StoredFile) -> None:
        self._file, self._place = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._file.size}[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        stop = min(self._place + len(buffer), self._file.size)
        if stop <= self._place:
            return 0
        content = self._file.read(self._place, stop)
        buffer[: len(content)] = content
        self._place = stop
        return len(content)


def patiently(attempt: Callable[[], T], name: str, sleep: Callable[[float], None] = time.sleep) -> T:
    """Try what a network may refuse, again after each of the `WAITS`.

    Raises:
        UnreachableError: The last attempt failed as well.
        OSError: There is no such file, or it may not be read.
        ValueError: It cannot be read in parts.

    >>> outcomes = iter([TimeoutError("too late"), b"here"])
    >>> def read():
    ...     if isinstance(outcome := next(outcomes), Exception):
    ...         raise outcome
    ...     return outcome
    >>> patiently(read, "a.tar", sleep=lambda seconds: print("wait", seconds))
    wait 1
    b'here'
    """
    for wait in (*WAITS, None):
        try:
            return attempt()
        except (FileNotFoundError, PermissionError, ValueError, MemoryError):
            raise
        except Exception as error:  # libraries for networks have families of errors of their own
            if wait is None:
                said = next(iter(str(error).splitlines()), "") or type(error).__name__
                raise UnreachableError(f"{name} cannot be reached ({said}), tried {len(WAITS) + 1} times") from error
            sleep(wait)
    raise AssertionError


def local_files(paths: Sequence[Path], root: Path) -> list[StoredFile]:
    """Files of this machine below a folder."""
    stamps = stamp_files(paths, root)
    return [
        StoredFile(name, str(path), size, str(changed))
        for path, (name, size, changed) in zip(paths, stamps, strict=True)
    ]


def remote_files(
    system: FileSystem,
    paths: Sequence[str],
    names: Sequence[str],
    sleep: Callable[[float], None] = time.sleep,
) -> list[StoredFile]:
    """Files of a file system of fsspec, asked for their sizes.

    Raises:
        OSError: One is not there or cannot be reached.
    """

    def ask(path: str, name: str) -> StoredFile:
        info = patiently(partial(system.info, path), name, sleep)
        large = (info.get("lfs") or {}).get("sha256")
        stamp = large or next((str(info[entry]) for entry in _STAMPS if info.get(entry)), "")
        return StoredFile(name, path, int(info["size"]), stamp, system, sleep)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(ask, paths, names))


def by_split(files: Sequence[StoredFile], root: str, what: str = "parquet files") -> dict[str, list[StoredFile]]:
    """Group files by the split that the beginnings of their names tell, or those of their folders' names.

    Args:
        files: Below one folder or repository.
        root: What messages put before a folder of theirs.
        what: What they call the files.

    Raises:
        ValueError: The files lie in several configurations, or the split of some is unknown.
    """
    groups: dict[str | None, list[StoredFile]] = {}
    configurations: dict[tuple[str, ...], tuple[str, ...]] = {}
    for file in files:
        *parents, name = file.parts
        roles = {folder: split_of(folder) for folder in parents}
        found = next((roles[folder] for folder in reversed(parents) if roles[folder]), None)
        stem = PurePosixPath(name).stem
        groups.setdefault(split_of(stem) or split_of(_NUMBER.sub("", stem)) or found, []).append(file)
        rest = tuple(folder for folder in parents if roles[folder] is None and folder != "data")
        configurations.setdefault(rest, tuple(parents[: parents.index(rest[-1]) + 1]) if rest else ())
    if len(configurations) > 1:
        names = sorted("/".join(rest) or "the folder itself" for rest in configurations)
        raise ValueError(
            f"{what} lie in several folders, {', '.join(names)}, which may be configurations of one data set; "
            f"give one of them, such as {root}{'/'.join(min(configurations.values()))}, or put the files into one "
            "folder"
        )
    if None in groups and len(groups) > 1:
        raise ValueError(
            f"cannot tell the split of {groups[None][0].parts[-1]}; "
            "let every file name begin with train, test, valid or unlabelled"
        )
    return {split or "train": group for split, group in groups.items()}


def stamp_of(file: StoredFile) -> list[str | int]:
    """What identifies a file and its content (JSON)."""
    return [file.path, file.size, file.stamp]
