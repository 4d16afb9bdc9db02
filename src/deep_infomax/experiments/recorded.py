"""Data read as a run recorded that it read them, where this version would read the same files otherwise."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from torch import Tensor

from deep_infomax.data import DataOptions, Dataset, Source, fingerprint
from deep_infomax.data.options import Layout

_LAYOUTS: Final[dict[str, Layout]] = {"channels first": "channels_first", "channels last": "channels_last"}


def recorded_options(options: DataOptions, recorded: Mapping[str, str | int] | None) -> DataOptions:
    """Options with the layout of arrays that a run recorded; arrays whose axes leave doubt were read without asking."""
    if recorded is None or options.layout != "auto":
        return options
    rule, sizes = str(recorded.get("channels_rule")), str(recorded.get("shape")).split(" x ")
    if rule == "one channel" and len(sizes) == 3:
        return replace(options, layout="hw")
    return replace(options, layout=_LAYOUTS[rule]) if rule in _LAYOUTS else options


def in_recorded_precision(dataset: Dataset, recorded: Mapping[str, str | int] | None) -> Dataset:
    """Data rounded to float32 where a run read them so, and this version reads them as float64."""
    found = dataset.description
    if recorded is None or (recorded.get("encoding"), found.get("encoding")) != ("float32", "float64"):
        return dataset
    rounded = replace(
        dataset,
        train=_rounded(dataset.train),
        test=dataset.test and _rounded(dataset.test),
        unlabelled=dataset.unlabelled and _rounded(dataset.unlabelled),
        uncropped=dataset.uncropped and in_recorded_precision(dataset.uncropped, recorded),
    )
    description = {name: value for name, value in found.items() if name != "precision_rule"} | {"encoding": "float32"}
    if "held_out_inputs" in found and rounded.test is not None:
        description["held_out_inputs"] = fingerprint(rounded.test)[:12]
    if "inputs" in found:
        description["inputs"] = fingerprint(rounded.pretraining)[:12]
    return replace(rounded, description=description)


def _rounded(source: Source) -> Source:
    if isinstance(source.inputs, Tensor):
        return replace(source, inputs=source.inputs.float())
    assert source.inputs.dtype != np.uint8
    return replace(source, double=False)
