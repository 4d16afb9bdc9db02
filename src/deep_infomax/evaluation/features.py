"""Representations of whole data sets by a frozen encoder: evaluation mode, no gradients, one pass for all layers.

They are computed in float32 whatever precision the encoder was trained in, so that figures do not depend on it. (On a
GPU PyTorch lets cuDNN round the factors of such convolutions to TF32, unless ``torch.backends.cudnn`` forbids it.)
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from deep_infomax.data import Dataset, Source
from deep_infomax.encoders import Encoder
from deep_infomax.runtime.files import check_output, written_whole
from deep_infomax.runtime.progress import Progress


def extract(
    encoder: Encoder,
    source: Source,
    layers: Sequence[str],
    *,
    batch_size: int | None = None,
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
        batch_size: Inputs encoded at a time; it changes speed and memory only. None takes 512, fewer of large ones.
        progress: Told after every batch.

    Raises:
        ValueError: An unknown layer, inputs that do not fit the encoder, or features that are not finite.
    """
    features = {layer: torch.empty(len(source), encoder.units(layer)) for layer in layers}
    for rows, batch in _batches(encoder, source, layers, batch_size, progress):
        for layer in layers:
            features[layer][rows] = batch[layer]
    return features


def encode_dataset(
    encoder: Encoder,
    dataset: Dataset,
    path: Path,
    layer: str = "Y",
    split: str = "train",
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the representation of a split as a float32 ``.npy`` file of shape ``(n, units)``.

    Its rows are in the order of the stored inputs; where the test part was held out of the training inputs, the split
    ``train`` has both. Neither the inputs nor the file have to fit into memory. The file is there whole or not at all.

    Raises:
        ValueError: As :func:`extract` and `check_output`; or the data set has no such split.
    """
    if split not in dataset.stored:
        raise ValueError(f"{dataset.name} has no split {split!r}; it has {', '.join(dataset.stored)}")
    parts = dataset.stored[split]
    shape = (sum(len(source) for source, _ in parts), encoder.units(layer))
    check_output(path)
    with written_whole(path) as file:
        # Written plainly: where a disk is full, a write is an error, and memory that maps a file ends the process.
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        for source, stored in parts:
            for rows, batch in _batches(encoder, source, [layer], batch_size, progress):
                _write_rows(file, start, stored[rows].numpy(), batch[layer].numpy())


def _write_rows(file: BinaryIO, start: int, places: Int[np.ndarray, " k"], rows: Float[np.ndarray, "k d"]) -> None:
    """Write rows to their places in a file whose rows begin at ``start``: a stretch of neighbours at a time."""
    order = np.argsort(places)
    for stretch in np.split(order, np.flatnonzero(np.diff(places[order]) != 1) + 1):
        file.seek(start + int(places[stretch[0]]) * rows[0].nbytes)
        file.write(rows[stretch].tobytes())


def _batches(
    encoder: Encoder,
    source: Source,
    layers: Sequence[str],
    batch_size: int | None,
    progress: Progress | None,
) -> Iterator[tuple[slice, dict[str, Float[Tensor, "k _"]]]]:
    """Rows of the source and their features, on the CPU."""

    def take(rows: slice) -> Tensor:
        return source.take(torch.arange(rows.start, rows.stop))

    for rows, batch in encoder.in_batches(take, source.inputs.shape, layers, batch_size):
        for layer, values in batch.items():
            if not values.isfinite().all():
                raise ValueError(
                    f"the encoder gives values that are not finite at layer {layer!r} for {source.name} "
                    f"{source.split}, inputs {rows.start} to {rows.stop - 1}; check those inputs, or train anew"
                )
        yield rows, batch
        if progress is not None:
            progress(f"encoding {source.name} {source.split}", rows.stop, len(source))
