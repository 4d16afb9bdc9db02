"""Convolutional encoders described by data: convolutions, the place of the local map, fully connected layers, d.

Every convolution and every fully connected layer is followed by batch normalisation and ReLU and carries no bias, which
the normalisation would take away again. The last layer, which gives ``Y``, is linear.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deep_infomax.contracts import Features
from deep_infomax.encoders.base import ArgumentsError, Encoder, averaged
from deep_infomax.runtime.records import typed

_CONVOLUTIONS: dict[int, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_NORMALISATIONS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_LEAST_VARIANCE = 1e-5
_LEAST_WEIGHT = 1e-6
_POOLS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}

PROBED: Final = ("conv", "fc", "Y")
"""Layers that probes read unless others are named."""


@dataclass(frozen=True)
class Convolution:
    """A convolution with batch normalisation, ReLU and, where given, max-pooling; a tuple has one value a dimension."""

    filters: int
    kernel: int | tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    padding: int | tuple[int, ...] = 0
    pool: tuple[int, int] | None = None
    """Kernel and stride of the max-pooling."""

    def __post_init__(self) -> None:
        """Refuse what is no convolution."""
        kernel, stride, padding = (_each(value, 1) for value in (self.kernel, self.stride, self.padding))
        if min((self.filters, *kernel, *stride, *(self.pool or ()))) < 1 or min(padding, default=0) < 0:
            raise ValueError(f"a convolution needs sizes of at least 1 and a padding of at least 0, got {self}")

    @property
    def dimensions(self) -> int | None:
        """How many spatial dimensions it is for; None for any, 0 where its tuples differ in length."""
        each = {len(value) for value in (self.kernel, self.stride, self.padding) if isinstance(value, tuple)}
        return next(iter(each), None) if len(each) < 2 else 0

    def sizes(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """Spatial sizes after the layer; one below 1 means that the kernel does not fit."""
        kernel, stride, padding = (_each(value, len(spatial)) for value in (self.kernel, self.stride, self.padding))
        sizes = [(n + 2 * p - k) // s + 1 for n, k, s, p in zip(spatial, kernel, stride, padding, strict=True)]
        if self.pool is not None:
            sizes = [(n - self.pool[0]) // self.pool[1] + 1 for n in sizes]
        return tuple(sizes)

    def block(self, channels: int, dimensions: int) -> nn.Sequential:
        """The layer as a module, for ``channels`` input channels and one, two or three spatial dimensions."""
        kernel, stride, padding = (_each(value, dimensions) for value in (self.kernel, self.stride, self.padding))
        block = nn.Sequential(
            _CONVOLUTIONS[dimensions](channels, self.filters, kernel, stride, padding, bias=False),
            _NORMALISATIONS[dimensions](self.filters),
            nn.ReLU(inplace=True),
        )
        if self.pool is not None:
            block.append(_POOLS[dimensions](*self.pool))
        return block


@dataclass(frozen=True)
class ConvolutionalNetwork:
    """All that is needed to build a :class:`ConvolutionalEncoder`.

    Raises:
        ValueError: the inputs have no or more than three spatial dimensions, are too small for a convolution, or a size
            or the place of the local map is out of range.
    """

    channels: int
    spatial: tuple[int, ...]
    convolutions: tuple[Convolution, ...]
    local: int
    """The local map is read after this many convolutions."""
    fully_connected: tuple[int, ...]
    dim: int = 64
    """Units d of the global vector."""
    pooled: bool = False
    """Whether the last map is read by the mean and the deviation of each filter over all positions, not flattened."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if len(self.spatial) not in _CONVOLUTIONS:
            raise ValueError(f"inputs need one, two or three spatial sizes, got {self.spatial}")
        if min(self.channels, self.dim, *self.spatial, *self.fully_connected) < 1:
            raise ValueError(
                f"sizes must be at least 1, got channels={self.channels}, spatial={self.spatial}, "
                f"fully_connected={self.fully_connected}, dim={self.dim}"
            )
        if any(convolution.dimensions not in (None, len(self.spatial)) for convolution in self.convolutions):
            raise ValueError(f"a convolution has another number of sizes than the inputs {self.spatial}")
        if not 1 <= self.local <= len(self.convolutions):
            raise ValueError(
                f"the local map is read after one of {len(self.convolutions)} convolution(s), got local={self.local}"
            )
        if not self.fully_connected:
            raise ValueError("a convolutional encoder needs at least one fully connected layer; give its size")
        for number, (convolution, map_shape) in enumerate(zip(self.convolutions, self.maps, strict=True), start=1):
            if min(map_shape) < 1:
                raise ValueError(
                    f"inputs of {'x'.join(map(str, self.spatial))} are too small: nothing is left of them after "
                    f"convolution {number} (kernel {convolution.kernel}); use larger inputs or fewer convolutions"
                )

    @property
    def maps(self) -> tuple[tuple[int, ...], ...]:
        """Shape ``(filters, *spatial)`` of the map after each convolution."""
        maps, spatial = [], self.spatial
        for convolution in self.convolutions:
            spatial = convolution.sizes(spatial)
            maps.append((convolution.filters, *spatial))
        return tuple(maps)

    @property
    def read(self) -> int:
        """Numbers that are read of the last map."""
        return 2 * self.maps[-1][0] if self.pooled else math.prod(self.maps[-1])


