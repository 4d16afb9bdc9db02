"""The page: sections of each run, a comparison of several, and the one file they are written to."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from deep_infomax.report import tables
from deep_infomax.report.configuration import Facts, Reads, configuration, whole
from deep_infomax.report.figures import Picture
from deep_infomax.report.images import Thumbnail, decoded_rows, neighbour_rows
from deep_infomax.report.published import EPOCHS, SUPERVISED, data_key, said_of_fc
from deep_infomax.report.reading import find_runs, read_runs
from deep_infomax.report.rendering import template
from deep_infomax.report.run_map import map_of
from deep_infomax.report.runs import RecordedRun
from deep_infomax.report.training_figures import (
    bound_names,
    bound_pictures,
    health_pictures,
    learning_pictures,
    speed_picture,
    vector_size,
)
from deep_infomax.report.vector_figures import components, histogram
from deep_infomax.report.vector_map import Embedded, embedded
from deep_infomax.report.wording import duration, epochs_text, plain
from deep_infomax.runtime import run_files
from deep_infomax.runtime.files import write_text
from deep_infomax.runtime.names import Titled
from deep_infomax.runtime.regular import require_regular
from deep_infomax.runtime.verdict import FLOORS

# Shared by the runs of a page, so that it stays small and t-SNE stays quick.
_MOST_POINTS: Final = 4000
_MOST_POINTS_OF_A_RUN: Final = 2000
_FEWEST_POINTS_OF_A_RUN: Final = 250
_MOST_PIXELS: Final = 300_000
_MOST_BYTES_OF_A_SHEET: Final = 1_500_000
"""Of thumbnails in full colour."""
_OWN_PROTOCOLS: Final = {
    "mlp": " The probe mlp is trained in a way of its own, mlp-paper in the paper's.",
    "svm": " The paper does not define its support vector machine; svm-paper is what it may have been.",
    "ms_ssim": " The paper leaves open the scales of MS-SSIM and the training of its decoder.",
}
"""What to know of a metric beside the paper's figures."""


class Titles(NamedTuple):
    """What the report calls bounds, metrics and priors; one that is not there is shown by its name.

    ``reads`` says which settings a method reads; of one that is not there, all are shown.
    """

    bounds: Mapping[str, Titled] = MappingProxyType({})
    metrics: Mapping[str, Titled] = MappingProxyType({})
    priors: Mapping[str, Titled] = MappingProxyType({})
    reads: Reads = MappingProxyType({})


_UNTITLED: Final = Titles()


class Tile(NamedTuple):
    """One figure of the overview."""

    name: str
    value: str
    detail: str


@dataclass(frozen=True)
class RunView:
    """What the page shows of one run, section by section; an empty section is explained by the template."""

    run: RecordedRun
    path: str
    """As typed in a shell."""
    labelled: bool
    """Whether there are labels to measure it with, as far as that is known."""
    lede: str
    verdict: list[str]
    """What its evaluation found beside the floors; empty where there are none."""
    status: str
    """What is unfinished; empty where nothing is."""
    collapse: str
    """That Y has collapsed; empty where it has not."""
    tiles: list[Tile]
    layers: list[str]
    rows: list[tables.ResultRow]
    error: str
    """How uncertain accuracies are, whatever the seeds."""
    warnings: list[str]
    """What metrics say of their figures."""
    paper: str
    bounds: list[Picture]
    learning: list[Picture]
    health: list[Picture]
    map: Embedded | None
    representation: list[Picture]
    neighbours: list[tuple[str, str, list[list[Thumbnail]]]]
    """A distance, the layer it is measured in, and rows of images."""
    decoded: list[tuple[str | None, dict[str, list[str]]]]
    """As in `Decoded`, with images as data URIs."""
    configuration: list[Facts]
    """What took effect."""
    settings: str
    """All settings."""


def write_report(runs: Sequence[Path], out: Path | None = None, titles: Titles = _UNTITLED) -> Path:
    """Write one HTML page about run directories, or folders of them; it opens offline and refers to no other file.

    Args:
        runs: run directories, and folders that hold some.
        out: the file to write; ``report.html`` in the first of ``runs`` unless given.
        titles: what bounds, metrics and priors are called (`deep_infomax.experiments.titles`).

    Returns:
        The file written.

    Raises:
        ValueError: there is no run, one cannot be read, or ``out`` is a folder, a link or a device.
    """
    if not runs:
        raise ValueError("no run is given; name at least one run directory")
    target = Path(runs[0]) / run_files.REPORT if out is None else Path(out)
    found = find_runs(runs)
    require_regular(target)
    page = render(read_runs(found), titles)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, page)
    return target


