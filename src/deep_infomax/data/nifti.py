"""Volumes in NIfTI files, one input each, by `nibabel`.

The axes of a file are turned so that all volumes lie alike: depth goes from inferior to superior, height from posterior
to anterior, width from left to right. That moves values and computes none.
"""

import logging
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np

from deep_infomax.data.cache import stamp_files
from deep_infomax.data.dataset import Dataset, by
from deep_infomax.data.encoded import EncodedImage
from deep_infomax.data.extras import require
from deep_infomax.data.folders import open_folder, user_files, with_left_out
from deep_infomax.data.items import Facts, Format, load_items
from deep_infomax.data.options import DataOptions
from deep_infomax.data.sizes import Input
from deep_infomax.runtime.records import open_regular

SUFFIXES: Final = (".nii", ".nii.gz")
_OTHERS: Final = frozenset((".hdr", ".mgh", ".mgz", ".mha", ".mhd", ".mnc", ".nrrd"))
"""Endings of other volumes, which are counted and left out."""


def load_nifti(path: Path, options: DataOptions) -> Dataset:
    """Load a NIfTI file, or a folder of them, sorted by split and class as images are.

    Values are scaled by the slope and intercept of their file. A fourth axis becomes channels.

    Raises:
        ValueError: A file is damaged or holds no real numbers, or the sizes differ.
    """
    folder = path if path.is_dir() else path.parent
    files = sorted(file for file in user_files(path) if is_nifti(file)) if path.is_dir() else [path]
    name = folder.resolve().name if path.is_dir() else path.name.split(".")[0]
    found = partial(open_folder, folder, files, options.label_column)
    dataset = load_items(name, stamp_files(files, folder), found, options, NiftiVolumes())
    return with_left_out(dataset, path, _OTHERS, NiftiVolumes.what)


def is_nifti(file: Path) -> bool:
    """Whether a file is one of NIfTI, by its ending."""
    return file.name.lower().endswith(SUFFIXES)


class Placed(NamedTuple):
    """How the values of a volume lie in space."""

    spacing: tuple[float, ...]
    """Between values, along depth, height and width."""
    unit: str
    turned: bool | None
    """Whether its axes were turned; None where the file does not say how it lies."""


class NiftiVolumes(Format):
    """NIfTI files: (channels, depth, height, width)."""

    what: ClassVar[str] = "volumes"

    def facts(self, item: EncodedImage) -> Facts:
        """Read sizes, type, spacing and orientation."""
        image = _opened(item)
        shape, turns = _shape(image), _turns(image)
        spatial = shape[:3]
        zooms = tuple(round(float(zoom), 4) for zoom in image.header.get_zooms()[:3])
        turned: bool | None = None
        if turns is not None:
            places = [int(np.flatnonzero(turns[:, 0] == axis)[0]) for axis in range(3)]
            spatial, zooms = tuple(shape[place] for place in places), tuple(zooms[place] for place in places)
            turned = [*map(tuple, turns.tolist())] != [(0, 1), (1, 1), (2, 1)]
        channels = shape[3] if len(shape) > 3 else 1
        unit = image.header.get_xyzt_units()[0]
        said = Placed(zooms[::-1], "" if unit == "unknown" else unit, turned)
        return Facts((channels, *spatial[::-1]), _kind(image), said)

    def values(self, item: EncodedImage, facts: Facts) -> Input:
        """Read, scale and turn the values."""
        image = _opened(item)
        try:
            values = np.asanyarray(image.dataobj).reshape(_shape(image))
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise ValueError(_DAMAGED) from error
        if (turns := _turns(image)) is not None:
            values = _nibabel().apply_orientation(values, turns)
        values = values.T if values.ndim > 3 else values.T[None]
        return np.ascontiguousarray(values, facts.kind)

    def notes(self, names: Sequence[str], facts: Sequence[Facts]) -> dict[str, str]:
        """Spacing and orientation of all volumes."""
        placed = [fact.said for fact in facts]
        turned, unknown = sum(place.turned is True for place in placed), sum(place.turned is None for place in placed)
        said = f"right, anterior, superior; {turned} of {len(placed)} turned"
        return {
            "spacing_rule": spacing_rule([(place.spacing, place.unit) for place in placed]),
            "orientation_rule": f"{said}, {unknown} that do not say how they lie left as stored" if unknown else said,
        }


def spacing_rule(found: Sequence[tuple[tuple[float, ...], str]]) -> str:
    """Say how far apart the values of volumes lie, in the order of their axes.

    >>> spacing_rule([((3.0, 1.0, 1.0), "mm")] * 2), spacing_rule([((1.0, 1.0), "mm"), ((2.0, 1.0), "mm")])
    ('3 x 1 x 1 mm', '2 spacings, not resampled: 1 x 1 mm (1), 2 x 1 mm (1)')
    """
    counts = Counter(f"{' x '.join(f'{length:g}' for length in spacing)} {unit}".strip() for spacing, unit in found)
    commonest = ", ".join(f"{spacing} ({n})" for spacing, n in counts.most_common(3))
    return next(iter(counts)) if len(counts) == 1 else f"{len(counts)} spacings, not resampled: {commonest}"


_DAMAGED: Final = "it is no NIfTI file that can be read; replace it by a complete copy"


def _nibabel() -> Any:
    nibabel = require("nibabel", "volumes", "NIfTI files")
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # what is damaged is said here
    return nibabel


def _opened(item: EncodedImage) -> Any:
    """The image, values unread."""
    assert isinstance(item.content, Path)
    nibabel = _nibabel()
    open_regular(item.content, "write it again", follow=True).close()  # a pipe would be waited for
    try:
        image = nibabel.load(item.content)
    except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError, OSError, EOFError,
            ValueError, zlib.error) as error:  # fmt: skip
        raise ValueError(_DAMAGED) from error
    if not hasattr(image, "dataobj"):
        raise ValueError("it holds no volume; give volumes, not surfaces or tracts")
    return image


def _shape(image: Any) -> tuple[int, ...]:
    """Sizes along the axes of space, then the channels: those of vectors lie on a fifth axis."""
    shape: tuple[int, ...] = tuple(map(int, image.shape))
    if len(shape) > 4 and shape[3] == 1:
        shape = (*shape[:3], *shape[4:])
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) not in (3, 4):
        raise ValueError(f"it has the shape {by(image.shape)}; give volumes of three axes, and a fourth for channels")
    return shape


def _turns(image: Any) -> np.ndarray | None:
    """Which way its axes go, as nibabel has it; None where the file does not say."""
    if int(image.header["sform_code"]) == 0 and int(image.header["qform_code"]) == 0:
        return None
    turns: np.ndarray = _nibabel().io_orientation(image.affine)
    if np.isnan(turns).any():
        raise ValueError("its affine has an axis without direction; correct its header")
    return turns.astype(int)


def _kind(image: Any) -> np.dtype[Any]:
    """The type of the scaled values."""
    kind: np.dtype[Any] = image.get_data_dtype().newbyteorder("=")
    if kind.kind not in "iuf":
        raise ValueError(f"it holds values of the type {kind}; give real numbers")
    scaled = image.dataobj.slope not in (None, 1) or image.dataobj.inter not in (None, 0)
    if scaled or kind.itemsize > 8:
        return np.dtype(np.float32 if scaled and kind.itemsize <= 2 else np.float64)
    return kind
