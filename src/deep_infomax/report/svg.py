"""Axes drawn by matplotlib as SVG that stands inside a page: it takes the page's font and colour, light or dark."""

import hashlib
import io
import re
import warnings
from collections.abc import Callable
from typing import Any, Final
from xml.sax.saxutils import quoteattr

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PALETTE: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's colours without black and yellow: told apart with any colour vision, on white and on dark."""

CLASS_COLOURS: Final = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
"""Ten colours that are told apart with any colour vision. Source: Petroff, 2021, arXiv 2107.02270."""

HALO: Final = "halo"
"""A text whose gid starts so is outlined in the colour of the page."""

_INK: Final = "#010203"  # stands for the colour of the page's text until the SVG is written
_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "deep-infomax",
    "text.parse_math": False,  # names of runs and classes are no formulas
    "font.size": 8.5,
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.5,
    "grid.alpha": 0.14,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.dpi": 200,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), _INK
    ),
}


def draw(paint: Callable[[Axes], None], alt: str, width: float = 4.5, height: float = 2.7) -> str:
    """SVG markup of axes that ``paint`` has drawn on; ``alt`` is what a screen reader says. Sizes in inches."""
    buffer = io.StringIO()
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # The browser's fonts show the text, whatever matplotlib's own can.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure.subplots())
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _inline(buffer.getvalue(), alt)


def _inline(document: str, alt: str) -> str:
    """The ``<svg>`` element alone, sized by the page, with identifiers that no other figure of the page has."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>", "", svg, flags=re.DOTALL)
    opening, rest = svg.split(">", 1)
    svg = re.sub(r' (?:width|height)="[^"]*"', "", opening) + ">" + rest
    prefix = f"f{hashlib.sha256(document.encode()).hexdigest()[:8]}-"
    svg = re.sub(r'( id="|url\(#|xlink:href="#)', rf"\g<1>{prefix}", svg)
    return svg.replace(_INK, "currentColor").replace("<svg ", f'<svg role="img" aria-label={quoteattr(alt)} ', 1)
