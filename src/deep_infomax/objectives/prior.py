"""Prior matching: an adversary separates samples of a prior from global vectors, and the encoder makes them alike.

The discriminator D is trained to score prior samples high and vectors low, the encoder to have its vectors scored high
(Goodfellow et al., Generative adversarial nets, 2014, arXiv 1406.2661; Makhzani et al., Adversarial autoencoders, 2015,
arXiv 1511.05644). Each side has a loss of its own, whose gradient does not reach the other.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import ClassVar, Final, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from deep_infomax.contracts import Batch, Features, Losses, Part
from deep_infomax.runtime.values import read_setting

Penalised = Literal["both", "prior"]
"""Whose slopes a penalty is on: samples of the prior and vectors, or the former alone."""


class Prior(ABC):
    """A distribution that global vectors are made to follow."""

    title: ClassVar[str]
    """What it is called."""
    meaning: ClassVar[str]
    """What it is, in one sentence."""

    @abstractmethod
    def sample(self, n: int, d: int, device: torch.device) -> Float[Tensor, "n d"]:
        """Draw n independent vectors of d units with the global random numbers of the device."""

    def squash(self, vector: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """What of ``Y`` is compared with the prior: ``Y`` itself unless a prior needs it in a range."""
        return vector


class Uniform(Prior):
    """Uniform on [0, 1]^d, compared with the sigmoid of ``Y``."""

    title = "uniform"
    meaning = "Uniform on [0, 1] in every unit, compared with the sigmoid of Y."

    def sample(self, n: int, d: int, device: torch.device) -> Float[Tensor, "n d"]:
        """Draw n vectors."""
        return torch.rand(n, d, device=device)

    def squash(self, vector: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Map ``Y`` into (0, 1), for the comparison only."""
        return vector.sigmoid()


class Gaussian(Prior):
    """Standard normal in d dimensions."""

    title = "standard normal"
    meaning = "Standard normal in every unit."

    def sample(self, n: int, d: int, device: torch.device) -> Float[Tensor, "n d"]:
        """Draw n vectors."""
        return torch.randn(n, d, device=device)


class Sphere(Prior):
    """Uniform on the unit sphere in d dimensions."""

    title = "unit sphere"
    meaning = "Uniform on the unit sphere."

    def sample(self, n: int, d: int, device: torch.device) -> Float[Tensor, "n d"]:
        """Draw n vectors: directions of normal vectors (Muller, 1959)."""
        return F.normalize(torch.randn(n, d, device=device))


class Ball(Prior):
    """Uniform in the unit ball in d dimensions."""

    title = "unit ball"
    meaning = "Uniform in the unit ball."

    def sample(self, n: int, d: int, device: torch.device) -> Float[Tensor, "n d"]:
        """Draw n vectors: uniform directions at distances r with P(r < s) = s^d, the share of the volume within s."""
        distance = torch.rand(n, 1, device=device) ** (1 / d)
        return distance * Sphere().sample(n, d, device)


PRIORS: Final[dict[str, Prior]] = {"uniform": Uniform(), "gaussian": Gaussian(), "ball": Ball(), "sphere": Sphere()}
"""Every prior by its name in recipes and on the command line."""


