"""What is known of a file of shards before its images are decoded; found by one pass over it, and kept in the cache.

The index of a file is small beside it: labels, places of the images, and how many images have which header. It is
stamped by what the file is, and by the options that the pass depends on, so that a pass that was interrupted goes on
with the next file.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from jaxtyping import Int

from deep_infomax.data import cache
from deep_infomax.data.columns import Columns
from deep_infomax.data.decode import damaged
from deep_infomax.data.encoded import EncodedImage, EncodedImages, known_files
from deep_infomax.data.headers import Header
from deep_infomax.data.labels import plain_label
from deep_infomax.data.options import DataOptions
from deep_infomax.data.pictures import opened
from deep_infomax.data.stored import StoredFile, stamp_of
from deep_infomax.data.survey import Survey
from deep_infomax.runtime.files import written_whole
from deep_infomax.runtime.records import read_bytes

FORMAT: Final = 1
LARGEST: Final = 2**30
"""Bytes of an index at most."""

Label = int | float | str | None
Look = Callable[[Sequence[EncodedImage]], None]
"""Gets all images of a file, some at a time, in their order."""


@dataclass(frozen=True)
class Part:
    """A shard: what is read at once of a file."""

    n: int
    """Its inputs."""
    first: int
    """The number of the first of them in the file."""
    group: int = 0
    """The row group of a table."""
    spans: bytes = b""
    """Where the images begin and end in a tar file, as pairs of 64 bits; both 0 for an image that is not there."""
    names: bytes = b""
    """The files of the images as a user knows them, with zeros between; empty where they are not known."""

    def places(self) -> Int[np.ndarray, "n 2"]:
        """Where the images begin and end."""
        return np.frombuffer(self.spans, "<i8").reshape(-1, 2)

    def files(self) -> list[str]:
        """The files of the images."""
        return self.names.decode().split("\0")


@dataclass(frozen=True)
class Contents:
    """What a file of shards holds."""

    parts: list[Part]
    columns: Columns
    values: dict[str, list[Label]]
    """Of each column that may hold labels."""


@dataclass(frozen=True)
class Seen:
    """Images with one header."""

    header: Header
    count: int
    example: str
    """The name of one."""


@dataclass(frozen=True)
class Index:
    """What is known of a file."""

    contents: Contents
    seen: list[Seen]
    damaged: list[tuple[int, str]]
    """Positions and names of the images that cannot be decoded, where such are to be left out."""

    @property
    def n(self) -> int:
        """Inputs of the file."""
        return sum(part.n for part in self.contents.parts)


def joined(files: Sequence[str | None]) -> bytes:
    r"""Names of files as a `Part` keeps them: nothing where one is not known.

    >>> joined(["a.png", "b.png"]), joined(["a.png", None])
    (b'a.png\x00b.png', b'')
    """
    known = known_files([None if file is None else file.replace("\0", "") for file in files])
    return "\0".join(known or ()).encode("utf-8", "backslashreplace")


class ShardFile(ABC):
    """A file of shards of one format."""

    def __init__(self, file: StoredFile, options: DataOptions) -> None:
        self.file, self.options = file, options

    @abstractmethod
    def contents(self, look: Look) -> Contents:
        """Pass over the file once.

        Args:
            look: Gets the images.

        Raises:
            ValueError: It is damaged, or not what it is said to be.
            OSError: It cannot be read.
        """

    @abstractmethod
    def images(self, part: Part, rows: Int[np.ndarray, " k"]) -> list[EncodedImage]:
        """Read images of a shard.

        Args:
            part: The shard.
            rows: Which of its inputs, ascending.

        Raises:
            ValueError: The file is damaged.
            OSError: It cannot be read.
        """


def index_of(shards: ShardFile) -> Index:
    """The index of a file, as an earlier pass kept it or made now.

    Raises:
        ValueError: The file is damaged, or an image in it that is not to be left out.
        OSError: It cannot be read.
    """
    options = shards.options
    choices = [options.skip_damaged, options.frames, options.image_column, options.label_column]
    stamp = ["shards", FORMAT, type(shards).__name__, stamp_of(shards.file), choices]
    path = cache.entry_path("index", stamp)
    if (found := read_index(path)) is not None:
        return found
    looked = _Looked(options)
    contents = shards.contents(looked)
    index = Index(contents, looked.seen(), looked.damaged)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as file:
            file.write(msgspec.msgpack.encode(index))
    except OSError as error:
        warnings.warn(
            f"the cache {path.parent} cannot be written ({error.strerror}), so files are indexed again next time; set "
            "DEEP_INFOMAX_CACHE to a folder that can be written",
            stacklevel=2,
        )
    return index


def read_index(path: Path) -> Index | None:
    """Read an index that was kept; None where there is none, or a damaged one."""
    try:
        index = msgspec.msgpack.decode(read_bytes(path, "remove it", largest=LARGEST), type=Index)
    except (OSError, ValueError):
        return None
    contents = index.contents
    whole = all(len(values) == index.n for values in contents.values.values()) and all(
        len(part.spans) in (0, 16 * part.n) and (not part.names or part.names.count(b"\0") == part.n - 1)
        for part in contents.parts
    )
    known = sum(seen.count for seen in index.seen) + len(index.damaged) == index.n
    return index if whole and known and all(0 <= place < index.n for place, _ in index.damaged) else None


def kept(value: Any) -> Label:
    """A value of a column as an index keeps it: what may name a class as it is, and any other as a number.

    >>> kept(b"cat"), kept(2.0), kept(None), kept([1, 2])
    ('cat', 2, None, 0.5)
    """
    label = plain_label(value) if isinstance(value, Hashable) else value
    if label is None or isinstance(label, int | float | str):
        return label
    return float(label) if isinstance(label, Decimal) else 0.5


class _Looked:
    """What is seen of the images of a file, as they are passed over."""

    def __init__(self, options: DataOptions) -> None:
        self.damaged = list[tuple[int, str]]()
        self._options, self._n = options, 0
        self._seen = dict[Header, Seen]()

    def __call__(self, images: Sequence[EncodedImage]) -> None:
        gone = dict[int, str]()
        if self._options.skip_damaged:
            every_frame = self._options.frames not in (None, "first")
            gone = damaged(EncodedImages(len(images), lambda: [images], None), every_frame, lambda count: None)
        for position, image in enumerate(images):
            if position not in gone:
                with opened(image) as picture:
                    header = picture.header
                alike = self._seen.get(header, Seen(header, 0, image.name))
                self._seen[header] = replace(alike, count=alike.count + 1)
        self.damaged += [(self._n + position, name) for position, name in gone.items()]
        self._n += len(images)

    def seen(self) -> list[Seen]:
        return list(self._seen.values())


def survey_of(indices: Sequence[Index]) -> Survey:
    """What the headers of all images of some files say."""
    survey = Survey()
    for index in indices:
        for seen in index.seen:
            survey.note(seen.header, seen.example, seen.count)
    return survey
