"""Pixels of one image as numbers: turned upright, composed over white, as grey or colour, resized.

Numbers are kept as they are stored, whatever their depth. Colour profiles are not applied.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Num
from PIL import Image

Pixels = Num[np.ndarray, "_ _ _"]
"""Height, width, bands."""

_GREY = np.array((0.299, 0.587, 0.114))
"""Weights of red, green and blue (ITU-R BT.601, as in Pillow)."""


class Frame(NamedTuple):
    """One picture of a file."""

    values: Pixels
    """The colours first, then what lies behind or beside them."""
    colours: int | None
    """How many of the first bands are colours: 1 (grey) or 3 (RGB); None where the bands are something else."""
    alpha: bool = False
    """Whether the band after the colours says how much of them covers what lies behind."""
    premultiplied: bool = False
    """Whether the colours were multiplied by it already."""
    resized: bool = False
    """Whether its size is the one asked for."""


def upright(values: Pixels, orientation: int) -> Pixels:
    """Turn and mirror pixels as the EXIF tag of orientation (1 to 8) says, as viewers do.

    >>> ramp = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    >>> upright(ramp, 6)[..., 0].tolist()
    [[3, 0], [4, 1], [5, 2]]
    """
    if orientation >= 5:
        values = values.transpose(1, 0, 2)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return values[::rows, ::columns]


def composed(frame: Frame) -> tuple[Pixels, bool]:
    """Lay what is transparent over white, and say whether anything was.

    White is the largest number of the type, 1 for floating-point numbers. With ``a`` as the share of white that alpha
    is, a colour ``c`` becomes ``a c + (1 - a) white``, rounded for whole numbers.

    >>> half = Frame(np.array([[[10, 51]]], np.uint8), 1, alpha=True)
    >>> composed(half)[0].tolist()
    [[[206]]]
    """
    assert frame.colours is not None
    colours = frame.values[..., : frame.colours]
    if not frame.alpha:
        return colours, False
    alpha = frame.values[..., frame.colours : frame.colours + 1]
    white = white_of(colours.dtype)
    if (alpha == white).all():
        return colours, False
    share = alpha / white
    mixed = (colours if frame.premultiplied else colours * share) + (1 - share) * white
    if colours.dtype.kind != "f":
        mixed = np.rint(np.minimum(mixed, white))
    return mixed.astype(colours.dtype), True


def white_of(kind: np.dtype[Any]) -> float:
    """Return the number that stands for white: the largest of a type, 1 for floating-point numbers."""
    return 1.0 if kind.kind == "f" else float(np.iinfo(kind).max)


def with_channels(values: Pixels, channels: int) -> Pixels:
    """Turn colours into grey, or grey into colours, where the number of channels asks for it."""
    if values.shape[-1] == channels:
        return values
    if channels == 3:
        return values.repeat(3, axis=-1)
    if values.dtype == np.uint8:
        return np.asarray(Image.fromarray(values).convert("L"))[..., None]
    grey = values.astype(np.float64) @ _GREY
    return np.asarray((grey if values.dtype.kind == "f" else np.rint(grey))[..., None], values.dtype)


def resized(values: Pixels, short_side: int) -> Pixels:
    """Resize to a short side (bilinear, antialiased): bytes stay bytes, all other numbers become float32."""
    if values.dtype != np.uint8:
        values = values.astype(np.float32)
    elif values.shape[-1] == 3:
        return np.asarray(resized_image(Image.fromarray(values), short_side))
    bands = [np.ascontiguousarray(values[..., band]) for band in range(values.shape[-1])]
    return np.stack([np.asarray(resized_image(Image.fromarray(band), short_side)) for band in bands], axis=-1)


def resized_image(image: Image.Image, short_side: int) -> Image.Image:
    """Resize an image to a short side (bilinear, antialiased)."""
    scale = short_side / min(image.size)
    width, height = (max(short_side, round(length * scale)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR)


def cropped(values: Pixels, height: int, width: int) -> Pixels:
    """Keep the centre."""
    top, left = (values.shape[0] - height) // 2, (values.shape[1] - width) // 2
    return values[top : top + height, left : left + width]


def inverted(values: Pixels) -> Pixels:
    """Count whole numbers without sign from black where they were counted from white."""
    white = np.array(np.iinfo(values.dtype).max, values.dtype) if values.dtype.kind == "u" else None
    return values if white is None else white - values


def keyed(values: Pixels, transparent: int | tuple[int, ...]) -> Pixels:
    """Add alpha to colours of which one is transparent."""
    alpha = (values != np.array(transparent)).any(axis=-1, keepdims=True) * np.iinfo(values.dtype).max
    return np.concatenate([values, alpha.astype(values.dtype)], axis=-1)
