"""Names of columns, from tables that carry them: data frames and series of pandas, polars and the like.

No such package is imported: whatever has ``columns``, or a ``name`` and ``to_numpy``, is asked for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped

Array = np.ndarray


@dataclass(frozen=True)
class NamedColumns:
    """An array (n, d) whose columns have names, for whoever has no data frame."""

    values: Shaped[Array, "n d"]
    columns: tuple[str, ...]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Shaped[Array, "n d"]:
        """The values alone."""
        return np.array(self.values, dtype) if copy else np.asarray(self.values, dtype)


def column_names(samples: Any) -> tuple[str, ...]:
    """The names of a table's columns, or of a series; empty where samples carry none.

    Levels of a name are joined by a point, and unnamed columns go by their numbers.

    >>> column_names([[1, 2], [3, 4]])
    ()
    """
    if (columns := getattr(samples, "columns", None)) is not None and not callable(columns):
        return tuple(map(_text, columns))
    name = getattr(samples, "name", None) if hasattr(samples, "to_numpy") else None
    return () if name is None or name == "" else (_text(name),)


def names_or_numbers(samples: Any, count: int) -> tuple[str, ...]:
    """The names of so many columns, or their numbers where they have none."""
    found = column_names(samples)
    return found if len(found) == count else tuple(map(str, range(count)))


def check_indexes(samples: Sequence[Any], names: Sequence[str]) -> None:
    """Raise ValueError where two tables index the same number of rows differently, as rows would be paired wrongly."""
    indexed = [
        (name, sample.index)
        for name, sample in zip(names, samples, strict=True)
        if hasattr(getattr(sample, "index", None), "equals")
    ]
    for name, index in indexed[1:]:
        first, other = indexed[0]
        if len(index) == len(other) and not index.equals(other):
            row = next((i for i, labels in enumerate(zip(other, index, strict=True)) if labels[0] != labels[1]), 0)
            raise ValueError(
                f"`{first}` and `{name}` index their rows differently ({other[row]} and {index[row]} in row {row}); "
                f"put them in one order, such as with {name}.loc[{first}.index], or give arrays"
            )


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names in a row, of many the first few."""
    return ", ".join(names) if len(names) <= most else f"{', '.join(names[:most])} and {len(names) - most} others"


def _text(label: Any) -> str:
    return ".".join(map(str, label)) if isinstance(label, tuple) else str(label)
