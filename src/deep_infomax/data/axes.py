"""Which axis of an array means what: a word with one letter for each axis after that of the inputs.

=======  ======================================================
letter   axis
=======  ======================================================
``c``    channels
``l``    length of a series
``h w``  height and width of an image
``d``    depth of a volume, which has height and width as well
=======  ======================================================

Without a word from the user, axes are read where their sizes leave no doubt (`axes_of`); other arrays are refused.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Shaped

WORDS: Final = {1: ("l",), 2: ("hw", "cl", "lc"), 3: ("chw", "hwc", "dhw"), 4: ("cdhw", "dhwc")}
"""The words for arrays of so many axes after the first."""
NAMES: Final = {"c": "channels", "l": "length", "d": "depth", "h": "height", "w": "width"}
"""What each letter stands for."""
_CHANNELS: Final = (1, 3, 4)
"""Numbers of channels that are taken for such: grey, RGB, RGB with alpha."""


def axes_of(shape: Sequence[int], layout: str, images: bool) -> str:
    """The word for the axes of an array after the first, as the user says or as their sizes leave no doubt.

    Arrays (n, length) are series. Of arrays (n, a, b) a channel lies where an axis has one entry; squares are images,
    and so are those of sides within a factor of 4 that are known to be images. Of 3 or 4 axes after the first, channels
    lie where 1, 3 or 4 entries do, if that is so at one end only.

    Args:
        shape: Of all inputs together.
        layout: ``auto``, a word, or ``channels_first`` and ``channels_last``, which stand for the words of the shape.
        images: Whether the inputs are more likely images than series, as bytes are.

    Raises:
        ValueError: The word is for other axes, or the sizes leave it open which is meant.

    >>> axes_of((60, 28, 28), "auto", False), axes_of((60, 32, 32, 3), "auto", True), axes_of((60, 2, 500), "cl", False)
    ('hw', 'hwc', 'cl')
    """
    axes = len(shape) - 1
    if layout in ("channels_first", "channels_last"):
        last = layout == "channels_last"
        return {1: "l", 2: "lc" if last else "cl", 3: "hwc" if last else "chw", 4: "dhwc" if last else "cdhw"}[axes]
    if layout != "auto":
        if len(layout) != axes:
            raise ValueError(
                f"the inputs have the shape {tuple(shape)}, with {axes} axes after the first, and "
                f"`data_options.layout` names {len(layout)} with {layout}; give {' or '.join(WORDS[axes])}"
            )
        return layout
    if found := _without_doubt(tuple(shape[1:]), images):
        return found
    raise ValueError(
        f"the inputs have the shape {tuple(shape)}, whose axes after the first can be {_listed(WORDS[axes])} "
        f"({_meanings(WORDS[axes])}); say which with `data_options.layout`"
    )


def _without_doubt(sizes: tuple[int, ...], images: bool) -> str | None:
    if len(sizes) == 1:
        return "l"
    first, last = sizes[0], sizes[-1]
    if len(sizes) == 2:
        if first == last or (images and 1 < max(sizes) <= 4 * min(sizes) and min(sizes) > 1):
            return "hw"
        return "cl" if first == 1 else "lc" if last == 1 else None
    if (first in _CHANNELS) == (last in _CHANNELS):
        return None
    word = WORDS[len(sizes)]
    return word[0] if first in _CHANNELS else word[1]


def channels_second(array: Shaped[np.ndarray, "..."], axes: str) -> Shaped[np.ndarray, "n channels *spatial"]:
    """Move the channels to the second axis, or add one; a view."""
    return np.moveaxis(array, 1 + axes.index("c"), 1) if "c" in axes else array[:, None]


def channels_rule(axes: str) -> str:
    """Say where the channels were.

    >>> channels_rule("dhw"), channels_rule("cl"), channels_rule("hwc")
    ('one channel', 'channels first', 'channels last')
    """
    return "one channel" if "c" not in axes else "channels first" if axes.startswith("c") else "channels last"


def _meanings(words: Sequence[str]) -> str:
    letters = dict.fromkeys("".join(words))
    return ", ".join(f"{letter} {NAMES[letter]}" for letter in letters)


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
