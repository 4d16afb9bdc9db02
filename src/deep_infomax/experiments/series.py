"""Several trainings, trained and evaluated alike, kept in one folder, continued where they stopped."""

import shlex
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from deep_infomax import evaluation
from deep_infomax.data import DataOptions, load_dataset
from deep_infomax.evaluation import Result
from deep_infomax.experiments.data import check_probe, check_whole, load_probe, trained_on
from deep_infomax.experiments.launchers import InThisProcess, Job, Launcher, Processes
from deep_infomax.experiments.run_directory import read_settings
from deep_infomax.experiments.scorers import bounded
from deep_infomax.experiments.settings import configure, recipe_named
from deep_infomax.experiments.slurm import SlurmOptions, on_slurm
from deep_infomax.experiments.task import Measured, Outcome, Plan, Task
from deep_infomax.recipes import Config, build_encoder, build_objective
from deep_infomax.runtime import run_files
from deep_infomax.runtime.interrupt import stop_requests
from deep_infomax.runtime.locks import locked
from deep_infomax.runtime.progress import NOTES
from deep_infomax.runtime.regular import require_regular
from deep_infomax.runtime.values import MOST_SEEDS, require_count, unknown
from deep_infomax.training import InterruptedTrainingError

_AGAIN: Final = "give the same command again to continue with all"


class FailedTrainingError(Exception):
    """Trainings of a series ended with errors that were not foreseen; what is done is kept."""


class Setting(NamedTuple):
    """What one entry of a series trains."""

    recipe: str
    objective: Mapping[str, Any] = MappingProxyType({})
    """Changes of the recipe's objective, by name."""
    encoder: Mapping[str, Any] = MappingProxyType({})
    """Changes of its encoder."""
    training: Mapping[str, Any] = MappingProxyType({})
    """Changes of its training, which go before those of the series."""


class Measurement(NamedTuple):
    """What was measured of one training of a series."""

    name: str
    """Of its setting: in a comparison, the recipe."""
    seed: int
    run: Path
    results: list[Result]


def _unseen(run: Path, results: list[Result]) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Series:
    """What several trainings have in common, and how they are carried out; None leaves what the kind of series says."""

    data: str = "digits"
    """What they learn from, as for `dim train`."""
    probe: str | None = None
    """Labelled data that they are measured on; None: the same."""
    epochs: float | None = None
    """Of every training; None: each recipe's own, or what the study says."""
    seeds: int | None = None
    """Trainings of every setting, with the seeds 0, 1, and so on."""
    metrics: Sequence[str] | None = None
    """Names of `deep_infomax.evaluation.METRICS`."""
    out: str | Path | None = None
    """The folder of all runs; None: ``runs/KIND-DATA``."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Changes of every recipe's `TrainingConfig`, by name."""
    data_options: Mapping[str, Any] = field(default_factory=dict)
    """Changes of how the data are read (`DataOptions`), by name."""
    jobs: int | None = None
    """Trainings at a time; None: 1 on this machine, all on a cluster."""
    launcher: str | Launcher = "local"
    """Where they are carried out: local, slurm, or a launcher of your own."""
    slurm: SlurmOptions | None = None
    """What each training asks a cluster for."""
    show: Callable[[Path, list[Result]], None] = _unseen
    """Called with a run directory and what was measured of it, as soon as it was."""

    def folder(self, kind: str) -> Path:
        """Where a series of such a kind is kept."""
        return Path(self.out or f"runs/{kind}-{Path(self.data.removeprefix('hub:')).stem}")

    def config(self, setting: Setting) -> Config:
        """The configuration of a setting.

        Raises:
            ValueError: the recipe or a setting is unknown, or a value is impossible.
        """
        epochs = {} if self.epochs is None else {"epochs": self.epochs}
        groups = {
            "training": {**epochs, **self.training, **setting.training}, "objective": setting.objective,
            "encoder": setting.encoder, "data_options": self.data_options,
        }  # fmt: skip
        return configure(recipe_named(setting.recipe), groups)

    def measure(
        self, kind: str, settings: Mapping[str, Setting], layers: Sequence[str] | None = None, floors: bool = False
    ) -> list[Measurement]:
        """Train and measure every setting, by name, with every seed: all with the first, then with the next.

        What costs nothing is measured as well if ``floors`` says so.

        Raises:
            ValueError, InterruptedTrainingError, FailedTrainingError: as `carry_out`.
        """
        seeds = self.seeds or 0
        require_count("seeds", seeds, MOST_SEEDS)
        if not settings:
            raise ValueError(f"there is nothing to train for {kind}; name at least one")
        folder = self.folder(kind)
        for name in (run_files.REPORT, run_files.STUDY, f"{kind}.png"):  # what is written when all is done
            require_regular(folder / name)
        configs = {name: self.config(setting) for name, setting in settings.items()}
        named = [(name, seed) for seed in range(seeds) for name in settings]
        plans = [
            Plan(settings[name].recipe, seed, folder / f"{name}-{seed}", configs[name], self.data, self.probe)
            for name, seed in named
        ]
        measured = Measured(self.metrics or (), layers, floors)
        found = carry_out(plans, measured, self._launcher(folder), self.jobs, self.show)
        return [
            Measurement(name, seed, plan.run, results)
            for (name, seed), plan, results in zip(named, plans, found, strict=True)
        ]

    def _launcher(self, folder: Path) -> Launcher | None:
        """What carries the trainings out, where it is not this machine."""
        if isinstance(self.launcher, Launcher):
            return self.launcher
        if self.launcher == "slurm":
            return on_slurm(folder / "slurm", self.slurm or SlurmOptions())
        if self.launcher != "local":
            raise unknown("launcher", self.launcher, ("local", "slurm"))
        if self.slurm is not None:
            raise ValueError("`slurm` asks a cluster for something, and `launcher` is local; give `launcher` slurm")
        return None


