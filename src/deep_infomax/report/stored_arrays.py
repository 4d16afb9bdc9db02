"""The arrays of a run that the report draws; what is damaged leaves a note."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from deep_infomax.report.runs import Decoded, Inputs, Neighbours, Representation
from deep_infomax.runtime import run_files
from deep_infomax.runtime.archives import FLOATS, INTEGERS, TEXT, UINT8, Layout, read_arrays

LARGEST_NUMBER: Final = 1e30
"""What is beyond cannot be drawn."""
_EVALUATE: Final = "evaluate the run again"
_REPRESENTATION: Final = {
    "Y": Layout(FLOATS, "p d"), "labels": Layout(INTEGERS, "p"), "classes": Layout(TEXT, "classes", needed=False),
}  # fmt: skip
_INPUTS: Final = {
    "images": Layout(UINT8 + FLOATS, "p channels h w", needed=False),
    "lines": Layout(FLOATS, "p channels moments", needed=False),
    "index": Layout(INTEGERS, "p", needed=False),
    "splits": Layout(TEXT, "p", needed=False),
    "total": Layout(INTEGERS, "", needed=False),
    "files": Layout(TEXT, "p", needed=False),
}
_LARGEST_MINIATURE: Final = 64
"""Pixels of a side."""
_MOST_MOMENTS: Final = 96
_NEIGHBOURS: Final = {
    "queries": Layout(UINT8, "q h w channels"),
    "neighbours": Layout(UINT8, "q r h w channels"),
    "query_labels": Layout(INTEGERS, "q"),
    "neighbour_labels": Layout(INTEGERS, "q r"),
    "distance": Layout(FLOATS, "q r"),
    "metric": Layout(TEXT, "", needed=False),
}
_RECONSTRUCTIONS: Final = {
    "inputs": Layout(UINT8, "q h w channels"), "reconstructions": Layout(UINT8, "q h w channels"),
}  # fmt: skip
_SAMPLES: Final = {"samples": Layout(UINT8, "samples h w channels")}


def read_representation(path: Path, notes: list[str]) -> Representation | None:
    """Global vectors of some inputs; None where there are none."""
    arrays = _read_arrays(path, _REPRESENTATION | _INPUTS, notes)
    if arrays is None:
        return None
    vectors = np.where(np.abs(arrays["Y"]) < LARGEST_NUMBER, arrays["Y"], np.nan).astype(np.float32)
    classes = tuple(str(name) for name in arrays.get("classes", ()))
    return Representation(vectors, arrays["labels"].astype(np.int64), classes, _inputs(arrays))


def _inputs(arrays: Mapping[str, np.ndarray]) -> Inputs | None:
    """What the map shows of each input; None where it is not there, or is nothing small."""
    found = arrays.get("images", arrays.get("lines"))
    if found is None or not {"index", "splits", "total"} <= set(arrays) or not 1 <= found.shape[1] <= 3:
        return None
    most = _LARGEST_MINIATURE if found.ndim == 4 else _MOST_MOMENTS
    if not 1 <= min(found.shape[2:]) <= max(found.shape[2:]) <= most:
        return None
    finite = np.nan_to_num(np.clip(found, -LARGEST_NUMBER, LARGEST_NUMBER)).astype(np.float32)
    files = tuple(map(str, arrays["files"])) if "files" in arrays else None
    splits, index = tuple(map(str, arrays["splits"])), arrays["index"].astype(np.int64)
    return Inputs(finite, found.dtype == np.uint8, index, splits, files, int(arrays["total"]))


def read_neighbours(folder: Path, notes: list[str]) -> tuple[Neighbours, ...]:
    """Neighbours of some inputs, by one or several distances."""
    files = [folder / "neighbours.npz", *sorted(folder.glob("neighbours-*.npz"))]
    return tuple(
        Neighbours(
            queries=arrays["queries"],
            neighbours=arrays["neighbours"],
            query_labels=arrays["query_labels"].astype(np.int64),
            neighbour_labels=arrays["neighbour_labels"].astype(np.int64),
            distance=arrays["distance"].astype(np.float32),
            metric=str(arrays.get("metric", "")),
            layer=file.stem.split("-", 2)[2] if file.stem.count("-") > 1 else "Y",
        )
        for file in files
        if (arrays := _read_images(file, _NEIGHBOURS, notes)) is not None
    )


def read_decoded(folder: Path, notes: list[str]) -> tuple[Decoded, ...]:
    """Images that a decoder made."""
    found = []
    if (rows := _read_images(folder / "objective.npz", _RECONSTRUCTIONS | _SAMPLES, notes)) is not None:
        found.append(Decoded(None, rows))
    for path in sorted(folder.glob("ms_ssim-*.npz")):
        if (rows := _read_images(path, _RECONSTRUCTIONS, notes)) is not None:
            found.append(Decoded(path.stem.removeprefix("ms_ssim-"), rows))
    return tuple(found)


def left_out(name: str, error: Exception, remedy: str) -> str:
    """What is said of a file that is left out."""
    said = str(error).partition(" is damaged: ")[2].removesuffix(f"; {remedy}") or str(error)
    return f"{name} is damaged ({said}) and left out; {remedy}."


def _read_images(path: Path, layouts: Mapping[str, Layout], notes: list[str]) -> dict[str, np.ndarray] | None:
    """Arrays of which those of bytes are images with one or three channels; None where there are none to show."""
    arrays = _read_arrays(path, layouts, notes)
    if arrays is None:
        return None
    for name, array in arrays.items():
        if layouts[name].types == UINT8 and (array.shape[-1] not in (1, 3) or not array.size):
            notes.append(left_out(f"{run_files.ARRAYS}/{path.name}", ValueError(f"{name} holds no images"), _EVALUATE))
            return None
    return arrays


def _read_arrays(path: Path, layouts: Mapping[str, Layout], notes: list[str]) -> dict[str, np.ndarray] | None:
    try:
        return read_arrays(path, layouts, _EVALUATE)
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        notes.append(left_out(f"{run_files.ARRAYS}/{path.name}", error, _EVALUATE))
        return None
