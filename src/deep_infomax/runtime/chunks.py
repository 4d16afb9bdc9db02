"""How many inputs are handled at a time, so that large ones do not fill the memory."""

import math
from collections.abc import Sequence
from typing import Final

_VALUES: Final = 2**24
"""64 MB in float32; the activations of an encoder's first layer are some times as many."""


def at_a_time(shape: Sequence[int], most: int, values: int = _VALUES) -> int:
    """The number of inputs of one shape: at most so many, and of large ones no more than hold so many values together.

    >>> at_a_time((3, 32, 32), 512), at_a_time((1, 128, 128, 128), 512)
    (512, 8)
    """
    return max(1, min(most, values // max(1, math.prod(shape))))
