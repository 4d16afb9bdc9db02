"""An encoder that reads overlapping crops of the input one by one, as contrastive predictive coding does."""

from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Bool, Float, Num
from torch import Tensor, nn

from deep_infomax.contracts import Features
from deep_infomax.encoders.base import ArgumentsError, Encoder
from deep_infomax.encoders.convolutions import (
    PROBED,
    ConvolutionalEncoder,
    ConvolutionalNetwork,
    linear_and_rectified,
    network_from,
)
from deep_infomax.runtime.records import typed


class StridedCropsEncoder(Encoder, architecture="strided-crops"):
    """One network for all crops; its vectors are the local map, and their mean is ``Y``.

    No position of the map sees more than its crop, so one can be predicted from others; in training, batch statistics
    are those of all crops. Probed layers are means over the crops, too: ``conv``, ``fc`` and ``Y`` of the network,
    and where it is named ``fc-linear``.

    >>> from deep_infomax.encoders import strided_crops
    >>> encoder = strided_crops(channels=3, spatial=(32, 32))
    >>> encoder.local_shape, encoder.layer_sizes
    ((64, 7, 7), {'conv': 2048, 'fc-linear': 256, 'fc': 256, 'Y': 64})

    Args:
        network: of one crop.
        spatial: sizes of an input.
        stride: from one crop to the next, along every axis.

    Raises:
        ValueError: a crop does not fit into the input, or a stride is below 1.

    Source: van den Oord et al., Representation learning with contrastive predictive coding, 2018, arXiv 1807.03748;
    crops of 8 at stride 4: Hjelm et al., 2019, arXiv 1808.06670.
    """

    def __init__(self, network: ConvolutionalNetwork, spatial: tuple[int, ...], stride: tuple[int, ...]) -> None:
        fitting = len(spatial) == len(stride) == len(network.spatial) and all(
            side >= size for side, size in zip(spatial, network.spatial, strict=True)
        )
        if not fitting or min(stride) < 1:
            raise ValueError(f"crops of {network.spatial} at strides of {stride} do not fit inputs of {spatial}")
        crop = ConvolutionalEncoder(network)
        positions = tuple((n - k) // s + 1 for n, k, s in zip(spatial, network.spatial, stride, strict=True))
        super().__init__(network.channels, spatial, (network.dim, *positions), crop.layer_sizes)
        self.network = network
        self.stride = stride
        self.positions = positions
        # Its layers without its statistics: the whole input is normalised.
        self.layers_of_crop = nn.Sequential(crop.lower, crop.upper, nn.Flatten())
        self.fully_connected = crop.fully_connected
        self.output = crop.output

    @property
    def layers(self) -> tuple[str, ...]:
        """Those of the network of a crop."""
        return PROBED

    def features(self, inputs: Float[Tensor, "n channels *spatial"]) -> Features:
        """Features of inputs that are normalised already."""
        crops = inputs
        for axis, (size, stride) in enumerate(zip(self.network.spatial, self.stride, strict=True), start=2):
            crops = crops.unfold(axis, size, stride)  # the crop's own axes are appended at the end
        n, dimensions = inputs.shape[0], len(self.positions)  # len would be a constant of an exported network
        crops = crops.movedim(1, 1 + dimensions).flatten(0, dimensions)
        conv = self.layers_of_crop(crops)
        linear, fc = linear_and_rectified(self.fully_connected, conv)
        vectors = self.output(fc).unflatten(0, (n, *self.positions)).movedim(-1, 1)
        of_crops = {"conv": conv, "fc-linear": linear, "fc": fc}
        means = {name: values.unflatten(0, (n, -1)).mean(dim=1) for name, values in of_crops.items()}
        return Features(vectors, vectors.flatten(2).mean(dim=2), means)

    def missing_locations(self, inputs: Num[Tensor, "n channels *spatial"]) -> Bool[Tensor, "n *locations"]:
        """Which crops stand for missing values: where over half of a crop is missing."""
        share = self.gaps(inputs).float().mean(dim=1)
        for axis, (size, stride) in enumerate(zip(self.network.spatial, self.stride, strict=True), start=1):
            share = share.unfold(axis, size, stride).mean(dim=-1)
        return share > 0.5

    def arguments(self) -> dict[str, Any]:
        """The network of a crop, the size of an input and the stride, as JSON values."""
        return {"network": asdict(self.network), "spatial": self.spatial, "stride": self.stride}

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any], module: nn.Module | None) -> "StridedCropsEncoder":
        """An encoder with fresh weights from :meth:`arguments`, as read from JSON."""
        if module is not None:
            raise ValueError("this is an encoder of strided crops, which wraps no module; load it without module=")
        network = network_from(arguments["network"])
        try:
            places = typed(arguments, _Places)
            return cls(network, places.spatial, places.stride)
        except ValueError as error:
            raise ArgumentsError(str(error)) from None


@dataclass(frozen=True)
class _Places:
    spatial: tuple[int, ...]
    stride: tuple[int, ...]
