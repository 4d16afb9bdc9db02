"""The README stays short, and leads to files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
GUIDES = sorted((ROOT / "docs" / "guides").rglob("*.md"))
PROSE = [ROOT / "README.md", ROOT / "docs" / "start.md", *GUIDES]


def paragraphs(text: str) -> list[str]:
    """Paragraphs and items of lists, without code and tables."""
    without_code = re.sub(r"^(```|:::).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    parts = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", without_code)
    return [part.strip() for part in parts if part.strip() and not part.lstrip().startswith(("|", "[", "#"))]


def test_has_at_most_900_words() -> None:
    assert 300 < len(README.split()) <= 900


@pytest.mark.parametrize("document", PROSE, ids=lambda path: path.name)
def test_has_no_line_over_120_characters_and_no_paragraph_over_60_words(document: Path) -> None:
    text = document.read_text()
    assert [line for line in text.splitlines() if len(line) > 120] == []
    assert [part for part in paragraphs(text) if len(part.split()) > 60] == []


@pytest.mark.parametrize("document", PROSE, ids=lambda path: path.name)
def test_commands_that_no_test_runs_need_the_network_or_a_cluster(document: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)
    assert [block for block in blocks if not re.search("git clone|pip install|PIP_|--data stl10|srun", block)] == []


def test_links_to_files_of_the_repository_that_exist() -> None:
    linked = re.findall(r"github(?:usercontent)?\.com/deep-infomax/deep-infomax/(?:(?:blob|tree)/)?main/(\S+)", README)
    assert len(linked) > 5
    assert [path for path in linked if not (ROOT / path).exists()] == []


def test_every_link_by_name_has_an_address() -> None:
    defined = {name.lower() for name in re.findall(r"^\[(.+?)\]: ", README, re.MULTILINE)}
    used = {
        (second or first).lower()
        for first, second in re.findall(r"\[([^\]\n]+)\](?:\[([^\]\n]*)\]|(?![(\[:]))", README)
    }
    code = "".join(re.findall(r"```.*?```", README, re.DOTALL))
    assert {name for name in used if f"[{name}]" not in code} <= defined
