"""The bound on information that an encoder was trained by, read on inputs it was not trained on.

``bound/1``
    What the training's own objective reports, of the test part: encoder and scorers in evaluation mode, without
    gradients, in float32. Inputs are put in an order that the seed draws and taken in batches of the training's size;
    what is left over is less than a batch, would have fewer pairs and another ceiling, and is left out. The figure is
    the mean over the batches. Other inputs of a batch, or those drawn from them with the seed, are the negatives, as in
    the training. Every bound of the objective is a variant, named after its term and its kind, such as
    ``local infonce``. It stands at ``Y``, which the bound of contrastive predictive coding does not read.

The log of a training has the same report of its training pairs, in training mode, which is higher: scorers and encoder
have seen those pairs. Like any estimate from a batch, a mean of Donsker-Varadhan's bound reads high.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from deep_infomax.contracts import Batch, Objective
from deep_infomax.data import Source
from deep_infomax.encoders import Encoder
from deep_infomax.encoders.base import eval_mode
from deep_infomax.evaluation.results import Outcome
from deep_infomax.objectives import DeepInfoMax, MutualInformation
from deep_infomax.runtime.progress import Progress
from deep_infomax.runtime.random_numbers import own_random_numbers

_BOUND, _CEILING = "bound", "ceiling"


class TrainedBy(NamedTuple):
    """How an encoder was trained, as far as its bound depends on it."""

    objective: Objective
    """With the scorers that were trained along."""
    batch_size: int


def bound(
    trained_by: TrainedBy, source: Source, encoder: Encoder, seeds: Sequence[int], progress: Progress
) -> list[Outcome]:
    """The bounds of an objective, ``bound/1``: an outcome for each seed and bound.

    Raises:
        ValueError: the objective reports no bound.
    """
    objective, size = trained_by
    objective.to(encoder.mean.device)
    batches = len(source) // size
    outcomes = []
    for number, seed in enumerate(seeds):
        reports: list[dict[str, float]] = []
        with ExitStack() as stack:
            stack.enter_context(own_random_numbers(seed, encoder.mean.device))
            for module in (encoder, objective):
                stack.enter_context(eval_mode(module))
            for rows in torch.randperm(len(source))[: batches * size].split(size):
                reports.append(_report(objective, source, encoder, rows))
                progress("batches", number * batches + len(reports), len(seeds) * batches)
        outcomes += _outcomes(objective, reports, size)
    return outcomes


def check_bound(trained_by: TrainedBy | None, source: Source | None, name: str) -> None:
    """Raise ValueError where there is no objective, no test part of the data called ``name``, or too small a one."""
    if trained_by is None:
        raise ValueError(
            "bound is read with the objective that trained the encoder; name a run of dim train, or give `trained_by`"
        )
    if source is None:
        raise ValueError(f"bound is read on inputs not trained on, and {name} has no test part; name one with `probe`")
    if len(source) < trained_by.batch_size:
        raise ValueError(
            f"bound is read in batches of {trained_by.batch_size:,}, as in the training, and {name} {source.split} has "
            f"{len(source):,} inputs; name larger data with `probe`"
        )


@torch.no_grad()
def _report(objective: Objective, source: Source, encoder: Encoder, rows: Tensor) -> dict[str, float]:
    """The terms of one batch that are about bounds."""
    device = encoder.mean.device
    labels = None if source.labels is None else source.labels[rows].to(device)
    batch = Batch(source.take(rows).to(device), rows.to(device), labels)
    with torch.autocast(device.type, enabled=False):
        terms = objective(batch, encoder).terms
    return {name: value.item() for name, value in terms.items() if name.split("_")[-1] in (_BOUND, _CEILING)}


def _outcomes(objective: Objective, reports: Sequence[Mapping[str, float]], size: int) -> list[Outcome]:
    """Of one seed."""
    names = [name.removesuffix(_BOUND) for name in reports[0] if name.endswith(_BOUND)]
    if not names:
        raise ValueError(f"{type(objective).__name__} reports no bound on information; leave bound out of `metrics`")
    outcomes = []
    for name in names:
        value = fmean(report[name + _BOUND] for report in reports)
        ceiling = reports[0].get(name + _CEILING, float("inf"))
        details = {
            "ceiling": ceiling if ceiling < float("inf") else None, "batch_size": size, "batches": len(reports),
        }  # fmt: skip
        variant = f"{name.rstrip('_')} {_kind(objective, name.rstrip('_'))}".strip() or "default"
        outcomes.append(Outcome(value, {}, details, n=size * len(reports), variant=variant))
    return outcomes


def _kind(objective: Objective, name: str) -> str:
    """The name of the bound that a term reports; nothing where an objective has several and does not say which."""
    parts = objective.weighted_parts() if isinstance(objective, DeepInfoMax) else {}
    part = parts[name][1] if name in parts else objective
    kinds = {module.bound.name for module in part.modules() if isinstance(module, MutualInformation)}
    return kinds.pop() if len(kinds) == 1 else ""
