"""What the rest of the project sees of data: a `Source` of inputs, and the `Dataset` of its splits."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, Num
from torch import Tensor

from deep_infomax.data.options import Sides, sides
from deep_infomax.data.precision import stored_as
from deep_infomax.data.shards import Order, ShardedInputs, joined_shards
from deep_infomax.runtime.missing import Missing

FileNames = Callable[[], list[str]]
"""Gives the names of files when they are wanted, as a million of them take time and memory."""


@dataclass(frozen=True, eq=False)
class Source:
    """Inputs of one split, in memory, memory-mapped, or in shards that are decoded as they are wanted.

    >>> source = Source(torch.arange(12, dtype=torch.uint8).reshape(3, 1, 4), None, None, "ramp", "train")
    >>> len(source), source.shape
    (3, (1, 4))
    >>> source.take(torch.tensor([2])).tolist()
    [[[8, 9, 10, 11]]]
    """

    inputs: (
        Num[Tensor, "n channels *spatial"]
        | Num[np.ndarray, "n channels *spatial"]
        | Num[ShardedInputs, "n channels *spatial"]
    )
    """A tensor where the inputs lie in memory, a numpy memory map, read as `kind`, where they lie on disk; or shards,
    read alike."""
    labels: Int[Tensor, " n"] | None
    """Classes 0 to len(classes) - 1; None where the inputs are unlabelled."""
    classes: tuple[str, ...] | None
    """The name of each class."""
    name: str
    """The data set."""
    split: str
    """The part of it: train, test, validation, unlabelled or held-out (training inputs to choose settings by)."""
    double: bool = False
    """Whether a memory map is read as float64, as float32 would tell too few of its values apart."""
    missing: Missing | None = None
    """What stands for a missing value in the inputs; None where none is missing."""
    files: FileNames | None = None
    """Gives the file that each input was read from, by its path below the folder of the data; None where that is not
    known."""

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.inputs)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of one input: channels, then the spatial sizes."""
        return tuple(self.inputs.shape[1:])

    @property
    def nbytes(self) -> int:
        """Bytes that all inputs occupy once in memory."""
        kind = self.inputs.dtype if isinstance(self.inputs, Tensor) else self.kind
        return int(np.prod(self.inputs.shape)) * kind.itemsize

    @property
    def kind(self) -> np.dtype[Any]:
        """The type that a memory map, or what is in shards, is read as."""
        assert not isinstance(self.inputs, Tensor)
        return np.dtype(np.float64) if self.double else read_as(self.inputs.dtype)

    def take(self, index: Int[Tensor, " k"]) -> Num[Tensor, "k channels *spatial"]:
        """Gather the inputs at ``index``: a copy, on their device (the CPU where they are mapped)."""
        if isinstance(self.inputs, Tensor):
            return self.inputs[index.to(self.inputs.device)].contiguous()
        with np.errstate(over="ignore"):  # of a number for missing values, as all others are looked at before
            return torch.from_numpy(np.ascontiguousarray(self.inputs[index.cpu().numpy()], self.kind))

    def order(self, seed: int, epoch: int) -> Order:
        """The order in which an epoch reads the inputs, a function of (seed, epoch); see `deep_infomax.data.shards`.

        >>> Source(torch.zeros(4, 1, 1), None, None, "x", "train").order(seed=0, epoch=1).permutation.tolist()
        [3, 0, 2, 1]
        """
        if isinstance(self.inputs, ShardedInputs):
            return self.inputs.order(seed, epoch)
        permutation = np.random.default_rng([seed, epoch]).permutation(len(self))
        return Order(torch.from_numpy(permutation), (len(self),))

    def candidates(self, most: int) -> Int[Tensor, " k"]:
        """Positions to choose so many inputs from: all, or those of a few shards, as others need not be read then."""
        if isinstance(self.inputs, ShardedInputs):
            return self.inputs.candidates(most)
        return torch.arange(len(self))

    def sample(self, most: int) -> Num[Tensor, "k channels *spatial"]:
        """At most so many inputs from everywhere, to look at."""
        found = self.candidates(most)
        return self.take(found[evenly_spaced(len(found), most)])

    def evenly_spaced(self, most: int) -> "Source":
        """At most so many inputs, spread over the whole source, copied into memory.

        Where that leaves out a class, as when every tenth input is of one class, they are spread over each class.
        """
        index = evenly_spaced(len(self), most)
        if self.labels is not None and len(self.labels[index].unique()) < min(most, len(self.labels.unique())):
            index = self.labels.argsort(stable=True)[index].sort().values
        return replace(self.selected(index), inputs=self.take(index))

    def selected(self, index: Int[Tensor, " k"]) -> "Source":
        """Return some of the inputs (ascending), with their labels and files; copied into memory unless in shards."""
        if isinstance(inputs := self.inputs, ShardedInputs):
            inputs = inputs.subset(index.cpu().numpy())
        else:
            inputs = self.take(index)
        return replace(
            self,
            inputs=inputs,
            labels=None if self.labels is None else self.labels[index],
            files=None if self.files is None else partial(_files_at, self.files, index),
        )

    def centre_crop(self, size: Sides) -> "Source":
        """Return the same source seen through a central window of these sizes, or one for all; nothing is copied.

        Raises:
            ValueError: An axis is shorter than the window, or the sizes are of another number of axes.
        """
        spatial = self.shape[1:]
        sizes = sides("crop", size, len(spatial))
        if any(wanted > length for wanted, length in zip(sizes, spatial, strict=True)):
            window = str(size) if isinstance(size, int) else by(size)
            raise ValueError(
                f"{self.name} {self.split}: inputs of {by(spatial)} cannot be cropped to {window}; "
                f"set `data_options.resize` to {max(sizes)}, or crop to at most {min(spatial)}"
            )
        starts = [(length - wanted) // 2 for wanted, length in zip(sizes, spatial, strict=True)]
        slices = [slice(start, start + wanted) for start, wanted in zip(starts, sizes, strict=True)]
        if isinstance(self.inputs, ShardedInputs):
            return replace(self, inputs=self.inputs.window(slices))
        return replace(self, inputs=self.inputs[(slice(None), slice(None), *slices)])


@dataclass(frozen=True, eq=False)
class Dataset:
    """The splits of a data set. ``train`` and ``test`` serve the probes, `pretraining` the encoder."""

    name: str
    train: Source
    """Training inputs, labelled where the data set has labels."""
    test: Source | None
    """Inputs that neither training nor any choice has seen (held-out: no training); None where there are none."""
    unlabelled: Source | None
    """Further training inputs without labels (STL-10)."""
    description: dict[str, str | int]
    """What was read and by which rules, for the records of a run."""
    uncropped: "Dataset | None" = None
    """Where random crops are drawn from: the same at full size, where the splits show the centre."""
    window: tuple[int, ...] | None = None
    """Sizes of the random crops that an encoder is trained on, where the splits show whole inputs."""
    with_labelled: bool = False
    """Whether an encoder is trained on ``train`` as well where there is ``unlabelled``."""
    held_out: Int[Tensor, " _"] | None = None
    """Rows of the stored inputs that ``test`` was held out from, ascending; None where it was not."""

    @cached_property
    def pretraining(self) -> Source:
        """The inputs an encoder is trained on: ``unlabelled`` where the data set has such a split, else ``train``.

        Or both, unlabelled inputs first, if ``with_labelled`` says so.
        """
        whole = self.uncropped or self
        if whole.unlabelled is None:
            return whole.train
        return joined(whole.unlabelled, whole.train) if self.with_labelled else whole.unlabelled

    @property
    def trained_shape(self) -> tuple[int, ...]:
        """Channels and sizes of what an encoder is trained on."""
        return self.train.shape if self.window is None else (self.train.shape[0], *self.window)

    @property
    def labelled(self) -> Source:
        """The inputs an encoder is trained on that is told their classes."""
        return (self.uncropped or self).train

    @property
    def stored(self) -> dict[str, list[tuple[Source, Int[Tensor, " _"]]]]:
        """The splits as they are stored, each in parts: a source, and the rows its inputs have in the split.

        What was held out of the training inputs is back among them, and is no split.
        """
        sources = {"train": self.train, "test": self.test, "unlabelled": self.unlabelled}
        splits = {name: [(source, torch.arange(len(source)))] for name, source in sources.items() if source is not None}
        if self.held_out is not None:
            [(test, _)] = splits.pop("test")
            kept = torch.ones(len(self.train) + len(test), dtype=torch.bool).index_fill(0, self.held_out, False)
            splits["train"] = [(self.train, kept.nonzero().flatten()), (test, self.held_out)]
        return splits

    def rows_of(self, source: Source) -> Int[Tensor, " n"]:
        """The rows that the inputs of a source, one of those in `stored`, have in its split."""
        return next(rows for parts in self.stored.values() for part, rows in parts if part is source)


def joined(first: Source, second: Source) -> Source:
    """The inputs of two sources of one data set, without labels; a copy where both lie in memory.

    >>> one, other = (Source(torch.full((n, 1, 2), float(n)), None, None, "x", "train") for n in (2, 1))
    >>> joined(one, other).take(torch.tensor([2, 0]))[:, 0, 0].tolist()
    [1.0, 2.0]
    """
    files = None
    if first.files is not None and second.files is not None:
        files = partial(_files_of_both, first.files, second.files)
    return replace(
        first,
        inputs=_inputs_of_both(first, second),
        labels=None,
        classes=None,
        split=f"{first.split} and {second.split}",
        double=first.double or second.double,
        missing=second.missing if first.missing is None else first.missing,
        files=files,
    )


def _inputs_of_both(
    first: Source, second: Source
) -> Num[Tensor, "n channels *spatial"] | Num[ShardedInputs, "n channels *spatial"]:
    if isinstance(first.inputs, Tensor) and isinstance(second.inputs, Tensor):
        return torch.cat([first.inputs, second.inputs])
    parts = [
        source.inputs.numpy() if isinstance(source.inputs, Tensor) else source.inputs for source in (first, second)
    ]
    return joined_shards(*parts)


def _files_of_both(first: FileNames, second: FileNames) -> list[str]:
    return first() + second()


def _files_at(files: FileNames, index: Int[Tensor, " k"]) -> list[str]:
    names = files()
    return [names[position] for position in index.tolist()]


def require_labels(source: Source) -> tuple[Int[Tensor, " n"], tuple[str, ...]]:
    """Return the labels and class names of a source that a probe or a supervised objective reads.

    Raises:
        ValueError: The source has no labels, or all its inputs have the same one.
    """
    if source.labels is None or source.classes is None:
        raise ValueError(
            f"{source.name} {source.split} has no labels, which a probe needs; name a labelled data set with `probe`, "
            "sort the images into one folder for each class, or add the labels (a label column, y in an .npz file)"
        )
    if len(source.classes) < 2:
        raise ValueError(
            f"{source.name} {source.split} has one class only, {source.classes[0]!r}; a probe needs at least 2"
        )
    return source.labels, source.classes


def labels_to_test_on(train: Source, test: Source) -> str | None:
    """What a probe that learns from one part cannot be tested with in the other; None where nothing stands against it.

    >>> inputs, classes = torch.zeros(2, 1, 3), ("a", "b", "c")
    >>> train, test = (Source(inputs, torch.tensor(y), classes, "x", "") for y in ([0, 1], [1, 2]))
    >>> labels_to_test_on(train, test)
    '1 of 2 inputs are of classes that the training part lacks (c)'
    """
    if train.labels is None or train.classes is None:
        return None
    if test.labels is None:
        return "none"
    new = ~torch.isin(test.labels, train.labels)
    if not new.any():
        return None
    names = [train.classes[number] for number in test.labels[new].unique().tolist()]
    some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{int(new.sum())} of {len(test)} inputs are of classes that the training part lacks ({some})"


def require_probed(train: Source, test: Source) -> None:
    """Raise ValueError unless what a probe learns from the labels of one part can be tested on those of the other."""
    labels, classes = require_labels(train)
    if len(present := labels.unique()) < 2:
        raise ValueError(
            f"{train.name} {train.split} has one class only, {classes[int(present[0])]!r}; a probe needs at least 2"
        )
    said = labels_to_test_on(train, test)
    if said == "none":
        raise ValueError(
            f"{test.name} {test.split} has no labels, which a probe needs; name a labelled data set with `probe`, "
            "or test on labelled training inputs with `data_options.held_out`"
        )
    if said:
        raise ValueError(
            f"{test.name} {test.split}: {said}, which no probe can have learnt; remove them, or add training inputs "
            "of these classes"
        )


def as_array_source(
    data: Source | Num[Tensor, "n channels *spatial"] | Num[np.ndarray, "n channels *spatial"],
) -> Source:
    """An array of the user's as a source: a memory map stays on disk, other arrays become tensors.

    Raises:
        ValueError: the data are no array, tensor or source, or an array without numbers or without inputs.
    """
    if isinstance(data, Source):
        return data
    if not isinstance(data, Tensor | np.ndarray):
        raise ValueError(f"`data` is a {type(data).__name__}; {_instead_of(data)}")
    if isinstance(data, np.ndarray) and data.dtype.kind not in "biuf":
        raise ValueError(f"`data` has the type {data.dtype}; give an array of real numbers")
    if data.ndim < 3:
        raise ValueError(f"`data` has the shape {tuple(data.shape)}; give inputs of shape (n, channels, *spatial)")
    if isinstance(data, Tensor):
        return Source(data, None, None, "array", "train")
    kind = stored_as(data)
    if not isinstance(data, np.memmap):
        return Source(torch.from_numpy(np.ascontiguousarray(data, kind)), None, None, "array", "train")
    return Source(data, None, None, "array", "train", double=kind == np.float64)


def _instead_of(data: object) -> str:
    """What to give in the place of data that are no array."""
    if isinstance(data, Dataset):
        return "give one of its sources, such as its `pretraining`"
    if isinstance(data, str | Path):
        return "load it first: deep_infomax.data.load_dataset(...).pretraining"
    return "give an array or a tensor of shape (n, channels, *spatial)"


def read_as(kind: np.dtype[Any]) -> np.dtype[Any]:
    """The type that real numbers are read as: those of 8 bits without sign stay so, all others become float32.

    Where float32 tells too few of them apart (`precision.stored_as`), a `Source` says that they are read as float64.
    """
    return kind if kind == np.uint8 or kind.kind not in "biuf" else np.dtype(np.float32)


def evenly_spaced(n: int, most: int) -> Int[Tensor, " k"]:
    """At most so many of n positions, from everywhere, so that of inputs sorted by class every class is there."""
    return torch.arange(min(n, most)) * n // min(n, most)


def to_device(index: Num[Tensor, "*shape"], device: torch.device) -> Num[Tensor, "*shape"]:
    """Positions or draws on a device, copied there without waiting for what the device is doing."""
    if device.type == "cuda" and index.device.type == "cpu":
        index = index.pin_memory()
    return index.to(device, non_blocking=True)


def by(sizes: tuple[int, ...] | list[int]) -> str:
    """Write sizes as people do: ``32 x 32``."""
    return " x ".join(str(size) for size in sizes)
