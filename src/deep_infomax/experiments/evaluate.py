"""A finished run's encoder, loaded and measured."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from deep_infomax import evaluation
from deep_infomax.data import load_dataset
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import Result, read_results
from deep_infomax.experiments.data import data_options_of, options_for, same_spec
from deep_infomax.experiments.run_directory import plain, read_config
from deep_infomax.runtime.progress import progress_bars
from deep_infomax.training.prepare import use_channels_last


def evaluate(
    run: Path,
    *,
    probe: str | None = None,
    metrics: Sequence[str],
    layers: Sequence[str] | None = None,
    seeds: int,
    data_options: Mapping[str, Any] | None = None,
) -> list[Result]:
    """Measure a run's encoder and keep the results in the run.

    Args:
        run: Directory of a finished training.
        probe: Spec of labelled data; None stands for those that the training named, or else its own.
        metrics: Names of `deep_infomax.evaluation.METRICS`.
        layers: What is measured; None stands for each metric's own layers.
        seeds: Repetitions of each probe.
        data_options: Changes of how the data are read.

    Raises:
        ValueError: there is no finished run, or the data cannot be read or are not the training's.
        KeyboardInterrupt: an interrupt; what was measured is kept.
    """
    settings = finished(run)
    encoder = load_encoder(run)
    spec = same_spec(probe or settings["probe"] or settings["data"], settings["data"])
    options = options_for(spec, settings["data"], data_options_of(run))
    dataset = load_dataset(spec, replace(options, **(data_options or {})))
    if spec == settings["data"] and plain(dataset.description) != settings.get("dataset"):
        raise ValueError(  # another draw of the held-out part may put training inputs into it
            f"{spec} is not the data that {run} was trained on, or --data_options read them otherwise; "
            "restore them, or name others with --probe"
        )
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
            )
    except KeyboardInterrupt:
        kept = run / "evaluation.json"
        if read_results(kept, dataset.description):
            raise KeyboardInterrupt(f"interrupted; what was measured is kept in {kept}") from None
        raise


def load_encoder(run: str | Path) -> Encoder:
    """The encoder of a run, or of the Hub, where it computes fast."""
    encoder = Encoder.from_pretrained(run).to(_device())
    use_channels_last(encoder)
    return encoder


def finished(run: Path) -> dict[str, Any]:
    """The settings of a run whose training ended."""
    settings = read_config(run)
    if not (run / "encoder.safetensors").is_file():
        raise ValueError(f"{run} has no trained encoder yet; finish it with 'dim train --resume {run}'")
    return settings


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
