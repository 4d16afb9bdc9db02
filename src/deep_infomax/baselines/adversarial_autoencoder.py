"""The adversarial autoencoder, a baseline: reconstruction, and a code that an adversary matches to a prior."""

import math
from collections.abc import Callable, Iterable

from jaxtyping import Float, Num
from torch import Tensor, nn

from deep_infomax.baselines.reconstruction import Normalise, reconstruction_error
from deep_infomax.contracts import Batch, Features, Losses, Objective, Pictures
from deep_infomax.objectives import PriorMatching


class AdversarialAutoencoder(Objective):
    r"""The mean squared error of a reconstruction from the code, and gamma times the loss of matching a prior.

    .. math:: \min_{E, G}\; \overline{(x - G(s(Y)))^2} + \gamma \mathcal{L}_{prior}

    The code is ``s(Y)``, what of ``Y`` is compared with the prior (its sigmoid, for the uniform one), so that the
    decoder G reads vectors of the prior's range and those drawn from it can be decoded. The encoder is deterministic.
    Both terms are minimised in one step; the paper takes turns.

    Args:
        decoder: from codes to inputs.
        prior: the prior and its adversary.
        normalise: from inputs as stored to what is reconstructed, such as ``encoder.normalise``.
        gamma: weight of the prior.

    Raises:
        ValueError: ``gamma`` is negative or not finite.

    Source: Makhzani et al., Adversarial autoencoders, 2015, arXiv 1511.05644.
    """

    def __init__(self, decoder: nn.Module, prior: PriorMatching, normalise: Normalise, gamma: float = 1.0) -> None:
        super().__init__()
        if not isinstance(prior, PriorMatching):
            raise ValueError(f"`prior` is a {type(prior).__name__}; give a PriorMatching(prior, vector_size)")
        if not (math.isfinite(gamma) and gamma >= 0):
            raise ValueError(f"gamma is {gamma}; give a finite number of at least 0")
        self.decoder = decoder
        self.prior = prior
        self.normalise = normalise
        self.gamma = gamma

    def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
        """Losses of one batch.

        Terms: ``loss``; ``reconstruction_error``, the mean square of a normalised value; ``prior_*`` (`PriorMatching`).
        """
        vector = encode(batch.inputs).vector
        error = reconstruction_error(self.decoder(self.prior.prior.squash(vector)), self.normalise(batch.inputs))
        matching: Losses = self.prior(vector)
        loss = error + self.gamma * matching.encoder
        of_prior = {f"prior_{name}": term for name, term in matching.terms.items()}
        terms = {"loss": loss.detach(), "reconstruction_error": error.detach(), **of_prior}
        return Losses(loss, matching.adversary, terms)

    def adversary_parameters(self) -> Iterable[nn.Parameter]:
        """Those of the prior's discriminator."""
        return self.prior.adversary_parameters()

    def pictures(self, inputs: Num[Tensor, "n channels *spatial"], vector: Float[Tensor, "n d"]) -> Pictures:
        """Reconstructions, and images of codes drawn from the prior."""
        prior = self.prior.prior
        n, d = vector.shape
        samples = self.decoder(prior.sample(n, d, vector.device))
        return Pictures(self.normalise(inputs), self.decoder(prior.squash(vector)), samples)
