"""One training of a series and its evaluation: what is wanted, what is left of it to do, and how doing it ended.

A task holds values only, so that it can be carried out anywhere: in this process, in another one, on a cluster.
"""

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import METRICS, Metric, Result, own_layers, read_results
from deep_infomax.experiments import train
from deep_infomax.experiments.evaluate import evaluate
from deep_infomax.experiments.run_directory import Settings, plain
from deep_infomax.recipes import RECIPES, Config
from deep_infomax.runtime import run_files
from deep_infomax.runtime.allocator import out_of_memory
from deep_infomax.runtime.progress import NOTES
from deep_infomax.runtime.regular import no_room
from deep_infomax.training import (
    InterruptedTrainingError,
    LostProcessError,
    NonFiniteLossError,
    WriteError,
    keep_freed_memory,
)


class Plan(NamedTuple):
    """One training of a series."""

    recipe: str
    seed: int
    run: Path
    config: Config
    data: str
    probe: str | None

    @property
    def settings(self) -> Settings:
        """What the run is told, with the command that trains the same alone."""
        command = shlex.join(["dim", *_training_arguments(self)])
        return Settings(self.recipe, command, self.seed, self.data, self.probe, self.config)


class Measured(NamedTuple):
    """What is measured of every training of a series, with one seed: the spread of a series is over trainings."""

    metrics: Sequence[str]
    layers: Sequence[str] | None
    floors: bool = False
    """Whether what costs nothing is measured as well: of one training of a series, as it is the same in all."""


class Outcome(NamedTuple):
    """How a task ended."""

    ending: Literal["done", "wrong", "failed", "interrupted"]
    """``wrong``: an input or a setting cannot be used; ``failed``: all else that went wrong."""
    words: str = ""
    """What the error said."""
    metrics: Sequence[str] = ()
    """What was measured."""

    @property
    def line(self) -> str:
        """The last line of a log."""
        return f"{self.ending}: {self.words}" if self.words else self.ending


class Task(NamedTuple):
    """A plan and what is to be measured of it; what is left of it to do is read from its run directory."""

    plan: Plan
    measured: Measured
    described: Mapping[str, str | int]
    """The data that it is measured on."""

    @property
    def name(self) -> str:
        """The name of the run directory."""
        return self.plan.run.name

    @property
    def trained(self) -> bool:
        """Whether the training ended; the last file it writes is there."""
        return (self.plan.run / run_files.ENCODER).is_file()

    @property
    def begun(self) -> bool:
        """Whether the training began."""
        return (self.plan.run / run_files.CONFIG).exists()

    @property
    def log(self) -> Path:
        """What a process or a job of its own has to say, beside the run."""
        return self.plan.run.with_name(f"{self.name}.log")

    @property
    def job_file(self) -> Path:
        """Which job of a cluster carries it out, beside the run; there until somebody was told how it ended."""
        return self.plan.run.with_name(f"{self.name}.job.json")

    def missing(self) -> list[str]:
        """The metrics whose figures the trained encoder has not got yet, of all variants."""
        known = {(result.protocol, result.variant, result.layer) for result in self.results()}
        layers = Encoder.from_pretrained(self.plan.run).layers
        own = own_layers(self.measured.layers or ())
        wanted = {name: own or METRICS[name].layers or layers for name in self.measured.metrics}
        return [name for name, its_layers in wanted.items() if not _there(METRICS[name], its_layers, known)]

    def results(self) -> list[Result]:
        """The figures of the run on the data that it is measured on."""
        return read_results(self.plan.run / run_files.EVALUATION, self.described)

    def carry_out(self) -> Outcome:
        """Train what is not trained and measure what is missing; errors become an outcome."""
        keep_freed_memory()
        try:
            if not self.trained:
                self._train()
            missing = self.missing()
            if missing:
                evaluate(
                    self.plan.run, metrics=missing, layers=self.measured.layers, seeds=1, floors=self.measured.floors
                )
        except (InterruptedTrainingError, KeyboardInterrupt) as error:
            return Outcome("interrupted", str(error) or "interrupted")
        except Exception as error:  # whatever it is, the others go on
            wrong = _wrong_input(error)
            if not (wrong or isinstance(error, _FORESEEN) or out_of_memory(error)):
                NOTES.print_exception()
            return Outcome("wrong" if wrong else "failed", str(error) or type(error).__name__)
        return Outcome("done", metrics=missing)

    def _train(self) -> None:
        if self.begun:
            train.resume(self.plan.run)
        else:
            train.begin(self.plan.run, self.plan.settings)


def _there(metric: Metric, layers: Sequence[str], known: Collection[tuple[str, str, str]]) -> bool:
    """Whether all figures of a metric are known; which variants an objective has shows when it is read."""
    if metric.objective:
        return any(protocol == metric.protocol for protocol, _, _ in known)
    wanted = ((metric.protocol, variant, layer) for layer in layers for variant in ("default", *metric.variants))
    return all(figure in known for figure in wanted)


_FORESEEN = (NonFiniteLossError, WriteError, LostProcessError)


def _wrong_input(error: Exception) -> bool:
    """Whether the remedy is another input; a file that cannot be read is one, a full disk is not."""
    return isinstance(error, ValueError | OSError) and not (isinstance(error, OSError) and no_room(error))


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
