"""What estimates of all kinds have around them: folds, a device, progress, interrupts, random numbers of their own."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final

import numpy as np
import torch

from deep_infomax.mutual_information.critics.fitting import Watch
from deep_infomax.runtime.allocator import keep_freed_memory
from deep_infomax.runtime.interrupt import stop_requests
from deep_infomax.runtime.progress import Progress, progress_bars
from deep_infomax.runtime.random_numbers import own_random_numbers

Array = np.ndarray
_TRAINED: Final = 0.8
"""Share of its time that a training may take, the rest being left to the readout."""


@contextmanager
def running(
    progress: bool | Progress, seed: int, device: torch.device
) -> Iterator[tuple[Progress, Callable[[], bool]]]:
    """Whom to tell of progress, and whether to stop; torch's random state is the caller's again afterwards."""
    keep_freed_memory()
    with ExitStack() as context:
        if progress is True:
            progress = context.enter_context(progress_bars())
        tell: Progress = progress if callable(progress) else lambda task, done, total: None
        stop = context.enter_context(stop_requests(signal.SIGINT))  # SIGTERM ends a script as ever
        context.enter_context(own_random_numbers(seed, device))
        yield tell, lambda: stop.requested


def watches_of(tell: Progress, stopped: Callable[[], bool], time_budget: float | None, parts: int) -> list[Watch]:
    """A watch for each of several trainings, which share the time between them."""
    began = time.monotonic()

    def report(number: int, share: float) -> None:
        tell("fitting critics", round(1000 * (number + share)), 1000 * parts)

    ends = [
        math.inf if time_budget is None else began + time_budget * (number + _TRAINED) / parts
        for number in range(parts)
    ]
    return [Watch(stopped, partial(report, number), end) for number, end in enumerate(ends)]
