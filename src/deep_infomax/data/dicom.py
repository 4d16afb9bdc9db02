"""DICOM series, one input each, by `pydicom`: slices sorted along their normal, values by slope and intercept.

A series is what one folder holds under one ``SeriesInstanceUID``. A file of several frames is an input of its own.
Where no series has more than one slice, inputs are images of height and width; else they are volumes.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np

from deep_infomax.data.arrangement import arrange
from deep_infomax.data.cache import stamp_files
from deep_infomax.data.dataset import Dataset, by
from deep_infomax.data.encoded import EncodedImage
from deep_infomax.data.extras import require
from deep_infomax.data.folders import open_files, user_files
from deep_infomax.data.images import Splits
from deep_infomax.data.items import Facts, Format, load_items
from deep_infomax.data.nifti import spacing_rule
from deep_infomax.data.options import DataOptions
from deep_infomax.data.sizes import Input
from deep_infomax.runtime.records import open_regular

SUFFIXES: Final = (".dcm", ".dicom", ".ima")
_TAGS: Final = (
    "BitsAllocated", "Columns", "ImageOrientationPatient", "ImagePositionPatient", "InstanceNumber", "NumberOfFrames",
    "PhotometricInterpretation", "PixelRepresentation", "PixelSpacing", "RescaleIntercept", "RescaleSlope", "Rows",
    "SamplesPerPixel", "SeriesInstanceUID", "SharedFunctionalGroupsSequence", "SliceThickness", "SpacingBetweenSlices",
)  # fmt: skip
_SAME: Final = 1e-3
"""Millimetres, and parts of a direction, by which slices may differ and count as the same."""


class Slice(NamedTuple):
    """What the header of a file tells."""

    file: Path
    series: str
    size: tuple[int, int]
    """Rows and columns."""
    frames: int
    channels: int
    number: int | None
    normal: tuple[float, ...] | None
    """Direction across the slice."""
    place: float | None
    """Where it lies along that."""
    spacing: tuple[float, float] | None
    """Of rows and of columns."""
    thickness: float | None
    slope: float
    intercept: float
    bits: int
    signed: bool
    inverted: bool
    """Whether larger values are darker."""


def load_dicom(path: Path, options: DataOptions) -> Dataset:
    """Load a DICOM file, or the series in a folder, sorted by split and class as images are.

    Raises:
        ValueError: A file is damaged, slices of a series do not go together, or the sizes differ.
    """
    folder = path if path.is_dir() else path.parent
    files = sorted(file for file in user_files(path) if is_dicom(file)) if path.is_dir() else [path]
    name = folder.resolve().name if path.is_dir() else path.stem
    form = Series()
    found = partial(_open, folder, files, options.label_column, form)
    return load_items(name, stamp_files(files, folder), found, options, form)


def is_dicom(file: Path) -> bool:
    """Whether a file is one of DICOM, by its ending or, where it has none that tells, by its first bytes."""
    if file.name.lower().endswith(SUFFIXES):
        return True
    if file.suffix.strip(".0123456789") or file.name.upper() == "DICOMDIR":
        return False
    try:
        with file.open("rb") as opened:
            return opened.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _open(folder: Path, files: Sequence[Path], labels: str | None, form: "Series") -> Splits:
    """Find the series, and the split and label of each by its folders."""
    form.slices = _series(files)
    firsts = list(form.slices)
    folders: dict[Path, int] = {}
    for first in firsts:
        folders[first.parent] = folders.get(first.parent, 0) + 1
    each_has_several = min(folders.values()) > 1
    paths = []
    for number, first in enumerate(firsts):
        parts = first.relative_to(folder).parts[:-1]
        paths.append((*parts, str(number)) if each_has_several else (*parts[:-1], f"{number} of {parts[-1:]}"))
    arranged = arrange(paths, labels)
    return {
        split: open_files(
            [firsts[position] for position in positions],
            [arranged.labels[position] for position in positions],
            {"label_rule": arranged.rule},
            folder,
        )
        for split, positions in arranged.splits.items()
    }


def _series(files: Sequence[Path]) -> dict[Path, list[Slice]]:
    """The slices of each series in order, by the first file of each."""
    groups: dict[tuple[Path, str, Path | None], list[Slice]] = {}
    for file in files:
        found = _header(file)
        alone = file if found.frames > 1 else None
        groups.setdefault((file.parent, found.series, alone), []).append(found)
    return {slices[0].file: _ordered(slices) for slices in groups.values()}


def _header(file: Path) -> Slice:
    """Read the header of a file.

    Raises:
        ValueError: It is no DICOM file, or has no pixels.
    """
    pydicom = _pydicom()
    open_regular(file, "write it again", follow=True).close()  # a pipe would be waited for
    try:
        with _quiet():
            return _slice(file, pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS)))
    except _SliceError as error:
        raise ValueError(f"{file}: {error}") from error
    except Exception as error:  # of many kinds, by what is damaged
        raise ValueError(f"{file}: {_DAMAGED}") from error


class _SliceError(ValueError):
    """A header is whole, and not read."""


def _slice(file: Path, data: Any) -> Slice:
    if "Rows" not in data or "Columns" not in data:
        raise _SliceError("it has no pixels (no Rows and Columns); leave only images in the folder")
    photometric, samples = str(data.get("PhotometricInterpretation", "")), int(data.get("SamplesPerPixel", 1))
    if photometric == "PALETTE COLOR" or samples not in (1, 3):
        raise _SliceError(f"it has pixels of the kind {photometric} with {samples} values; save it grey or in RGB")
    shared = data.get("SharedFunctionalGroupsSequence") or [{}]
    scale = (shared[0].get("PixelValueTransformationSequence") or [data])[0]
    direction, position = data.get("ImageOrientationPatient"), data.get("ImagePositionPatient")
    normal = None if direction is None else np.cross([*map(float, direction[:3])], [*map(float, direction[3:])])
    place = None if normal is None or position is None else float(normal @ [*map(float, position)])
    number, spacing, bits = data.get("InstanceNumber"), data.get("PixelSpacing"), int(data.get("BitsAllocated", 16))
    thickness = data.get("SpacingBetweenSlices") or data.get("SliceThickness")
    return Slice(
        file,
        str(data.get("SeriesInstanceUID", "")),
        (int(data.Rows), int(data.Columns)),
        int(data.get("NumberOfFrames") or 1),
        samples,
        None if number is None else int(number),
        None if normal is None else tuple(normal.round(6).tolist()),
        place,
        None if spacing is None else (float(spacing[0]), float(spacing[1])),
        None if thickness is None else float(thickness),
        float(scale.get("RescaleSlope", 1) or 1),
        float(scale.get("RescaleIntercept", 0) or 0),
        bits,
        bool(data.get("PixelRepresentation", 0)),
        photometric == "MONOCHROME1",
    )


def _ordered(slices: list[Slice]) -> list[Slice]:
    """Sort slices along their normal, else by their numbers.

    Raises:
        ValueError: They differ in size or direction, or two lie at one place.
    """
    first = slices[0]
    for other in slices:
        for what, found, expected in (
            ("size", by(other.size), by(first.size)),
            ("number of channels", other.channels, first.channels),
        ):
            if found != expected:
                raise ValueError(
                    f"{first.file} has the {what} {expected}, {other.file} of its series {found}; put each stack of "
                    "slices into its own folder"
                )
    if len(slices) == 1:
        return slices
    if all(other.place is not None and other.normal is not None for other in slices):
        for other in slices:
            if not np.allclose(other.normal or (), first.normal or (), atol=_SAME):
                raise ValueError(
                    f"{first.file} and {other.file} of its series lie in different directions; put each stack of "
                    "slices into its own folder"
                )
        return _distinct(slices, lambda found: found.place or 0.0, "place along the normal")
    if all(other.number is not None for other in slices):
        return _distinct(slices, lambda found: float(found.number or 0), "InstanceNumber")
    raise ValueError(
        f"the slices of the series of {first.file} have neither positions nor numbers (InstanceNumber), so their order "
        "is unknown; save them as one volume"
    )


def _distinct(slices: list[Slice], key: Callable[[Slice], float], what: str) -> list[Slice]:
    ordered = sorted(slices, key=key)
    for before, after in pairwise(ordered):
        if key(after) - key(before) < _SAME:
            raise ValueError(
                f"{before.file} and {after.file} of one series have the same {what}; put each stack of slices, such as "
                "one phase, into its own folder"
            )
    return ordered


class Series(Format):
    """DICOM series: (channels, depth, height, width), or (channels, height, width) where none has depth."""

    what: ClassVar[str] = "series of DICOM"

    def __init__(self) -> None:
        self.slices: dict[Path, list[Slice]] = {}
        """The slices of each series, by its first file."""

    def facts(self, item: EncodedImage) -> Facts:
        """What the headers of the slices told."""
        slices = self._of(item)
        depth, first = sum(found.frames for found in slices), slices[0]
        flat = all(len(found) == 1 and found[0].frames == 1 for found in self.slices.values())
        scaled = any((found.slope, found.intercept) != (1, 0) for found in slices)
        plain = first.bits <= 8 and not first.signed and not scaled
        kind = np.uint8 if plain else np.float64 if first.bits > 16 else np.float32
        spatial = first.size if flat else (depth, *first.size)
        return Facts((first.channels, *spatial), np.dtype(kind), (slices, flat))

    def values(self, item: EncodedImage, facts: Facts) -> Input:
        """Read the slices in order."""
        slices, flat = facts.said
        values = np.concatenate([_pixels(found, facts.kind) for found in slices], axis=1)
        return values[:, 0] if flat else values

    def notes(self, names: Sequence[str], facts: Sequence[Facts]) -> dict[str, str]:
        """Order, spacing and scale of all series."""
        spacings = [_spacing(*fact.said) for fact in facts]
        said = {"spacing_rule": spacing_rule([found for found in spacings if found])} if all(spacings) else {}
        every = [found for fact in facts for found in fact.said[0]]
        if uneven := sum(_is_uneven(fact.said[0]) for fact in facts):
            said["gaps_rule"] = f"{uneven} of {len(facts)} series have uneven gaps between slices"
        if not facts[0].said[1]:
            sorted_by = (
                "place along the normal" if all(found.place is not None for found in every) else "InstanceNumber"
            )
            said["slices_rule"] = f"sorted by {sorted_by}"
        if any((found.slope, found.intercept) != (1, 0) for found in every):
            said["scale_rule"] = "by the slope and intercept of each file"
        if inverted := sum(found.inverted for found in every):
            said["inverted_rule"] = f"{inverted} of {len(every)} files count from white and were turned round"
        return said

    def _of(self, item: EncodedImage) -> list[Slice]:
        assert isinstance(item.content, Path)
        return self.slices[item.content]


def _pixels(found: Slice, kind: np.dtype[Any]) -> Input:
    """Values of one file: (channels, frames, rows, columns).

    Raises:
        ValueError: They cannot be decoded.
    """
    pydicom, decoder, data = _pydicom(), require("pydicom.pixels", "volumes", "DICOM files"), None
    try:
        with _quiet():
            data = pydicom.dcmread(found.file)
            values = np.asarray(decoder.pixel_array(data)).reshape(found.frames, *found.size, found.channels)
    except Exception as error:  # of many kinds, by what decodes the pixels
        syntax = getattr(getattr(data, "file_meta", None), "TransferSyntaxUID", None)
        raise ValueError(_undecoded(found.file.name, syntax)) from error
    frames = data.get("PerFrameFunctionalGroupsSequence") or [{}]
    if "PixelValueTransformationSequence" in frames[0]:
        raise ValueError(f"{found.file.name} scales each of its frames by itself, which is not read; save it as NIfTI")
    if found.inverted:
        values = (-1 if found.signed else 2 ** int(data.get("BitsStored", found.bits)) - 1) - values.astype(np.int64)
    if (found.slope, found.intercept) != (1, 0):
        values = values * found.slope + found.intercept
    return np.ascontiguousarray(np.moveaxis(values, -1, 0), kind)


def _undecoded(name: str, syntax: Any) -> str:
    """Say why pixels cannot be decoded."""
    if syntax is not None and syntax.is_compressed:
        return (
            f"the pixels of {name} are compressed ({syntax.name}) and cannot be decoded; save them uncompressed, or "
            "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"
        )
    return f"the pixels of {name} are damaged or cut short; replace it by a complete copy"


def _spacing(slices: Sequence[Slice], flat: bool) -> tuple[tuple[float, ...], str] | None:
    """Between values, in millimetres; None where it is unknown."""
    first = slices[0]
    if first.spacing is None:
        return None
    if flat:
        return tuple(round(length, 4) for length in first.spacing), "mm"
    gaps = _gaps(slices)
    between = float(np.median(gaps)) if len(gaps) else first.thickness
    return None if between is None else ((round(between, 4), *(round(x, 4) for x in first.spacing)), "mm")


def _gaps(slices: Sequence[Slice]) -> np.ndarray:
    places = [found.place for found in slices]
    return np.array([]) if None in places else np.diff(np.array(places, float))


def _is_uneven(slices: Sequence[Slice]) -> bool:
    gaps = _gaps(slices)
    return len(gaps) > 1 and bool(gaps.max() - gaps.min() > 0.1 * np.median(gaps))


_DAMAGED: Final = "it is no DICOM file that can be read; replace it by a complete copy"


def _pydicom() -> Any:
    return require("pydicom", "volumes", "DICOM files")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of pydicom about headers that are sound enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
