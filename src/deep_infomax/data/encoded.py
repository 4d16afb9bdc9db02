"""Images before they are decoded: where Hub data sets, parquet files and image folders meet."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    file: str | None = None
    """Its file as a user knows it: by its path below the folder, or as the row of a table names it; None where nothing
    is known."""


def known_files(files: Sequence[str | None]) -> list[str] | None:
    """The files of several images; None where that of some is not known."""
    known = [file for file in files if file is not None]
    return known if len(known) == len(files) else None


@dataclass(frozen=True)
class EncodedImages:
    """The images of one split, in order, read block by block so that they never lie in memory together."""

    n: int
    read: Callable[[], Iterable[Sequence[EncodedImage]]]
    labels: Sequence[Hashable] | None
    classes: tuple[str, ...] | None = None
    """Names of the classes where ``labels`` are their numbers."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What was decided when they were found, for the description of the data."""

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
        return replace(self, n=len(index), read=read, labels=labels)
