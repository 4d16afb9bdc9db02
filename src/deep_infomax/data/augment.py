"""Random crops and mirror images of a batch, on its device. The paper uses them for STL-10 only."""

from dataclasses import dataclass

import torch
from jaxtyping import Int, Num
from torch import Tensor

from deep_infomax.data.dataset import to_device
from deep_infomax.data.options import DataOptions


@dataclass(frozen=True)
class CropAndFlip:
    """Cut a random window out of every input, and mirror half of them along the last axis.

    Draws come from torch's global generator of the CPU, one position (and coin) for each input, whatever the device;
    all else is computed there.
    """

    size: int | None = None
    """Length of the window along every spatial axis; None keeps the whole."""
    flip: bool = False

    def __call__(self, inputs: Num[Tensor, "n channels *spatial"]) -> Num[Tensor, "n channels *cropped"]:
        """Return a new batch.

        Raises:
            ValueError: An axis is shorter than the window.
        """
        n, device = len(inputs), inputs.device
        for axis in range(2, inputs.ndim):
            length = inputs.shape[axis]
            size = self.size or length
            if size > length:
                raise ValueError(
                    f"`data_options.random_crop` is {size}, which does not fit into inputs of {length}; lower it"
                )
            if size < length:
                start = to_device(torch.randint(length - size + 1, (n, 1)), device)
                inputs = gather(inputs, axis, start + torch.arange(size, device=device))
        if self.flip:
            forward = torch.arange(inputs.shape[-1], device=device)
            mirrored = to_device((torch.rand(n, 1) < 0.5).long(), device)
            inputs = gather(inputs, inputs.ndim - 1, torch.where(mirrored == 1, forward.flip(0), forward))
        return inputs


def gather(
    inputs: Num[Tensor, "n channels *spatial"], axis: int, index: Int[Tensor, "n size"]
) -> Num[Tensor, "n channels *gathered"]:
    """Pick positions along one axis, different ones for each input."""
    shape = [1] * inputs.ndim
    shape[0], shape[axis] = index.shape
    return inputs.take_along_dim(index.reshape(shape), dim=axis)


def augmentation(options: DataOptions) -> CropAndFlip | None:
    """Return the transform of training batches that the options ask for, if any."""
    if options.random_crop is None and not options.flip:
        return None
    return CropAndFlip(options.random_crop, options.flip)
