"""What a reader of data is, and which one a path belongs to: by its ending, or by the files that a folder holds."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from deep_infomax.data.dataset import Dataset
from deep_infomax.data.folders import user_files
from deep_infomax.data.options import DataOptions

_LOOKED_AT: Final = 100_000
"""Files of a folder that are looked at to find out what it holds."""
_OPENED: Final = 20
"""Files without a telling name that are opened for that."""


@dataclass(frozen=True)
class Reader:
    """A kind of data that a user can name, and how it is read.

    It is found by a name, by a prefix, by the ending of a file, or by the files in a folder: give at least one.

    >>> reader = Reader("Table", "A series in each row.", lambda spec, path, options: ..., suffixes=(".table",))
    >>> reader.is_called(Path("rows.TABLE")), reader.is_named("rows.table")
    (True, False)
    """

    title: str
    meaning: str
    """One sentence."""
    read: Callable[[str, Path, DataOptions], Dataset]
    """From what was typed, the path that it may be, and the options."""
    names: tuple[str, ...] = ()
    """Names of data sets, which go before paths called the same."""
    prefix: str | tuple[str, ...] | None = None
    """How a spec of this kind begins, unless it is a path."""
    suffixes: tuple[str, ...] = ()
    """Endings of files of this kind, in small letters, with the dot."""
    within: tuple[str, ...] = ()
    """Endings of the files that make a folder one of this kind."""
    begins: Callable[[Path], bool] | None = None
    """Tells files in a folder that are of this kind by their content, where no name tells."""
    folder: bool = False
    """Whether what has one of the ``suffixes`` is itself a folder, as a Zarr store is."""
    parts: bool = False
    """Whether a part of a file can be named after it: ``FILE.h5:part``."""
    streams: Callable[[Path], bool] | None = None
    """Tells whether what is at a path is left there where `DataOptions.stream` asks for it; None where it never is."""

    def is_named(self, spec: str) -> bool:
        """Whether a spec stands for such data by its words."""
        return spec in self.names or (self.prefix is not None and spec.startswith(self.prefix))

    def is_called(self, path: Path) -> bool:
        """Whether a path has an ending of this kind."""
        return path.name.lower().endswith(self.suffixes) if self.suffixes else False

    def is_at(self, path: Path) -> bool:
        """Whether such data lie at a path that exists, as its name says."""
        return self.is_called(path) and path.is_dir() == self.folder

    def can_stream(self, path: Path) -> bool:
        """Whether `DataOptions.stream` can be heeded."""
        return self.streams is not None and self.streams(path)

    def is_part(self, file: Path) -> bool:
        """Whether a file makes the folder that it lies in one of this kind."""
        return file.name.lower().endswith(self.within) if self.within else False


def reader_at(path: Path, readers: Mapping[str, Reader]) -> Reader | None:
    """The reader of a path that exists; of several the last, so that one's own go before those built in.

    Raises:
        ValueError: A folder holds files of several kinds.
    """
    found = [reader for reader in readers.values() if reader.is_at(path)]
    if not found and path.is_dir():
        found = [readers[name] for name in _kinds_within(path, readers)]
    return found[-1] if found else None


def _kinds_within(folder: Path, readers: Mapping[str, Reader]) -> list[str]:
    """The reader of the files in a folder, by its name in the table; none where no reader knows any."""
    files = list(islice(user_files(folder), _LOOKED_AT))
    counts, example = Counter[str](), dict[str, Path]()
    for file in files:
        if of_kind := [name for name, reader in readers.items() if reader.is_part(file)]:
            counts[of_kind[-1]] += 1
            example.setdefault(of_kind[-1], file.relative_to(folder))
    if len(counts) > 1:
        held = " and ".join(f"{count} as {example[name]}" for name, count in counts.most_common())
        raise ValueError(f"the folder {folder} holds files of several kinds, {held}; put each kind into its own folder")
    if counts:
        return [*counts]
    untold = [file for file in files if not file.suffix.strip(".0123456789")][:_OPENED]
    return [name for name, reader in readers.items() if reader.begins and any(map(reader.begins, untold))]


def endings(readers: Iterable[Reader]) -> str:
    """The endings of the files that can be named, for messages."""
    *others, last = dict.fromkeys(suffix for reader in readers for suffix in reader.suffixes)
    return f"{', '.join(others)} or {last}"
