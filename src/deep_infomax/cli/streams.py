"""Standard output and standard error that take every result: in any encoding, until nobody reads on."""

import codecs
import io
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

CLOSED: Final = 141
"""The exit code of a command that SIGPIPE ends in a shell: 128 and its number."""
_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("─━", "-"), **dict.fromkeys("│┃", "|"), **dict.fromkeys("┌┐└┘├┤┬┴┼┏┓┗┛┡┩╇╈┳┻╋", "+"),
        "±": "+-", "…": "...", "≥": ">=", "≤": "<=",
    }
)  # fmt: skip
"""What stands for characters that an encoding lacks."""


def checked_streams(work: Callable[[], int]) -> int:
    """The exit code of a work that prints; 141, and no word, where a pipe that it prints to is closed."""
    _open_missing()
    lenient = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, io.TextIOWrapper)]
    errors, code = {stream: stream.errors for stream in lenient}, 0
    try:
        for stream in lenient:
            stream.reconfigure(errors="deep_infomax")
        code = work()
        for stream in lenient:
            stream.flush()
        return code
    except BrokenPipeError:
        return CLOSED
    except OSError:  # of a stream: the work answers its own
        return code or 1
    finally:
        for stream, before in errors.items():
            try:
                stream.reconfigure(errors=before or "strict")
            except OSError:  # what is left to print cannot be; the interpreter would try once more, and complain
                with suppress(OSError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def nobody_reads() -> bool:
    """Whether what is printed goes into a pipe that its reader has closed."""
    if not hasattr(select, "poll"):
        return True
    poller = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # no file of the system
            poller.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poller.poll(0))


def _open_missing() -> None:
    """Let what was closed before the start lead nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Letters for characters that cannot be encoded; a question mark where there are none."""
    assert isinstance(error, UnicodeEncodeError)
    wanted = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(letter if letter.isascii() else "?" for letter in wanted), error.end


codecs.register_error("deep_infomax", _replaced)
