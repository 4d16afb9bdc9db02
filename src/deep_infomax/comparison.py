"""``dim compare``: several methods trained, evaluated and reported alike, continued where it stopped."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table

from deep_infomax import commands
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import METRICS, read_results
from deep_infomax.recipes import RECIPES, Config
from deep_infomax.run_directory import plain, read_config
from deep_infomax.training import InterruptedTrainingError

if TYPE_CHECKING:  # drawing takes a second to load, which no training needs
    from deep_infomax.report import Cell


class _Plan(NamedTuple):
    """One run of a comparison."""

    recipe: str
    seed: int
    run: Path
    config: Config


def compare(
    *,
    recipes: str,
    data: str,
    probe: str | None,
    epochs: float | None,
    batch_size: int | None,
    seeds: int,
    metrics: str,
    layers: str | None,
    out: str | None,
    data_options: Mapping[str, Any] | None = None,
) -> None:
    """Train and evaluate every recipe with every seed, print the means side by side and write the report.

    What is there already is kept: finished trainings, and figures of the same protocol. A training that was interrupted
    goes on from its checkpoint.
    """
    folder = Path(out or f"runs/compare-{Path(data.removeprefix('hub:')).stem}")
    given = {name: value for name, value in (("epochs", epochs), ("batch_size", batch_size)) if value is not None}
    changes = {"training": given, "data_options": data_options or {}}
    plans = _plans(recipes.split(","), changes, seeds, folder)
    wanted = metrics.split(",")
    if unknown := [name for name in wanted if name not in METRICS]:
        raise ValueError(f"unknown metric {unknown[0]!r}; known are {', '.join(METRICS)}")
    begun = [plan for plan in plans if (plan.run / "config.yaml").exists()]
    for plan in begun:
        _check_same(plan, data, probe)
    for number, plan in enumerate(plans, 1):
        commands.NOTES.print(f"{number} of {len(plans)}: {plan.recipe}, seed {plan.seed}")
        try:
            _train(plan, data, probe, resuming=plan in begun)
            _evaluate(plan, wanted, layers)
        except (InterruptedTrainingError, KeyboardInterrupt) as error:
            said = f"{error}; or" if str(error) else "interrupted;"
            raise InterruptedTrainingError(f"{said} give the same dim compare again") from error
    _report(folder, [plan.run for plan in plans])


def _plans(recipes: Sequence[str], changes: Mapping[str, Mapping[str, Any]], seeds: int, folder: Path) -> list[_Plan]:
    """The runs, all recipes with the first seed, then with the next; ``changes`` apply to every recipe."""
    if unknown := [name for name in recipes if name not in RECIPES]:
        raise ValueError(f"--recipes names {unknown[0]!r}, which is unknown; known are {', '.join(RECIPES)}")
    if seeds < 1:
        raise ValueError(f"--seeds is {seeds}; give 1 or more")
    plans = []
    for seed in range(seeds):
        for recipe in dict.fromkeys(recipes):
            config = RECIPES[recipe]
            groups = {group: replace(getattr(config, group), **values) for group, values in changes.items()}
            plans.append(_Plan(recipe, seed, folder / f"{recipe}-{seed}", replace(config, **groups)))
    return plans


def _check_same(plan: _Plan, data: str, probe: str | None) -> None:
    """See to it that a run that is there is the one that is wanted."""
    found = read_config(plan.run)
    wanted = {"recipe": plan.recipe, "seed": plan.seed, "data": data, "probe": probe, **plain(plan.config)}
    if different := [key for key, value in wanted.items() if found[key] != value]:
        raise ValueError(
            f"{plan.run} was trained with other settings ({', '.join(different)}); choose another --out or move it away"
        )


def _train(plan: _Plan, data: str, probe: str | None, *, resuming: bool) -> None:
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


def _command(plan: _Plan, data: str, probe: str | None) -> list[str]:
    """The command that trains the same without a comparison."""
    flags = ["--data", data, "--seed", str(plan.seed)] + (["--probe", probe] if probe is not None else [])
    recipe, ours = plain(RECIPES[plan.recipe]), plain(plan.config)
    for group, values in ours.items():
        for name, value in values.items():
            if value != recipe[group][name]:
                flags += [f"--{group}.{name}", str(value)]
    return ["dim", "train", "--recipe", plan.recipe, *flags]


def _evaluate(plan: _Plan, metrics: Sequence[str], layers: str | None) -> None:
    """Measure what is not known yet; the spread of a comparison is that over trainings, so one seed is enough."""
    known = {(result.protocol, result.layer) for result in read_results(plan.run / "evaluation.json")}
    every = Encoder.from_pretrained(plan.run).layers
    chosen = None if layers is None else layers.split(",")
    missing = [
        name
        for name in metrics
        if {(METRICS[name].protocol, layer) for layer in chosen or METRICS[name].layers or every} - known
    ]
    if missing:
        commands.evaluate(run=str(plan.run), probe=None, metrics=",".join(missing), layers=layers, seeds=1, json=False)


def _report(folder: Path, runs: Sequence[Path]) -> None:
    from deep_infomax.report import comparison, methods, read_runs, write_report

    page = write_report(runs, folder / "report.html")
    found = read_runs(runs)
    rows = methods(found)
    for measure, layers in comparison(found)[0]:
        unit = f", in {measure.unit}" if measure.unit else ""
        variant = "" if measure.variant == "default" else f" ({measure.variant})"
        table = Table(title=f"{measure.protocol}{variant} on {measure.split}{unit}", title_justify="left")
        for heading in ("method", "epochs", "time", *layers):
            table.add_column(heading, justify="right" if heading in layers else "left")
        for row in rows:
            cells = [row.cells.get((measure, layer)) for layer in layers]
            table.add_row(row.recipe, row.epochs, row.time, *("" if cell is None else _text(cell) for cell in cells))
        Console(soft_wrap=True, markup=False).print(table)
    commands.NOTES.print("in brackets: the paper's figure of the same method, after a training of its length")
    commands.NOTES.print(f"report: {page}")


def _text(cell: "Cell") -> str:
    paper = "" if cell.paper is None else f" ({cell.paper.value})"
    return f"{cell.value} {cell.spread}".strip() + paper
