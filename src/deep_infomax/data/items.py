"""Data sets with one file, or a few, for each input: recordings and scans, read one at a time into the cache.

Folders say splits and labels as they do for images (`arrangement`). A `Format` says what a header tells of an input and
how its values are read; all else is the same for all formats.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from deep_infomax.data import cache
from deep_infomax.data.axes import NAMES
from deep_infomax.data.dataset import Dataset, by
from deep_infomax.data.encoded import EncodedImage, known_files
from deep_infomax.data.finite import NOT_FINITE, finite_or_missing, remedy
from deep_infomax.data.images import Splits, dataset_of, progress, settled
from deep_infomax.data.options import DataOptions
from deep_infomax.data.precision import DOUBLE, PRECISION, stored_as
from deep_infomax.data.sizes import Fit, Input, choose_fit

_OF_IMAGES = ("resize", "channels", "frames", "skip_damaged", "image_column")
"""Options that say nothing to inputs that are no images."""


class Facts(NamedTuple):
    """What the header of an input tells."""

    shape: tuple[int, ...]
    """Channels, then the spatial sizes."""
    kind: np.dtype[Any]
    """Type of the values as they are read."""
    said: Any = None
    """What else the format wants to know, such as a sampling rate."""


class Format(ABC):
    """How inputs of one kind are read."""

    what: ClassVar[str]
    """What the inputs are called, as a plural."""

    @abstractmethod
    def facts(self, item: EncodedImage) -> Facts:
        """Read a header.

        Raises:
            ValueError: It cannot be read; the message goes on after the name of the input.
        """

    @abstractmethod
    def values(self, item: EncodedImage, facts: Facts) -> Input:
        """Read the values of an input, in the shape of its header.

        Raises:
            ValueError: They cannot be read; the message goes on after the name of the input.
        """

    @abstractmethod
    def notes(self, names: Sequence[str], facts: Sequence[Facts]) -> dict[str, str]:
        """What all headers say together, for the description.

        Raises:
            ValueError: They do not go together.
        """


def load_items(name: str, stamp: Any, open_splits: Callable[[], Splits], options: DataOptions, form: Format) -> Dataset:
    """Load a data set as an earlier command read it, or read it now.

    Args:
        name: The data set.
        stamp: What identifies the contents of its files (JSON).
        open_splits: Finds the splits; called only where the cache has no copy.
        options: Size and labels.
        form: How an input is read.

    Raises:
        ValueError: A file or a label cannot be used, or an option is for images.
    """
    for field in _OF_IMAGES:
        if getattr(options, field) not in (None, False):
            raise ValueError(f"`data_options.{field}` is for images, and {name} holds {form.what}; leave it out")
    choices = [options.size, options.crop, options.label_column, *(["missing"] if options.missing is not None else [])]
    path = cache.entry_path(name, [form.what, stamp, choices])
    entry = cache.read_entry(path)
    if entry is None:
        try:
            entry = build_entry(path, open_splits(), options, form)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return dataset_of(name, entry)


def build_entry(path: Path, splits: Splits, options: DataOptions, form: Format) -> cache.Entry:
    """Settle splits, labels and sizes, and read all inputs into a cache entry."""
    splits, classes, held_out, notes = settled(splits, form.what)
    items = {split: [item for block in images.read() for item in block] for split, images in splits.items()}
    every = [item for found in items.values() for item in found]
    with progress("reading headers", len(every), form.what) as advance:
        facts = [_headed(form, item, advance) for item in every]
    names = [item.name for item in every]
    fit = choose_fit([fact.shape for fact in facts], names, options)
    kind = fit.kind(np.result_type(*{fact.kind for fact in facts}))
    notes = form.notes(names, facts) | notes
    known = dict(zip(names, facts, strict=True))
    size = len(every) * math.prod(fit.shape) * kind.itemsize
    with cache.new_entry(path, size) as entry, progress("reading", len(every), form.what) as advance:
        for split, found in items.items():
            array = entry.allocate(split, (len(found), *fit.shape), kind)
            for row, item in enumerate(found):
                array[row] = _read(form, item, known[item.name], fit, options)
                advance(1)
            if (files := known_files([item.file for item in found])) is not None:
                entry.keep_files(split, files)
        double = any(stored_as(array) == np.float64 for array in entry.arrays.values())
        labels: dict[str, Any] = {split: images.labels and list(images.labels) for split, images in splits.items()}
        entry.record = cache.Record(
            labels,
            None if classes is None else list(classes),
            None if held_out is None else held_out.tolist(),
            {
                "shape": by(fit.shape),
                "encoding": "float64" if double else "uint8" if kind == np.uint8 else "float32",
                "channels_rule": f"{fit.shape[0]} as found",
                "size_rule": fit.rule,
                "axes": _axes(len(fit.shape) - 1),
                **({PRECISION: DOUBLE} if double else {}),
                **notes,
            },
        )
    return cache.read_entry(path) or entry


def _axes(spatial: int) -> str:
    word = ("cl", "chw", "cdhw")[spatial - 1]
    return f"{word} ({', '.join(NAMES[letter] for letter in word)})"


def _headed(form: Format, item: EncodedImage, advance: Callable[[int], None]) -> Facts:
    try:
        facts = form.facts(item)
    except (ValueError, OSError) as error:
        raise ValueError(f"{item.name}: {error}") from error
    advance(1)
    return facts


def _read(form: Format, item: EncodedImage, facts: Facts, fit: Fit, options: DataOptions) -> Input:
    try:
        values = form.values(item, facts)
        if values.shape != facts.shape:
            raise ValueError(
                f"it has values of {by(values.shape)}, and its header announces {by(facts.shape)}; replace it by a "
                "complete copy"
            )
        if not finite_or_missing(values, options).all():
            raise ValueError(f"it {NOT_FINITE}; {remedy(options)} the file")
    except (ValueError, OSError) as error:
        raise ValueError(f"{item.name}: {error}") from error
    return fit.apply(values)
