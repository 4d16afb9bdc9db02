"""Arrays of any shape: ``.npy`` (inputs) and ``.npz`` (inputs, labels, test inputs, test labels).

========  =======================================================================================================
axes      read as, where the layout is "auto"
========  =======================================================================================================
2         (n, length): series of one channel
3         (n, height, width): images of one channel
4         (n, height, width, channels) if the last axis has 1, 3 or 4 entries and the second has not;
          else (n, channels, height, width)
5         (n, channels, depth, height, width)
========  =======================================================================================================

The layouts "channels_first" and "channels_last" say which axis of 3 or more holds the channels.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from jaxtyping import Num
from torch import Tensor
from torch.nn.functional import interpolate

from deep_infomax.data.dataset import Dataset, Source, by, read_as
from deep_infomax.data.images import NO_LABELS, held_out_rule
from deep_infomax.data.labels import hold_out, number_classes
from deep_infomax.data.options import DataOptions
from deep_infomax.runtime.archives import UNREADABLE, require_honest
from deep_infomax.runtime.chunks import at_a_time

INPUTS = ("x", "inputs", "images", "arr_0")
LABELS = ("y", "labels")
CHUNK = 1024
"""Inputs that are checked or resized at a time, fewer of large ones."""


def load_arrays(file: Path, options: DataOptions) -> Dataset:
    """Load a ``.npy`` file, memory-mapped, or a ``.npz`` file.

    Keys of a ``.npz`` file: ``x``, ``inputs``, ``images`` or ``arr_0``; ``y`` or ``labels``; ``x_test``, ``y_test``.
    Numbers of 8 bits without sign stay so, all others are read as float32.

    Raises:
        ValueError: The file cannot be read, or its arrays cannot be used.
    """
    try:
        return build(file.stem, read_arrays(file), options)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def from_arrays(
    x: Num[Tensor, "..."] | Num[np.ndarray, "..."],
    y: Any = None,
    x_test: Num[Tensor, "..."] | Num[np.ndarray, "..."] | None = None,
    y_test: Any = None,
    *,
    name: str = "array",
    options: DataOptions | None = None,
) -> Dataset:
    """Make a data set of arrays in memory, by the rules for an ``.npz`` file that holds them.

    Args:
        x: Inputs (n, ...); the table above says how axes are read, ``options.layout`` otherwise.
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
    given = {"x": x, "y": y, "x_test": x_test, "y_test": y_test}
    return build(
        name, {key: as_array(array) for key, array in given.items() if array is not None}, options or DataOptions()
    )


def as_array(values: Any) -> np.ndarray:
    """Values as a NumPy array; a tensor's are copied only from another device, or from types that NumPy has not."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype is torch.bfloat16 else values).numpy()
    return np.asanyarray(values)


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file as x, y, x_test, y_test."""
    try:
        content = np.load(file, mmap_mode="r")
        if isinstance(content, np.ndarray):
            return {"x": content}
        with content as archive:
            wanted = {*INPUTS, *LABELS, "x_test", "y_test"}
            names = list(archive.files)
            with file.open("rb") as packed:
                require_honest(packed, wanted, psutil.virtual_memory().available)
            arrays = {key: archive[key] for key in names if key in wanted}
    except (OSError, *UNREADABLE) as error:
        raise ValueError(
            "it is no complete file of plain numpy arrays; write arrays of numbers with numpy.save or savez"
        ) from error
    x = next((key for key in INPUTS if key in arrays), None)
    if x is None:
        raise ValueError(f"no inputs among the arrays {sorted(names)}; name them x, and the labels y")
    y = next((key for key in LABELS if key in arrays), None)
    named = {"x": x, "y": y, "x_test": "x_test", "y_test": "y_test"}
    return {role: arrays[key] for role, key in named.items() if key in arrays}


def build(name: str, arrays: Mapping[str, np.ndarray], options: DataOptions) -> Dataset:
    """Check the arrays and make a data set of them."""
    x, rule = to_inputs(arrays["x"], options)
    x_test = to_inputs(arrays["x_test"], options)[0] if "x_test" in arrays else None
    if x_test is not None and x_test.shape[1:] != x.shape[1:]:
        raise ValueError(f"x has inputs of {by(x.shape[1:])}, x_test of {by(x_test.shape[1:])}; give both one shape")
    n_test = 0 if x_test is None else len(x_test)
    if options.label_column == "none":
        arrays = {key: array for key, array in arrays.items() if key not in ("y", "y_test")}
    labels, classes = number_classes(
        {"train": to_labels(arrays, "y", len(x)), "test": to_labels(arrays, "y_test", n_test)}
    )
    train = Source(x, labels["train"], None if labels["train"] is None else classes, name, "train")
    if x_test is None:
        return split_off_test(train, rule)
    test = Source(x_test, labels["test"], None if labels["test"] is None else classes, name, "test")
    return Dataset(name, train, test, None, {**rule, "split_rule": "x_test as given"})


def split_off_test(train: Source, description: dict[str, str | int], count: int | None = None) -> Dataset:
    """Hold out a part of labelled inputs as the test split; unlabelled inputs are all for training."""
    if train.labels is None:
        return Dataset(train.name, train, None, None, {**description, "split_rule": NO_LABELS})
    kept, held = hold_out(train.labels, count)
    parts = [
        Source(train.take(index), train.labels[index], train.classes, train.name, split)
        for split, index in (("train", kept), ("test", held))
    ]
    description = {**description, "split_rule": held_out_rule(len(held), len(train))}
    return Dataset(train.name, parts[0], parts[1], None, description, held_out=held)


