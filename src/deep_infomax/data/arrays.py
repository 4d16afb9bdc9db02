"""Arrays of any shape: ``.npy`` (inputs) and ``.npz`` (inputs and labels of several splits).

How axes are read is told in `axes`, how the arrays of an ``.npz`` file are named in `archives`, and in which type
numbers are kept in `precision`.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Num, Shaped
from torch import Tensor
from torch.nn.functional import interpolate

from deep_infomax.data.archives import read_archive
from deep_infomax.data.array_labels import to_labels
from deep_infomax.data.axes import NAMES, axes_of, channels_rule, channels_second
from deep_infomax.data.dataset import Dataset, Source, by
from deep_infomax.data.finite import NOT_FINITE, finite_or_missing, remedy
from deep_infomax.data.images import NO_LABELS, held_out_rule
from deep_infomax.data.labels import hold_out
from deep_infomax.data.missing import surveyed
from deep_infomax.data.options import LONGEST, DataOptions, written
from deep_infomax.data.precision import DOUBLE, PRECISION, stored_as
from deep_infomax.data.shards import ShardedInputs
from deep_infomax.data.sizes import choose_fit, fitted
from deep_infomax.runtime.chunks import at_a_time

CHUNK = 1024
"""Inputs that are checked or resized at a time, fewer of large ones."""

Inputs = Num[Tensor, "_ channels *spatial"] | Num[np.ndarray, "_ channels *spatial"]


def load_arrays(file: Path, options: DataOptions) -> Dataset:
    """Load a ``.npy`` file, memory-mapped, or a ``.npz`` file.

    Raises:
        ValueError: The file cannot be read, or its arrays cannot be used.
    """
    try:
        archive = read_archive(file)
        dataset = build(file.stem, archive.arrays, options, archive.names)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    if not archive.unread:
        return dataset
    unread = ", ".join(filter(None, [str(dataset.description.get("not_read", "")), *archive.unread]))
    return replace(dataset, description={**dataset.description, "not_read": unread})


def from_arrays(
    x: Shaped[Tensor, "..."] | Shaped[np.ndarray, "..."],
    y: Any = None,
    x_test: Shaped[Tensor, "..."] | Shaped[np.ndarray, "..."] | None = None,
    y_test: Any = None,
    *,
    name: str = "array",
    options: DataOptions | None = None,
) -> Dataset:
    """Make a data set of arrays in memory, by the rules for an ``.npz`` file that holds them.

    Args:
        x: Inputs (n, ...); axes are read where their sizes leave no doubt, or as ``options.layout`` says.
        y: Their labels (n,), numbers or words; None where there are none.
        x_test: Inputs to test on; without them, a part of labelled inputs is held out.
        y_test: Their labels.
        name: What reports call the data.
        options: How to read the arrays.

    Raises:
        ValueError: The arrays cannot be used.

    >>> dataset = from_arrays(np.zeros((20, 1, 8, 8), np.uint8), np.arange(20) % 2)
    >>> len(dataset.train), dataset.train.classes
    (16, ('0', '1'))
    """
    options = options or DataOptions()
    inputs, labels = {"x": x, "x_test": x_test}, {"y": y, "y_test": y_test}
    given = {key: as_array(array, options.missing is not None) for key, array in inputs.items() if array is not None}
    given |= {key: as_array(array) for key, array in labels.items() if array is not None}
    return surveyed(build(name, given, options), options)


def as_array(values: Any, missing: bool = False) -> np.ndarray:
    """Values as a NumPy array; a tensor's are copied only from another device, or from types that NumPy has not.

    Args:
        values: What is given.
        missing: Make masked values NaN, where they are refused otherwise.

    Raises:
        ValueError: Some values are masked.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype is torch.bfloat16 else values).numpy()
    if np.ma.is_masked(values):
        if not missing:
            raise ValueError(
                "some values are masked, and would be read as if they were not; fill or remove them, or set "
                "`data_options.missing` to nan"
            )
        kind = values.dtype if values.dtype.kind == "f" else np.result_type(values.dtype, np.float32)
        return np.asarray(values.astype(kind).filled(np.nan))
    return np.asanyarray(values)


