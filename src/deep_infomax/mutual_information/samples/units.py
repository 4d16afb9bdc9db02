"""Units of information: nats, in which everything is computed, and bits, in which it can be told."""

import math
import re
from collections.abc import Mapping
from typing import Final

from deep_infomax.runtime.values import unknown

UNITS: Final = {"nats": 1.0, "bits": math.log(2)}
"""Nats in one of each."""
_FIGURE: Final = re.compile(r"(-?\d+(?:\.\d+)?) (nats|bits)\b")


def check_unit(unit: str) -> None:
    """Raise ValueError for what is no unit of information."""
    if unit not in UNITS:
        raise unknown("unit", unit, UNITS)


def conversion(old: str, new: str) -> float:
    """What a figure in the old unit is multiplied by.

    >>> conversion("bits", "nats")
    0.6931471805599453
    """
    return UNITS[old] / UNITS[new]


def converted(values: Mapping[str, float], factor: float) -> dict[str, float]:
    """Named figures in another unit."""
    return {name: factor * value for name, value in values.items()}


def retold(sentence: str, new: str) -> str:
    """A sentence whose figures, each of which is followed by its unit, stand in another one.

    >>> retold("infonce reads 6.932 nats under its ceiling of 8.0 nats, from 500 pairs", "bits")
    'infonce reads 10.001 bits under its ceiling of 11.5 bits, from 500 pairs'
    """

    def said(found: re.Match[str]) -> str:
        figure, old = found.groups()
        decimals = len(figure.partition(".")[2])
        return f"{conversion(old, new) * float(figure):.{decimals}f} {new}"

    return _FIGURE.sub(said, sentence)
