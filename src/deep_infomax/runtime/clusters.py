"""Groups of vectors by k-means.

Shapes: n vectors, d units.
"""

import warnings
from typing import Final

import numpy as np
from jaxtyping import Float, Int

MOST_CLUSTERS: Final = 10
_READ_FOR_SILHOUETTES: Final = 1000
_SEED: Final = 0


def clusters(vectors: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
    """Clusters by k-means, numbered from the largest; of 2 to 10 the number with the highest silhouette.

    Silhouettes are read on at most 1,000 evenly spaced vectors. All zeros where fewer than two rows differ.
    Source: Rousseeuw, Silhouettes, 1987, Journal of Computational and Applied Mathematics 20.
    """
    from sklearn.metrics import (
        silhouette_score,
    )  # here because it takes seconds, which other commands need not wait for

    different = len(np.unique(vectors, axis=0))
    read = min(len(vectors), _READ_FOR_SILHOUETTES)
    part = np.arange(read) * len(vectors) // read
    best, found = -np.inf, np.zeros(len(vectors), np.int64)
    for k in range(2, min(MOST_CLUSTERS, different - 1) + 1):
        labels = k_means(vectors, k)[0]
        if 1 < len(np.unique(labels[part])) < len(part):
            score = silhouette_score(vectors[part], labels[part])
            best, found = (score, labels) if score > best else (best, found)
    order = np.argsort(-np.bincount(found), kind="stable")
    return np.argsort(order, kind="stable")[found]


def k_means(vectors: Float[np.ndarray, "n d"], k: int) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "k d"]]:
    """The cluster of each vector, and the centres; of three starts the best, with a fixed seed."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # rows that differ by rounding alone make fewer clusters
        fitted = KMeans(k, n_init=3, random_state=_SEED).fit(vectors)
    return fitted.labels_.astype(np.int64), np.asarray(fitted.cluster_centers_)
