"""How the values of each channel are scaled before a network sees them, and back.

``standard`` subtracts the mean and divides by the deviation. One value in a thousand that is a thousand times as large
sets both, and leaves all others near zero. ``robust`` takes the median, and from the quartiles the deviation that a
normal distribution with them has; what lies further than `CLIPPED_AT` of those from the median is drawn in to there, so
that no tail outweighs the rest. ``symmetric`` spreads the range over [-1, 1], as is usual for images, and divides by no
deviation. ``log1p`` takes log(1 + x) first, under which counts over many orders of magnitude
spread evenly, and scales what it gives as ``standard`` does.
"""

from typing import Final, Literal

from jaxtyping import Float, Num
from torch import Tensor

from deep_infomax.runtime.names import Entry

Scaling = Literal["standard", "robust", "log1p", "symmetric"]

CLIPPED_AT: Final = 10.0
"""Deviations from the median beyond which ``robust`` clips; a normal value lies there once in 10^23."""
NORMAL_QUARTILES: Final = 1.3489795
"""Distance of the quartiles of a normal distribution, in its deviations."""

SCALINGS: Final[dict[Scaling, Entry]] = {
    "standard": Entry("standard", "The mean of each channel is subtracted, and its standard deviation divided by."),
    "robust": Entry(
        "robust",
        f"The median is subtracted, and the deviation divided by that the quartiles tell; clipped at {CLIPPED_AT:g}.",
    ),
    "log1p": Entry("log1p", "For counts: log(1 + x), then as standard. Negative values are refused."),
    "symmetric": Entry(
        "symmetric", "From -1 to 1: bytes by their range of 0 to 255, other values by least and largest."
    ),
}
"""Every scaling by its name."""


def scaled(values: Float[Tensor, "..."], mean: Tensor, std: Tensor, scaling: Scaling) -> Float[Tensor, "..."]:
    """Values as a network sees them; mean and deviation are those of the logarithms where these are taken.

    With ``symmetric`` they are the middle and half of the range.

    >>> import torch
    >>> scaled(torch.tensor([-5.0, 7.0, 1e9]), torch.tensor(3.0), torch.tensor(2.0), "robust").tolist()
    [-4.0, 2.0, 10.0]
    """
    if scaling == "log1p":
        values = values.log1p()
    found = (values - mean) / std
    return found.clamp(-CLIPPED_AT, CLIPPED_AT) if scaling == "robust" else found


def unscaled(values: Float[Tensor, "..."], mean: Tensor, std: Tensor, scaling: Scaling) -> Float[Tensor, "..."]:
    """Scaled values in their own units again; what was clipped stays where it was drawn in to.

    >>> import torch
    >>> unscaled(scaled(torch.tensor([0.0, 99.0]), torch.tensor(1.0), torch.tensor(2.0), "log1p"),
    ...     torch.tensor(1.0), torch.tensor(2.0), "log1p").round().tolist()
    [0.0, 99.0]
    """
    found = values * std + mean
    return found.expm1() if scaling == "log1p" else found


def refuse_negative(values: Num[Tensor, "k channels *spatial"], which: str) -> None:
    """Raise ValueError where inputs, called ``which``, hold values that are no counts."""
    if not values.dtype.is_signed or not (negative := values < 0).any():
        return
    channel = int(negative.movedim(1, 0).flatten(1).any(dim=1).int().argmax())
    some = values[:, channel][negative[:, channel]][0]
    raise ValueError(
        f"channel {channel} of {which} has negative values, such as {some:g}, "
        "which are no counts to take the logarithm of; set `data_options.scaling` to robust or standard"
    )
