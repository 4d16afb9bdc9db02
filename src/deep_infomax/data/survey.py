"""What the headers of all images of a data set say, and the one rule by which every image becomes an array."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from deep_infomax.data.dataset import by
from deep_infomax.data.encoded import EncodedImage, EncodedImages
from deep_infomax.data.headers import Header
from deep_infomax.data.missing import NODATA
from deep_infomax.data.options import DataOptions, Sides, sides, written
from deep_infomax.data.pictures import opened

T = TypeVar("T", bound=Hashable)


@dataclass
class Tally(Generic[T]):
    """How many images there are of each kind, and the name of one for messages."""

    count: Counter[T] = field(default_factory=Counter)
    example: dict[T, str] = field(default_factory=dict)

    def add(self, kind: T, name: str, count: int = 1) -> None:
        """Count an image, or several alike."""
        self.count[kind] += count
        self.example.setdefault(kind, name)


@dataclass
class Survey:
    """What the headers of all images say."""

    sizes: Tally[tuple[int, int]] = field(default_factory=Tally)
    """Height and width."""
    bands: Tally[tuple[int, int | None]] = field(default_factory=Tally)
    """Bands as stored; 1, 3 or None where they are grey, colours or neither."""
    kinds: Tally[str] = field(default_factory=Tally)
    frames: Tally[int] = field(default_factory=Tally)
    formats: Tally[str] = field(default_factory=Tally)
    nodata: Tally[float] = field(default_factory=Tally)
    """Numbers that are said to be no data."""
    turned: int = 0
    """Images that do not lie upright."""

    def add(self, image: EncodedImage) -> None:
        """Read the header of one image.

        Raises:
            ValueError: It is not an image, or not one that can be read as it is stored.
        """
        with opened(image) as picture:
            header = picture.header
        self.note(header, image.name)

    def note(self, header: Header, name: str, count: int = 1) -> None:
        """Count a header, of one image or of several alike."""
        self.sizes.add((header.height, header.width), name, count)
        self.bands.add((header.bands, header.colours), name, count)
        self.kinds.add(header.kind, name, count)
        self.frames.add(header.frames, name, count)
        self.formats.add(header.format, name, count)
        if header.nodata is not None:
            self.nodata.add(header.nodata, name, count)
        self.turned += header.turned * count


def survey_all(splits: Iterable[EncodedImages], advance: Callable[[int], None]) -> Survey:
    """Read the headers of all images."""
    survey = Survey()
    for images in splits:
        for block in images.read():
            for image in block:
                survey.add(image)
            advance(len(block))
    return survey


@dataclass(frozen=True)
class ImageRule:
    """How every image of a data set becomes an array of one shape."""

    bands: int
    """Channels of a frame."""
    stored: bool
    """Whether they are the bands as they are stored, not grey or colours."""
    frames: int
    """Frames that are read of each image."""
    volume: bool
    """Whether the frames are the depth of a volume; else they are channels."""
    kind: np.dtype[np.generic]
    resize: int | None
    """Length of the short side after resizing."""
    height: int
    width: int
    """Sizes of the central crop."""
    description: dict[str, str]

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels and spatial sizes of every decoded image."""
        frames = (self.bands, self.frames) if self.volume else (self.bands * self.frames,)
        return (*frames, self.height, self.width)


def choose_rule(survey: Survey, options: DataOptions) -> ImageRule:
    """Settle depth, frames, channels and size for a data set.

    Raises:
        ValueError: The images differ and no option makes them alike, or they do not have what the options ask for.
    """
    kind, frames = one_kind(survey), choose_frames(survey, options)
    bands, stored = choose_bands(survey, options)
    height, width, size_rule = choose_size(survey, options)
    record = {
        "encoding": ", ".join(sorted(survey.formats.count)),
        "channels_rule": f"{bands} {'as asked' if options.channels else 'as found'}",
        "size_rule": size_rule,
    }
    if stored:
        record["channels_rule"] = f"{bands} bands as stored"
    record["depth_rule"] = f"{kind} as stored"
    if kind != np.uint8 and options.resize:
        record["depth_rule"] += ", resized in float32"
        kind = np.dtype(np.float32)
    if survey.nodata.count:
        record[NODATA] = ", ".join(f"{number:.17g}" for number in sorted(survey.nodata.count))
    if survey.turned:
        record["orientation_rule"] = (
            f"{survey.turned} of {survey.frames.count.total()} images turned upright by their tag"
        )
    if max(survey.frames.count) > 1:
        record["frames_rule"] = {
            "first": "the first frame of each image",
            "channels": f"{frames} frames as channels",
            "depth": f"{frames} frames as the depth of a volume",
        }[options.frames or "first"]
    return ImageRule(bands, stored, frames, options.frames == "depth", kind, options.resize, height, width, record)


