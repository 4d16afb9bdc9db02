"""Formulas as MathML, which every current browser draws by itself, so that no page needs a script of another host."""

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def mathml(formula: str, display: str = "inline") -> str:
    """The formula with a thin space around the names of functions, which the converter leaves out."""
    space = '<mspace width="0.17em"></mspace>'
    return re.sub(r"<mi>(log|exp)</mi>", rf"{space}<mi>\1</mi>{space}", convert(formula, display=display))


def inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def block(self: HTML5Translator, node: nodes.math_block) -> None:
    formulas = [part for part in node.astext().split("\n\n") if part.strip()]
    self.body.append('<div class="formula">')
    self.body += [mathml(formula, "block") for formula in formulas]
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Make MathML the way of HTML pages to show formulas."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
