"""Image files opened: what their headers say, and their frames as numbers.

Pillow reads what it keeps as it is stored. What it would cut to 8 bits, or lacks, goes to `deep_infomax.data.deep`.
"""

import io
import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from deep_infomax.data import deep
from deep_infomax.data.encoded import EncodedImage
from deep_infomax.data.formats import FORMATS
from deep_infomax.data.headers import File, Header, Picture, UnsupportedImageError, check_pixels
from deep_infomax.data.pixels import Frame, inverted, keyed, resized_image, upright
from deep_infomax.data.tiff import (
    NODATA_TAG,
    TiffPicture,
    full_pages,
    is_plain,
    is_white_zero,
    kind_of,
    nodata_of,
    stored_size,
    tags,
)

_ONE_PICTURE: Final = ("MPO", "PSD", "ICO", "ICNS", "CUR")
"""Formats whose further frames are previews, layers or sizes of the first."""


_TIFF_LOGGER: Final = logging.getLogger("PIL.TiffImagePlugin")


class DamagedImageError(ValueError):
    """An image cannot be decoded."""


@contextmanager
def opened(image: EncodedImage) -> Iterator[Picture]:
    """Open an image; whatever goes wrong with it becomes one sentence that names it.

    Raises:
        DamagedImageError: It is missing or broken, or larger than Pillow allows.
        ValueError: It holds what cannot be read as it is stored.
    """
    try:
        with _file_of(image) as file:
            yield open_picture(file)
    except UnsupportedImageError as error:
        raise ValueError(f"the image {image.name} {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise errors of many kinds on broken files
        raise DamagedImageError(
            f"cannot decode the image {image.name}: {_reason(error)}; remove or replace it, "
            "or set `data_options.skip_damaged` to true"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Pillow from warning of what is decided here: large images, odd tags, many bands."""
    level = _TIFF_LOGGER.level
    try:
        with warnings.catch_warnings():
            ignore_warnings()
            yield
    finally:
        _TIFF_LOGGER.setLevel(level)


def ignore_warnings() -> None:
    """Keep Pillow from such warnings from now on, where threads decode until the program ends."""
    _TIFF_LOGGER.setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"PIL\.")
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def open_picture(file: File) -> Picture:
    """Open an image file by the reader that keeps what it stores."""
    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        file.seek(0)
        beginning = file.read(4)
        file.seek(0)
        if beginning in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return TiffPicture(file)
        if beginning.startswith(b"\xff\xd8\xff"):  # 12 or 16 bits, or lossless
            return deep.open_jpeg(file)
        raise
    if image.format == "TIFF":
        return PillowPicture(image) if is_plain(image) else TiffPicture(file)
    return deep.open_deep(image, file, lambda: orientation(image)) or PillowPicture(image)


class PillowPicture(Picture):
    """An image that Pillow reads as it is stored."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image
        _stretch_key(image)
        if image.format == "TIFF":
            self._pages = full_pages(image)
            image.seek(self._pages[0])
        else:
            self._pages = list(range(1 if image.format in _ONE_PICTURE else getattr(image, "n_frames", 1)))
        turn, (height, width) = orientation(image), _stored_size(image)
        check_pixels(height, width)
        colours = 1 if image.mode in _GREY else 3
        self.header = Header(
            *((width, height) if turn >= 5 else (height, width)),
            bands=4 if image.mode == "CMYK" else colours + image.has_transparency_data,
            colours=colours,
            kind=_kind(image),
            frames=len(self._pages),
            format=image.format or "unknown",
            turned=turn > 1,
            nodata=nodata_of(tags(image).get(NODATA_TAG)) if image.format == "TIFF" else None,
        )

    def frame(self, number: int, stored: bool, short_side: int | None = None) -> Frame:
        """Decode one frame."""
        image = self._image
        if len(self._pages) > 1:
            image.seek(self._pages[number])
        tiff = image.format == "TIFF"
        if tiff and not (is_plain(image) and kind_of(image) == self.header.kind):
            raise UnsupportedImageError("has pages of different kinds; save them with one depth and number of bands")
        white_zero = tiff and is_white_zero(image)
        image.load()
        turn = orientation(image)  # after loading, as Pillow turns TIFF pages itself
        if short_side is not None and turn == 1 and image.mode in ("L", "RGB") and not image.has_transparency_data:
            small = resized_image(image, short_side)  # spares two copies of what is large
            return _decoded(small, stored, self.header.kind)._replace(resized=True)
        frame = _decoded(image, stored, self.header.kind)
        if white_zero:
            frame = frame._replace(values=inverted(frame.values))
        return frame._replace(values=upright(frame.values, turn))


_GREY: Final = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"))


def _stretch_key(image: Image.Image) -> None:
    """Stretch the transparent grey of a PNG file of 2 or 4 bits to 8, as Pillow does its pixels."""
    key, tile = image.info.get("transparency"), getattr(image, "tile", None)
    if image.format == "PNG" and isinstance(key, int) and tile:
        image.info["transparency"] = key * {"L;2": 85, "L;4": 17}.get(str(tile[0][3]), 1)


def _kind(image: Image.Image) -> str:
    if image.format == "TIFF":
        return kind_of(image)
    if image.mode.startswith("I"):
        return "int32" if image.mode == "I" and image.format != "PNG" else "uint16"
    return "float32" if image.mode == "F" else "uint8"


def _decoded(image: Image.Image, stored: bool, kind: str) -> Frame:
    """The pixels of a loaded image; palettes become colours, and inks where they are not to be kept."""
    key = image.info.get("transparency")
    if image.mode.startswith("I") and isinstance(key, int):
        return Frame(keyed(np.asarray(image).astype(kind)[..., None], key), 1, alpha=True)
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in _GREY else "RGBA")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in _GREY and image.mode != "RGB" and not (stored and image.mode == "CMYK"):
        image = image.convert("RGB")
    values = np.asarray(image).astype(kind, copy=False)
    return Frame(
        values if values.ndim == 3 else values[..., None],
        {"RGB": 3, "RGBA": 3, "CMYK": None}.get(image.mode, 1),
        image.mode in ("LA", "RGBA"),
    )


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Height and width before it is turned; Pillow says those of TIFF pages after it."""
    if image.format == "TIFF":
        return stored_size(image)
    return image.height, image.width


def orientation(image: Image.Image) -> int:
    """Return the EXIF tag of orientation; 1, which is upright, where there is none that makes sense."""
    if image.format == "PNG" and not image.info.keys() & _EXIF_IN_PNG and not _has_late_exif(image):
        return 1  # for which Pillow would decode the image
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # as viewers do where the tags are damaged; damaged pixels show when they are decoded
        return 1
    return value if value in range(1, 9) else 1


_EXIF_IN_PNG: Final = frozenset(("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"))


def _has_late_exif(image: Image.Image) -> bool:
    """Whether EXIF tags follow the pixels of a PNG file."""
    assert isinstance(image, ImageFile.ImageFile)
    if (file := image.fp) is None:  # loaded: they are read
        return False
    position = file.tell()
    file.seek(8)
    try:
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"eXIf":
                return True
            file.seek(length + 4, io.SEEK_CUR)
        return False
    finally:
        file.seek(position)


@contextmanager
def _file_of(image: EncodedImage) -> Iterator[File]:
    if isinstance(image.content, bytes):
        yield io.BytesIO(image.content)
    elif image.content is None:
        raise ValueError("there is no image")
    elif not image.content.is_file():  # such as a pipe, which would be waited for
        raise ValueError("there is no such file" if not image.content.exists() else "it is no plain file")
    else:
        with image.content.open("rb") as file:
            yield file


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is not an image of a known format"
    if isinstance(error, Image.DecompressionBombError):
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        return f"it has more than {most:,} pixels, which are taken for an attack"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return next(iter(str(error).splitlines()), "") or type(error).__name__
