"""A Gaussian channel between the global vector and its scorers: units of variance 1, and normal noise on top of them.

Without noise the information between an input and a continuous ``Y`` is infinite, and says nothing of how ``Y`` is
distributed. Through the channel it is finite, and largest where ``Y`` is standard normal. Maximising it therefore
matches ``Y`` to that distribution, without an adversary.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deep_infomax.objectives.prior import Gaussian


class GaussianChannel(nn.Module):
    r"""Normalises every unit of ``Y`` and adds normal noise of a known deviation.

    With the mean and the deviation of every unit over the batch, in several processes over those of all,

    .. math::
        Z = \frac{Y - \mu}{s} + \sigma \varepsilon, \quad \varepsilon \sim N(0, I), \qquad
        I(X; Z) \le \frac{d}{2} \log\left(1 + \frac{1}{\sigma^2}\right)

    The largest value, the capacity of the channel, is reached only where Z is normal with independent units, and then
    so is ``Y``. In evaluation mode mean and deviation are running ones of the training's batches. The noise is part of
    what Z is and is drawn in both modes, from the generator that torch draws from on the device.

    Args:
        vector_size: d, units of ``Y``.
        deviation: sigma, in deviations of a unit.

    Raises:
        ValueError: ``deviation`` is not above 0 or not finite.

    Example:
        >>> channel = GaussianChannel(vector_size=64, deviation=0.5)
        >>> round(channel.capacity, 2)
        51.5
        >>> passed = channel(7 + 3 * torch.randn(1000, 64))
        >>> bool((passed.var() - (1 + 0.5**2)).abs() < 0.05)
        True

    Source: Butakov et al., Efficient distribution matching of representations via noise-injected Deep InfoMax, 2024,
    arXiv 2410.06993; the capacity: Shannon, A mathematical theory of communication, 1948.
    """

    def __init__(self, vector_size: int, deviation: float) -> None:
        super().__init__()
        if not (math.isfinite(deviation) and deviation > 0):
            raise ValueError(f"deviation is {deviation}; give a finite number above 0")
        self.deviation = deviation
        self.normalise = nn.BatchNorm1d(vector_size, affine=False)  # a learnt scale would undo the limit on the power

    @property
    def capacity(self) -> float:
        """The most information that passes, in nats."""
        return self.normalise.num_features / 2 * math.log1p(self.deviation**-2)

    def forward(self, vector: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """``Z``, in at least 32 bits. Raises ValueError for a batch of 1 in training mode."""
        normalised: Tensor = self.normalise(vector.to(torch.promote_types(vector.dtype, torch.float32)))
        n, d = vector.shape
        noise = Gaussian().sample(n, d, vector.device).to(normalised.dtype)
        return normalised + self.deviation * noise
