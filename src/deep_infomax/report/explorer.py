"""The interactive map of Y: one page that opens offline, and what stands out as tables beside it.

It imports no PyTorch: what is computed from vectors comes from `deep_infomax.experiments.explore`.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from deep_infomax.report.projection import principal_components, tsne
from deep_infomax.report.rendering import template
from deep_infomax.report.runs import class_name
from deep_infomax.report.sprites import sprites
from deep_infomax.runtime.files import write_text
from deep_infomax.runtime.regular import own_folder, require_own_folder, require_regular

COLOURS: Final = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
"""Ten colours that are told apart with any colour vision. Source: Petroff, 2021, arXiv 2107.02270."""

_MOST_FOR_TSNE: Final = 5000
_MOST_ROWS: Final = 24
"""Of a table on the page; the CSV file has all."""


@dataclass(frozen=True, eq=False)
class Origin:
    """Where inputs come from; what is said of each stands in the same place."""

    index: Int[np.ndarray, " n"]
    """Row in the split as it is stored, as ``dim encode`` counts."""
    splits: Sequence[str]
    files: Sequence[str] | None
    """By their paths below the folder of the data; None where they are not known."""
    labels: Int[np.ndarray, " n"]
    """-1 where there is none."""
    classes: tuple[str, ...]


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
    shown: str
    """Which share of the inputs is on the page."""
    vectors: Float[np.ndarray, "n d"]
    miniatures: Float[np.ndarray, "n channels *sizes"]
    bytes_as_stored: bool
    origin: Origin
    neighbours: Int[np.ndarray, "n k"]
    clusters: Int[np.ndarray, " n"]
    findings: Sequence[Finding]


class Colouring(NamedTuple):
    """One way to colour the map."""

    name: str
    groups: Sequence[str]
    """At most as many as there are colours."""
    of: Sequence[int]
    """The group of each input; -1 for the rest."""
    rest: str
    """What the rest is called; empty where there is none."""
    said: str = ""
    """What to know of the groups."""


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
        write_text(folder / finding.file, as_csv(finding, found.origin))
    write_text(page, text)
    return [page, *(folder / finding.file for finding in found.findings)]


def render(found: Exploration, folder: str) -> str:
    """The page as text; ``folder`` is where it says that the tables are."""
    points, way = placed(found.vectors)
    embedded = json.dumps(content(found, points), separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    origin = found.origin
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
    return template("explore.html").render(
        run=found.run, data=found.data, shown=found.shown, way=way, findings=findings, embedded=embedded
    )


def placed(vectors: Float[np.ndarray, "n d"]) -> tuple[Float[np.ndarray, "n 2"], str]:
    """Places between 0 and 1 on the map, and how they were found: t-SNE, or principal components of very many."""
    points = tsne(vectors) if len(vectors) <= _MOST_FOR_TSNE else None
    way = "t-SNE of Y (perplexity 30, seed 0): neighbours stay near one another, larger distances mean nothing"
    if points is None:
        points, shares = principal_components(vectors)
        way = f"the two directions in which Y varies most, {100 * sum(shares):.0f} % of its variance"
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    return (points - low - extent / 2) / max(float(extent.max()), 1e-12) + 0.5, way


def content(found: Exploration, points: Float[np.ndarray, "n 2"]) -> dict[str, Any]:
    """What the page's script reads."""
    origin = found.origin
    splits = list(dict.fromkeys(origin.splits))
    return {
        "colours": COLOURS,
        "x": points[:, 0].round(4).tolist(),
        "y": (1 - points[:, 1]).round(4).tolist(),
        "colourings": [colouring._asdict() for colouring in colourings(origin, found.clusters)],
        "classes": [class_name(label, origin.classes) for label in range(int(origin.labels.max(initial=-1)) + 1)],
        "labels": origin.labels.tolist(),
        "splits": splits,
        "split": [splits.index(split) for split in origin.splits],
        "index": origin.index.tolist(),
        "files": None if origin.files is None else list(origin.files),
        "neighbours": found.neighbours.tolist(),
        "thumbnails": sprites(found.miniatures, bytes_as_stored=found.bytes_as_stored),
    }


def colourings(origin: Origin, clusters: Int[np.ndarray, " n"]) -> list[Colouring]:
    """The ways to colour the map, the one to begin with first; those with one group are left out, but for clusters."""
    ways = {"class": [class_name(label, origin.classes) for label in origin.labels.tolist()]}
    ways["cluster"] = [f"cluster {cluster + 1}" for cluster in clusters.tolist()]
    if origin.files is not None:
        ways["folder"] = [PurePosixPath(file).parent.as_posix() for file in origin.files]
    ways["split"] = list(origin.splits)
    found = [grouped(name, words) for name, words in ways.items() if len(set(words)) > 1 or name == "cluster"]
    number = int(clusters.max()) + 1
    said = f"{number} clusters of Y by k-means: of 2 to 10 the number with the highest silhouette."
    return [way._replace(said=said) if way.name == "cluster" else way for way in found]


def grouped(name: str, words: Sequence[str]) -> Colouring:
    """Inputs by a word for each: the ten words with most inputs are groups, the others and empty ones the rest.

    >>> found = grouped("class", ["cat", "", "ant", "cat"])
    >>> found.groups, found.of, found.rest
    (['ant', 'cat'], [1, -1, 0, 1], 'no class')
    """
    counts = Counter(word for word in words if word)
    largest = {word for word, _ in counts.most_common(len(COLOURS))}
    groups = [word for word in _in_order(counts) if word in largest]
    place = {word: number for number, word in enumerate(groups)}
    others = len(counts) > len(groups)
    rest = "others" if others else f"no {name}" if "" in words else ""
    return Colouring(name, groups, [place.get(word, -1) for word in words], rest)


def _in_order(words: Mapping[str, int]) -> list[str]:
    """Words as people sort them: numbers in them by their value."""
    return sorted(words, key=lambda word: (word.rstrip("0123456789"), len(word), word))


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
