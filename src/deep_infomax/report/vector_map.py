"""The interactive map of Y: what a page embeds of its inputs, of which the script ``explore.js`` draws it.

Pages that show one are `deep_infomax.report.explorer` and the report. Shapes: n inputs, d units, k neighbours.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from deep_infomax.report.projection import principal_components, tsne
from deep_infomax.report.runs import class_name
from deep_infomax.report.sprites import MOST_BYTES, sprites
from deep_infomax.report.svg import CLASS_COLOURS

_MOST_FOR_TSNE: Final = 5000


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


@dataclass(frozen=True, eq=False)
class VectorMap:
    """Inputs by their Y, with what is said of each."""

    shown: str
    """Which share of the inputs is there."""
    vectors: Float[np.ndarray, "n d"]
    miniatures: Float[np.ndarray, "n channels *sizes"]
    bytes_as_stored: bool
    origin: Origin
    neighbours: Int[np.ndarray, "n k"]
    clusters: Int[np.ndarray, " n"]


class Embedded(NamedTuple):
    """A map as it stands in a page."""

    shown: str
    way: str
    """How places were found."""
    content: str
    """JSON of all but the thumbnails."""
    thumbnails: str
    """JSON; maps of the same inputs share it."""

    @property
    def identifier(self) -> str:
        """Of the thumbnails, in the page."""
        return thumbnails_id(self.thumbnails)


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


def embedded(found: VectorMap, most_bytes: int = MOST_BYTES) -> Embedded:
    """A map for a page; a sheet of thumbnails in full colour has at most so many bytes, or else 256 colours."""
    points, way = placed(found.vectors)
    thumbnails = as_json(sprites(found.miniatures, bytes_as_stored=found.bytes_as_stored, most_bytes=most_bytes))
    described = content(found, points) | {"thumbnails": thumbnails_id(thumbnails)}
    return Embedded(found.shown, way, as_json(described), thumbnails)


def share(n: int, total: int, what: str = "inputs") -> str:
    """How many inputs are shown of how many.

    >>> share(4000, 50_000), share(300, 300, "test inputs")
    ('4,000 of 50,000 inputs, evenly spaced (8 %)', 'all 300 test inputs')
    """
    return f"all {n:,} {what}" if n == total else f"{n:,} of {total:,} {what}, evenly spaced ({100 * n / total:.2g} %)"


def thumbnails_id(thumbnails: str) -> str:
    """The identifier of an element with these thumbnails."""
    return f"thumbnails-{hashlib.sha256(thumbnails.encode()).hexdigest()[:8]}"


def as_json(values: Mapping[str, Any]) -> str:
    """JSON that stands inside a page: no text in it can end the element around it."""
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def placed(vectors: Float[np.ndarray, "n d"]) -> tuple[Float[np.ndarray, "n 2"], str]:
    """Places between 0 and 1 on the map, and how they were found: t-SNE, or principal components of very many."""
    points = tsne(vectors) if len(vectors) <= _MOST_FOR_TSNE else None
    way = "t-SNE of Y (perplexity 30, seed 0): neighbours stay near one another, larger distances mean nothing"
    if points is None:
        points, shares = principal_components(vectors)
        way = f"the two directions in which Y varies most, {100 * sum(shares):.0f} % of its variance"
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    return (points - low - extent / 2) / max(float(extent.max()), 1e-12) + 0.5, way


def content(found: VectorMap, points: Float[np.ndarray, "n 2"]) -> dict[str, Any]:
    """What the page's script reads beside the thumbnails."""
    origin = found.origin
    splits = list(dict.fromkeys(origin.splits))
    present, labels = np.unique(np.maximum(origin.labels, -1), return_inverse=True)
    named = present[present >= 0]
    return {
        "colours": CLASS_COLOURS,
        "x": points[:, 0].round(4).tolist(),
        "y": (1 - points[:, 1]).round(4).tolist(),
        "colourings": [colouring._asdict() for colouring in colourings(origin, found.clusters)],
        "classes": [class_name(label, origin.classes) for label in named.tolist()],
        "labels": (labels - (len(present) - len(named))).tolist(),
        "splits": splits,
        "split": [splits.index(split) for split in origin.splits],
        "index": origin.index.tolist(),
        "files": None if origin.files is None else list(origin.files),
        "neighbours": found.neighbours.tolist(),
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
    largest = {word for word, _ in counts.most_common(len(CLASS_COLOURS))}
    groups = [word for word in _in_order(counts) if word in largest]
    place = {word: number for number, word in enumerate(groups)}
    others = len(counts) > len(groups)
    rest = "others" if others else f"no {name}" if "" in words else ""
    said = f"In colour are the {len(groups)} of {len(counts):,} with most inputs." if others else ""
    return Colouring(name, groups, [place.get(word, -1) for word in words], rest, said)


def _in_order(words: Mapping[str, int]) -> list[str]:
    """Words as people sort them: numbers in them by their value."""
    return sorted(words, key=lambda word: (word.rstrip("0123456789"), len(word), word))
