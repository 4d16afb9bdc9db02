"""Other estimators of mutual information, each with the defaults of its documents, for `mutual_information.py`.

`PEERS` holds functions of (x, y, seed) that give nats. A peer that cannot read the samples raises ValueError with the
cause. torch-mist is read where it is installed (`pip install torch-mist`).
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

import numpy as np
import torch
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from deep_infomax.mutual_information.ksg import ksg_pointwise

Array = np.ndarray


def scikit_learn(x: Array, y: Array, seed: int) -> float:
    """`mutual_info_classif` where y is an integer, else `mutual_info_regression`; one column on either side."""
    if x.shape[1] > 1 or y.shape[1] > 1:
        raise ValueError("scikit-learn reads one coordinate on either side")
    codes = [np.unique(z[:, 0], return_inverse=True)[1] if z.dtype.kind == "U" else z[:, 0] for z in (x, y)]
    x_is_code, y_is_code = (z.dtype.kind != "f" for z in (x, y))
    estimate = mutual_info_classif if y_is_code else mutual_info_regression
    return float(estimate(codes[0][:, None], codes[1], discrete_features=x_is_code, random_state=seed)[0])


def nearest_neighbours(x: Array, y: Array, seed: int) -> float:
    """Kraskov's first estimator with k = 3 on the coordinates as they are, with noise of 1e-10 that breaks ties."""
    generator = np.random.default_rng(seed)
    return float(ksg_pointwise(*(z + 1e-10 * generator.random(z.shape) for z in (numbers(x), numbers(y)))).mean())


def canonical_correlations(x: Array, y: Array, seed: int) -> float:
    """``-1/2 sum_i log(1 - r_i^2)`` of all samples' canonical correlations: the information of normal variables."""
    bases = []
    for z in (numbers(x), numbers(y)):
        left, size, _ = np.linalg.svd((z - z.mean(0)) / z.std(0), full_matrices=False)
        bases.append(left[:, size > 1e-10 * size[0]])
    correlations = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    return float(-np.log(np.maximum(1 - correlations**2, 1e-15)).sum() / 2)


def torch_mist(x: Array, y: Array, seed: int) -> float:
    """`torch_mist.estimate_mi` with the hidden layer of its README; all else is left as it is (SMILE, Adam)."""
    from torch_mist import estimate_mi

    torch.manual_seed(seed)
    np.random.seed(seed)
    data = {name: torch.from_numpy(numbers(z)).float() for name, z in (("x", x), ("y", y))}
    return float(estimate_mi(data, hidden_dims=[128], verbose=False, logger=False))


def numbers(z: Array) -> Array:
    """Samples as numbers."""
    if z.dtype.kind == "U":
        raise ValueError("words are no numbers")
    return z.astype(float)


PEERS: Final[dict[str, Callable[[Array, Array, int], float]]] = {
    "scikit-learn": scikit_learn,
    "ksg-3": nearest_neighbours,
    "cca": canonical_correlations,
    **({"torch-mist": torch_mist} if find_spec("torch_mist") else {}),
}
