"""Which data an experiment reads: those it learns from and those it is probed with, checked before the training."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from deep_infomax.data import (
    NAMES,
    DataOptions,
    Dataset,
    Source,
    can_stream,
    fingerprint,
    from_data,
    load_dataset,
    require_labels,
    require_probed,
)
from deep_infomax.data.dataset import by
from deep_infomax.data.description import same_data
from deep_infomax.data.sources import prepared
from deep_infomax.encoders import Encoder
from deep_infomax.experiments.recorded import in_recorded_precision, recorded_options
from deep_infomax.experiments.run_directory import IN_MEMORY, Settings
from deep_infomax.recipes import METHODS, Config
from deep_infomax.runtime.files import expanded

_AFTER_READING: Final = (
    "train_inputs",
    "held_out",
    "random_crop",
    "evaluate_whole",
    "flip",
    "scaling",
    "with_labelled",
)
"""Options that also hold for data that have been read already."""


def training_data(settings: Settings, run: Path, given: Any = None) -> Dataset:
    """The data that a run is trained on.

    Args:
        settings: Of the run.
        run: Its directory.
        given: An array, another object that holds data or a `Dataset`, where the run is trained on such.

    Raises:
        ValueError: they cannot be read, are not given, or are not those that the run began with.
    """
    options = settings.config.data_options
    if not isinstance(given, Dataset):
        options = recorded_options(options, settings.dataset)
    if settings.in_memory and given is None:
        raise ValueError(
            f"{run} was trained on data in memory, which it does not keep; "
            f"give them again from Python, Run({str(run)!r}).resume(data=...)"
        )
    dataset = in_memory(given, options) if settings.in_memory else load_dataset(settings.data, options)
    dataset = in_recorded_precision(dataset, settings.dataset)
    if settings.dataset is not None and not same_data(settings.dataset, dataset.description):
        raise ValueError(f"{settings.data} is not the data that {run} was trained on; restore them, or train anew")
    return dataset


def in_memory(data: Any, options: DataOptions) -> Dataset:
    """Data of a program as a `Dataset`, its description with a fingerprint of the inputs.

    Args:
        data: What `deep_infomax.data.from_data` takes, such as an array, whose axes are read as those of an ``.npy``
            file; or a `Dataset`.
        options: How to read it. A `Dataset` has been read: of it, inputs can be left out, held out or cropped.

    Raises:
        ValueError: it is something else, or the options cannot hold for it.
    """
    if isinstance(data, Dataset):
        _check_read(options)
    else:
        data = from_data(data, options=options)
    found = prepared(data, IN_MEMORY, options)
    return replace(found, description={**found.description, "inputs": fingerprint(found.pretraining)[:12]})


def _check_read(options: DataOptions) -> None:
    """Refuse options that say how to read what has been read."""
    for field in fields(options):
        if field.name not in _AFTER_READING and getattr(options, field.name) != field.default:
            raise ValueError(f"`data_options.{field.name}` says nothing to a Dataset that has been read; leave it out")


def trained_on(config: Config, dataset: Dataset) -> Source:
    """The inputs that a method learns from: those without labels, too, unless it is told the classes."""
    return dataset.labelled if METHODS[config.objective.method].labelled else dataset.pretraining


def same_spec(named: str, trained_on: str) -> str:
    """The spec of data; the training's own, where it is another path to the same."""
    paths = expanded(named), expanded(trained_on)
    same = named not in NAMES and trained_on not in NAMES and all(path.exists() for path in paths)
    return trained_on if same and paths[0].samefile(paths[1]) else named


def options_for(spec: str, trained_on: str, options: DataOptions) -> DataOptions:
    """How to read data: those of the training as there, others with its sizes and layout, columns as found.

    Others are streamed as the training's are where they can be.
    """
    if spec == trained_on:
        return options
    stream = options.stream and spec != IN_MEMORY and can_stream(spec)
    return replace(options, image_column=None, label_column=None, train_inputs=None, held_out=None, stream=stream)


def load_probe(probe: str, trained_on: str, options: DataOptions) -> Dataset:
    """The data that a training names for later probes."""
    probe = same_spec(probe, trained_on)
    if options.held_out is not None and probe != trained_on:
        raise ValueError(
            f"`data_options.held_out` tests on inputs of {trained_on}, `probe` on {probe}; leave one of them out"
        )
    return load_dataset(probe, options_for(probe, trained_on, options))


def check_whole(config: Config, encoder: Encoder, dataset: Dataset) -> None:
    """Raise ValueError where whole inputs are to be evaluated by a network that reads inputs of one size."""
    if config.data_options.evaluate_whole and not encoder.fits(dataset.train.shape):
        raise ValueError(
            f"`data_options.evaluate_whole` needs a network that reads inputs of {by(dataset.train.shape[1:])} when it "
            f"is trained on {by(encoder.spatial)}; set `encoder.architecture` to pooled, or leave it out"
        )


def check_probe(probe: Dataset, data: Dataset) -> None:
    """Let what a later probe cannot use show before the training, not after it."""
    if probe.test is None:
        require_labels(probe.train)
        raise ValueError(f"{probe.name} has no test part to measure on; name a data set that has one with `probe`")
    require_probed(probe.train, probe.test)
    if probe.train.missing not in (None, data.train.missing):
        raise ValueError(
            f"values of {probe.name} are missing, and none of {data.name}; fill them, or train on data that lack some"
        )
    for source in (probe.train, probe.test):
        if source.shape != data.train.shape:
            raise ValueError(
                f"{probe.name} {source.split} has inputs of {source.shape}, {data.name} of {data.train.shape}; "
                "name a probe of the same shape, or give both one with `data_options.resize` or `data_options.size`"
            )
