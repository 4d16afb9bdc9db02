"""What the report shows of a method that decodes: some inputs, their reconstructions, and samples of its prior."""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Num
from torch import Tensor

from deep_infomax.contracts import Illustrated
from deep_infomax.encoders.base import eval_mode
from deep_infomax.training.prepare import Model

_SHOWN: Final = 16


def save_pictures(folder: Path, model: Model, inputs: Num[Tensor, "n channels *spatial"]) -> None:
    """Write ``objective.npz`` with images of 8 bits, channels last; nothing for other inputs and other methods."""
    image = inputs.dtype is torch.uint8 and inputs.dim() == 4 and inputs.shape[1] in (1, 3)
    if not (image and isinstance(model.objective, Illustrated)):
        return
    encoder = model.encoder
    shown = inputs[torch.arange(min(_SHOWN, len(inputs))) * len(inputs) // min(_SHOWN, len(inputs))]
    with eval_mode(model), torch.no_grad():
        shown = shown.to(encoder.mean.device)
        pictures = model.objective.pictures(shown, encoder(shown).vector)
    mean, std = (statistic[:, None, None] for statistic in (encoder.mean, encoder.std))
    stored = {name: (values * std + mean).round().clamp(0, 255).byte() for name, values in pictures._asdict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "objective.npz.partial"
    with partial.open("wb") as file:
        np.savez_compressed(file, **{name: values.movedim(1, -1).cpu().numpy() for name, values in stored.items()})
    partial.replace(folder / "objective.npz")
