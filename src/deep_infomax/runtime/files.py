"""Files that are there whole or not at all: how everything that the project keeps is written.

A file is written beside its place, under a random name that nobody else has and that is no link, and renamed when it is
whole and on the disk. Its writer holds a lock on it meanwhile. What a killed writer left has no lock any more, and the
next one of the same file removes it.
"""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from deep_infomax.runtime.regular import open_to_write, own_folder, require_regular, still_there, try_lock

_PARTIAL: Final = ".partial"


def expanded(path: str | Path) -> Path:
    """A path with the home of a user in the place of ``~``; as it is where nobody has that name, as shells take it."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write in the block, which takes its place at the end; on an error nothing changes.

    Raises:
        ValueError: Something else than a regular file is in its place.
        OSError: It cannot be written; ``filename`` is the path.
    """
    require_regular(path)
    _remove_leftovers(path)
    partial = None
    try:
        partial, file = _new_partial(path)
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            partial.replace(path)
    except OSError as error:
        if error.filename in (None, str(partial)):
            error.filename = str(path)
        raise
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


@contextmanager
def written_by_name(path: Path) -> Iterator[Path]:
    """As `written_whole`, for a library that opens files itself: a name in a folder that nobody else has."""
    require_regular(path)
    with tempfile.TemporaryDirectory(suffix=_PARTIAL, prefix=_prefix(path), dir=path.parent) as folder:
        partial = Path(folder) / path.name
        yield partial
        descriptor = open_to_write(partial, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all."""
    with written_whole(path) as file:
        file.write(text.encode())


def save_arrays(path: Path, **arrays: Any) -> None:
    """Write arrays by name into one ``.npz`` file, making its folder."""
    own_folder(path.parent)
    with written_whole(path) as file:
        np.savez_compressed(file, **arrays)


def save_figure(path: Path, figure: Any, **options: Any) -> None:
    """Write a figure of matplotlib in the format that the file's ending names."""
    with written_whole(path) as file:
        figure.savefig(file, format=path.suffix.removeprefix(".").lower(), **options)


def open_appended(path: Path) -> BinaryIO:
    """A file to append to.

    Raises:
        ValueError: Something else than a regular file is in its place, or it has a second name.
    """
    descriptor = open_to_write(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    if os.fstat(descriptor).st_nlink > 1:
        os.close(descriptor)
        raise ValueError(f"{path} has a second name (a hard link), whose content would change; put a copy in its place")
    return os.fdopen(descriptor, "ab")


def check_output(path: Path) -> None:
    """See to it that a file can be written, before the work that it is to hold.

    Raises:
        ValueError: A folder, a link or a device is in its place, or its own folder is missing or cannot be written.
    """
    try:
        if path.is_dir():
            raise ValueError(f"{path} is a folder; name a file to write, such as {path / 'Y.npy'}")
        require_regular(path)
        if not path.parent.is_dir():
            raise ValueError(f"cannot write {path}: there is no folder {path.parent}; create it first")
        partial, file = _new_partial(path)
        file.close()
        partial.unlink()
    except OSError as error:
        raise ValueError(f"cannot write {path} ({error.strerror}); name another file or folder") from error


def remove_partial(folder: Path) -> None:
    """Remove all that is not whole, in a folder in which nobody else writes."""
    for left in folder.glob(f"*{_PARTIAL}"):
        if left.is_dir() and not left.is_symlink():
            for file in left.iterdir():
                file.unlink()
            left.rmdir()
        else:
            left.unlink()


def _prefix(path: Path) -> str:
    """How the names of a file begin that is not whole; no longer than a name may be."""
    return f".{os.fsdecode(os.fsencode(path.name)[:200])}."


def _new_partial(path: Path) -> tuple[Path, BinaryIO]:
    while True:
        partial = path.with_name(f"{_prefix(path)}{secrets.token_hex(8)}{_PARTIAL}")
        file = os.fdopen(open_to_write(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL), "wb")
        if try_lock(file.fileno()) is not False and still_there(partial, file.fileno()):
            return partial, file
        file.close()  # another writer took it for a leftover


def _remove_leftovers(path: Path) -> None:
    """Remove what killed writers of the same file left: that on which nobody has a lock."""
    with suppress(OSError), os.scandir(path.parent) as entries:
        left = [entry.name for entry in entries if entry.name.startswith(_prefix(path))]
        for partial in (path.with_name(name) for name in left if name.endswith(_PARTIAL)):
            with suppress(OSError, ValueError):
                descriptor = open_to_write(partial, os.O_RDWR)
                try:
                    if try_lock(descriptor):
                        partial.unlink()
                finally:
                    os.close(descriptor)
