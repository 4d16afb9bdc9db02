"""A recipe trained into a run directory, and a run that goes on from its newest checkpoint.

``dim train`` and `deep_infomax.train` are this, the one with words for a terminal around it, the other with a `Run`.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from deep_infomax.data import Dataset, augmentation
from deep_infomax.data.description import lines as description_lines
from deep_infomax.experiments.data import check_probe, check_whole, load_probe, trained_on, training_data
from deep_infomax.experiments.run_directory import (
    Settings,
    environment,
    new_numbered_run,
    new_run,
    plain,
    read_settings,
    write_settings,
)
from deep_infomax.experiments.watching import WatchedNeighbours
from deep_infomax.recipes import build_encoder, build_objective
from deep_infomax.runtime.locks import training_lock
from deep_infomax.runtime.processes import main_process_first
from deep_infomax.runtime.progress import NOTES
from deep_infomax.training import (
    LEAST_STEPS,
    USUAL_EPOCHS,
    Callback,
    InterruptedTrainingError,
    LostProcessError,
    Training,
    TrainingConfig,
    WriteError,
    can_compile,
    checkpoint_bytes,
    fit,
    resolve_precision,
    uses_cpu,
    with_epochs,
)


def default_run(settings: Settings, name: str | None = None) -> Path:
    """Where a run is kept unless it is told otherwise: ``runs/RECIPE-DATA-SEED``."""
    return Path(f"runs/{settings.recipe}-{name or Path(settings.data.removeprefix('hub:')).stem}-{settings.seed}")


def begin(
    run: Path,
    settings: Settings,
    data: Any = None,
    *,
    numbered: bool = False,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
) -> tuple[Path, Training]:
    """Train into a new run directory.

    Args:
        run: The directory.
        settings: What to train.
        data: An array, a tensor or a `Dataset` where the settings say that the data are in memory.
        numbered: Take the next free number where the directory is taken, instead of refusing it.
        callbacks: As for `fit`.
        progress: Tell on standard error how far the training is.

    Returns:
        The run directory, and what the training came to.

    Raises:
        ValueError: the directory is taken, another process trains there, or the data or a setting cannot be used.
        InterruptedTrainingError, WriteError, LostProcessError, NonFiniteLossError: as `fit`.
    """
    check_seed(settings.seed)
    with ExitStack() as alone:
        if _processes(settings).is_main_process:  # it holds the directory for all
            if numbered:
                run = alone.enter_context(new_numbered_run(run))
            else:
                alone.enter_context(new_run(run))
        if numbered:
            [name] = broadcast_object_list([str(run)])
            run = Path(name)
        return run, _train(run, settings, data, False, callbacks, progress)


def resume(run: Path, data: Any = None, *, callbacks: Sequence[Callback] = (), progress: bool = True) -> Training:
    """Continue a run from its newest checkpoint; one that has ended is left as it is.

    Args:
        run: Its directory.
        data: The data of a training on data in memory.
        callbacks: As for `fit`.
        progress: Tell on standard error how far the training is.

    Raises:
        ValueError: there is no run, another process trains it, or its data are not there or are others.
        InterruptedTrainingError, WriteError, LostProcessError, NonFiniteLossError: as `fit`.
    """
    settings = read_settings(run)
    with training_lock(run) if _processes(settings).is_main_process else nullcontext():
        return _train(run, settings, data, True, callbacks, progress)


def _train(
    run: Path, settings: Settings, data: Any, resuming: bool, callbacks: Sequence[Callback], progress: bool
) -> Training:
    processes = _processes(settings)
    with main_process_first(timedelta(days=1)):  # it may decode a large data set, whose cache the others then find
        dataset, watched = _data(run, settings, data)
    config, training = settings.config, _training(settings, processes.device)
    source = trained_on(config, dataset)
    channels, *spatial = dataset.trained_shape
    torch.manual_seed(settings.seed)
    encoder = build_encoder(config, channels, tuple(spatial))
    check_whole(config, encoder, dataset)
    objective = build_objective(config.objective, encoder, source)
    say = NOTES.print if progress and processes.is_main_process else _nothing
    wanted, training = training, fitting(training, len(source), processes.num_processes)
    if processes.is_main_process:
        now = _environment(training, processes)
        if changed := [key for key, value in (settings.environment or now).items() if now.get(key) != value]:
            say(f"{', '.join(changed)} changed since the run began: it resumes, but not to identical weights")
        write_settings(run, replace(settings, dataset=plain(dataset.description), environment=now))
    for line in description_lines(dataset.description):
        say(line)
    say(f"encoder {encoder.summary}")
    kept, averaged = training.checkpoints, None if training.average is None else encoder
    size = math.ceil(checkpoint_bytes(torch.nn.ModuleList([encoder, objective]), kept, averaged) / 1e6)
    on = f"{dataset.name} in memory" if settings.in_memory else settings.data
    say(f"{settings.recipe} on {on}: {len(source):,} inputs; run directory {run}")
    say(f"{kept} checkpoints are kept: with one being written, at most {size} MB")
    for line in small_data_lines(wanted, training, len(source)):
        say(line)
    go_on = f"continue with: `Run({str(run)!r}).resume()`"
    try:
        result = fit(
            encoder,
            objective,
            source,
            training,
            seed=settings.seed,
            out=run,
            resume=resuming,
            transform=augmentation(config.data_options, source.missing),
            scaling=config.data_options.scaling,
            progress=progress,
            callbacks=[*callbacks, *watched] if watched else callbacks,
        )
    except (InterruptedTrainingError, WriteError, LostProcessError) as error:
        raise type(error)(f"{error}; {go_on}") from error
    except KeyboardInterrupt:  # a later one, or one before the first step: neither waits for a checkpoint
        raise InterruptedTrainingError(f"interrupted at once, the last checkpoint is kept; {go_on}") from None
    collapsed = training.stop_on_collapse and result.collapsed_since is not None
    stopped = f", where {'it collapsed' if collapsed else 'a callback stopped it'}" if result.stopped_early else ""
    say(f"trained {result.steps:,} steps in {result.seconds / 60:.1f} minutes{stopped}")
    return result


def fitting(training: TrainingConfig, n: int, processes: int = 1) -> TrainingConfig:
    """How to train on n inputs: where a batch would be larger, it holds them all, in equal shares of processes.

    How long is settled, too, see `with_epochs`.

    >>> fitting(TrainingConfig(batch_size=128), 36).batch_size, fitting(TrainingConfig(batch_size=128), 500).batch_size
    (36, 128)
    """
    most = n // processes * processes
    return with_epochs(replace(training, batch_size=min(training.batch_size, max(most, processes))), n)


def small_data_lines(wanted: TrainingConfig, training: TrainingConfig, n: int) -> list[str]:
    """What to know of a training on few inputs: a smaller batch, and too few steps to learn much."""
    lines = []
    if training.batch_size < wanted.batch_size:
        lines.append(f"a batch holds {training.batch_size} inputs, as there are fewer than {wanted.batch_size}")
    epochs = training.epochs or 0.0
    steps = epochs * max(1, n // training.batch_size)
    if wanted.epochs is None and epochs > USUAL_EPOCHS:
        lines.append(f"{epochs:g} epochs instead of {USUAL_EPOCHS} make {steps:,.0f} steps of {n:,} inputs")
    elif 0 < steps < LEAST_STEPS:
        lines.append(
            f"{epochs:g} epochs of {n:,} inputs are {steps:,.0f} steps, in which little is learnt; "
            f"left out, `training.epochs` is as many as make {LEAST_STEPS:,}"
        )
    return lines


def _nothing(text: str) -> None:
    """Say nothing."""


def _data(run: Path, settings: Settings, given: Any) -> tuple[Dataset, list[Callback]]:
    """The data to train on, and what is watched of those of later probes, once these have been looked at."""
    dataset = training_data(settings, run, given)
    if settings.probe is None:
        return dataset, []
    probe = load_probe(settings.probe, settings.data, settings.config.data_options)
    check_probe(probe, dataset)
    return dataset, [WatchedNeighbours(probe.train)]


def _training(settings: Settings, device: torch.device) -> TrainingConfig:
    """How to train; a resumed run keeps the precision it began with, on the same kind of device."""
    training, began = settings.config.training, settings.environment or {}
    same_device = (began.get("device") == "cpu") == (device.type == "cpu")
    if training.precision == "auto" and same_device and "precision" in began:
        return replace(training, precision=began["precision"])
    return training


def _environment(training: TrainingConfig, processes: PartialState) -> dict[str, Any]:
    """What this training runs on."""
    precision = resolve_precision(training.precision, processes.device)
    found = environment(processes.device, precision) | {"processes": processes.num_processes}
    return found | ({"compiled": can_compile(processes.device)} if training.compile else {})


def check_seed(seed: int) -> None:
    """Raise ValueError for a seed that no generator takes."""
    if not 0 <= seed < 2**63:
        raise ValueError(f"`seed` is {seed}; give 0 or a positive number below 2^63")


def _processes(settings: Settings) -> PartialState:
    return PartialState(cpu=uses_cpu(settings.config.training))
