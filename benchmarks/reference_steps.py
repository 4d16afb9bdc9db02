"""What the library's training step is measured against: the same mathematics in plain eager PyTorch, in float32.

`direct` is written with care: 1x1 convolutions on the map as it lies, one product for all scores, and one log-sum of
the unpaired ones per anchor, O(n^2 m). `expanded` makes of the same scores the (n, m, n m + 1) logits of a softmax over
all pairs of every location, as public implementations of the paper do.
"""

import math
from collections.abc import Callable
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from deep_infomax.encoders import Encoder
from deep_infomax.objectives import MutualInformation
from deep_infomax.scorers import EncodeAndDot, FoldedEncodeAndDot, ResidualProjection


def reference_loss(
    encoder: Encoder, term: MutualInformation, images: Tensor, info_nce: Callable[..., Tensor]
) -> Tensor:
    """The InfoNCE loss of a batch with the weights of the library's encoder and scorer."""
    local, vector, *_ = encoder(images)
    scores = _scores(term.scorer, local, vector)
    limited = scores if term.limit is None else term.limit * torch.tanh(scores / term.limit)
    loss = info_nce(limited)
    return loss + term.penalty * scores.square().mean() if term.penalty else loss


def direct(scores: Tensor) -> Tensor:
    """InfoNCE of scores (n, n, m): own pairs are -inf, one log-sum for all locations of an anchor."""
    log_sum = _without_own(scores).flatten(1).logsumexp(1, keepdim=True)
    return F.softplus(log_sum - scores.diagonal().T).mean()


def expanded(scores: Tensor) -> Tensor:
    """InfoNCE of scores (n, n, m), as the softmax of (n, m, n m + 1) logits."""
    unpaired = _without_own(scores).flatten(1)[:, None].expand(-1, scores.shape[2], -1)
    logits = torch.cat([scores.diagonal().T[..., None], unpaired], 2)
    return -logits.log_softmax(2)[..., 0].mean()


FORMULATIONS: Final = {"direct": direct, "expanded": expanded}


def _without_own(scores: Tensor) -> Tensor:
    return scores.masked_fill(torch.eye(len(scores), dtype=torch.bool, device=scores.device)[:, :, None], -torch.inf)


def _scores(scorer: EncodeAndDot | FoldedEncodeAndDot, local: Tensor, vector: Tensor) -> Tensor:
    """Scores (n, n, m) of all pairs."""
    if isinstance(scorer, FoldedEncodeAndDot):
        layer, norm, _, _ = scorer.encode_local
        hidden = _batch_norm(norm, F.conv2d(local, layer.weight[:, :, None, None])).relu()
        locations = F.layer_norm(hidden.movedim(1, -1), hidden.shape[1:2]).movedim(-1, 1) / math.sqrt(hidden.shape[1])
    else:
        locations = _projection(scorer.encode_local, local)
    return torch.einsum("iu,jum->ijm", _projection(scorer.encode_vector, vector), locations.flatten(2))


def _projection(block: ResidualProjection, x: Tensor) -> Tensor:
    first, norm, _, second = block.residual
    maps = x if x.dim() == 4 else x[:, :, None, None]
    hidden = _batch_norm(norm, F.conv2d(maps, first.weight[:, :, None, None])).relu()
    y = F.conv2d(hidden, second.weight[:, :, None, None], second.bias)
    y = y + F.conv2d(maps, block.shortcut.weight[:, :, None, None])
    if isinstance(block.norm, torch.nn.LayerNorm):
        y = F.layer_norm(y.movedim(1, -1), y.shape[1:2], block.norm.weight, block.norm.bias).movedim(-1, 1)
    return y if x.dim() == 4 else y[:, :, 0, 0]


def _batch_norm(norm: torch.nn.BatchNorm1d, x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True)