def carry_out(
    plans: Sequence[Plan],
    measured: Measured,
    launcher: Launcher | None = None,
    jobs: int | None = None,
    show: Callable[[Path, list[Result]], None] = _unseen,
) -> list[list[Result]]:
    """Train and evaluate what is missing; the results of every plan, on the data that it is probed with.

    Finished trainings and figures of the same protocol are kept; a training that was interrupted goes on from its
    checkpoint. Where one fails, the others go on.

    Args:
        plans: What is trained; the data are the same in all, and recipes may read them in ways of their own.
        measured: What is measured.
        launcher: Where it is done. None: in this process, or for several jobs in processes with equal shares of the
            processor's threads, each of which keeps a log beside its run.
        jobs: Trainings at a time; None: 1 on this machine, as many as there are with another launcher.
        show: Called with a run directory and what was measured of it, as soon as it was.

    Raises:
        ValueError: something cannot be trained or measured, most of which shows before the first training; a run
            that is there was trained with other settings; or another process trains into the same folder.
        InterruptedTrainingError: an interrupt arrived; the same command continues.
        FailedTrainingError: all is done but what failed.
    """
    if jobs is not None:
        require_count("jobs", jobs)
    folder = plans[0].run.parent
    with ExitStack() as alone:
        if folder.is_dir():
            alone.enter_context(_lock(folder))
        _check_same(plans)
        described = check_series(
            plans[0].data, plans[0].probe, [plan.config for plan in plans], measured.metrics, measured.layers
        )
        folder.mkdir(parents=True, exist_ok=True)  # nothing is made before all is checked
        alone.enter_context(_lock(folder))
        _check_same(plans)  # where it was not there, another series may have begun in between
        tasks = [
            Task(plan, measured._replace(floors=measured.floors and number == 0), described[plan.config.data_options])
            for number, plan in enumerate(plans)
        ]
        return _carry_out(tasks, launcher, jobs, show)


def _lock(folder: Path) -> AbstractContextManager[None]:
    return locked(folder / run_files.LOCK, f"{folder} is trained into")


def _carry_out(
    tasks: Sequence[Task],
    launcher: Launcher | None,
    jobs: int | None,
    show: Callable[[Path, list[Result]], None],
) -> list[list[Result]]:
    todo = [task for task in tasks if not task.trained or task.missing()]
    if launcher is None:
        _require_no_job(todo)
    # As many threads for each when the same command continues, so that trainings resume to identical weights.
    here: Launcher = InThisProcess() if jobs in (None, 1) else Processes(min(jobs, len(tasks)))
    failures = _launch(todo, launcher or here, jobs or (len(tasks) if launcher else 1), show)
    if failures:
        raise _summary(failures, len(tasks), tasks[0].plan.run.parent)
    return [task.results() for task in tasks]


