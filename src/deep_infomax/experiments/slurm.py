"""The tasks of a series as jobs of a Slurm cluster, through submitit.

Shortly before a job's time is up, or when it is preempted, it writes a checkpoint, and Slurm queues it again; it goes
on by itself, whether or not the command that submitted it still waits. Which job carries out a task is kept beside its
run, so that the same command finds it.

submitit pickles what a job calls, and what it returns, into the folder of the series, and reads it there. Whoever can
write into that folder can therefore run programs in your name, as with your own source code.
"""

import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta

from deep_infomax.experiments.launchers import Job, Launcher, waiting_signals
from deep_infomax.experiments.task import Outcome, Task
from deep_infomax.runtime.files import open_appended, write_text
from deep_infomax.runtime.progress import NOTES
from deep_infomax.runtime.records import read_json
from deep_infomax.runtime.terminal import printable

if TYPE_CHECKING:
    import submitit

_PARTS: Final = 1000
"""A job is queued again after its time was up so often at most; each part leaves a checkpoint."""


@dataclass(frozen=True)
class SlurmOptions:
    """What each training of a series asks a cluster for, under the names of ``sbatch``."""

    partition: str | None = None
    """Where jobs are queued (none: the cluster's default)."""
    account: str | None = None
    """Which account pays (none: yours)."""
    qos: str | None = None
    """Quality of service (none: the cluster's default)."""
    time: int = 240
    """Minutes of a job; a longer training goes on in a further one."""
    gpus_per_node: int | None = None
    """1 for a training on a GPU, which uses no more than that (none: the cluster's default)."""
    cpus_per_task: int | None = None
    """Processor cores of each training (none: the cluster's default)."""
    mem: str | None = None
    """Main memory of each training, such as 16GB (none: the cluster's default)."""

    def __post_init__(self) -> None:
        """Check what Slurm would take.

        Raises:
            ValueError: a job would have no time, or more GPUs than it uses.
        """
        if self.time < 5:
            raise ValueError(f"`slurm.time` is {self.time}; give minutes, at least 5")
        if self.gpus_per_node not in (None, 0, 1):
            raise ValueError(f"`slurm.gpus_per_node` is {self.gpus_per_node}; a training of a series uses one, give 1")


def on_slurm(folder: Path, options: SlurmOptions) -> "Slurm":
    """A launcher for the cluster of this machine.

    Args:
        folder: Where submitit keeps its files; all machines of the cluster have to see it.
        options: What each training asks for.

    Raises:
        ValueError: submitit is not installed, or this machine has no Slurm.
    """
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise ValueError('Slurm is reached through submitit; install it: pip install "deep-infomax[slurm]"') from error
    if submitit.SlurmExecutor.affinity() < 0:
        raise ValueError("there is no Slurm here (srun is not found); run this on a login node of the cluster")
    executor = submitit.SlurmExecutor(folder, max_num_timeout=_PARTS)
    asked = {name: value for name, value in asdict(options).items() if value is not None}
    executor.update_parameters(**asked, nodes=1, ntasks_per_node=1, wckey=None)
    return Slurm(executor)


