"""Inputs of several sizes: series, volumes and arrays are cropped or padded about their centre, never scaled.

A crop keeps the central part of an axis. Padding to a stated size repeats the outermost values, which stay in the range
of the data whatever their zero means: silence in a recording, water in a CT. Padding to the longest input leaves gaps,
which count as missing values.
"""

import math
from collections.abc import Sequence
from operator import lt
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Num, Shaped

from deep_infomax.data.dataset import by
from deep_infomax.data.options import LONGEST, DataOptions, sides, written

Input = Num[np.ndarray, "channels *_"]
"""Values of one input; its spatial sizes may be other ones than those of the next."""


class Fit(NamedTuple):
    """How every input gets one size."""

    steps: tuple[tuple[int, ...], ...]
    """Spatial sizes that it is cropped or padded to, one after another."""
    shape: tuple[int, ...]
    """Channels and sizes after that."""
    rule: str
    """The same in words."""
    gaps: bool = False
    """Whether what is padded is NaN, which counts as missing; else it repeats the outermost values."""

    def apply(self, values: Input) -> Input:
        """Crop or pad one input."""
        for sizes in self.steps:
            values = gapped(values, sizes) if self.gaps else fitted(values, sizes)
        return values

    def kind(self, stored: np.dtype[Any]) -> np.dtype[Any]:
        """The type that values of a type have after that: gaps need floating-point numbers."""
        return np.result_type(stored, np.float32) if self.gaps else stored


def choose_fit(shapes: Sequence[tuple[int, ...]], names: Sequence[str], options: DataOptions) -> Fit:
    """Settle one size for inputs of the shapes (channels, *spatial), by `DataOptions.size` and `DataOptions.crop`.

    Args:
        shapes: Of each input.
        names: What messages call the inputs.
        options: What the user wants.

    Raises:
        ValueError: The inputs differ, and no option makes them alike.

    >>> choose_fit([(1, 5), (1, 9)], ["a", "b"], DataOptions(size=6)).rule
    'cropped or padded to 6 about the centre (1 of 2 inputs cropped, 1 padded with their outermost values)'
    """
    _require_alike(shapes, names)
    spatial = [shape[1:] for shape in shapes]
    axes, steps, rules = len(spatial[0]), [], []
    longest = tuple(max(lengths) for lengths in zip(*spatial, strict=True))
    if gaps := options.size == LONGEST and len(set(spatial)) > 1:
        padded = sum(sizes != longest for sizes in spatial)
        steps.append(longest)
        rules.append(
            f"padded to {by(longest)}, the longest, about the centre ({padded} of {len(spatial)} inputs); what is "
            "padded counts as missing"
        )
        spatial = [longest]
    elif options.size is not None and options.size != LONGEST:
        target = sides("size", options.size, axes)
        cropped = sum(any(n > wanted for n, wanted in zip(sizes, target, strict=True)) for sizes in spatial)
        padded = sum(any(n < wanted for n, wanted in zip(sizes, target, strict=True)) for sizes in spatial)
        steps.append(target)
        rules.append(
            f"cropped or padded to {by(target)} about the centre ({cropped} of {len(spatial)} inputs cropped, "
            f"{padded} padded with their outermost values)"
        )
        spatial = [target]
    if options.crop is not None:
        window = sides("crop", options.crop, axes)
        short = [row for row, sizes in enumerate(spatial) if any(map(lt, sizes, window))]
        if short:
            smallest = min(short, key=lambda row: min(spatial[row]))
            raise ValueError(
                f"{names[smallest]} has the size {by(spatial[smallest])}, too little for a crop of "
                f"{written(options.crop)}; set `data_options.size` to {written(options.crop)} to pad it, or "
                f"`data_options.crop` to at most {min(spatial[smallest])}"
            )
        steps.append(window)
        rules.append(f"centre crop of {written(options.crop)}")
    elif len(different := set(spatial)) > 1:
        raise ValueError(_sizes_differ(spatial, names, different))
    sizes = steps[-1] if steps else spatial[0]
    return Fit(tuple(steps), (shapes[0][0], *sizes), ", ".join(rules) or f"kept, all are {by(sizes)}", gaps)


