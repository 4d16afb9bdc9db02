"""The figures of the paper, to stand beside results of the same data set, settings, metric and layer.

The paper's layer ``fc`` is probably the output of the linear layer, before batch normalisation and ReLU, as in the code
released before the paper. Here that is ``fc-linear``; where it was measured, the figure stands beside it.

A figure belongs to the settings it was measured at. Where any of them is another, such as a weight, the number of
negatives, the prior or the learning rate, there is no figure. What the paper leaves open counts as the recipes have it.

Source: Hjelm et al., Learning deep representations by mutual information estimation and maximization, 2019,
arXiv 1808.06670, Tables 1 to 3. Accuracies are in %, MINE and NDM in nats.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple


class PublishedFigure(NamedTuple):
    """One entry of a table of the paper."""

    value: str
    """As printed."""
    method: str
    """The row."""
    table: int
    doubtful: bool = False

    @property
    def text(self) -> str:
        """The figure, with a mark where it is doubtful."""
        return f"{self.value}?" if self.doubtful else self.value


DOUBTFUL: Final = {("cifar10", "svm", "NAT", "fc"), ("cifar10", "svm", "NAT", "Y")}
"""By data set, metric, row and layer: entries that repeat VAE's of the same table to two digits or nearly so, and that
lie above what a network of 200 units reads from the same layer in Table 1 (Y: 31.16)."""

EPOCHS: Final = {"cifar10": 1000, "cifar100": 1000, "stl10": 200}
"""How long the paper trained; not stated for Tiny ImageNet."""

SUPERVISED: Final = {"cifar10": "75.39", "cifar100": "42.27", "tinyimagenet": "36.60", "stl10": "68.7"}
"""Accuracy of the paper's fully supervised network, in %."""

_HELD_OUT: Final = {"tinyimagenet": "validation"}
"""What the paper's figures were measured on, by data set; the test split where it is not named here."""

_ON_TRAINING_SPLIT: Final = ("mine-paper", "ndm-paper")
"""Figures that the paper has of the representation of the training split."""

SHAPES: Final = {
    "cifar10": "3 x 32 x 32",
    "cifar100": "3 x 32 x 32",
    "tinyimagenet": "3 x 64 x 64",
    "stl10": "3 x 64 x 64",
}
"""Inputs that the paper's encoders saw."""

VECTOR_SIZE: Final = 64
"""Units of Y in the paper's encoders."""

_LAYERS: Final = ("conv", "fc", "Y")
_FC, _FC_LINEAR = "fc", "fc-linear"

# (data set, metric) -> table, then by method the figures of conv, fc and Y, or of one of them
_TABLES: Final[dict[tuple[str, str], tuple[int, dict[str, str]]]] = {
    ("cifar10", "mlp"): (
        1,
        {
            "VAE": "60.71 60.54 54.61",
            "AAE": "59.44 57.19 52.81",
            "BiGAN": "62.57 62.74 52.54",
            "NAT": "56.19 51.29 31.16",
            "DIM(G)": "52.2 52.84 43.17",
            "DIM(L) JSD": "73.25 73.62 66.96",
            "DIM(L) InfoNCE": "75.21 75.57 69.13",
        },
    ),
    ("cifar100", "mlp"): (
        1,
        {
            "VAE": "37.21 34.05 24.22",
            "AAE": "36.22 33.38 23.25",
            "BiGAN": "37.59 33.34 21.49",
            "NAT": "29.18 24.57 9.72",
            "DIM(G)": "27.68 24.35 19.98",
            "DIM(L) JSD": "48.13 45.92 39.60",
            "DIM(L) InfoNCE": "49.74 47.72 41.61",
        },
    ),
    ("tinyimagenet", "mlp"): (
        2,
        {
            "VAE": "18.63 16.88 11.93",
            "AAE": "18.04 17.27 11.49",
            "BiGAN": "24.38 20.21 13.06",
            "NAT": "13.70 11.62 1.20",
            "DIM(G)": "11.32 6.34 4.95",
            "DIM(L) JSD": "33.54 36.88 31.66",
            "DIM(L) InfoNCE": "34.21 38.09 33.33",
        },
    ),
    ("stl10", "mlp"): (
        2,
        {
            "VAE": "58.27 56.72 46.47",
            "AAE": "59.54 54.47 43.89",
            "BiGAN": "71.53 67.18 58.48",
            "NAT": "64.32 61.43 48.84",
            "DIM(G)": "42.03 30.82 28.09",
            "DIM(L) JSD": "72.86 70.85 65.93",
            "DIM(L) InfoNCE": "72.57 70.00 67.08",
        },
    ),
    ("stl10", "semi_supervised"): (
        2,
        {
            "VAE": "68.65", "AAE": "64.15", "BiGAN": "74.77", "NAT": "70.75", "DIM(G)": "51.36",
            "DIM(L) JSD": "76.96", "DIM(L) InfoNCE": "76.81",
        },
    ),
    ("cifar10", "svm"): (
        3,
        {
            "VAE": "53.83 42.14 39.59",
            "AAE": "55.22 43.34 37.76",
            "BiGAN": "56.40 38.42 44.90",
            "NAT": "48.62 42.63 39.59",
            "DIM(G)": "46.8 28.79 29.08",
            "DIM(L+G)": "57.55 45.56 18.63",
            "DIM(L)": "63.25 54.06 49.62",
        },
    ),
    ("cifar10", "ms_ssim"): (
        3,
        {
            "VAE": "0.72", "AAE": "0.67", "BiGAN": "0.46", "NAT": "0.29",
            "DIM(G)": "0.49", "DIM(L+G)": "0.53", "DIM(L)": "0.37",
        },
    ),
    ("cifar10", "mine-paper"): (
        3,
        {
            "VAE": "93.02", "AAE": "87.48", "BiGAN": "37.69", "NAT": "6.04",
            "DIM(G)": "49.63", "DIM(L+G)": "101.65", "DIM(L)": "45.09",
        },
    ),
    # DIM's figures without the sigmoid are those that the paper has in brackets.
    ("cifar10", "ndm-paper"): (
        3,
        {
            "VAE": "1.62", "AAE": "0.03", "BiGAN": "24.49", "NAT": "0.02",
            "DIM(G)": "9.96", "DIM(L+G)": "22.89", "DIM(L)": "9.18",
        },
    ),
    ("cifar10", "ndm-paper (sigmoid)"): (3, {"DIM(G)": "0.35", "DIM(L+G)": "0.5", "DIM(L)": "0.18"}),
}  # fmt: skip