class Slurm(Launcher):
    """Carries out each task as a job of a cluster, which does not end with the command that submits it.

    Args:
        executor: Where jobs are submitted: submitit's executor for Slurm, or its local one.
    """

    poll_seconds = 1.0

    def __init__(self, executor: "submitit.core.core.PicklingExecutor") -> None:
        self.signals = waiting_signals()
        self._executor = executor
        self._jobs = list[_SubmittedJob]()

    def start(self, task: Task) -> Job:
        """Submit a job, unless one that carries out the task has not ended yet.

        Raises:
            ValueError: Slurm does not take the job.
        """
        if (job := self._found(task)) is not None:
            NOTES.print(
                f"{task.name} is job {job.job_id} already, which goes on ({job.state}); if Slurm does not know it any "
                f"more, remove {task.job_file}"
            )
        else:
            job = self._submitted(task)
            NOTES.print(f"{task.name} is job {job.job_id}; log {task.log}")
        self._jobs.append(_SubmittedJob(task, job))
        return self._jobs[-1]

    def leave(self) -> None:
        """Let the jobs go on, and say how they are found again or stopped."""
        if ids := [job.id for job in self._jobs if job.outcome() is None]:
            NOTES.print(f"what is in the cluster goes on; to stop it: scancel {' '.join(ids)}")

    def _found(self, task: Task) -> "submitit.Job[Outcome] | None":
        if not task.job_file.exists():
            return None
        job = self._executor.job_class(self._executor.folder, read_submitted(task.job_file))
        return None if job.done(force_check=True) else job

    def _submitted(self, task: Task) -> "submitit.Job[Outcome]":
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        self._executor.update_parameters(job_name=f"dim-{task.name}")
        try:
            job = self._executor.submit(InJob(task))
        except (FailedJobError, FailedSubmissionError) as error:
            raise ValueError(f"Slurm does not take {task.name}: {str(error).strip()}") from error
        write_text(task.job_file, json.dumps({"job": job.job_id}))
        return job


@dataclass(frozen=True)
class _Submitted:
    """What the file of a job says."""

    job: Annotated[str, Meta(pattern=r"\A[0-9]+(_[0-9]+)?\Z")]
    """Its number; submitit's files of it are found, and unpickled, by it."""


def read_submitted(path: Path) -> str:
    """The number of the job that a file names.

    Raises:
        ValueError: it names none.
    """
    return read_json(path, _Submitted, "remove it once its job has ended").job


class _SubmittedJob(Job):
    def __init__(self, task: Task, job: "submitit.Job[Outcome]") -> None:
        super().__init__(task)
        self.id = job.job_id
        self._job = job
        self._outcome: Outcome | None = None

    def outcome(self) -> Outcome | None:
        if self._outcome is None and self._job.done():
            self._outcome = self._ended()
            self.task.job_file.unlink(missing_ok=True)
        return self._outcome

    def _ended(self) -> Outcome:
        from submitit.core.utils import FailedJobError, UncompletedJobError

        try:
            return self._job.result()
        except (FailedJobError, UncompletedJobError):
            state, logs = self._job.state, f"{self.task.log} and {self._job.paths.stderr}"
            if state.startswith("CANCELLED"):
                return Outcome("interrupted", f"job {self.id} was cancelled")
            return Outcome("failed", f"job {self.id} ended without a result (state {state}), see {logs}")


class InJob:
    """What a job calls: it carries out a task, and is called again where the job is queued again."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._queue_again = False

    def __call__(self) -> Outcome:
        """Carry out the task, with a log beside its run."""
        with open_appended(self._task.log) as log:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
                os.dup2(log.fileno(), stream.fileno())
        import submitit

        time_is_up = getattr(signal, f"SIG{submitit.JobEnvironment.USR_SIG}")
        queue_again: Any = signal.getsignal(time_is_up)  # as submitit does it
        signal.signal(time_is_up, self._interrupt)
        signal.signal(signal.SIGTERM, self._interrupt)
        outcome = self._task.carry_out()
        print(printable(outcome.line), file=sys.stderr, flush=True)
        if outcome.ending == "interrupted":
            while not self._queue_again:  # Slurm, which asked for an end, ends it for good or queues it again by itself
                with suppress(KeyboardInterrupt):
                    time.sleep(1)
            queue_again(time_is_up, None)
        return outcome

    def checkpoint(self) -> "submitit.helpers.DelayedSubmission":
        """What submitit calls when the job begins again: the same, as all progress is in the run directory."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(InJob(self._task))

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """As an interrupt from a terminal: a training writes a checkpoint, an evaluation keeps what is measured."""
        self._queue_again |= number != signal.SIGTERM
        signal.raise_signal(signal.SIGINT)
