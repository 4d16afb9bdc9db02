"""From image files to one array, by a pool of threads; and which files of a data set cannot be decoded."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Num

from deep_infomax.data.encoded import EncodedImage, EncodedImages, known_files
from deep_infomax.data.finite import finite_or_missing, remedy
from deep_infomax.data.headers import Picture, UnsupportedImageError, check_pixels
from deep_infomax.data.options import DataOptions
from deep_infomax.data.pictures import DamagedImageError, opened
from deep_infomax.data.pixels import composed, cropped, resized, with_channels
from deep_infomax.data.survey import ImageRule

T = TypeVar("T")

CHUNK = 64
"""Images a thread decodes at a time: long enough for the pool's own cost to vanish."""


class Decoded(NamedTuple):
    """What is known of images once they are decoded."""

    transparent: int
    """How many were transparent somewhere, and composed over white."""
    files: list[str] | None
    """The file of each; None where that of some is not known."""


def decode(
    images: EncodedImages,
    rule: ImageRule,
    options: DataOptions,
    out: Num[np.ndarray, "n c *spatial"],
    advance: Callable[[int], None],
) -> Decoded:
    """Decode all images into ``out``, in order; ``advance`` is told the number of images done.

    Raises:
        ValueError: An image is corrupt, or cannot be used; the message names it.
    """

    def fill(start: int, chunk: Sequence[EncodedImage]) -> tuple[int, list[str | None]]:
        transparent = 0
        for position, encoded in enumerate(chunk, start):
            with opened(encoded) as picture:
                out[position], seen_through = pixels(picture, rule, options)
                transparent += seen_through
        return transparent, [encoded.file for encoded in chunk]

    transparent, files = 0, list[str | None]()
    for seen_through, chunk in _in_threads(images, fill, advance):
        transparent += seen_through
        files += chunk
    return Decoded(transparent, known_files(files))


def damaged(images: EncodedImages, every_frame: bool, advance: Callable[[int], None]) -> dict[int, str]:
    """Decode all images and keep none: positions and names of those that cannot be decoded."""

    def check(start: int, chunk: Sequence[EncodedImage]) -> dict[int, str]:
        found = {}
        for position, encoded in enumerate(chunk, start):
            try:
                with opened(encoded) as picture:
                    for number in range(picture.header.frames if every_frame else 1):
                        picture.frame(number, stored=True)
            except DamagedImageError:
                found[position] = "/".join(Path(encoded.name).parts[-2:])
        return found

    return {position: name for found in _in_threads(images, check, advance) for position, name in found.items()}


def without(images: EncodedImages, positions: Sequence[int]) -> EncodedImages:
    """Leave out the images at these positions, with their labels."""
    keep = torch.ones(images.n, dtype=torch.bool)
    keep[torch.tensor(positions, dtype=torch.long)] = False
    return images.subset(keep.nonzero().flatten())


def pixels(picture: Picture, rule: ImageRule, options: DataOptions) -> tuple[Num[np.ndarray, "c *spatial"], bool]:
    """Turn an opened image into channels and spatial sizes by the rule; also say whether it was transparent."""
    frames, transparent = [], False
    check_pixels(picture.header.height, picture.header.width, rule.frames)
    at_once = rule.resize if picture.header.colours == rule.bands else None
    for number in range(rule.frames):
        frame = picture.frame(number, rule.stored, at_once)
        values = frame.values
        if not rule.stored:
            values, seen_through = composed(frame)
            values, transparent = with_channels(values, rule.bands), transparent or seen_through
        if rule.resize is not None and not frame.resized:
            values = resized(values, rule.resize)
        if not finite_or_missing(values, options).all():
            raise UnsupportedImageError(f"has pixels that are NaN or infinite; {remedy(options)} the image")
        frames.append(cropped(values, rule.height, rule.width).transpose(2, 0, 1))
    if any(frame.shape != (rule.bands, rule.height, rule.width) for frame in frames):
        raise UnsupportedImageError("has a frame of another size or number of bands than its first")
    return np.stack(frames, axis=1) if rule.volume else np.concatenate(frames), transparent


def _in_threads(
    images: EncodedImages, work: Callable[[int, Sequence[EncodedImage]], T], advance: Callable[[int], None]
) -> Iterator[T]:
    """Apply ``work`` to chunks of images and the position of their first, several at a time; results in order."""
    done = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for block in images.read():
            chunks = [block[offset : offset + CHUNK] for offset in range(0, len(block), CHUNK)]
            starts = [done + offset for offset in range(0, len(block), CHUNK)]
            for chunk, result in zip(chunks, pool.map(work, starts, chunks), strict=True):
                advance(len(chunk))
                yield result
            done += len(block)
    assert done == images.n, f"{done} images were read where {images.n} were announced"
