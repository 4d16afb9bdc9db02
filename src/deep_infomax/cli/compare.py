"""``dim compare``: several methods trained, evaluated and shown side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from deep_infomax.cli.tables import print_results, print_table
from deep_infomax.experiments.series import Measured, Plan, carry_out, changed, require_seeds
from deep_infomax.experiments.titles import titles
from deep_infomax.report import Cell, comparison, methods, read_runs, write_report
from deep_infomax.runtime.progress import NOTES


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
    jobs: int,
    data_options: Mapping[str, Any] | None = None,
) -> None:
    """Train and evaluate every recipe with every seed, print the means side by side and write the report."""
    folder = Path(out or f"runs/compare-{Path(data.removeprefix('hub:')).stem}")
    changes = {"training": {"epochs": epochs, "batch_size": batch_size}, "data_options": data_options or {}}
    plans = [  # all recipes with the first seed, then with the next
        Plan(recipe, seed, folder / f"{recipe}-{seed}", changed(recipe, changes), data, probe)
        for seed in require_seeds(seeds)
        for recipe in dict.fromkeys(recipes.split(","))
    ]
    carry_out(plans, Measured(metrics.split(","), None if layers is None else layers.split(",")), jobs, print_results)
    show(folder, [plan.run for plan in plans])


def show(folder: Path, runs: Sequence[Path]) -> None:
    """Print what was measured of runs, the means over seeds side by side, and write the report into a folder."""
    page = write_report(runs, folder / "report.html", titles())
    found = read_runs(runs)
    rows = methods(found)
    for measure, layers in comparison(found)[0]:
        variant = "" if measure.variant == "default" else f" ({measure.variant})"
        unit = f", in {measure.unit}" if measure.unit else ""
        table = Table(title=f"{measure.protocol}{variant} on {measure.split}{unit}", title_justify="left")
        for heading in ("method", "epochs", "time", *layers):
            table.add_column(heading, justify="right" if heading in layers else "left")
        for row in rows:
            cells = [row.cells.get((measure, layer)) for layer in layers]
            table.add_row(row.name, row.epochs, row.time, *("" if cell is None else _text(cell) for cell in cells))
        print_table(table)
    if any(cell.paper is not None for row in rows for cell in row.cells.values()):
        NOTES.print(
            "in brackets: the paper's figure of the same method, after a training of its length on all training inputs"
        )
    NOTES.print(f"report: {page}")


def _text(cell: Cell) -> str:
    paper = "" if cell.paper is None else f" ({cell.paper.value})"
    return f"{cell.value} {cell.spread}".strip() + paper
