"""Inputs that come one by one and lie in memory: given one size, stacked, and read by the rules for arrays."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final, NamedTuple

import numpy as np

from deep_infomax.data.arrays import build
from deep_infomax.data.dataset import Dataset
from deep_infomax.data.finite import NOT_FINITE, finite_or_missing, remedy
from deep_infomax.data.options import DataOptions, Layout
from deep_infomax.data.sizes import Input, choose_fit

_LAYOUTS: Final[dict[int, Layout]] = {1: "cl", 2: "chw", 3: "cdhw"}


class Listed(NamedTuple):
    """The inputs of one split."""

    inputs: Sequence[Input]
    """Each (channels, *spatial)."""
    labels: Sequence[Hashable] | np.ndarray | None
    where: str
    """Where they come from, for messages."""
    names: Sequence[str] | None = None
    """What messages call them, unless by their numbers."""


def build_lists(
    name: str, splits: Mapping[str, Listed], options: DataOptions, notes: Mapping[str, str | int] | None = None
) -> Dataset:
    """Make a data set of inputs that may differ in size.

    Args:
        name: What reports call the data.
        splits: train, and where they exist test, validation and unlabelled.
        options: ``size`` and ``crop`` make the inputs alike.
        notes: What was decided when they were found, for the description.

    Raises:
        ValueError: They differ in size and no option makes them alike, or cannot be used for another reason.

    >>> listed = Listed([np.zeros((1, 5)), np.zeros((1, 7))], None, "here")
    >>> build_lists("pair", {"train": listed}, DataOptions(size=6)).train.shape
    (1, 6)
    """
    called = [
        (listed.names[number] if listed.names else f"input {number} of {listed.where}", array.shape)
        for listed in splits.values()
        for number, array in enumerate(listed.inputs)
    ]
    if not called:
        raise ValueError("there are no inputs; give some")
    fit = choose_fit([shape for _, shape in called], [name for name, _ in called], options)
    if fit.gaps:  # of which nothing tells later whether they were there before
        for (called_so, _), array in zip(called, chain(*(listed.inputs for listed in splits.values())), strict=True):
            if not finite_or_missing(array, options).all():
                raise ValueError(f"{called_so} {NOT_FINITE}; {remedy(options)} the input")
        options = replace(options, missing=options.gap)
    arrays, names = dict[str, np.ndarray](), dict[str, str]()
    for split, listed in splits.items():
        role = "" if split == "train" else f"_{split}"
        arrays[f"x{role}"] = np.stack([fit.apply(array) for array in listed.inputs])
        names[f"x{role}"] = names[f"y{role}"] = listed.where
        if listed.labels is not None:
            arrays[f"y{role}"] = as_labels(listed.labels)
    dataset = build(name, arrays, replace(options, layout=_LAYOUTS[len(fit.shape) - 1]), names)
    said: dict[str, str | int] = {"size_rule": fit.rule, **(notes or {})}
    if dataset.train.labels is None:
        said["label_rule"] = "none wanted" if options.label_column == "none" else "none"
    return replace(dataset, description={**dataset.description, **said})


def as_labels(values: Sequence[Hashable] | np.ndarray) -> np.ndarray:
    """Labels as an array, one row for each, whatever it is.

    >>> as_labels(["b", 2, None])
    array(['b', 2, None], dtype=object)
    """
    if isinstance(values, np.ndarray):
        return values
    array = np.empty(len(values), object)
    array[:] = values
    return array
