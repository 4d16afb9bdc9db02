"""Several trainings of one command: trained and evaluated alike, kept in one folder, continued where it stopped."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from deep_infomax import evaluation
from deep_infomax.data import load_dataset
from deep_infomax.data.batches import JOBS
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import METRICS, Result, read_results
from deep_infomax.experiments import train
from deep_infomax.experiments.data import check_probe, load_probe, trained_on
from deep_infomax.experiments.evaluate import evaluate
from deep_infomax.experiments.run_directory import Settings, plain, read_settings
from deep_infomax.recipes import RECIPES, Config, build_encoder, build_objective
from deep_infomax.runtime.allocator import out_of_memory
from deep_infomax.runtime.interrupt import ECHO_SECONDS, stop_requests
from deep_infomax.runtime.progress import NOTES
from deep_infomax.training import InterruptedTrainingError, NonFiniteLossError

_AGAIN: Final = "give the same command again to continue with all"
_POLL_SECONDS: Final = 0.1


class FailedTrainingError(Exception):
    """Trainings of a series ended with errors that were not foreseen; what is done is kept."""


class Plan(NamedTuple):
    """One training of a series."""

    recipe: str
    seed: int
    run: Path
    config: Config
    data: str
    probe: str | None


class Measured(NamedTuple):
    """What is measured of every training of a series, with one seed: the spread of a series is over trainings."""

    metrics: Sequence[str]
    layers: Sequence[str] | None


def changed(recipe: str, changes: Mapping[str, Mapping[str, Any]]) -> Config:
    """A recipe's configuration with other values, by group and name; None leaves the recipe's.

    Raises:
        ValueError: the recipe is unknown, or a value is impossible.
    """
    if recipe not in RECIPES:
        raise ValueError(f"--recipes names {recipe!r}, which is unknown; known are {', '.join(RECIPES)}")
    config = RECIPES[recipe]
    groups = {
        group: replace(getattr(config, group), **{name: value for name, value in values.items() if value is not None})
        for group, values in changes.items()
    }
    return replace(config, **groups)


def require_seeds(seeds: int) -> range:
    """The seeds of a series.

    Raises:
        ValueError: there are none.
    """
    if seeds < 1:
        raise ValueError(f"--seeds is {seeds}; give 1 or more")
    return range(seeds)


def carry_out(
    plans: Sequence[Plan],
    measured: Measured,
    jobs: int = 1,
    show: Callable[[Path, list[Result]], None] = lambda run, results: None,
) -> list[list[Result]]:
    """Train and evaluate what is missing; the results of every plan, on the data that it is probed with.

    Finished trainings and figures of the same protocol are kept; a training that was interrupted goes on from its
    checkpoint. Where one fails, the others go on.

    Args:
        plans: What is trained; the data and how they are read are the same in all.
        measured: What is measured.
        jobs: Trainings at a time. Each of several is a process of its own with its share of the processor's threads,
            and what it has to say is added to a file beside its run.
        show: Called with the results of each run that is measured in this process.

    Raises:
        ValueError: something cannot be trained or measured, most of which shows before the first training; or a run
            that is there was trained with other settings.
        InterruptedTrainingError: an interrupt arrived; the same command continues.
        FailedTrainingError: all is done but what failed.
    """
    if jobs < 1:
        raise ValueError(f"--jobs is {jobs}; give 1 or more")
    for plan in plans:
        if (plan.run / "config.yaml").exists():
            _check_same(plan)
    described = check_series(
        plans[0].data, plans[0].probe, [plan.config for plan in plans], measured.metrics, measured.layers
    )
    every = [_Work(plan, measured, described) for plan in plans]
    todo = [work for work in every if not work.trained or work.missing()]
    # As many threads for each when the same command continues, so that trainings resume to identical weights.
    failures = _one_by_one(todo, show) if jobs == 1 else _several_at_a_time(todo, min(jobs, len(plans)))
    if failures:
        kind = ValueError if all(isinstance(error, ValueError) for error in failures) else FailedTrainingError
        done = len(plans) - len(failures)
        others = f"; {done} of {len(plans)} are done, see them with: dim report {shlex.quote(str(plans[0].run.parent))}"
        raise kind("; ".join(map(str, failures)) + (others if done else ""))
    return [read_results(plan.run / "evaluation.json", described) for plan in plans]


def check_series(
    data: str, probe: str | None, configs: Sequence[Config], metrics: Sequence[str], layers: Sequence[str] | None
) -> dict[str, str | int]:
    """Let what a series cannot be trained on or measured by show before its first training.

    Returns:
        What describes the data that it is measured on.

    Raises:
        ValueError: as the trainings or the evaluation would, later.
    """
    options = configs[0].data_options
    dataset = load_dataset(data, options)
    probed = dataset
    if probe is not None:
        probed = load_probe(probe, data, options)
        check_probe(probed, dataset)
    channels, *spatial = dataset.train.shape
    for config in dict.fromkeys(configs):
        encoder = build_encoder(config, channels, tuple(spatial))
        build_objective(config.objective, encoder, trained_on(config, dataset))
        evaluation.check(encoder, probed, metrics, layers)
    return probed.description


def _check_same(plan: Plan) -> None:
    found, wanted = read_settings(plan.run).content(), _settings(plan).content()
    if different := [key for key, value in wanted.items() if key != "command" and found[key] != value]:
        raise ValueError(
            f"{plan.run} was trained with other settings ({', '.join(different)}); choose another --out or move it away"
        )


class _Work(NamedTuple):
    """A plan and what is to be measured of it; what is left of it to do is read from its run directory."""

    plan: Plan
    measured: Measured
    described: Mapping[str, str | int]
    """The data that it is measured on."""

    @property
    def trained(self) -> bool:
        """Whether the training ended; the last file it writes is there."""
        return (self.plan.run / "encoder.json").is_file()

    @property
    def begun(self) -> bool:
        """Whether the training began."""
        return (self.plan.run / "config.yaml").exists()

    def missing(self) -> list[str]:
        """The metrics whose figures the trained encoder has not got yet, of all variants."""
        known = {
            (result.protocol, result.variant, result.layer)
            for result in read_results(self.plan.run / "evaluation.json", self.described)
        }
        layers = Encoder.from_pretrained(self.plan.run).layers
        wanted = {name: self.measured.layers or METRICS[name].layers or layers for name in self.measured.metrics}
        return [
            name
            for name, its_layers in wanted.items()
            if {
                (METRICS[name].protocol, variant, layer)
                for layer in its_layers
                for variant in ("default", *METRICS[name].variants)
            }
            - known
        ]

    def steps(self) -> Iterator[list[str]]:
        """The commands of ``dim`` that do what is left, each looked for when the one before has ended."""
        if not self.trained:
            yield ["train", "--resume", str(self.plan.run)] if self.begun else _training_arguments(self.plan)
        if missing := self.missing():
            layers = [] if self.measured.layers is None else ["--layers", ",".join(self.measured.layers)]
            yield ["evaluate", str(self.plan.run), "--metrics", ",".join(missing), "--seeds", "1", *layers]


def _training_arguments(plan: Plan) -> list[str]:
    """The arguments of ``dim`` that train the same alone."""
    found = ["train", "--recipe", plan.recipe, "--data", plan.data, "--seed", str(plan.seed), "--out", str(plan.run)]
    if plan.probe is not None:
        found += ["--probe", plan.probe]
    recipe = plain(RECIPES[plan.recipe])
    for group, values in plain(plan.config).items():
        for name, value in values.items():
            if value != recipe[group][name]:
                found += [f"--{group}.{name}", value if isinstance(value, str) else json.dumps(value)]
    return found


def _one_by_one(todo: Sequence[_Work], show: Callable[[Path, list[Result]], None]) -> list[Exception]:
    """Do what is left, and return the errors of what failed."""
    failures = list[Exception]()
    for number, work in enumerate(todo, 1):
        plan = work.plan
        NOTES.print(f"{number} of {len(todo)}: {plan.run.name}")
        try:
            if not work.trained:
                _train(plan, resuming=work.begun)
            if missing := work.missing():
                show(plan.run, evaluate(plan.run, metrics=missing, layers=work.measured.layers, seeds=1))
        except (InterruptedTrainingError, KeyboardInterrupt) as error:
            said = f"{error}; or" if str(error) else "interrupted;"
            raise InterruptedTrainingError(f"{said} {_AGAIN}") from error
        except (ValueError, NonFiniteLossError, RuntimeError, MemoryError) as error:
            kind = ValueError if isinstance(error, ValueError) else FailedTrainingError
            failures.append(kind(f"{plan.run.name}: {str(error) or type(error).__name__}"))
            NOTES.print(f"failed: {failures[-1]}")
            if isinstance(error, RuntimeError) and not out_of_memory(error):
                NOTES.print_exception()
    return failures


def _train(plan: Plan, *, resuming: bool) -> None:
    if resuming:
        train.resume(plan.run)
    else:
        train.begin(plan.run, _settings(plan))


def _settings(plan: Plan) -> Settings:
    command = shlex.join(["dim", *_training_arguments(plan)])
    return Settings(plan.recipe, command, plan.seed, plan.data, plan.probe, plan.config)


def _several_at_a_time(todo: Sequence[_Work], jobs: int) -> list[Exception]:
    """Do what is left in processes, and return the errors of what failed."""
    waiting, running, failures, ended = deque(todo), list[_Job](), list[Exception](), 0
    environment = os.environ | {"OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // jobs)), JOBS: str(jobs)}
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
        signals.append(signal.SIGHUP)
    began = time.monotonic()
    with stop_requests(*signals) as stop:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    running.append(_Job(waiting.popleft(), environment))
                for job in tuple(running):
                    try:
                        if job.goes_on():
                            continue
                        said = f"done: {job.work.plan.run.name}"
                    except (ValueError, FailedTrainingError) as error:
                        failures.append(error)
                        said = f"failed: {error}"
                    running.remove(job)
                    ended += 1
                    left = (time.monotonic() - began) / ended * (len(todo) - ended) / 60
                    NOTES.print(f"{ended} of {len(todo)} {said}; {left:.0f} min left")
                time.sleep(_POLL_SECONDS)
                if stop.requested:
                    raise InterruptedTrainingError(f"interrupted; {_AGAIN}")
        finally:
            _stop([job.process for job in running if job.process is not None])
    return failures


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask processes to stop, and wait until they have; a second interrupt asks them to hurry."""
    for process in processes:
        process.send_signal(signal.SIGINT)
    echo = time.monotonic() + ECHO_SECONDS + _POLL_SECONDS  # what comes before tells them nothing new
    if processes:
        NOTES.print("stopping; the trainings that are under way write a checkpoint")
    try:
        for process in processes:
            process.wait()
    except KeyboardInterrupt:
        time.sleep(max(0.0, echo - time.monotonic()))
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            process.wait()


