"""A decoder: from vectors back to inputs of one, two or three spatial dimensions."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from jaxtyping import Float
from torch import Tensor, nn

_TRANSPOSED: Final[dict[int, Callable[..., nn.Module]]] = {
    1: nn.ConvTranspose1d,
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
_CONVOLUTIONS: Final[dict[int, Callable[..., nn.Module]]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_NORMALISATIONS: Final = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class Decoder(nn.Module):
    """Maps vectors to inputs; its outputs have no limits.

    A linear layer gives a map of 512 channels, for 32x32 images of 4x4 positions. Transposed convolutions (kernel 4,
    stride 2, padding 1) with 256, 128 and 64 filters double its sides three times, and a convolution (kernel 3) gives
    the channels. Batch normalisation and ReLU follow every layer but the last. Sides that are no multiple of 8 are
    cut to size at the end.

    >>> import torch
    >>> Decoder(vector_size=16, channels=3, spatial=(32, 30))(torch.zeros(2, 16)).shape
    torch.Size([2, 3, 32, 30])

    Args:
        vector_size: d, units of a vector.
        channels: Channels of an input.
        spatial: Its spatial sizes, one to three.
        filters: Channels of the first map, and of each one after it.

    Source: Hjelm et al., Learning deep representations by mutual information estimation and maximization, 2019, arXiv
    1808.06670, and the code released with it.
    """

    def __init__(
        self, vector_size: int, channels: int, spatial: Sequence[int], filters: Sequence[int] = (512, 256, 128, 64)
    ) -> None:
        super().__init__()
        dimensions, doublings = len(spatial), len(filters) - 1
        start = tuple(math.ceil(side / 2**doublings) for side in spatial)
        self.spatial = tuple(spatial)
        self.first = nn.Sequential(
            nn.Linear(vector_size, filters[0] * math.prod(start), bias=False),
            nn.Unflatten(1, (filters[0], *start)),
            _NORMALISATIONS[dimensions](filters[0]),
            nn.ReLU(inplace=True),
        )
        doubling = [
            layer
            for before, after in pairwise(filters)
            for layer in (
                _TRANSPOSED[dimensions](before, after, 4, 2, 1, bias=False),
                _NORMALISATIONS[dimensions](after),
                nn.ReLU(inplace=True),
            )
        ]
        self.rest = nn.Sequential(*doubling, _CONVOLUTIONS[dimensions](filters[-1], channels, 3, padding=1))

    def forward(self, vector: Float[Tensor, "n d"]) -> Float[Tensor, "n channels *spatial"]:
        """Decode vectors."""
        decoded: Tensor = self.rest(self.first(vector))
        for axis, side in enumerate(self.spatial, start=2):
            decoded = decoded.narrow(axis, 0, side)
        return decoded
