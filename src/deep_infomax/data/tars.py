"""Tar files in the layout of WebDataset: the members of a key lie together, and one of them is its image.

The key of a member is its path up to the first dot of its name. ``KEY.cls`` holds a label, and so may entries of
``KEY.json``. Members are found by the headers of the file; nothing is unpacked, and no path in it is followed.
"""

import io
import re
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple, cast

import numpy as np
from jaxtyping import Int

from deep_infomax.data.columns import LABEL_NAMES, Columns, with_labels
from deep_infomax.data.dataset import Dataset
from deep_infomax.data.encoded import EncodedImage
from deep_infomax.data.folders import user_files
from deep_infomax.data.formats import READABLE
from deep_infomax.data.images import Splits, load_images
from deep_infomax.data.index import Contents, Label, Look, Part, ShardFile, joined, kept
from deep_infomax.data.options import DataOptions
from deep_infomax.data.stored import StoredFile, UnreachableError, by_split, local_files
from deep_infomax.data.streams import load_shards, table_of
from deep_infomax.runtime.records import from_json

PACKED: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
"""Endings of compressed tar files, which are refused with what to do."""
SUFFIXES: Final = (".tar", *PACKED)
SHARD_BYTES: Final = 2**26
"""Bytes of a shard at most: a larger file is cut between keys."""
_PROGRAMS: Final = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}
_NUMBER: Final = re.compile(r"[+-]?\d{1,18}")
_LARGEST_LABEL: Final = 2**20
"""Bytes of a label, or of what is described of an image, at most."""
_APART: Final = 2**16
"""Bytes between two images that are read with them; if more, they are read apart."""


class _Member(NamedTuple):
    """A file in a tar file."""

    key: str
    kind: str
    """What follows the key, in small letters: jpg, cls."""
    name: str
    begin: int
    content: bytes | None
    """None where it is neither an image nor may hold a label."""


def load_tars(path: Path, options: DataOptions) -> Dataset:
    """Load a tar file, or a folder of them, whose names or folders tell the splits.

    Raises:
        ValueError: A file is damaged or packed, lacks images, or belongs to no split.
    """
    folder = path if path.is_dir() else path.parent
    found = [path] if path.is_file() else sorted(user_files(path))
    files = [file for file in found if file.name.lower().endswith(SUFFIXES)]
    name = path.resolve().name if path.is_dir() else path.name
    return load_stored_tars(name, local_files(files, folder), f"{folder}/", options)


def load_stored_tars(name: str, files: Sequence[StoredFile], root: str, options: DataOptions) -> Dataset:
    """Load tar files wherever they are stored: as a stream, or decoded into the cache.

    Args:
        name: The data set.
        files: At least one.
        root: What messages put before a folder of theirs.
        options: Channels, sizes, labels.

    Raises:
        ValueError: A file is damaged or packed, lacks images, or belongs to no split.
    """
    splits = by_split(files, root, "tar files")
    shards = {split: [TarShards(file, options) for file in group] for split, group in splits.items()}
    if options.stream:
        return load_shards(name, shards, options)
    if any(file.system is not None for file in files):
        raise ValueError(f"{name} is read over the network; set `data_options.stream`, or download it")

    def open_splits() -> Splits:
        def unseen(images: Sequence[EncodedImage]) -> None:
            pass

        tables = {split: table_of(group, [file.contents(unseen) for file in group]) for split, group in shards.items()}
        return with_labels(tables, options)

    return load_images(name, ["tar", *((file.name, file.size, file.stamp) for file in files)], open_splits, options)


