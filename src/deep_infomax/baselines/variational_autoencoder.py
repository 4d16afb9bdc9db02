"""The variational autoencoder, a baseline: an encoder learns what a decoder needs to reconstruct the input."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from deep_infomax.baselines.reconstruction import Normalise, reconstruction_error
from deep_infomax.contracts import Batch, Features, Losses, Objective, Pictures
from deep_infomax.encoders import LOG_VARIANCE


class VariationalAutoencoder(Objective):
    r"""Minus the evidence lower bound of a Gaussian decoder, and beta times the divergence from a normal prior.

    Of the approximate posterior q, ``Y`` is the mean and the layer ``log_variance`` the logarithm of the variances, as
    a `VariationalEncoder` hands them over:

    .. math:: \mathcal{L} = \mathbb{E}_{z \sim q(z | x)} \tfrac{1}{2} \lVert x - \hat x(z) \rVert^2
        + \beta\, D_{KL}(q(z | x) \,\Vert\, \mathcal{N}(0, I))

    in nats per input, up to a constant, for inputs as the encoder normalises them. With beta = 1 it bounds their
    log-likelihood; a larger beta asks for independent units.

    Args:
        decoder: from vectors to inputs.
        normalise: from inputs as stored to what is reconstructed, such as ``encoder.normalise``.
        beta: weight of the divergence.

    Raises:
        ValueError: ``beta`` is negative or not finite.

    Source: Kingma and Welling, Auto-encoding variational Bayes, 2014, arXiv 1312.6114; beta: Higgins et al., beta-VAE,
    2017.
    """

    def __init__(self, decoder: nn.Module, normalise: Normalise, beta: float = 1.0) -> None:
        super().__init__()
        if not (math.isfinite(beta) and beta >= 0):
            raise ValueError(f"beta is {beta}; give a finite number of at least 0")
        self.decoder = decoder
        self.normalise = normalise
        self.beta = beta

    def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
        """Losses of one batch, with one sample of z for each input.

        Terms: ``loss``; ``reconstruction_error``, the mean square of a normalised value; ``divergence``, in nats.

        Raises:
            ValueError: the encoder has no layer ``log_variance``.
        """
        features = encode(batch.inputs)
        if LOG_VARIANCE not in features.hidden:
            raise ValueError("the encoder gives no variances of Y; wrap it: VariationalEncoder(encoder)")
        mean, log_variance = features.vector.float(), features.hidden[LOG_VARIANCE].float()
        z = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        error = reconstruction_error(self.decoder(z), self.normalise(batch.inputs))
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean() / 2
        loss = error * batch.inputs[0].numel() / 2 + self.beta * divergence
        terms = {"loss": loss, "reconstruction_error": error, "divergence": divergence}
        return Losses(loss, None, {name: term.detach() for name, term in terms.items()})

    def pictures(self, inputs: Num[Tensor, "n channels *spatial"], vector: Float[Tensor, "n d"]) -> Pictures:
        """Reconstructions from the means, and images of vectors drawn from the prior."""
        return Pictures(self.normalise(inputs), self.decoder(vector), self.decoder(torch.randn_like(vector)))
