"""A table in memory, and which of its columns are samples."""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from deep_infomax.cli.samples.dialect import brief
from deep_infomax.runtime.values import suggestion

Array = np.ndarray

_INDEX_NAMES: Final = re.compile(
    r"(unnamed: [\d.]+|(__index_)?level_\d+(__)?|index|rownames|row\.?names?|\.\.\.1|#)?", re.I
)
"""What pandas, R and spreadsheets call a column that they number rows in; also none at all."""
_NUMBER_NAMES: Final = re.compile(r"(.*[ _.-])?(id|index|idx|nr|no|row|key)", re.I)
"""What people call a column that tells rows apart."""
_SHOWN: Final = 8
"""Names that a sentence lists."""
_NAMES_OF_ROWS: Final = 0.9
"""Share of different words, above which they are names of rows."""
OTHER: Final = object()
"""A cell that holds neither a number nor a word."""


class Table(NamedTuple):
    """Columns as they were read."""

    names: Sequence[str]
    columns: Sequence[Array]
    """Numbers; or objects where a cell holds something else: numbers, words, None for no value, `OTHER`."""
    named: bool
    """Whether the file names its columns; they are called 0, 1, ... where it does not."""
    labels: int
    """How many columns at the beginning are known to tell rows apart."""
    said: Sequence[str]
    """What was decided while reading."""
    place: Callable[[int], str]
    """Where a row stands in the file."""
    cell: Callable[[int, int], str]
    """What the file holds in a row and a column."""
    numbering: Array | None = None
    """What the rows are numbered by, where no column holds it."""


class Picked(NamedTuple):
    """The samples of a table."""

    values: Array
    names: Sequence[str]
    said: Sequence[str]
    numbering: Array | None
    """What the file numbers its rows by, where that was left out."""


def pick(table: Table, what: str, columns: Sequence[str] | None) -> Picked:
    """The columns that are asked for, or all but those that tell rows apart.

    Raises:
        ValueError: A column is not there, holds neither numbers nor words, or may name each row.
    """
    left_out = 0
    if columns is None:
        left_out = _leading(table)
        wanted = list(range(left_out, len(table.names)))
        _refuse_numbering(table, what, wanted)
    else:
        wanted = [_find(table, what, name) for name in columns]
        if len(set(wanted)) < len(wanted):
            raise ValueError(f"`columns` names one column of {what} twice; name each once")
    if not wanted:
        raise ValueError(f"{what} has no column of samples beside those that tell rows apart; add one")
    for place in wanted:
        _require_values(table, what, place)
    said = [*table.said, *(_said(table, place) for place in range(left_out))]
    said += [_categories(table, place) for place in wanted if table.columns[place].dtype.kind == "O"]
    values = np.stack([table.columns[place] for place in wanted], axis=1)
    numbering = table.columns[0] if left_out and table.columns[0].dtype.kind in "iuf" else table.numbering
    return Picked(values, [table.names[place] for place in wanted], said, None if columns else numbering)


