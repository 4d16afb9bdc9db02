"""The tables of the report: results by layer, the comparison of several runs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any, Final, NamedTuple

from deep_infomax.report.published import (
    SHAPES,
    VECTOR_SIZE,
    PublishedFigure,
    column_of,
    data_key,
    held_out_split,
    measured_split,
    method_of,
    published_figure,
    trained_as_published,
)
from deep_infomax.report.runs import RecordedResult, RecordedRun
from deep_infomax.report.wording import duration, epochs_text, plain
from deep_infomax.runtime.figures import decimals, sampling_error, spread_text
from deep_infomax.runtime.names import Titled
from deep_infomax.runtime.verdict import FLOORS, Figure, verdict

_OF_THE_TRAINING: Final = ("spec", "scaling_rule", "pretraining_rule")
"""What a description of data says of how a training named and used them."""
_UNTITLED: Final[Mapping[str, Titled]] = {}


class Cell(NamedTuple):
    """A result in a table."""

    value: str
    spread: str
    paper: PublishedFigure | None
    best: bool = False
    ceiling: str = ""
    """The largest value that a bound could have."""


class Measure(NamedTuple):
    """What results need to share to be comparable."""

    metric: str
    variant: str
    protocol: str
    split: str
    unit: str

    @property
    def name(self) -> str:
        """The metric, with its variant where it has several."""
        return self.metric if self.variant == "default" else f"{self.metric} ({self.variant})"


class ResultRow(NamedTuple):
    """One measure of one run."""

    measure: Measure
    title: str
    """The metric in words; empty where it has none."""
    cells: dict[str, Cell]
    """By layer."""
    n: str
    seeds: str


class RunRow(NamedTuple):
    """One run of a comparison."""

    run: RecordedRun
    epochs: str
    time: str
    cells: dict[tuple[Measure, str], Cell]


class MethodRow(NamedTuple):
    """The runs of one method with several seeds."""

    name: str
    seeds: str
    epochs: str
    time: str
    """Of all runs together."""
    runs: Sequence[RecordedRun]
    cells: dict[tuple[Measure, str], Cell]


class FloorRow(NamedTuple):
    """Something that costs nothing, beside the runs of a comparison."""

    name: str
    cells: dict[tuple[Measure, str], Cell]
    """In the columns of Y."""


def layers_of(results: Iterable[RecordedResult]) -> list[str]:
    """The layers of some results: Y, what costs nothing beside it, and the other layers as they come."""
    layers = dict.fromkeys(result.layer for result in results)
    return sorted(layers, key=lambda layer: 0 if layer == "Y" else 1 if layer in FLOORS else 2)


def result_rows(run: RecordedRun, metrics: Mapping[str, Titled] = _UNTITLED) -> list[ResultRow]:
    """The results of one run, a row for each measure, with the titles of the metrics that have one."""
    groups: dict[Measure, list[RecordedResult]] = {}
    for result in run.results or ():
        groups.setdefault(_measure(result), []).append(result)
    return [
        ResultRow(
            measure,
            metrics[measure.metric].title if measure.metric in metrics else "",
            {result.layer: _cell(run, result) for result in results},
            _range(result.n for result in results),
            _range(result.seeds for result in results),
        )
        for measure, results in groups.items()
    ]


def comparison(runs: Sequence[RecordedRun]) -> tuple[list[tuple[Measure, list[str]]], list[RunRow]]:
    """The columns (the layers of each measure) and the rows of a table of several runs.

    The highest accuracy of a column is marked where all of its runs were measured on the same data. A floor and a
    ceiling of the comparison compete with nothing.
    """
    measured: dict[Measure, list[RecordedResult]] = {}
    for run in runs:
        for result in run.results or ():
            measured.setdefault(_measure(result), []).append(result)
    columns = [
        (measure, [layer for layer in layers_of(results) if layer not in FLOORS])
        for measure, results in measured.items()
    ]
    best = _best(runs)
    rows = [
        RunRow(
            run,
            _epochs(run),
            duration(run.log.last("seconds")),
            {
                (key := (_measure(result), result.layer)): _cell(
                    run, result, not run.is_reference and best.get(key) == result.value
                )
                for result in run.results or ()
            },
        )
        for run in runs
    ]
    return columns, rows


def floor_rows(runs: Sequence[RecordedRun]) -> list[FloorRow]:
    """What costs nothing, beside the runs of a comparison: where all runs were measured on the same data.

    Components and untrained encoders are those of the first run that has some.
    """
    if len({_measured_on(run) for run in runs if run.results}) > 1:
        return []
    for run in runs:
        found = [result for result in run.results or () if result.layer in FLOORS]
        if found:
            return [
                FloorRow(
                    FLOORS[name].title,
                    {(_measure(result), "Y"): _cell(run, result) for result in found if result.layer == name},
                )
                for name in layers_of(found)
            ]
    return []


def verdict_of(runs: Sequence[RecordedRun], beside: Sequence[RecordedRun] = ()) -> list[str]:
    """What the evaluations of one method found, in sentences, from means over its runs.

    The floors are those of the first run that has some, of these or of others beside them on the same data.
    """
    found: dict[tuple[Measure, str], list[RecordedResult]] = {}
    for run in runs:
        for result in run.results or ():
            if result.unit == "%" and result.layer not in FLOORS:
                found.setdefault((_measure(result), result.layer), []).append(result)
    shown = [replace(r[0], value=fmean(each.value for each in r)) for r in found.values() if len(r) == len(runs)]
    floors = (
        [result for result in run.results or () if result.layer in FLOORS]
        for run in (*runs, *beside)
        if _measured_on(run) == _measured_on(runs[0])
    )
    shown += next(filter(None, floors), [])
    return verdict(Figure(r.metric, r.variant, r.layer, r.value, r.n or 0, r.units) for r in shown)


def methods(runs: Sequence[RecordedRun]) -> list[MethodRow]:
    """One row for the runs that differ in their seed alone: means and standard deviations, beside the paper's figure.

    A figure that not all of them have is left out. Several rows of a recipe are told apart by what differs.
    """
    groups: dict[str, list[RecordedRun]] = {}
    for run in runs:
        groups.setdefault(json.dumps([run.recipe, _settings(run)], sort_keys=True, default=str), []).append(run)
    firsts = [group[0] for group in groups.values()]
    return [_method(_method_name(group[0], firsts), group) for group in groups.values()]


def _settings(run: RecordedRun) -> dict[str, Any]:
    """All that two runs have to share to be repetitions of one training and one evaluation."""
    parts = {name: run.group(name) for name in ("encoder", "objective", "training", "data_options", "dataset")}
    parts["probe"] = dict(run.probe_data)
    return {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}


def _method_name(run: RecordedRun, runs: Sequence[RecordedRun]) -> str:
    """The recipe, with the settings in which other runs of it differ."""
    own, others = _settings(run), [_settings(other) for other in runs if other.recipe == run.recipe]
    different = [name for name, value in own.items() if any(other.get(name) != value for other in others)]
    told = ", ".join(f"{name.split('.')[-1].replace('_', ' ')} {plain(own[name])}" for name in different)
    return f"{run.recipe} ({told})" if told else run.recipe


def _method(name: str, runs: Sequence[RecordedRun]) -> MethodRow:
    found = [{(_measure(result), result.layer): result for result in run.results or ()} for run in runs]
    cells = {}
    for key, first in found[0].items():
        values = [results[key].value for results in found if key in results]
        if len(values) == len(runs):
            spread = stdev(values) if len(values) > 1 else None
            cells[key] = _cell(runs[0], replace(first, value=fmean(values), spread=spread))
    seeds = ", ".join(str(run.config.get("seed")) for run in runs)
    epochs = ", ".join(dict.fromkeys(map(_epochs, runs)))
    return MethodRow(name, seeds, epochs, duration(sum(run.log.last("seconds") or 0 for run in runs)), runs, cells)


def _best(runs: Sequence[RecordedRun]) -> dict[tuple[Measure, str], float]:
    """The highest accuracy of each column where several runs that compete have one, all measured on the same data."""
    found: dict[tuple[Measure, str], list[tuple[str, float]]] = {}
    for run in runs:
        if run.is_reference:
            continue
        data = _measured_on(run)
        for result in run.results or ():
            if result.unit == "%":
                found.setdefault((_measure(result), result.layer), []).append((data, result.value))
    return {
        key: max(value for _, value in values)
        for key, values in found.items()
        if len(values) > 1 and len({data for data, _ in values}) == 1
    }


def inputs_of(runs: Iterable[RecordedRun], measure: Measure) -> str:
    """How many inputs a measure was taken on."""
    return _range(result.n for run in runs for result in run.results or () if _measure(result) == measure)


def errors_of(runs: Iterable[RecordedRun], measure: Measure | None = None) -> str:
    """The standard error of the accuracies of some runs, of one measure or all; empty where there are none."""
    return sampling_error(
        result.n
        for run in runs
        for result in run.results or ()
        if result.unit == "%" and measure in (None, _measure(result))
    )


def spread_of_trainings(rows: Iterable[MethodRow], measure: Measure) -> str:
    """What the spreads in a column of `methods` are over; empty where there are none."""
    spread = any(cell.spread for row in rows for key, cell in row.cells.items() if key[0] == measure)
    return "Mean ± standard deviation over trainings with several seeds." if spread else ""


def _measured_on(run: RecordedRun) -> str:
    """What has to be the same of the data for results to compare: all that describes them but what trainings choose."""
    described = {name: value for name, value in run.probe_data.items() if name not in _OF_THE_TRAINING}
    return json.dumps({"name": probe_name(run)} | described, sort_keys=True)


def probe_name(run: RecordedRun) -> str:
    """The name of the data that the results were measured on."""
    return str(run.probe_data.get("name") or run.data_name)


def method_in_paper(run: RecordedRun) -> str | None:
    """The paper's row for a run; None where the paper has none, or any setting of the training is not the paper's.

    The number of epochs is no such setting, as it is told beside the figure.
    """
    data = data_key(run.data_name)
    if data_key(probe_name(run)) != data or not trained_as_published(
        data, run.group("training"), run.group("data_options"), run.group("dataset")
    ):
        return None
    return method_of(run.group("objective"))


def _epochs(run: RecordedRun) -> str:
    epoch = run.log.last("epoch")
    return "" if epoch is None else epochs_text(epoch)


def _measure(result: RecordedResult) -> Measure:
    return Measure(result.metric, result.variant, result.protocol, result.split, result.unit)


def _cell(run: RecordedRun, result: RecordedResult, best: bool = False) -> Cell:
    digits = decimals(result.unit, result.n)
    spread = spread_text(result.spread, digits)
    ceiling = "" if result.ceiling is None else f"of at most {result.ceiling:.2f}"
    return Cell(f"{result.value:.{digits}f}", spread, _in_paper(run, result), best, ceiling)


def _in_paper(run: RecordedRun, result: RecordedResult) -> PublishedFigure | None:
    """The paper's figure that stands beside a result."""
    measure, method = _measure(result), method_in_paper(run)
    if method is None or not _as_published(run, result):
        return None
    measured = {other.layer for other in run.results or () if _measure(other) == measure}
    column = column_of(result.layer, measured)
    return None if column is None else published_figure(probe_name(run), method, measure.name, column)


def _as_published(run: RecordedRun, result: RecordedResult) -> bool:
    """Whether a result was measured on the split, the inputs and an encoder that the paper's figures are about."""
    key = data_key(probe_name(run))
    rule, shape = run.probe_data.get("split_rule"), str(run.probe_data.get("shape"))
    if (crop := run.group("data_options").get("random_crop")) is not None:
        channels, *spatial = shape.split(" x ")
        shape = " x ".join([channels, *(str(crop) for _ in spatial)])
    encoder = run.group("encoder")
    same_encoder = encoder.get("architecture", "auto") == "auto" and encoder.get("dim") in (None, VECTOR_SIZE)
    same_split = result.split == measured_split(key, result.metric)
    as_read = same_split and rule == f"{held_out_split(key)} split as published" and shape == SHAPES.get(key)
    as_read = as_read and not run.probe_data.get("train_rule")
    return as_read and same_encoder


def _range(numbers: Iterable[int | None]) -> str:
    """One number, or the lowest and the highest."""
    known = sorted({number for number in numbers if number})
    return " to ".join(f"{number:,}" for number in dict.fromkeys((known[0], known[-1]))) if known else ""
