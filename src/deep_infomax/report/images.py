"""Images inside the page: the nearest neighbours of some test images, and reconstructions."""

import base64
import io
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from deep_infomax.report.runs import Decoded, Neighbours, class_name

_MOST_QUERIES: Final = 8
_MOST_NEIGHBOURS: Final = 8
_LARGEST_SIDE: Final = 64


class Thumbnail(NamedTuple):
    """One image."""

    uri: str
    label: str
    """The name of its class; empty where it has none."""
    other_class: bool
    """Whether it is of another class than its query."""


def neighbour_rows(neighbours: Neighbours, classes: tuple[str, ...], budget: int) -> list[list[Thumbnail]]:
    """Rows of a query and its nearest images; as many as keep to a budget of pixels, at least two."""
    _, height, width, _ = neighbours.queries.shape
    pixels = min(height, _LARGEST_SIDE) * min(width, _LARGEST_SIDE) * (1 + _MOST_NEIGHBOURS)
    rows = []
    for query in range(min(len(neighbours.queries), max(2, min(_MOST_QUERIES, budget // pixels)))):
        own = int(neighbours.query_labels[query])
        row = [Thumbnail(png(neighbours.queries[query]), class_name(own, classes), False)]
        found = zip(neighbours.neighbours[query], neighbours.neighbour_labels[query].tolist(), strict=True)
        for image, label in list(found)[:_MOST_NEIGHBOURS]:
            row.append(Thumbnail(png(image), class_name(label, classes), own >= 0 and label >= 0 and label != own))
        rows.append(row)
    return rows


def decoded_rows(decoded: Decoded) -> dict[str, list[str]]:
    """Rows of images as data URIs, by what they show."""
    return {name: [png(image) for image in images[:_MOST_QUERIES]] for name, images in decoded.rows.items()}


def png(pixels: UInt8[np.ndarray, "h w channels"]) -> str:
    """An image with 1 or 3 channels as a data URI, its sides at most 64 pixels."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
