"""Images before they are decoded: where Hub data sets, parquet files and image folders meet."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int
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


class Shard(NamedTuple):
    """Some images that lie together, of which any can be read apart from those of other shards."""

    n: int
    read: Callable[[Int[np.ndarray, " _"]], Sequence[EncodedImage]]
    """Reads the images at ascending positions of the shard."""
    files: Callable[[], list[str]] | None
    """Gives the file of each, as `EncodedImage` has it; None where that is not known."""

    def subset(self, rows: Int[np.ndarray, " _"]) -> "Shard":
        """Keep the images at ascending positions."""
        names = self.files
        files = None if names is None else lambda: [names()[row] for row in rows]
        return Shard(len(rows), lambda chosen: self.read(rows[chosen]), files)


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
    shards: tuple[Shard, ...] | None = None
    """The same images in parts that can be read in any order; None where they have no such parts."""

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
        shards = None if self.shards is None else _kept(self.shards, keep)
        return replace(self, n=len(index), read=read, labels=labels, shards=shards)


def in_shards(shards: Sequence[Shard]) -> EncodedImages:
    """The images of several shards as those of one split, without labels."""

    def read() -> Iterator[Sequence[EncodedImage]]:
        return (shard.read(np.arange(shard.n)) for shard in shards)

    return EncodedImages(sum(shard.n for shard in shards), read, None, shards=tuple(shards))


def _kept(shards: Sequence[Shard], keep: Bool[np.ndarray, " n"]) -> tuple[Shard, ...]:
    """The shards with the images that are to be kept; those that have none are left out."""
    parts = np.split(keep, np.cumsum([shard.n for shard in shards])[:-1])
    rows = [np.flatnonzero(part) for part in parts]
    return tuple(shard.subset(kept) for shard, kept in zip(shards, rows, strict=True) if len(kept))
