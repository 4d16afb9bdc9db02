"""Which data an experiment reads: those it learns from and those it is probed with, checked before the training."""

from dataclasses import replace
from pathlib import Path

from deep_infomax.data import NAMES, DataOptions, Dataset, Source, load_dataset, require_labels
from deep_infomax.experiments.run_directory import read_config
from deep_infomax.recipes import METHODS, Config


def trained_on(config: Config, dataset: Dataset) -> Source:
    """The inputs that a method learns from: those without labels, too, unless it is told the classes."""
    return dataset.labelled if METHODS[config.objective.method].labelled else dataset.pretraining


def same_spec(named: str, trained_on: str) -> str:
    """The spec of data; the training's own, where it is another path to the same."""
    paths = Path(named).expanduser(), Path(trained_on).expanduser()
    same = named not in NAMES and trained_on not in NAMES and all(path.exists() for path in paths)
    return trained_on if same and paths[0].samefile(paths[1]) else named


def options_for(spec: str, trained_on: str, options: DataOptions) -> DataOptions:
    """How to read data: those of the training as there, others with its sizes and layout, columns as found."""
    if spec == trained_on:
        return options
    return replace(options, image_column=None, label_column=None, train_inputs=None, held_out=None)


def load_probe(probe: str, trained_on: str, options: DataOptions) -> Dataset:
    """The data that a training names for later probes."""
    probe = same_spec(probe, trained_on)
    if options.held_out is not None and probe != trained_on:
        raise ValueError(
            f"--data_options.held_out tests on inputs of {trained_on}, --probe on {probe}; leave one of them out"
        )
    return load_dataset(probe, options_for(probe, trained_on, options))


def check_probe(probe: Dataset, data: Dataset) -> None:
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


def data_options_of(run: Path) -> DataOptions:
    """How the training of a run read its data."""
    try:
        return DataOptions(**read_config(run)["data_options"])
    except TypeError as error:
        raise ValueError(f"{run / 'config.yaml'}: data_options cannot be read ({error}); restore it") from error
