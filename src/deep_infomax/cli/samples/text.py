"""Tables in text files, as spreadsheets, pandas, R and NumPy write them."""

import csv
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from deep_infomax.cli.samples.dialect import MISSING, SPACES, Dialect, Row, decoded, dialect_of, rows
from deep_infomax.cli.samples.header import is_header
from deep_infomax.cli.samples.table import OTHER, Array, Table, shortened

_SEEN = 2000
"""Rows that decide what the first one is."""
_NO_WORD = re.compile(
    r"[+-]?\s*[$€£¥]?\s*[+-]?\d[\d.,'_\s]*[%$€£¥]?|0x[0-9a-f]+"  # numbers in another manner of writing
    r"|\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T].*)?|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?",  # dates and times
    re.I,
)
"""What is neither a number here nor a category anywhere."""


class _Frame(NamedTuple):
    """A text without what stands around its table."""

    text: str
    skipped: int
    """Lines before it."""
    said: list[str]
    separator: str | None
    """What its first line says stands between columns."""


def read_text(content: bytes, what: str, header: bool | None, decimal: str | None) -> Table:
    """The table in the bytes of a text file.

    Args:
        content: The bytes.
        what: What the table is called in an error.
        header: Whether its first line names columns; None looks.
        decimal: ``point`` or ``comma``; None looks.

    Raises:
        ValueError: It is no table, or can be read in two ways.
    """
    text, encoding = decoded(content, what)
    frame = _framed(text)
    dialect = dialect_of(frame.text, what, header, decimal)
    if frame.separator is not None:
        dialect = dialect._replace(separator=frame.separator)
    try:
        found = list(rows(frame.text, dialect.separator))
    except csv.Error as error:
        raise ValueError(f"{what} has a cell without an end ({error}); close its quotation mark") from error
    if not found:
        raise ValueError(f"{what} is empty; give a table of numbers")
    names, body, labels = _headed(found, dialect, what, header)
    width = _require_equal(body, names, what, frame.skipped)
    _require_no_gap(frame, body, width, what)
    columns = [_column([cells[place] for _, cells in body], dialect) for place in range(width)]
    said = [*frame.said, *([encoding] if encoding else []), *dialect.said()]
    if width > 1 and not (names or [""])[-1] and _is_empty(columns[-1]):  # each line ends with a separator
        columns, width = columns[:-1], width - 1
    return Table(
        names=list(map(str, range(width))) if names is None else names[:width],
        columns=columns,
        named=names is not None,
        labels=labels,
        said=[*said, "the first line names the columns" if names is not None else "no line names the columns"],
        place=lambda row: f"line {body[row][0] + frame.skipped}",
        cell=lambda row, column: shortened(body[row][1][column]),
    )


def _framed(text: str) -> _Frame:
    """A text without comments and a spreadsheet's own first line."""
    said = []
    separator = None
    lines = text.split("\n")
    first = 0
    if given := re.fullmatch(r'"?sep=(.)"?', lines[0].strip(" ")):  # as Excel writes it
        separator, first = given[1], 1
    end = len(lines)
    while end > first and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    start = first
    while start < end and (not lines[start].strip() or lines[start].startswith("#")):
        start += 1
    if start > first and start < end and (named := _commented_header(lines[start - 1], lines[start])):
        start -= 1
        lines[start] = named
    if any(line.strip() for line in lines[first:start]):
        said.append("left out the comments above the table")
    return _Frame("\n".join(lines[start:end]), start, said, separator)


def _commented_header(comment: str, line: str) -> str:
    """The names of columns in a comment above the first row, as NumPy writes them; empty where there are none."""
    if not comment.startswith("#"):
        return ""
    for separator in ("\t", ";", ",", "|", SPACES):
        ((_, names),) = list(rows(comment.lstrip("# ") or " ", separator))[:1] or [(1, [""])]
        ((_, cells),) = list(rows(line, separator))[:1] or [(1, [""])]
        if len(cells) > 1 and len(names) == len(cells):
            return comment[1:].lstrip()
        # A column that rows are numbered in may be called #.
        if len(cells) > 1 and comment.startswith(f"#{separator}") and len(names) + 1 == len(cells):
            return comment
    return ""


def _headed(
    found: list[Row], dialect: Dialect, what: str, header: bool | None
) -> tuple[list[str] | None, list[Row], int]:
    """The names of the columns, or None; the rows below; how many columns label the rows without a name of theirs."""
    first, below = found[0][1], [cells for _, cells in found[1 : _SEEN + 1]]
    if not (is_header(first, below, dialect, what) if header is None else header):
        return None, found, 0
    width = len(found[1][1]) if below else len(first)
    if len(first) != width - 1:
        return first, found[1:], 0
    if all(not cells[-1] for cells in below):  # each line ends with a separator
        return [*first, ""], found[1:], 0
    return ["", *first], found[1:], 1


def _require_equal(body: Sequence[Row], names: Sequence[str] | None, what: str, skipped: int) -> int:
    """The number of columns, which all rows have."""
    if not body:
        return len(names or ())
    width = len(body[0][1]) if names is None else len(names)
    for line, cells in body:
        if len(cells) != width:
            raise ValueError(
                f"line {line + skipped} of {what} has {_count(len(cells))}, the first line {width}; give all as many"
            )
    return width


def _require_no_gap(frame: _Frame, body: Sequence[Row], width: int, what: str) -> None:
    """Refuse an empty line among the rows of one column: it may stand for a value that is missing."""
    if width == 1 and body and body[-1][0] - body[0][0] + 1 > len(body):
        lines = frame.text.split("\n")
        gap = next(line for line in range(body[0][0], body[-1][0]) if not lines[line - 1].strip())
        raise ValueError(f"line {gap + frame.skipped} of {what} is empty; leave such rows out of every variable")


def _count(columns: int) -> str:
    return f"{columns} column{'s' * (columns != 1)}"


def _column(cells: Sequence[str], dialect: Dialect) -> Array:
    """The numbers of a column, a missing one as NaN; or the objects of `Table`, where a cell holds something else."""
    if not dialect.comma:
        with suppress(ValueError):  # by far the most columns; Python alone reads 1_000
            values = np.array(list(map(float, cells)))
            if "_" not in "".join(cells):
                return values
    try:
        return np.array([_number(cell, dialect) for cell in cells], np.float64)
    except ValueError:
        return np.array([_cell(cell, dialect) for cell in cells], object)


def _cell(cell: str, dialect: Dialect) -> object:
    if dialect.is_number(cell):
        return float(cell.replace(",", "."))
    if cell.lower() in MISSING:
        return None
    return OTHER if _NO_WORD.fullmatch(cell) else cell


def _number(cell: str, dialect: Dialect) -> float:
    if dialect.is_number(cell):
        return float(cell.replace(",", "."))
    if _is_word(cell, dialect):
        raise ValueError("words")
    return {"true": 1.0, "false": 0.0}.get(cell.lower(), math.nan)


def _is_word(cell: str, dialect: Dialect) -> bool:
    return not dialect.is_number(cell) and cell.lower() not in (*MISSING, "true", "false")


def _is_empty(column: Array) -> bool:
    """Whether no row has a value."""
    return len(column) > 0 and column.dtype.kind == "f" and bool(np.isnan(column).all())
