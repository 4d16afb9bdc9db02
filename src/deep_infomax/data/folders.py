"""Folders of image files: which files are read, and what the folders that they lie in say."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from deep_infomax.data.arrangement import arrange
from deep_infomax.data.cache import stamp_files
from deep_infomax.data.columns import image_columns
from deep_infomax.data.dataset import Dataset
from deep_infomax.data.encoded import EncodedImage, EncodedImages
from deep_infomax.data.formats import READABLE, UNREADABLE
from deep_infomax.data.images import Splits, load_images
from deep_infomax.data.options import DataOptions
from deep_infomax.data.parquet import BLOCK, load_parquet

_OF_SYSTEMS: Final = {"@eadir", "__macosx", "__pycache__", "#recycle", "#snapshot", "$recycle.bin", "lost+found",
                      "system volume information"}  # fmt: skip
"""Folders that systems make, with previews, copies or what was thrown away."""
_BEGINNINGS: Final = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
"""First bytes of the commonest image files, by which those are known whose names have no ending."""


def load_folder(folder: Path, options: DataOptions) -> Dataset:
    """Load a folder: its parquet files where they hold images, else its image files.

    The description says under ``left_out`` how many files that look like images were not read, and why.

    Raises:
        ValueError: It has neither, or the folders that its images lie in contradict one another.
    """
    files, left_out = files_of(folder)
    tables = [file for file in files if file.suffix.lower() == ".parquet"]
    images = [file for file in files if file.suffix.lower() in READABLE]
    if holding := [file for file in tables if _holds_images(file)] or (tables if not images else []):
        left_out["beside parquet files"] += len(images)
        dataset = load_parquet(folder, holding, options)
    elif images:
        dataset = load_images(
            folder.resolve().name,
            stamp_files(images, folder),
            lambda: open_folder(folder, images, options.label_column),
            options,
        )
    else:
        content = f"{len(files)} files, none of them an image or parquet file" if files else "no files"
        but = f" ({_listed(left_out)})" if left_out.total() else ""
        raise ValueError(f"the folder {folder} has {content} that can be read{but}; {_remedy(files)}")
    if not left_out.total():
        return dataset
    return replace(dataset, description={**dataset.description, "left_out": _listed(left_out)})


def _remedy(files: Sequence[Path]) -> str:
    """What to do with a folder that has no image, by what it has."""
    endings = {file.suffix.lower() for file in files}
    if endings & {".csv", ".tsv"}:
        return "for series in tables, name the column that names the series with `data_options.series_column`"
    if ".npy" in endings:
        return "stack arrays of one shape in one file: np.save('inputs.npy', np.stack(arrays))"
    return "give a folder of images (.png, .jpg, .tif and others), parquet files, recordings or scans, or name one file"


def files_of(folder: Path) -> tuple[list[Path], Counter[str]]:
    """The files of a user, in order, and how many others look like images, by the reason why they are left out."""
    files, left_out = [], Counter[str]()
    for file, reason in _found(folder, None, frozenset()):
        suffix = file.suffix.lower().rstrip(".")
        if reason is None:
            files.append(file)
        if suffix in UNREADABLE:
            left_out[reason or f"ending in {suffix}"] += 1
        elif reason is not None and suffix in READABLE:
            left_out[reason] += 1
        elif reason is None and not suffix and _begins_like_an_image(file):
            left_out["without an ending"] += 1
    return sorted(files), left_out


def user_files(folder: Path) -> Iterator[Path]:
    """All files of a user, in linked folders, too: none that are hidden, or made by a system."""
    return (file for file, reason in _found(folder, None, frozenset()) if reason is None)


def with_left_out(dataset: Dataset, path: Path, endings: frozenset[str], what: str) -> Dataset:
    """Say in the description how many files of a folder have endings of the same kind that are not read.

    Args:
        dataset: What was read.
        path: The folder; of a file nothing is said.
        endings: In small letters, with the dot.
        what: What such files may be, as a plural.
    """
    counts = Counter(file.suffix.lower() for file in user_files(path)) if path.is_dir() else Counter[str]()
    left_out = Counter({f"ending in {ending}": counts[ending] for ending in endings if counts[ending]})
    if not left_out:
        return dataset
    return replace(dataset, description={**dataset.description, "left_out": _listed(left_out, what)})


def _found(folder: Path, reason: str | None, above: frozenset[Path]) -> Iterator[tuple[Path, str | None]]:
    """All files, in linked folders, too, and why they are not the user's.

    A link to one of the folders above it is not followed, as that would never end.
    """
    if (real := folder.resolve()) in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            why = reason
            if why is None and entry.name.lower() in _OF_SYSTEMS:
                why = f"in {entry.name}"
            elif why is None and entry.name.startswith("."):
                why = "hidden"
            if entry.is_dir():
                yield from _found(Path(entry), why, above | {real})
            elif entry.is_file():
                yield Path(entry), why


def _begins_like_an_image(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(8).startswith(_BEGINNINGS)
    except OSError:
        return False


def _listed(left_out: Counter[str], what: str = "images") -> str:
    """How many files were left out, and why.

    >>> _listed(Counter({"in @eaDir": 12, "ending in .heic": 1}))
    '13 files that may be images: 12 in @eaDir, 1 ending in .heic'
    """
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common() if count)
    return f"{left_out.total()} files that may be {what}: {reasons}"


def _holds_images(table: Path) -> bool:
    try:
        return bool(image_columns(pq.read_schema(table)))
    except (pa.ArrowException, OSError):  # which is told of when it is read
        return True


def open_folder(folder: Path, images: Sequence[Path], labels: str | None) -> Splits:
    """Group the images by split and label them, as the folders say that they lie in."""
    arranged = arrange([image.relative_to(folder).parts for image in images], labels)
    return {
        split: open_files(
            [images[position] for position in positions],
            [arranged.labels[position] for position in positions],
            {"label_rule": arranged.rule},
            folder,
        )
        for split, positions in arranged.splits.items()
    }


def below(folder: Path, image: Path) -> str:
    r"""The path of a file below a folder, with bytes that are no UTF-8 spelt out.

    >>> print(below(Path("photos"), Path("photos/cats/\udcff.png")))
    cats/\udcff.png
    """
    return image.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode()


def open_files(images: Sequence[Path], labels: list[str | None], notes: dict[str, str], folder: Path) -> EncodedImages:
    """Image files below a folder as those of one split, of which all are labelled or none."""

    def read() -> Iterator[Sequence[EncodedImage]]:
        for start in range(0, len(images), BLOCK):
            yield [EncodedImage(str(image), image, below(folder, image)) for image in images[start : start + BLOCK]]

    return EncodedImages(len(images), read, None if None in labels else labels, notes=notes)
