"""The map of a run: some of the inputs that an evaluation kept, with their neighbours and groups."""

from typing import Final

import numpy as np
from jaxtyping import Float, Int

from deep_infomax.report.projection import standardised
from deep_infomax.report.runs import Representation
from deep_infomax.report.vector_map import Origin, VectorMap, share
from deep_infomax.runtime.clusters import clusters

_NEIGHBOURS: Final = 8
_KIND: Final = {"train": "training"}
"""What the inputs of a split are called, where that is not its name."""


def finite_rows(representation: Representation, most: int) -> Int[np.ndarray, " kept"]:
    """At most so many of the inputs whose vectors are finite, evenly spaced."""
    kept = np.flatnonzero(np.isfinite(representation.vectors).all(axis=1))
    spaced = np.linspace(0, len(kept), min(most, len(kept)), endpoint=False).astype(int)
    return np.asarray(kept[spaced])


def map_of(representation: Representation, most: int) -> VectorMap | None:
    """At most so many inputs; None where there are none to show, or fewer than two different vectors."""
    inputs, rows = representation.inputs, finite_rows(representation, most)
    if inputs is None or len(rows) < 2 or not np.ptp(representation.vectors[rows], axis=0).any():
        return None
    vectors = standardised(representation.vectors[rows])
    splits = [inputs.splits[row] for row in rows]
    what = f"{_KIND.get(splits[0], splits[0])} inputs" if len(set(splits)) == 1 else "inputs"
    files = None if inputs.files is None else [inputs.files[row] for row in rows]
    return VectorMap(
        shown=share(len(rows), inputs.total, what),
        vectors=vectors,
        miniatures=inputs.miniatures[rows],
        bytes_as_stored=inputs.bytes_as_stored,
        origin=Origin(inputs.index[rows], splits, files, representation.labels[rows], representation.classes),
        neighbours=_nearest(vectors),
        clusters=clusters(vectors),
    )


def _nearest(vectors: Float[np.ndarray, "n d"]) -> Int[np.ndarray, "n k"]:
    """The nearest other vectors of each, nearest first."""
    from sklearn.neighbors import NearestNeighbors  # here because it takes seconds

    fitted = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(vectors) - 1)).fit(vectors)
    return np.asarray(fitted.kneighbors(return_distance=False), dtype=np.int64)
