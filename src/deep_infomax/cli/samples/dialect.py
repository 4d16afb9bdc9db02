"""How a text file writes a table: its characters, what stands between columns, and how decimals are written."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

SPACES: Final = " "
"""Any run of spaces and tabs."""
_LONGEST: Final = 40
_SEPARATORS: Final = ("\t", ";", ",", "|", SPACES)
_SEEN: Final = 2000
"""Lines that decide how all are read."""
_PROVING: Final = 50
"""Numbers without a leading zero, beyond which they are no fractions."""
_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""What a file of an encoding begins with; the marks of UTF-32 begin with one of UTF-16's."""
_EXPONENT: Final = r"(?:[eE][+-]?\d+)?"
_WITH_POINT: Final = re.compile(rf"[+-]?(?:\d+\.?\d*|\.\d+){_EXPONENT}|[+-]?(?:inf|infinity)", re.I)
_WITH_COMMA: Final = re.compile(rf"[+-]?\d*,\d+{_EXPONENT}")
_WITHOUT: Final = re.compile(rf"[+-]?\d+{_EXPONENT}|[+-]?(?:inf|infinity)", re.I)
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(?:[.,' ]\d{3})*(?:[.,]\d+)?")
_THOUSANDS: Final = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")
_ONE_COLUMN: Final = re.compile(rf"[+-]?\d+(?:,\d+)?{_EXPONENT}")
WHOLE: Final = re.compile(r"[+-]?\d+")
MISSING: Final = frozenset(
    ["", "#n/a", "#na", "-nan", "<na>", "n/a", "na", "nan", "none", "null", "-1.#ind", "1.#qnan", "?", "-", "."]
)
"""How programs write that there is no value, in small letters."""

Row = tuple[int, list[str]]
"""The number of a line and its cells."""


class Dialect(NamedTuple):
    """How the cells of a table are told apart and read."""

    separator: str
    """Empty for a table of one column."""
    comma: bool
    """Whether decimals have a comma."""

    def said(self) -> list[str]:
        """What is unlike the tables that every program writes."""
        names = {"\t": "tabs", ";": "semicolons", "|": "bars", SPACES: "spaces"}
        between = [f"{names[self.separator]} between columns"] if self.separator in names else []
        return between + (["decimals with a comma"] if self.comma else [])

    def is_number(self, cell: str) -> bool:
        """Whether a cell holds a number."""
        if self.comma:
            return bool(_WITH_COMMA.fullmatch(cell) or _WITHOUT.fullmatch(cell))
        return bool(_WITH_POINT.fullmatch(cell))


def brief(text: str) -> str:
    """A text, or the beginning of one that is long."""
    return f"{text[:_LONGEST]}..." if len(text) > _LONGEST else text


def decoded(content: bytes, what: str) -> tuple[str, str]:
    """The text of a file, and what is unusual about its encoding.

    Raises:
        ValueError: It is no text.
    """
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in content[:4096]:  # a byte of each letter in UTF-16
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise ValueError(f"{what} is no text; give a table of numbers") from error
        text, encoding = content.decode("cp1252", errors="replace"), "Windows-1252"
    if re.search(r"[\x00-\x08\x0e-\x1f]", text):
        raise ValueError(f"{what} is no text; give a table of numbers")
    said = "" if encoding in ("utf-8", "utf-8-sig") else f"in {encoding.upper()[:6] if 'utf' in encoding else encoding}"
    return text.replace("\r\n", "\n").replace("\r", "\n"), said


def rows(text: str, separator: str) -> Iterator[Row]:
    """The rows of a text that are not empty.

    Raises:
        csv.Error: A cell is far too long, as after a quotation mark that is never closed.
    """
    lines = text.split("\n")
    if separator == SPACES:
        lines = [line.replace("\t", " ").strip() for line in lines]
    # A character that no table holds stands for the separator of a single column.
    reader = csv.reader(lines, delimiter=separator or "\x1f", skipinitialspace=True)
    line = 1
    for cells in reader:
        stripped = list(map(str.strip, cells))
        if any(stripped) or len(stripped) > 1 or '"' in lines[line - 1]:
            yield line, stripped
        line = reader.line_num + 1


def dialect_of(text: str, what: str, header: bool | None, decimal: str | None) -> Dialect:
    """What stands between columns, and how decimals are written.

    Args:
        text: The table.
        what: What it is called in an error.
        header: Whether its first line names columns, where that is known.
        decimal: ``point`` or ``comma``, where that is known.

    Raises:
        ValueError: It can be either.
    """
    start = _beginning(text)
    if _is_one_column_with_commas(start, what, header, decimal):
        return Dialect("", comma=True)
    best, fit = "", 0.0
    for separator in _SEPARATORS:
        body = _body(start, separator)
        if not body or _width(body) < 2:
            continue
        share = _fit(body)
        if share > fit:
            best, fit = separator, share
    return Dialect(best, _has_commas(_body(start, best), what, decimal))


def _beginning(text: str) -> str:
    end = -1
    for _ in range(_SEEN):
        if (end := text.find("\n", end + 1)) < 0:
            return text
    return text[:end]


def _body(text: str, separator: str) -> list[list[str]]:
    """The cells of all rows but the first, which may be a header."""
    try:
        found = [cells for _, cells in rows(text, separator)]
    except csv.Error:
        return []
    return found[1:] or found


def _width(body: Sequence[Sequence[str]]) -> int:
    return Counter(map(len, body)).most_common(1)[0][0]


def _fit(body: Sequence[Sequence[str]]) -> float:
    """The share of cells that are numbers, in rows that are as long as most; a little for cells alone."""
    width = _width(body)
    alike = [cells for cells in body if len(cells) == width]
    good = sum(_looks_like_a_number(cell) for cells in alike for cell in cells)
    return (good / (width * len(alike)) + 1e-3) * len(alike) / len(body)


def _looks_like_a_number(cell: str) -> bool:
    """Whether a cell is a number in somebody's notation, or stands for a missing one."""
    return any(kind.fullmatch(cell) for kind in (_WITH_POINT, _WITH_COMMA, _GROUPED)) or cell.lower() in MISSING


def _has_commas(body: Sequence[Sequence[str]], what: str, decimal: str | None) -> bool:
    """Whether decimals have a comma."""
    if decimal is not None:
        return decimal == "comma"
    cells = [cell for row in body for cell in row]
    commas = [cell for cell in cells if _WITH_COMMA.fullmatch(cell)]
    if not commas or any("." in cell and _WITH_POINT.fullmatch(cell) for cell in cells):
        return False
    if all(map(_THOUSANDS.fullmatch, commas)):
        raise ValueError(
            f"{what} holds {brief(repr(commas[0]))}, which may be a decimal or thousands; give `decimal` comma, "
            "or write numbers without commas"
        )
    return True


def _is_one_column_with_commas(text: str, what: str, header: bool | None, decimal: str | None) -> bool:
    """Whether a comma is that of decimals in one column, and not between two columns of whole numbers."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    first, body = lines[0] if lines else "", lines[1:] or lines
    pairs = [line.split(",") for line in body]
    if decimal == "point" or not all(map(_ONE_COLUMN.fullmatch, body)) or not any(len(pair) == 2 for pair in pairs):
        return False
    if "," in first and (header or not _ONE_COLUMN.fullmatch(first)):
        return False  # it names two columns
    fractions = [pair[1] for pair in pairs if len(pair) == 2 and len(pair[1]) > 1]
    if decimal == "comma" or len(body) > sum(len(pair) == 2 for pair in pairs):
        return True
    if any(fraction.startswith("0") for fraction in fractions):
        return True
    counting = all(int(after[0]) - int(before[0]) == 1 for before, after in pairwise(pairs))
    if "," not in first and not counting:
        return True
    # Of fractions with several digits, one in ten begins with a zero.
    if len(fractions) > _PROVING:
        return False
    raise ValueError(
        f"{what} may hold one column of decimals with commas or two of whole numbers ({brief(repr(body[0]))}); "
        "say which with `decimal` comma or point"
    )
