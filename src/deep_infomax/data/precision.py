"""Whether float32 can tell the values of data apart.

Numbers are read as float32 (those of 8 bits without sign stay so). It has 24 binary digits: of numbers around a million
it tells apart those that differ by 1/16. Where it would make one number of many that differ, they are read as float64,
and an encoder subtracts an offset in double precision before it goes on in float32.
"""

from typing import Final

import numpy as np
from jaxtyping import Shaped

PRECISION: Final = "precision_rule"
"""The entry of a description that is there where inputs are read as float64."""
DOUBLE: Final = "float64, as float32 tells too few values apart; the encoder subtracts an offset first"
SAMPLE: Final = 2**16
"""Values of each channel that are looked at, evenly spaced."""
_KEPT: Final = 0.995
"""Share of the distinct values that has to stay distinct."""


def stored_as(array: Shaped[np.ndarray, "n channels *spatial"]) -> np.dtype:
    """The type that an array is read as: uint8 as stored, else float32, or float64 where float32 tells too few apart.

    Raises:
        ValueError: Not even float64 tells the values apart.

    >>> x = np.linspace(0, 1, 100)[:, None, None]
    >>> stored_as(x).name, stored_as(x + 1e6).name, stored_as(np.zeros((1, 1, 1), np.uint8)).name
    ('float32', 'float64', 'uint8')
    """
    kind = array.dtype
    if kind == np.uint8 or kind.kind not in "biuf":
        return kind
    if kind.kind == "b" or kind.itemsize <= (2 if kind.kind in "iu" else 4):
        return np.dtype(np.float32)  # which holds all of their values
    values = sample(array)
    if _tells_apart(values, np.float32):
        return np.dtype(np.float32)
    if not _tells_apart(values, np.float64):
        raise ValueError(
            f"the values differ by less than double precision resolves, such as {values.flat[0]} and "
            f"{values[values != values.flat[0]][0]}; subtract an offset from them"
        )
    return np.dtype(np.float64)


def sample(array: Shaped[np.ndarray, "n channels *spatial"]) -> Shaped[np.ndarray, "channels _"]:
    """Evenly spaced values of each channel."""
    size = max(1, int(np.prod(array.shape[2:])))
    rows = np.unique(np.linspace(0, len(array) - 1, max(1, min(len(array), SAMPLE // size))).round().astype(int))
    values = np.moveaxis(np.asarray(array[rows]), 1, 0).reshape(array.shape[1], -1)
    return values[:, :: -(-values.shape[1] // SAMPLE)]


def _tells_apart(values: Shaped[np.ndarray, "channels _"], kind: type[np.floating]) -> bool:
    with np.errstate(over="ignore"):
        return all(len(np.unique(channel.astype(kind))) >= _KEPT * len(np.unique(channel)) for channel in values)
