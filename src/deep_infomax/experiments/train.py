"""A recipe trained into a run directory, and a run that goes on from its newest checkpoint."""

import math
import shlex
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from deep_infomax.data import augmentation, load_dataset
from deep_infomax.experiments.data import check_probe, load_probe, trained_on
from deep_infomax.experiments.run_directory import create_run, environment, plain, read_config, write_config
from deep_infomax.recipes import Config, build_encoder, build_objective
from deep_infomax.runtime.processes import main_process_first
from deep_infomax.runtime.progress import NOTES
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


def resume(run: Path, config: Config) -> None:
    """Continue a run from its newest checkpoint."""
    _train(run, read_config(run), config, resuming=True)


def _train(run: Path, settings: dict[str, Any], config: Config, *, resuming: bool) -> None:
    processes = _processes(config)
    with main_process_first(timedelta(days=1)):  # it may decode a large data set, whose cache the others then find
        dataset = load_dataset(settings["data"], config.data_options)
        if settings["probe"] is not None:
            check_probe(load_probe(settings["probe"], settings["data"], config.data_options), dataset)
    description = plain(dataset.description)
    if settings.setdefault("dataset", description) != description:
        raise ValueError(f"{settings['data']} is not the data that {run} was trained on; restore them, or train anew")
    torch.manual_seed(settings["seed"])
    channels, *spatial = dataset.train.shape
    encoder = build_encoder(config, channels, tuple(spatial))
    source = trained_on(config, dataset)
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


def _training(settings: dict[str, Any], config: Config, device: torch.device) -> TrainingConfig:
    """How to train; a resumed run keeps the precision it began with, on the same kind of device."""
    began = settings.get("environment", {})
    same_device = (began.get("device") == "cpu") == (device.type == "cpu")
    if config.training.precision == "auto" and same_device and "precision" in began:
        return replace(config.training, precision=began["precision"])
    return config.training


def check_seed(seed: int) -> None:
    """Raise ValueError for a seed that no generator takes."""
    if not 0 <= seed < 2**63:
        raise ValueError(f"--seed is {seed}; give 0 or a positive number below 2^63")


def _processes(config: Config) -> PartialState:
    return PartialState(cpu=uses_cpu(config.training))
