"""What the report shows of a method that decodes: some inputs, their reconstructions, and samples of its prior."""

from pathlib import Path
from typing import Final

import torch
from jaxtyping import Num
from torch import Tensor

from deep_infomax.contracts import Illustrated
from deep_infomax.data import evenly_spaced
from deep_infomax.encoders.base import eval_mode
from deep_infomax.runtime.files import save_arrays
from deep_infomax.training.prepare import Model

_SHOWN: Final = 16


def save_pictures(folder: Path, model: Model, inputs: Num[Tensor, "n channels *spatial"]) -> None:
    """Write ``objective.npz`` with images of 8 bits, channels last; nothing for other inputs and other methods."""
    image = inputs.dtype is torch.uint8 and inputs.dim() == 4 and inputs.shape[1] in (1, 3)
    if not (image and isinstance(model.objective, Illustrated)):
        return
    encoder = model.encoder
    shown = inputs[evenly_spaced(len(inputs), _SHOWN)]
    with eval_mode(model), torch.no_grad():
        shown = shown.to(encoder.mean.device)
        pictures = model.objective.pictures(shown, encoder(shown).vector)
    raw = {name: encoder.denormalise(values) for name, values in pictures._asdict().items()}
    stored = {name: values.round().clamp(0, 255).byte() for name, values in raw.items()}
    arrays = {name: values.movedim(1, -1).cpu().numpy() for name, values in stored.items()}
    save_arrays(folder / "objective.npz", **arrays)