class PriorMatching(Part):
    r"""The adversarial divergence between a prior and the distribution of ``Y``.

    With u drawn from the prior and y = squash(Y), the encoder minimises the non-saturating loss and the discriminator D
    its binary cross-entropy plus a penalty on its slope:

    .. math::
        \mathcal{L}_{encoder} &= \mathbb{E}_y\, \mathrm{softplus}(-D(y)) \\
        \mathcal{L}_{adversary} &= \mathbb{E}_u\, \mathrm{softplus}(-D(u)) + \mathbb{E}_y\, \mathrm{softplus}(D(y))
        + \tfrac{\lambda}{2} \left[ \mathbb{E}_u \lVert \nabla D(u) \rVert^2
        + \mathbb{E}_y \lVert \nabla D(y) \rVert^2 \right]

    One pushes D(y) up, the other down. The penalty takes the gradient of every sample, of both kinds or of the prior's
    alone, where its second half is left out. Without it the two sides circle their equilibrium instead of reaching it.

    Args:
        prior: the distribution to match.
        vector_size: d, units of ``Y``.
        units: units of the hidden layers of D, each followed by a ReLU.
        gradient_penalty: lambda.
        penalised: ``both``, or ``prior`` for the samples of the prior alone.

    Raises:
        ValueError: ``gradient_penalty`` is negative or not finite, ``penalised`` is unknown, or ``prior`` is no
            `Prior`.

    Source: Goodfellow et al., Generative adversarial nets, 2014, arXiv 1406.2661; the penalty: Mescheder et al., Which
    training methods for GANs do actually converge?, 2018, arXiv 1801.04406 (R1 and R2 together, or R1 alone, gamma =
    lambda).
    """

    not_compiled = ("_adversary_loss",)  # it differentiates twice; read by `training.compilation`

    def __init__(
        self,
        prior: Prior,
        vector_size: int,
        units: Sequence[int] = (1000, 200),
        gradient_penalty: float = 1.0,
        penalised: Penalised = "both",
    ) -> None:
        super().__init__()
        if not isinstance(prior, Prior):
            raise ValueError(f"`prior` is {prior!r}; give a Prior, such as Uniform() of deep_infomax.objectives")
        if not (math.isfinite(gradient_penalty) and gradient_penalty >= 0):
            raise ValueError(f"gradient_penalty is {gradient_penalty}; give a finite number of at least 0")
        self.prior = prior
        self.gradient_penalty = gradient_penalty
        self.penalised: Penalised = read_setting("penalised", Penalised, penalised)
        sizes = (vector_size, *units)
        hidden = [layer for size in pairwise(sizes) for layer in (nn.Linear(*size), nn.ReLU())]
        self.discriminator = nn.Sequential(*hidden, nn.Linear(sizes[-1], 1))

    def losses(self, batch: Batch, features: Features, encode: Callable[[Tensor], Features]) -> Losses:
        """Those of ``Y``."""
        found: Losses = self(features.vector)
        return found

    def adversary_parameters(self) -> Iterable[nn.Parameter]:
        """Those of the discriminator."""
        return self.discriminator.parameters()

    def forward(self, vector: Float[Tensor, "n d"]) -> Losses:
        """The losses of both sides. Terms: ``encoder`` and ``adversary``, which are these losses, and ``accuracy``.

        The accuracy is the discriminator's on samples of the prior and vectors alike: near 0.5 once they match.
        """
        # Slopes squared and differentiated again ask for more digits than bfloat16 has.
        with torch.autocast(vector.device.type, enabled=False):
            y = self.prior.squash(vector.to(next(self.discriminator.parameters()).dtype))
            encoder = self._encoder_loss(y)
            adversary, accuracy = self._adversary_loss(y.detach())
        terms = {"encoder": encoder, "adversary": adversary, "accuracy": accuracy}
        return Losses(encoder, adversary, {name: term.detach().float() for name, term in terms.items()})

    def _encoder_loss(self, y: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        frozen = {name: parameter.detach() for name, parameter in self.discriminator.named_parameters()}
        return F.softplus(-functional_call(self.discriminator, frozen, (y,))).mean()

    @torch.enable_grad()  # the penalty needs slopes even where the caller only measures losses
    def _adversary_loss(self, y: Float[Tensor, "n d"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        n, d = y.shape
        samples = self.prior.sample(n, d, y.device).to(y.dtype)
        inputs = torch.cat([samples, y]).requires_grad_()
        scores = self.discriminator(inputs)
        on_samples, on_vectors = scores.chunk(2)
        loss = F.softplus(-on_samples).mean() + F.softplus(on_vectors).mean()
        if self.gradient_penalty:
            # No layer of D mixes samples, so the gradient of the sum holds the slope of each.
            (slopes,) = torch.autograd.grad(scores.sum(), inputs, create_graph=True)
            squared = slopes.square().sum(dim=1)
            mean = squared.mean() if self.penalised == "both" else squared[:n].mean() / 2
            loss = loss + self.gradient_penalty * mean
        accuracy = torch.cat([on_samples > 0, on_vectors < 0]).float().mean()
        return loss, accuracy
