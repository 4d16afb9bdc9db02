"""What SIGINT and SIGTERM do to ``dim``: one line and exit code 130, from its first moment to its last."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

INTERRUPTED: Final = 130


class Interrupts:
    """The handler of both signals."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._working = False

    def work_begins(self) -> None:
        """From now on a signal raises `KeyboardInterrupt`; before, there is nothing to lose, and it ends the process.

        An exception out of a half-loaded library would reach the user as an error of that library.
        """
        self._working = True

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Answer a signal."""
        if os.getpid() != self._process:  # a process that a library forked
            os._exit(128 + number)
        if self._working:
            raise KeyboardInterrupt
        if os.environ.get("RANK", "0") == "0":
            with suppress(OSError):
                os.write(2, b"dim: interrupted\n")
        os._exit(INTERRUPTED)


@contextmanager
def answered_interrupts(*, to_the_end: bool) -> Iterator[Interrupts]:
    """Answer signals in the block; what ignores them, as in the background of a shell, goes on ignoring them.

    Args:
        to_the_end: Whether the process ends after the block; SIGINT is ignored then, as all is done.
    """
    interrupts = Interrupts()
    previous = {}
    with suppress(ValueError):  # outside the main thread there are no signals
        for number in (signal.SIGINT, signal.SIGTERM):
            if (before := signal.getsignal(number)) is not signal.SIG_IGN:
                previous[number] = before
                signal.signal(number, interrupts)
    try:
        yield interrupts
    finally:
        for number, before in previous.items():
            if to_the_end and number == signal.SIGINT:
                signal.signal(number, signal.SIG_IGN)
            elif signal.getsignal(number) is interrupts:
                signal.signal(number, before)
