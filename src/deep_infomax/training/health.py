"""Signs of a collapsed representation, computed from the global vectors of a few inputs."""

import torch
from jaxtyping import Float
from torch import Tensor


def health(vectors: Float[Tensor, "n d"]) -> dict[str, float]:
    """The signs by the names they have in the log, with the mean standard deviation of a unit.

    >>> health(torch.cat([torch.eye(2), -torch.eye(2)]))["vector_rank"]
    2.0
    """
    rank, spread = float(effective_rank(vectors)), float(vectors.double().std(0).mean())
    return {"vector_rank": rank, "dead_units": dead_units(vectors), "vector_std": spread}


def effective_rank(vectors: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    r"""Number of directions the vectors really use: from 1 (collapsed onto a line) to min(n - 1, d).

    .. math:: \exp\left(-\sum_i p_i \log p_i\right), \quad p_i = \sigma_i / \sum_j \sigma_j

    with the singular values of the centred vectors; 0 when all vectors are equal. Source: Roy and Vetterli, The
    effective rank, EUSIPCO 2007.

    >>> effective_rank(torch.cat([torch.eye(4), -torch.eye(4)])).item()
    4.0
    """
    singular = torch.linalg.svdvals((vectors - vectors.mean(0)).float())
    total = singular.sum()
    share = singular / total.clamp_min(torch.finfo(torch.float32).tiny)
    return torch.where(total > 0, torch.special.entr(share).sum().exp(), torch.zeros_like(total))


def dead_units(vectors: Float[Tensor, "n d"]) -> int:
    """Units whose spread over the inputs is under a thousandth of the mean spread of all units.

    >>> dead_units(torch.tensor([[0.0, 1.0, 5.0], [1.0, 0.0, 5.0]]))
    1
    """
    spread = vectors.float().std(0)
    return int((spread <= 1e-3 * spread.mean()).sum())
