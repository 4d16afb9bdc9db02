"""Turn signals into a request that a loop answers between two steps."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

ECHO_SECONDS: Final = 1.0
"""So long after a signal another one is the same wish: a launcher, or a cluster's scheduler, passes it on once more."""


class StopRequest:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self._asked: float | None = None
        self.lasting = False
        """Whether SIGTERM is caught even after the context has ended."""

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._asked is not None

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Answer a signal: the first asks, one that comes later than its echo interrupts at once."""
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
        elif now - self._asked >= ECHO_SECONDS:
            raise KeyboardInterrupt


@contextmanager
def stop_requests(*signals: signal.Signals) -> Iterator[StopRequest]:
    """Catch signals, such as SIGINT, while the context lasts; outside the main thread nothing is caught."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.signal(number, request) for number in signals}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            if not (request.lasting and number is signal.SIGTERM):
                signal.signal(number, handler)
