"""Unpaired scores: which other inputs of the batch an anchor is scored against.

A negative keeps the anchor's vector and takes the local map of another input; an input is never its own negative.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from deep_infomax.contracts import Scores


def all_pairs(scores: Float[Tensor, "n p m"], first: int = 0) -> Scores:
    """Split the scores of all pairs into each anchor's own and those with all others (k = p - 1).

    Row i is the anchor, whose vector is scored; column j the input whose map is used. The anchors are the n inputs from
    the column ``first`` on. The others of an anchor keep their order. Raises ValueError for a batch of 1, which has no
    unpaired scores, and for anchors without a column.

    >>> joint, marginal = all_pairs(torch.arange(9.0).view(3, 3, 1))
    >>> joint[:, 0], marginal[..., 0]
    (tensor([0., 4., 8.]), tensor([[1., 2.],
            [3., 5.],
            [6., 7.]]))
    """
    n, p, _ = scores.shape
    require_others(p)
    if not 0 <= first <= p - n:
        raise ValueError(f"{n} anchors from column {first} on do not fit the scores with {p} inputs")
    return Scores(*_SplitDiagonal.apply(scores, first))


def chosen_pairs(scores: Float[Tensor, "n p m"], others: Int[Tensor, "n k"], first: int = 0) -> Scores:
    """Of the scores of all pairs (see `all_pairs`), each anchor's own and those with the inputs at `others`.

    The caller sees to it that row i of `others` never holds ``first + i`` (see `draw_others`). Raises ValueError for a
    batch of 1.
    """
    n, p, _ = scores.shape
    require_others(p)
    places = others + p * torch.arange(n, device=others.device)[:, None]
    chosen = scores.flatten(0, 1).index_select(0, places.flatten())
    return Scores(scores.diagonal(first).T, chosen.unflatten(0, (n, -1)))


def draw_others(
    n: int, k: int, device: torch.device | str = "cpu", p: int | None = None, first: int = 0
) -> Int[Tensor, "n k"]:
    """Draw k distinct others for each of n inputs, uniformly, from torch's global generator of the device.

    They are drawn from p inputs, n where it is None, of which the n are those from ``first`` on. Raises ValueError
    where a batch of p has no k others.

    >>> draw_others(2, 1)
    tensor([[1],
            [0]])
    """
    p = n if p is None else p
    require_others(p)
    if not 1 <= k < p:
        raise ValueError(
            f"each of {p} inputs has {p - 1} others, cannot draw {k}; choose 1 to {p - 1} or a larger batch"
        )
    drawn = torch.rand(n, p - 1, device=device).topk(k).indices
    return drawn + (drawn >= first + torch.arange(n, device=device)[:, None])


def require_others(n: int) -> None:
    """Raise ValueError if a batch of n inputs has no pairs of different inputs."""
    if n < 2:
        remedy = "use a larger batch or drop the last one"
        raise ValueError(f"unpaired scores need at least 2 inputs, got a batch of {n}; {remedy}")


class _SplitDiagonal(torch.autograd.Function):
    """Scores (n, p, m) to diagonal (n, m) and rest (n, p - 1, m), one copy each way.

    Autograd through the same views would write a gradient of the whole for each of them and add them up.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, first: int) -> tuple[Tensor, Tensor]:
        n, p, m = scores.shape
        ctx.first = first
        rest = scores.new_empty(n, p - 1, m)
        for part, found in zip(_rest(rest, first), _off_diagonal(scores, first), strict=True):
            part.copy_(found)
        return scores.diagonal(first).T.contiguous(), rest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, diagonal: Tensor, rest: Tensor) -> tuple[Tensor, None]:
        n, others, m = rest.shape
        gradient = rest.new_empty(n, others + 1, m)
        gradient.diagonal(ctx.first).copy_(diagonal.T)
        for part, found in zip(_off_diagonal(gradient, ctx.first), _rest(rest, ctx.first), strict=True):
            part.copy_(found)
        return gradient, None


def _off_diagonal(scores: Tensor, first: int) -> tuple[Tensor, Tensor, Tensor]:
    """Views of scores (n, p, m) before, between and after the n pairs from (0, first) down the diagonal.

    From the first of them on, every (p + 1)-th pair is one.
    """
    n, p, m = scores.shape
    pairs = scores.flatten(0, 1)
    last = first + (n - 1) * (p + 1)
    return pairs[:first], pairs[first + 1 : last + 1].view(n - 1, p + 1, m)[:, :-1], pairs[last + 1 :]


def _rest(rest: Tensor, first: int) -> tuple[Tensor, Tensor, Tensor]:
    """The same views where these pairs have been left out."""
    n, others, m = rest.shape
    pairs = rest.reshape(-1, m)
    last = first + (n - 1) * (others + 1)
    return pairs[:first], pairs[first:last].view(n - 1, others + 1, m), pairs[last:]