def render(runs: Sequence[RecordedRun], titles: Titles) -> str:
    """The page as text, untrained encoders last."""
    runs = sorted(runs, key=lambda run: run.is_floor)
    several = len(runs) > 1
    columns, rows = tables.comparison(runs) if several else ([], [])
    methods = tables.methods(runs)
    overlaid = [*bound_pictures(runs, titles.bounds), *health_pictures(runs), *speed_picture(runs)] if several else []
    views = [_view(run, len(runs), titles) for run in runs]
    verdicts = (
        [(row.name, said[0]) for row in methods if (said := tables.verdict_of(row.runs, runs))] if several else []
    )
    headings = [": ".join(verdict) for verdict in verdicts] or [view.verdict[0] for view in views if view.verdict]
    return template("report.html").render(
        heading=headings[0] if headings else None,
        verdicts=headings[1:],
        thumbnails={view.map.identifier: view.map.thumbnails for view in views if view.map is not None},
        floor_titles={name: floor.title for name, floor in FLOORS.items()},
        floors=tables.floor_rows(runs) if several else [],
        title=f"{len(runs)} runs compared" if several else f"{runs[0].recipe} on {runs[0].data_name}",
        views=views,
        columns=[(measure, layers, tables.inputs_of(runs, measure)) for measure, layers in columns],
        rows=rows,
        error=tables.errors_of(runs),
        methods=methods if len(methods) < len(runs) else [],
        overlaid=overlaid,
        paper_length=_paper_length(runs),
    )