def build(
    name: str, arrays: Mapping[str, np.ndarray], options: DataOptions, names: Mapping[str, str] | None = None
) -> Dataset:
    """Check the arrays and make a data set of them.

    Args:
        name: What reports call the data.
        arrays: By role, as `archives.Archive` has them.
        options: How to read them.
        names: What messages call the arrays, unless by their roles.
    """
    names = names or {role: role for role in arrays}
    if options.label_column == "none":
        arrays = {role: array for role, array in arrays.items() if not role.startswith("y")}
    split = chosen_test(arrays)
    splits = {"train": "", **({split: f"_{split}"} if split else {})}
    if "x_unlabelled" in arrays:
        splits["unlabelled"] = "_unlabelled"
    inputs, rule = to_inputs({names[f"x{role}"]: arrays[f"x{role}"] for role in splits.values()}, options)
    labels, classes, label_rule = to_labels(
        arrays, names, {part: f"y{role}" for part, role in splits.items()}, [len(x) for x, _ in inputs]
    )
    rule["label_rule"] = "none wanted" if options.label_column == "none" else label_rule
    sources = {
        part: Source(x, labels[part], None if labels[part] is None else classes, name, part, double=double)
        for part, (x, double) in zip(splits, inputs, strict=True)
    }
    if "x_validation" in arrays and split == "test":
        rule["not_read"] = names["x_validation"]
    train, unlabelled = sources["train"], sources.get("unlabelled")
    if split is None:
        return replace(split_off_test(train, rule), unlabelled=unlabelled)
    return Dataset(name, train, sources[split], unlabelled, {**rule, "split_rule": f"x_{split} as given"})


def chosen_test(arrays: Mapping[str, np.ndarray]) -> str | None:
    """The part to test on: the test arrays, or the validation arrays where only those are there or labelled."""
    given = [split for split in ("test", "validation") if f"x_{split}" in arrays]
    return min(given, key=lambda split: f"y_{split}" not in arrays, default=None)


def split_off_test(train: Source, description: dict[str, str | int], count: int | None = None) -> Dataset:
    """Hold out a part of labelled inputs as the test split; unlabelled inputs are all for training."""
    if train.labels is None:
        return Dataset(train.name, train, None, None, {**description, "split_rule": NO_LABELS})
    kept, held = hold_out(train.labels, count)
    description = {**description, "split_rule": held_out_rule(len(held), len(train))}
    parts = [replace(train.selected(index), split=split) for split, index in (("train", kept), ("test", held))]
    return Dataset(train.name, parts[0], parts[1], None, description, held_out=held)


def to_inputs(
    arrays: Mapping[str, np.ndarray], options: DataOptions
) -> tuple[list[tuple[Inputs, bool]], dict[str, str | int]]:
    """Check the numbers of several splits, put the channels second and apply ``resize`` and ``crop``.

    Returns:
        The inputs of each split, and whether those that stay on disk are to be read as float64; and what was done.
    """
    first, *others = arrays.values()
    for array in arrays.values():
        check_numbers(array)
    axes = axes_of(first.shape, options.layout, first.dtype == np.uint8 or options.resize is not None)
    for array in others:
        if array.ndim != first.ndim:
            raise ValueError(shapes_differ(arrays))
    plain = [channels_second(as_numbers(array), axes) for array in arrays.values()]
    if any(array.shape[1:] != plain[0].shape[1:] for array in plain):
        raise ValueError(shapes_differ(arrays))
    if options.channels not in (None, plain[0].shape[1]):
        raise ValueError(
            f"the inputs have {plain[0].shape[1]} channels, and `data_options.channels` converts only "
            "image files; leave it out, or set `data_options.layout` if the channels lie elsewhere"
        )
    for name, array in zip(arrays, plain, strict=True):
        check_finite(array, "" if array is plain[0] else f" of {name}", options)
    kinds = [stored_as(channels_second(array, axes)) for array in arrays.values()]
    kind = np.dtype(np.float64) if np.float64 in kinds else kinds[0]
    inputs, size_rule = [], ""
    for array in plain:
        with np.errstate(over="ignore"):  # of a number for missing values; all others are finite
            kept = array if isinstance(array, np.memmap) else torch.from_numpy(np.ascontiguousarray(array, kind))
        found, size_rule = resized(kept, options, kind)
        inputs.append((found, kind == np.float64))
    rule: dict[str, str | int] = {
        "shape": by(inputs[0][0].shape[1:]),
        "encoding": str(kind),
        "channels_rule": channels_rule(axes),
        "size_rule": size_rule,
        "axes": f"{axes} ({', '.join(NAMES[letter] for letter in axes)})",
    }
    if kind == np.float64:
        rule[PRECISION] = DOUBLE
    return inputs, rule


