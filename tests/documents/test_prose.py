"""The pages keep to the limits of prose: lines of 120 characters, paragraphs of 60 words."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *(DOCS / f"{name}.md" for name in ("where-it-wins", "results", "speed", "information", "method")),
    *sorted(DOCS.glob("information/*.md")),
    *sorted(DOCS.glob("method/*.md")),
    ROOT / "benchmarks" / "README.md",
]
FENCED = re.compile(r"^(```|\$\$).*?^\1", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_lines_have_at_most_120_characters(page: Path) -> None:
    assert [line for line in page.read_text().splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_paragraphs_have_at_most_60_words(page: Path) -> None:
    assert [paragraph for paragraph in paragraphs(page.read_text()) if len(paragraph.split()) > 60] == []


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs and list entries outside of blocks and tables; code and a link's address count as no words."""
    for block in re.split(r"\n\s*\n|\n(?=- |\d+\. )", FENCED.sub("", text)):
        if not block.lstrip().startswith(("|", "#")):
            yield re.sub(r"`[^`]*`|(?<=\])\([^)]*\)", "", block)


def test_the_limits_see_what_is_too_long() -> None:
    text = f"# Title\n\n{'word ' * 61}\n\n- {'word ' * 30}\n- {'word ' * 31}\n\n```text\n{'word ' * 90}\n```\n"
    assert [len(paragraph.split()) for paragraph in paragraphs(text) if len(paragraph.split()) > 60] == [61]
