"""Labels of any kind to class numbers, and a stratified part held out."""

from collections.abc import Hashable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

HELD_OUT = 0.2
SEED = 0


def number_classes(
    splits: Mapping[str, Sequence[Hashable] | None], names: Sequence[str] | None = None
) -> tuple[dict[str, Int[Tensor, " _"] | None], tuple[str, ...] | None]:
    """Number the labels of several splits alike, 0 to c - 1.

    Args:
        splits: The labels of each split, None for a split without.
        names: Class names, where the labels are numbers already; otherwise classes are the sorted distinct labels.

    Returns:
        The numbers of each split and the names of the classes (None where no split has labels).

    Raises:
        ValueError: A label is missing, is neither a whole number nor text, or has no name, or may mean that there is
            none (-1).

    >>> number_classes({"train": ["dog", "cat", "dog"], "test": None})
    ({'train': tensor([1, 0, 1]), 'test': None}, ('cat', 'dog'))
    """
    plain = {split: known(labels, names is not None) for split, labels in splits.items()}
    found = set().union(*(labels for labels in plain.values() if labels is not None))
    if not found:
        return dict.fromkeys(splits), None
    if None in found:
        missing = sum(label is None for labels in plain.values() for label in labels or ())
        raise ValueError(
            f"some labels are missing ({missing} inputs have none); label every input, "
            "or set `data_options.label_column` to none to read no labels"
        )
    if wrong := [label for label in found if not can_name_a_class(label)]:
        raise ValueError(
            f"label {min(wrong, key=str)} is neither a whole number nor text; round or bin the labels, "
            "or set `data_options.label_column` to none to read no labels"
        )
    if names is None:
        plain = without_unlabelled_splits(plain)
        found = set().union(*(labels for labels in plain.values() if labels is not None))
        order: list[Hashable] = sorted(found, key=numbers_first)
        names = [str(label) for label in order]
    else:
        order = list(range(len(names)))
    number = {label: position for position, label in enumerate(order)}
    if unknown := found - number.keys():
        example = min(unknown, key=str)
        raise ValueError(
            f"label {example!r} is not one of the {len(order)} named classes; correct the labels or the class names"
        )
    numbers = {
        split: None if labels is None else torch.tensor([number[label] for label in labels], dtype=torch.long)
        for split, labels in plain.items()
    }
    return numbers, tuple(names)


def known(labels: Sequence[Hashable] | None, numbered: bool) -> list[Hashable] | None:
    """Labels as whole numbers or text where they are such, None for each that is missing; None where all are.

    Args:
        labels: Of one split.
        numbered: Whether they are numbers of named classes, among which -1 stands for none, as on the Hub.
    """
    if labels is None:
        return None
    found = [None if is_missing(label) or (numbered and label == -1) else plain_label(label) for label in labels]
    return None if all(label is None for label in found) else found


def is_missing(label: Hashable) -> bool:
    """Tell what stands for no label in a table: nothing, not a number, or blank text."""
    return label is None or label != label or (isinstance(label, str | bytes) and not label.strip())


def no_labels(splits: Sequence[Sequence[Hashable]], named: bool) -> str | None:
    """Why values are no labels, whatever their column is called; None where they may be.

    Args:
        splits: The values of each split.
        named: Whether the column is called as labels are; of others, a value must occur twice on average.

    >>> no_labels([[7, 7, 8]], True), no_labels([[1, 2, 3], [1, 2]], False)
    (None, 'hardly any value occurs twice')
    """
    present = [[value for value in values if not is_missing(value)] for values in splits]
    distinct = len({value for values in present for value in values})
    rows = sum(map(len, present))
    if distinct == 1:
        return "all values are equal"
    if distinct == rows:
        return "all values are different"
    alone = any(len(values) == len(set(values)) > 1 for values in present)
    return "hardly any value occurs twice" if not named and (alone or rows < 2 * distinct) else None


def plain_label(label: Hashable) -> Hashable:
    """A whole number of any type as an integer, bytes as text, all else as it is.

    >>> plain_label(3.0), plain_label(b"cat"), plain_label(0.5), plain_label(True)
    (3, 'cat', 0.5, True)
    """
    if isinstance(label, bytes):
        return label.decode("utf-8", "backslashreplace")
    if (isinstance(label, float) and label.is_integer()) or (
        isinstance(label, Decimal) and label.is_finite() and label == label.to_integral_value()
    ):
        return int(label)
    return label


def without_unlabelled_splits(splits: Mapping[str, list[Hashable] | None]) -> dict[str, list[Hashable] | None]:
    """Take a split of -1 alone for unlabelled where another has labels and not that one.

    Raises:
        ValueError: Some inputs have the label -1 and others whole numbers from 0 on, which may mean a class or none.
    """
    only = {split for split, labels in splits.items() if labels is not None and set(labels) == {-1}}
    others = set().union(*(labels for split, labels in splits.items() if labels is not None and split not in only))
    if only and others and -1 not in others:
        return {split: None if split in only else labels for split, labels in splits.items()}
    if -1 in others and len(others) > 2 and all(isinstance(label, int) and label >= -1 for label in others):
        raise ValueError(
            "the label -1 stands beside others from 0 on, and may be a class or mean that there is none; number the "
            "classes from 0 and leave out what has none, or set `data_options.label_column` to none to read no labels"
        )
    return dict(splits)


def can_name_a_class(label: Hashable) -> bool:
    """Tell whole numbers and text from all else."""
    return isinstance(plain_label(label), int | str)


def numbers_first(label: Any) -> tuple[bool, Any]:
    """Return what sorts numbers by size and text by letters after them."""
    return (True, label) if isinstance(label, str) else (False, label)


def hold_out(
    labels: Int[Tensor, " n"], count: int | None = None, seed: int = SEED
) -> tuple[Int[Tensor, " kept"], Int[Tensor, " held"]]:
    """Hold out ``count`` inputs (20 % unless told), stratified by class; the same for the same seed.

    Each input gets its rank, in random order, among the inputs of its class, divided by the size of that class; the
    smallest quotients are held out. Classes of some size therefore give their share to within one input; a class with
    fewer inputs than one in ``n / count`` may give none.

    Returns:
        The positions kept and those held out, each ascending.

    Raises:
        ValueError: Nothing would be held out, or nothing kept.
    """
    n = len(labels)
    count = round(HELD_OUT * n) if count is None else count
    if not 0 < count < n:
        raise ValueError(
            f"cannot hold {count} of {n} inputs out for testing; give more data or a test split of your own, "
            "or set `data_options.label_column` to none to read no labels"
        )
    order = np.random.default_rng(seed).permutation(n)
    shuffled = labels.cpu().numpy()[order]
    quotient = np.empty(n)
    for label in np.unique(shuffled):
        members = np.flatnonzero(shuffled == label)
        quotient[members] = (np.arange(len(members)) + 0.5) / len(members)
    held = np.zeros(n, dtype=bool)
    held[order[np.argsort(quotient, kind="stable")[:count]]] = True
    return torch.from_numpy(np.flatnonzero(~held)), torch.from_numpy(np.flatnonzero(held))
