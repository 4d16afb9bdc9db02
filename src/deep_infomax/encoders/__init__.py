"""Encoders: inputs to :class:`~deep_infomax.contracts.Features`.

``encoder_for`` chooses a convolutional network by the size of the inputs; ``TimmEncoder`` takes one of timm's image
models; ``TappedEncoder`` wraps a network of your own.
"""

from deep_infomax.encoders.base import Encoder
from deep_infomax.encoders.convolutions import Convolution, ConvolutionalEncoder, ConvolutionalNetwork
from deep_infomax.encoders.crops import StridedCropsEncoder
from deep_infomax.encoders.exporting import EXPORTS, Export, Format, InexactExportError, export, format_of
from deep_infomax.encoders.networks import (
    ENCODERS,
    Network,
    convolutional,
    convolutional_28,
    convolutional_32,
    convolutional_64,
    digits,
    encoder_for,
    pooled,
    strided_crops,
)
from deep_infomax.encoders.tapped import TappedEncoder
from deep_infomax.encoders.timm_models import FAMILIES, Family, TimmEncoder, timm_network
from deep_infomax.encoders.variational import LOG_VARIANCE, VariationalEncoder

__all__ = [
    "ENCODERS",
    "EXPORTS",
    "FAMILIES",
    "LOG_VARIANCE",
    "Convolution",
    "ConvolutionalEncoder",
    "ConvolutionalNetwork",
    "Encoder",
    "Export",
    "Family",
    "Format",
    "InexactExportError",
    "Network",
    "StridedCropsEncoder",
    "TappedEncoder",
    "TimmEncoder",
    "VariationalEncoder",
    "convolutional",
    "convolutional_28",
    "convolutional_32",
    "convolutional_64",
    "digits",
    "encoder_for",
    "export",
    "format_of",
    "pooled",
    "strided_crops",
    "timm_network",
]
