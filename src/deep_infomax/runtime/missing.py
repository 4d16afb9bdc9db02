"""What stands for a value that is missing, and where it stands.

Inputs keep it as they are stored. An encoder fills the place with the centre of the channel, 0 once scaled, and says
which locations of its local map are masked.
"""

import math
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Num, Shaped
from torch import Tensor

from deep_infomax.runtime.values import read_setting

Missing = Literal["nan"] | float
"""NaN, or a number; where it is a number, NaN is missing as well."""


def read_missing(name: str, value: object) -> Missing | None:
    """What stands for missing values as a program gives it, where NaN itself is welcome, too.

    >>> read_missing("missing", float("nan")), read_missing("missing", -9999), read_missing("missing", None)
    ('nan', -9999.0, None)

    Raises:
        ValueError: It is something else; the error calls it by its name.
    """
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    found: Missing | None = read_setting(name, Missing | None, value)
    return found


def is_missing(values: Num[Tensor, "*shape"], missing: Missing) -> Bool[Tensor, "*shape"]:
    """Which values are missing. A number is rounded to the type of the values, as the stored ones were.

    >>> is_missing(torch.tensor([1.0, float("nan"), -9999.0]), -9999).tolist()
    [False, True, True]
    >>> is_missing(torch.tensor([0, 255], dtype=torch.uint8), 255).tolist()
    [False, True]
    """
    if not values.is_floating_point():
        return torch.zeros_like(values, dtype=torch.bool) if missing == "nan" else values == missing
    found = values.isnan()
    if missing == "nan":
        return found
    return found | (values == torch.tensor(missing, dtype=torch.float64).to(values))


def known(values: Shaped[np.ndarray, "*shape"], missing: Missing | None) -> Bool[np.ndarray, "*shape"]:
    """Which values of an array as it is stored are not missing; all where nothing stands for missing values."""
    if missing is None:
        return np.ones(values.shape, bool)
    there = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    return there if missing == "nan" else there & (values != missing)
