"""Pages as tests see them: parsed, or opened in a browser."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from recorded_runs import Run

from deep_infomax.experiments.titles import titles
from deep_infomax.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """A page as text, elements and tables."""

    VOID = ("meta", "img", "br", "link", "path", "use", "rect")
    SILENT = ("style", "title", "script")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.tables: list[list[list[str]]] = []
        self.heads: list[str | None] = []
        self._text: list[tuple[str, str]] = []
        self._open: list[str] = []
        self._sections: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if tag not in self.VOID:
            self._open.append(tag)
        if tag == "section":
            self._sections.append(attributes.get("class", ""))
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.heads.append(attributes.get("data-head"))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"unbalanced {tag}"
        if tag == "section":
            self._sections.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in self.SILENT:
            self._text.append((self._sections[-1] if self._sections else "", data))
        if {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] = " ".join(f"{self.tables[-1][-1][-1]} {data}".split())

    def text(self, section: str | None = None) -> str:
        return " ".join(" ".join(data for name, data in self._text if section in (None, name)).split())

    def marked(self, name: str) -> list[str]:
        """What stands in the spans of a class."""
        return re.findall(rf'<span class="{name}">([^<]*)</span>', self.source)

    def attributes(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def figures(self) -> list[str]:
        return [a["aria-label"] for a in self.attributes("svg")]


def report(*runs: Run, **options: Any) -> Page:
    return Page(write_report([run.path for run in runs], **{"titles": titles()} | options))


def in_a_browser(page: Path) -> str:
    """The elements of a page as Chromium leaves them after three seconds of its own; skips the test without one."""
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += ["--disable-component-update", "--disable-sync", f"--user-data-dir={page.parent / 'browser'}"]
    command = [CHROMIUM, *options, "--virtual-time-budget=3000", "--dump-dom", f"file://{page}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"Chromium does not run here: {done.stderr[-200:]}")
    return done.stdout
