"""Files of arrays: ``.npy`` with inputs, ``.npz`` with the names that Keras, MedMNIST, scikit-learn and others use."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import psutil

from deep_infomax.data.splits import ROLES
from deep_infomax.runtime.archives import UNREADABLE, require_honest
from deep_infomax.runtime.records import open_regular

INPUTS: Final = ("x", "inputs", "images", "data", "arr_0")
"""Names of inputs, of which the first that is there counts."""
LABELS: Final = ("y", "labels", "label", "targets", "target")
_SPLITS: Final = {"": "train", "tr": "train", "te": "test"} | {
    word: role for role, words in ROLES.items() for word in words
}


class Archive(NamedTuple):
    """The arrays of a file."""

    arrays: dict[str, np.ndarray]
    """By role: x, y, x_test, y_test, x_validation, y_validation, x_unlabelled."""
    names: dict[str, str]
    """What the file calls them."""
    unread: tuple[str, ...]
    """Names of further arrays."""


def read_archive(file: Path) -> Archive:
    """Return the arrays of a file; those of an ``.npy`` file stay on disk.

    Raises:
        ValueError: It is damaged or holds objects, or no inputs.
    """
    with _whole():
        open_regular(file, "write it again", follow=True).close()  # a pipe would be waited for
        content = np.load(file, mmap_mode="r")
    if isinstance(content, np.ndarray):
        return Archive({"x": content}, {"x": "x"}, ())
    with content as archive:
        names = roles(archive.files)
        unread = tuple(name for name in archive.files if name not in names.values())
        with _whole():
            with file.open("rb") as packed:
                require_honest(packed, names.values(), psutil.virtual_memory().available)
            return Archive({role: archive[name] for role, name in names.items()}, names, unread)


@contextmanager
def _whole() -> Iterator[None]:
    """One sentence for whatever is wrong with a file."""
    try:
        yield
    except (OSError, *UNREADABLE) as error:
        raise ValueError(_DAMAGED) from error


_DAMAGED: Final = "it is no complete file of plain numpy arrays; write arrays of numbers with numpy.save or savez"


def roles(names: Collection[str]) -> dict[str, str]:
    """Find out what the arrays of a file are by their names: inputs and labels of several splits.

    >>> roles(["x_train", "y_train", "x_test", "y_test"])
    {'x': 'x_train', 'x_test': 'x_test', 'y': 'y_train', 'y_test': 'y_test'}
    >>> roles(["train_images", "val_images", "train_labels"]), roles(["data", "target", "DESCR"])
    ({'x': 'train_images', 'x_validation': 'val_images', 'y': 'train_labels'}, {'x': 'data', 'y': 'target'})

    Raises:
        ValueError: No array can be the inputs, or several the training inputs.
    """
    found: dict[str, str] = {}
    for kind, words in (("x", INPUTS), ("y", LABELS)):
        for split in dict.fromkeys(_SPLITS.values()):
            candidates = [name for word in words for name in names if _is(name, word, split)]
            if len({_plain(name) in map(_plain, words) for name in candidates}) > 1:
                raise ValueError(f"{' and '.join(candidates)} can both be those of the training part; keep one of them")
            if candidates:
                found[kind if split == "train" else f"{kind}_{split}"] = candidates[0]
    found.pop("y_unlabelled", None)
    if "x" not in found:
        raise ValueError(f"no inputs among the arrays {sorted(names)}; name them x, and the labels y")
    if lone := [name for role, name in found.items() if role[0] == "y" and f"x{role[1:]}" not in found]:
        raise ValueError(f"{lone[0]} has labels without inputs; name the inputs {lone[0].replace('y', 'x', 1)}")
    return found


def _is(name: str, word: str, split: str) -> bool:
    """Whether a name joins the word for a kind of array and one for a split, in any order and spelling."""
    plain, kind = _plain(name), _plain(word)
    return any(plain in (kind + part, part + kind) for part, role in _SPLITS.items() if role == split)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
