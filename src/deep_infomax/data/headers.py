"""What is known of an image before it is decoded, and what every reader of images offers."""

import importlib
import io
from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import ModuleType

from PIL import Image

from deep_infomax.data.pixels import Frame

File = io.BytesIO | io.BufferedReader


class UnsupportedImageError(ValueError):
    """An image is sound, but is not read; the message goes on after the image's name."""


@dataclass(frozen=True)
class Header:
    """What is known of an image before it is decoded."""

    height: int
    """As seen: turned upright."""
    width: int
    bands: int
    """Numbers of each pixel as stored: 4 in RGBA and in CMYK; those of a palette are its colours."""
    colours: int | None
    """1 where it is grey, 3 where it has colours, None where its bands are neither."""
    kind: str
    """Type of its numbers, as NumPy calls it."""
    frames: int
    format: str
    turned: bool = False
    """Whether a tag says that it does not lie upright."""
    nodata: float | None = None
    """The number that a tag says is no data."""


class Picture(ABC):
    """An image that was opened."""

    header: Header

    @abstractmethod
    def frame(self, number: int, stored: bool, short_side: int | None = None) -> Frame:
        """Decode one frame, upright.

        Args:
            number: Which.
            stored: Whether the bands of inks are kept where they would be turned into colours.
            short_side: What it may be resized to at once, where nothing else has to be done before.
        """


def check_pixels(height: int, width: int, frames: int = 1, bands: int = 4) -> None:
    """Refuse what a small file can pretend to be, at the limit where Pillow refuses it, too.

    Raises:
        ValueError: The image is too large.
    """
    most = Image.MAX_IMAGE_PIXELS
    if most is not None and height * width * frames * max(1, bands / 4) > 2 * most:
        several = f" in {frames} frames" if frames > 1 else f" of {bands} bands" if bands > 4 else ""
        raise ValueError(
            f"it has {height} x {width} pixels{several}, and more than {2 * most:,} are taken for an attack"
        )


def extra(module: str, what: str) -> ModuleType:
    """Import a package of the extra ``images``.

    Raises:
        UnsupportedImageError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnsupportedImageError(f'{what}; install what reads it: pip install "deep-infomax[images]"') from error
