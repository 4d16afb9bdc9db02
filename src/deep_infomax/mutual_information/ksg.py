"""The nearest-neighbour estimator of Kraskov, Stögbauer and Grassberger, for vectors."""

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree
from scipy.special import digamma

Array = np.ndarray


def ksg_pointwise(x: Float[Array, "n dx"], y: Float[Array, "n dy"], k: int = 3) -> Float[Array, " n"]:
    r"""The contribution of each pair to the estimate, in nats; their mean is the mutual information.

    .. math:: \psi(k) + \psi(n) - \psi(n_x + 1) - \psi(n_y + 1)

    n_x counts the other values of x strictly closer to a pair's x than its k-th neighbour is in the space of pairs, in
    the maximum norm; n_y likewise. The first of the paper's two algorithms, for any number of coordinates. It assumes
    continuous variables without equal values, and reads low in many dimensions.

    Raises ValueError if there are not more than k pairs.
    Source: Kraskov et al., "Estimating mutual information", 2004, arXiv cond-mat/0305641.
    """
    if len(x) <= k:
        raise ValueError(f"{len(x)} pairs have no {k} neighbours each; give more pairs or a smaller k")
    both = np.concatenate([x, y], axis=1)
    distances = KDTree(both).query(both, k=k + 1, p=np.inf, workers=-1)[0][:, -1]
    inside = np.nextafter(distances, 0)  # strictly closer
    # Each count includes the point itself, which makes it n_x + 1.
    counts = [KDTree(z).query_ball_point(z, inside, p=np.inf, workers=-1, return_length=True) for z in (x, y)]
    pointwise: Array = digamma(k) + digamma(len(x)) - digamma(counts[0]) - digamma(counts[1])
    return pointwise
