"""All metrics of an encoder at all layers, on one data set; everything is kept as soon as it is known."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Final

import numpy as np
from torch import Tensor

from deep_infomax.data import Dataset, Source, require_labels, require_probed
from deep_infomax.encoders import Encoder
from deep_infomax.encoders.base import require_encoder
from deep_infomax.evaluation.arrays import neighbour_images, remove_arrays, save_representation
from deep_infomax.evaluation.bound import TrainedBy, check_bound
from deep_infomax.evaluation.features import extract
from deep_infomax.evaluation.floors import floors_of
from deep_infomax.evaluation.metrics import METRICS, Drawn, Represented
from deep_infomax.evaluation.results import Outcome, Result, measuring, merge_results, read_results
from deep_infomax.runtime import run_files
from deep_infomax.runtime.allocator import keep_freed_memory
from deep_infomax.runtime.files import save_arrays
from deep_infomax.runtime.progress import Progress
from deep_infomax.runtime.values import MOST_SEEDS, require_count, unknown
from deep_infomax.runtime.verdict import FLOORS

DEFAULT_METRICS: Final = ("linear", "mlp", "knn", "few-labels")
"""What is measured unless metrics are named."""
ALL_FLOORS: Final = "floors"
"""What stands for all of `FLOORS` where layers are named."""


def check(
    encoder: Encoder,
    dataset: Dataset,
    metrics: Sequence[str],
    layers: Sequence[str] | None = None,
    trained_by: TrainedBy | None = None,
) -> None:
    """Look for what `evaluate` would not measure, before there is a trained encoder.

    Raises:
        ValueError: as `evaluate`.
    """
    _checked(
        encoder,
        dataset,
        _plan(encoder, metrics, layers),
        seeds=1,
        out=None,
        trained_by=trained_by,
    )


def evaluate(
    encoder: Encoder,
    dataset: Dataset,
    metrics: Sequence[str] = DEFAULT_METRICS,
    layers: Sequence[str] | None = None,
    seeds: int = 3,
    out: Path | None = None,
    progress: Progress | None = None,
    trained_by: TrainedBy | None = None,
    floors: bool = True,
) -> list[Result]:
    """Measure a trained encoder on the test part of a data set, or on the training part where a protocol says so.

    Features are computed once for all metrics that read them; a layer's are let go when it is done. From here on the
    process keeps the memory that it frees; see `keep_freed_memory`.

    Args:
        encoder: Any encoder; the metrics run on its device.
        dataset: Training and test parts, labelled for the probes. Where only metrics that read no labels are asked for
            and there is no test part, they are measured on the training part.
        metrics: Names in `METRICS`.
        layers: Some of the encoder's layers, such as ``fc-linear``; None stands for those of `Encoder.layers`, and for
            one alone where a metric says so (`METRICS`).
        seeds: Repetitions, with the seeds 0 to ``seeds - 1``; a protocol may have a number of its own.
        out: Run directory. ``evaluation.json`` is brought up to date after every metric and layer; ``arrays/`` gets
            representations and miniatures of test inputs and, for images, nearest neighbours and reconstructions.
        progress: Told how far the evaluation has come.
        trained_by: The objective that trained the encoder, with its scorers, for ``bound``.
        floors: Whether probes are measured of what costs nothing as well, where no ``layers`` are named or ``floors``
            is one of them: the raw input, principal components, simple statistics, an untrained encoder
            (`deep_infomax.evaluation.floors`).

    Raises:
        ValueError: An unknown metric or layer, a layer that a metric does not take, no seeds, no labels, no test part,
            inputs that do not fit the encoder, or an ``evaluation.json`` that cannot be read.

    >>> from deep_infomax.data import load_dataset
    >>> from deep_infomax.encoders import digits
    >>> [result] = evaluate(digits(), load_dataset("digits"), metrics=["knn"], layers=["Y"], seeds=1)
    >>> result.protocol, result.n, result.spread
    ('knn/1', 500, None)
    """
    keep_freed_memory()
    plan = _plan(encoder, metrics, layers)
    test = _checked(encoder, dataset, plan, seeds, out, trained_by)
    names = list(dict.fromkeys([*plan, "Y"]))
    train_features = extract(encoder, dataset.train, names, progress=progress)
    test_features = dict(train_features) if test is dataset.train else extract(encoder, test, names, progress=progress)
    results: list[Result] = []
    device = encoder.mean.device
    beside = floors and (layers is None or ALL_FLOORS in layers)
    of_floors = [name for name in _names("metrics", metrics) if METRICS[name].floors] if beside else []
    measured = [*(name for names in plan.values() for name in names), *of_floors * len(FLOORS)]
    total = sum(1 + len(METRICS[name].variants) for name in measured)
    with nullcontext() if out is None else _kept(out, dataset):
        if out is not None:
            save_representation(out / run_files.ARRAYS, test, dataset.rows_of(test), test_features["Y"])
        if out is not None and test is not dataset.train:
            images = neighbour_images(dataset.train, train_features["Y"], test, test_features["Y"])
            if images:
                save_arrays(out / run_files.ARRAYS / "neighbours.npz", **images)

        def measure(layer: str, names: Sequence[str], train_values: Tensor, test_values: Tensor) -> None:
            train_part = Represented(dataset.train, train_values.to(device), encoder, layer, trained_by)
            test_part = Represented(test, test_values.to(device), encoder, layer, trained_by)
            for name in names:
                for result, arrays in _measure(
                    name, layer, train_part, test_part, range(METRICS[name].seeds or seeds), progress
                ):
                    results.append(result)
                    if out is not None:
                        if arrays:
                            title = name if result.variant == "default" else f"{name}-{result.variant}"
                            save_arrays(out / run_files.ARRAYS / f"{title}-{layer}.npz", **arrays)
                        merge_results(out / run_files.EVALUATION, dataset.description, [result])
                    if progress is not None:
                        progress("probing", min(len(results), total), total)

        # First, so that what is interrupted has not got all of its layers.
        for floor in floors_of(encoder, dataset.train, test, progress) if of_floors else ():
            if floor.name not in encoder.layer_sizes:
                measure(floor.name, of_floors, floor.train, floor.test)
        for layer, names in plan.items():
            measure(layer, names, train_features.pop(layer), test_features.pop(layer))
    return results


def _kept(out: Path, dataset: Dataset) -> AbstractContextManager[None]:
    """Let what is kept in a run speak of this data set, and of no other that another process measures on."""
    return measuring(out / run_files.EVALUATION, dataset.description, partial(remove_arrays, out / run_files.ARRAYS))


def own_layers(layers: Sequence[str]) -> list[str]:
    """The layers of an encoder among those that are named."""
    return [layer for layer in layers if layer != ALL_FLOORS]


def _names(argument: str, names: Sequence[str]) -> list[str]:
    """Every name once; a lone string is refused, as its letters would be taken for names."""
    if isinstance(names, str):
        raise ValueError(f"`{argument}` is the text {names!r}; give a list: [{names!r}]")
    return list(dict.fromkeys(names))


def _plan(encoder: Encoder, metrics: Sequence[str], layers: Sequence[str] | None) -> dict[str, list[str]]:
    """The metrics of each layer."""
    require_encoder(encoder)
    metrics, layers = _names("metrics", metrics), None if layers is None else own_layers(_names("layers", layers))
    if strange := [name for name in metrics if name not in METRICS]:
        raise unknown("metrics", strange[0], METRICS)
    if strange := [layer for layer in layers or () if layer not in encoder.layer_sizes]:
        raise unknown("layers", strange[0], (*encoder.layer_sizes, ALL_FLOORS))
    measured = {name: layers or METRICS[name].layers or encoder.layers for name in metrics}
    for name in (name for name in metrics if METRICS[name].objective):
        measured[name] = [layer for layer in measured[name] if layer in (METRICS[name].layers or ())]
        if not measured[name]:
            raise ValueError(
                f"{name} is read at Y alone, as the training reads it; name Y in `layers`, or leave it out"
            )
    for name, its_layers in measured.items():
        if not set(its_layers) & encoder.layer_sizes.keys():
            raise ValueError(
                f"{name} is measured at {', '.join(its_layers)}, "
                f"and this encoder has {', '.join(encoder.layer_sizes)}; choose one with `layers`"
            )
    plan = {
        layer: [name for name in metrics if layer in measured[name]]
        for layer in dict.fromkeys(layers or encoder.layers)
    }
    return {layer: names for layer, names in plan.items() if names}


def _checked(
    encoder: Encoder,
    dataset: Dataset,
    plan: Mapping[str, Sequence[str]],
    seeds: int,
    out: Path | None,
    trained_by: TrainedBy | None,
) -> Source:
    """The part to measure on, once all that can be wrong has been looked at, before anything slow begins."""
    if not isinstance(dataset, Dataset):
        raise ValueError(f"`dataset` is a {type(dataset).__name__}; give a Dataset, such as load_dataset('digits')")
    require_count("seeds", seeds, MOST_SEEDS)
    labelled = any(METRICS[name].labelled for names in plan.values() for name in names)
    if labelled:
        require_labels(dataset.train)
        if dataset.test is None:
            raise ValueError(
                f"{dataset.name} has no test part to measure on; name a data set that has one with `probe`"
            )
        require_probed(dataset.train, dataset.test)
    test = dataset.test or dataset.train
    for source in (dataset.train, test):
        encoder.check_inputs(source.inputs.shape)
        encoder.check_missing(source.missing, f"{source.name} {source.split}")
    for layer, names in plan.items():
        for name in names:
            measured = dataset.train if METRICS[name].split == "train" else test
            METRICS[name].check(measured, encoder, layer)
    if any(METRICS[name].objective for names in plan.values() for name in names):
        check_bound(trained_by, dataset.test, dataset.name)
    if out is not None:
        read_results(out / run_files.EVALUATION)
    return test


def _measure(
    name: str, layer: str, train: Represented, test: Represented, seeds: Sequence[int], progress: Progress | None
) -> Iterator[tuple[Result, Mapping[str, np.ndarray]]]:
    metric = METRICS[name]
    source = train.source if metric.split == "train" else test.source
    for variant, measure in {"default": metric.measure, **metric.variants}.items():
        title = f"{name} on {layer}" if variant == "default" else f"{name} ({variant}) on {layer}"
        started = time.perf_counter()
        found = measure(train, test, seeds, _titled(progress, title))
        seconds = time.perf_counter() - started
        if not all(math.isfinite(outcome.value) for outcome in found):
            raise ValueError(f"{title} gave a figure that is not finite; look at the representation, or leave it out")
        for found_variant in dict.fromkeys(outcome.variant for outcome in found):
            outcomes = [outcome for outcome in found if outcome.variant == found_variant]
            result = Result(
                metric=name,
                variant=found_variant if variant == "default" else variant,
                layer=layer,
                value=fmean(outcome.value for outcome in outcomes),
                unit=metric.unit,
                spread=_spread(metric.drawn, metric.unit, outcomes),
                n=outcomes[0].n or len(source),
                seeds=() if metric.drawn == "nothing" else tuple(seeds),
                split=source.split,
                protocol=metric.protocol,
                seconds=seconds,
                chosen={key: [outcome.chosen[key] for outcome in outcomes] for key in outcomes[0].chosen},
                details=[outcome.details for outcome in outcomes if outcome.details is not None],
                values=tuple(outcome.value for outcome in outcomes),
                units=test.features.shape[1],
            )
            yield result, outcomes[0].arrays


def _spread(drawn: Drawn, unit: str, outcomes: Sequence[Outcome]) -> float | None:
    """The standard deviation over the seeds; None where nothing that they draw reached the figures."""
    alike = drawn == "nothing" or (drawn == "choice" and all(each.chosen == outcomes[0].chosen for each in outcomes))
    # Of so many digits, equal figures are no chance: a constant has 0 nats, whatever is drawn.
    alike = alike or (unit != "%" and all(each.value == outcomes[0].value for each in outcomes))
    return None if alike or len(outcomes) < 2 else stdev(outcome.value for outcome in outcomes)


def _titled(progress: Progress | None, title: str) -> Progress:
    return lambda task, done, total: None if progress is None else progress(f"{title}, {task}", done, total)
