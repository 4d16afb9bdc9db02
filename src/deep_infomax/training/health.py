"""Signs of a collapsed representation, computed from the global vectors of a few inputs."""

import math
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

COLLAPSED: Final = 0.05
"""Share of the directions beyond the first that a healthy representation uses at least."""
_NEGLIGIBLE: Final = 1e-10
"""Share of the largest variance, below which a direction counts as unused."""


def health(vectors: Float[Tensor, "n d"]) -> dict[str, float]:
    """The signs by the names they have in the log, with the mean standard deviation of a unit.

    >>> health(torch.cat([torch.eye(2), -torch.eye(2)]))["vector_rank"]
    2.0
    """
    vectors = vectors.cpu()  # in float64, which not every device has
    rank, spread = float(effective_rank(vectors)), float(vectors.double().std(0).mean())
    found = {"vector_rank": rank, "dead_units": dead_units(vectors), "vector_std": spread}
    decay = spectral_decay(vectors)
    return found | ({"vector_alpha": decay} if math.isfinite(decay) else {})


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


def spectral_decay(vectors: Float[Tensor, "n d"]) -> float:
    r"""How fast the variances of Y's directions fall: minus the slope of log variance over log rank; NaN of one.

    About 1 is typical of good representations; far more means that few directions carry all, far less that noise
    does. Source: Agrawal et al., "alpha-ReQ: assessing representation quality by measuring eigenspectrum decay", 2022.

    >>> n = torch.arange(1.0, 9.0)
    >>> round(spectral_decay(torch.cat([torch.eye(8), -torch.eye(8)]) / n), 3)  # deviations 1, 1/2, ..., 1/8
    2.0
    """
    variances = torch.linalg.svdvals((vectors - vectors.mean(0)).double()).square()
    variances = variances[variances > _NEGLIGIBLE * variances[0]]
    if len(variances) < 2:
        return math.nan
    x, y = torch.arange(1, len(variances) + 1, dtype=torch.double).log(), variances.log().cpu()
    x = x - x.mean()
    return float(-(x * y).sum() / x.square().sum())


def is_collapsed(rank: float, size: int) -> bool:
    """Whether Y of so many units uses so few directions that most of it is wasted.

    >>> is_collapsed(3.0, 64), is_collapsed(5.0, 64), is_collapsed(1.04, 2), is_collapsed(1.0, 1)
    (True, False, True, False)
    """
    return rank < 1 + COLLAPSED * (size - 1)


def collapse_text(rank: float, size: int, since: float) -> str:
    """What to say of it, with what may help."""
    return (
        f"Y uses {rank:.1f} of {size} directions since epoch {since:g}: collapsed; lower `training.learning_rate`, or "
        "give the prior more weight with `objective.gamma`"
    )
