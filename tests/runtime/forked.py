"""Processes forked from one that has loaded PyTorch and this package already: begun in a moment, not in seconds."""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import multiprocessing

multiprocessing.set_forkserver_preload(
    [
        "pytest", "psutil", "submitit", "matplotlib", "sklearn.linear_model", "sklearn.neighbors", "torch._dynamo",
        "torch.distributed.run", "deep_infomax.baselines", "deep_infomax.cli.compare", "deep_infomax.cli.training",
        "deep_infomax.experiments.slurm",
    ]
)  # fmt: skip


class Forked:
    """A function called in a process of its own, with the face of `subprocess.Popen`.

    Args:
        work: What is called, with ``given``; what it returns is the exit code.
        out: What it prints is appended to this file.
        err: What it prints to standard error is appended to this one (none: to that of the tests).
        environment: Variables beside those of this process.
    """

    def __init__(
        self,
        work: Callable[..., int | None],
        *given: Any,
        out: Path,
        err: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        variables = dict(os.environ) | dict(environment or {})
        self._err = err
        self._process = context.Process(target=_call, args=(work, given, out, err, variables))
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)
        self._process.join()

    def said(self) -> str:
        """What it has printed to standard error until now."""
        return self._err.read_text() if self._err is not None and self._err.exists() else ""

    def end(self) -> str:
        """Wait until it has ended; what it said."""
        self._process.join()
        return self.said()


def wait_for(condition: Callable[[], object], *processes: Forked) -> None:
    """Wait until something is so, as long as the processes that bring it about are there."""
    while not condition():
        for process in processes:
            assert process.poll() is None, process.said()
        time.sleep(0.02)


def _call(
    work: Callable[..., int | None], given: tuple[Any, ...], out: Path, err: Path | None, variables: dict[str, str]
) -> None:
    for stream, path in ((sys.stdout, out), (sys.stderr, err)):
        if path is not None:
            stream.flush()
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(file, stream.fileno())
            os.close(file)
    os.environ.clear()
    os.environ.update(variables)
    os.setsid()
    torch.set_num_threads(1)
    sys.exit(work(*given))
