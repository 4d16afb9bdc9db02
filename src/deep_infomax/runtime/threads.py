"""Work of small tensors, several pieces of it at a time: one thread of the machine's for each."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")


def side_by_side(pieces: Iterator[Callable[[], T]], at_once: int) -> list[T]:
    """Results of pieces of work in their order, so many computed at a time, which share torch's threads.

    A piece is asked for, in this thread, when one of those before it is done. PyTorch leaves the interpreter to others
    while it computes, so threads are enough. After an error no more are asked for, and it is raised when those that run
    have ended.

    >>> side_by_side(iter([lambda: 1, lambda: 2, lambda: 3]), 2)
    [1, 2, 3]
    """
    if at_once == 1:
        return [piece() for piece in pieces]
    futures: list[Future[T]] = []
    with _threads_each(at_once), ThreadPoolExecutor(at_once) as pool:
        running: set[Future[T]] = set()
        for piece in pieces:
            futures.append(pool.submit(piece))
            running.add(futures[-1])
            if len(running) == at_once:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                if any(future.exception() for future in done):
                    break
    return [future.result() for future in futures]


@contextmanager
def _threads_each(at_once: int) -> Iterator[None]:
    """Leave each piece its share of torch's threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // at_once))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
