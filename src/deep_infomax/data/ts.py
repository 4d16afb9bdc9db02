"""Files of time series in the format of sktime and aeon (``.ts``): a header, then one input in each line.

The dimensions of an input stand between colons, its values between commas, its class at the end. ``NAME_TRAIN.ts`` and
``NAME_TEST.ts`` in one folder are one data set.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from deep_infomax.data.dataset import Dataset
from deep_infomax.data.folders import user_files
from deep_infomax.data.lists import Listed, build_lists
from deep_infomax.data.options import DataOptions
from deep_infomax.data.sizes import Input
from deep_infomax.runtime.records import open_regular

_PAIR: Final = re.compile(r"(?P<name>.+?)[_-](?P<split>train|test)", re.IGNORECASE)
_TAGS: Final = ("problemname", "timestamps", "missing", "univariate", "dimension", "dimensions", "equallength",
                "serieslength", "classlabel", "targetlabel")  # fmt: skip


class _Series(NamedTuple):
    inputs: list[Input]
    labels: list[str] | None
    """Classes; None where there are none."""
    numbers: bool
    """Whether each line ends in a number to predict, which is no class."""


def load_ts(path: Path, options: DataOptions) -> Dataset:
    """Load a ``.ts`` file with the other one of its pair, or those in a folder.

    Raises:
        ValueError: A file breaks the format, or a folder holds several data sets.
    """
    name, files = _files_at(path)
    read = {split: _read(files[split], options) for split in sorted(files, reverse=True)}  # the training part first
    splits = {
        split: Listed(series.inputs, None if options.label_column == "none" else series.labels, files[split].name)
        for split, series in read.items()
    }
    notes = {"label_rule": "the last entry of each line"}
    if read["train"].numbers:
        notes["not_read"] = "the numbers to predict at the end of each line (@targetLabel)"
    if "test" in files:
        notes["split_rule"] = f"{files['test'].name} as given"
    try:
        return build_lists(name, splits, options, notes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _files_at(path: Path) -> tuple[str, dict[str, Path]]:
    """The name of a data set, and the file of each of its splits.

    Raises:
        ValueError: There are several data sets.
    """
    inside = list(user_files(path)) if path.is_dir() else list(path.parent.iterdir())
    found: dict[tuple[Path, str], dict[str, Path]] = {}
    for file in sorted(file for file in inside if file.name.lower().endswith(".ts")):
        name, split = _named(file)
        found.setdefault((file.parent, name.lower()), {})[split] = file
    if not path.is_dir():
        name, split = _named(path)
        pair = found[path.parent, name.lower()]
        return name, pair if "train" in pair else {"train": path}
    if len(found) > 1:
        names = ", ".join(str(next(iter(files.values())).relative_to(path)) for files in found.values())
        raise ValueError(f"{path} holds several data sets, {names}; give one of the files")
    [files] = found.values()
    return _named(next(iter(files.values())))[0], files if "train" in files else {"train": files["test"]}


def _named(file: Path) -> tuple[str, str]:
    """The data set that a file belongs to, and its split.

    >>> _named(Path("GunPoint_TEST.ts")), _named(Path("mine.ts"))
    (('GunPoint', 'test'), ('mine', 'train'))
    """
    found = _PAIR.fullmatch(file.stem)
    return (found["name"], found["split"].lower()) if found else (file.stem, "train")


def _read(file: Path, options: DataOptions) -> _Series:
    try:
        with open_regular(file, "write it again", follow=True) as opened:
            lines = enumerate(opened.read().decode("utf-8-sig").splitlines(), 1)
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no text in UTF-8; write it again") from error
    try:
        header = _header(lines)
        if header.get("timestamps", "false").lower() == "true":
            raise ValueError("its values have time stamps, which are not read; resample them and leave the stamps out")
        numbers = header.get("targetlabel", "false").lower() == "true"
        labelled, *classes = header.get("classlabel", "false").split()
        return _parsed(lines, labelled.lower() == "true", tuple(classes), numbers, options.missing is None)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _header(lines: Iterator[tuple[int, str]]) -> dict[str, str]:
    """Read up to ``@data``."""
    header = dict[str, str]()
    for number, line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        tag, _, value = text.removeprefix("@").partition(" ")
        if text.lower() == "@data":
            return header
        if not text.startswith("@"):
            break
        if tag.lower() not in _TAGS:
            raise ValueError(f"line {number} has the tag @{tag[:50]}, which the format does not know; remove it")
        header[tag.lower()] = value.strip() or "false"
    raise ValueError("there is no line @data before the values, as time series of sktime or aeon have; add it")


def _parsed(
    lines: Iterator[tuple[int, str]], labelled: bool, classes: tuple[str, ...], numbers: bool, complete: bool
) -> _Series:
    """Read the inputs, of which none may lack a value where they have to be complete."""
    inputs, labels = list[Input](), list[str]()
    for number, line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        dimensions = text.split(":")
        if labelled:
            labels.append(dimensions.pop().strip())
            if classes and labels[-1] not in classes:
                raise ValueError(
                    f"line {number} ends in {labels[-1][:50]!r}, which is none of the classes in the header "
                    f"({', '.join(classes[:5])}); correct it"
                )
        elif numbers:
            dimensions.pop()
        inputs.append(_values(number, dimensions, complete))
        if len(inputs[-1]) != len(inputs[0]):
            raise ValueError(
                f"line {number} has {len(inputs[-1])} dimensions, and those before it {len(inputs[0])}; correct it"
            )
    if not inputs:
        raise ValueError("there are no series after @data; add some")
    return _Series(inputs, labels if labelled else None, numbers)


def _values(number: int, dimensions: list[str], complete: bool) -> Input:
    rows = list[np.ndarray]()
    for dimension in dimensions:
        words = dimension.replace("?", "nan").split(",")
        try:
            rows.append(np.array(words, np.float64))
        except ValueError:
            wrong = next((word for word in words if not _is_number(word)), "")
            raise ValueError(f"line {number} has {wrong.strip()[:50]!r} among its values; give numbers") from None
    if len({len(row) for row in rows}) != 1:
        lengths = ", ".join(str(len(row)) for row in rows)
        raise ValueError(f"line {number} has dimensions of the lengths {lengths}; give those of one input one length")
    values = np.stack(rows)
    if (missing := int(np.isnan(values).sum())) and complete:
        raise ValueError(
            f"line {number} has {missing} missing values (?); set `data_options.missing` to nan to leave them out of "
            "all that is learnt, fill them, or remove the line"
        )
    return values


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
