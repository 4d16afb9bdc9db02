"""The page of an exploration: one page that opens offline, and what stands out as tables beside it.

It imports no PyTorch: what is computed from vectors comes from `deep_infomax.experiments.explore`.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from deep_infomax.report.rendering import template
from deep_infomax.report.runs import class_name
from deep_infomax.report.vector_map import Origin, VectorMap, embedded
from deep_infomax.runtime.files import write_text
from deep_infomax.runtime.regular import own_folder, require_own_folder, require_regular

_MOST_ROWS: Final = 24
"""Of a table on the page; the CSV file has all."""


class Finding(NamedTuple):
    """What stands out by one rule, the most striking first."""

    file: str
    """Name of its CSV file."""
    title: str
    rule: str
    """One sentence."""
    rows: Sequence[tuple[int, ...]]
    """One or two inputs each, by their places."""
    figures: Mapping[str, Sequence[Any]]
    """Columns of the CSV file behind those that name the inputs."""
    said: Sequence[str]
    """The figure of each row in words."""
    paired: bool = False
    """Whether a row has two inputs."""


@dataclass(frozen=True, eq=False)
class Exploration:
    """All that the page shows."""

    run: str
    data: str
    map: VectorMap
    findings: Sequence[Finding]


def tables_of(page: Path) -> Path:
    """The folder of the CSV files of a page: beside it, called like it.

    >>> tables_of(Path("runs/mine/explore.html")).as_posix()
    'runs/mine/explore'
    """
    return page.with_suffix("") if page.suffix else page.with_name(f"{page.name}-tables")


def check_page(page: Path, names: Sequence[str]) -> None:
    """See to it that a page and its tables overwrite nothing else, before the work that they are to hold.

    Raises:
        ValueError: Something else than a file, or a folder with other files, is in the place of one of them.
    """
    require_regular(page)
    if not page.parent.is_dir():
        raise ValueError(f"cannot write {page}: there is no folder {page.parent}; create it first")
    folder = tables_of(page)
    require_own_folder(folder)
    others = sorted(path.name for path in folder.iterdir() if path.name not in names) if folder.exists() else []
    others = [name for name in others if not name.endswith(".partial")]
    if others:
        raise ValueError(f"{folder} is for the tables of {page} and holds {others[0]}; name another file with `out`")


def write_explorer(found: Exploration, page: Path) -> list[Path]:
    """Write the tables, then the page; each is there whole or not at all. The files, the page first.

    Raises:
        ValueError: As `check_page`.
    """
    check_page(page, [finding.file for finding in found.findings])
    folder = tables_of(page)
    text = render(found, folder.name)
    own_folder(folder)
    for finding in found.findings:
        write_text(folder / finding.file, as_csv(finding, found.map.origin))
    write_text(page, text)
    return [page, *(folder / finding.file for finding in found.findings)]


def render(found: Exploration, folder: str) -> str:
    """The page as text; ``folder`` is where it says that the tables are."""
    origin = found.map.origin
    findings = [
        {
            "finding": finding,
            "file": f"{folder}/{finding.file}",
            "rows": [
                ([(place, described(origin, place)) for place in row], said)
                for row, said in zip(finding.rows[:_MOST_ROWS], finding.said, strict=False)
            ],
        }
        for finding in found.findings
    ]
    return template("explore.html").render(run=found.run, data=found.data, map=embedded(found.map), findings=findings)


def described(origin: Origin, place: int) -> str:
    """What an input is called: its class, split, index and file, as far as they are known."""
    file = "" if origin.files is None else origin.files[place]
    name = class_name(int(origin.labels[place]), origin.classes)
    return ", ".join(filter(None, [name, f"{origin.splits[place]} {origin.index[place]}", file]))


def as_csv(finding: Finding, origin: Origin) -> str:
    """A table as CSV: index, split and file of each input of a row, then its figures."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = ["index", "split"] + ["file"] * (origin.files is not None)
    writer.writerow([*columns, *(f"other_{name}" for name in columns * finding.paired), *finding.figures])
    for number, row in enumerate(finding.rows):
        named = [value for place in row for value in _named(origin, place)]
        writer.writerow([*named, *(values[number] for values in finding.figures.values())])
    return buffer.getvalue()


def _named(origin: Origin, place: int) -> list[Any]:
    return [int(origin.index[place]), origin.splits[place], *([] if origin.files is None else [origin.files[place]])]
