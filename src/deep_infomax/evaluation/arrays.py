"""Arrays an evaluation leaves for the report: representations of some inputs, and nearest neighbours as images."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from deep_infomax.data import Source, evenly_spaced
from deep_infomax.evaluation.classifiers import nearest_rows
from deep_infomax.runtime.files import save_arrays
from deep_infomax.runtime.regular import require_own_folder


def save_representation(folder: Path, source: Source, vectors: Float[Tensor, "n d"], most: int = 2000) -> None:
    """Write ``representation.npz``: Y, index and labels (-1: none) of at most ``most`` inputs, and the classes."""
    index = evenly_spaced(len(source), most)
    save_arrays(
        folder / "representation.npz",
        Y=vectors[index].numpy(),
        labels=_labels(source, index),
        index=index.numpy(),
        classes=np.array(source.classes or (), dtype=np.str_),
    )


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
