"""What the methods that reconstruct their inputs share."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Normalise = Callable[[Tensor], Tensor]
"""From inputs as stored to what is reconstructed, such as ``encoder.normalise``."""


def reconstruction_error(
    found: Float[Tensor, "n channels *spatial"], wanted: Float[Tensor, "n channels *spatial"]
) -> Float[Tensor, ""]:
    """The mean square of the error of a value, in float32; about 1 where normalised inputs are met by their mean."""
    return functional.mse_loss(found.float(), wanted)
