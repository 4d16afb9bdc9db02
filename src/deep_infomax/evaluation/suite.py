"""All metrics of an encoder at all layers, on one labelled data set; everything is kept as soon as it is known."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Final, NamedTuple

from jaxtyping import Float
from torch import Tensor

from deep_infomax.data import Dataset, Source, require_labels
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import probes
from deep_infomax.evaluation.arrays import save_neighbours, save_representation
from deep_infomax.evaluation.features import extract
from deep_infomax.evaluation.progress import Progress
from deep_infomax.evaluation.results import Result, merge_results, read_results


class Represented(NamedTuple):
    """A source and its features at the layer that is measured."""

    source: Source
    features: Float[Tensor, "n d"]


class Metric(NamedTuple):
    """A named, versioned protocol."""

    protocol: str
    unit: str
    measure: Callable[[Represented, Represented, Sequence[int]], list[probes.Outcome]]
    """One outcome a seed, from the training and the test part."""


def _probe(protocol: str, probe: Callable[..., list[probes.Outcome]]) -> Metric:
    def measure(train: Represented, test: Represented, seeds: Sequence[int]) -> list[probes.Outcome]:
        device = train.features.device
        labels, test_labels = (require_labels(part.source)[0].to(device) for part in (train, test))
        return probe(train.features, labels, test.features, test_labels, seeds)

    return Metric(protocol, "%", measure)


METRICS: Final[dict[str, Metric]] = {
    "linear": _probe("linear/1", probes.linear),
    "mlp": _probe("mlp/1", probes.mlp),
    "knn": _probe("knn/1", probes.knn),
    "mlp-paper": _probe("mlp-paper/1", probes.mlp_paper),
}
"""Metrics by the names users type."""


def evaluate(
    encoder: Encoder,
    dataset: Dataset,
    metrics: Sequence[str] = ("linear", "mlp", "knn"),
    layers: Sequence[str] | None = None,
    seeds: int = 3,
    out: Path | None = None,
    progress: Progress | None = None,
) -> list[Result]:
    """Measure a frozen encoder on the test part of a data set.

    Features are computed once for all metrics; a layer's are let go when it is done.

    Args:
        encoder: Any encoder; the metrics run on its device.
        dataset: Labelled training and test parts.
        metrics: Names in `METRICS`.
        layers: Some of the encoder's layers; None stands for all.
        seeds: Repetitions, with the seeds 0 to ``seeds - 1``.
        out: Run directory. ``evaluation.json`` is brought up to date after every metric and layer; ``arrays/`` gets
            representations of test inputs and, for images, nearest neighbours.
        progress: Told how far the evaluation has come.

    Raises:
        ValueError: An unknown metric or layer, no seeds, no labels, no test part, inputs that do not fit the encoder,
            or an ``evaluation.json`` that cannot be read.

    >>> from deep_infomax.data import load_dataset
    >>> from deep_infomax.encoders import digits
    >>> [result] = evaluate(digits(), load_dataset("digits"), metrics=["knn"], layers=["Y"], seeds=1)
    >>> result.protocol, result.n, result.spread
    ('knn/1', 500, None)
    """
    layers = list(dict.fromkeys(encoder.layers if layers is None else layers))
    metrics = list(dict.fromkeys(metrics))
    test = _checked(encoder, dataset, metrics, layers, seeds, out)
    names = list(dict.fromkeys([*layers, "Y"]))
    train_features = extract(encoder, dataset.train, names, progress=progress)
    test_features = extract(encoder, test, names, progress=progress)
    if out is not None:
        save_representation(out / "arrays", test, test_features["Y"])
        save_neighbours(out / "arrays", dataset.train, train_features["Y"], test, test_features["Y"])
    results: list[Result] = []
    device = encoder.mean.device
    for layer in layers:
        train_part = Represented(dataset.train, train_features.pop(layer).to(device))
        test_part = Represented(test, test_features.pop(layer).to(device))
        for name in metrics:
            results.append(_measure(name, layer, train_part, test_part, range(seeds)))
            if out is not None:
                merge_results(out / "evaluation.json", dataset.description, results[-1:])
            if progress is not None:
                progress("probing", len(results), len(layers) * len(metrics))
    return results


def _checked(
    encoder: Encoder, dataset: Dataset, metrics: Sequence[str], layers: Sequence[str], seeds: int, out: Path | None
) -> Source:
    """The test part, once all that can be wrong has been looked at, before anything slow begins."""
    if unknown := [name for name in metrics if name not in METRICS]:
        raise ValueError(f"unknown metric {unknown[0]!r}; known are {', '.join(METRICS)}")
    if unknown := [layer for layer in layers if layer not in encoder.layers]:
        raise ValueError(f"unknown layer {unknown[0]!r}; this encoder has {', '.join(encoder.layers)}")
    if seeds < 1:
        raise ValueError(f"an evaluation needs at least 1 seed, got {seeds}")
    require_labels(dataset.train)
    if dataset.test is None:
        raise ValueError(
            f"{dataset.name} has no test part to measure on; name a data set that has one with --probe SPEC"
        )
    require_labels(dataset.test)
    for source in (dataset.train, dataset.test):
        encoder.check_inputs(source.inputs.shape)
    if out is not None:
        read_results(out / "evaluation.json")
    return dataset.test


def _measure(name: str, layer: str, train: Represented, test: Represented, seeds: Sequence[int]) -> Result:
    metric = METRICS[name]
    started = time.perf_counter()
    outcomes = metric.measure(train, test, seeds)
    values = [outcome.accuracy for outcome in outcomes]
    return Result(
        metric=name,
        variant="default",
        layer=layer,
        value=fmean(values),
        unit=metric.unit,
        spread=stdev(values) if len(values) > 1 else None,
        n=len(test.source),
        seeds=tuple(seeds),
        split=test.source.split,
        protocol=metric.protocol,
        seconds=time.perf_counter() - started,
        chosen={key: [outcome.chosen[key] for outcome in outcomes] for key in outcomes[0].chosen},
    )
