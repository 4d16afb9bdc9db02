r"""How much of an image can be seen again in a representation: MS-SSIM of images decoded from it.

``ms_ssim/1``
    A `Decoder` learns to reconstruct the training inputs from their standardised features, by the mean squared error of
    values between 0 and 1: Adam, 1,000 batches of 32, a one-cycle learning rate up to 2e-3, in bfloat16 where that is
    faster. The figure is the mean MS-SSIM of at most 2,000 test inputs, evenly spaced, and their reconstructions,
    clipped to 0 and 1; 1 where they are equal. A longer training of the decoder reconstructs more. Values of 8 bits are
    divided by 255, others are scaled by the least and the largest of the training part.

    The similarity is that of torchmetrics, with its window (11 wide, Gaussian, deviation 1.5) and constants. Of the
    five scales as many are taken as leave the window inside the image: two for sides of 32, three for 64; their weights
    are the first of the published five, divided by their sum. As torchmetrics has it, the last scale is averaged over
    the whole image, mirrored at its borders, the others where the window lies inside. Figures of different scales do
    not compare.

Source: Wang, Simoncelli and Bovik, Multiscale structural similarity for image quality assessment, 2003; the protocol of
Hjelm et al., 2019, arXiv 1808.06670, which leaves the training and the scales open.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int, Num, UInt8
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from deep_infomax.data import Source, evenly_spaced
from deep_infomax.data.dataset import by
from deep_infomax.data.missing import filling
from deep_infomax.decoders import Decoder
from deep_infomax.evaluation.arrays import is_image
from deep_infomax.evaluation.probes import standardised
from deep_infomax.evaluation.results import Outcome
from deep_infomax.mutual_information.critics.fitting import batches
from deep_infomax.runtime.progress import Progress
from deep_infomax.runtime.random_numbers import own_random_numbers
from deep_infomax.training import TrainingConfig, learning_rate_factor, resolve_precision
from deep_infomax.training.prepare import use_channels_last

WINDOW: Final = 11
WEIGHTS: Final = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MOST_INPUTS: Final = 2000
STEPS: Final = 1000
BATCH: Final = 32
TRAINING: Final = TrainingConfig(learning_rate=2e-3, warmup=0.1)
_SHOWN: Final = 16


def ms_ssim(
    train: Source,
    features: Float[Tensor, "n d"],
    test: Source,
    test_features: Float[Tensor, "p d"],
    seeds: Sequence[int],
    progress: Progress,
) -> list[Outcome]:
    """MS-SSIM of test inputs decoded from their features, ``ms_ssim/1``; images of the first seed are kept.

    The seed settles the decoder's first weights and the order of the inputs.

    Raises:
        ValueError: Training inputs that are all one value.
    """
    scale = _Scale(train)
    y, test_y = standardised(features, test_features)
    rows = evenly_spaced(len(test), MOST_INPUTS)
    outcomes = []
    for number, seed in enumerate(seeds):

        def told(step: int, before: int = number) -> None:
            progress("decoding", before * STEPS + step, len(seeds) * STEPS)

        with own_random_numbers(seed, y.device), torch.enable_grad():
            decoder = Decoder(y.shape[1], train.shape[0], train.shape[1:]).to(y.device)
            use_channels_last(decoder)
            _train(decoder, y, train, scale, told)
        value, error = _compare(decoder.eval(), test_y, test, rows, scale)
        arrays = _shown(decoder, test_y, test) if number == 0 and is_image(test) else {}
        outcomes.append(
            Outcome(value, {}, {"mean_squared_error": error, "scales": scales(test.shape[1:])}, arrays, len(rows))
        )
    return outcomes


def scales(spatial: Sequence[int]) -> int:
    """Scales of MS-SSIM at which the window lies inside an image.

    >>> scales((32, 32)), scales((64, 64)), scales((500, 375))
    (2, 3, 5)
    """
    # The second divisor is torchmetrics' own rule; it matters for sides of 88 to 98.
    side = min(spatial)
    return sum(side // max(2**scale, scale**2) >= WINDOW for scale in range(len(WEIGHTS)))


def similarity(
    found: Float[Tensor, "n channels *spatial"], wanted: Float[Tensor, "n channels *spatial"]
) -> Float[Tensor, " n"]:
    """MS-SSIM of each pair of images with values between 0 and 1; 1 where they are equal."""
    weights = WEIGHTS[: scales(found.shape[2:])]
    values = multiscale_structural_similarity_index_measure(
        found,
        wanted,
        kernel_size=WINDOW,
        sigma=1.5,
        data_range=1.0,
        betas=tuple(weight / sum(weights) for weight in weights),
        reduction="none",
    )
    assert isinstance(values, Tensor)
    return values


def check_images(source: Source) -> None:
    """Raise ValueError for inputs that MS-SSIM does not compare."""
    spatial = source.shape[1:]
    if len(spatial) < 2 or not scales(spatial):
        raise ValueError(
            f"ms_ssim compares images and volumes with sides of at least {WINDOW}, {source.name} {source.split} has "
            f"inputs of {by(spatial)}; leave it out of `metrics`"
        )


class _Scale:
    """From stored values to values between 0 and 1; missing ones become the mean of their channel."""

    def __init__(self, source: Source) -> None:
        self.fill = filling(source)
        bytes_ = source.inputs.dtype in (torch.uint8, np.uint8)
        self.low, self.high = (0.0, 255.0) if bytes_ else _range(source, self.fill)

    def __call__(self, inputs: Num[Tensor, "n channels *spatial"]) -> Float[Tensor, "n channels *spatial"]:
        inputs = self.fill(inputs)
        if inputs.dtype is torch.float64:  # whose values may lie close together and far from zero
            return ((inputs - self.low) / (self.high - self.low)).float()
        return (inputs.float() - self.low) / (self.high - self.low)


def _range(source: Source, fill: Callable[[Tensor], Tensor]) -> tuple[float, float]:
    parts = [fill(source.take(rows)) for rows in torch.arange(len(source)).split(1024)]
    low, high = min(float(part.min()) for part in parts), max(float(part.max()) for part in parts)
    if low == high:
        raise ValueError(f"{source.name} {source.split} has one value only, {low:g}; there is nothing to reconstruct")
    return low, high


def _train(
    decoder: Decoder, y: Float[Tensor, "n d"], source: Source, scale: _Scale, told: Callable[[int], None]
) -> None:
    optimizer = torch.optim.Adam(decoder.parameters(), fused=True)
    order = batches(len(source), BATCH)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = learning_rate_factor(TRAINING, step, STEPS) * TRAINING.learning_rate
        rows = next(order)
        loss = functional.mse_loss(_decode(decoder, y[rows.to(y.device)]), scale(source.take(rows).to(y.device)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        told(step + 1)


def _decode(decoder: Decoder, y: Float[Tensor, "n d"]) -> Float[Tensor, "n channels *spatial"]:
    """In bfloat16 where the device computes with it faster, given back in float32."""
    fast = resolve_precision("auto", y.device) is torch.bfloat16
    with torch.autocast(y.device.type, torch.bfloat16, enabled=fast):
        decoded: Tensor = decoder(y)
    return decoded.float()


@torch.no_grad()
def _compare(
    decoder: Decoder, y: Float[Tensor, "p d"], source: Source, rows: Int[Tensor, " k"], scale: _Scale
) -> tuple[float, float]:
    """The mean similarity, and the mean squared error."""
    similar, error = 0.0, 0.0
    for part in rows.split(256):
        found = _decode(decoder, y[part.to(y.device)]).clamp(0, 1)
        wanted = scale(source.take(part).to(y.device)).clamp(0, 1)
        similar += float(similarity(found, wanted).sum())
        error += float((found - wanted).square().mean()) * len(part)
    return similar / len(rows), error / len(rows)


@torch.no_grad()
def _shown(decoder: Decoder, y: Float[Tensor, "p d"], source: Source) -> dict[str, UInt8[np.ndarray, "k h w channels"]]:
    """Some inputs of 8 bits and their reconstructions."""
    rows = evenly_spaced(len(source), _SHOWN)
    decoded = (_decode(decoder, y[rows.to(y.device)]).clamp(0, 1) * 255).round().byte()
    return {
        "inputs": source.take(rows).movedim(1, -1).cpu().numpy(),
        "reconstructions": decoded.movedim(1, -1).cpu().numpy(),
    }
