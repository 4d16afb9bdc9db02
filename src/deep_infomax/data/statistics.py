"""Mean and standard deviation of each channel, which an encoder stores to normalise its inputs."""

import warnings
from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from deep_infomax.data.dataset import Source
from deep_infomax.runtime.chunks import at_a_time

SAMPLE = 50_000
"""Inputs that are read at most, evenly spaced."""
CHUNK = 512
"""Inputs that are read at a time, fewer of large ones."""

Moments = tuple[Float64[Tensor, " channels"], Float64[Tensor, " channels"]]


def statistics(source: Source) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]:
    """Return mean and standard deviation of every channel over inputs and locations, float32.

    All inputs are read up to 50,000, beyond that 50,000 evenly spaced ones. A channel that never changes gets the
    deviation 1, with a warning.

    Raises:
        ValueError: No channel ever changes.

    >>> mean, std = statistics(Source(torch.tensor([[[0.0, 2.0]], [[4.0, 6.0]]]), None, None, "ramp", "train"))
    >>> mean.item(), round(std.item() ** 2, 4)
    (3.0, 5.0)
    """
    index = torch.linspace(0, len(source) - 1, min(len(source), SAMPLE), dtype=torch.float64).round().long()
    chunks = (source.take(part).movedim(1, 0).flatten(1) for part in index.split(at_a_time(source.shape, CHUNK)))
    mean, variance = (histogram_moments if source.inputs.dtype in (torch.uint8, np.uint8) else running_moments)(chunks)
    std = variance.sqrt()
    constant = std <= 1e-10 * mean.abs()
    if constant.all():
        raise ValueError(
            f"all inputs of {source.name} {source.split} are one constant, which teaches nothing; give other data"
        )
    if constant.any():
        channels = constant.nonzero().flatten().tolist()
        warnings.warn(f"channels {channels} of {source.name} {source.split} are constant", stacklevel=2)
    return mean.float(), std.where(~constant, 1.0).float()


def histogram_moments(chunks: Iterable[UInt8[Tensor, "channels _"]]) -> Moments:
    """Return mean and variance of bytes from their histogram: exact counts, and eight times as fast."""
    counts = sum(torch.stack([channel.bincount(minlength=256) for channel in chunk]) for chunk in chunks)
    assert isinstance(counts, Tensor)
    shares = counts.cpu().double() / counts[0].sum().item()
    values = torch.arange(256, dtype=torch.float64)
    mean = shares @ values
    return mean, (shares * (values - mean[:, None]).square()).sum(dim=1)


def running_moments(chunks: Iterable[Float[Tensor, "channels _"]]) -> Moments:
    """Return mean and variance, chunks combined in float64 so that a large mean costs no precision.

    Two parts with counts n, n', means and summed squared deviations S, S' have together
    ``S + S' + (mean - mean')^2 n n' / (n + n')``. Source: Chan, Golub, LeVeque, Updating formulae and a pairwise
    algorithm for computing sample variances, 1979.
    """
    count, mean, squares = 0, torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for chunk in chunks:
        values = chunk.cpu().double()
        n, centre = values.shape[1], values.mean(dim=1)
        shift = centre - mean
        squares = squares + (values - centre[:, None]).square().sum(dim=1) + shift.square() * (count * n / (count + n))
        mean = mean + shift * (n / (count + n))
        count += n
    return mean, squares / count
