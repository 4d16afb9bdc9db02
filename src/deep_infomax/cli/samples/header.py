"""Whether the first line of a table names its columns."""

from collections.abc import Sequence
from typing import Final

from deep_infomax.cli.samples.dialect import MISSING, WHOLE, Dialect, brief

_SURELY: Final = 5
"""Columns from which on a line that counts 0, 1, 2, ... is no sample."""


def is_header(first: Sequence[str], body: Sequence[Sequence[str]], dialect: Dialect, what: str) -> bool:
    """Whether the first row of a table names its columns.

    It does where a cell above numbers is no number, and where it counts 0, 1, 2, ... above decimals, as tables of
    unnamed columns do that pandas writes. It does not where one of its words comes again below, as categories do.

    Args:
        first: Its cells.
        body: Those of the rows below.
        dialect: How cells are read.
        what: What the table is called in an error.

    Raises:
        ValueError: It can be either.
    """
    longer = bool(body) and len(body[0]) == len(first) + 1
    shift = int(longer and any(row[-1:] != [""] for row in body))  # rows have labels that the header does not name
    below = [[row[place + shift] for row in body if place + shift < len(row)] for place in range(len(first))]
    above = [
        (cell, column) for cell, column in zip(first, below, strict=True) if _are_numbers(column, dialect) or not body
    ]
    words = [cell for cell in first if not dialect.is_number(cell) and cell.lower() not in MISSING]
    recurring = any(cell in column for cell, column in zip(first, below, strict=True) if cell in words)
    if not above:
        return bool(words) and not recurring
    naming = [cell for cell, _ in above if not dialect.is_number(cell) and cell.lower() not in MISSING]
    if naming:
        if any(dialect.is_number(cell) and not WHOLE.fullmatch(cell) for cell, _ in above):
            raise _either(what, first)
        return True
    if recurring:  # a category of a sample
        return False
    if not above[0][0] and len(above) > 1 and _tells_apart(above[0][1]):  # as pandas numbers rows
        return _is_counting_header(above[1:], what, first, labelled=True)
    if any(not dialect.is_number(cell) for cell, _ in above):
        if words:
            raise _either(what, first)
        return False  # a sample with a value that is missing
    return _is_counting_header(above, what, first, labelled=bool(words))


def _is_counting_header(
    above: Sequence[tuple[str, Sequence[str]]], what: str, first: Sequence[str], *, labelled: bool
) -> bool:
    """Whether numbers above numbers are names."""
    cells = [cell for cell, _ in above]
    if not cells or not all(cell.isdecimal() for cell in cells):
        if labelled:
            raise _either(what, first)
        return False
    with_decimals = [not any(WHOLE.fullmatch(value) for value in column) for _, column in above]
    if _counts(cells):
        if any(with_decimals) or labelled or len(cells) >= _SURELY:
            return True
        raise _either(what, first)
    if all(with_decimals) or labelled or (len(cells) > 2 and _counts(cells, start=1)):
        raise _either(what, first)
    return False


def _are_numbers(column: Sequence[str], dialect: Dialect) -> bool:
    """Whether most cells are numbers, or missing."""
    return 2 * sum(dialect.is_number(cell) or cell.lower() in MISSING for cell in column) > len(column)


def _tells_apart(column: Sequence[str]) -> bool:
    return all(WHOLE.fullmatch(cell) for cell in column) and len(set(column)) == len(column)


def _counts(cells: Sequence[str], start: int = 0) -> bool:
    return list(cells) == [str(number) for number in range(start, start + len(cells))]


def _either(what: str, first: Sequence[str]) -> ValueError:
    shown = ", ".join(map(brief, first[:4])) + (", ..." if len(first) > 4 else "")
    return ValueError(
        f"the first line of {what} ({shown}) may name the columns or be a sample; say which with `header` true or false"
    )
