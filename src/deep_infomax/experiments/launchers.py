"""Where the tasks of a series are carried out: in this process, or in several of this machine.

A launcher starts tasks and gives a job for each, which is asked now and then whether it has ended; `Slurm`, in
`deep_infomax.experiments.slurm`, does the same on a cluster. joblib and `concurrent.futures` are no such executors:
their workers can neither be asked one by one to write a checkpoint and stop, nor keep a log of each training.
"""

import math
import os
import pickle
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress

import torch

from deep_infomax.data.batches import JOBS
from deep_infomax.experiments.task import Outcome, Task
from deep_infomax.runtime.files import open_appended
from deep_infomax.runtime.interrupt import ECHO_SECONDS
from deep_infomax.runtime.progress import NOTES
from deep_infomax.runtime.records import from_json, typed
from deep_infomax.training import InterruptedTrainingError


class Job(ABC):
    """A task that was started."""

    def __init__(self, task: Task) -> None:
        self.task = task

    @abstractmethod
    def outcome(self) -> Outcome | None:
        """How the task ended; None while it has not."""


class Launcher(ABC):
    """Starts tasks."""

    signals: Sequence[signal.Signals] = ()
    """What interrupts a series between two looks at its jobs; a training in this process answers for itself."""
    poll_seconds: float = 0.0
    """Time between two looks."""

    @abstractmethod
    def start(self, task: Task) -> Job:
        """Start a task, or find the job that already carries it out.

        Raises:
            ValueError: it cannot be started.
            InterruptedTrainingError: it was carried out here, and interrupted.
        """

    @abstractmethod
    def leave(self) -> None:
        """Settle what becomes of the jobs that have not ended, as nobody looks at them any more."""


class InThisProcess(Launcher):
    """Carries out each task at once, with progress on standard error."""

    def start(self, task: Task) -> Job:
        """Carry out a task."""
        outcome = task.carry_out()
        if outcome.ending == "interrupted":
            raise InterruptedTrainingError(outcome.words)
        return _Ended(task, outcome)

    def leave(self) -> None:
        """Nothing is left."""


class _Ended(Job):
    def __init__(self, task: Task, outcome: Outcome) -> None:
        super().__init__(task)
        self._outcome = outcome

    def outcome(self) -> Outcome:
        return self._outcome


class Processes(Launcher):
    """Carries out each task in a process that an interrupt of the terminal does not reach.

    Of several GPUs each process sees one, that with the fewest others on it.

    Args:
        jobs: How many share the processor's threads, or as many GPUs as there are.
    """

    poll_seconds = 0.1

    def __init__(self, jobs: int) -> None:
        self.signals = waiting_signals()
        self._gpus = _gpus()
        threads, sharing = max(1, torch.get_num_threads() // jobs), math.ceil(jobs / max(1, len(self._gpus)))
        self._environment = os.environ | {"OMP_NUM_THREADS": str(threads), JOBS: str(sharing)}
        self._jobs = list[_Process]()

    def start(self, task: Task) -> Job:
        """Start a process, whose log is beside its run."""
        busy = [job.gpu for job in self._jobs if job.outcome() is None]
        gpu = min(self._gpus, key=busy.count) if self._gpus else None
        seen = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        task.log.parent.mkdir(parents=True, exist_ok=True)
        with open_appended(task.log) as file:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "deep_infomax.experiments.worker", str(task.plan.run)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file,
                env=self._environment | seen, start_new_session=True,
            )  # fmt: skip
        self._jobs.append(_Process(task, process, gpu))
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin:  # one that is gone already shows when it is asked
            process.stdin.write(pickle.dumps(task))
        return self._jobs[-1]

    def leave(self) -> None:
        """Ask the processes to stop, and wait until they have; a second interrupt asks them to hurry."""
        if not self._stop():
            return
        echo = time.monotonic() + ECHO_SECONDS + self.poll_seconds  # what comes before tells them nothing new
        NOTES.print("stopping; the trainings that are under way write a checkpoint")
        try:
            self._wait()
        except KeyboardInterrupt:
            time.sleep(max(0.0, echo - time.monotonic()))
            self._stop()
            self._wait()

    def _stop(self) -> bool:
        """Ask all that are running; whether there are any."""
        running = [job for job in self._jobs if job.outcome() is None]
        for job in running:
            job.interrupt()
        return bool(running)

    def _wait(self) -> None:
        while any(job.outcome() is None for job in self._jobs):
            time.sleep(self.poll_seconds)


class _Process(Job):
    def __init__(self, task: Task, process: subprocess.Popen[bytes], gpu: str | None) -> None:
        super().__init__(task)
        self.gpu = gpu
        self._process = process
        self._outcome: Outcome | None = None

    def outcome(self) -> Outcome | None:
        if self._outcome is None and (code := self._process.poll()) is not None:
            assert self._process.stdout is not None
            with self._process.stdout as pipe:
                said = pipe.read()
            try:
                self._outcome = typed(from_json(said), Outcome)
            except ValueError:  # it was killed before it had said all
                self._outcome = Outcome("failed", f"ended with exit code {code}, see {self.task.log}")
        return self._outcome

    def interrupt(self) -> None:
        """Ask it to write a checkpoint and end; asked once more, it ends at once."""
        self._process.send_signal(signal.SIGINT)


def _gpus() -> list[str]:
    """The GPUs of this machine, as CUDA names them."""
    count, visible = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[:count] if visible else [str(number) for number in range(count)]


def waiting_signals() -> list[signal.Signals]:
    """What interrupts a series that waits; SIGHUP, too, unless it is ignored, as under nohup."""
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    return signals
