"""Random crops and mirror images of a batch, on its device. The paper uses them for STL-10 only."""

from dataclasses import dataclass

import torch
from jaxtyping import Int, Num
from torch import Tensor

from deep_infomax.data.dataset import to_device
from deep_infomax.data.options import DataOptions, Sides, sides
from deep_infomax.runtime.missing import Missing, is_missing


@dataclass(frozen=True)
class CropAndFlip:
    """Cut a random window out of every input, and mirror half of them along the last axis.

    Draws come from torch's global generator of the CPU, one position (and coin) for each input, whatever the device;
    all else is computed there.
    """

    size: Sides | None = None
    """Length of the window along every spatial axis, or along each; None keeps the whole."""
    flip: bool = False
    missing: Missing | None = None
    """What stands for missing values, as in what shorter inputs are padded with: a window lies where values are, as far
    as it fits there."""

    def __call__(self, inputs: Num[Tensor, "n channels *spatial"]) -> Num[Tensor, "n channels *cropped"]:
        """Return a new batch.

        Raises:
            ValueError: An axis is shorter than the window.
        """
        n, device = len(inputs), inputs.device
        spatial = tuple(inputs.shape[2:])
        for axis, size in enumerate(sides("random_crop", self.size or spatial, len(spatial)), start=2):
            length = inputs.shape[axis]
            if size > length:
                raise ValueError(
                    f"`data_options.random_crop` is {size}, which does not fit into inputs of {length}; lower it"
                )
            if size < length:
                start = self._starts(inputs, axis, size)
                inputs = gather(inputs, axis, start + torch.arange(size, device=device))
        if self.flip:
            forward = torch.arange(inputs.shape[-1], device=device)
            mirrored = to_device((torch.rand(n, 1) < 0.5).long(), device)
            inputs = gather(inputs, inputs.ndim - 1, torch.where(mirrored == 1, forward.flip(0), forward))
        return inputs

    def _starts(self, inputs: Num[Tensor, "n channels *spatial"], axis: int, size: int) -> Int[Tensor, "n 1"]:
        """Where the windows begin along an axis."""
        n, _, *spatial = inputs.shape
        most = inputs.shape[axis] - size
        if self.missing is None:
            return to_device(torch.randint(most + 1, (n, 1)), inputs.device)
        drawn = to_device(torch.rand(n, 1), inputs.device)
        there = ~is_missing(inputs, self.missing).movedim(axis, 1).flatten(2).all(dim=2)
        first = there.int().argmax(dim=1, keepdim=True)
        after = spatial[axis - 2] - there.flip(1).int().argmax(dim=1, keepdim=True)
        room = after - first - size
        start = torch.where(room > 0, first + (drawn * (room + 1)).floor().clamp(max=room), first + room // 2)
        return start.clamp(0, most).long()


def gather(
    inputs: Num[Tensor, "n channels *spatial"], axis: int, index: Int[Tensor, "n size"]
) -> Num[Tensor, "n channels *gathered"]:
    """Pick positions along one axis, different ones for each input."""
    shape = [1] * inputs.ndim
    shape[0], shape[axis] = index.shape
    return inputs.take_along_dim(index.reshape(shape), dim=axis)


def augmentation(options: DataOptions, missing: Missing | None = None) -> CropAndFlip | None:
    """Return the transform of training batches that the options ask for, if any.

    Args:
        options: The user's.
        missing: What stands for missing values in the inputs.
    """
    if options.random_crop is None and not options.flip:
        return None
    return CropAndFlip(options.random_crop, options.flip, missing)
