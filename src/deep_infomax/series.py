"""Several trainings of one command: trained and evaluated alike, kept in one folder, continued where it stopped."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from deep_infomax import commands
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import METRICS, Result, read_results
from deep_infomax.recipes import RECIPES, Config
from deep_infomax.run_directory import plain, read_config
from deep_infomax.training import InterruptedTrainingError


class Plan(NamedTuple):
    """One training of a series."""

    recipe: str
    seed: int
    run: Path
    config: Config


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
    plans: Sequence[Plan], data: str, probe: str | None, metrics: Sequence[str], layers: Sequence[str] | None
) -> list[list[Result]]:
    """Train and evaluate what is missing; the results of every plan.

    Finished trainings and figures of the same protocol are kept; a training that was interrupted goes on from its
    checkpoint. The spread of a series is that over trainings, so each is measured with one seed.

    Raises:
        ValueError: a metric is unknown, or a run that is there was trained with other settings.
        InterruptedTrainingError: an interrupt arrived; the same command continues.
    """
    if unknown := [name for name in metrics if name not in METRICS]:
        raise ValueError(f"unknown metric {unknown[0]!r}; known are {', '.join(METRICS)}")
    begun = [plan for plan in plans if (plan.run / "config.yaml").exists()]
    for plan in begun:
        _check_same(plan, data, probe)
    for number, plan in enumerate(plans, 1):
        commands.NOTES.print(f"{number} of {len(plans)}: {plan.run.name}")
        try:
            _train(plan, data, probe, resuming=plan in begun)
            _evaluate(plan, metrics, layers)
        except (InterruptedTrainingError, KeyboardInterrupt) as error:
            said = f"{error}; or" if str(error) else "interrupted;"
            raise InterruptedTrainingError(f"{said} give the same command again to continue with all") from error
    return [read_results(plan.run / "evaluation.json") for plan in plans]


def _check_same(plan: Plan, data: str, probe: str | None) -> None:
    found = read_config(plan.run)
    wanted = {"recipe": plan.recipe, "seed": plan.seed, "data": data, "probe": probe, **plain(plan.config)}
    if different := [key for key, value in wanted.items() if found[key] != value]:
        raise ValueError(
            f"{plan.run} was trained with other settings ({', '.join(different)}); choose another --out or move it away"
        )


def _train(plan: Plan, data: str, probe: str | None, *, resuming: bool) -> None:
    if (plan.run / "encoder.safetensors").is_file():
        return
    if resuming:
        commands.resume(plan.run, plan.config)
        return
    commands.train(
        recipe=plan.recipe,
        data=data,
        config=plan.config,
        seed=plan.seed,
        probe=probe,
        out=str(plan.run),
        command=shlex.join(_command(plan, data, probe)),
    )


def _command(plan: Plan, data: str, probe: str | None) -> Iterable[str]:
    """The command that trains the same alone."""
    yield from ("dim", "train", "--recipe", plan.recipe, "--data", data, "--seed", str(plan.seed))
    if probe is not None:
        yield from ("--probe", probe)
    recipe = plain(RECIPES[plan.recipe])
    for group, values in plain(plan.config).items():
        for name, value in values.items():
            if value != recipe[group][name]:
                yield from (f"--{group}.{name}", str(value))


def _evaluate(plan: Plan, metrics: Sequence[str], layers: Sequence[str] | None) -> None:
    known = {(result.protocol, result.layer) for result in read_results(plan.run / "evaluation.json")}
    every = Encoder.from_pretrained(plan.run).layers
    missing = [
        name
        for name in metrics
        if {(METRICS[name].protocol, layer) for layer in layers or METRICS[name].layers or every} - known
    ]
    if missing:
        commands.evaluate(
            run=str(plan.run),
            probe=None,
            metrics=",".join(missing),
            layers=None if layers is None else ",".join(layers),
            seeds=1,
            json=False,
        )
