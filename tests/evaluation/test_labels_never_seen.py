"""Probes are refused where the test part has no labels, or such as the training part never had."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from deep_infomax.data import floats_of, from_arrays, load_dataset
from deep_infomax.encoders import digits
from deep_infomax.evaluation.reconstruction import _Scale
from deep_infomax.evaluation.suite import check

TRAIN = [0, 1] * 4


def image(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)).save(path)
    return path


def folders(root: Path, test: list[int]) -> Path:
    for split, labels in (("train", TRAIN), ("test", test)):
        for number, label in enumerate(labels):
            image(root / "set" / split / ("" if label < 0 else f"c{label}") / f"{number}.png", number)
    return root / "set"


def tables(root: Path, test: list[int]) -> Path:
    (root / "set").mkdir(exist_ok=True)
    for split, labels in (("train", TRAIN), ("test", test)):
        rows = [{"bytes": image(root / "p.png", number).read_bytes(), "path": None} for number in range(len(labels))]
        pq.write_table(pa.table({"image": rows, "label": labels}), root / "set" / f"{split}.parquet")
    return root / "set"


def arrays(root: Path, test: list[int]) -> Path:
    x = np.random.default_rng(0).random((8, 8, 8), np.float32)
    np.savez(root / "set.npz", x=x, y=TRAIN, x_test=x[: len(test)], y_test=test)
    return root / "set.npz"


@pytest.mark.parametrize("make", [folders, tables, arrays])
@pytest.mark.parametrize(
    ("test", "sentence"),
    [
        ([-1, -1, -1], "set test has no labels, which a probe needs; .*`data_options.held_out`"),
        ([0, 3, 3, 1], r"2 of 4 inputs are of classes that the training part lacks \(c?3\), which no probe can have"),
        ([3, 3], r"2 of 2 inputs are of classes that the training part lacks \(c?3\)"),
    ],
)
def test_no_figure_for_labels_that_training_never_had(tmp_path: Path, make, test, sentence):
    dataset = load_dataset(str(make(tmp_path, test)))
    with pytest.raises(ValueError, match=sentence):
        check(digits(), dataset, ["knn"])
    assert "test_labels" in dataset.description


@pytest.mark.parametrize(("test", "said"), [([-1, -1], "has no labels"), ([0, 3], "1 of 2 inputs are of classes")])
def test_nor_for_data_sets_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test: list[int], said: str):
    import datasets

    files = {split: str(tables(tmp_path, test) / f"{split}.parquet") for split in ("train", "test")}
    splits = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "hub"))
    monkeypatch.setattr(datasets, "load_dataset", lambda *names: splits)
    dataset = load_dataset("hub:owner/name:small")
    assert dataset.description["label_rule"] == "column label"
    with pytest.raises(ValueError, match=f"owner/name:small test.*{said}"):
        check(digits(), dataset, ["knn"])


def test_a_probe_that_learns_from_one_class_is_refused() -> None:
    x = np.random.default_rng(0).random((8, 8, 8), np.float32)
    dataset = from_arrays(x, [0] * 8, x, TRAIN)
    with pytest.raises(ValueError, match="array train has one class only, '0'"):
        check(digits(), dataset, ["knn"])


def test_decoders_see_the_same_of_near_and_of_far_values() -> None:
    near = np.random.default_rng(0).random((40, 1, 16, 16))
    sources = [from_arrays(inputs, np.arange(40) % 2).train for inputs in (near, near + 1e9)]
    scaled = [_Scale(source)(source.take(torch.arange(8))) for source in sources]
    torch.testing.assert_close(scaled[0], scaled[1], rtol=0, atol=1e-6)
    seen = [floats_of(source)(torch.arange(8)) for source in sources]
    torch.testing.assert_close(*(values - values.mean() for values in seen), rtol=0, atol=1e-6)