def listed(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(brief(name) or "(no name)" for name in names[:_SHOWN]) + more


def shortened(value: object) -> str:
    """What a cell holds, or its beginning."""
    return brief(repr(value))


def counts_rows(column: Array) -> bool:
    """Whether a column holds whole numbers that go up by 1 from row to row."""
    return _tells_apart(column) and bool((np.diff(column.astype(np.float64)) == 1).all())


def _leading(table: Table) -> int:
    """How many columns at the beginning number or label the rows by what programs write there."""
    found = table.labels
    while found < len(table.names) and _is_index(table, found):
        found += 1
    return found


def _is_index(table: Table, place: int) -> bool:
    name, column = table.names[place], table.columns[place]
    if not table.named:
        return place == 0 and len(table.names) > 1 and counts_rows(column)
    if not _INDEX_NAMES.fullmatch(name):
        return False
    return _tells_apart(column) or (column.dtype.kind == "O" and (not name or name.lower().startswith("unnamed")))


def _tells_apart(column: Array) -> bool:
    """Whether a column holds whole numbers that are all different."""
    if column.dtype.kind not in "iuf" or len(column) < 2 or not np.isfinite(column).all():
        return False
    return bool((column == np.round(column)).all()) and len(np.unique(column)) == len(column)


def _names_rows(column: Array) -> bool:
    """Whether a column holds words that are nearly all different."""
    words = [value for value in column if isinstance(value, str)]
    return len(words) == len(column) >= 10 and len(set(words)) > _NAMES_OF_ROWS * len(words)


def _refuse_numbering(table: Table, what: str, wanted: Sequence[int]) -> None:
    """Refuse a column that would give a row's number away, which no estimate of information survives."""
    for place in wanted:
        name, column = table.names[place], table.columns[place]
        bare = table.named and bool(_INDEX_NAMES.fullmatch(name))
        named = table.named and bool(_NUMBER_NAMES.fullmatch(name))
        first = not table.named and place == 0 and len(wanted) > 1 and not all(map(_tells_apart, table.columns))
        if counts_rows(column):
            problem = "counts the rows"
        elif bare and not name:
            problem = "has no name"
        elif (named or first) and _tells_apart(column):
            problem = "holds another whole number in every row, as a number of the row does"
        elif column.dtype.kind == "O" and _names_rows(column):
            problem = "holds another word in almost every row, as a name of the row does"
        else:
            continue
        others = [table.names[other] for other in wanted if other != place]
        example = f", such as {listed(others[:1])}" if others else f" (this one is {name or 'Unnamed: 0'})"
        raise ValueError(f"column {_quoted(name)} of {what} {problem}; name what to read with `columns`{example}")


def _find(table: Table, what: str, name: str) -> int:
    places = [place for place, known in enumerate(table.names) if known == name.strip()]
    if not places and (numbered := re.fullmatch(r"Unnamed: (\d+)", name.strip())):  # as pandas calls it
        places = [place for place, known in enumerate(table.names) if not known and place == int(numbered[1])]
    if not places:
        known = [brief(known) or f"Unnamed: {place}" for place, known in enumerate(table.names)]
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        raise ValueError(f"{what} has no column {name}; {suggestion(name, known[:_SHOWN])}{more}")
    if len(places) > 1:
        raise ValueError(f"{what} has {len(places)} columns {name}; give them different names")
    return places[0]


def _require_values(table: Table, what: str, place: int) -> None:
    name, column = table.names[place], table.columns[place]
    if column.dtype.kind == "O":
        others = np.array([value is OTHER for value in column])
        words = np.array([isinstance(value, str) for value in column])
        missing = np.array([value is None for value in column])
        mixed = words if not (words | missing).all() else np.zeros(len(words), bool)
        if (wrong := others if others.any() else mixed).any():
            row, write = int(wrong.argmax()), "a number or a word" if others.any() else "a number"
            raise ValueError(
                f"column {_quoted(name)} of {what} holds {table.cell(row, place)} in {table.place(row)}; write {write} "
                "there, or name the columns to read with `columns`"
            )
        _require_present(table, what, place, missing)
    if column.dtype.kind == "f":
        _require_present(table, what, place, ~np.isfinite(column))


def _require_present(table: Table, what: str, place: int, missing: Array) -> None:
    if missing.any():
        row = int(missing.argmax())
        raise ValueError(
            f"column {_quoted(table.names[place])} of {what} holds {table.cell(row, place)} in {table.place(row)} "
            f"({np.sum(missing):,} such rows in all); leave such rows out of all files, or name others with `columns`"
        )


def _categories(table: Table, place: int) -> str:
    levels = sorted(set(table.columns[place]))
    categories = "1 category" if len(levels) == 1 else f"{len(levels)} categories"
    return f"column {brief(table.names[place])} holds {categories} ({listed(levels)})"


def _said(table: Table, place: int) -> str:
    name, column = table.names[place], table.columns[place]
    which = f"column {name}" if name and table.named else "the first column"
    return f"left out {which}, which {'counts the rows' if counts_rows(column) else 'tells the rows apart'}"


def _quoted(name: str) -> str:
    return shortened(name) if name else "without a name"
