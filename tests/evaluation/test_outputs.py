"""Files of representations hold the same values whatever their kind, and say which row is which input."""

import csv
import errno
import resource
import weakref
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from deep_infomax.data import Dataset, Source, load_dataset
from deep_infomax.encoders import Encoder, TappedEncoder, digits
from deep_infomax.evaluation import OUTPUTS, encode_dataset, features, outputs

FILES = ["a.png", 'cats/"x", y.png', "b\nc.png", "ä.png", "e.png", "=1+1.png", "g.png"]
CLASSES = ("ant", "bee, or wasp")


@pytest.fixture
def encoder() -> Encoder:
    return digits().eval()


@pytest.fixture
def dataset() -> Dataset:
    """Seven inputs, of which those at 1 and 4 are held out."""
    inputs = torch.randint(256, (7, 1, 8, 8), dtype=torch.uint8)
    labels = torch.tensor([0, 1, 1, 0, 0, 1, 0])
    whole = Source(inputs, labels, CLASSES, "insects", "train", files=partial(list, FILES))
    kept, held = torch.tensor([0, 2, 3, 5, 6]), torch.tensor([1, 4])
    return Dataset(
        "insects", whole.selected(kept), replace(whole.selected(held), split="test"), None, {}, held_out=held
    )


def read(path: Path, layer: str) -> tuple[np.ndarray, dict[str, list]]:
    """The values of a file, and what stands beside them."""
    if path.suffix == ".npy":
        return np.load(path), {}
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return arrays[layer], {name: arrays[name].tolist() for name in arrays if name != layer}
    table = pd.read_csv(path, keep_default_na=False) if path.suffix == ".csv" else pd.read_parquet(path)
    values = [name for name in table if name.startswith(f"{layer}_")]
    assert values == [f"{layer}_{unit}" for unit in range(len(values))]
    return table[values].to_numpy(np.float32), {name: table[name].tolist() for name in table if name not in values}


@pytest.mark.parametrize("layer", ["Y", "fc"])
@pytest.mark.parametrize("ending", OUTPUTS)
def test_every_kind_of_file_holds_every_row_in_its_place(
    encoder: Encoder, dataset: Dataset, tmp_path: Path, ending: str, layer: str
) -> None:
    path = tmp_path / f"found{ending}"
    beside = encode_dataset(encoder, dataset, path, layer, batch_size=3)
    values, columns = read(path, layer)
    stored = torch.empty(7, 1, 8, 8, dtype=torch.uint8)
    stored[torch.tensor([0, 2, 3, 5, 6])] = dataset.train.inputs
    stored[torch.tensor([1, 4])] = dataset.test.inputs
    np.testing.assert_array_equal(values, encoder.encode(stored, layer, batch_size=3).numpy())
    assert list(columns) == beside == ([] if ending == ".npy" else ["index", "file", "split", "label"])
    if beside:
        assert columns == {
            "index": list(range(7)),
            "file": FILES,
            "split": ["train", "test", "train", "train", "test", "train", "train"],
            "label": [CLASSES[label] for label in (0, 1, 1, 0, 0, 1, 0)],
        }
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", [ending for ending in OUTPUTS if ending != ".npy"])
def test_what_is_not_known_has_no_column(encoder: Encoder, tmp_path: Path, ending: str) -> None:
    plain = Source(torch.zeros(3, 1, 8, 8), None, None, "array", "train")
    path = tmp_path / f"found{ending}"
    assert encode_dataset(encoder, Dataset("array", plain, None, None, {}), path) == ["index", "split"]
    assert read(path, "Y")[1] == {"index": [0, 1, 2], "split": ["train"] * 3}


def test_a_table_keeps_its_types(encoder: Encoder, dataset: Dataset, tmp_path: Path) -> None:
    encode_dataset(encoder, dataset, tmp_path / "Y.parquet")
    kinds = pd.read_parquet(tmp_path / "Y.parquet").dtypes
    assert (str(kinds["index"]), str(kinds["label"]), str(kinds["Y_15"])) == ("int64", "category", "float32")


def test_text_that_a_spreadsheet_could_take_for_several_lines_is_quoted(
    encoder: Encoder, dataset: Dataset, tmp_path: Path
) -> None:
    encode_dataset(encoder, dataset, tmp_path / "Y.csv")
    with (tmp_path / "Y.csv").open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert [row[head.index("file")] for row in rows] == FILES
    assert {len(row) for row in rows} == {4 + 16}


@pytest.mark.parametrize("ending", OUTPUTS)
def test_rows_are_written_as_they_are_computed(
    encoder: Encoder, dataset: Dataset, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "_GROUP_BYTES", 64 * 3)  # groups of three rows of 16 values
    computed: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []
    whole = features._batches

    def watched(*arguments: object) -> Iterator[object]:
        for rows, batch in whole(*arguments):
            alive.append(sum(kept() is not None for kept in computed))
            computed.append(weakref.ref(batch["Y"]))
            yield rows, batch

    monkeypatch.setattr(features, "_batches", watched)
    encode_dataset(encoder, dataset, tmp_path / f"Y{ending}", batch_size=1)
    assert len(computed) == 7
    assert max(alive) <= 2  # what was computed before has been written
    if ending == ".parquet":
        file = pq.ParquetFile(tmp_path / "Y.parquet")
        assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [3, 3, 1]


@pytest.mark.parametrize("ending", OUTPUTS)
def test_a_full_disk_leaves_what_was_there(encoder: Encoder, dataset: Dataset, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"conv{ending}"
    path.write_bytes(b"earlier")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # 7 rows of 1,024 values take 28,672 bytes
    try:
        with pytest.raises(OSError, match="File too large") as refused:
            encode_dataset(encoder, dataset, path, "conv", batch_size=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (refused.value.errno, refused.value.filename) == (errno.EFBIG, str(path))
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("name", "found"), [("Y.txt", "ends in .txt"), ("Y", "has no ending"), (".csv", "has no")])
def test_another_ending_is_refused_before_the_encoding(
    encoder: Encoder, dataset: Dataset, tmp_path: Path, name: str, found: str
) -> None:
    with pytest.raises(ValueError, match=rf"{found}.*; name a file that ends in \.npy, \.npz, \.csv or \.parquet"):
        encode_dataset(encoder, dataset, tmp_path / name, progress=lambda *news: pytest.fail("encoded"))
    assert list(tmp_path.iterdir()) == []


def test_a_layer_called_like_another_array_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 2))
    encoder = TappedEncoder(module, local="0", vector="2", hidden={"label": "1"}, channels=1, spatial=(8, 8))
    with pytest.raises(ValueError, match="the layer 'label' is called like what stands beside it; write"):
        encode_dataset(encoder, dataset, tmp_path / "Y.npz", "label")
    assert list(tmp_path.iterdir()) == []
    encode_dataset(encoder, dataset, tmp_path / "Y.csv", "label")
    assert pd.read_csv(tmp_path / "Y.csv").filter(like="label").shape == (7, 1 + 72)


def test_the_embedded_digits_say_what_was_held_out(encoder: Encoder, tmp_path: Path) -> None:
    dataset = load_dataset("digits")
    encode_dataset(encoder, dataset, tmp_path / "Y.parquet")
    table = pd.read_parquet(tmp_path / "Y.parquet")
    assert np.flatnonzero(table["split"] == "test").tolist() == dataset.held_out.tolist()
    assert table["label"][:4].tolist() == ["0", "1", "2", "3"]
