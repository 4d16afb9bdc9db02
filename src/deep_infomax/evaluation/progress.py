"""How far an evaluation has come, told to whoever wants to know."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Progress on standard error: a bar for each task on a terminal, elsewhere a line for each that is finished."""
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    if not console.is_terminal:
        yield lambda task, done, total: console.print(f"{task}: {total:,} done") if done == total else None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console) as bars:
        started = {}

        def show(task: str, done: int, total: int) -> None:
            if task not in started:
                started[task] = bars.add_task(task, total=total)
            bars.update(started[task], completed=done)

        yield show
