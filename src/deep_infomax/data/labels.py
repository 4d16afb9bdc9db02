"""Labels of any kind to class numbers, and a stratified part held out."""

from collections.abc import Hashable, Mapping, Sequence
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
        ValueError: A label is missing, is neither a whole number nor text, or has no name.

    >>> number_classes({"train": ["dog", "cat", "dog"], "test": None})
    ({'train': tensor([1, 0, 1]), 'test': None}, ('cat', 'dog'))
    """
    found = set().union(*(labels for labels in splits.values() if labels is not None))
    if not found:
        return dict.fromkeys(splits), None
    if None in found:
        raise ValueError(
            "some labels are missing; label every input, or set `data_options.label_column` to none to read no labels"
        )
    if wrong := [label for label in found if not can_name_a_class(label)]:
        raise ValueError(
            f"label {min(wrong, key=str)} is neither a whole number nor text; round or bin the labels, "
            "or set `data_options.label_column` to none to read no labels"
        )
    if names is None:
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
        for split, labels in splits.items()
    }
    return numbers, tuple(names)


def can_name_a_class(label: Hashable) -> bool:
    """Tell whole numbers and text from all else."""
    return isinstance(label, int | str | bytes) or (isinstance(label, float) and label.is_integer())


def numbers_first(label: Any) -> tuple[bool, Any]:
    """Return what sorts numbers by size and text by letters after them."""
    return (True, str(label)) if isinstance(label, str | bytes) else (False, label)


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