def _require_alike(shapes: Sequence[tuple[int, ...]], names: Sequence[str]) -> None:
    for shape, name in zip(shapes, names, strict=True):
        if len(shape) != len(shapes[0]):
            raise ValueError(
                f"{names[0]} has the size {by(shapes[0][1:])}, {name} has {by(shape[1:])}; give inputs with one number "
                "of axes"
            )
        if shape[0] != shapes[0][0]:
            raise ValueError(
                f"{names[0]} has {shapes[0][0]} channels, {name} has {shape[0]}; give inputs with one number of "
                "channels"
            )
        if 0 in shape:
            raise ValueError(f"{name} has the size {by(shape[1:])}, so there is nothing in it; remove it")


def _sizes_differ(spatial: Sequence[tuple[int, ...]], names: Sequence[str], different: set[tuple[int, ...]]) -> str:
    least, most = (
        choose(range(len(spatial)), key=lambda position: (math.prod(spatial[position]), spatial[position]))
        for choose in (min, max)
    )
    return (
        f"the inputs have {len(different)} different sizes, from {by(spatial[least])} ({names[least]}) to "
        f"{by(spatial[most])} ({names[most]}); crop or pad all to one with `data_options.size`, pad all to the "
        f"longest with `data_options.size` {LONGEST}, or crop all to at most {min(map(min, spatial))} with "
        "`data_options.crop`"
    )


def fitted(values: Shaped[np.ndarray, "channels *spatial"], sizes: tuple[int, ...]) -> Shaped[np.ndarray, "..."]:
    """Crop or pad the last axes to these sizes about their centre; what is padded repeats the outermost values.

    >>> fitted(np.array([[1, 2, 3]]), (5,)).tolist(), fitted(np.array([[1, 2, 3, 4, 5]]), (2,)).tolist()
    ([[1, 1, 2, 3, 3]], [[2, 3]])
    """
    first = values.ndim - len(sizes)
    for axis, size in enumerate(sizes, first):
        if values.shape[axis] != size:
            values = values.take(_window(values.shape[axis], size), axis)
    return values


def gapped(values: Shaped[np.ndarray, "channels *spatial"], sizes: tuple[int, ...]) -> Shaped[np.ndarray, "..."]:
    """Crop or pad the last axes to these sizes about their centre; what is padded is NaN.

    >>> gapped(np.array([[1, 2]], np.float32), (4,)).tolist()
    [[nan, 1.0, 2.0, nan]]
    """
    lengths = values.shape[values.ndim - len(sizes) :]
    kept = fitted(values, tuple(map(min, lengths, sizes)))
    added = [(size - length) for size, length in zip(sizes, kept.shape[values.ndim - len(sizes) :], strict=True)]
    around = [(0, 0)] * (values.ndim - len(sizes)) + [(n // 2, n - n // 2) for n in added]
    return np.pad(kept.astype(np.result_type(kept, np.float32), copy=False), around, constant_values=np.nan)


def _window(length: int, size: int) -> Int[np.ndarray, " size"]:
    start = (length - size) // 2 if length > size else -((size - length) // 2)
    return np.arange(start, start + size).clip(0, length - 1)


def stacked(
    inputs: Sequence[Input], names: Sequence[str], options: DataOptions
) -> tuple[Num[np.ndarray, "n channels *spatial"], str]:
    """Inputs of one size, or given one, as one array; also say how.

    Raises:
        ValueError: They differ, and no option makes them alike.
    """
    fit = choose_fit([array.shape for array in inputs], names, options)
    return np.stack([fit.apply(array) for array in inputs]), fit.rule
