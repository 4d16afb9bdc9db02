"""Inputs made small enough that thousands of them fit into one page."""

import math
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor
from torch.nn import functional

LONGEST_SIDE: Final = 64
_SHORTEST_SIDE: Final = 8
_PIXELS: Final = 4_200_000
"""Of all miniatures together: 4,000 of 32 x 32."""
_MOMENTS: Final = 96
"""Of a series."""


def side_for(n: int, pixels: int = _PIXELS) -> int:
    """The longest side of n miniatures, in pixels, that have so many together.

    >>> side_for(500), side_for(4000), side_for(20_000)
    (64, 32, 14)
    """
    return max(_SHORTEST_SIDE, min(LONGEST_SIDE, math.isqrt(pixels // max(1, n))))


def miniatures(inputs: Num[Tensor, "k channels *spatial"], side: int) -> Float[np.ndarray, "k shown *sizes"]:
    """Small copies by averaging: of an image itself, of a volume its middle slice, of a series at most 96 moments.

    Of several channels the first three are kept, of two in an image the first. Values keep their scale.

    >>> miniatures(torch.zeros(2, 4, 9, 100, 50), 10).shape
    (2, 3, 10, 5)
    """
    if inputs.ndim == 5:
        inputs = inputs[:, :, inputs.shape[2] // 2]
    spatial = inputs.shape[2:]
    image = len(spatial) == 2
    kept = inputs[:, : (1 if image and inputs.shape[1] == 2 else 3)].cpu().to(torch.float32)
    if image:
        factor = min(1.0, side / max(spatial))
        height, width = (max(1, round(length * factor)) for length in spatial)
        return functional.adaptive_avg_pool2d(kept, (height, width)).numpy()
    return functional.adaptive_avg_pool1d(kept, min(_MOMENTS, spatial[0])).numpy()
