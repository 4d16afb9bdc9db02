"""Vectors in two dimensions: principal components and t-SNE."""

from typing import Final

import numpy as np
from jaxtyping import Float

_SEED: Final = 0
_FEWEST_FOR_TSNE: Final = 50
_PERPLEXITY: Final = 30.0


def standardised(vectors: Float[np.ndarray, "p d"]) -> Float[np.ndarray, "p d"]:
    """Vectors with the mean 0 and the standard deviation 1 in every unit; a constant unit becomes 0.

    >>> standardised(np.array([[1.0, 5.0], [3.0, 5.0]], np.float32)).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    values = vectors.astype(np.float64)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    # Rounding leaves a constant unit a deviation of about 1e-7 of its mean, which must not be blown up to 1.
    scale = np.where(deviation <= 1e-6 * np.abs(mean), 1.0, deviation)
    return np.asarray((values - mean) / np.where(scale > 0, scale, 1.0), dtype=np.float32)


def principal_components(
    vectors: Float[np.ndarray, "p d"],
) -> tuple[Float[np.ndarray, "p 2"], tuple[float, float]]:
    """The first two principal components, and the share of the variance in each; 0 for a direction that is missing.

    >>> points, shares = principal_components(np.array([[3.0, 1.0], [1.0, 1.0], [-4.0, 1.0]]))
    >>> np.abs(points[:, 0]).round(6).tolist(), shares
    ([3.0, 1.0, 4.0], (1.0, 0.0))
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(vectors), 2))
    shares = np.zeros(2)
    kept = min(2, len(singular))
    points[:, :kept] = (left * singular)[:, :kept]
    if (total := np.square(singular).sum()) > 0:
        shares[:kept] = np.square(singular[:kept]) / total
    return points, (float(shares[0]), float(shares[1]))


def tsne(vectors: Float[np.ndarray, "p d"]) -> Float[np.ndarray, "p 2"] | None:
    """t-SNE with a fixed seed, started from the principal components; None for vectors too few or all alike to map.

    Source: van der Maaten and Hinton, Visualizing data using t-SNE, 2008, JMLR 9.
    """
    start, _ = principal_components(vectors)
    spread = start[:, 0].std()
    if len(vectors) < _FEWEST_FOR_TSNE or vectors.shape[1] < 2 or spread == 0:
        return None
    from sklearn.manifold import TSNE  # here because it takes seconds, which other commands need not wait for

    embedding = TSNE(perplexity=_PERPLEXITY, init=(start / spread * 1e-4).astype(np.float32), random_state=_SEED)
    return np.asarray(embedding.fit_transform(vectors / spread), dtype=np.float64)
