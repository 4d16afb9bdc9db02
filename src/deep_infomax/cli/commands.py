"""What the commands around encoders do once their arguments are parsed: they call the library and print."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from json import dumps
from pathlib import Path
from typing import Any, Literal

from deep_infomax.cli.tables import print_comparison, print_results
from deep_infomax.data import can_stream, load_dataset
from deep_infomax.data.description import lines as description_lines
from deep_infomax.encoders import Encoder, format_of
from deep_infomax.encoders import export as write_export
from deep_infomax.encoders.exporting import TOLERANCE, InputType
from deep_infomax.evaluation import check_output, encode_dataset, output_of, read_results
from deep_infomax.experiments import evaluate as experiment
from deep_infomax.experiments.evaluate import load_encoder, reading, trained_with
from deep_infomax.experiments.publishing import publish, write_publication
from deep_infomax.experiments.run_directory import plain, read_settings, trained_by_fit
from deep_infomax.runtime import run_files
from deep_infomax.runtime.progress import NOTES, progress_bars


def evaluate(
    *,
    run: str,
    probe: str | None,
    metrics: Sequence[str],
    layers: Sequence[str] | None,
    seeds: int,
    json: bool,
    data_options: Mapping[str, Any] | None = None,
) -> None:
    """Probe a run's encoder, print the results and keep them in the run."""
    folder = Path(run)
    results = experiment.evaluate(
        folder,
        probe=probe,
        metrics=metrics,
        layers=layers,
        seeds=seeds,
        data_options=data_options,
    )
    if json:
        print(dumps({"run": str(folder), "results": [plain(result) for result in results]}))
    else:
        print_results(folder, results)


def encode(
    *, run: str, data: str, out: str, layer: str, split: str, data_options: Mapping[str, Any] | None = None
) -> None:
    """Write the representation of a data set into a file of the kind that its ending names."""
    check_output(Path(out))
    output_of(Path(out))
    encoder = load_encoder(run)
    options = reading(Path(run))
    # All rows are wanted, however few the encoder was trained on.
    as_there = {"train_inputs": None, "held_out": None, "stream": options.stream and can_stream(data)}
    dataset = load_dataset(data, replace(options, **(as_there | dict(data_options or {}))))
    if data != trained_with(Path(run)):
        for line in description_lines(dataset.description):
            NOTES.print(line)
    with progress_bars() as progress:
        columns = encode_dataset(encoder, dataset, Path(out), layer, split, progress=progress)
    if "damaged_rule" in dataset.description:
        NOTES.print(f"no rows for damaged images: {dataset.description['damaged_rule']}")
    if "missing_rule" in dataset.description:
        NOTES.print(f"missing: {dataset.description['missing_rule']}")
    counts = {name: sum(len(source) for source, _ in parts) for name, parts in dataset.stored.items()}
    left = ", ".join(f"--split {name}: {count:,}" for name, count in counts.items() if name != split)
    beside = f", with {', '.join(columns)}" if columns else ""
    left = f" (not in it: {left})" if left else ""
    NOTES.print(f"wrote {out}: layer {layer} of {counts[split]:,} inputs{beside}{left}")


def export(*, run: str, out: str, format: Literal["onnx", "torch"] | None, input_type: InputType | None) -> None:
    """Write a run's encoder as a file of another kind, and say what goes in and comes out of it."""
    check_output(Path(out))
    format_of(Path(out), format)
    found = write_export(Encoder.from_pretrained(run), Path(out), format, input_type)
    NOTES.print(f"wrote {out}, {found.path.stat().st_size / 1e6:.1f} MB, for batches of any size n")
    NOTES.print(f"inputs, {found.input_type}, values as stored: {_batch_of(found.inputs)}")
    NOTES.print("; ".join(f"{name} {_batch_of(shape)}" for name, shape in found.outputs.items()))
    share = f"{found.difference:.1e} of the largest value" if found.difference else "none"
    NOTES.print(f"largest difference from what dim encode gives: {share} (allowed: {TOLERANCE:.0e})")


def _batch_of(shape: Sequence[int]) -> str:
    return f"({', '.join(['n', *map(str, shape)])})"


def push(*, run: str, repository: str, license: str | None, private: bool, dry_run: str | None) -> None:
    """Upload a run's encoder with a model card, or write the folder that would be uploaded."""
    if license is None:
        NOTES.print("the card states no licence; name one, such as --license mit")
    if dry_run is not None:
        names = write_publication(Path(run), repository, Path(dry_run), licence=license)
        NOTES.print(f"wrote {dry_run}: {', '.join(names)}; nothing was uploaded")
        return
    NOTES.print(f"uploaded: {publish(Path(run), repository, licence=license, private=private)}")


def report(*, runs: Sequence[str], out: str | None) -> None:
    """Write one HTML page about one or several runs, and print their results side by side."""
    from deep_infomax.experiments.titles import titles  # drawing takes a second to load, which no training needs
    from deep_infomax.report import find_runs, write_report

    paths = [Path(run) for run in runs]
    found = find_runs(paths)
    for run in found:
        if not trained_by_fit(run):
            read_settings(run)
    # What is damaged shows before a page is written.
    results = [read_results(run / run_files.EVALUATION) for run in found]
    page = write_report(paths, None if out is None else Path(out), titles())
    NOTES.print(f"report: {page}")
    print_comparison([run.name for run in found], results)


def explore(
    *,
    run: str,
    out: str | None,
    split: str | None,
    points: int,
    data: str | None = None,
    data_options: Mapping[str, Any] | None = None,
) -> None:
    """Write an interactive map of Y and the tables beside it, and say what they show."""
    from deep_infomax.experiments.explore import explore as write_map  # drawing takes a second to load
    from deep_infomax.report.vector_map import share

    page = None if out is None else Path(out)
    found = write_map(Path(run), data, out=page, split=split, points=points, data_options=data_options)
    if found.lost:
        NOTES.print(f"{found.lost:,} inputs are left out, as their Y is not finite")
    size = found.page.stat().st_size / 1e6
    NOTES.print(f"wrote {found.page}, {size:.1f} MB: {share(found.n, found.total)}")
    tables = (f"{path} ({found.found[path.name]:,})" for path in found.tables)
    NOTES.print(f"tables: {', '.join(tables)}")
