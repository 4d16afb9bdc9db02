"""TIFF files: which Pillow reads as they are stored, and all others by `tifffile`."""

import logging
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from PIL import Image, TiffImagePlugin

from deep_infomax.data.headers import File, Header, Picture, UnsupportedImageError, check_pixels, extra
from deep_infomax.data.pixels import Frame, inverted, upright

_PLAIN_COMPRESSIONS: Final = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946))
_REDUCED_OR_MASK: Final = 5
"""Bits of a page's type: a smaller copy of another page, or its mask."""
NODATA_TAG: Final = 42113
"""GDAL's, which GeoTIFF files have."""
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INKS, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_KINDS: Final = frozenset(
    ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64"]
)


def tags(image: Image.Image) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Return the tags of the page at which Pillow stands."""
    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    return image.tag_v2


def is_plain(image: Image.Image) -> bool:
    """Whether Pillow reads a page of a TIFF file with all its bands and all their bits."""
    tag = tags(image)
    bits, formats, beside = (_sequence(tag.get(code, default)) for code, default in ((258, 1), (339, 1), (338, ())))
    samples, photometric = tag.get(277, 1), tag.get(262)
    kind = (max(bits), formats[0])
    if tag.get(259, 1) not in _PLAIN_COMPRESSIONS or len({*bits}) > 1 or len({*formats}) > 1:
        return False
    if samples == 1 and not beside and photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
        unsigned = kind[1] == _UNSIGNED and kind[0] in (1, 2, 4, 8, 12, 16)
        return unsigned or kind in ((16, _SIGNED), (32, _SIGNED), (32, _FLOAT))
    if samples == 1 and photometric == _PALETTE:
        return kind[1] == _UNSIGNED and kind[0] <= 8
    colours = {_BLACK_IS_ZERO: 1, _RGB: 3, _YCBCR: 3, _LAB: 3, _INKS: 4}.get(photometric or 0, 0)
    alpha = photometric in (_BLACK_IS_ZERO, _RGB) and samples == colours + 1 and beside in ((1,), (2,))
    return kind == (8, _UNSIGNED) and (alpha or (samples == colours and not beside))


def kind_of(image: Image.Image) -> str:
    """Return the type of the numbers of a plain page."""
    tag = tags(image)
    bits, sign = max(_sequence(tag.get(258, 1))), _sequence(tag.get(339, 1))[0]
    if sign == _FLOAT:
        return "float32"
    if sign == _SIGNED:
        return f"int{bits}"
    return "uint16" if bits > 8 else "uint8"


def is_white_zero(image: Image.Image) -> bool:
    """Whether a page with more than 8 bits counts from white, which Pillow turns round in pages of 8 bits only."""
    return tags(image).get(262) == _WHITE_IS_ZERO and kind_of(image) == "uint16"


def nodata_of(text: object) -> float | None:
    r"""The number that GDAL's tag of a TIFF file declares to be no data; None where it declares none, or NaN.

    >>> nodata_of("-9999\0"), nodata_of("nan"), nodata_of(None)
    (-9999.0, None, None)
    """
    try:
        number = float(str(text).rstrip("\0 "))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def stored_size(image: Image.Image) -> tuple[int, int]:
    """Return height and width of a page before it is turned upright."""
    return tags(image)[257], tags(image)[256]


def full_pages(image: Image.Image) -> list[int]:
    """Return the positions of the pages that are no smaller copies of others, and no masks."""
    frames = getattr(image, "n_frames", 1)
    if frames == 1:
        return [0]
    kept = []
    for number in range(frames):
        image.seek(number)
        if not tags(image).get(254, 0) & _REDUCED_OR_MASK:
            kept.append(number)
    return kept or [0]


class TiffPicture(Picture):
    """A TIFF file read by `tifffile`: any depth, any number of bands, planes, BigTIFF."""

    def __init__(self, file: File) -> None:
        tifffile = extra("tifffile", "is a TIFF file of a kind that Pillow does not read as it is stored")
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is damaged is said here
        file.seek(0)
        self._file = tifffile.TiffFile(file)  # closed with the file
        pages = _pages(self._file)
        self._pages = [page for page in pages if not page.subfiletype & _REDUCED_OR_MASK] or pages
        first = self._pages[0]
        height, width = first.imagelength, first.imagewidth
        check_pixels(height, width, bands=first.samplesperpixel)
        turn = _orientation(first)
        self.header = Header(
            *((width, height) if turn >= 5 else (height, width)),
            bands=first.samplesperpixel,
            colours=_colours(first),
            kind=_kind(first),
            frames=len(self._pages),
            format="TIFF",
            turned=turn > 1,
            nodata=nodata_of(tag.value if (tag := first.tags.get(NODATA_TAG)) is not None else None),
        )

    def frame(self, number: int, stored: bool, short_side: int | None = None) -> Frame:
        """Decode one page."""
        page = self._pages[number]
        check_pixels(page.imagelength, page.imagewidth, bands=page.samplesperpixel)
        if page.axes not in ("YX", "YXS", "SYX"):
            raise UnsupportedImageError(f"has pages with the axes {page.axes}; save it as a stack of pages")
        if page.compression != 1 or page.predictor != 1 or page.bitspersample % 8:
            extra("imagecodecs", f"is a TIFF file compressed by {page.compression.name}")
        values = page.asarray()
        values = values[..., None] if values.ndim == 2 else np.moveaxis(values, 0, -1) if page.axes == "SYX" else values
        values = values.astype(_kind(page))
        if page.dtype == np.bool_:
            values = values * np.uint8(255)
        if page.photometric == _WHITE_IS_ZERO:
            values = inverted(values)
        colours = _colours(page)
        alpha = colours is not None and page.samplesperpixel > colours
        premultiplied = alpha and tuple(page.extrasamples) == (1,)
        return Frame(upright(values, _orientation(page)), colours, alpha, premultiplied)


def _pages(file: Any) -> list[Any]:
    """All pages in order.

    Raises:
        ValueError: A page is said to come after itself, which `tifffile` follows for minutes.
    """
    pages, offsets = list[Any](), set[int]()
    while True:
        try:
            page = file.pages[len(pages)]
        except IndexError:
            return pages
        if page.offset in offsets:
            raise ValueError("its pages follow one another in a circle")
        offsets.add(page.offset)
        pages.append(page)


def _sequence(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, Sequence) else (value,)


def _orientation(page: Any) -> int:
    tag = page.tags.get(274)
    return tag.value if tag is not None and tag.value in range(1, 9) else 1


def _colours(page: Any) -> int | None:
    """1 or 3 where the bands are grey or RGB, alone or with alpha after them."""
    colours = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3}.get(page.photometric)
    if page.photometric == _YCBCR and page.compression.name == "JPEG":
        colours = 3  # turned into RGB by the decoder
    if page.photometric == _PALETTE:
        raise UnsupportedImageError("has a palette of more than 8 bits; save it in RGB")
    with_alpha = (
        colours is not None and page.samplesperpixel == colours + 1 and tuple(page.extrasamples) in ((1,), (2,))
    )
    return colours if page.samplesperpixel == colours or with_alpha else None


def _kind(page: Any) -> str:
    name = {"bool": "uint8", "float16": "float32"}.get(str(page.dtype), str(page.dtype))
    if name not in _KINDS:
        raise UnsupportedImageError(f"holds numbers of the type {name}; save it with real numbers of 8 to 64 bits")
    return name
