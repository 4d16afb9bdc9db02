"""Representations of whole data sets by a frozen encoder: evaluation mode, no gradients, one pass for all layers.

They are computed in float32 whatever precision the encoder was trained in, so that figures do not depend on it. (On a
GPU PyTorch lets cuDNN round the factors of such convolutions to TF32, unless ``torch.backends.cudnn`` forbids it.)
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from deep_infomax.data import Dataset, Source
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation.outputs import Representation, beside, output_of
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
    name, shape = f"{source.name} {source.split}", source.inputs.shape
    encoder.check_missing(source.missing, name)
    for rows, batch in _batches(encoder, partial(_taken, source), shape, name, layers, batch_size, progress):
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
) -> list[str]:
    """Write the representation of a split, as the ending of the file says (`OUTPUTS`).

    ``.npy`` has the values alone, float32 of shape ``(n, units)``. ``.npz``, ``.csv`` and ``.parquet`` also say of each
    row its index, its file where that is known, its split, and the name of its class where there is one.

    Rows are in the order of the stored inputs; where the test part was held out of the training inputs, the split
    ``train`` has both. Neither the inputs nor the file have to fit into memory. The file is there whole or not at all.

    Returns:
        The names of what a row has beside its values; none for ``.npy``.

    Raises:
        ValueError: As :func:`extract`, `check_output` and `output_of`; or the data set has no such split.
    """
    if split not in dataset.stored:
        raise ValueError(f"{dataset.name} has no split {split!r}; it has {', '.join(dataset.stored)}")
    parts = dataset.stored[split]
    encoder.check_missing(parts[0][0].missing, f"{dataset.name} {split}")
    units = encoder.units(layer)
    check_output(path)
    output = output_of(path)
    shape = (sum(len(source) for source, _ in parts), *parts[0][0].shape)
    name = f"{dataset.name} {split}"
    batches = _batches(encoder, partial(_stored, parts), shape, name, [layer], batch_size, progress)
    found = Representation(layer, units, beside(parts), (batch[layer].numpy() for _, batch in batches))
    with written_whole(path) as file:
        output.write(file, found)
    return list(found.beside) if output.described else []


def _stored(parts: Sequence[tuple[Source, Int[Tensor, " _"]]], rows: slice) -> Num[Tensor, "k channels *spatial"]:
    """Inputs in the order in which they are stored, of sources whose inputs have ascending rows."""
    found, places = [], []
    for source, stored in parts:
        first, last = torch.searchsorted(stored, torch.tensor([rows.start, rows.stop])).tolist()
        if first < last:
            found.append(source.take(torch.arange(first, last)))
            places.append(stored[first:last] - rows.start)
    return torch.cat(found)[torch.cat(places).argsort().to(found[0].device)]


def _taken(source: Source, rows: slice) -> Num[Tensor, "k channels *spatial"]:
    return source.take(torch.arange(rows.start, rows.stop))


def _batches(
    encoder: Encoder,
    take: Callable[[slice], Num[Tensor, "k channels *spatial"]],
    shape: Sequence[int],
    name: str,
    layers: Sequence[str],
    batch_size: int | None,
    progress: Progress | None,
) -> Iterator[tuple[slice, dict[str, Float[Tensor, "k _"]]]]:
    """Rows of inputs of a shape, and their features, on the CPU; the name is what messages call the inputs."""
    for rows, batch in encoder.in_batches(take, shape, layers, batch_size):
        for layer, values in batch.items():
            if not values.isfinite().all():
                raise ValueError(
                    f"the encoder gives values that are not finite at layer {layer!r} for {name}, "
                    f"inputs {rows.start} to {rows.stop - 1}; check those inputs, or train anew"
                )
        yield rows, batch
        if progress is not None:
            progress(f"encoding {name}", rows.stop, shape[0])
