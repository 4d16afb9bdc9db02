"""Images before they are decoded: where Hub data sets, parquet files and image folders meet."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from torch import Tensor


class EncodedImage(NamedTuple):
    """One image in its file format (JPEG, PNG, ...)."""

    name: str
    """How messages call it."""
    content: bytes | Path | None
    """Its bytes, or the file that holds them; None where there is none."""


@dataclass(frozen=True)
class EncodedImages:
    """The images of one split, in order, read block by block so that they never lie in memory together."""

    n: int
    read: Callable[[], Iterable[Sequence[EncodedImage]]]
    labels: Sequence[Hashable] | None
    classes: tuple[str, ...] | None = None
    """Names of the classes where ``labels`` are their numbers."""

    def subset(self, index: Int[Tensor, " k"]) -> "EncodedImages":
        """Keep the images at ``index`` (ascending)."""
        keep = np.zeros(self.n, dtype=bool)
        keep[index.numpy()] = True

        def read() -> Iterator[Sequence[EncodedImage]]:
            start = 0
            for block in self.read():
                yield [image for image, kept in zip(block, keep[start : start + len(block)], strict=True) if kept]
                start += len(block)

        labels = None if self.labels is None else [self.labels[i] for i in index.tolist()]
        return EncodedImages(len(index), read, labels, self.classes)


def split_of(name: str) -> str | None:
    """Read the split off the name of a file, a folder or a Hub split: train, test, validation or unlabelled.

    >>> split_of("train-00000-of-00001"), split_of("valid"), split_of("unlabeled"), split_of("cats")
    ('train', 'validation', 'unlabelled', None)
    """
    beginnings = {
        "train": "train",
        "training": "train",
        "test": "test",
        "testing": "test",
        "validation": "validation",
        "valid": "validation",
        "val": "validation",
        "dev": "validation",
        "unlabelled": "unlabelled",
        "unlabeled": "unlabelled",
        "unsupervised": "unlabelled",
    }
    word = next(iter(name.lower().replace("-", " ").replace("_", " ").replace(".", " ").split()), "")
    return beginnings.get(word)
