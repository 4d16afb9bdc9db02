"""A bound on the mutual information between an input's local map and its global vector, as a loss."""

import math
from collections.abc import Callable, Sequence
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from deep_infomax.contracts import Batch, Bound, Features, Losses, Own, Part, Scorer, Scores, Weights
from deep_infomax.negatives import draw_others, own_pieces, require_others
from deep_infomax.objectives.in_parts import in_parts
from deep_infomax.objectives.masked import Mask
from deep_infomax.runtime.processes import gathered, world_size

MOST_VALUES: Final = 2**26
"""Values of a scorer that are held at a time; of larger batches the anchors are scored in several parts."""


class MutualInformation(Part):
    r"""One term of Deep InfoMax: a bound on the information between ``C`` and ``Y``, as a scorer sees it.

    A scorer of the whole map gives the global term, a scorer of locations the local one:

    .. math:: \mathcal{L} = -I(T') + \lambda \overline{T^2}, \qquad T' = t \tanh(T / t)

    Unbounded scores let InfoNCE grow its margin on pairs it already tells apart until training becomes unstable;
    a soft limit t on the scores and a penalty on their mean square, taken before the limit, prevent it.

    Where a batch has more than `MOST_VALUES` scores, its anchors are taken in parts, and the scores of a part are
    computed again for the gradient instead of being kept: the value and the gradient are the same up to rounding,
    memory grows with the batch and not with its square.

    Args:
        scorer: a module that implements `Scorer`.
        bound: what is minimised and what is reported, such as ``bounds.INFO_NCE``.
        others: inputs each anchor is scored against, redrawn at every call; None scores it against all others.
        limit: t, the largest absolute score; None leaves the scores as they are.
        penalty: lambda, the weight of the mean square of the scores.

    Raises:
        ValueError: ``others``, ``limit`` or ``penalty`` is out of range; the scorer is no module with the methods of
            `Scorer`, or the bound no `Bound`.

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
        _require_scorer(scorer)
        if not isinstance(bound, Bound):
            raise ValueError(f"`bound` is {bound!r}; give a Bound, such as INFO_NCE of deep_infomax.bounds")
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

    def losses(self, batch: Batch, features: Features, encode: Callable[[Tensor], Features]) -> Losses:
        """Those of ``C`` and ``Y``."""
        found: Losses = self(features.local, features.vector, missing=features.missing)
        return found

    def advice(self) -> Sequence[str]:
        """A limit on the scores, where there is none."""
        return ("limited scores (`objective.limit` 20)",) if self.limit is None else ()

    def forward(
        self,
        local: Float[Tensor, "n c *spatial"],
        vector: Float[Tensor, "a d"],
        own: Int[Tensor, " a"] | None = None,
        missing: Bool[Tensor, "n *spatial"] | None = None,
    ) -> Losses:
        """The loss. Terms: ``loss``, ``bound`` (in nats) and ``ceiling`` (the bound's largest value).

        Args:
            local: local maps of the batch.
            vector: global vectors; in several processes each has equally many.
            own: the map of each vector, so that an input may have several; None says that vector i has map i.
            missing: locations that stand for missing values: no positives, no negatives, and without a gradient; means
                are over what remains. A scorer of whole maps reads them all the same.

        Raises:
            ValueError: the batch has a single input, or too few for so many ``others``; vectors and maps are not
                equally many, without ``own``; or locations are missing, and the bound has no form for that.
        """
        a, n = len(vector), len(local)
        require_others(n * world_size())  # before batch normalisation refuses a batch of 1 in words of its own
        placed = own_pieces(own, a, n)
        if missing is not None:  # else a normalisation over locations would lead a gradient there
            local = torch.where(missing[:, None], local.detach(), local)
        encoded, anchors = self.scorer.encode(local, vector)
        pieces = gathered(encoded)
        p, m, _ = pieces.shape
        others = None if self.others is None else draw_others(placed, self.others, p, vector.device)
        k = p - 1 if others is None else others.shape[1]
        if missing is not None and missing[0].numel() == m:
            return self._masked(pieces, anchors, others, placed, missing.flatten(1))
        rows = min(a, max(1, MOST_VALUES // self.scorer.values_per_anchor(p, m, k)))
        pool = self.bound.pooled if rows < a or world_size() > 1 else None

        def part(pieces: Tensor, some_anchors: Tensor, some: slice) -> tuple[Tensor, Tensor, Tensor]:
            return self._part(pieces, some_anchors, others if others is None else others[some], placed[some], pool)

        if rows < a:
            parts = in_parts(part, pieces, anchors, self.parameters(), rows)
        else:
            parts = [part(pieces, anchors, slice(0, a))]
        found, values, squares = zip(*parts, strict=True)
        weights = [len(some) / a for some in anchors.split(rows)]
        if pool is None:
            loss, value = _weighted(found, weights), _weighted(values, weights)
        else:
            loss, value = self.bound.evaluate(Scores(gathered(torch.cat(found)), gathered(torch.cat(values))))
        if self.penalty:
            loss = loss + self.penalty * _weighted(squares, weights)
        return self._reported(loss, value, k)

    def _reported(self, loss: Tensor, value: Tensor, k: int) -> Losses:
        value = value.detach().float()
        ceiling = torch.full_like(value, self.bound.ceiling(k))
        return Losses(loss, None, {"loss": loss.detach().float(), "bound": value, "ceiling": ceiling})

    def _masked(
        self,
        pieces: Float[Tensor, "p m _"],
        anchors: Float[Tensor, "a _"],
        others: Int[Tensor, "a k"] | None,
        own: Own,
        missing: Bool[Tensor, "n m"],
    ) -> Losses:
        """The loss without pairs of missing locations, whose unpaired scores are -inf."""
        weighted, pool = self.bound.weighted, self.bound.pooled
        if weighted is None:
            raise ValueError(
                f"the bound {self.bound.name} has no form that leaves out missing values; give it one as `weighted`, "
                "choose another bound, or fill them first"
            )
        (p, m, _), a = pieces.shape, len(anchors)
        k = p - 1 if others is None else others.shape[1]
        rows = min(a, max(1, MOST_VALUES // self.scorer.values_per_anchor(p, m, k)))
        slices = [slice(start, min(a, start + rows)) for start in range(0, a, rows)]
        mask = Mask(missing, own, others, slices, torch.promote_types(anchors.dtype, torch.float32))

        def part(pieces: Tensor, some_anchors: Tensor, some: slice) -> tuple[Tensor, Tensor, Tensor]:
            weights = mask.weights(some)
            scores = self.scorer.score(pieces, some_anchors, others if others is None else others[some], own[some])
            square = _weighted_square(scores, weights) if self.penalty else scores.joint.new_zeros(())
            limited = scores if self.limit is None else _limit(scores, self.limit)
            left = Scores(limited.joint, limited.marginal.masked_fill(weights.marginal == 0, -math.inf))
            return (*(weighted(left, weights) if pool is None else pool(left)), square)

        if rows < a:
            parts = in_parts(part, pieces, anchors, self.parameters(), rows)
        else:
            parts = [part(pieces, anchors, slices[0])]
        found, values, squares = zip(*parts, strict=True)
        if pool is None:
            loss, value = torch.stack(found).sum(), torch.stack(values).sum()
        else:
            scores = Scores(gathered(torch.cat(found)), gathered(torch.cat(values)))
            loss, value = weighted(scores, mask.pooled())
        if self.penalty:
            loss = loss + self.penalty * torch.stack(squares).sum()
        return self._reported(loss, value, k)

    def _part(
        self,
        pieces: Float[Tensor, "p m _"],
        anchors: Float[Tensor, "rows _"],
        others: Int[Tensor, "rows k"] | None,
        own: Own,
        pool: Callable[[Scores], Scores] | None,
    ) -> tuple[Tensor, Tensor, Float[Tensor, ""]]:
        """Loss, bound and mean square of some anchors; of a bound that pools them, scores instead of the first two."""
        scores = self.scorer.score(pieces, anchors, others, own)
        square = _mean_square(scores) if self.penalty else scores.joint.new_zeros(())
        limited = scores if self.limit is None else _limit(scores, self.limit)
        found, value = self.bound.evaluate(limited) if pool is None else pool(limited)
        return found, value, square


def _require_scorer(scorer: object) -> None:
    if not isinstance(scorer, nn.Module):
        found = f"the class {scorer.__name__}" if isinstance(scorer, type) else f"a {type(scorer).__name__}"
        raise ValueError(f"`scorer` is {found}; give a module, such as EncodeAndDot(...) of deep_infomax.scorers")
    if missing := [name for name in ("encode", "score", "values_per_anchor") if not hasattr(scorer, name)]:
        raise ValueError(
            f"`scorer` is a {type(scorer).__name__}, which has no method {' and no '.join(missing)}; "
            "add what deep_infomax.contracts.Scorer asks for"
        )


def _weighted(terms: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    return torch.stack([weight * term for weight, term in zip(weights, terms, strict=True)]).sum()


def _limit(scores: Scores, limit: float) -> Scores:
    return Scores(*(limit * torch.tanh(part / limit) for part in scores))


def _weighted_square(scores: Scores, weights: Weights) -> Float[Tensor, ""]:
    """What a part of the scores adds to the mean square of all that are not left out."""
    total: Tensor = (weights.joint * scores.joint.square()).sum() + (weights.marginal * scores.marginal.square()).sum()
    return total / (weights.joint_total + weights.marginal_total)


def _mean_square(scores: Scores) -> Float[Tensor, ""]:
    # The norm adds up in float32 without a float32 copy of bfloat16 scores.
    dtype = torch.promote_types(scores.joint.dtype, torch.float32)
    joint, marginal = (torch.linalg.vector_norm(part, dtype=dtype).square() for part in scores)
    total: Tensor = joint + marginal
    return total / (scores.joint.numel() + scores.marginal.numel())
