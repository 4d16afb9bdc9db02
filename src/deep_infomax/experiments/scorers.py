"""The objective of a run with the scorers that it was trained with, which its last checkpoint keeps."""

from collections.abc import Sequence
from pathlib import Path

import torch

from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import METRICS, TrainedBy
from deep_infomax.experiments.run_directory import Settings
from deep_infomax.recipes import METHODS, Config, build_objective
from deep_infomax.runtime import run_files
from deep_infomax.training.checkpoint import AVERAGE, MODEL, Checkpoints


def bounded(config: Config, encoder: Encoder, metrics: Sequence[str]) -> TrainedBy | None:
    """The objective of a configuration, its scorers untrained; None where no metric reads it.

    Raises:
        ValueError: it reports no bound.
    """
    if not any(name in METRICS and METRICS[name].objective for name in metrics):
        return None
    method, objective = config.objective.method, config.objective
    if not METHODS[method].bounded or (method == "deep-infomax" and not (objective.alpha or objective.beta)):
        which = "without alpha and beta it" if METHODS[method].bounded else method
        raise ValueError(f"bound is what an objective says of information, and {which} says nothing; leave bound out")
    return TrainedBy(build_objective(objective, encoder), config.training.batch_size)


def trained_by(run: Path, settings: Settings | None, encoder: Encoder, metrics: Sequence[str]) -> TrainedBy | None:
    """The objective of a finished run as it was at the end of the training; None where no metric reads it.

    Its scorers are the last ones, also of an encoder whose weights were averaged.

    Raises:
        ValueError: it reports no bound, or is not kept.
    """
    if settings is None:
        if any(name in METRICS and METRICS[name].objective for name in metrics):
            raise ValueError(
                f"bound needs the objective, and {run} was trained by `fit`, which keeps none; leave it out"
            )
        return None
    found = bounded(settings.config, encoder, metrics)
    if found is None:
        return None
    folder = run / run_files.CHECKPOINTS
    checkpoint = Checkpoints(folder, settings.config.training.checkpoints).read_latest()
    if checkpoint is None:
        raise ValueError(
            f"bound needs the scorers, which only the last checkpoint of a training keeps, and {folder} has none; "
            "put it back, or train anew"
        )
    weights = encoder.state_dict()
    kept = checkpoint.part(f"{MODEL}encoder." if settings.config.training.average is None else AVERAGE)
    if not kept or not all(torch.equal(t, weights[name].cpu()) for name, t in kept.items() if name in weights):
        raise ValueError(f"{checkpoint.path} is not of the end of the training; put the last one back, or train anew")
    try:
        found.objective.load_state_dict(checkpoint.part(f"{MODEL}objective."))
    except RuntimeError as error:
        raise ValueError(f"{checkpoint.path} does not fit the run's configuration; restore config.yaml") from error
    # Fewer inputs than a batch make a smaller one; checkpoints of older versions do not say so.
    return found._replace(batch_size=checkpoint.record.batch_size or found.batch_size)
