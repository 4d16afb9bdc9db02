"""A finished run's encoder, loaded and measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deep_infomax import evaluation
from deep_infomax.data import DataOptions, Dataset, load_dataset
from deep_infomax.data.description import same_data
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import DEFAULT_METRICS, Result, read_results
from deep_infomax.experiments.data import in_memory, options_for, same_spec
from deep_infomax.experiments.recorded import in_recorded_precision, recorded_options
from deep_infomax.experiments.run_directory import IN_MEMORY, Settings, read_settings, trained_by_fit
from deep_infomax.experiments.scorers import trained_by
from deep_infomax.experiments.settings import configure
from deep_infomax.recipes import Config
from deep_infomax.runtime import run_files
from deep_infomax.runtime.devices import choose_device
from deep_infomax.runtime.progress import progress_bars
from deep_infomax.training.prepare import use_channels_last


def evaluate(
    run: Path,
    *,
    probe: Any = None,
    data: Any = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    layers: Sequence[str] | None = None,
    seeds: int = 3,
    data_options: Mapping[str, Any] | None = None,
    encoder: Encoder | None = None,
    floors: bool = True,
) -> list[Result]:
    """Measure a run's encoder and keep the results in the run.

    Args:
        run: Directory of a finished training, or what `fit` wrote, which says nothing of data and needs ``probe``.
        probe: Labelled data of any kind that `train` takes; None stands for those that the training named, or else its
            own.
        data: The training's own data, where they were in memory and are the probe.
        metrics: Names of `deep_infomax.evaluation.METRICS`.
        layers: What is measured; None stands for each metric's own layers.
        seeds: Repetitions of each probe.
        data_options: Changes of how the data are read.
        encoder: The run's encoder, where it is loaded already.
        floors: Whether what costs nothing is measured as well, unless ``layers`` are named.

    Raises:
        ValueError: there is no finished run, or the data cannot be read or are not the training's.
        KeyboardInterrupt: an interrupt; what was measured is kept.
    """
    dataset = _probed_with(run, probe, data, data_options or {})
    encoder = encoder or load_encoder(run)
    objective = trained_by(run, finished(run), encoder, metrics)
    try:
        with progress_bars() as progress:
            return evaluation.evaluate(
                encoder,
                dataset,
                metrics=metrics,
                layers=layers,
                seeds=seeds,
                out=run,
                progress=progress,
                trained_by=objective,
                floors=floors,
            )
    except KeyboardInterrupt:
        kept = run / run_files.EVALUATION
        if read_results(kept, dataset.description):
            raise KeyboardInterrupt(f"interrupted; what was measured is kept in {kept}") from None
        raise


def _probed_with(run: Path, probe: Any, data: Any, changes: Mapping[str, Any]) -> Dataset:
    """The data that a finished run is measured on."""
    settings = finished(run)
    options = configure(Config(data_options=reading(run)), {"data_options": changes}).data_options
    if probe is not None and not isinstance(probe, str):
        return in_memory(probe, DataOptions() if isinstance(probe, Dataset) else options_for(IN_MEMORY, "", options))
    if settings is None:
        if probe is None:
            raise ValueError(f"{run} was trained by `fit`, which does not record data; name labelled data as `probe`")
        return load_dataset(probe, options)
    spec = same_spec(probe or settings.probe or settings.data, settings.data)
    own = spec == settings.data
    if own and settings.in_memory and data is None:
        raise ValueError(
            f"{run} was trained on data in memory, which it does not keep; name labelled data with `probe`, "
            "or give the same again from Python as `data`"
        )
    options = options_for(spec, settings.data, options)
    if own and not isinstance(data, Dataset):
        options = recorded_options(options, settings.dataset)
    dataset = in_memory(data, options) if own and settings.in_memory else load_dataset(spec, options)
    dataset = in_recorded_precision(dataset, settings.dataset) if own else dataset
    if own and (settings.dataset is None or not same_data(settings.dataset, dataset.description)):
        raise ValueError(  # another draw of the held-out part may put training inputs into it
            f"{spec} is not the data that {run} was trained on, or `data_options` read them otherwise; "
            "restore them, or name others with `probe`"
        )
    return dataset


def load_encoder(run: str | Path) -> Encoder:
    """The encoder of a run, or of the Hub, where it computes fast."""
    encoder = Encoder.from_pretrained(run).to(choose_device(None))
    use_channels_last(encoder)
    return encoder


def finished(run: Path) -> Settings | None:
    """The settings of a run whose training ended; None where `fit` wrote it.

    Raises:
        ValueError: it is no run, or its training has not ended.
    """
    settings = None if trained_by_fit(run) else read_settings(run)
    if not (run / run_files.WEIGHTS).is_file():
        remedy = "its `resume`" if settings is None else f"`Run({str(run)!r}).resume()`"
        raise ValueError(f"{run} has no trained encoder yet; finish it with {remedy}")
    return settings


def reading(run: Path) -> DataOptions:
    """How the training of a run read its data; the defaults for an encoder that keeps no configuration."""
    return read_settings(run).config.data_options if (run / run_files.CONFIG).exists() else DataOptions()


def trained_with(run: Path) -> str | None:
    """What the training of a run was given as data; None for an encoder that keeps no configuration."""
    return read_settings(run).data if (run / run_files.CONFIG).exists() else None
