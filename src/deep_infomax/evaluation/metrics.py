"""The metrics: named, versioned protocols that measure what a layer of a trained encoder keeps."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor

from deep_infomax.data import Source, require_labels
from deep_infomax.encoders import LOG_VARIANCE, Encoder
from deep_infomax.evaluation import probes
from deep_infomax.evaluation.arrays import neighbour_images
from deep_infomax.evaluation.bound import TrainedBy, bound
from deep_infomax.evaluation.features import extract
from deep_infomax.evaluation.results import Outcome
from deep_infomax.runtime.progress import Progress

LEAST_INPUTS: Final = 50
"""Inputs below which information is not measured."""
MOST_UNITS: Final = 256
"""Units of a layer above which its dependency would take hours to measure."""


Drawn = Literal["figure", "choice", "nothing"]


class Represented(NamedTuple):
    """A source and its features at the layer that is measured, and where they come from."""

    source: Source
    features: Float[Tensor, "n d"]
    encoder: Encoder
    layer: str
    trained_by: TrainedBy | None = None
    """What trained the encoder, for the metrics that read it."""


Measure = Callable[[Represented, Represented, Sequence[int], Progress], list[Outcome]]
"""One outcome a seed, from the training and the test part; told how far it has come."""


class Metric(NamedTuple):
    """A named, versioned protocol."""

    protocol: str
    unit: str
    measure: Measure
    variants: Mapping[str, Measure] = MappingProxyType({})
    """What is measured beside ``measure``, the variant ``default``."""
    labelled: bool = False
    """Whether it reads labels."""
    floors: bool = False
    """Whether it is measured of the floors as well (`deep_infomax.evaluation.floors`)."""
    seeds: int | None = None
    """How many seeds the protocol itself asks for, 0 and up; None leaves that to the user."""
    drawn: Drawn = "figure"
    """What depends on the seed: the figure, only what the protocol chooses on held-out data, or nothing."""
    objective: bool = False
    """Whether it reads the objective of the training, which then says what variants there are."""
    split: Literal["train", "test"] = "test"
    """The part that it is measured on."""
    layers: Sequence[str] | None = None
    """The layers that it is measured on unless some are named; None stands for all."""
    check: Callable[[Source, Encoder, str], None] = lambda source, encoder, layer: None
    """Raises ValueError where it cannot be measured on this part, or at this layer of the encoder."""
    title: str = ""
    """What tables call it."""
    meaning: str = ""
    """What its figure says, in one sentence."""


def _labelled(probe: Callable[..., list[Outcome]]) -> Measure:
    """What a probe says of features and labels."""

    def measure(train: Represented, test: Represented, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
        device = train.features.device
        labels, test_labels = (require_labels(part.source)[0].to(device) for part in (train, test))
        return probe(train.features, labels, test.features, test_labels, seeds, progress)

    return measure


def _neighbours(distance: str) -> Measure:
    agreement = _labelled(partial(probes.neighbours, distance=distance))

    def measure(train: Represented, test: Represented, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
        first, *others = agreement(train, test, seeds, progress)
        # Images by cosine distance are kept by every evaluation.
        if distance == "cosine":
            return [first, *others]
        images = neighbour_images(train.source, train.features, test.source, test.features, distance)
        return [first._replace(arrays=images), *others]

    return measure


# The instruments and torchmetrics take a second to load, which no other metric needs.
def _mine(train: Represented, test: Represented, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
    from deep_infomax.evaluation import information

    return information.mine(test.source, test.features, train.features, seeds, progress)


def _ndm(train: Represented, test: Represented, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
    from deep_infomax.evaluation import information

    return information.ndm(test.features, seeds, progress)


def _ndm_sample(train: Represented, test: Represented, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
    from deep_infomax.evaluation import information

    log_variance = extract(test.encoder, test.source, [LOG_VARIANCE])[LOG_VARIANCE]
    return information.ndm_sample(test.features, log_variance.to(test.features.device), seeds, progress)


def _mine_paper(train: Represented, test: Represented, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
    from deep_infomax.evaluation import information

    return information.mine_paper(train.source, train.features, seeds, progress)


def _ndm_paper(
    train: Represented, test: Represented, seeds: Sequence[int], progress: Progress, sigmoid: bool
) -> list[Outcome]:
    from deep_infomax.evaluation import information

    return information.ndm_paper(train.features, seeds, progress, sigmoid)


def _ms_ssim(train: Represented, test: Represented, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
    from deep_infomax.evaluation import reconstruction

    return reconstruction.ms_ssim(train.source, train.features, test.source, test.features, seeds, progress)


def _semi_supervised(
    train: Represented, test: Represented, seeds: Sequence[int], progress: Progress, share: float
) -> list[Outcome]:
    from deep_infomax.evaluation import fine_tuning

    return fine_tuning.semi_supervised(train.encoder, train.layer, train.source, test.source, seeds, progress, share)


def _bound(train: Represented, test: Represented, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
    assert test.trained_by is not None
    return bound(test.trained_by, test.source, test.encoder, seeds, progress)


def _check_images(source: Source, encoder: Encoder, layer: str) -> None:
    from deep_infomax.evaluation import reconstruction

    reconstruction.check_images(source)


def _check_inputs(source: Source, encoder: Encoder, layer: str) -> None:
    if len(source) < LEAST_INPUTS:
        raise ValueError(
            f"mine and ndm need at least {LEAST_INPUTS} inputs, {source.name} {source.split} has {len(source)}; "
            "name larger data with `probe`"
        )


def _check_units(source: Source, encoder: Encoder, layer: str) -> None:
    _check_inputs(source, encoder, layer)
    units = encoder.layer_sizes[layer]
    if not 2 <= units <= MOST_UNITS:
        raise ValueError(
            f"ndm measures layers of 2 to {MOST_UNITS} units, {layer} has {units:,}; name others with `layers`"
        )


def _check_posterior(source: Source, encoder: Encoder, layer: str) -> None:
    if layer != "Y":
        raise ValueError(f"ndm-sample draws from the posterior of Y, and {layer} has none; measure ndm of {layer}")
    if LOG_VARIANCE not in encoder.layer_sizes:
        raise ValueError(
            "ndm-sample draws Y from its posterior, and this encoder was saved without one; "
            "train a variational one (recipes vae and beta-vae) or measure ndm"
        )
    _check_units(source, encoder, layer)


METRICS: Final[dict[str, Metric]] = {
    name: Metric(
        probe.protocol,
        "%",
        _labelled(probe.measure),
        labelled=True,
        floors=probe.floors,
        seeds=probe.seeds,
        drawn=probe.drawn,
        title=probe.title,
        meaning=probe.meaning,
    )
    for name, probe in probes.PROBES.items()
} | {
    "few-labels": Metric(
        "few-labels/1",
        "%",
        _labelled(partial(probes.few_labels, share=0.1)),
        {"1%": _labelled(partial(probes.few_labels, share=0.01))},
        labelled=True,
        floors=True,
        layers=("Y",),
        title="Logistic regression, few labels",
        meaning="Accuracy of logistic regression that is told a tenth of the labels, or a hundredth.",
    ),
    "neighbours": Metric(
        "neighbours/1",
        "%",
        _neighbours("cosine"),
        {"l1": _neighbours("l1"), "l2": _neighbours("l2")},
        labelled=True,
        drawn="nothing",
        layers=("Y",),
        title="Neighbours of the same class",
        meaning="How many of the 8 nearest training inputs are of the test input's class.",
    ),
    "ms_ssim": Metric(
        "ms_ssim/1",
        "",
        _ms_ssim,
        layers=("Y",),
        check=_check_images,
        title="Reconstruction (MS-SSIM)",
        meaning="Likeness of test images to what a decoder trained on the frozen layer makes of it, at most 1.",
    ),
    "semi_supervised": Metric(
        "semi_supervised/2",
        "%",
        partial(_semi_supervised, share=1.0),
        {f"{percent}%": partial(_semi_supervised, share=percent / 100) for percent in (10, 1)},
        labelled=True,
        layers=("conv",),
        title="Semi-supervised",
        meaning="Accuracy of the whole encoder after fine-tuning with all, a tenth or a hundredth of the labels.",
    ),
    "bound": Metric(
        "bound/1",
        "nats",
        _bound,
        objective=True,
        layers=("Y",),
        title="Bound of the training, held out",
        meaning="What the training's objective reports of test inputs, in evaluation mode, in batches as in training.",
    ),
    "mine": Metric(
        "mine/1",
        "nats",
        _mine,
        layers=("Y",),
        check=_check_inputs,
        title="Information I(X; Y), held out",
        meaning="Mutual information of inputs and representation, read by a critic on inputs it was not trained on.",
    ),
    "ndm": Metric(
        "ndm/1",
        "nats",
        _ndm,
        layers=("Y",),
        check=_check_units,
        title="Dependence of units, held out",
        meaning="Total correlation of the units, read by a critic on vectors it was not trained on.",
    ),
    "ndm-sample": Metric(
        "ndm-sample/1",
        "nats",
        _ndm_sample,
        layers=("Y",),
        check=_check_posterior,
        title="Dependence of posterior samples, held out",
        meaning="Total correlation of the units of vectors drawn from a variational encoder's posterior.",
    ),
    "mine-paper": Metric(
        "mine-paper/2",
        "nats",
        _mine_paper,
        split="train",
        layers=("Y",),
        check=_check_inputs,
        title="Information I(X; Y), the paper's way",
        meaning="The paper's figure of mutual information, read on the critic's own training samples.",
    ),
    "ndm-paper": Metric(
        "ndm-paper/2",
        "nats",
        partial(_ndm_paper, sigmoid=False),
        {"sigmoid": partial(_ndm_paper, sigmoid=True)},
        split="train",
        layers=("Y",),
        check=_check_units,
        title="Dependence of units, the paper's way",
        meaning="The paper's figure of dependence, read on the discriminator's own training samples.",
    ),
}
"""Metrics by the names users type."""
