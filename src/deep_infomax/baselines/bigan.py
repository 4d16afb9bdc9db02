"""BiGAN, a baseline: encoder and generator make pairs of input and vector that an adversary cannot tell apart."""

import math
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.func import functional_call

from deep_infomax.baselines.reconstruction import Normalise
from deep_infomax.contracts import Batch, Features, Losses, Objective, Pictures
from deep_infomax.objectives import Prior

_CONVOLUTIONS: dict[int, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class PairDiscriminator(nn.Module):
    """Scores pairs of an input and a vector, every pair by itself: no layer mixes inputs.

    Three convolutions (64, 128 and 256 filters, kernel 4, stride 2) and a linear layer read the input, a linear layer
    the vector, and a hidden layer both together; leaky ReLU of slope 0.2 throughout.

    Args:
        channels: of an input.
        spatial: its sizes; sides below 4 are no longer halved.
        vector_size: d.
        units: of every linear layer.
    """

    def __init__(self, channels: int, spatial: Sequence[int], vector_size: int, units: int = 512) -> None:
        super().__init__()
        sides, layers, before = tuple(spatial), list[nn.Module](), channels
        for filters in (64, 128, 256):
            halved = [side >= 4 for side in sides]
            kernel, stride = (tuple(a if half else b for half in halved) for a, b in ((4, 3), (2, 1)))
            layers += [_CONVOLUTIONS[len(sides)](before, filters, kernel, stride, padding=1), nn.LeakyReLU(0.2)]
            sides = tuple(side // 2 if half else side for side, half in zip(sides, halved, strict=True))
            before = filters
        self.of_input = nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * math.prod(sides), units))
        self.of_vector = nn.Linear(vector_size, units)
        self.of_both = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Linear(2 * units, units), nn.LeakyReLU(0.2), nn.Linear(units, 1), nn.Flatten(0)
        )

    def forward(
        self, inputs: Float[Tensor, "n channels *spatial"], vectors: Float[Tensor, "n d"]
    ) -> Float[Tensor, " n"]:
        """One score for each pair."""
        scores: Tensor = self.of_both(torch.cat([self.of_input(inputs), self.of_vector(vectors)], dim=1))
        return scores


class BiGAN(Objective):
    r"""The adversarial game over pairs: an input with its vector against a generated input with its noise.

    With a = (x, s(Y)) and b = (G(z), z), z drawn from the prior, encoder E and generator G minimise the first, the
    discriminator D the second:

    .. math::
        \mathcal{L}_{encoder} &= \mathbb{E}\, \mathrm{softplus}(-D(a)) + \mathbb{E}\, \mathrm{softplus}(D(b)) \\
        \mathcal{L}_{adversary} &= \mathbb{E}\, \mathrm{softplus}(D(a)) + \mathbb{E}\, \mathrm{softplus}(-D(b))
        + \tfrac{\lambda}{2} \left[ \mathbb{E} \lVert \nabla D(a) \rVert^2
        + \mathbb{E} \lVert \nabla D(b) \rVert^2 \right]

    Where no D tells the pairs apart, E and G are each other's inverses. The encoder is deterministic; s is the prior's
    `Prior.squash`. Inputs are as the encoder normalises them.

    Args:
        generator: G, from vectors to inputs.
        discriminator: D; the scores of a batch must not depend on one another.
        prior: what z is drawn from.
        normalise: from inputs as stored to x, such as ``encoder.normalise``.
        gradient_penalty: lambda, which the paper does not have; without it D leaves the other two behind.

    Raises:
        ValueError: ``gradient_penalty`` is negative or not finite.

    Source: Donahue, Krähenbühl and Darrell, Adversarial feature learning, 2017, arXiv 1605.09782; the penalty:
    Mescheder et al., Which training methods for GANs do actually converge?, 2018, arXiv 1801.04406.
    """

    not_compiled = ("_adversary_loss",)  # it differentiates twice; read by `training.compilation`

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        prior: Prior,
        normalise: Normalise,
        gradient_penalty: float = 1.0,
    ) -> None:
        super().__init__()
        if not (math.isfinite(gradient_penalty) and gradient_penalty >= 0):
            raise ValueError(f"gradient_penalty is {gradient_penalty}; give a finite number of at least 0")
        self.generator = generator
        self.discriminator = discriminator
        self.prior = prior
        self.normalise = normalise
        self.gradient_penalty = gradient_penalty

    def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
        """Losses of one batch.

        Terms: ``loss``; ``adversary_loss``; ``adversary_accuracy``, near 0.5 where the pairs are alike.
        """
        vector = encode(batch.inputs).vector.float()
        n, d = vector.shape
        z = self.prior.sample(n, d, vector.device)
        generated = self.generator(z).float()
        # Slopes squared and differentiated again ask for more digits than bfloat16 has.
        with torch.autocast(vector.device.type, enabled=False):
            inputs = torch.cat([self.normalise(batch.inputs), generated])
            vectors = torch.cat([self.prior.squash(vector), z])
            encoder = self._encoder_loss(inputs, vectors)
            adversary, accuracy = self._adversary_loss(inputs.detach(), vectors.detach())
        terms = {"loss": encoder, "adversary_loss": adversary, "adversary_accuracy": accuracy}
        return Losses(encoder, adversary, {name: term.detach() for name, term in terms.items()})

    def adversary_parameters(self) -> Iterable[nn.Parameter]:
        """Those of the discriminator."""
        return self.discriminator.parameters()

    def pictures(self, inputs: Num[Tensor, "n channels *spatial"], vector: Float[Tensor, "n d"]) -> Pictures:
        """What the generator makes of the vectors of inputs, and of noise."""
        n, d = vector.shape
        samples = self.generator(self.prior.sample(n, d, vector.device))
        return Pictures(self.normalise(inputs), self.generator(self.prior.squash(vector)), samples)

    def _encoder_loss(self, inputs: Tensor, vectors: Tensor) -> Float[Tensor, ""]:
        frozen = {name: parameter.detach() for name, parameter in self.discriminator.named_parameters()}
        of_encoder, of_generator = functional_call(self.discriminator, frozen, (inputs, vectors)).chunk(2)
        return F.softplus(-of_encoder).mean() + F.softplus(of_generator).mean()

    @torch.enable_grad()  # the penalty needs slopes even where the caller only measures losses
    def _adversary_loss(self, inputs: Tensor, vectors: Tensor) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        pairs = inputs.requires_grad_(), vectors.requires_grad_()
        scores = self.discriminator(*pairs)
        of_encoder, of_generator = scores.chunk(2)
        loss = F.softplus(of_encoder).mean() + F.softplus(-of_generator).mean()
        if self.gradient_penalty:
            # The scores do not depend on one another, so the gradient of the sum holds the slope of each.
            slopes = torch.autograd.grad(scores.sum(), pairs, create_graph=True)
            loss = loss + self.gradient_penalty * sum(slope.flatten(1).square().sum(dim=1).mean() for slope in slopes)
        accuracy = torch.cat([of_encoder < 0, of_generator > 0]).float().mean()
        return loss, accuracy
