"""Signals as a request: the first asks, its echo is nothing new, a later one insists."""

import signal
import time

import pytest

from deep_infomax.runtime.interrupt import ECHO_SECONDS, stop_requests


def test_only_a_signal_later_than_the_echo_of_the_first_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with stop_requests(signal.SIGINT, signal.SIGTERM) as stop:
        assert not stop.requested
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested
        now += 0.9 * ECHO_SECONDS
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        now += 0.1 * ECHO_SECONDS + 1e-6
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
