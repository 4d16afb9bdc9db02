"""Labels that come as arrays: one a row, as a number, a word, or a one at the place of the class."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int
from torch import Tensor

from deep_infomax.data.labels import no_labels, number_classes


def to_labels(
    arrays: Mapping[str, np.ndarray],
    names: Mapping[str, str],
    roles: Mapping[str, str],
    counts: Sequence[int],
) -> tuple[dict[str, Int[Tensor, " _"] | None], tuple[str, ...] | None, str]:
    """Number the labels of several splits; also say where they are from.

    Raises:
        ValueError: Their shape is not that of labels, or they tell no classes apart.
    """
    found = {
        split: one_a_row(arrays[role], names[role], n) if role in arrays else None
        for (split, role), n in zip(roles.items(), counts, strict=True)
    }
    labels, classes = number_classes(found)
    given = {split: labels_ for split, labels_ in found.items() if labels[split] is not None and labels_ is not None}
    if given and no_labels(list(given.values()), named=True) == "all values are different":
        raise ValueError(
            f"the labels of {names[roles[next(iter(given))]]} are all different, so they tell no classes apart; leave "
            "them out, or set `data_options.label_column` to none to read no labels"
        )
    return labels, classes, ", ".join(f"array {names[roles[split]]}" for split in given) or "none: no array of labels"


def one_a_row(y: np.ndarray, name: str, n: int) -> list[object]:
    """The labels of n inputs: numbers or text (n,) or (n, 1), or rows (n, classes) with a one at the class."""
    if y.ndim == 2 and len(y) == n and y.shape[1] > 1 and is_one_hot(y):
        y = y.argmax(axis=1)
    if y.shape not in ((n,), (n, 1)):
        raise ValueError(
            f"{name} has the shape {y.shape} for {n} inputs; give one label for each input, shape ({n},), "
            "or rows with a one at the class and zeros elsewhere"
        )
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(f"{name} has labels that are not finite; label every input")
    whole = y.dtype.kind == "f" and (y == y.round()).all()
    labels: list[object] = (y.astype(np.int64) if whole else y).reshape(-1).tolist()
    return labels


def is_one_hot(y: np.ndarray) -> bool:
    """Tell whether each row has one at one place and zero elsewhere."""
    return y.dtype.kind in "biuf" and bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())