class TarShards(ShardFile):
    """A tar file, cut into shards of at most `SHARD_BYTES` between keys."""

    def contents(self, look: Look) -> Contents:
        """Read the images and labels in their order."""
        parts, labels, kinds, n = list[Part](), list[dict[str, Label]](), dict[str, None](), 0
        with self._whole(), self.file.open() as file:
            for shard in _cut(self._keys(file)):
                images, spans = list[EncodedImage](), list[tuple[int, int]]()
                for members in shard:
                    image = self._image(members)
                    name = f"{self.file.name}/{members[0].key if image is None else image.name}"
                    images.append(EncodedImage(name, None if image is None else image.content, name))
                    spans.append((0, 0) if image is None else (image.begin, image.begin + len(image.content or b"")))
                    labels.append(self._labels(members))
                    kinds |= dict.fromkeys(member.kind for member in members if member is not image)
                look(images)
                places = np.array(spans, "<i8").tobytes()
                parts.append(Part(len(images), n, spans=places, names=joined([image.file for image in images])))
                n += len(images)
        there = [name for name in self._wanted() if any(name in found for found in labels)]
        if self.options.label_column not in (None, "none") and labels and not there:
            raise ValueError(
                f"{self.file.name} has no member KEY.{self.options.label_column}, and no such entry in KEY.json; "
                "correct `data_options.label_column`, or set it to none"
            )
        if kinds.keys() & {*there} != {*there}:
            kinds.pop("json", None)  # which was read
        values = {name: [found.get(name) for found in labels] for name in there}
        return Contents(parts, Columns("", tuple(there), {}, tuple(dict.fromkeys([*there, *kinds]))), values)

    def images(self, part: Part, rows: Int[np.ndarray, " k"]) -> list[EncodedImage]:
        """Read images of a shard, those that lie near one another at once."""
        names = part.files()
        places = part.places()[rows].tolist()
        images, run = list[EncodedImage](), list[tuple[str, int, int]]()
        for row, (begin, end) in zip(rows.tolist(), places, strict=True):
            if run and not 0 <= begin - run[-1][2] <= _APART:
                images += self._read(run)
                run = []
            run.append((names[row], begin, end))
        return images + self._read(run)

    def _read(self, run: Sequence[tuple[str, int, int]]) -> list[EncodedImage]:
        if not run:
            return []
        start = run[0][1]
        content = self.file.read(start, run[-1][2]) if run[-1][2] else b""
        return [
            EncodedImage(name, content[begin - start : end - start] if end else None, name) for name, begin, end in run
        ]

    def _wanted(self) -> tuple[str, ...]:
        """What labels may be called."""
        column = self.options.label_column
        return LABEL_NAMES if column is None else () if column == "none" else (column,)

    def _keys(self, file: io.BufferedReader) -> Iterator[list[_Member]]:
        """The members of each key that has an image or what describes one."""
        seen = set[str]()
        for key, members in groupby(self._members(file), key=lambda member: member.key):
            if key in seen:
                raise ValueError(
                    f"the members of the key {key} in {self.file.name} do not lie together; write the file anew, those "
                    "of one key after another"
                )
            seen.add(key)
            found = [*members]
            if any(member.content is not None for member in found):
                yield found

    def _members(self, file: io.BufferedReader) -> Iterator[_Member]:
        """Read the images and what may hold labels."""
        self._require_unpacked(file)
        described = {"json", *self._wanted()}
        with tarfile.open(fileobj=file, mode="r:") as tar:
            offset = -1
            while (info := tar.next()) is not None:
                cast(Any, tar).members.clear()  # which would fill the memory
                end = info.offset_data + info.size
                if info.size < 0 or tar.offset <= offset or (info.isreg() and end > self.file.size):
                    raise tarfile.ReadError(f"it ends within {info.name!r}")
                offset = tar.offset
                folder, name = PurePosixPath(info.name).parent, PurePosixPath(info.name).name
                stem, _, kind = name.partition(".")
                if not info.isreg() or info.issparse() or not stem:
                    continue
                named, content = info.name.encode("utf-8", "backslashreplace").decode(), None
                if (image := _is_image(name)) or kind.lower() in described:
                    if not image and info.size > _LARGEST_LABEL:
                        raise ValueError(f"{self.file.name}/{named} has {info.size:,} bytes, too many for a label")
                    file.seek(info.offset_data)
                    content = file.read(info.size)
                yield _Member(str(folder / stem), kind.lower(), named, info.offset_data, content)
            file.seek(tar.offset)
            if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
                raise tarfile.ReadError(f"no header of a member at byte {tar.offset:,}")

    def _require_unpacked(self, file: io.BufferedReader) -> None:
        beginning = file.read(8)
        for first, program in _PROGRAMS.items():
            if beginning.startswith(first):
                raise ValueError(
                    f"{self.file.name} is compressed, and no part of it can be read alone; unpack it with {program} "
                    "(images are compressed already)"
                )
        file.seek(0)

    def _image(self, members: Sequence[_Member]) -> _Member | None:
        """The image of a key; None where it has none."""
        images = [member for member in members if _is_image(member.name)]
        if len(images) > 1:
            raise ValueError(
                f"the key {members[0].key} in {self.file.name} has several images, "
                f"{' and '.join(member.name for member in images)}; keep one"
            )
        return images[0] if images else None

    def _labels(self, members: Sequence[_Member]) -> dict[str, Label]:
        """What members of a key say: one called as labels are, or entries of that name in its JSON."""
        found = dict[str, Label]()
        for member in members:
            if member.kind in self._wanted() and member.content is not None:
                text = member.content.decode("utf-8", "backslashreplace").strip()
                found[member.kind] = int(text) if _NUMBER.fullmatch(text) else text
        for member in members:
            if member.kind == "json" and member.content is not None:
                try:
                    entries = from_json(member.content)
                except ValueError as error:
                    raise ValueError(f"{self.file.name}/{member.name} is no JSON: {error}; correct it") from error
                if isinstance(entries, dict):
                    found |= {name: kept(entries[name]) for name in self._wanted() if name in entries.keys() - found}
        return found

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """One sentence for what is wrong with the file."""
        try:
            yield
        except (UnreachableError, FileNotFoundError, PermissionError):
            raise
        except (tarfile.TarError, OSError, EOFError, OverflowError) as error:
            said = " ".join(str(error).split())
            raise ValueError(
                f"{self.file.name} is no whole tar file ({said}); replace it by a complete copy"
            ) from error


def _is_image(name: str) -> bool:
    return PurePosixPath(name.lower()).suffix in READABLE


def _cut(keys: Iterator[list[_Member]]) -> Iterator[list[list[_Member]]]:
    """Put the keys of a file into shards."""
    shard, size = list[list[_Member]](), 0
    for members in keys:
        added = sum(len(member.content or b"") for member in members)
        if shard and size + added > SHARD_BYTES:
            yield shard
            shard, size = [], 0
        shard.append(members)
        size += added
    if shard:
        yield shard
