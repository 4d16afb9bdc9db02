"""Arrays an evaluation leaves for the report: representations of some inputs, and nearest neighbours as images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from deep_infomax.data import Source, evenly_spaced
from deep_infomax.evaluation.classifiers import nearest_rows
from deep_infomax.evaluation.miniatures import miniatures, side_for
from deep_infomax.runtime.chunks import at_a_time
from deep_infomax.runtime.files import save_arrays
from deep_infomax.runtime.regular import require_own_folder

_MOST_SHOWN: Final = 2000
_PIXELS: Final = 2_100_000
"""Of all miniatures together: 2,000 of 32 x 32."""


def save_representation(folder: Path, source: Source, rows: Int[Tensor, " n"], vectors: Float[Tensor, "n d"]) -> None:
    """Write ``representation.npz`` about at most 2,000 inputs of a source.

    Args:
        folder: Where to write it.
        source: The inputs.
        rows: Of all of them in the split as it is stored.
        vectors: Their Y.
    """
    index = evenly_spaced(len(source), _MOST_SHOWN)
    names = None if source.files is None else source.files()
    write_representation(
        folder,
        vectors[index].numpy(),
        _labels(source, index),
        source.classes or (),
        _miniatures(source, index),
        bytes_as_stored=source.inputs.dtype in (torch.uint8, np.uint8),
        index=rows[index].numpy(),
        splits=[source.split] * len(index),
        files=None if names is None else [names[place] for place in index.tolist()],
        total=len(source),
    )


def write_representation(
    folder: Path,
    vectors: Float[np.ndarray, "n d"],
    labels: Int[np.ndarray, " n"],
    classes: Sequence[str],
    small: Float[np.ndarray, "n channels *sizes"],
    *,
    bytes_as_stored: bool,
    index: Int[np.ndarray, " n"],
    splits: Sequence[str],
    files: Sequence[str] | None,
    total: int,
) -> None:
    """Write ``representation.npz``: Y of some inputs, and what the report shows of each.

    It holds ``Y``, ``labels`` (-1: none), the names of ``classes``, ``images`` or ``lines``, and of each input its
    ``index`` in its split as it is stored, the names of ``splits`` and, where they are known, of ``files``; and the
    ``total`` of the inputs that there are.

    Args:
        folder: Where to write it.
        vectors: Y.
        labels: Of the inputs.
        classes: Names of the classes.
        small: `miniatures` of the inputs.
        bytes_as_stored: Whether values are those of 8 bits.
        index: Row of each input in its split as it is stored.
        splits: The split of each input.
        files: The file of each input; None where they are not known.
        total: Inputs that there are.
    """
    images = small.ndim == 4
    save_arrays(
        folder / "representation.npz",
        Y=vectors,
        labels=labels,
        classes=np.array(classes, dtype=np.str_),
        **{"images" if images else "lines": np.rint(small).astype(np.uint8) if images and bytes_as_stored else small},
        index=index,
        splits=np.array(splits, dtype=np.str_),
        total=np.array(total),
        **({} if files is None else {"files": np.array(files, dtype=np.str_)}),
    )


def _miniatures(source: Source, index: Int[Tensor, " k"]) -> Float[np.ndarray, "k channels *sizes"]:
    """Miniatures of some inputs, which are never in memory together."""
    side = side_for(len(index), _PIXELS)
    parts = index.split(at_a_time(source.shape, 512))
    return np.concatenate([miniatures(source.take(part).cpu(), side) for part in parts])


def neighbour_images(
    train: Source,
    train_vectors: Float[Tensor, "n d"],
    test: Source,
    test_vectors: Float[Tensor, "p d"],
    distance: str = "cosine",
    queries: int = 10,
    neighbours: int = 8,
) -> dict[str, np.ndarray]:
    """Some test images and the training images nearest to them by a distance of `DISTANCES`.

    Nothing for inputs that are not images of 8 bits with one or three channels.
    """
    if not is_image(train) or not is_image(test):
        return {}
    index = evenly_spaced(len(test), queries)
    distances, nearest = nearest_rows(test_vectors[index], train_vectors, neighbours, distance)
    nearest = nearest.cpu()
    images = train.take(nearest.flatten()).unflatten(0, nearest.shape)
    return {
        "queries": test.take(index).movedim(-3, -1).cpu().numpy(),
        "neighbours": images.movedim(-3, -1).cpu().numpy(),
        "query_labels": _labels(test, index),
        "neighbour_labels": _labels(train, nearest.flatten()).reshape(nearest.shape),
        "distance": distances.cpu().numpy(),
        "metric": np.array(distance),
    }


def is_image(source: Source) -> bool:
    """Whether inputs can be shown as they are: 8 bits, two spatial sizes, one or three channels."""
    inputs = source.inputs
    return inputs.dtype in (torch.uint8, np.uint8) and inputs.ndim == 4 and inputs.shape[1] in (1, 3)


def remove_arrays(folder: Path) -> None:
    """Remove what earlier evaluations left, such as those on other data; what the training left stays."""
    require_own_folder(folder)
    for pattern in ("representation.npz", "neighbours*.npz", "ms_ssim-*.npz"):
        for path in folder.glob(pattern):
            path.unlink()


def _labels(source: Source, index: Int[Tensor, " k"]) -> Int[np.ndarray, " k"]:
    return np.full(len(index), -1) if source.labels is None else source.labels[index].cpu().numpy()
