"""The named convolutional networks, and the choice among them by the size of the inputs.

The 28, 32 and 64 pixel networks are those of Hjelm et al., "Learning deep representations by mutual information
estimation and maximization", 2019, arXiv 1808.06670, for any number of channels; the others are of the same kind.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from deep_infomax.encoders.base import Encoder
from deep_infomax.encoders.convolutions import Convolution, ConvolutionalEncoder, ConvolutionalNetwork
from deep_infomax.encoders.crops import StridedCropsEncoder


class Network(NamedTuple):
    """A network that a recipe can name; called with ``(channels, spatial, dim)`` it builds one."""

    title: str
    meaning: str
    build: Callable[[int, tuple[int, ...], int | None], Encoder]
    """From channels, spatial sizes and units of ``Y``; None for the latter takes the network's own."""
    side: int | None = None
    """The side of the squares that are encoded by it unless another is named."""

    def __call__(self, channels: int, spatial: tuple[int, ...], dim: int | None = None) -> Encoder:
        """Build a network with fresh weights."""
        return self.build(channels, spatial, dim)


def convolutional_28(channels: int = 1, dim: int = 64) -> ConvolutionalEncoder:
    """The network for 28x28 images: two convolutions, fc 1024; the local map is the last one, 128 x 7 x 7."""
    convolutions = (Convolution(64, 5, 2, 2), Convolution(128, 5, 2, 2))
    return ConvolutionalEncoder(ConvolutionalNetwork(channels, (28, 28), convolutions, 2, (1024,), dim))


def convolutional_32(channels: int = 3, dim: int = 64) -> ConvolutionalEncoder:
    """The network for 32x32 images: three convolutions, fc 1024; the local map follows the second, 128 x 8 x 8."""
    convolutions = tuple(Convolution(filters, 4, 2, 1) for filters in (64, 128, 256))
    return ConvolutionalEncoder(ConvolutionalNetwork(channels, (32, 32), convolutions, 2, (1024,), dim))


def convolutional_64(channels: int = 3, dim: int = 64) -> ConvolutionalEncoder:
    """The "alexnet" for 64x64 images: five convolutions, fc 4096 twice; the local map is the third, 384 x 15 x 15."""
    convolutions = (
        Convolution(96, 3, 1, 1, pool=(3, 2)),
        Convolution(192, 3, 1, 1, pool=(3, 2)),
        Convolution(384, 3, 1, 1),
        Convolution(384, 3, 1, 1),
        Convolution(192, 3, 1, 1, pool=(3, 2)),
    )
    return ConvolutionalEncoder(ConvolutionalNetwork(channels, (64, 64), convolutions, 3, (4096, 4096), dim))


def digits(channels: int = 1, dim: int = 16) -> ConvolutionalEncoder:
    """The network for 8x8 images: three convolutions, fc 256; the local map follows the second, 128 x 4 x 4.

    ``Y`` has 16 units, so that it is narrower than the 64 values of an input.
    """
    convolutions = (Convolution(64, 3, 1, 1), Convolution(128, 4, 2, 1), Convolution(256, 4, 2, 1))
    return ConvolutionalEncoder(ConvolutionalNetwork(channels, (8, 8), convolutions, 2, (256,), dim))


def convolutional(channels: int, spatial: tuple[int, ...], dim: int = 64) -> ConvolutionalEncoder:
    """A network for series, images or volumes of any size.

    Each convolution halves the sides of 6 or more (kernel 4, stride 2, padding 1) and keeps the shorter ones (kernel 3,
    stride 1, padding 1), until every side is below 6: the last map has about 4 positions a side. Where the longest side
    is below 32, a convolution that keeps all sides comes first. The filters double from 64 to 256, for volumes from 32
    to 128. The local map is the first one, from the second convolution on, whose longest side is at most 11: about 8
    positions a side where the input allows. Then fc 1024; 512 where an input has fewer than 1024 positions.

    >>> encoder = convolutional(channels=2, spatial=(1000,))
    >>> encoder.local_shape, encoder.layer_sizes
    ((256, 7), {'conv': 768, 'fc-linear': 512, 'fc': 512, 'Y': 64})
    """
    spatial = tuple(spatial)
    first, last = (32, 128) if len(spatial) == 3 else (64, 256)
    longest, sides, local = max(spatial, default=0), spatial, 0
    convolutions = [Convolution(first, 3, 1, 1)] if longest < 32 else []
    while max(sides, default=0) >= 6 or len(convolutions) < 2:
        convolutions.append(_halving(min(first << len(convolutions), last), sides))
        sides = convolutions[-1].sizes(sides)
        if local == 0 and len(convolutions) >= 2 and max(sides, default=0) <= 11:
            local = len(convolutions)
    units = 512 if math.prod(spatial) < 1024 else 1024
    return ConvolutionalEncoder(ConvolutionalNetwork(channels, spatial, tuple(convolutions), local, (units,), dim))


