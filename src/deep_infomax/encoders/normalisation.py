"""How an encoder normalises what it is given: scaled by the statistics of its training data, missing values filled."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor, nn

from deep_infomax.runtime.missing import Missing, is_missing, read_missing
from deep_infomax.runtime.scaling import Scaling, refuse_negative, scaled, unscaled
from deep_infomax.runtime.values import read_setting


class Normalisation(nn.Module):
    """A module that knows the scale of its inputs.

    Attributes:
        channels: Channels of an input.
        spatial: Spatial sizes of an input: one, two or three.
        mean: Buffer ``(channels,)``: what is subtracted from the inputs, in their units.
        std: Buffer ``(channels,)``: what the inputs are divided by, in their units.
        offset: What is subtracted first, ``(channels,)`` in float64, where float32 would tell too few inputs apart;
            else None. ``mean`` and ``std`` are those of what is left.
        scaling: How they are used, a name of `runtime.scaling.SCALINGS`.
        missing: What stands for a missing value in the inputs, ``"nan"`` or a number; None where none may be missing.
    """

    mean: Tensor
    std: Tensor
    offset: Tensor | None

    def __init__(self, channels: int, spatial: tuple[int, ...]) -> None:
        super().__init__()
        self.channels = channels
        self.spatial = spatial
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        self.register_buffer("offset", None, persistent=False)
        self.scaling: Scaling = "standard"
        self.missing: Missing | None = None

    def normalise(self, inputs: Num[Tensor, "n channels *spatial"]) -> Float[Tensor, "n channels *spatial"]:
        """The inputs as the network sees them: ``(inputs - offset - mean) / std``, per channel.

        With the scaling ``robust`` this is clipped, with ``log1p`` the logarithm of 1 + inputs is taken first. Missing
        values become 0.
        """
        values = inputs
        if self.offset is not None:
            values = values.double() - self._by_channel(self.offset.double())
        values = values.to(self.mean.dtype)
        found = scaled(values, self._by_channel(self.mean), self._by_channel(self.std), self.scaling)
        return found if self.missing is None else found.masked_fill(self.gaps(inputs), 0.0)

    def denormalise(self, values: Float[Tensor, "n channels *spatial"]) -> Float[Tensor, "n channels *spatial"]:
        """What `normalise` gives as inputs in their own units, in double precision where an offset is added."""
        found = unscaled(values, self._by_channel(self.mean), self._by_channel(self.std), self.scaling)
        return found if self.offset is None else found.double() + self._by_channel(self.offset.double())

    def _by_channel(self, values: Float[Tensor, " channels"]) -> Float[Tensor, "channels *ones"]:
        return values.view(-1, *(1 for _ in self.spatial))

    @property
    def has_statistics(self) -> bool:
        """Whether inputs are normalised at all; a new encoder takes them as they are."""
        return bool((self.mean != 0).any() or (self.std != 1).any()) or self.offset is not None

    @torch.no_grad()
    def set_statistics(
        self,
        mean: Sequence[float] | Tensor,
        std: Sequence[float] | Tensor,
        offset: Sequence[float] | Tensor | None = None,
        scaling: str = "standard",
        missing: Missing | None = None,
    ) -> None:
        """Set what inputs are normalised with: a mean and a standard deviation a channel, in the units of the inputs.

        Args:
            mean: Of what is left of the inputs when the offset is subtracted.
            std: Of the same.
            offset: What is subtracted first, in double precision; None for inputs that float32 tells apart.
            scaling: A name of `runtime.scaling.SCALINGS`. With ``log1p``, mean and deviation are those of log(1 + x).
            missing: What stands for a missing value, ``"nan"`` or a number; None takes NaN and all numbers for values.

        Raises:
            ValueError: a wrong number of values, one that is not finite, or a standard deviation that is not positive;
                an unknown scaling, or ``log1p`` with an offset.
        """
        found: Scaling = read_setting("scaling", Scaling, scaling)
        if found == "log1p" and offset is not None:
            raise ValueError("`offset` cannot be subtracted from what log1p is taken of; leave it out")
        values = {"mean": torch.as_tensor(mean).to(self.mean), "std": torch.as_tensor(std).to(self.std)}
        if offset is not None:
            values["offset"] = torch.as_tensor(offset, dtype=torch.float64).to(self.mean.device)
        for name, value in values.items():
            if value.shape != self.mean.shape:
                raise ValueError(
                    f"{name} must hold one value for each of {self.channels} channels, got shape {tuple(value.shape)}"
                )
            if not value.isfinite().all():
                raise ValueError(f"{name} must be finite, got {value.tolist()}; look for NaN or infinity in the data")
        if not (values["std"] > 0).all():
            raise ValueError(f"std must be positive, got {values['std'].tolist()}; give 1 for a constant channel")
        self.mean.copy_(values["mean"])
        self.std.copy_(values["std"])
        self.offset = values.get("offset")
        self.scaling = found
        self.missing = read_missing("missing", missing)

    def gaps(self, inputs: Num[Tensor, "n channels *spatial"]) -> Bool[Tensor, "n channels *spatial"]:
        """Which values are missing; only of an encoder that knows what stands for them."""
        assert self.missing is not None
        return is_missing(inputs, self.missing)

    def check_missing(self, missing: Missing | None, which: str) -> None:
        """Raise a ValueError unless the encoder knows what stands for the missing values of some inputs.

        Args:
            missing: What stands for them; None where none is missing.
            which: What the error calls the inputs.
        """
        if missing in (None, self.missing):
            return
        trained = "without any" if self.missing is None else f"in which {self.missing} stands for them"
        raise ValueError(
            f"values of {which} are missing ({missing}), and the encoder was trained on data {trained}; train it on "
            "data like these, or fill them first"
        )

    def check_counts(self, inputs: Num[Tensor, "n channels *spatial"]) -> None:
        """Raise a ValueError where logarithms are to be taken of negative values."""
        if self.scaling == "log1p":
            refuse_negative(inputs if self.missing is None else inputs.masked_fill(self.gaps(inputs), 0), "the inputs")
