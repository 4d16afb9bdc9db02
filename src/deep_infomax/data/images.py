"""A data set of image files, wherever they come from: choose the splits, decode them, keep the result."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text
from torch import Tensor

from deep_infomax.data import cache
from deep_infomax.data.dataset import Dataset, FileNames, Source, by, read_as
from deep_infomax.data.decode import damaged, decode, without
from deep_infomax.data.encoded import EncodedImages
from deep_infomax.data.labels import SEED, hold_out, number_classes
from deep_infomax.data.options import DataOptions
from deep_infomax.data.pictures import quiet
from deep_infomax.data.precision import DOUBLE, PRECISION, stored_as
from deep_infomax.data.shards import ShardedInputs
from deep_infomax.data.survey import choose_rule, survey_all
from deep_infomax.runtime.terminal import PlainConsole, printable

NAMED = 1000
"""Damaged images that a description names at most."""

Splits = dict[str, EncodedImages]
"""The images of each split: train, and where they exist test, validation, unlabelled."""


def load_images(name: str, stamp: Any, open_splits: Callable[[], Splits], options: DataOptions) -> Dataset:
    """Load a data set of images, as an earlier command decoded it or decoded now.

    Args:
        name: The data set.
        stamp: What identifies the contents of its files (JSON).
        open_splits: Finds the splits; called only where the cache has no decoded copy.
        options: Channels, sizes, columns.

    Raises:
        ValueError: A file, a column or a label cannot be used.
    """
    choices: list[object] = [options.resize, options.crop, options.channels, options.frames, options.skip_damaged]
    choices += [options.image_column, options.label_column, *(["missing"] if options.missing is not None else [])]
    path = cache.entry_path(name, [stamp, choices])
    entry = cache.read_entry(path)
    if entry is None:
        try:
            with quiet():
                entry = build_entry(path, open_splits(), options)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return dataset_of(name, entry)


def build_entry(path: Path, splits: Splits, options: DataOptions) -> cache.Entry:
    """Number the labels, settle the splits and decode them into a cache entry."""
    damage: dict[str, str] = {}
    if options.skip_damaged:
        splits, damage = sound(splits, options)
    splits, classes, held_out, notes = settled(splits)
    n = sum(images.n for images in splits.values())
    with progress("reading headers", n) as advance:
        rule = choose_rule(survey_all(splits.values(), advance), options)
    pixel_bytes = n * math.prod(rule.shape) * rule.kind.itemsize
    with cache.new_entry(path, pixel_bytes) as entry, progress("decoding", n) as advance:
        transparent = 0
        for split, images in splits.items():
            array = entry.allocate(split, (images.n, *rule.shape), rule.kind)
            found = decode(images, rule, options, array, advance)
            transparent += found.transparent
            if found.files is not None:
                entry.keep_files(split, found.files)
        alpha = {"alpha_rule": f"{transparent} of {n} images transparent, laid over white"} if transparent else {}
        if any(stored_as(array) == np.float64 for array in entry.arrays.values()):
            alpha |= {PRECISION: DOUBLE}
        stored: dict[str, Any] = {split: images.labels and list(images.labels) for split, images in splits.items()}
        entry.record = cache.Record(
            stored,
            None if classes is None else list(classes),
            None if held_out is None else held_out.tolist(),
            {"shape": by(rule.shape), **rule.description, **alpha, **damage, **notes},
        )
    return cache.read_entry(path) or entry


def settled(
    splits: Splits, what: str = "images"
) -> tuple[Splits, tuple[str, ...] | None, Int[Tensor, " _"] | None, dict[str, str]]:
    """Number the labels of all splits alike, and settle what is trained and tested on (`choose_splits`).

    Returns:
        The splits with class numbers for labels, the names of the classes, which training inputs were held out, and
        what was decided.
    """
    lists = {images.classes for images in splits.values() if images.classes is not None}
    if len(lists) > 1:
        raise ValueError(f"the splits {list(splits)} list their classes differently; write them with one list")
    labels, classes = number_classes(
        {split: images.labels for split, images in splits.items()}, next(iter(lists), None)
    )
    splits = {
        split: replace(images, labels=None if (numbers := labels[split]) is None else numbers.tolist())
        for split, images in splits.items()
    }
    notes = {name: note for images in splits.values() for name, note in images.notes.items()}
    splits, split_rule, held_out, unread = choose_splits(splits, what)
    return splits, classes, held_out, {"split_rule": split_rule} | notes | ({"not_read": unread} if unread else {})


def sound(splits: Splits, options: DataOptions) -> tuple[Splits, dict[str, str]]:
    """Leave out the images that cannot be decoded, with their labels; also describe which."""
    n, kept = sum(images.n for images in splits.values()), dict[str, EncodedImages]()
    names = list[str]()
    with progress("checking images", n) as advance:
        for split, images in splits.items():
            found = damaged(images, options.frames not in (None, "first"), advance)
            kept[split] = without(images, list(found)) if found else images
            names += found.values()
    return kept, damage_rule(names, n)


def damage_rule(names: Sequence[str], n: int) -> dict[str, str]:
    """Describe which of n images were left out, if any.

    Raises:
        ValueError: None is left.
    """
    if not names:
        return {}
    if len(names) == n:
        raise ValueError(f"all {n} images are damaged, as {printable(names[0])}; give others")
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    listed = printable(", ".join(names[:NAMED]))
    return {"damaged_rule": f"{len(names)} of {n} images damaged and left out: {listed}{more}"}


def choose_splits(splits: Splits, what: str = "images") -> tuple[Splits, str, Int[Tensor, " _"] | None, str]:
    """Settle what is trained and tested on.

    The test split is the published one; the validation split where there is none with labels (ImageNet keeps the labels
    of its test images); else a part of the labelled training images, held out. An empty split counts as none.

    Returns:
        The splits, the rule by which they were settled, which training images were held out, and what is not read.

    Raises:
        ValueError: There are no images, or only such as are to test on, in several splits.
    """
    found = {split: images for split, images in splits.items() if images.n}
    if not found:
        raise ValueError(f"there are no {what}; give a data set that has some")
    first = next(split for split in ("train", "unlabelled", *found) if split in found)
    if first in ("test", "validation") and len(splits) > 1:
        raise ValueError(
            f"there are no {what} to train on beside the splits {', '.join(found)}; add some in a split called train, "
            f"or give the {what} of one split alone"
        )
    train = found.pop(first)
    chosen = {"train": train} | ({"unlabelled": found["unlabelled"]} if "unlabelled" in found else {})
    candidates = sorted(found.keys() & {"test", "validation"}, key=lambda split: (found[split].labels is None, split))
    if candidates:
        split, *others = candidates
        unread = ", ".join(f"{other} split of {found[other].n} {what}" for other in others)
        return chosen | {split: found[split]}, f"{split} split as published", None, unread
    if train.labels is None:
        return chosen, NO_LABELS, None, ""
    kept, held = hold_out(torch.tensor(train.labels))
    chosen |= {"train": train.subset(kept), "test": train.subset(held)}
    return chosen, held_out_rule(len(held), train.n), held, ""


NO_LABELS = "no test split: there are no labels to test with"


def held_out_rule(held: int, n: int) -> str:
    """Describe how a test split was made of labelled inputs."""
    return f"{held} of {n} labelled inputs held out for testing, stratified by class, seed {SEED}"


def dataset_of(name: str, entry: cache.Entry) -> Dataset:
    """Wrap a cache entry, arrays unread."""
    if entry.folder is not None:
        return wrapped(name, entry.arrays, entry.record, entry.files)
    double = PRECISION in entry.record.description
    tensors = {
        split: torch.from_numpy(array.astype(np.float64 if double else read_as(array.dtype), copy=False))
        for split, array in entry.arrays.items()
    }
    return wrapped(name, tensors, entry.record, entry.files)


def wrapped(
    name: str,
    inputs: Mapping[str, Tensor | np.ndarray | ShardedInputs],
    record: cache.Record,
    files: Mapping[str, FileNames],
) -> Dataset:
    """Make a data set of the inputs of its splits, and of what is recorded of them."""
    classes = tuple(record.classes) if record.classes else None
    double = PRECISION in record.description

    def source(split: str) -> Source | None:
        if split not in inputs:
            return None
        labels = record.labels[split]
        return Source(
            inputs[split],
            None if labels is None else torch.tensor(labels, dtype=torch.long),
            None if labels is None else classes,
            name,
            split,
            double,
            files=files.get(split),
        )

    train = source("train")
    assert train is not None
    return Dataset(
        name,
        train,
        source("test") or source("validation"),
        source("unlabelled"),
        record.description,
        held_out=None if record.held_out is None else torch.tensor(record.held_out, dtype=torch.long),
    )


class Speed(ProgressColumn):
    """Images, or what else is read, a second."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def render(self, task: Task) -> Text:
        """Return the speed so far, as text."""
        return Text(f"{task.speed or 0:,.0f} {self._what}/s")


@contextmanager
def progress(title: str, total: int, what: str = "images") -> Iterator[Callable[[int], None]]:
    """Show a bar with speed and time left on standard error; yields what to call with the number of images done."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Speed(what),
        TimeRemainingColumn(),
    )
    console = PlainConsole(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(printable(title), total=total)
        yield lambda count: bar.advance(task, count)