def pooled(channels: int, spatial: tuple[int, ...], dim: int = 64) -> ConvolutionalEncoder:
    """A network for what may stand anywhere in a series, an image or a volume of any size.

    Y is read from the mean and the deviation of each filter over all positions, so it says what is there and how often,
    and not where; it has fewer weights, too, by which few inputs could be learnt by heart. Convolutions halve the sides
    of two kernels or more (stride 2; kernel 8 for series, else 4) and keep the others (kernel 3): twice, for series
    three times, and then until the longest side is at most 64 for series, 16 for images, 8 for volumes. The map that
    they end in is the local one. The filters double up to its 256, for volumes 128. One more convolution (kernel 3),
    the statistics, fc 512.

    >>> encoder = pooled(channels=2, spatial=(1000,))
    >>> encoder.local_shape, encoder.layer_sizes
    ((256, 62), {'conv': 512, 'fc-linear': 512, 'fc': 512, 'Y': 64})
    """
    spatial = tuple(spatial)
    least, most, kernel = {1: (3, 64, 8), 2: (2, 16, 4)}.get(len(spatial), (2, 8, 4))
    first, last = (16, 128) if len(spatial) == 3 else (32, 256)
    sides, halvings = spatial, list[Convolution]()
    while (longest := max(sides, default=0)) >= 2 * kernel and (len(halvings) < least or longest > most):
        halvings.append(_halving(last, sides, 2 * kernel, kernel))
        sides = halvings[-1].sizes(sides)
    convolutions = halvings or [Convolution(last, 3, 1, 1)]
    stages = len(convolutions)
    doubling = [replace(each, filters=max(first, last >> (stages - 1 - i))) for i, each in enumerate(convolutions)]
    layers = (*doubling, Convolution(last, 3, 1, 1))
    return ConvolutionalEncoder(ConvolutionalNetwork(channels, spatial, layers, stages, (512,), dim, pooled=True))


def strided_crops(channels: int, spatial: tuple[int, ...], dim: int = 64) -> StridedCropsEncoder:
    """Crops of a quarter of each side, half a crop apart: 7 along a side of 32 or 64, 8 or 16 pixels each.

    A small network reads each of them: two convolutions with 64 and 128 filters, fc 256.
    """
    size = tuple(max(2, side // 4) for side in spatial)
    first = _halving(64, size)
    convolutions = (first, _halving(128, first.sizes(size)))
    network = ConvolutionalNetwork(channels, size, convolutions, 2, (256,), dim)
    return StridedCropsEncoder(network, tuple(spatial), tuple(side // 2 for side in size))


def encoder_for(channels: int, spatial: tuple[int, ...], dim: int | None = None) -> Encoder:
    """The network for inputs of this size: `pooled` for series, a named one for some squares, else the generic one.

    >>> encoder_for(1, (8, 8)).vector_size, encoder_for(1, (48000,)).vector_size
    (16, 64)

    Args:
        channels: Channels of an input.
        spatial: Spatial sizes of an input: one, two or three.
        dim: Units of ``Y``; None takes the network's own (16 for 8x8, else 64).
    """
    fitting = (network for network in ENCODERS.values() if network.side and tuple(spatial) == (network.side,) * 2)
    network = ENCODERS["pooled"] if len(spatial) == 1 else next(fitting, ENCODERS["convolutional"])
    return network(channels, spatial, dim)


def _halving(filters: int, sides: tuple[int, ...], least: int = 6, kernel: int = 4) -> Convolution:
    """A convolution that halves the sides of at least so many and keeps the others."""
    halved = [side >= least for side in sides]
    sizes = [(kernel, 2, kernel // 2 - 1) if half else (3, 1, 1) for half in halved]
    kernels, strides, paddings = (tuple(size[i] for size in sizes) for i in range(3))
    return Convolution(filters, kernels, strides, paddings)


def _square(title: str, meaning: str, network: Callable[..., ConvolutionalEncoder], side: int) -> Network:
    """A network that takes squares of one size only."""

    def build(channels: int, spatial: tuple[int, ...], dim: int | None = None) -> ConvolutionalEncoder:
        if tuple(spatial) != (side, side):
            raise ValueError(
                f"the encoder {network.__name__.replace('_', '-')} takes {side}x{side} inputs, "
                f"got {'x'.join(map(str, spatial))}; resize or crop them, or choose convolutional, which takes any size"
            )
        return network(channels) if dim is None else network(channels, dim)

    return Network(title, meaning, build, side)


def _any_size(title: str, meaning: str, network: Callable[..., Encoder]) -> Network:
    """A network that takes inputs of any size."""

    def build(channels: int, spatial: tuple[int, ...], dim: int | None = None) -> Encoder:
        return network(channels, spatial) if dim is None else network(channels, spatial, dim)

    return Network(title, meaning, build)


ENCODERS: Final[dict[str, Network]] = {
    "convolutional-28": _square("convolutional, 28x28", "The paper's network for 28x28 images.", convolutional_28, 28),
    "convolutional-32": _square("convolutional, 32x32", "The paper's network for 32x32 images.", convolutional_32, 32),
    "convolutional-64": _square(
        "convolutional, 64x64", "The paper's network for 64x64 images, after AlexNet.", convolutional_64, 64
    ),
    "digits": _square("convolutional, 8x8", "A small network for 8x8 images, whose Y has 16 units.", digits, 8),
    "convolutional": _any_size(
        "convolutional, any size", "A network for series, images or volumes of any size.", convolutional
    ),
    "pooled": _any_size(
        "convolutional, pooled",
        "A network for what may be anywhere in an input: Y has statistics over positions.",
        pooled,
    ),
    "strided-crops": _any_size(
        "strided crops", "A small network on overlapping crops of a quarter of each side.", strided_crops
    ),
}
"""By the names that recipes use: ``(channels, spatial, dim)`` to a network; a dim of None takes the network's own."""
