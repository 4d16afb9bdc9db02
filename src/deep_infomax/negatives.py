"""Unpaired scores: which other inputs of the batch an anchor is scored against.

A negative keeps the anchor's vector and takes the local map of another input; an input is never its own negative.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from deep_infomax.contracts import Scores


def all_pairs(scores: Float[Tensor, "n n m"]) -> Scores:
    """Split the scores of all pairs into each anchor's own and those with all others (k = n - 1).

    Row i is the anchor, whose vector is scored; column j the input whose map is used. The others of an anchor keep
    their order. Raises ValueError for a batch of 1, which has no unpaired scores.

    >>> joint, marginal = all_pairs(torch.arange(9.0).view(3, 3, 1))
    >>> joint[:, 0], marginal[..., 0]
    (tensor([0., 4., 8.]), tensor([[1., 2.],
            [3., 5.],
            [6., 7.]]))
    """
    require_others(len(scores))
    return Scores(*_SplitDiagonal.apply(scores))


def chosen_pairs(scores: Float[Tensor, "n n m"], others: Int[Tensor, "n k"]) -> Scores:
    """Of the scores of all pairs, each anchor's own and those with the inputs at `others`.

    The caller sees to it that row i of `others` never holds i (see `draw_others`). Raises ValueError for a batch of 1.
    """
    n = len(scores)
    require_others(n)
    places = others + n * torch.arange(n, device=others.device)[:, None]
    chosen = scores.flatten(0, 1).index_select(0, places.flatten())
    return Scores(scores.diagonal().T, chosen.unflatten(0, (n, -1)))


def draw_others(n: int, k: int, device: torch.device | str = "cpu") -> Int[Tensor, "n k"]:
    """Draw k distinct others for each of n inputs, uniformly, from torch's global generator of the device.

    Raises ValueError where a batch of n has no k others.

    >>> draw_others(2, 1)
    tensor([[1],
            [0]])
    """
    require_others(n)
    if not 1 <= k < n:
        raise ValueError(
            f"each of {n} inputs has {n - 1} others, cannot draw {k}; choose 1 to {n - 1} or a larger batch"
        )
    drawn = torch.rand(n, n - 1, device=device).topk(k).indices
    return drawn + (drawn >= torch.arange(n, device=device)[:, None])


def require_others(n: int) -> None:
    """Raise ValueError if a batch of n inputs has no pairs of different inputs."""
    if n < 2:
        remedy = "use a larger batch or drop the last one"
        raise ValueError(f"unpaired scores need at least 2 inputs, got a batch of {n}; {remedy}")


class _SplitDiagonal(torch.autograd.Function):
    """Scores (n, n, m) to diagonal (n, m) and rest (n, n - 1, m), one copy each way.

    Autograd through the same views would write a gradient of the whole for each of them and add them up.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> tuple[Tensor, Tensor]:
        n, _, m = scores.shape
        return scores.diagonal().T.contiguous(), _off_diagonal(scores).reshape(n, n - 1, m)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, diagonal: Tensor, rest: Tensor) -> Tensor:
        n, _, m = rest.shape
        gradient = rest.new_empty(n, n, m)
        gradient.diagonal().copy_(diagonal.T)
        _off_diagonal(gradient).copy_(rest.reshape(n - 1, n, m))
        return gradient


def _off_diagonal(scores: Tensor) -> Tensor:
    """View (n - 1, n, m) of scores (n, n, m): without the first, every (n + 1)-th pair is on the diagonal."""
    n = len(scores)
    all_but_first = scores.flatten(0, 1)[1:]
    return all_but_first.view(n - 1, n + 1, -1)[:, :-1]
