"""What costs nothing (`FLOORS`), measured as an encoder's layers are: Y is worth what it reads beyond these.

They are made of inputs normalised as the encoder normalises them, of the training part alone, whatever the labels.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase

from deep_infomax.data import Source, evenly_spaced
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation.features import extract
from deep_infomax.runtime.chunks import at_a_time
from deep_infomax.runtime.progress import Progress
from deep_infomax.runtime.random_numbers import own_random_numbers

MOST_RAW: Final = 4096
"""Numbers of an input that are read as they are; larger inputs are averaged over neighbours down to so many."""
MOST_VALUES: Final = 2**28
"""Numbers of all inputs together, a gigabyte of them."""
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
BANDS: Final = 8
"""Bands of frequency of a series, each twice as wide as the one below."""
CELLS: Final = 4
"""Cells of a grid along a side of an image or a volume."""
_LEAST_VARIANCE: Final = 1e-10
"""Share of the variance of the first component, below which one is no component."""
_SILENCE: Final = 1e-12
"""Power below which a band counts as silent."""
_CALIBRATED: Final = 2048
"""Training inputs that set the statistics of an untrained encoder's normalisation."""

Inputs = Float[Tensor, "k channels *spatial"]


class Represented(NamedTuple):
    """Both parts of the data as a floor shows them."""

    name: str
    train: Float[Tensor, "n d"]
    test: Float[Tensor, "p d"]


