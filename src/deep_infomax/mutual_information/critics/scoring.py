"""Scores of pairs by a network and its baseline: of every x with every y, or of each x with some of the y."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deep_infomax.mutual_information.critics.critics import CACHED, Critic
from deep_infomax.mutual_information.critics.pairing import Pairs


def score_matrix(network: Critic, pairs: Pairs) -> Float[Tensor, "n n"]:
    """Scores of every x with every y, the baseline included; 512 rows at a time."""
    with torch.no_grad():
        parts = [network(x, pairs.y) for x in pairs.x.split(512)]
        return torch.cat(parts).add_(pairs.baseline())


def chosen_scores(network: Any, pairs: Pairs, partners: Int[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Scores of each x with k of the y."""
    scores: Tensor = network.chosen(pairs.x, pairs.y, partners) + pairs.baseline().gather(1, partners)
    return scores


def chosen_in_parts(network: Any, pairs: Pairs, partners: Int[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """The same without gradients, as many pairs at a time as stay in a processor's cache."""
    rows = max(1, CACHED**2 // partners.shape[1]) if pairs.x.device.type == "cpu" else len(pairs)
    with torch.no_grad():
        parts = [
            network.chosen(x, pairs.y, chosen)
            for x, chosen in zip(pairs.x.split(rows), partners.split(rows), strict=True)
        ]
        return torch.cat(parts).add_(pairs.baseline().gather(1, partners))


def own_scores(network: nn.Module, pairs: Pairs) -> Float[Tensor, " n"]:
    """Scores of each x with its own y."""
    own = torch.arange(len(pairs), device=pairs.x.device)[:, None]
    with torch.no_grad():
        return torch.cat(
            [chosen_scores(network, pairs[rows], own[: len(rows)])[:, 0] for rows in own[:, 0].split(1024)]
        )


def derangements(n: int, k: int, generator: torch.Generator | None = None) -> Int[Tensor, "n k1"]:
    """Each of n samples, and k others for it by rotations of the whole, none of which leaves any in its place.

    They are drawn from a generator, and are on its device.
    """
    device = None if generator is None else generator.device
    shifts = torch.randperm(n - 1, generator=generator, device=device)[: min(k, n - 1)] + 1
    own = torch.arange(n, device=device)[:, None]
    return torch.cat([own, (own + shifts) % n], dim=1)
