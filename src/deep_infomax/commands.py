"""What the commands around encoders do once their arguments are parsed; the cli's other half."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from json import dumps
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from rich.console import Console

from deep_infomax import evaluation
from deep_infomax.data import NAMES, DataOptions, Dataset, Source, augmentation, load_dataset, require_labels
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import check_output, encode_dataset, read_results
from deep_infomax.processes import main_process_first
from deep_infomax.progress import progress_bars
from deep_infomax.recipes import Config, build_encoder, build_objective
from deep_infomax.result_tables import print_comparison, print_results
from deep_infomax.run_directory import create_run, environment, plain, read_config, write_config
from deep_infomax.training import (
    InterruptedTrainingError,
    LostProcessError,
    TrainingConfig,
    WriteError,
    can_compile,
    checkpoint_bytes,
    fit,
    resolve_precision,
    uses_cpu,
)
from deep_infomax.training.prepare import use_channels_last

NOTES = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)  # paths may hold brackets


def train(
    *, recipe: str, data: str, config: Config, seed: int, probe: str | None, out: str | None, command: str
) -> None:
    """Start a run."""
    check_seed(seed)
    name = Path(data.removeprefix("hub:")).stem
    run = Path(out or f"runs/{recipe}-{name}-{seed}")
    settings = {"recipe": recipe, "command": command, "seed": seed, "data": data, "probe": probe} | plain(config)
    if _processes(config).is_main_process:
        create_run(run)
        write_config(run, settings)
    _train(run, settings, config, resuming=False)


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
        probed = _load_probe(probe, data, options)
        _check_probe(probed, dataset)
    channels, *spatial = dataset.train.shape
    for config in dict.fromkeys(configs):
        encoder = build_encoder(config, channels, tuple(spatial))
        build_objective(config.objective, encoder, _trained_on(config, dataset))
        evaluation.check(encoder, probed, metrics, layers)
    return probed.description


def resume(run: Path, config: Config) -> None:
    """Continue a run from its newest checkpoint."""
    _train(run, read_config(run), config, resuming=True)


def evaluate(
    *,
    run: str,
    probe: str | None,
    metrics: str,
    layers: str | None,
    seeds: int,
    json: bool,
    data_options: Mapping[str, Any] | None = None,
) -> None:
    """Probe a run's encoder, print the results and keep them in the run."""
    folder = Path(run)
    settings = _finished(folder)
    encoder = _loaded(folder)
    spec = _spec(probe or settings["probe"] or settings["data"], settings["data"])
    options = _options_for(spec, settings["data"], _data_options(folder))
    dataset = load_dataset(spec, replace(options, **(data_options or {})))
    if spec == settings["data"] and plain(dataset.description) != settings.get("dataset"):
        raise ValueError(  # another draw of the held-out part may put training inputs into it
            f"{spec} is not the data that {folder} was trained on, or --data_options read them otherwise; "
            "restore them, or name others with --probe"
        )
    try:
        with progress_bars() as progress:
            results = evaluation.evaluate(
                encoder,
                dataset,
                metrics=metrics.split(","),
                layers=None if layers is None else layers.split(","),
                seeds=seeds,
                out=folder,
                progress=progress,
            )
    except KeyboardInterrupt:
        kept = folder / "evaluation.json"
        if read_results(kept, dataset.description):
            raise KeyboardInterrupt(f"interrupted; what was measured is kept in {kept}") from None
        raise
    if json:
        print(dumps({"run": str(folder), "results": [plain(result) for result in results]}))
    else:
        print_results(folder, results)


def encode(
    *, run: str, data: str, out: str, layer: str, split: str, data_options: Mapping[str, Any] | None = None
) -> None:
    """Write the representation of a data set as a .npy file."""
    check_output(Path(out))
    encoder = _loaded(run)
    options = _data_options(Path(run)) if (Path(run) / "config.yaml").exists() else DataOptions()
    # All rows are wanted, however few the encoder was trained on.
    dataset = load_dataset(
        data, replace(options, **({"train_inputs": None, "held_out": None} | dict(data_options or {})))
    )
    with progress_bars() as progress:
        encode_dataset(encoder, dataset, Path(out), layer, split, progress=progress)
    counts = {name: sum(len(source) for source, _ in parts) for name, parts in dataset.stored.items()}
    left = ", ".join(f"--split {name}: {count:,}" for name, count in counts.items() if name != split)
    NOTES.print(f"wrote {out}: layer {layer} of {counts[split]:,} inputs" + (f" (not in it: {left})" if left else ""))


def report(*, runs: Sequence[str], out: str | None) -> None:
    """Write one HTML page about one or several runs, and print their results side by side."""
    from deep_infomax.report import find_runs, write_report  # drawing takes a second to load, which no training needs

    paths = [Path(run) for run in runs]
    found = find_runs(paths)
    for run in found:
        read_config(run)
    results = [read_results(run / "evaluation.json") for run in found]  # what is damaged shows before a page is written
    page = write_report(paths, None if out is None else Path(out))
    NOTES.print(f"report: {page}")
    print_comparison([run.name for run in found], results)


