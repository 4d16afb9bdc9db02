"""Representations of whole data sets by a frozen encoder: evaluation mode, no gradients, one pass for all layers.

They are computed in float32 whatever precision the encoder was trained in, so that figures do not depend on it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deep_infomax.data import Source
from deep_infomax.encoders import Encoder
from deep_infomax.encoders.base import eval_mode
from deep_infomax.evaluation.progress import Progress


def extract(
    encoder: Encoder,
    source: Source,
    layers: Sequence[str],
    *,
    batch_size: int = 512,
    precision: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> dict[str, Float[Tensor, "n _"]]:
    """Representations of a source at several layers, each ``(n, units)``, float32, on the CPU.

    The encoder runs where it is, and every one of its submodules is in the mode it was in afterwards.

    >>> from deep_infomax.data import load_dataset
    >>> from deep_infomax.encoders import digits
    >>> {layer: tuple(x.shape) for layer, x in extract(digits(), load_dataset("digits").test, ["fc", "Y"]).items()}
    {'fc': (500, 256), 'Y': (500, 16)}

    Args:
        encoder: Any encoder.
        source: Inputs as stored; memory-mapped ones are read one batch at a time.
        layers: Some of the encoder's layers.
        batch_size: Inputs encoded at a time; it changes speed and memory only.
        precision: What convolutions and matrix products run in.
        progress: Told after every batch.

    Raises:
        ValueError: An unknown layer, inputs that do not fit the encoder, or features that are not finite.
    """
    features = {layer: torch.empty(len(source), size) for layer, size in _sizes(encoder, layers).items()}
    for rows, batch in _batches(encoder, source, layers, batch_size, precision, progress):
        for layer in layers:
            features[layer][rows] = batch[layer]
    return features


def encode_dataset(
    encoder: Encoder,
    source: Source,
    path: Path,
    layer: str = "Y",
    *,
    batch_size: int = 512,
    progress: Progress | None = None,
) -> None:
    """Write the representation of a source as a float32 ``.npy`` file of shape ``(n, units)``.

    Neither the inputs nor the file have to fit into memory. The file is there whole or not at all.

    Raises:
        ValueError: As :func:`extract`; or ``path`` is in a folder that does not exist.
    """
    shape = (len(source), _sizes(encoder, [layer])[layer])
    if not path.parent.is_dir():
        raise ValueError(f"cannot write {path}: there is no folder {path.parent}; create it first")
    partial = path.with_name(f"{path.name}.partial")
    try:
        encoded = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
        for rows, batch in _batches(encoder, source, [layer], batch_size, torch.float32, progress):
            encoded[rows] = batch[layer].numpy()
        encoded.flush()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _sizes(encoder: Encoder, layers: Sequence[str]) -> dict[str, int]:
    for layer in layers:
        if layer not in encoder.layer_sizes:
            raise ValueError(f"unknown layer {layer!r}; this encoder has {', '.join(encoder.layers)}")
    return {layer: encoder.layer_sizes[layer] for layer in layers}


def _batches(
    encoder: Encoder,
    source: Source,
    layers: Sequence[str],
    batch_size: int,
    precision: torch.dtype,
    progress: Progress | None,
) -> Iterator[tuple[slice, dict[str, Float[Tensor, "k _"]]]]:
    """Rows of the source and their features, on the CPU."""
    encoder.check_inputs(source.inputs.shape)
    device = encoder.mean.device
    autocast = torch.autocast(device.type, precision, enabled=precision is not torch.float32)
    with eval_mode(encoder), torch.no_grad(), autocast:
        for start in range(0, len(source), batch_size):
            rows = slice(start, min(start + batch_size, len(source)))
            features = encoder(source.take(torch.arange(rows.start, rows.stop)).to(device))
            named = {**features.hidden, "Y": features.vector}
            batch = {layer: named[layer].float().cpu() for layer in layers}
            for layer, values in batch.items():
                if not values.isfinite().all():
                    raise ValueError(
                        f"the encoder gives values that are not finite at layer {layer!r} for {source.name} "
                        f"{source.split}, inputs {rows.start} to {rows.stop - 1}; check those inputs, or train anew"
                    )
            yield rows, batch
            if progress is not None:
                progress(f"encoding {source.name} {source.split}", rows.stop, len(source))
