"""Thousands of small inputs inside a page: images in one sheet, series as the bytes of their lines."""

import base64
import io
import math
from typing import Any, Final

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

MOST_BYTES: Final = 4_500_000
"""Of a sheet in full colour, unless a page has less room."""
_TAILS: Final = (0.005, 0.995)
"""Quantiles between which values without a known scale are shown."""


def sprites(
    values: Float[np.ndarray, "n channels *sizes"], *, bytes_as_stored: bool, most_bytes: int = MOST_BYTES
) -> dict[str, Any]:
    """Miniatures as the page's script reads them: a sheet of images, or lines.

    Args:
        values: Of images of one or three channels, or of series.
        bytes_as_stored: Whether values are those of 8 bits, and shown as they are.
        most_bytes: Of a sheet in full colour; a larger one is reduced to 256 colours, a byte a pixel at most.
    """
    if values.ndim == 4:
        pixels = as_bytes(values, (0.0, 255.0) if bytes_as_stored else None)
        return sheet(np.moveaxis(pixels[:, : 3 if pixels.shape[1] == 3 else 1], 1, -1), most_bytes)
    lines = np.stack([as_bytes(values[:, channel]) for channel in range(values.shape[1])], axis=1)
    _, channels, moments = lines.shape
    return {"kind": "lines", "channels": channels, "moments": moments, "bytes": _base64(lines.tobytes())}


def as_bytes(
    values: Float[np.ndarray, "*shape"], limits: tuple[float, float] | None = None
) -> UInt8[np.ndarray, "*shape"]:
    """Values between two limits as 0 to 255, those beyond cut off; None takes the limits that leave out 1 %.

    >>> as_bytes(np.array([-1.0, 0.0, 1.0, 2.0, 9.0]), (0.0, 2.0)).tolist()
    [0, 0, 128, 255, 255]
    """
    low, high = limits or tuple(np.quantile(values, _TAILS))
    share = (values - low) / (high - low) if high > low else np.full_like(values, 0.5)
    return np.asarray(np.clip(np.rint(share * 255), 0, 255).astype(np.uint8))


def sheet(images: UInt8[np.ndarray, "n h w channels"], most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Images in rows and columns of one PNG, as a data URI, with the sizes that find each of them again."""
    n, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    padded = np.zeros((rows * columns, height, width, channels), np.uint8)
    padded[:n] = images
    tiled = padded.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    pixels = tiled.reshape(rows * height, columns * width, channels)
    content = _png(Image.fromarray(pixels[..., 0] if channels == 1 else pixels), most_bytes)
    return {
        "kind": "images", "width": width, "height": height, "columns": columns,
        "uri": f"data:image/png;base64,{_base64(content)}",
    }  # fmt: skip


def _png(image: Image.Image, most_bytes: int) -> bytes:
    """A PNG; of an image that would take too many bytes, one in 256 colours."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    if buffer.tell() > most_bytes and image.mode == "RGB":
        buffer = io.BytesIO()
        image.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(buffer, "PNG")
    return buffer.getvalue()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