def _require_no_job(todo: Sequence[Task]) -> None:
    """Refuse what a job of a cluster may be carrying out."""
    for task in todo:
        if task.job_file.exists():
            raise ValueError(
                f"{task.name} was given to a cluster, whose job may still run; give `launcher` slurm as before, "
                f"or cancel the job and remove {task.job_file}"
            )


def _launch(
    todo: Sequence[Task], launcher: Launcher, jobs: int, show: Callable[[Path, list[Result]], None]
) -> list[tuple[Task, Outcome]]:
    """Do what is left, so many at a time, and return what did not end well."""
    waiting, running, failures = deque(todo), list[Job](), list[tuple[Task, Outcome]]()
    began, ended = time.monotonic(), 0
    with stop_requests(*launcher.signals) as stop:
        try:
            while waiting or running:
                while waiting and len(running) < jobs and not stop.requested:
                    NOTES.print(f"{len(todo) - len(waiting) + 1} of {len(todo)}: {waiting[0].name}")
                    running.append(launcher.start(waiting.popleft()))
                for job in tuple(running):
                    if (outcome := job.outcome()) is None:
                        continue
                    running.remove(job)
                    ended += 1
                    if outcome.ending == "done":
                        show(job.task.plan.run, [r for r in job.task.results() if r.metric in outcome.metrics])
                        said = f"done: {job.task.name}"
                    else:
                        failures.append((job.task, outcome))
                        said = f"failed: {job.task.name}: {outcome.words}"
                    left = (time.monotonic() - began) / ended * (len(todo) - ended) / 60
                    NOTES.print(f"{ended} of {len(todo)} {said}; {left:.0f} min left")
                if stop.requested:
                    raise InterruptedTrainingError
                if running:
                    time.sleep(launcher.poll_seconds)
        except (InterruptedTrainingError, KeyboardInterrupt) as error:
            raise InterruptedTrainingError(
                f"{error}; or {_AGAIN}" if str(error) else f"interrupted; {_AGAIN}"
            ) from error
        finally:
            launcher.leave()
    return failures


def _summary(failures: Sequence[tuple[Task, Outcome]], plans: int, folder: Path) -> Exception:
    """What is raised where some of the plans did not end well."""
    said = "; ".join(f"{task.name}: {outcome.words}" for task, outcome in failures)
    if done := plans - len(failures):
        said += f"; {done} of {plans} are done, see them with: dim report {shlex.quote(str(folder))}"
    endings = {outcome.ending for _, outcome in failures}
    if "interrupted" in endings:
        return InterruptedTrainingError(f"{said}; {_AGAIN}")
    return ValueError(said) if endings == {"wrong"} else FailedTrainingError(said)


def check_series(
    data: str, probe: str | None, configs: Sequence[Config], metrics: Sequence[str], layers: Sequence[str] | None
) -> dict[DataOptions, dict[str, str | int]]:
    """Let what a series cannot be trained on or measured by show before its first training.

    Returns:
        What describes the data that it is measured on, as each of its configurations reads them.

    Raises:
        ValueError: as the trainings or the evaluation would, later.
    """
    described = {}
    for options in dict.fromkeys(config.data_options for config in configs):
        dataset = load_dataset(data, options)
        probed = dataset
        if probe is not None:
            probed = load_probe(probe, data, options)
            check_probe(probed, dataset)
        channels, *spatial = dataset.trained_shape
        for config in dict.fromkeys(config for config in configs if config.data_options == options):
            encoder = build_encoder(config, channels, tuple(spatial))
            check_whole(config, encoder, dataset)
            source = trained_on(config, dataset)
            encoder.missing = source.missing  # as a training sets it
            build_objective(config.objective, encoder, source)
            evaluation.check(encoder, probed, metrics, layers, bounded(config, encoder, metrics))
        described[options] = probed.description
    return described


def _check_same(plans: Sequence[Plan]) -> None:
    """Refuse runs that were trained with other settings."""
    for plan in plans:
        if not (plan.run / run_files.CONFIG).exists():
            continue
        found, wanted = read_settings(plan.run).content(), plan.settings.content()
        if different := [key for key, value in wanted.items() if key != "command" and found[key] != value]:
            raise ValueError(
                f"{plan.run} was trained with other settings ({', '.join(different)}); "
                "choose another `out` or move it away"
            )
