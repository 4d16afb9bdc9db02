"""Samples as their owner has them, read as numbers: arrays, tensors, data frames, words, categories."""

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from deep_infomax.mutual_information.samples.names import column_names
from deep_infomax.runtime.values import suggestion

Array = np.ndarray
LEAST: Final = 30
"""Samples below which nothing is estimated."""
ALL_DIFFERENT: Final = 0.9
"""Share of different words, above which they are names of rows."""
_NO_WORDS: Final = frozenset(["", "nan", "<NA>", "NaT"])
"""What NumPy and pandas write where a value is missing."""


@dataclass(frozen=True)
class Variable:
    """Samples of a variable as numbers; words stand as the numbers of their levels."""

    numbers: Shaped[Array, "n *d"]
    levels: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Of each column of words: what 0, 1, ... stand for."""
    names: tuple[str, ...] = ()
    """Of the columns, where they have names."""

    @property
    def columns(self) -> Shaped[Array, "n d"]:
        """The samples, flattened."""
        return self.numbers.reshape(len(self.numbers), -1)

    def called(self, column: int, name: str) -> str:
        """A column in a sentence about the variable of this name."""
        return _called(name, self.names, column, self.columns.shape[1])


def read_variable(
    values: Any, name: str, least: int = LEAST, levels: Mapping[int, Sequence[str]] | None = None
) -> Variable:
    """Samples (n, ...) of real numbers, words or categories.

    Args:
        values: An array, masked array, tensor, sequence, data frame or series.
        name: What they are called in an error.
        least: How many there must be.
        levels: Of columns of words, where they are known; a word that is none of them gets the number after the last.

    Raises:
        ValueError: Values that are missing, masked, not finite, or neither numbers nor words, or too few samples.
    """
    names = column_names(values)
    columns = _columns_of_frame(values)
    if columns is None:
        array = _as_array(values, name)
        if array.ndim == 0 and array.dtype.kind not in "biuf":
            raise _no_samples(array, f"`{name}`")
        _require_samples(array.shape, name, least)
        if array.dtype.kind in "biuf":
            _require_finite(array, f"`{name}`")
            _require_exact(array, f"`{name}`")
            return Variable(array, names=names)
        shape, columns = array.shape, list(array.reshape(len(array), -1).T)
    else:
        shape = (len(values), *([len(columns)] if len(getattr(values, "shape", ())) == 2 else []))
        _require_samples(shape, name, least)
    known: dict[int, tuple[str, ...]] = {}
    coded = []
    for place, column in enumerate(columns):
        called = _called(name, names, place, len(columns))
        read, order = _read_column(column, called)
        if isinstance(read, list):
            known[place] = tuple((levels or {}).get(place) or order or sorted(set(read)))
            if least > 1:
                _require_recurring(read, called)
            codes = {word: number for number, word in enumerate(known[place])}
            read = np.array([codes.get(word, len(codes)) for word in read])
        _require_finite(read, called)
        _require_exact(read, called)
        coded.append(read)
    return Variable(np.stack(coded, axis=1).reshape(shape), known, names)


def columns_said(variable: Variable, name: str, discrete: Any) -> Bool[Array, " d"] | None:
    """Which columns `discrete` says are discrete, with those of words; None for ``auto``.

    Raises ValueError for what names no columns.
    """
    count, names, option = variable.columns.shape[1], variable.names, f"`discrete_{name}`"
    words = np.isin(np.arange(count), list(variable.levels))
    if isinstance(discrete, bool | np.bool_):
        if not discrete and words.any():
            called = variable.called(int(words.argmax()), name)
            raise ValueError(f"{option} is False, and {called} holds words; write them as numbers, or leave it out")
        return np.full(count, bool(discrete))
    if isinstance(discrete, str):
        if discrete == "auto":
            return None
        discrete = [discrete]
    if not isinstance(discrete, Sequence | np.ndarray):
        raise ValueError(f'{option} is {discrete!r}; give True, False, "auto", or a list of columns')
    if len(discrete) and all(isinstance(one, bool | np.bool_) for one in discrete):
        if len(discrete) != count:
            raise ValueError(f"{option} says of {len(discrete)} columns whether they are; `{name}` has {count}")
        return np.asarray(discrete, bool) | words
    chosen = words.copy()
    for one in discrete:
        if isinstance(one, str) and one in names:
            chosen[names.index(one)] = True
        elif isinstance(one, str):
            known = suggestion(one, names) if names else "its columns have no names, give their numbers"
            raise ValueError(f"{option} names the column {one}, which `{name}` does not have; {known}")
        elif isinstance(one, int | np.integer) and not isinstance(one, bool) and 0 <= one < count:
            chosen[one] = True
        else:
            raise ValueError(f"{option} names the column {one!r}; give numbers from 0 to {count - 1}, or names")
    return chosen


def _columns_of_frame(values: Any) -> list[Any] | None:
    """The columns of a data frame or series, or None for any other samples."""
    if hasattr(values, "iloc") and hasattr(values, "columns"):
        return [values.iloc[:, place] for place in range(len(values.columns))]
    if hasattr(values, "get_columns"):  # of polars
        return list(values.get_columns())
    if hasattr(values, "dtype") and not isinstance(values, np.ndarray | np.generic | Tensor):
        return [values]
    return None


def _as_array(values: Any, name: str) -> Array:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values  # which NumPy does not have
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        _require_none(mask, "a masked value", f"`{name}`")
        values = np.ma.getdata(values)
    try:
        array = np.asarray(values)
        # NumPy writes numbers amid words as words.
        return np.asarray(values, object) if array.dtype.kind in "US" and isinstance(values, list | tuple) else array
    except ValueError as error:
        raise ValueError(f"`{name}` has samples of different lengths; give as many numbers in each") from error


def _read_column(column: Any, called: str) -> tuple[Array | list[str], tuple[str, ...] | None]:
    """The numbers or words of a column, and the order of the latter where they have one."""
    dtype, order = column.dtype, None
    if not isinstance(dtype, np.dtype):  # of pandas or polars
        missing = column.isna() if hasattr(column, "isna") else column.is_null()
        _require_none(np.asarray(missing), "no value", called)
        if hasattr(dtype, "categories") and hasattr(dtype, "ordered"):
            order = tuple(map(str, dtype.categories))
            return [str(value) for value in column], order
        plain = getattr(dtype, "numpy_dtype", None)
        numeric = plain is not None and plain.kind in "biuf"
        column = column.to_numpy(dtype=plain) if numeric else column
    cells = np.asarray(column)
    if cells.dtype.kind in "biuf":
        return cells, None
    if cells.dtype.kind in "OT":
        return _of_objects(cells.astype(object), called), None
    if cells.dtype.kind in "Mm":
        raise _dates(called)
    if cells.dtype.kind not in "US":
        raise _no_samples(cells, called)
    return _words(cells.tolist(), called), None


def _of_objects(cells: Shaped[Array, " n"], called: str) -> Array | list[str]:
    """The numbers or words that objects are."""
    _require_none(np.array([_is_missing(value) for value in cells], bool), "no value", called)
    kinds = [_kind(value) for value in cells]
    first, other = kinds[0], next((row for row, kind in enumerate(kinds) if kind != kinds[0]), None)
    if other is not None:
        raise ValueError(
            f"{called} holds a {first} in row 0 and a {kinds[other]} in row {other}; give numbers alone or words alone"
        )
    if first == "date":
        raise _dates(called)
    if first not in ("number", "word"):
        raise ValueError(f"{called} holds a {first} in row 0; give an array of real numbers or words")
    return cells.astype(np.float64) if first == "number" else _words(cells.tolist(), called)


def _is_missing(value: object) -> bool:
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def _kind(value: object) -> str:
    if isinstance(value, numbers.Real | np.bool_ | Decimal):
        return "number"
    if isinstance(value, str | bytes):
        return "word"
    name = type(value).__name__
    return "date" if isinstance(value, date | time | timedelta | np.datetime64) or name == "Period" else name


def _words(cells: Sequence[str | bytes], called: str) -> list[str]:
    words = [cell.decode(errors="replace") if isinstance(cell, bytes) else cell for cell in cells]
    _require_none(np.array([word.strip() in _NO_WORDS for word in words], bool), "no value", called)
    return words


def _called(name: str, names: Sequence[str], column: int, columns: int) -> str:
    if columns == 1:
        return f"`{name}`"
    return f"column {names[column]!r} of `{name}`" if len(names) == columns else f"column {column} of `{name}`"


def _no_samples(array: Shaped[Array, "*n"], called: str) -> ValueError:
    return ValueError(f"{called} has the type {array.dtype}; give an array of real numbers or words")


def _dates(called: str) -> ValueError:
    return ValueError(f"{called} holds dates or times; give numbers, such as the seconds since the first")


def _require_samples(shape: Sequence[int], name: str, least: int) -> None:
    if not shape or shape[0] < least:
        count = shape[0] if shape else 1
        samples = "1 sample" if count == 1 else f"{count} samples"
        raise ValueError(f"`{name}` has {samples} along its first axis; give at least {least}")
    if 0 in shape:
        raise ValueError(
            f"`{name}` has the shape {tuple(shape)}, so its samples are empty; give at least one coordinate"
        )


def _require_none(missing: Bool[Array, "n *d"], what: str, called: str) -> None:
    """Refuse values that are not there."""
    if missing.any():
        row = int(np.argwhere(missing)[0][0])
        raise ValueError(
            f"{called} holds {what} in row {row} ({np.sum(missing):,} such values in all); leave such rows out of "
            "every variable"
        )


def _require_finite(array: Shaped[Array, "n *d"], called: str) -> None:
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        _require_none(~finite, str(array[place]), called)


def _require_exact(array: Shaped[Array, "n *d"], called: str) -> None:
    """Refuse whole numbers that double precision would make equal."""
    if (
        array.dtype.kind in "iu"
        and array.dtype.itemsize == 8
        and (array.astype(np.float64).astype(array.dtype) != array).any()
    ):
        raise ValueError(
            f"{called} holds whole numbers beyond 2^53, which lose digits; subtract the smallest first, or give "
            "codes as words, such as .astype(str) makes"
        )


def _require_recurring(words: Sequence[str], called: str) -> None:
    """Refuse words that are names of rows, or numbers in quotation marks."""
    if (count := len(set(words))) > ALL_DIFFERENT * len(words):
        raise ValueError(
            f"{called} holds {count:,} different words among {len(words):,}, as names of rows are; give words that "
            "recur, or numbers such as .astype(float) makes"
        )
