"""Numbers that are none: what is refused when inputs are read, and what is taken for a missing value."""

from typing import Final

import numpy as np
from jaxtyping import Bool, Shaped

from deep_infomax.data.options import DataOptions
from deep_infomax.runtime.missing import known

NOT_FINITE: Final = "has numbers that are NaN or infinite in float32"


def finite_or_missing(values: Shaped[np.ndarray, "*shape"], options: DataOptions) -> Bool[np.ndarray, "*shape"]:
    """Which values are finite in float32, or missing where missing values are announced.

    >>> x = np.array([1.0, np.nan, np.inf])
    >>> finite_or_missing(x, DataOptions()).tolist(), finite_or_missing(x, DataOptions(missing="nan")).tolist()
    ([True, False, False], [True, True, False])
    """
    if values.dtype.kind != "f":
        return np.ones(values.shape, bool)
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        finite = np.isfinite(values.astype(np.float32, copy=False))
    if options.missing is None:
        return finite
    there = known(values, "nan" if options.missing == "nodata" else options.missing)
    found: np.ndarray = np.logical_or(finite, ~there)
    return found


def remedy(options: DataOptions) -> str:
    """What to do about other numbers, up to the name of what could be removed."""
    if options.missing is not None:
        return "infinite ones are not taken for missing; replace them or remove"
    return "set `data_options.missing` to nan where they are missing values, else replace them or remove"