def shapes_differ(arrays: Mapping[str, np.ndarray]) -> str:
    """Say that the inputs of several splits differ in shape."""
    shapes = ", ".join(f"{name} has inputs of {by(array.shape[1:])}" for name, array in arrays.items())
    return f"{shapes}; give all one shape"


def check_numbers(array: np.ndarray) -> None:
    """Refuse what cannot be inputs."""
    if array.dtype.kind not in "biuf":
        raise ValueError(f"the inputs are of type {array.dtype}; save real numbers")
    if array.ndim < 2 or array.ndim > 5:
        raise ValueError(
            f"the inputs have the shape {array.shape}; arrays have 2 to 5 axes: (n, length), (n, height, width), "
            "(n, channels, height, width), (n, channels, depth, height, width)"
        )
    if 0 in array.shape:
        raise ValueError(f"the inputs have the shape {array.shape}, so there are none; give at least one")


def as_numbers(array: np.ndarray) -> np.ndarray:
    """An array that tensors can be made of: no truth values, and no numbers of more than 8 bytes."""
    if array.dtype.kind == "b":
        return array.astype(np.float32)
    return array.astype(np.float64) if array.dtype.itemsize > 8 else array


def check_finite(array: np.ndarray, which: str, options: DataOptions) -> None:
    """Refuse infinity, and NaN unless missing values are announced.

    Raises:
        ValueError: Some number is not finite in float32.
    """
    if array.dtype.kind != "f":
        return
    rows = at_a_time(array.shape[1:], CHUNK)
    for start in range(0, len(array), rows):
        finite = finite_or_missing(array[start : start + rows], options).all(axis=tuple(range(1, array.ndim)))
        if not finite.all():
            first = start + int(np.argmin(finite))
            raise ValueError(f"input {first}{which} {NOT_FINITE}; {remedy(options)} the input")


def resized(
    inputs: Num[Tensor, "n channels *spatial"] | Num[np.ndarray, "n channels *spatial"],
    options: DataOptions,
    kind: np.dtype,
) -> tuple[Num[Tensor, "n channels *_"] | Num[np.ndarray, "n channels *_"], str]:
    """Apply ``resize`` (images only), ``size`` and ``crop``; also say what was done."""
    rules = []
    if options.resize is not None:
        if inputs.ndim != 4:
            raise ValueError(f"`data_options.resize` is for images; leave it out for {inputs.ndim - 2} spatial axes")
        height, width = inputs.shape[2:]
        scale = options.resize / min(height, width)
        size = [max(options.resize, round(height * scale)), max(options.resize, round(width * scale))]
        rows = at_a_time(inputs.shape[1:], CHUNK)
        inputs = torch.cat(
            [resize_chunk(inputs[start : start + rows], size, kind) for start in range(0, len(inputs), rows)]
        )
        rules.append(f"short side resized to {options.resize} (bilinear, antialiased)")
    if options.size not in (None, LONGEST):  # an array has inputs of one size
        fit = choose_fit([tuple(inputs.shape[1:])], ["the array"], replace(options, crop=None))
        if fit.shape != tuple(inputs.shape[1:]):
            inputs = torch.from_numpy(np.ascontiguousarray(fitted(np.asarray(inputs), *fit.steps), kind))
        rules.append(f"cropped or padded to {by(fit.shape[1:])} about the centre, with the outermost values")
    side = options.crop or options.resize
    if side is not None:
        window = Source(inputs, None, None, "the inputs", "").centre_crop(side).inputs
        assert not isinstance(window, ShardedInputs)
        inputs = window
        rules.append(f"centre crop of {written(side)}")
    return inputs, ", ".join(rules) or "kept"


def resize_chunk(chunk: Tensor | np.ndarray, size: list[int], kind: np.dtype) -> Tensor:
    """Resize images, keeping the type that they are read as."""
    images = chunk if isinstance(chunk, Tensor) else torch.from_numpy(np.array(chunk, kind))
    numbers = images if images.is_floating_point() else images.float()
    scaled = interpolate(numbers, size=size, mode="bilinear", antialias=True)
    return scaled if images.is_floating_point() else scaled.round().to(images.dtype)