def one_kind(survey: Survey) -> np.dtype[np.generic]:
    """Return the type of the numbers of all images."""
    if len(survey.kinds.count) > 1:
        found = ", ".join(
            f"{kind} ({n}, as {survey.kinds.example[kind]})" for kind, n in survey.kinds.count.most_common()
        )
        raise ValueError(f"the images have several depths, {found}; save them all with one")
    return np.dtype(next(iter(survey.kinds.count)))


def choose_frames(survey: Survey, options: DataOptions) -> int:
    """Settle how many frames are read of each image."""
    most = max(survey.frames.count)
    example = survey.frames.example[most]
    if options.frames is None and most > 1:
        several = survey.frames.count.total() - survey.frames.count[1]
        raise ValueError(
            f"{several} images have several frames, as {example} has {most}; set `data_options.frames` to first, "
            "to channels, or to depth for volumes"
        )
    if options.frames in (None, "first"):
        return 1
    if len(survey.frames.count) > 1:
        fewest = min(survey.frames.count)
        raise ValueError(
            f"{example} has {most} frames, {survey.frames.example[fewest]} {fewest}; give images with one number of "
            "frames, or set `data_options.frames` to first"
        )
    if most == 1 and options.frames == "depth":
        raise ValueError("the images have one frame each, which is no depth; leave `data_options.frames` out")
    return most


def choose_bands(survey: Survey, options: DataOptions) -> tuple[int, bool]:
    """Settle the channels of a frame, and whether they are its bands as stored, not grey or colours."""
    wanted, kinds = options.channels, survey.bands
    others = [kind for kind in kinds.count if kind[1] is None]
    if not others and wanted in (None, 1, 3):
        return wanted or max(colours or 1 for _, colours in kinds.count), False
    if wanted is None:
        bands = others[0][0]
        raise ValueError(
            f"the image {kinds.example[others[0]]} has {bands} bands that are no colours; "
            f"set `data_options.channels` to {bands} to read them all as channels"
        )
    if wrong := [kind for kind in kinds.count if kind[0] != wanted]:
        raise ValueError(
            f"`data_options.channels` is {wanted}, but the image {kinds.example[wrong[0]]} has {wrong[0][0]} bands; "
            "give images with one number of bands, and that number"
        )
    return wanted, True


def _pair(crop: Sides) -> tuple[int, int]:
    height, width = sides("crop", crop, 2)
    return height, width


def choose_size(survey: Survey, options: DataOptions) -> tuple[int, int, str]:
    """Settle height and width of the central crop, and say by which rule."""
    sizes = survey.sizes
    if options.size is not None:
        raise ValueError("`data_options.size` is for series, volumes and arrays; give images `data_options.resize`")
    if options.resize is not None:
        side = options.crop or options.resize
        rule = f"short side resized to {options.resize} (bilinear, antialiased), centre crop of {written(side)}"
        return *_pair(side), rule
    if options.crop is not None:
        height, width = _pair(options.crop)
        if short := [size for size in sizes.count if size[0] < height or size[1] < width]:
            smallest = min(short, key=min)
            raise ValueError(
                f"the image {sizes.example[smallest]} has {by(smallest)} pixels, too few for a crop of "
                f"{written(options.crop)}; set `data_options.resize` to {max(height, width)}, or `data_options.crop` "
                f"to at most {min(smallest)}"
            )
        return height, width, f"centre crop of {written(options.crop)}"
    if len(sizes.count) > 1:
        commonest = ", ".join(f"{by(size)} ({n})" for size, n in sizes.count.most_common(3))
        raise ValueError(
            f"the images have {len(sizes.count)} different sizes, most often {commonest}; "
            "give them one size, such as 64 with `data_options.resize`"
        )
    ((height, width),) = sizes.count
    return height, width, f"kept, all are {height} x {width}"
