"""Locks between processes, kept by the system, so that one ends with its process, also by SIGKILL.

A lock is `flock` on a file that holds its process number and is removed with the lock. It holds between machines where
their common file system passes it on, as NFS does on Linux. Where a file system, or Windows, knows no such lock, a note
says that nothing keeps others out.
"""

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

from deep_infomax.runtime import run_files
from deep_infomax.runtime.progress import NOTES
from deep_infomax.runtime.regular import open_to_write, still_there, try_lock

_POLL_SECONDS: Final = 0.02
_HOLDER: Final = re.compile(rb"([0-9]+) ([A-Za-z0-9_.-]+)\n")


class LockedError(ValueError):
    """Another process has a lock."""


class _Held:
    """The descriptors of this process's locks, by file and the thread that took it."""

    def __init__(self) -> None:
        self.descriptors: dict[tuple[Path, int], int] = {}
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.let_go)

    def let_go(self) -> None:
        """Leave the locks to the process that this one was forked from."""
        for descriptor in self.descriptors.values():
            os.close(descriptor)
        self.descriptors.clear()


_HELD: Final = _Held()


@contextmanager
def locked(file: Path, said: str, *, shared: bool = False, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock during the block; within a block of the same thread that holds it, nothing happens.

    Args:
        file: What is locked; made and removed here, in a folder that exists.
        said: What another process that has the lock is doing, in a sentence that ends before "by process 12".
        shared: Others may have it, too, if they share it.
        patience: Seconds to wait for it.

    Raises:
        LockedError: Another process has it; its number is named.
    """
    own = file.parent.resolve() / file.name, threading.get_ident()
    if own in _HELD.descriptors:
        yield
        return
    descriptor, kept = _taken(file, said, shared, time.monotonic() + patience)
    if not kept:
        _say_without_locks(file.parent)
    _HELD.descriptors[own] = descriptor
    try:
        yield
    finally:
        del _HELD.descriptors[own]
        with suppress(OSError):
            if not shared or try_lock(descriptor):  # the last of those that shared it
                file.unlink()
        os.close(descriptor)


def training_lock(run: Path) -> AbstractContextManager[None]:
    """Keep other trainings out of a run directory, which is made where it does not exist.

    Raises:
        LockedError: Another one is under way there.
    """
    run.mkdir(parents=True, exist_ok=True)
    return locked(run / run_files.LOCK, f"{run} is being trained")


@cache
def _say_without_locks(folder: Path) -> None:
    NOTES.print(f"{folder} is on a file system without locks: let no second process write there")


def _taken(file: Path, said: str, shared: bool, until: float) -> tuple[int, bool]:
    """An open file with a lock on it, and whether the file system keeps it."""
    while True:
        descriptor = open_to_write(file, os.O_RDWR | os.O_CREAT)
        found = try_lock(descriptor, shared=shared)
        if found is not False and still_there(file, descriptor):
            with suppress(OSError):  # no room for a few bytes
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
            return descriptor, found is True
        holder = _holder(descriptor)
        os.close(descriptor)
        if found is False and time.monotonic() >= until:
            raise LockedError(f"{said} by {holder}; wait until it ends, or stop it")
        time.sleep(_POLL_SECONDS if found is False else 0)


def _holder(descriptor: int) -> str:
    """Who wrote into a lock's file."""
    found = _HOLDER.fullmatch(os.pread(descriptor, 300, 0))
    if found is None:
        return "another process"
    number, host = (part.decode() for part in found.groups())
    return f"process {number}" + (f" on {host}" if host != socket.gethostname() else "")
