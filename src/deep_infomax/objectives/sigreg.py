"""SIGReg: how far the global vectors are from a standard normal, by characteristic functions and without an adversary.

A distribution in d dimensions is standard normal if and only if each of its projections onto a line is (Cramer and
Wold, 1936). So a few random lines are drawn at every step, and the vectors' projections onto each are compared with a
normal variable by the statistic of Epps and Pulley.
"""

from collections.abc import Callable
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from deep_infomax.contracts import Batch, Features, Losses, Part
from deep_infomax.objectives.prior import Sphere
from deep_infomax.runtime.processes import gathered, world_size
from deep_infomax.runtime.values import require_count

POINTS: Final = 17
"""Values of t from 0 on at which characteristic functions are compared; those below 0 are their mirror images."""
REACH: Final = 5.0
"""The largest of them, where the window has fallen to 4e-6."""


def epps_pulley(samples: Float[Tensor, "n k"]) -> Float[Tensor, " k"]:
    r"""The statistic of Epps and Pulley for k variables, each against the standard normal distribution.

    .. math:: n \int \left| \frac{1}{n} \sum_i e^{i t x_i} - e^{-t^2 / 2} \right|^2 e^{-t^2 / 2}\, dt

    Both characteristic functions are compared at 33 values of t from -5 to 5 and the integral is taken by the
    trapezoid rule, which is right to five digits for samples within 7 of zero. The rule is periodic: a sample at 20.1
    counts like one at 0. The gradient of a sample is bounded.

    Of normal samples, however many, the mean is :math:`\sqrt{2 \pi} (1 - 1 / \sqrt{3}) = 1.0594`; of others it grows
    with n. In several processes n counts the samples of all, whose characteristic function is one.

    Args:
        samples: n independent values of each variable.

    Example:
        >>> normal, uniform = torch.randn(2000, 1), 3**0.5 * (2 * torch.rand(2000, 1) - 1)  # deviation 1 as well
        >>> bool(epps_pulley(normal) < 4 < epps_pulley(uniform))
        True

    Source: Epps and Pulley, A test for normality based on the empirical characteristic function, 1983, here with mean 0
    and variance 1 given instead of estimated.
    """
    t = torch.linspace(0, REACH, POINTS, dtype=samples.dtype, device=samples.device)
    angles = samples[:, :, None] * t
    own = torch.stack([angles.cos().mean(0), angles.sin().mean(0)])
    real, imaginary = gathered(own[None]).mean(0)
    normal = (-t.square() / 2).exp()
    distance = (real - normal).square() + imaginary.square()
    return 2 * len(samples) * world_size() * torch.trapezoid(distance * normal, t)


class SIGReg(Part):
    r"""The mean statistic of Epps and Pulley over random projections of ``Y``.

    .. math:: \mathcal{L} = \frac{1}{K} \sum_k T(u_k^\top Y_1, \dots, u_k^\top Y_n), \qquad \lVert u_k \rVert = 1

    T is `epps_pulley`. It is multiplied by the number of inputs, as published: the loss of a standard normal ``Y`` is
    1.06 whatever the batch, and its pull on others grows with the batch. Directions are drawn anew at every call, from
    the generator that torch draws from on the device; several processes use those of the first.

    Args:
        projections: K.

    Raises:
        ValueError: ``projections`` is below 1.

    Example:
        >>> part = SIGReg()
        >>> normal, shifted = torch.randn(256, 8), 1 + torch.randn(256, 8)
        >>> bool(part(normal).encoder < 2 < part(shifted).encoder)
        True

    Source: Balestriero and LeCun, LeJEPA: provable and scalable self-supervised learning without the heuristics, 2025,
    arXiv 2511.08544.
    """

    def __init__(self, projections: int = 256) -> None:
        super().__init__()
        require_count("projections", projections)
        self.projections = projections

    def losses(self, batch: Batch, features: Features, encode: Callable[[Tensor], Features]) -> Losses:
        """Those of ``Y``."""
        found: Losses = self(features.vector)
        return found

    def forward(self, vector: Float[Tensor, "n d"]) -> Losses:
        """The loss, of the encoder alone. Term: ``loss``."""
        with torch.autocast(vector.device.type, enabled=False):  # angles need more digits than bfloat16 has
            y = vector.to(torch.promote_types(vector.dtype, torch.float32))
            directions = gathered(Sphere().sample(self.projections, y.shape[1], y.device)[None])[0]
            loss = epps_pulley(y @ directions.to(y.dtype).T).mean()
        return Losses(loss, None, {"loss": loss.detach().float()})
