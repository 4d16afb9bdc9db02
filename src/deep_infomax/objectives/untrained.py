"""The floor of every comparison: an encoder that is never trained."""

from collections.abc import Callable

from torch import Tensor

from deep_infomax.contracts import Batch, Features, Losses, Objective


class Untrained(Objective):
    """Leave the weights as they were initialised: the loss is 0 and so is the gradient of every parameter.

    Passing through the same loop as every other method still estimates the batch normalisation's statistics, without
    which a random encoder in eval mode would be a needlessly weak floor. Train it without weight decay, which would
    shrink the weights whatever the gradient.
    """

    def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
        """A loss of 0 that every parameter of the encoder takes part in."""
        features = encode(batch.inputs)
        loss = 0 * (features.local.float().mean() + features.vector.float().mean())
        return Losses(loss, None, {"loss": loss.detach()})
