"""``dim compare``: several methods trained, evaluated and shown side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from deep_infomax.cli.series import series_fields
from deep_infomax.cli.tables import print_table
from deep_infomax.experiments import comparison
from deep_infomax.report import (
    Cell,
    errors_of,
    floor_rows,
    inputs_of,
    methods,
    read_runs,
    said_of_fc,
    spread_of_trainings,
    verdict_of,
)
from deep_infomax.report import comparison as side_by_side
from deep_infomax.runtime.progress import NOTES


def compare(**given: Any) -> None:
    """Train and evaluate every recipe with every seed, print the means side by side and write the report."""
    compared = comparison.compare(**series_fields(**given))
    print_means([measurement.run for measurement in compared.measurements])
    NOTES.print(f"report: {compared.report()}")


def print_means(runs: Sequence[Path]) -> None:
    """Print what was measured of runs, the means over trainings side by side."""
    found = read_runs(runs)
    rows, floors = methods(found), floor_rows(found)
    for measure, layers in side_by_side(found)[0]:
        variant = "" if measure.variant == "default" else f" ({measure.variant})"
        unit = f", in {measure.unit}" if measure.unit else ""
        table = Table(
            title=f"{measure.protocol}{variant} on {measure.split}{unit}, {inputs_of(found, measure)} inputs",
            title_justify="left",
        )
        for heading in ("method", "epochs", "time", *layers):
            table.add_column(heading, justify="right" if heading in layers else "left")
        for row in rows:
            cells = [row.cells.get((measure, layer)) for layer in layers]
            table.add_row(row.name, row.epochs, row.time, *("" if cell is None else _text(cell) for cell in cells))
        for floor in floors:
            cells = [floor.cells.get((measure, layer)) for layer in layers]
            if any(cells):
                table.add_row(floor.name, "", "", *("" if cell is None else _text(cell) for cell in cells))
        print_table(table, spread_of_trainings(rows, measure), errors_of(found, measure))
    for row in rows:
        for sentence in verdict_of(row.runs, found)[:1]:
            print(f"{row.name}: {sentence}")
    if beside := {layer for row in rows for (_, layer), cell in row.cells.items() if cell.paper is not None}:
        NOTES.print(
            "in brackets: the paper's figure at the same settings, after its own epochs; ? marks a doubtful one"
        )
        if fc := said_of_fc(beside):
            NOTES.print(fc)


def _text(cell: Cell) -> str:
    paper = "" if cell.paper is None else f" ({cell.paper.text})"
    return " ".join(filter(None, (cell.value, cell.spread, cell.ceiling))) + paper
