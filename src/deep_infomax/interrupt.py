"""Turn signals into a request that a loop answers between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self.requested = False
        self.lasting = False
        """Whether SIGTERM is caught even after the context has ended."""

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Answer a signal: the first asks, the second interrupts at once."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


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
