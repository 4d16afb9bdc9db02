"""What the folders that images lie in say: the split of each image, and its label.

The first level at which a folder is named as a split tells the splits, and every image must lie in one. Labels are the
folders below that level, or those above it (``cat/train``, ``cat/test``; ``cat-train`` is the same). Levels with one
folder only say nothing.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from deep_infomax.data.splits import joined_names, split_folders, split_of

Folders = tuple[str, ...]
"""Names of the folders that an image lies in, outermost first."""

_DATE: Final = re.compile(
    r"(19|20)\d\d|(19|20)\d{4}|(19|20)\d{6}|q[1-4]|"
    r"(january|february|march|april|june|july|august|september|sept|october|november|december|"
    r"(mon|tues|wednes|thurs|fri|satur|sun)day|"
    r"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)"
)
_MONTH_NUMBER: Final = re.compile(r"0[1-9]|1[0-2]")
_PART: Final = re.compile(r"(part|batch|chunk|shard|roll|folder|subset|fold|session|run|day|week|month|set|dir|disc)s?")
_CAMERA: Final = re.compile(r"\d{3}[a-z_]{5}")
_PICTURES: Final = {"images", "image", "imgs", "img", "jpegimages", "inputs", "input", "photos", "pictures"}
_MASKS: Final = re.compile(r".*(segmentation|mask|annotation|ground.?truth).*|labels?|targets?|gt")


class Arrangement(NamedTuple):
    """What folders say of images."""

    splits: dict[str, list[int]]
    """Positions of the images of each split."""
    labels: list[str | None]
    """Of each image; None where its folders do not label it."""
    rule: str
    """Where the labels come from, or why there are none."""


def arrange(paths: Sequence[tuple[str, ...]], labels: str | None = None) -> Arrangement:
    """Find the split and the label of every image.

    Args:
        paths: Folders and file name of each image, below the folder that was named.
        labels: ``none`` reads no labels, ``folders`` takes folders for labels that look like dates or parts.

    Raises:
        ValueError: Some images lie outside of the splits or beside class folders, or folders contradict one another.

    >>> arrange([("train2017", "cat", "0.png"), ("train2017", "dog", "1.png"), ("val2017", "cat", "2.png")])
    Arrangement(splits={'train': [0, 1], 'validation': [2]}, labels=['cat', 'dog', 'cat'], rule='names of folders')
    """
    folders = [path[:-1] for path in paths]
    skipped = _common(folders)
    folders = _unjoined([names[skipped:] for names in folders])
    level, roles = _split_level(folders)
    splits: dict[str, list[int]] = {}
    above: list[Folders] = [()] * len(folders)
    below = list(folders)
    if level is None:
        splits["train"] = list(range(len(folders)))
    else:
        _check_splits(paths, folders, level, roles)
        for position, names in enumerate(folders):
            splits.setdefault(roles[names[level]] or "", []).append(position)
        above, below = [names[:level] for names in folders], [names[level + 1 :] for names in folders]
        below = _without_wrappers(splits, below)
    if labels == "none":
        return Arrangement(splits, [None] * len(paths), "none wanted")
    classes_above = len(set(above)) > 1
    if not classes_above:
        _check_sorted(paths, splits, below)
    named, rule = _labels(splits, above if classes_above else None, below, labels == "folders")
    return Arrangement(splits, named, rule)


def _common(folders: Sequence[Folders]) -> int:
    """How many levels hold one folder only, which is no split."""
    level = 0
    while all(len(names) > level for names in folders) and len({names[level] for names in folders}) == 1:
        if split_folders([folders[0][level]])[folders[0][level]] is not None:
            break
        level += 1
    return level


def _unjoined(folders: list[Folders]) -> list[Folders]:
    """Take folders named after class and split, such as ``cat-train``, for a split in the folder of a class."""
    joined = joined_names({names[0] for names in folders if names})
    return [(*joined[names[0]], *names[1:]) if names else names for names in folders] if joined else folders


def _split_level(folders: Sequence[Folders]) -> tuple[int | None, dict[str, str | None]]:
    """The first level with a folder that is a split, and what each folder there is."""
    for level in range(max(map(len, folders), default=0)):
        roles = split_folders({names[level] for names in folders if len(names) > level})
        if any(roles.values()):
            return level, roles
    return None, {}


def _check_splits(
    paths: Sequence[tuple[str, ...]], folders: Sequence[Folders], level: int, roles: dict[str, str | None]
) -> None:
    split = next(names for names in folders if len(names) > level and roles[names[level]])
    for path, names in zip(paths, folders, strict=True):
        if len(names) <= level or roles[names[level]] is None:
            raise ValueError(
                f"{_path(path)} lies beside the folder {_path(split[: level + 1])}, a split; let every file lie in "
                f"train, test, valid or unlabelled (a class called {split[level]}, too: put the folders of "
                "classes into one called train)"
            )
    beside: dict[Folders, dict[str, str]] = {}
    for names in folders:
        found = beside.setdefault(names[:level], {})
        if found.setdefault(roles[names[level]] or "", names[level]) != names[level]:
            both = sorted((found[roles[names[level]] or ""], names[level]))
            raise ValueError(f"the folders {both[0]} and {both[1]} name one split; merge or rename them")


def _without_wrappers(splits: dict[str, list[int]], below: list[Folders]) -> list[Folders]:
    """Leave out a folder that a split has alone, where its name is that of the split or the same in all splits."""
    while True:
        alone = {}
        for split, positions in splits.items():
            names = {below[position][:1] for position in positions}
            if names != {()}:
                alone[split] = next(iter(names)) if len(names) == 1 else ()
        same = len(set(alone.values())) == 1
        wrapped = {split for split, name in alone.items() if name and (same or split_of(name[0]) == split)}
        if not wrapped:
            return below
        for split in wrapped:
            for position in splits[split]:
                below[position] = below[position][1:]


def _labels(
    splits: dict[str, list[int]], above: list[Folders] | None, below: list[Folders], anything: bool
) -> tuple[list[str | None], str]:
    """The label of each image, and where it comes from."""
    nothing: list[str | None] = [None] * len(below)
    inner = {names[0] for names in below if names}
    if above is not None:
        if len(inner) > 1:
            raise ValueError(
                f"files are sorted into folders both above the splits ({_some({_path(names) for names in above})}) "
                f"and below them ({_some(inner)}); keep one of the two, or set `data_options.label_column` to none"
            )
        named: list[str | None] = [_path(names) for names in above]
    else:
        named = [names[0] if names else None for names in below]
    for position in splits.get("unlabelled", ()):
        named[position] = None
    classes = {name for name in named if name is not None}
    if len(classes) < 2:
        return nothing, "none: files do not lie in several folders" if not classes else "none: one folder only"
    _check_masks(classes)
    if not anything and (reason := _no_class(classes)):
        return nothing, f"none: the folders {_some(classes)} are {reason} (label_column folders takes them for classes)"
    if len(classes) == sum(name is not None for name in named):
        return nothing, "none: every file lies in a folder of its own"
    return named, "names of folders"


def _check_sorted(paths: Sequence[tuple[str, ...]], splits: dict[str, list[int]], below: list[Folders]) -> None:
    for split, positions in splits.items():
        classes = {below[position][0] for position in positions if below[position]}
        flat = [_path(paths[position]) for position in positions if not below[position]]
        if classes and flat and split != "unlabelled":
            raise ValueError(
                f"{len(flat)} files ({flat[0]}, ...) lie beside class folders ({min(classes)}, ...); sort them into "
                "these, or set `data_options.label_column` to none to read no labels"
            )


def _check_masks(classes: set[str]) -> None:
    lower = {name.lower(): name for name in classes}
    pictures = lower.keys() & _PICTURES
    masks = {name for name in lower.keys() - pictures if _MASKS.fullmatch(name)}
    if masks and pictures and len(masks) + len(pictures) == len(lower):
        raise ValueError(
            f"the folder {lower[min(masks)]} beside {lower[min(pictures)]} is no class of images, as its name says; "
            f"give the folder {lower[min(pictures)]} alone"
        )


def _no_class(names: set[str]) -> str | None:
    """Why folders cannot be classes: their names are dates, or number the parts of something."""
    words = [re.findall(r"[^\W\d_]+|\d+", name.lower()) for name in names]
    if all(_MONTH_NUMBER.fullmatch(name) for name in names) or all(
        parts and any(_DATE.fullmatch(part) for part in parts)
        and all(_DATE.fullmatch(part) or part.isdigit() or part in ("y", "year", "fy") for part in parts)
        for parts in words
    ):  # fmt: skip
        return "dates"
    numbered = all(
        len(parts) == 2 and any(map(_PART.fullmatch, parts)) and any(map(str.isdigit, parts)) for parts in words
    )
    return "numbered parts" if numbered or all(_CAMERA.fullmatch(name.lower()) for name in names) else None


def _path(names: Folders) -> str:
    return "/".join(names)


def _some(names: set[str]) -> str:
    """A few names, in order, in characters that any file and terminal takes.

    >>> _some({"b", "a", "c", "d"})
    'a, b, c, ...'
    """
    some = ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in some)
