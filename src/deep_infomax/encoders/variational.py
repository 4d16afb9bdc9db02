"""An encoder whose vector is the mean of a normal distribution, as the variational autoencoder's."""

from collections.abc import Sequence
from typing import Any, Final

from jaxtyping import Float
from torch import Tensor, nn

from deep_infomax.contracts import Features
from deep_infomax.encoders.base import ArgumentsError, Encoder, require_encoder
from deep_infomax.encoders.pretrained import Configuration
from deep_infomax.runtime.missing import Missing
from deep_infomax.runtime.records import typed

LOG_VARIANCE: Final = "log_variance"
"""Name of the layer that holds the logarithms of the posterior's variances."""


class VariationalEncoder(Encoder, architecture="variational"):
    r"""Another encoder, and beside its vector the variances of the approximate posterior.

    .. math:: q(z | x) = \mathcal{N}(Y(x), \operatorname{diag}(\exp(v(x))))

    ``v`` is the layer ``log_variance``: linear in the last of the encoder's layers before ``Y``, or in ``Y`` where it
    names no other. It can be encoded, but is not among the layers that probes read unless it is named.

    >>> from deep_infomax.encoders import digits
    >>> encoder = VariationalEncoder(digits())
    >>> encoder.layers, encoder.layer_sizes
    (('conv', 'fc', 'Y'), {'conv': 1024, 'fc-linear': 256, 'fc': 256, 'log_variance': 16, 'Y': 16})

    Args:
        encoder: Gives the mean; both have the same input statistics.

    Source: Kingma and Welling, Auto-encoding variational Bayes, 2014, arXiv 1312.6114.
    """

    def __init__(self, encoder: Encoder) -> None:
        require_encoder(encoder)
        *hidden, vector = encoder.layers
        sizes = encoder.layer_sizes | {LOG_VARIANCE: encoder.vector_size}
        sizes[vector] = sizes.pop(vector)  # the last
        super().__init__(encoder.channels, encoder.spatial, encoder.local_shape, sizes)
        self.encoder, self.extra = encoder, encoder.extra
        self.read = hidden[-1] if hidden else vector
        self.mean, self.std = encoder.mean.clone(), encoder.std.clone()
        self.offset = None if encoder.offset is None else encoder.offset.clone()
        self.scaling, self.missing = encoder.scaling, encoder.missing
        self.log_variance = nn.Linear(encoder.layer_sizes[self.read], encoder.vector_size).to(encoder.mean)

    @property
    def layers(self) -> tuple[str, ...]:
        """Those of the encoder inside."""
        return self.encoder.layers

    @property
    def summary(self) -> str:
        """That of the encoder inside."""
        return self.encoder.summary

    def set_statistics(
        self,
        mean: Sequence[float] | Tensor,
        std: Sequence[float] | Tensor,
        offset: Sequence[float] | Tensor | None = None,
        scaling: str = "standard",
        missing: Missing | None = None,
    ) -> None:
        """As of any encoder, for the one inside, too."""
        super().set_statistics(mean, std, offset, scaling, missing)
        self.encoder.set_statistics(mean, std, offset, scaling, missing)

    def features(self, inputs: Float[Tensor, "n channels *spatial"]) -> Features:
        """Features of inputs that are normalised already."""
        return self._with_variance(self.encoder.features(inputs))

    def known_features(
        self, inputs: Float[Tensor, "n channels *spatial"], known: Float[Tensor, "n 1 *spatial"]
    ) -> Features:
        """As of the encoder inside."""
        return self._with_variance(self.encoder.known_features(inputs, known))

    def fits(self, shape: Sequence[int]) -> bool:
        """As of the encoder inside."""
        return self.encoder.fits(shape)

    def local_sizes(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """As of the encoder inside."""
        return self.encoder.local_sizes(spatial)

    def _with_variance(self, found: Features) -> Features:
        log_variance = self.log_variance(found.layer(self.read))
        return found._replace(hidden={**found.hidden, LOG_VARIANCE: log_variance})

    def remaining_layers(self, units: int) -> nn.Module:
        """Those of the encoder inside."""
        return self.encoder.remaining_layers(units)

    def arguments(self) -> dict[str, Any]:
        """The encoder inside, as JSON values."""
        return {"encoder": {"architecture": self.encoder.architecture, "arguments": self.encoder.arguments()}}

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any], module: nn.Module | None) -> "VariationalEncoder":
        """An encoder with fresh weights from :meth:`arguments`, as read from JSON."""
        try:
            inside = typed(arguments["encoder"], Configuration)
        except ValueError as error:
            raise ArgumentsError(str(error)) from None
        return cls(Encoder.of_architecture(inside.architecture).from_arguments(inside.arguments, module))
