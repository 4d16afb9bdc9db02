"""How far a long computation has come, told to whoever wants to know."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from deep_infomax.runtime.terminal import PlainConsole, printable

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def unseen(task: str, done: int, total: int) -> None:
    """Tell nobody."""


NOTES: Final = PlainConsole(stderr=True, soft_wrap=True)
"""Where whatever a long work has to say goes, so that standard output holds results alone."""

_LINE_SECONDS: Final = 15.0


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Progress on standard error: a bar for each task on a terminal; elsewhere a line when one ends, and now and then.

    Speed and time left are those of the task so far.
    """
    console = PlainConsole(stderr=True, soft_wrap=True)
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Bars(*columns, console=console) as bars:
        started = {}

        def show(task: str, done: int, total: int) -> None:
            if task not in started:
                started[task] = bars.add_task(printable(task), total=total, rate="")
            bars.update(started[task], completed=done)
            if (speed := bars.tasks[started[task]].speed) is not None:
                bars.update(started[task], rate=_rate(speed))

        yield show


class _Lines:
    """Progress as lines of a log."""

    def __init__(self, console: PlainConsole) -> None:
        self._console = console
        self._began: dict[str, float] = {}
        self._last = time.monotonic()

    def __call__(self, task: str, done: int, total: int) -> None:
        now = time.monotonic()
        began = self._began.setdefault(task, now)
        if done == total:
            self._console.print(f"{task}: {total:,} done")
        elif done and now - self._last > _LINE_SECONDS and now > began:
            speed = done / (now - began)
            self._console.print(f"{task}: {done:,} of {total:,}, {_rate(speed)}, {(total - done) / speed:,.0f} s left")
        else:
            return
        self._last = now


def _rate(speed: float) -> str:
    """As many a second, or the seconds of one."""
    return f"{speed:,.0f}/s" if speed >= 1 else f"{1 / max(speed, 1e-9):,.0f} s each"
