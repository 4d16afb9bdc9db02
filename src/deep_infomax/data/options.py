"""How data are read and prepared: the part of a configuration called ``data_options``."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from deep_infomax.runtime.missing import read_missing
from deep_infomax.runtime.scaling import Scaling
from deep_infomax.runtime.values import MOST, MOST_INPUTS, require_count

Layout = Literal[
    "auto", "channels_first", "channels_last", "l", "cl", "lc", "hw", "chw", "hwc", "dhw", "cdhw", "dhwc"
]  # fmt: skip
Sides = int | tuple[int, ...]
"""A length along all spatial axes, or one for each of them in the order of the axes."""
LONGEST: Final = "longest"


@dataclass(frozen=True)
class DataOptions:
    """Choices of the user about data; every default keeps the values as they are stored.

    Raises:
        ValueError: A number is not positive or beyond all reason, or a crop is larger than its image.
    """

    resize: int | None = None
    """Resize images to a short side of this many pixels (bilinear, antialiased), then crop to the central square."""
    size: Sides | Literal["longest"] | None = None
    """Crop or pad every series, volume or array to this size along all its axes, or to one for each (16,128,128), about
    the centre; what is padded repeats the outermost values. longest pads all to the longest along each axis, after
    their ends; what is padded counts as missing."""
    crop: Sides | None = None
    """Keep the central square (cube, segment) of this size, or of one for each axis, after ``resize`` or ``size``."""
    channels: int | None = None
    """Channels of image files: 1 (grey), 3 (RGB), or the number of bands to keep as they are stored; none: 3 if any
    image of the data set has colour, else 1."""
    frames: Literal["first", "channels", "depth"] | None = None
    """What becomes of image files with several frames: the first alone, all as channels, or all as the depth of a
    volume; none refuses them."""
    skip_damaged: bool = False
    """Leave out images that cannot be decoded, with their labels, and name them in the run."""
    stream: bool = False
    """Read images of tar and parquet files as batches need them, shard by shard, and keep no decoded copy on disk."""
    layout: Layout = "auto"
    """Axes of arrays (``.npy``, ``.npz``) after the first, a letter each: c channels, l length, d depth, h height, w
    width; or where the channels are. auto reads axes whose sizes leave no doubt, and refuses others."""
    random_crop: Sides | None = None
    """Train on random crops of this size, or of one for each axis, redrawn for each batch; evaluate on the central crop
    of the same size."""
    evaluate_whole: bool = False
    """Evaluate on whole inputs, not on their central crop, after a training on random crops; the network has to read
    inputs of any size, as pooled does."""
    train_inputs: int | None = None
    """Keep at most so many training inputs, evenly spaced, for probes on the same data as well; none keeps all."""
    with_labelled: bool = False
    """Train on the labelled training inputs as well where the data have further ones without labels, as STL-10."""
    held_out: int | None = None
    """Test on so many training inputs, held out by class, and not on the test part: to choose settings by."""
    flip: bool = False
    """Mirror each training input left to right with probability 1/2."""
    scaling: Scaling = "standard"
    """How each channel is scaled: standard by mean and deviation; robust by median and quartiles, with heavy tails
    clipped; log1p takes log(1 + x) first, for counts; symmetric maps the range to [-1, 1]."""
    missing: Literal["nan", "nodata"] | float | None = None
    """What stands for a missing value: nan; a number, beside which NaN counts as missing, too; nodata for the number
    that TIFF files declare. None refuses NaN, and takes all numbers for values."""
    image_column: str | None = None
    """Column of the images in parquet files and Hub data sets; left out, it is found."""
    label_column: str | None = None
    """Column of the labels there; left out, it is found. The word none reads any data without labels; folders takes
    folders of images for classes that look like dates or parts."""

    series_column: str | None = None
    """Column of a table in long form (``.csv``, ``.tsv``, ``.parquet``) that names the series a row belongs to."""
    value_columns: str | None = None
    """Columns of its values, which become channels, with commas between; left out, all columns of numbers."""
    time_column: str | None = None
    """Column by which its rows are sorted; left out, one that is named time, timestamp, datetime or date."""

    def __post_init__(self) -> None:
        """Check every value on its own and against the others."""
        for name in ("resize", "size", "crop", "channels", "random_crop", "train_inputs", "held_out"):
            most = MOST_INPUTS if name in ("train_inputs", "held_out") else MOST
            value = getattr(self, name)
            for count in value if isinstance(value, tuple) else (value,):
                if count not in (None, LONGEST):
                    require_count(f"data_options.{name}", count, most)
        if self.missing != "nodata":
            object.__setattr__(self, "missing", read_missing("data_options.missing", self.missing))
        if self.resize is not None and self.missing is not None:
            raise ValueError(
                "`data_options.resize` would mix missing values with others; crop instead, or fill them and leave "
                "`data_options.missing` out"
            )
        if self.resize is not None and self.size is not None:
            raise ValueError(
                "`data_options.resize` scales images, `data_options.size` crops or pads other inputs; leave one out"
            )
        if self.evaluate_whole and self.random_crop is None:
            raise ValueError(
                "`data_options.evaluate_whole` is for a training on random crops; set `data_options.random_crop`, or "
                "leave it out"
            )
        if self.stream and self.missing is not None:
            raise ValueError(
                "`data_options.missing` counts all values of the data, for which a stream would be read whole; leave "
                "one of `data_options.missing` and `data_options.stream` out"
            )
        if self.stream and self.series_column is not None:
            raise ValueError(
                "`data_options.stream` is for images, `data_options.series_column` for tables; leave one out"
            )
        steps = [
            (name, size)
            for name in ("resize", "size", "crop", "random_crop")
            if (size := getattr(self, name)) not in (None, LONGEST)
        ]
        for (outer, large), (inner, small) in pairwise(steps):
            if _exceeds(small, large):
                raise ValueError(
                    f"`data_options.{inner}` is {written(small)}, larger than `data_options.{outer}` of "
                    f"{written(large)}; lower it"
                )

    @property
    def gap(self) -> Literal["nan", "nodata"] | float | None:
        """What stands for missing values, those that are padded included; None where nothing does."""
        return "nan" if self.missing is None and self.size == LONGEST else self.missing


def sides(name: str, value: Sides, axes: int) -> tuple[int, ...]:
    """A length for each axis.

    Args:
        name: The option, for the error.
        value: What it is.
        axes: Spatial axes of an input.

    Raises:
        ValueError: There are lengths of more or fewer axes.

    >>> sides("crop", 8, 2), sides("crop", (4, 8), 2)
    ((8, 8), (4, 8))
    """
    found = (value,) * axes if isinstance(value, int) else value
    if len(found) != axes:
        raise ValueError(
            f"`data_options.{name}` is {written(value)}, a length for {len(found)} axes, and inputs have {axes}; give "
            "one for all, or one for each"
        )
    return found


def _exceeds(small: Sides, large: Sides) -> bool:
    """Whether a length is larger than that of the same axis; nothing is told of other numbers of axes."""
    axes = max(len(value) if isinstance(value, tuple) else 1 for value in (small, large))
    both = [(value,) * axes if isinstance(value, int) else value for value in (small, large)]
    return any(inner > outer for inner, outer in zip(*both, strict=False))


def written(value: Sides) -> str:
    """As it is typed."""
    return str(value) if isinstance(value, int) else ",".join(map(str, value))