def _train(run: Path, settings: dict[str, Any], config: Config, *, resuming: bool) -> None:
    processes = _processes(config)
    with main_process_first(timedelta(days=1)):  # it may decode a large data set, whose cache the others then find
        dataset = load_dataset(settings["data"], config.data_options)
        if settings["probe"] is not None:
            _check_probe(_load_probe(settings["probe"], settings["data"], config.data_options), dataset)
    description = plain(dataset.description)
    if settings.setdefault("dataset", description) != description:
        raise ValueError(f"{settings['data']} is not the data that {run} was trained on; restore them, or train anew")
    torch.manual_seed(settings["seed"])
    channels, *spatial = dataset.train.shape
    encoder = build_encoder(config, channels, tuple(spatial))
    source = _trained_on(config, dataset)
    objective = build_objective(config.objective, encoder, source)
    training = _training(settings, config, processes.device)
    if processes.is_main_process:
        precision = resolve_precision(training.precision, processes.device)
        now = environment(processes.device, precision) | {"processes": processes.num_processes}
        if training.compile:
            now["compiled"] = can_compile(processes.device)
        if changed := [key for key, value in settings.get("environment", now).items() if now.get(key) != value]:
            NOTES.print(f"{', '.join(changed)} changed since the run began: it resumes, but not to identical weights")
        settings["environment"] = now
        write_config(run, settings)
        kept = training.checkpoints
        size = math.ceil(checkpoint_bytes(torch.nn.ModuleList([encoder, objective]), kept) / 1e6)
        NOTES.print(f"{settings['recipe']} on {settings['data']}: {len(source):,} inputs; run directory {run}")
        NOTES.print(f"{kept} checkpoints are kept: with one being written, at most {size} MB")
    go_on = f"continue with: dim train --resume {shlex.quote(str(run))}"
    try:
        result = fit(
            encoder,
            objective,
            source,
            training,
            seed=settings["seed"],
            out=run,
            resume=resuming,
            transform=augmentation(config.data_options),
        )
    except (InterruptedTrainingError, WriteError, LostProcessError) as error:
        raise type(error)(f"{error}; {go_on}") from error
    except KeyboardInterrupt:  # a later one, or one before the first step: neither waits for a checkpoint
        raise InterruptedTrainingError(f"interrupted at once, the last checkpoint is kept; {go_on}") from None
    if processes.is_main_process:
        NOTES.print(f"trained {result.steps:,} steps in {result.seconds / 60:.1f} minutes; next: dim evaluate {run}")


def _trained_on(config: Config, dataset: Dataset) -> Source:
    """The inputs that a method learns from: those without labels, too, unless it is told the classes."""
    return dataset.labelled if config.objective.method == "supervised" else dataset.pretraining


def _training(settings: dict[str, Any], config: Config, device: torch.device) -> TrainingConfig:
    """How to train; a resumed run keeps the precision it began with, on the same kind of device."""
    began = settings.get("environment", {})
    same_device = (began.get("device") == "cpu") == (device.type == "cpu")
    if config.training.precision == "auto" and same_device and "precision" in began:
        return replace(config.training, precision=began["precision"])
    return config.training


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def check_seed(seed: int) -> None:
    """Raise ValueError for a seed that no generator takes."""
    if not 0 <= seed < 2**63:
        raise ValueError(f"--seed is {seed}; give 0 or a positive number below 2^63")


def _processes(config: Config) -> PartialState:
    return PartialState(cpu=uses_cpu(config.training))


def _finished(run: Path) -> dict[str, Any]:
    settings = read_config(run)
    if not (run / "encoder.safetensors").is_file():
        raise ValueError(f"{run} has no trained encoder yet; finish it with 'dim train --resume {run}'")
    return settings


def _loaded(run: str | Path) -> Encoder:
    """The encoder of a run, or of the Hub, where it computes fast."""
    encoder = Encoder.from_pretrained(run).to(_device())
    use_channels_last(encoder)
    return encoder


def _data_options(run: Path) -> DataOptions:
    try:
        return DataOptions(**read_config(run)["data_options"])
    except TypeError as error:
        raise ValueError(f"{run / 'config.yaml'}: data_options cannot be read ({error}); restore it") from error


def _spec(named: str, trained_on: str) -> str:
    """The spec of data; the training's own, where it is another path to the same."""
    paths = Path(named).expanduser(), Path(trained_on).expanduser()
    same = named not in NAMES and trained_on not in NAMES and all(path.exists() for path in paths)
    return trained_on if same and paths[0].samefile(paths[1]) else named


def _options_for(spec: str, trained_on: str, options: DataOptions) -> DataOptions:
    """How to read data: those of the training as there, others with its sizes and layout, columns as found."""
    if spec == trained_on:
        return options
    return replace(options, image_column=None, label_column=None, train_inputs=None, held_out=None)


def _load_probe(probe: str, trained_on: str, options: DataOptions) -> Dataset:
    """The data that a training names for later probes."""
    probe = _spec(probe, trained_on)
    if options.held_out is not None and probe != trained_on:
        raise ValueError(
            f"--data_options.held_out tests on inputs of {trained_on}, --probe on {probe}; leave one of them out"
        )
    return load_dataset(probe, _options_for(probe, trained_on, options))


def _check_probe(probe: Dataset, data: Dataset) -> None:
    """Let what a later probe cannot use show before the training, not after it."""
    if probe.test is None:
        require_labels(probe.train)
        raise ValueError(f"{probe.name} has no test part to measure on; name a data set that has one with --probe SPEC")
    for source in (probe.train, probe.test):
        require_labels(source)
        if source.shape != data.train.shape:
            raise ValueError(
                f"{probe.name} {source.split} has inputs of {source.shape}, {data.name} of {data.train.shape}; "
                "name a probe of the same shape, or give both one with --data_options.resize"
            )
