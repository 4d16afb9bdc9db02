"""From image files to one array: a survey of all headers settles channels and size, then a pool of threads decodes."""

import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from deep_infomax.data.dataset import by
from deep_infomax.data.encoded import EncodedImage, EncodedImages
from deep_infomax.data.options import DataOptions

CHUNK = 64
"""Images a thread decodes at a time: long enough for the pool's own cost to vanish."""


@dataclass
class Survey:
    """What the headers of all images say."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Number of images of each (height, width)."""
    example: dict[tuple[int, int], str] = field(default_factory=dict)
    """An image of each size, for messages."""
    colour: bool = False
    formats: set[str] = field(default_factory=set)

    def add(self, encoded: EncodedImage) -> None:
        """Read the header of one image.

        Raises:
            ValueError: It is not an image, or holds floating-point numbers.
        """
        with opened(encoded) as image:
            if image.mode == "F":
                raise ValueError("it holds floating-point numbers, which only arrays (.npy, .npz) may")
            size = (image.height, image.width)
            self.sizes[size] += 1
            self.example.setdefault(size, encoded.name)
            self.colour |= not (image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I"))
            self.formats.add(image.format or "unknown")


@dataclass(frozen=True)
class ImageRule:
    """How every image of a data set becomes an array of one shape."""

    channels: int
    resize: int | None
    """Length of the short side after resizing."""
    height: int
    width: int
    """Sizes of the central crop."""
    description: dict[str, str | int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every decoded image."""
        return self.channels, self.height, self.width


def choose_rule(survey: Survey, options: DataOptions) -> ImageRule:
    """Settle channels and size for a data set.

    Raises:
        ValueError: The images differ in size and no option makes them equal, or one is smaller than ``crop``.
    """
    channels = options.channels or (3 if survey.colour else 1)
    height, width, size_rule = choose_size(survey, options)
    record: dict[str, str | int] = {
        "encoding": ", ".join(sorted(survey.formats)),
        "channels_rule": f"{channels} {'as asked' if options.channels else 'as found'}",
        "size_rule": size_rule,
    }
    return ImageRule(channels, options.resize, height, width, record)


def choose_size(survey: Survey, options: DataOptions) -> tuple[int, int, str]:
    """Settle height and width of the central crop, and say by which rule."""
    if options.resize is not None:
        side = options.crop or options.resize
        return side, side, f"short side resized to {options.resize} (bilinear, antialiased), centre crop of {side}"
    if options.crop is not None:
        smallest = min(survey.sizes, key=min)
        if min(smallest) < options.crop:
            raise ValueError(
                f"the image {survey.example[smallest]} has {by(smallest)} pixels, too few for a crop of "
                f"{options.crop}; set `data_options.resize` to {options.crop}, or `data_options.crop` to "
                f"at most {min(smallest)}"
            )
        return options.crop, options.crop, f"centre crop of {options.crop}"
    if len(survey.sizes) > 1:
        commonest = ", ".join(f"{by(size)} ({n})" for size, n in survey.sizes.most_common(3))
        raise ValueError(
            f"the images have {len(survey.sizes)} different sizes, most often {commonest}; "
            "give them one size, such as 64 with `data_options.resize`"
        )
    ((height, width),) = survey.sizes
    return height, width, f"kept, all are {height} x {width}"


def decode(
    images: EncodedImages, rule: ImageRule, out: UInt8[np.ndarray, "n c h w"], advance: Callable[[int], None]
) -> None:
    """Decode all images into ``out``, in order; ``advance`` is told the number of images done.

    Raises:
        ValueError: An image is corrupt; the message names it.
    """

    def fill(start: int, chunk: Sequence[EncodedImage]) -> int:
        for position, encoded in enumerate(chunk, start):
            with opened(encoded) as image:
                out[position] = pixels(image, rule)
        return len(chunk)

    done = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for block in images.read():
            offsets = range(0, len(block), CHUNK)
            tasks = [pool.submit(fill, done + offset, block[offset : offset + CHUNK]) for offset in offsets]
            for task in tasks:
                advance(task.result())
            done += len(block)
    assert done == images.n, f"{done} images were read where {images.n} were announced"


def survey_all(splits: Iterable[EncodedImages], advance: Callable[[int], None]) -> Survey:
    """Read the headers of all images."""
    survey = Survey()
    for images in splits:
        for block in images.read():
            for encoded in block:
                survey.add(encoded)
            advance(len(block))
    return survey


def pixels(image: Image.Image, rule: ImageRule) -> UInt8[np.ndarray, "c h w"]:
    """Turn an opened image into channels, height and width by the rule; the EXIF orientation is ignored."""
    if image.mode.startswith("I"):  # 16 bits a pixel: Pillow's own conversion would clip, not scale
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 256).astype(np.uint8))
    image = image.convert("RGB" if rule.channels == 3 else "L")
    if rule.resize is not None:
        scale = rule.resize / min(image.size)
        size = (max(rule.resize, round(image.width * scale)), max(rule.resize, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BILINEAR)
    if (image.height, image.width) != (rule.height, rule.width):
        left, top = (image.width - rule.width) // 2, (image.height - rule.height) // 2
        image = image.crop((left, top, left + rule.width, top + rule.height))
    array = np.asarray(image)
    return array[None] if rule.channels == 1 else array.transpose(2, 0, 1)


@contextmanager
def opened(encoded: EncodedImage) -> Iterator[Image.Image]:
    """Open an image; whatever goes wrong with it becomes one sentence that names it."""
    content = encoded.content
    try:
        with Image.open(io.BytesIO(content) if isinstance(content, bytes) else content) as image:
            yield image
    except Exception as error:  # decoders raise errors of many kinds on broken files
        reason = "it is not an image of a known format" if isinstance(error, UnidentifiedImageError) else str(error)
        raise ValueError(f"cannot decode the image {encoded.name}: {reason}; remove or replace it") from error