def to_labels(arrays: Mapping[str, np.ndarray], key: str, n: int) -> list[object] | None:
    """Check the labels of n inputs; None where there are none."""
    if key not in arrays:
        return None
    y = arrays[key]
    if y.shape not in ((n,), (n, 1)):
        raise ValueError(f"{key} has the shape {y.shape} for {n} inputs; give one label for each input, shape ({n},)")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(f"{key} has labels that are not finite; label every input")
    whole = y.dtype.kind == "f" and (y == y.round()).all()
    labels: list[object] = (y.astype(np.int64) if whole else y).reshape(-1).tolist()
    return labels


def to_inputs(
    array: np.ndarray, options: DataOptions
) -> tuple[Num[Tensor, "n channels *spatial"] | Num[np.ndarray, "n channels *spatial"], dict[str, str | int]]:
    """Check the numbers, put the channels second and apply ``resize`` and ``crop``; also say what was done."""
    if array.dtype.kind not in "biuf":
        raise ValueError(f"the inputs are of type {array.dtype}; save real numbers")
    if array.ndim < 2 or array.ndim > 5:
        raise ValueError(
            f"the inputs have the shape {array.shape}; arrays have 2 to 5 axes: (n, length), (n, height, width), "
            "(n, channels, height, width), (n, channels, depth, height, width)"
        )
    if 0 in array.shape:
        raise ValueError(f"the inputs have the shape {array.shape}, so there are none; give at least one")
    if array.dtype.kind == "b" or array.dtype.itemsize > 8:  # no tensor's numbers
        with np.errstate(over="ignore"):  # what becomes infinite is reported below
            array = np.array(array, np.float32)
    array, layout = channels_second(array, options.layout)
    if options.channels not in (None, array.shape[1]):
        raise ValueError(
            f"the inputs have {array.shape[1]} channels, and `data_options.channels` converts only "
            "image files; leave it out, or set `data_options.layout` if the channels lie elsewhere"
        )
    check_finite(array)
    kind = read_as(array.dtype)
    mapped = isinstance(array, np.memmap)
    inputs, size_rule = resized(array if mapped else torch.from_numpy(np.ascontiguousarray(array, kind)), options)
    rule: dict[str, str | int] = {"shape": by(inputs.shape[1:]), "encoding": str(kind), "channels_rule": layout}
    return inputs, rule | {"size_rule": size_rule}


def channels_second(array: np.ndarray, layout: str) -> tuple[Num[np.ndarray, "n channels *spatial"], str]:
    """Move the channels to the second axis, or add one; a view. Also say which rule was used."""
    if array.ndim == 2 or (array.ndim == 3 and layout == "auto"):
        return array[:, None], "one channel"
    if layout == "auto":
        last = array.ndim == 4 and array.shape[-1] in (1, 3, 4) and array.shape[1] not in (1, 3, 4)
        layout = "channels_last" if last else "channels_first"
    return (np.moveaxis(array, -1, 1) if layout == "channels_last" else array), layout.replace("_", " ")


def check_finite(array: np.ndarray) -> None:
    """Refuse NaN and infinity.

    Raises:
        ValueError: Some number is not finite in float32.
    """
    if array.dtype.kind != "f":
        return
    rows = at_a_time(array.shape[1:], CHUNK)
    for start in range(0, len(array), rows):
        with np.errstate(over="ignore"):  # what becomes infinite is reported below
            chunk = array[start : start + rows].astype(np.float32, copy=False)
        finite = np.isfinite(chunk).all(axis=tuple(range(1, array.ndim)))
        if not finite.all():
            first = start + int(np.argmin(finite))
            raise ValueError(
                f"input {first} has numbers that are NaN or infinite in float32; replace them or remove the input"
            )


def resized(
    inputs: Num[Tensor, "n channels *spatial"] | Num[np.ndarray, "n channels *spatial"], options: DataOptions
) -> tuple[Num[Tensor, "n channels *_"] | Num[np.ndarray, "n channels *_"], str]:
    """Apply ``resize`` (images only) and ``crop``; also say what was done."""
    rules = []
    if options.resize is not None:
        if inputs.ndim != 4:
            raise ValueError(f"`data_options.resize` is for images; leave it out for {inputs.ndim - 2} spatial axes")
        height, width = inputs.shape[2:]
        scale = options.resize / min(height, width)
        size = [max(options.resize, round(height * scale)), max(options.resize, round(width * scale))]
        rows = at_a_time(inputs.shape[1:], CHUNK)
        inputs = torch.cat([resize_chunk(inputs[start : start + rows], size) for start in range(0, len(inputs), rows)])
        rules.append(f"short side resized to {options.resize} (bilinear, antialiased)")
    side = options.crop or options.resize
    if side is not None:
        inputs = Source(inputs, None, None, "the inputs", "").centre_crop(side).inputs
        rules.append(f"centre crop of {side}")
    return inputs, ", ".join(rules) or "kept"


def resize_chunk(chunk: Tensor | np.ndarray, size: list[int]) -> Tensor:
    """Resize images, keeping the type that they are read as."""
    images = chunk if isinstance(chunk, Tensor) else torch.from_numpy(np.array(chunk, read_as(chunk.dtype)))
    scaled = interpolate(images.float(), size=size, mode="bilinear", antialias=True)
    return scaled if images.is_floating_point() else scaled.round().to(images.dtype)