class PositionStatistics(nn.Module):
    """The mean of each filter over all positions, then the standard deviation of each, for maps of any size."""

    def forward(
        self, maps: Float[Tensor, "n filters *spatial"], known: Float[Tensor, "n 1 *spatial"] | None = None
    ) -> Float[Tensor, "n twice"]:
        """Statistics of maps; the deviation has a small floor, at which its gradient is finite.

        Args:
            maps: Of any size.
            known: The weight of each position, such as the share of it that is not missing; None weighs all alike.
        """
        values = maps.flatten(2)
        if known is None:
            mean, variance = values.mean(2), values.var(2, correction=0)
        else:
            weights = known.flatten(2)
            weights = weights / weights.sum(2, keepdim=True).clamp(min=_LEAST_WEIGHT)
            mean = (weights * values).sum(2)
            variance = (weights * (values - mean[:, :, None]).square()).sum(2)
        return torch.cat([mean, (variance + _LEAST_VARIANCE).sqrt()], dim=1)


class ConvolutionalEncoder(Encoder, architecture="convolutional"):
    """Convolutions up to the local map ``C``, those after it, fully connected layers and a linear layer to ``Y``.

    Probed layers: ``conv``, what is read of the last map, all of it or statistics of its filters; ``fc``, the last
    hidden fully connected layer; ``Y``. Probed where it is named: ``fc-linear``, what the linear layer of ``fc`` gives,
    before batch normalisation and ReLU.
    Source: Hjelm et al., "Learning deep representations by mutual information estimation and maximization", 2019,
    arXiv 1808.06670.

    >>> from deep_infomax.encoders import convolutional_32
    >>> encoder = convolutional_32(channels=3)
    >>> encoder.local_shape, encoder.layer_sizes
    ((128, 8, 8), {'conv': 4096, 'fc-linear': 1024, 'fc': 1024, 'Y': 64})
    >>> encoder.layers
    ('conv', 'fc', 'Y')
    """

    def __init__(self, network: ConvolutionalNetwork) -> None:
        last = network.fully_connected[-1]
        sizes = {"conv": network.read, "fc-linear": last, "fc": last, "Y": network.dim}
        super().__init__(network.channels, network.spatial, network.maps[network.local - 1], sizes)
        self.network = network
        self.lower = _convolutions(network, 0, network.local)
        self.upper = _convolutions(network, network.local, len(network.convolutions))
        self.reading = _reading(network)
        self.fully_connected = _fully_connected(network)
        self.output = nn.Linear(sizes["fc"], sizes["Y"])

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that probes read unless others are named, ``Y`` last."""
        return PROBED

    def changed(self, local: int | None = None, hidden: int | None = None) -> "ConvolutionalEncoder":
        """The same network with fresh weights, its local map or the width of its last hidden layer another one.

        Args:
            local: After how many convolutions the local map is read; None leaves it.
            hidden: Units of `fc`; None leaves them.

        Raises:
            ValueError: There are fewer convolutions, or a number is below 1.

        >>> from deep_infomax.encoders import convolutional_32
        >>> convolutional_32().changed(local=1, hidden=2048).sizes
        '(64 x 16 x 16), conv (4096), fc (2048), Y (64)'
        """
        *before, last = self.network.fully_connected
        local, hidden = local or self.network.local, hidden or last
        return ConvolutionalEncoder(replace(self.network, local=local, fully_connected=(*before, hidden)))

    def features(self, inputs: Float[Tensor, "n channels *spatial"]) -> Features:
        """Features of inputs that are normalised already."""
        local = self.lower(inputs)
        return self._read(local, self.reading(self.upper(local)))

    def known_features(
        self, inputs: Float[Tensor, "n channels *spatial"], known: Float[Tensor, "n 1 *spatial"]
    ) -> Features:
        """Features of inputs of which some values are missing: statistics over positions weigh what is known."""
        if not isinstance(self.reading, PositionStatistics):
            return self.features(inputs)
        local = self.lower(inputs)
        last = self.upper(local)
        return self._read(local, self.reading(last, averaged(known, last.shape[2:])))

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether the network reads inputs of this shape; statistics over positions are read of any size."""
        spatial = tuple(shape[1:])
        if not self.network.pooled or tuple(shape[:1]) != (self.channels,) or len(spatial) != len(self.spatial):
            return super().fits(shape)
        try:
            self.local_sizes(spatial)
        except ValueError:  # nothing is left of them
            return False
        return True

    def local_sizes(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """Spatial sizes of the local map of inputs of these sizes."""
        return replace(self.network, spatial=tuple(spatial)).maps[self.network.local - 1][1:]

    def _read(self, local: Float[Tensor, "n c *spatial"], conv: Float[Tensor, "n _"]) -> Features:
        linear, fc = linear_and_rectified(self.fully_connected, conv)
        return Features(local, self.output(fc), {"conv": conv, "fc-linear": linear, "fc": fc})

    def remaining_layers(self, units: int) -> nn.Sequential:
        """Fresh layers like those after the local map, from ``(n, *local_shape)`` to ``(n, units)``.

        The local side of the global encode-and-dot scorer.
        """
        return nn.Sequential(
            _convolutions(self.network, self.network.local, len(self.network.convolutions)),
            _reading(self.network),
            _fully_connected(self.network),
            nn.Linear(self.layer_sizes["fc"], units),
        )

    def arguments(self) -> dict[str, Any]:
        """The network as JSON values."""
        return asdict(self.network)

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any], module: nn.Module | None) -> "ConvolutionalEncoder":
        """An encoder with fresh weights from :meth:`arguments`, as read from JSON."""
        if module is not None:
            raise ValueError("this is a convolutional encoder, which wraps no module; load it without module=")
        return cls(network_from(arguments))


