"""A bound on the mutual information between an input's local map and its global vector, as a loss."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deep_infomax.contracts import Bound, Features, Scorer, Scores
from deep_infomax.negatives import draw_others
from deep_infomax.processes import gathered, world_size


class MutualInformation(nn.Module):
    r"""One term of Deep InfoMax: a bound on the information between ``C`` and ``Y``, as a scorer sees it.

    A scorer of the whole map gives the global term, a scorer of locations the local one:

    .. math:: \mathcal{L} = -I(T') + \lambda \overline{T^2}, \qquad T' = t \tanh(T / t)

    Unbounded scores let InfoNCE grow its margin on pairs it already tells apart until training becomes unstable;
    a soft limit t on the scores and a penalty on their mean square, taken before the limit, prevent it.

    Args:
        scorer: a module that implements `Scorer`.
        bound: what is minimised and what is reported, such as ``bounds.INFO_NCE``.
        others: inputs each anchor is scored against, redrawn at every call; None scores it against all others.
        limit: t, the largest absolute score; None leaves the scores as they are.
        penalty: lambda, the weight of the mean square of the scores.

    Raises:
        ValueError: ``others``, ``limit`` or ``penalty`` is out of range.

    Source: Hjelm et al., Learning deep representations by mutual information estimation and maximization, 2019,
    arXiv 1808.06670; limit and penalty: Bachman et al., Learning representations by maximizing mutual information
    across views, 2019, arXiv 1906.00910.
    """

    def __init__(
        self,
        scorer: Scorer,
        bound: Bound,
        others: int | None = None,
        limit: float | None = None,
        penalty: float = 0.0,
    ) -> None:
        super().__init__()
        if others is not None and others < 1:
            raise ValueError(f"others is {others}; score against at least 1 other input, or give None for all of them")
        if limit is not None and not (math.isfinite(limit) and limit > 0):
            raise ValueError(f"limit is {limit}; give a finite number above 0, or None for no limit")
        if not (math.isfinite(penalty) and penalty >= 0):
            raise ValueError(f"penalty is {penalty}; give a finite number of at least 0")
        self.scorer = scorer
        self.bound = bound
        self.others = others
        self.limit = limit
        self.penalty = penalty

    def forward(self, features: Features) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """The loss, and for the log ``loss``, ``bound`` (in nats) and ``ceiling`` (the bound's largest value)."""
        local, vector, _ = features
        n = len(vector)
        others = None if self.others is None else draw_others(n, self.others, vector.device, n * world_size())
        scores = self.scorer(local, vector, others)
        limited = scores if self.limit is None else _limit(scores, self.limit)
        if self.bound.pooled is not None and world_size() > 1:
            limited = Scores(*(gathered(part) for part in self.bound.pooled(limited)))
        loss, value = self.bound.evaluate(limited)
        value = value.detach().float()
        if self.penalty:
            loss = loss + self.penalty * _mean_square(scores)
        ceiling = torch.full_like(value, self.bound.ceiling(scores.marginal.shape[1]))
        return loss, {"loss": loss.detach().float(), "bound": value, "ceiling": ceiling}


def _limit(scores: Scores, limit: float) -> Scores:
    return Scores(*(limit * torch.tanh(part / limit) for part in scores))


def _mean_square(scores: Scores) -> Float[Tensor, ""]:
    # The norm adds up in float32 without a float32 copy of bfloat16 scores.
    dtype = torch.promote_types(scores.joint.dtype, torch.float32)
    joint, marginal = (torch.linalg.vector_norm(part, dtype=dtype).square() for part in scores)
    total: Tensor = joint + marginal
    return total / (scores.joint.numel() + scores.marginal.numel())
