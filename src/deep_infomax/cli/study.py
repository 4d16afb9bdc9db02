"""``dim study``: the studies of `deep_infomax.experiments.studies`, printed as a table and drawn."""

from typing import Any

from rich.table import Table

from deep_infomax.cli.series import series_fields
from deep_infomax.cli.tables import print_table
from deep_infomax.experiments import studies
from deep_infomax.experiments.studies import LAYER, Study
from deep_infomax.report import point_text, spread_of
from deep_infomax.runtime.progress import NOTES


def negatives(**given: Any) -> None:
    """Show how Y depends on the number of negatives."""
    _show(studies.negatives(**series_fields(**given)))


def weights(**given: Any) -> None:
    """Show how Y depends on the weights of the objective."""
    _show(studies.weights(**series_fields(**given)))


def beta(**given: Any) -> None:
    """Show how Y depends on the weight of a beta-VAE's divergence."""
    _show(studies.beta(**series_fields(**given)))


def _show(found: Study) -> None:
    """Print what a study found at each setting, and draw it."""
    page = found.report()
    _print_points(found)
    NOTES.print(f"figure: {found.drawing}; points: {found.folder / 'study.json'}; report: {page}")


def _print_points(found: Study) -> None:
    table = Table(title=f"{found.kind}: {LAYER}, {spread_of(found.points)}", title_justify="left")
    protocols = list(found.points[0].values)
    for heading in (*found.points[0].setting, *protocols):
        table.add_column(heading, justify="right")
    for point in found.points:
        figures = (point_text(point.values[protocol]) for protocol in protocols)
        setting = (f"{value:g}" if isinstance(value, float) else str(value) for value in point.setting.values())
        table.add_row(*setting, *figures)
    print_table(table)
