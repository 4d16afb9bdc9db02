"""Unpaired scores: which other pieces, the local maps of other inputs, an anchor is scored against.

A negative keeps the anchor's vector and takes another piece than the anchor's own. See `contracts.Own`.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from deep_infomax.contracts import Own, Scores
from deep_infomax.runtime.processes import first_row


def all_pairs(scores: Float[Tensor, "a p m"], own: Own | None = None) -> Scores:
    """Split the scores of all pairs into each anchor's own and those with all other pieces (k = p - 1).

    Row i is the anchor, whose vector is scored; column j the piece. Anchor i owns column ``own[i]``, None standing for
    ``range(a)``. The others of an anchor keep their order. Of anchors that own the same piece, none has it as a
    negative.

    >>> joint, marginal = all_pairs(torch.arange(9.0).view(3, 3, 1))
    >>> joint[:, 0], marginal[..., 0]
    (tensor([0., 4., 8.]), tensor([[1., 2.],
            [3., 5.],
            [6., 7.]]))
    >>> all_pairs(torch.arange(4.0).view(2, 2, 1), torch.tensor([1, 1])).joint[:, 0]
    tensor([1., 3.])

    Raises:
        ValueError: there is one piece, of which there are no unpaired scores; or ``own`` does not fit the scores.
    """
    a, p, _ = scores.shape
    require_others(p)
    own = _fitting(own, a, p)
    if isinstance(own, range):
        return Scores(*_SplitDiagonal.apply(scores, own.start))
    return chosen_pairs(scores, all_others(own, p, own.device), own)


def all_others(own: Own, p: int, device: torch.device | str = "cpu") -> Int[Tensor, "a k"]:
    """The other pieces of each anchor in their order, all p - 1 of them.

    >>> all_others(range(1, 3), 3)
    tensor([[0, 2],
            [0, 1]])
    """
    return _without(positions(own, device), torch.arange(p - 1, device=device).expand(len(own), -1))


def chosen_pairs(scores: Float[Tensor, "a p m"], others: Int[Tensor, "a k"], own: Own | None = None) -> Scores:
    """Of the scores of all pairs (see `all_pairs`), each anchor's own and those with the pieces at `others`.

    The caller sees to it that row i of `others` never holds ``own[i]`` (see `draw_others`).

    Raises:
        ValueError: there is one piece, or ``own`` does not fit the scores.
    """
    a, p, _ = scores.shape
    require_others(p)
    own = _fitting(own, a, p)
    rows = torch.arange(a, device=others.device)
    chosen = scores.flatten(0, 1).index_select(0, (others + p * rows[:, None]).flatten())
    joint = scores.diagonal(own.start).T if isinstance(own, range) else scores[rows, own]
    return Scores(joint, chosen.unflatten(0, (a, -1)))


def draw_others(own: Own, k: int, p: int, device: torch.device | str = "cpu") -> Int[Tensor, "a k"]:
    """Draw k distinct other pieces of p for each anchor, uniformly, from torch's global generator of the device.

    >>> draw_others(range(2), 1, p=2)
    tensor([[1],
            [0]])

    Raises:
        ValueError: p pieces have no k others.
    """
    require_others(p)
    if not 1 <= k < p:
        raise ValueError(
            f"each of {p} inputs has {p - 1} others, cannot draw {k}; choose 1 to {p - 1} or a larger batch"
        )
    return _without(positions(own, device), torch.rand(len(own), p - 1, device=device).topk(k).indices)


def own_pieces(own: Int[Tensor, " a"] | None, a: int, n: int) -> Own:
    """Where the own pieces of a anchors are among the pieces of all processes, of which this one has n.

    ``own`` has their places among this process's; None says that anchor i owns piece i.

    Raises:
        ValueError: ``own`` is None, and anchors and pieces are not equally many.
    """
    first = first_row(n)
    if own is not None:
        return own + first
    if a != n:
        raise ValueError(f"{a} vectors and {n} local maps are not pairs; give `own`, the place of each vector's map")
    return range(first, first + a)


def positions(own: Own, device: torch.device | str) -> Int[Tensor, " a"]:
    """The places of the anchors' own pieces as a tensor."""
    return torch.arange(own.start, own.stop, device=device) if isinstance(own, range) else own


def _without(own: Int[Tensor, " a"], places: Int[Tensor, "a k"]) -> Int[Tensor, "a k"]:
    """From places among the p - 1 other pieces of each anchor to places among all p."""
    return places + (places >= own[:, None])


def _fitting(own: Own | None, a: int, p: int) -> Own:
    """The own pieces of a anchors among p, or an error; on a device, values of a tensor are not looked at."""
    own = range(a) if own is None else own
    if len(own) != a:
        raise ValueError(f"`own` names the pieces of {len(own)} anchors, and there are {a}; give one for each")
    if isinstance(own, range) and not (own.step == 1 and own.start >= 0 and own.stop <= p):
        raise ValueError(f"{a} anchors from piece {own.start} on do not fit {p} pieces; give `own`, a tensor of places")
    return own


def require_others(n: int) -> None:
    """Raise ValueError if a batch of n inputs has no pairs of different inputs."""
    if n < 2:
        remedy = "use a larger batch or drop the last one"
        raise ValueError(f"unpaired scores need at least 2 inputs, got a batch of {n}; {remedy}")


class _SplitDiagonal(torch.autograd.Function):
    """Scores (a, p, m) to diagonal (a, m) and rest (a, p - 1, m), one copy each way.

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