def network_from(arguments: dict[str, Any]) -> ConvolutionalNetwork:
    """The network that ``asdict`` made these values of.

    Raises:
        ArgumentsError: they describe none.
    """
    try:
        network = typed(arguments, ConvolutionalNetwork)
    except ValueError as error:
        raise ArgumentsError(str(error)) from None
    # What a later version adds to a network would make it another one.
    if unknown := [name for name in arguments if name not in {field.name for field in fields(network)}]:
        raise ArgumentsError(f"{unknown[0]} is unknown")
    return network


def linear_and_rectified(
    fully_connected: nn.Sequential, conv: Float[Tensor, "n _"]
) -> tuple[Float[Tensor, "n units"], Float[Tensor, "n units"]]:
    """What the last linear layer of fully connected ones gives, and that normalised and rectified.

    The normalisation keeps the former for its gradient, so that handing it over costs a training nothing.
    """
    *before, normalisation, relu = fully_connected
    linear = conv
    for layer in before:
        linear = layer(linear)
    return linear, relu(normalisation(linear))


def _convolutions(network: ConvolutionalNetwork, start: int, stop: int) -> nn.Sequential:
    channels = [network.channels, *(convolution.filters for convolution in network.convolutions)]
    return nn.Sequential(
        *(network.convolutions[i].block(channels[i], len(network.spatial)) for i in range(start, stop))
    )


def _reading(network: ConvolutionalNetwork) -> nn.Module:
    return PositionStatistics() if network.pooled else nn.Flatten()


def _fully_connected(network: ConvolutionalNetwork) -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs = network.read
    for units in network.fully_connected:
        layers += [nn.Linear(inputs, units, bias=False), nn.BatchNorm1d(units), nn.ReLU(inplace=True)]
        inputs = units
    return nn.Sequential(*layers)


def _each(value: int | tuple[int, ...], dimensions: int) -> tuple[int, ...]:
    return (value,) * dimensions if isinstance(value, int) else value
