"""What stands out among representations: near-duplicates, outliers, and what to label next.

Each rule is a function of vectors or of distances to neighbours. Distances are Euclidean, of Y with the mean 0 and the
standard deviation 1 in every unit. Figures of distance are in units of what is usual, so that they compare across runs.

Shapes: n inputs, d units, k neighbours.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from deep_infomax.evaluation.classifiers import nearest_rows
from deep_infomax.evaluation.probes import standardised
from deep_infomax.runtime.clusters import k_means

NEAR: Final = 0.2
"""Near-duplicates are nearer than this share of the usual distance."""


class Neighbourhood(NamedTuple):
    """The nearest other inputs of each input, nearest first."""

    distance: Float[np.ndarray, "n k"]
    nearest: Int[np.ndarray, "n k"]


class Duplicates(NamedTuple):
    """Pairs of inputs, the closest first."""

    pairs: Int[np.ndarray, "p 2"]
    distance: Float[np.ndarray, " p"]
    """In units of the usual distance to the nearest input with another Y."""
    equal: Bool[np.ndarray, " p"]
    """Whether all values of the inputs are the same."""


class Chosen(NamedTuple):
    """Inputs of which each stands for a cluster, the largest cluster first."""

    rows: Int[np.ndarray, " m"]
    stands_for: Int[np.ndarray, " m"]
    """Inputs in the cluster."""


def scaled(vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Vectors with the mean 0 and the standard deviation 1 in every unit, float32; a constant unit becomes 0."""
    values = torch.from_numpy(vectors.astype(np.float32))
    return standardised(values, values)[0].numpy()


def neighbourhood(vectors: Float[np.ndarray, "n d"], k: int) -> Neighbourhood:
    """The k nearest other rows by Euclidean distance, all others where there are fewer; exact.

    >>> neighbourhood(np.array([[0.0], [1.0], [3.0]], np.float32), 1).nearest.ravel().tolist()
    [1, 0, 1]
    """
    values = torch.from_numpy(np.ascontiguousarray(vectors - vectors.mean(axis=0)))
    nearest = nearest_rows(values, values, k + 1, "l2")[1].numpy()
    n, kept = len(vectors), min(k, len(vectors) - 1)
    # Among more copies than neighbours an input may be missing from its own row; then the last one goes.
    own = nearest == np.arange(n)[:, None]
    own[~own.any(axis=1), -1] = True
    nearest = nearest[~own].reshape(n, kept)
    # Those found come from products of matrices, whose rounding would part equal rows.
    distance = np.linalg.norm(vectors[:, None].astype(np.float64) - vectors[nearest], axis=2)
    order = np.argsort(distance, axis=1, kind="stable")
    return Neighbourhood(np.take_along_axis(distance, order, 1), np.take_along_axis(nearest, order, 1))


def usual(values: Float[np.ndarray, " n"]) -> float:
    """The median of the finite values above 0, so that copies do not set what is usual; 1 where there is none.

    >>> usual(np.array([0.0, 0.0, 2.0, 3.0, 9.0, np.inf]))
    3.0
    """
    positive = values[(values > 0) & np.isfinite(values)]
    return float(np.median(positive)) if len(positive) else 1.0


def duplicates(found: Neighbourhood, contents: Sequence[bytes]) -> Duplicates:
    """Inputs that are equal in every value, and pairs nearer than a fifth of the usual distance to another input.

    Equal inputs come first, each paired with the first of its kind. ``contents`` has a digest of each input; those of
    equal inputs are the same.
    """
    first = _first_of(contents)
    scale = usual(np.where(found.distance > 0, found.distance, np.inf).min(axis=1))
    equal = {(int(one), row): 0.0 for row, one in enumerate(first) if one != row}
    near: dict[tuple[int, int], float] = {}
    for row, column in zip(*np.nonzero(found.distance < NEAR * scale), strict=True):
        a, b = sorted((int(first[row]), int(first[found.nearest[row, column]])))
        share = float(found.distance[row, column]) / scale
        if a != b:  # copies of one input are one pair with another
            near[a, b] = min(share, near.get((a, b), np.inf))
    near_sorted = dict(sorted(near.items(), key=lambda item: (item[1], item[0])))
    together = equal | near_sorted
    pairs = np.array(list(together), np.int64).reshape(-1, 2)
    return Duplicates(pairs, np.array(list(together.values()), np.float64), np.arange(len(pairs)) < len(equal))


def _first_of(contents: Sequence[bytes]) -> Int[np.ndarray, " n"]:
    """For each input the first one with the same content."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(content, row) for row, content in enumerate(contents)], np.int64)


def isolation(found: Neighbourhood) -> Float[np.ndarray, " n"]:
    """The mean distance of each input to its neighbours, divided by the usual one; large for outliers.

    >>> isolation(Neighbourhood(np.array([[1.0], [1.0], [5.0]]), np.array([[1], [0], [0]]))).tolist()
    [1.0, 1.0, 5.0]
    """
    mean = found.distance.mean(axis=1, dtype=np.float64)
    return np.asarray(mean / usual(mean))


def to_label(vectors: Float[np.ndarray, "n d"], among: Bool[np.ndarray, " n"], most: int) -> Chosen:
    """A spread-out choice to label next: the inputs nearest to the centres of as many clusters by k-means.

    Args:
        vectors: Of all inputs.
        among: Those to choose from; where there is none, all.
        most: Inputs to choose; fewer where fewer vectors differ.
    """
    rows = np.flatnonzero(among) if among.any() else np.arange(len(vectors))
    values = vectors[rows]
    labels, centres = k_means(values, min(most, len(np.unique(values, axis=0))))
    distance = np.linalg.norm(values - centres[labels], axis=1)
    present = np.unique(labels)
    chosen = np.array([np.flatnonzero(labels == k)[np.argmin(distance[labels == k])] for k in present])
    sizes = np.bincount(labels)[present]
    order = np.argsort(-sizes, kind="stable")
    return Chosen(rows[chosen[order]], sizes[order])
