"""Consoles that print names as they are, without obeying what hides in them."""

import re
from typing import Any, Final

from rich.console import Console
from rich.text import Text

_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Characters that move a cursor, colour, ring or turn text round; halves of characters stand for bytes of no text."""


def printable(text: str) -> str:
    r"""A text with control characters spelt out.

    >>> print(printable("run\x1b[31m"))
    run\x1b[31m
    """
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


class PlainConsole(Console):
    """A console for text that holds names: no markup, no highlighting, no control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"markup": False, "highlight": False, "emoji": False} | options))

    def render_str(self, text: str, **options: Any) -> Text:
        """Text for the terminal, of whatever is printed as it is or in a cell."""
        return super().render_str(printable(text), **options)

    def on_broken_pipe(self) -> None:
        """Leave the answer to whoever prints."""
        raise
