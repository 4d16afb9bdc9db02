"""Scores of pairs by a network and its baseline: of every x with every y, or of each x with some of the y."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deep_infomax.mutual_information.critics import Critic, PairCritic
from deep_infomax.mutual_information.pairing import Pairs


def score_matrix(network: Critic, pairs: Pairs) -> Float[Tensor, "n n"]:
    """Scores of every x with every y, the baseline included; a few rows at a time, so that they stay in the cache."""
    rows = 16 if isinstance(network, PairCritic) and pairs.x.device.type == "cpu" else 512
    with torch.no_grad():
        parts = [network(x, pairs.y) for x in pairs.x.split(rows)]
        return torch.cat(parts).add_(pairs.baseline())


def chosen_scores(
    network: Any, pairs: Pairs, partners: Int[Tensor, "n k1"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n k"]]:
    """Scores of each x with its own y and with k others."""
    scores = network.chosen(pairs.x, pairs.y, partners)
    scores = scores + torch.einsum("nr,nkr->nk", pairs.base_x, pairs.base_y[partners])
    return scores[:, 0], scores[:, 1:]


def own_scores(network: nn.Module, pairs: Pairs) -> Float[Tensor, " n"]:
    """Scores of each x with its own y."""
    own = torch.arange(len(pairs), device=pairs.x.device)[:, None]
    with torch.no_grad():
        return torch.cat([chosen_scores(network, pairs[rows], own[: len(rows)])[0] for rows in own[:, 0].split(1024)])


def derangements(n: int, k: int, device: torch.device) -> Int[Tensor, "n k1"]:
    """Each of n samples, and k others for it by rotations of the whole, none of which leaves any in its place."""
    shifts = torch.randperm(n - 1, device=device)[: min(k, n - 1)] + 1
    own = torch.arange(n, device=device)[:, None]
    return torch.cat([own, (own + shifts) % n], dim=1)
