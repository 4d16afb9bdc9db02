"""The nearest-neighbour estimator of Kraskov, Stögbauer and Grassberger, for vectors."""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from scipy.special import digamma

Array = np.ndarray


class NearestPairs:
    r"""The contribution of each pair to the estimate, in nats; their mean is the mutual information.

    .. math:: \psi(k) + \psi(n) - \psi(n_x + 1) - \psi(n_y + 1)

    n_x counts the other values of x strictly closer to a pair's x than its k-th neighbour is in the space of pairs, in
    the maximum norm; n_y likewise. The first of the paper's two algorithms, for any number of coordinates. It assumes
    continuous variables without equal values, and reads low in many dimensions.

    Args:
        x: Samples of one variable.
        y: Of the other, row by row.
        k: The neighbour of a pair that sets the distance.

    Raises ValueError if there are not more than k pairs.
    Source: Kraskov et al., "Estimating mutual information", 2004, arXiv cond-mat/0305641.
    """

    def __init__(self, x: Float[Array, "n dx"], y: Float[Array, "n dy"], k: int = 3) -> None:
        if len(x) <= k:
            raise ValueError(f"{len(x)} pairs have no {k} neighbours each; give more pairs or a smaller k")
        self.n, self.k = len(x), k
        self.pairs, self.x, self.y = (KDTree(z) for z in (np.concatenate([x, y], axis=1), x, y))

    def __call__(self, rows: Int[Array, " p"]) -> Float[Array, " p"]:
        """Contributions of some of the pairs."""
        threads = torch.get_num_threads()
        distances = self.pairs.query(self.pairs.data[rows], k=self.k + 1, p=np.inf, workers=threads)[0][:, -1]
        inside = np.nextafter(distances, 0)  # strictly closer
        # Each count includes the point itself, which makes it n_x + 1.
        counts = [
            tree.query_ball_point(tree.data[rows], inside, p=np.inf, workers=threads, return_length=True)
            for tree in (self.x, self.y)
        ]
        pointwise: Array = digamma(self.k) + digamma(self.n) - digamma(counts[0]) - digamma(counts[1])
        return pointwise


def ksg_pointwise(x: Float[Array, "n dx"], y: Float[Array, "n dy"], k: int = 3) -> Float[Array, " n"]:
    """The contribution of every pair, as `NearestPairs` says."""
    return NearestPairs(x, y, k)(np.arange(len(x)))
