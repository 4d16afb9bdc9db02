"""Centre and spread of each channel, which an encoder stores to normalise its inputs."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int, Num, UInt8
from torch import Tensor

from deep_infomax.data.dataset import Source
from deep_infomax.data.missing import filling
from deep_infomax.data.precision import stored_as
from deep_infomax.runtime.chunks import at_a_time
from deep_infomax.runtime.missing import Missing, is_missing
from deep_infomax.runtime.scaling import NORMAL_QUARTILES, Scaling, refuse_negative

SAMPLE = 50_000
"""Inputs that are read at most, evenly spaced."""
CHUNK = 512
"""Inputs that are read at a time, fewer of large ones."""

SAMPLE_VALUES = 2**20
"""Values of a channel that are read at most to find an offset, where that leaves one input."""

QUARTILE_VALUES = 2**18
"""Values of a channel that quartiles are read of at most: the median of so many is within 0.3 % of a deviation."""

_BYTES = (torch.tensor(0.0, dtype=torch.float64), torch.tensor(255.0, dtype=torch.float64))
"""The least and the largest value that a byte can have."""
_EXACT = (torch.uint8, torch.int8, torch.int16, torch.bool, torch.float16, torch.bfloat16, torch.float32,
          np.uint8, np.int8, np.int16, np.uint16, np.float16, np.float32)  # fmt: skip
"""Types whose values float32 holds."""

Moments = tuple[Float64[Tensor, " channels"], Float64[Tensor, " channels"], Bool[Tensor, " channels"]]
"""Mean and variance of each channel, and whether it changes at all."""


def offset_of(source: Source) -> Float64[Tensor, " channels"] | None:
    """What is to be subtracted from every channel in double precision, or None where float32 tells the inputs apart.

    It is the mean of some evenly spaced inputs.

    >>> far = torch.tensor([[[1e9]], [[1e9 + 1]]], dtype=torch.float64)
    >>> offset_of(Source(far, None, None, "far", "train")), offset_of(Source(far - 1e9, None, None, "near", "train"))
    (tensor([1.0000e+09], dtype=torch.float64), None)

    Raises:
        ValueError: Not even double precision tells the inputs apart.
    """
    if source.inputs.dtype in _EXACT:
        return None
    values = source.sample(max(1, SAMPLE_VALUES // math.prod(source.shape[1:]))).cpu()
    if values.dtype in _EXACT or stored_as(values.numpy()) != np.float64:
        return None
    if source.missing is None:
        return values.double().movedim(1, 0).flatten(1).mean(dim=1)
    return _present(values, source.missing).movedim(1, 0).flatten(1).nanmean(dim=1).nan_to_num(nan=0.0)


def _present(inputs: Num[Tensor, "k channels *spatial"], missing: Missing) -> Float64[Tensor, "k channels *spatial"]:
    """Inputs with NaN where a value is missing."""
    return inputs.double().masked_fill(is_missing(inputs, missing), torch.nan)


def floats_of(source: Source) -> Callable[[Int[Tensor, " k"]], Float[Tensor, "k channels *spatial"]]:
    """A function that gathers inputs as float32, an offset subtracted first where float32 does not tell them apart.

    Missing values are filled with the mean of their channel.
    """
    offset, fill = offset_of(source), filling(source)
    if offset is None:
        return lambda index: fill(source.take(index)).float()
    shift = offset.view(-1, *(1 for _ in source.shape[1:]))

    def gather(index: Int[Tensor, " k"]) -> Float[Tensor, "k channels *spatial"]:
        inputs = fill(source.take(index)).double()
        return (inputs - shift.to(inputs.device)).float()

    return gather


def statistics(
    source: Source, offset: Float64[Tensor, " channels"] | None = None, scaling: Scaling = "standard"
) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]:
    """Return mean and standard deviation of every channel over inputs and locations, float32.

    All inputs are read up to 50,000, beyond that 50,000 evenly spaced ones; of inputs in shards, those of evenly spaced
    shards. A channel that never changes gets the deviation 1, with a warning.

    Args:
        source: The inputs.
        offset: What is subtracted from them first, in double precision; see `offset_of`.
        scaling: ``robust`` returns the median and the deviation that a normal distribution with the same quartiles has;
            ``log1p`` the mean and the deviation of log(1 + x); ``symmetric`` the middle and half of the range.

    Raises:
        ValueError: No channel ever changes, or by less than a normal float32 number; half of the values of a channel
            are the same, and quartiles are asked for; or a value is negative, and logarithms are.

    >>> mean, std = statistics(Source(torch.tensor([[[0.0, 2.0]], [[4.0, 6.0]]]), None, None, "ramp", "train"))
    >>> mean.item(), round(std.item() ** 2, 4)
    (3.0, 5.0)
    """
    found = source.candidates(SAMPLE)
    index = found[torch.linspace(0, len(found) - 1, min(len(found), SAMPLE), dtype=torch.float64).round().long()]
    if scaling == "log1p":
        for part in torch.arange(len(source)).split(at_a_time(source.shape, CHUNK)):
            inputs = source.take(part)
            counts = inputs if source.missing is None else _present(inputs, source.missing)
            refuse_negative(counts, f"{source.name} {source.split}")
    chunks = _chunks(source, index, offset, scaling)
    exact = source.inputs.dtype in (torch.uint8, np.uint8) and scaling != "log1p"
    if source.missing is not None:
        mean, variance, changes = present_moments(chunks)
    else:
        mean, variance, changes = (histogram_moments if exact else running_moments)(chunks)
    if source.missing is not None and mean.isnan().any():
        empty = int(mean.isnan().int().argmax())
        raise ValueError(f"channel {empty} of {source.name} {source.split} has no value at all; leave it out")
    std = variance.sqrt()
    constant = ~changes if offset is not None else ~changes | (std <= 1e-10 * mean.abs())
    if not changes.any():
        which = "all inputs" if len(index) == len(source) else f"{len(index):,} evenly spaced inputs"
        raise ValueError(
            f"{which} of {source.name} {source.split} are one constant, which teaches nothing; give other data"
        )
    if constant.all() or (std[~constant] < torch.finfo(torch.float32).tiny).any():
        raise ValueError(
            f"the inputs of {source.name} {source.split} differ by less than float32 resolves (standard deviation "
            f"{std.max():g}, mean {mean[std.argmax()]:g}); subtract an offset from them or multiply them"
        )
    if constant.any():
        channels = constant.nonzero().flatten().tolist()
        warnings.warn(f"channels {channels} of {source.name} {source.split} are constant", stacklevel=2)
    if scaling == "robust":
        mean, std = quartiles(_chunks(source, index, offset, scaling), len(index) * math.prod(source.shape[1:]))
        if (alike := ~constant & (std == 0)).any():
            raise ValueError(
                f"half of the values of channel {int(alike.int().argmax())} of {source.name} {source.split} are the "
                "same, so its quartiles tell no deviation; set `data_options.scaling` to standard, or log1p for counts"
            )
    if scaling == "symmetric":
        bytes_ = source.inputs.dtype in (torch.uint8, np.uint8)
        least, most = _BYTES if bytes_ else extremes(_chunks(source, index, offset, scaling))
        mean, std = (least + most).expand_as(mean) / 2, (most - least).expand_as(std) / 2
        constant = constant & (not bytes_)
    return mean.float(), std.where(~constant, 1.0).float()


def _chunks(
    source: Source, index: Int[Tensor, " k"], offset: Float64[Tensor, " channels"] | None, scaling: Scaling
) -> Iterator[Num[Tensor, "channels _"]]:
    """Values of some inputs, channel by channel, as they are before mean and deviation are used."""
    for part in index.split(at_a_time(source.shape, CHUNK)):
        inputs = source.take(part)
        if source.missing is not None:
            inputs = _present(inputs, source.missing)
        chunk = inputs.movedim(1, 0).flatten(1)
        if offset is not None:
            chunk = chunk.cpu().double() - offset[:, None]
        yield chunk.double().log1p() if scaling == "log1p" else chunk


def quartiles(
    chunks: Iterable[Num[Tensor, "channels _"]], count: int
) -> tuple[Float64[Tensor, " channels"], Float64[Tensor, " channels"]]:
    """Return the median of each channel, and the deviation that a normal distribution with the same quartiles has.

    Of more than `QUARTILE_VALUES` values of a channel as many are drawn, always the same, so that memory stays small.

    Args:
        chunks: Values of each channel; NaN is none.
        count: How many each channel has in all chunks together.

    >>> centre, spread = quartiles([torch.tensor([[1.0, 2.0, 3.0, 4.0, 1e9]])], 5)
    >>> centre.item(), round(spread.item() * NORMAL_QUARTILES, 6)
    (3.0, 2.0)
    """
    generator = torch.Generator().manual_seed(0)
    kept = []
    for chunk in chunks:
        if count > QUARTILE_VALUES:
            some = math.ceil(chunk.shape[1] * QUARTILE_VALUES / count)
            drawn = torch.randint(chunk.shape[1], (some,), generator=generator)
            chunk = chunk[:, drawn.to(chunk.device)]
        kept.append(chunk.cpu())
    levels = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    values = torch.cat(kept, dim=1).double()
    low, centre, high = torch.stack([channel[~channel.isnan()].quantile(levels) for channel in values], dim=1)
    return centre, (high - low) / NORMAL_QUARTILES


def extremes(
    chunks: Iterable[Num[Tensor, "channels _"]],
) -> tuple[Float64[Tensor, " channels"], Float64[Tensor, " channels"]]:
    """Return the least and the largest value of each channel; NaN is none.

    >>> [found.item() for found in extremes([torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0, torch.nan]])])]
    [1.0, 3.0]
    """
    found = [
        (values.nan_to_num(nan=math.inf).amin(dim=1), values.nan_to_num(nan=-math.inf).amax(dim=1))
        for values in (chunk.cpu().double() for chunk in chunks)
    ]
    least, most = (torch.stack(parts) for parts in zip(*found, strict=True))
    return least.amin(dim=0), most.amax(dim=0)


def histogram_moments(chunks: Iterable[UInt8[Tensor, "channels _"]]) -> Moments:
    """Return mean and variance of bytes from their histogram: exact counts, and eight times as fast."""
    counts = sum(torch.stack([channel.bincount(minlength=256) for channel in chunk]) for chunk in chunks)
    assert isinstance(counts, Tensor)
    shares = counts.cpu().double() / counts[0].sum().item()
    values = torch.arange(256, dtype=torch.float64)
    mean = shares @ values
    return mean, (shares * (values - mean[:, None]).square()).sum(dim=1), (counts > 0).sum(dim=1).cpu() > 1


def present_moments(chunks: Iterable[Float64[Tensor, "channels _"]]) -> Moments:
    """Return mean and variance of the values that are there, as `running_moments`; NaN is no value."""
    count, mean, squares = (torch.zeros((), dtype=torch.float64) for _ in range(3))
    least, most = (torch.tensor(bound, dtype=torch.float64) for bound in (math.inf, -math.inf))
    for chunk in chunks:
        values = chunk.cpu()
        there = ~values.isnan()
        n = there.sum(dim=1)
        centre = values.nansum(dim=1) / n.clamp(min=1)
        shift, both = centre - mean, (count + n).clamp(min=1)
        spread = (values - centre[:, None]).nan_to_num(nan=0.0).square().sum(dim=1)
        squares = squares + spread + shift.square() * (count * n / both)
        mean = mean + shift * (n / both)
        count = count + n
        least = torch.minimum(least, values.nan_to_num(nan=math.inf).amin(dim=1))
        most = torch.maximum(most, values.nan_to_num(nan=-math.inf).amax(dim=1))
    return mean.masked_fill(count == 0, torch.nan), squares / count.clamp(min=1), most > least


def running_moments(chunks: Iterable[Float[Tensor, "channels _"]]) -> Moments:
    """Return mean and variance, chunks combined in float64 so that a large mean costs no precision.

    Two parts with counts n, n', means and summed squared deviations S, S' have together
    ``S + S' + (mean - mean')^2 n n' / (n + n')``. Source: Chan, Golub, LeVeque, Updating formulae and a pairwise
    algorithm for computing sample variances, 1979.
    """
    count, mean, squares = 0, torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    first, changes = None, torch.zeros((), dtype=torch.bool)
    for chunk in chunks:
        values = chunk.cpu().double()
        first = values[:, :1] if first is None else first
        changes = changes | (values != first).any(dim=1)
        n, centre = values.shape[1], values.mean(dim=1)
        shift = centre - mean
        squares = squares + (values - centre[:, None]).square().sum(dim=1) + shift.square() * (count * n / (count + n))
        mean = mean + shift * (n / (count + n))
        count += n
    return mean, squares / count, changes