def _view(run: RecordedRun, n_runs: int, titles: Titles) -> RunView:
    points = max(_FEWEST_POINTS_OF_A_RUN, min(_MOST_POINTS_OF_A_RUN, _MOST_POINTS // n_runs))
    vectors = run.representation
    classes = vectors.classes if vectors is not None else ()
    drawn = None if vectors is None else map_of(vectors, points)
    pictures = () if vectors is None else (components(vectors, points), histogram(vectors, run.prior, titles.priors))
    return RunView(
        run=run,
        path=shlex.quote(str(run.path)),
        labelled=not run.group("dataset") or "classes" in run.group("dataset") or bool(run.config.get("probe")),
        lede=_lede(run),
        verdict=tables.verdict_of([run]),
        status=_status(run),
        collapse=_collapse(run),
        tiles=_tiles(run),
        layers=tables.layers_of(run.results or ()),
        rows=tables.result_rows(run, titles.metrics),
        error=tables.errors_of([run]),
        warnings=[f"{r.protocol} on {r.layer}: {said}." for r in run.results or () for said in r.warnings],
        paper=_paper(run),
        bounds=bound_pictures([run], titles.bounds),
        learning=learning_pictures(run),
        health=health_pictures([run]),
        map=None if drawn is None else embedded(drawn, _MOST_BYTES_OF_A_SHEET),
        representation=list(filter(None, pictures)),
        neighbours=[
            (found.metric, found.layer, neighbour_rows(found, classes, _MOST_PIXELS // n_runs // len(run.neighbours)))
            for found in run.neighbours
        ],
        decoded=[(found.layer, decoded_rows(found)) for found in run.decoded],
        configuration=configuration(run, titles.reads),
        settings=whole(run),
    )


def _lede(run: RecordedRun) -> str:
    environment = run.group("environment")
    what = (
        "An untrained encoder, the floor of every comparison" if run.is_floor else f"Trained by the recipe {run.recipe}"
    )
    where = f" on {environment['device']}" if environment.get("device") else ""
    precision = f" in {environment['precision']}" if environment.get("precision") else ""
    time = duration(run.log.last("seconds"))
    epoch = run.log.last("epoch")
    length = (
        f": {epochs_text(epoch)} epoch{'s' * (epoch != 1)} in {time}{where}{precision}"
        if epoch is not None and time
        else ""
    )
    reason = "Y had collapsed" if _stopped_by_collapse(run) else "a callback stopped it"
    stopped = f", where {reason}" if run.log.stopped_early else ""
    return f"{what} on {run.data_name}, seed {run.config.get('seed', 'unknown')}{length}{stopped}."


def _stopped_by_collapse(run: RecordedRun) -> bool:
    return bool(run.group("training").get("stop_on_collapse")) and run.log.collapsed_since is not None


def _collapse(run: RecordedRun) -> str:
    """What to know of a Y that uses almost no directions; empty where it is well."""
    since, rank = run.log.collapsed_since, run.log.last("vector_rank")
    if since is None or rank is None:
        return ""
    size = vector_size(run)
    return f"Y uses {rank:.1f}{f' of {size}' if size else ''} directions since epoch {since:g}: it has collapsed."


def _status(run: RecordedRun) -> str:
    if run.log.finished:
        return ""
    resume = f"unless it is still running, continue it with: dim train --resume {shlex.quote(str(run.path))}"
    epoch, planned = run.log.last("epoch"), run.group("training").get("epochs")
    if epoch is None:
        return f"Nothing is logged yet; {resume}"
    end = f"epoch {epochs_text(epoch)}" + (f" of {plain(planned)}" if planned else "")
    return f"This run is unfinished: its log ends at {end}; {resume}"


def _tiles(run: RecordedRun) -> list[Tile]:
    log, size = run.log, vector_size(run)
    tiles = []
    told = bool(tables.verdict_of([run]))  # in the title, and in the sentences below it
    for row in tables.result_rows(run):
        if told and row.measure.unit == "%":
            continue
        if (cell := row.cells.get("Y")) is not None and row.measure.metric in ("linear", "mlp", "svm", "knn"):
            detail = ", ".join(filter(None, [cell.spread, f"{row.n} inputs"]))
            tiles.append(Tile(f"{row.measure.name} probe on Y", f"{cell.value} {row.measure.unit}", detail))
        elif cell is not None and row.measure.metric == "bound":
            name = f"{row.measure.variant} bound on {row.measure.split} inputs"
            tiles.append(Tile(name, f"{cell.value} nats", cell.ceiling or "no ceiling"))
    for name in bound_names(run):
        value, ceiling = log.last(f"{name}_bound"), log.last(f"{name}_ceiling")
        if value is not None:
            limit = "no ceiling" if ceiling is None else f"of at most {ceiling:.2f}"
            tiles.append(Tile(f"{name} bound on training pairs, at the end", f"{value:.2f} nats", limit))
    if (capacity := log.last("noise_ceiling")) is not None:
        tiles.append(Tile("information that passes the noise", f"{capacity:.1f} nats", "at most"))
    if (rank := log.last("vector_rank")) is not None:
        tiles.append(Tile("effective rank of Y", f"{rank:.1f}", f"of {size} units" if size else ""))
    if (dead := log.last("dead_units")) is not None:
        tiles.append(Tile("dead units", f"{dead:.0f}", f"of {size}" if size else ""))
    if len(speeds := log.train.get("images_per_second", np.empty(0))) and np.isfinite(speeds).any():
        tiles.append(Tile("speed", f"{np.nanmedian(speeds):,.0f}", "inputs per second (median)"))
    return tiles


def _paper(run: RecordedRun) -> str:
    """What a reader has to know about the paper's figures beside a run's; empty where there are none."""
    shown = [
        (row.measure.metric, layer, cell.paper)
        for row in tables.result_rows(run)
        for layer, cell in row.cells.items()
        if cell.paper is not None
    ]
    if not shown:
        return ""
    metrics, layers, figures = zip(*shown, strict=True)
    key = data_key(run.data_name)
    rows = ", ".join(dict.fromkeys(f"row {figure.method} of Table {figure.table}" for figure in figures))
    trained = f"after {EPOCHS[key]:,} epochs" if key in EPOCHS else "after a training of unstated length"
    epoch = run.log.last("epoch")
    here = "" if epoch is None else f", this run after {epochs_text(epoch)}"
    form = " All other settings are the paper's, or chosen where it leaves them open."
    form += "".join(text for metric, text in _OWN_PROTOCOLS.items() if metric in metrics)
    form += f" {fc}" if (fc := said_of_fc(layers)) else ""
    form += " A figure with ? is doubtful: it repeats another row's." * any(figure.doubtful for figure in figures)
    encoding = run.probe_data.get("encoding")
    copy = "" if not encoding else f" The copy of the data read here: {encoding}."
    return (
        f"Paper: Hjelm et al., 2019 (arXiv 1808.06670), {rows}, {trained}{here}.{form}{copy} "
        f"The paper's fully supervised network reaches {SUPERVISED[key]} %."
    )


def _paper_length(runs: Sequence[RecordedRun]) -> str:
    """How long the paper's figures of a comparison were trained; empty where there are none."""
    keys = dict.fromkeys(data_key(run.data_name) for run in runs if _paper(run))
    lengths = [
        f"{EPOCHS[key]:,} epochs (fully supervised: {SUPERVISED[key]} %)" if key in EPOCHS else "an unstated length"
        for key in keys
    ]
    return ", ".join(lengths)