_DIM: Final = {
    "method": "deep-infomax", "prior": "uniform", "matching": "adversary", "limit": None, "penalty": 0, "noise": None,
}  # fmt: skip
_ENCODED: Final = {"local_scorer": "encode-and-dot", "units": 2048, "others": None}
_CONCATENATED: Final = {"local_scorer": "concat-and-convolve", "units": 512, "others": 1}
_WHOLE: Final = {"global_scorer": "concat"}
_WHOLE_ENCODED: Final = {"global_scorer": "encode-and-dot", "global_units": 2048}
_ADVERSARIAL: Final = {"gradient_penalty": 1, "gradient_penalty_on": "both"}


def _reading(
    local: Mapping[str, Any], whole: Mapping[str, Any], gamma: float, penalty: Mapping[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """The rows of Deep InfoMax, with what the paper leaves open settled in one way, as the recipes have it."""
    jsd = {**_DIM, **penalty, "bound": "jsd", "others": local["others"]}
    weights = {"alpha": 0, "beta": 1, "gamma": gamma}
    return [
        ("DIM(G)", {**jsd, **whole, "alpha": 1, "beta": 0, "gamma": 1}),
        ("DIM(L) JSD", {**jsd, **local, **weights}),
        ("DIM(L) InfoNCE", {**_DIM, **penalty, **_ENCODED, **weights, "bound": "infonce"}),
        ("DIM(L+G)", {**jsd, **local, **whole, "alpha": 0.5, "beta": 0.1, "gamma": gamma}),
    ]


_OBJECTIVES: Final[list[tuple[str, dict[str, Any]]]] = [
    *_reading(_ENCODED, _WHOLE, 0.1, _ADVERSARIAL),
    *_reading(_CONCATENATED, _WHOLE, 1, {"gradient_penalty": 1, "gradient_penalty_on": "prior"}),  # August 2018
    *_reading(_ENCODED, _WHOLE_ENCODED, 0.1, {"gradient_penalty": 1 / 64, "gradient_penalty_on": "both"}),  # 2019
    ("VAE", {"method": "vae", "beta": 1}),
    ("AAE", {"method": "aae", "prior": "uniform", "gamma": 0.1, **_ADVERSARIAL}),
    ("BiGAN", {"method": "bigan", "prior": "gaussian", "gradient_penalty": 1}),
    ("NAT", {"method": "nat"}),
]
"""The settings of every row; several where releases of the code differ from each other, or from the paper."""

_TRAINING: Final = {
    "batch_size": 64, "learning_rate": 1e-4, "adversary_learning_rate": 1e-4, "schedule": "constant", "weight_decay": 0,
    "average": None,
}  # fmt: skip
_BETAS: Final = ((0.9, 0.999), (0.5, 0.999))
_SCALINGS: Final = ("standard", "symmetric")
"""What the paper does not state, usual and as the code had it."""
_LATER: Final = {
    "others": None, "limit": None, "penalty": 0, "noise": None, "matching": "adversary", "gradient_penalty": 1,
    "gradient_penalty_on": "both", "adversary_learning_rate": 1e-4, "weight_decay": 0, "average": None,
}  # fmt: skip
"""What a run of a version without such a setting was trained with."""

_AUGMENTATION: Final = {"stl10": {"random_crop": 64, "flip": True}}
"""How the paper changed its inputs; nothing where the data set is not named here."""


def data_key(name: str) -> str:
    """A data set's name without case and punctuation, as the tables here are keyed.

    >>> data_key("Tiny-ImageNet")
    'tinyimagenet'
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def held_out_split(data: str) -> str:
    """The split of a data set, in the key of `data_key`, that the paper measured most figures on.

    >>> held_out_split("cifar10"), held_out_split("tinyimagenet")
    ('test', 'validation')
    """
    return _HELD_OUT.get(data, "test")


def measured_split(data: str, metric: str) -> str:
    """The split that the paper measured a metric on.

    >>> measured_split("cifar10", "mlp"), measured_split("cifar10", "ndm-paper")
    ('test', 'train')
    """
    return "train" if metric in _ON_TRAINING_SPLIT else held_out_split(data)


def method_of(objective: Mapping[str, Any]) -> str | None:
    """The paper's row with the settings of an objective; None where it has no such row.

    >>> method_of({"method": "bigan", "prior": "gaussian"}), method_of({"method": "bigan", "prior": "uniform"})
    ('BiGAN', None)
    """
    return next((row for row, settings in _OBJECTIVES if _agree(objective, settings)), None)


def trained_as_published(
    data: str, training: Mapping[str, Any], data_options: Mapping[str, Any], dataset: Mapping[str, Any]
) -> bool:
    """Whether a run on a data set, in the key of `data_key`, was trained as the paper's, but for the epochs.

    Args:
        data: The key.
        training: The run's `TrainingConfig`, as recorded.
        data_options: Its `DataOptions`.
        dataset: What describes the data that were read.
    """
    changed = {name: data_options[name] for name in ("random_crop", "flip") if data_options.get(name)}
    whole = not dataset.get("train_rule")
    open_ = tuple(training.get("betas", _BETAS[0])) in _BETAS and data_options.get("scaling", "standard") in _SCALINGS
    return _agree(training, _TRAINING) and open_ and changed == _AUGMENTATION.get(data, {}) and whole


def _agree(found: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    return all(found.get(name, _LATER.get(name, "unknown")) == value for name, value in settings.items())


def column_of(layer: str, measured: Collection[str]) -> str | None:
    """The paper's column that stands beside a layer, where a metric was measured at these.

    >>> column_of("fc", ["fc", "Y"]), column_of("fc", ["fc", "fc-linear"]), column_of("fc-linear", ["fc-linear"])
    ('fc', None, 'fc')
    """
    if layer == _FC and _FC_LINEAR in measured:
        return None
    return _FC if layer == _FC_LINEAR else layer


def said_of_fc(layers: Collection[str]) -> str:
    """What to know of the paper's ``fc`` where figures stand beside these layers; empty where none is that.

    >>> said_of_fc(["fc-linear", "Y"])
    "The paper's fc stands beside fc-linear, which it probably is: the layer before batch normalisation and ReLU."
    """
    said = {
        _FC_LINEAR: "The paper's fc stands beside fc-linear, which it probably is: "
        "the layer before batch normalisation and ReLU.",
        _FC: "Beside fc, the paper's figure is probably of the layer before batch normalisation and ReLU, which "
        "--layers conv,fc-linear,Y measures.",
    }
    return " ".join(sentence for layer, sentence in said.items() if layer in layers)


def published_figure(data: str, method: str | None, metric: str, layer: str) -> PublishedFigure | None:
    """The paper's figure for a data set (any spelling), a method of `method_of`, a metric and a layer.

    A metric's variant, where it is another than the default, follows its name in brackets.

    >>> published_figure("cifar10", "DIM(L) InfoNCE", "mlp", "Y")
    PublishedFigure(value='69.13', method='DIM(L) InfoNCE', table=1, doubtful=False)
    """
    metric = {"mlp-paper": "mlp", "svm-paper": "svm"}.get(metric, metric)
    if method is None or (data_key(data), metric) not in _TABLES:
        return None
    table, rows = _TABLES[data_key(data), metric]
    # Table 3 has one row for both local bounds.
    row = method if method in rows else method.split()[0]
    figures = rows.get(row, "").split()
    single = "conv" if metric == "semi_supervised" else "Y"
    layers = _LAYERS if len(figures) == len(_LAYERS) else (single,)
    by_layer = dict(zip(layers, figures, strict=False))
    if layer not in by_layer:
        return None
    return PublishedFigure(by_layer[layer], row, table, (data_key(data), metric, row, layer) in DOUBTFUL)