def floors_of(encoder: Encoder, train: Source, test: Source, progress: Progress | None = None) -> Iterator[Represented]:
    """The floors of an encoder, one after the other; that of an untrained one only where it can begin anew.

    Args:
        encoder: Says how inputs are normalised, how many units Y has, and which network is left untrained.
        train: Training inputs; components and statistics of normalisation are theirs.
        test: The inputs that probes are measured on.
        progress: Told how far each has come.
    """
    numbers = max(1, min(MOST_RAW, MOST_VALUES // max(len(train), len(test))))
    raw, test_raw = (_read(encoder, part, lambda inputs: averaged(inputs, numbers), progress) for part in (train, test))
    yield Represented("raw", raw, test_raw)
    yield Represented("pca", *principal_components(raw, test_raw, encoder.vector_size))
    del raw, test_raw
    yield Represented("statistics", *(_read(encoder, part, statistics, progress) for part in (train, test)))
    if (fresh := untrained(encoder, train)) is not None:
        parts = (extract(fresh, part, ["Y"], progress=progress)["Y"] for part in (train, test))
        yield Represented("untrained", *parts)


def _read(
    encoder: Encoder, source: Source, read: Callable[[Inputs], Float[Tensor, "k d"]], progress: Progress | None
) -> Float[Tensor, "n d"]:
    size = at_a_time(source.shape, 512)
    parts = []
    for start in range(0, len(source), size):
        rows = torch.arange(start, min(start + size, len(source)))
        with torch.no_grad():
            parts.append(read(encoder.normalise(source.take(rows).to(encoder.mean.device))).float().cpu())
        if progress is not None:
            progress(f"floors of {source.name} {source.split}", start + len(rows), len(source))
    return torch.cat(parts)


def averaged(inputs: Inputs, most: int) -> Float[Tensor, "k d"]:
    """Inputs as rows of at most so many numbers for all channels together, where a channel keeps at least one.

    >>> averaged(torch.arange(8.0).reshape(1, 1, 8), 4)
    tensor([[0.5000, 2.5000, 4.5000, 6.5000]])
    """
    channels, *spatial = inputs.shape[1:]
    sizes = list(spatial)
    while channels * math.prod(sizes) > most and max(sizes) > 1:
        longest = sizes.index(max(sizes))
        sizes[longest] = max(1, sizes[longest] // 2)
    return inputs.flatten(1) if sizes == spatial else _averages(inputs, sizes).flatten(1)


def _averages(inputs: Inputs, sizes: Sequence[int]) -> Float[Tensor, "k channels *_"]:
    pool: Any = (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d)
    averages: Tensor = pool[len(sizes) - 1](inputs, tuple(sizes))
    return averages


def principal_components(train: Float[Tensor, "n d"], test: Float[Tensor, "p d"], count: int) -> tuple[Tensor, ...]:
    """Both parts, (n, k) and (p, k), along the first principal components of the training part, or all if fewer."""
    from sklearn.decomposition import PCA  # here because it takes a second, which no other evaluation needs

    if bool((train == train[0]).all()):
        return train.new_zeros(len(train), 1), test.new_zeros(len(test), 1)  # constants have no directions
    model = PCA(min(count, *train.shape), random_state=0).fit(train.numpy())
    # What has no variance but rounding's would be blown up to that of the others.
    kept = model.explained_variance_ > _LEAST_VARIANCE * model.explained_variance_[0]
    return tuple(torch.from_numpy(model.transform(part.numpy())[:, kept]).float() for part in (train, test))


def statistics(inputs: Inputs) -> Float[Tensor, "k d"]:
    """Simple statistics of each input, channel by channel; `FLOORS` says which."""
    ordered = inputs.flatten(2).sort(2).values
    places = [round(quantile * (ordered.shape[2] - 1)) for quantile in QUANTILES]
    parts = [ordered.mean(2), ordered.std(2, correction=0), ordered[:, :, places]]
    parts.append(band_powers(inputs) if inputs.ndim == 3 else _grid(inputs))
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def band_powers(series: Float[Tensor, "k channels t"]) -> Float[Tensor, "k channels b"]:
    """Logarithm of the power in octaves below half the sampling rate, fewer of short series.

    >>> t = torch.arange(64) / 64
    >>> powers = band_powers(torch.sin(2 * torch.pi * 20 * t)[None, None])[0, 0]
    >>> len(powers), powers.argmax().item()  # 20 of 32 is in the last octave
    (6, 5)
    """
    power = torch.fft.rfft(series - series.mean(2, keepdim=True)).abs().square()[:, :, 1:] / series.shape[2]
    count = power.shape[2]
    edges = sorted({0, count, *(count >> octave for octave in range(1, BANDS))})
    sums = [power[:, :, low:high].sum(2) for low, high in pairwise(edges)]
    powers: Tensor = (torch.stack(sums or [power.sum(2)], 2) + _SILENCE).log()
    return powers


def _grid(inputs: Inputs) -> Float[Tensor, "k d"]:
    """Means and deviations of the cells of a grid, of each channel."""
    sizes = [min(CELLS, size) for size in inputs.shape[2:]]
    means = _averages(inputs, sizes)
    deviations = (_averages(inputs.square(), sizes) - means.square()).clamp(min=0).sqrt()
    return torch.cat([means.flatten(1), deviations.flatten(1)], dim=1)


def untrained(encoder: Encoder, train: Source, seed: int = 0) -> Encoder | None:
    """The same network with weights drawn anew and its normalisation fitted to training inputs.

    None where a module of the user's holds weights and has no ``reset_parameters``, which draws them.
    """
    fresh = copy.deepcopy(encoder)
    with own_random_numbers(seed, encoder.mean.device):
        if not _drawn_anew(fresh):
            return None
    _calibrate(fresh, train)
    return fresh


def _drawn_anew(module: nn.Module) -> bool:
    """Draw the weights of a module and its parts anew, as far as they can be; whether all could."""
    reset = getattr(module, "reset_parameters", None)
    if reset is not None:
        reset()
    elif any(True for _ in module.parameters(recurse=False)):
        return False
    whole = reset is not None and isinstance(module, Encoder)  # which has drawn those of its parts, too
    return whole or all(map(_drawn_anew, module.children()))


def _calibrate(encoder: Encoder, train: Source) -> None:
    """Set running means and variances to those of some training inputs."""
    layers = [module for module in encoder.modules() if isinstance(module, _NormBase) and module.track_running_stats]
    momenta = [layer.momentum for layer in layers]
    modes = [module.training for module in encoder.modules()]
    encoder.train()
    for layer in layers:
        layer.momentum = None  # the plain mean over all batches
    rows = evenly_spaced(len(train), _CALIBRATED)
    for some in rows.split(max(2, at_a_time(train.shape, 256))) if layers else ():
        if len(some) > 1:
            with torch.no_grad():
                encoder(train.take(some).to(encoder.mean.device))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    for module, mode in zip(encoder.modules(), modes, strict=True):
        module.training = mode