class _Job:
    """The commands of one plan, one after the other, in processes that an interrupt of the terminal does not reach."""

    def __init__(self, work: _Work, environment: Mapping[str, str]) -> None:
        self.work = work
        self._environment = environment
        self._log = work.plan.run.with_name(f"{work.plan.run.name}.log")
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log.touch()
        self._steps = work.steps()
        self._said_before = 0
        self.process: subprocess.Popen[bytes] | None = None

    def goes_on(self) -> bool:
        """Whether a command is running; where none is, or one has ended well, the next is begun.

        Raises:
            ValueError, InterruptedTrainingError, FailedTrainingError: the command ended with such an error.
        """
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return True
            self.process = None
            if code != 0:
                raise _error(code, self.work.plan.run.name, self._log, self._said_before)
        arguments = next(self._steps, None)
        if arguments is None:
            return False
        self._said_before = self._log.stat().st_size
        with self._log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "deep_infomax.cli", *arguments],
                stdout=file, stderr=file, env=self._environment, start_new_session=True,
            )  # fmt: skip
        return True


def _error(code: int, run: str, log: Path, said_before: int) -> Exception:
    """The error that a command ended with, in its own words where it found some."""
    said = log.read_bytes()[said_before:].decode(errors="replace").splitlines()
    words = next((line.removeprefix("dim: ") for line in reversed(said) if line.startswith("dim: ")), None)
    kinds: dict[int, type[Exception]] = {2: ValueError, 130: InterruptedTrainingError}
    return kinds.get(code, FailedTrainingError)(f"{run}: {words or f'ended with exit code {code}, see {log}'}")
