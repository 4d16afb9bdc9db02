"""Which files of a folder are read, which are left out, and that the description says so."""

import shutil

import numpy as np
import pytest
from data_helpers import RED, encoded, parquet, picture

from deep_infomax.data import DataOptions, load_dataset


def test_files_that_are_left_out_are_counted_with_the_reason(tmp_path):
    root = tmp_path / "set"
    for label in "ab":
        for number in range(5):
            picture(root / label / f"{number}.png")
        picture(root / label / "__5.png")
        picture(root / "@eaDir" / label / "5.png" / "THUMB.jpg")
        picture(root / "__MACOSX" / label / "._5.png")
        picture(root / label / ".thumbnails" / "5.png")
        (root / label / "6.HEIC").write_bytes(b"ftypheic")
        shutil.copy(root / label / "0.png", root / label / "7")
        (root / label / "notes").write_text("no image")
        (root / label / "Thumbs.db").write_text("no image")
    for _ in range(2):  # decoded, then out of the cache
        dataset = load_dataset(str(root))
        assert (dataset.train.classes, len(dataset.train) + len(dataset.test)) == (("a", "b"), 12)
        reasons = {"2 in @eaDir", "2 in __MACOSX", "2 hidden", "2 ending in .heic", "2 without an ending"}
        count, listed = dataset.description["left_out"].split(" files that may be images: ")
        assert (count, set(listed.split(", "))) == ("10", reasons)
    picture(root / "b" / ".hidden.png")
    assert "3 hidden" in load_dataset(str(root)).description["left_out"]


def test_folders_named_with_underscores_are_classes(tmp_path):
    for label in ("_background_noise_", "__other__", "a"):
        for number in range(5):
            picture(tmp_path / "set" / label / f"{number}.png")
    assert load_dataset(str(tmp_path / "set")).train.classes == ("__other__", "_background_noise_", "a")


def test_suffixes_in_capitals(tmp_path):
    rows = {"image": [encoded(tmp_path, RED)] * 4, "label": [0, 1, 0, 1]}
    parquet(tmp_path / "tables" / "TRAIN.PARQUET", rows)
    parquet(tmp_path / "tables" / "Test.Parquet", rows)
    dataset = load_dataset(str(tmp_path / "tables"))
    assert (len(dataset.train), len(dataset.test)) == (4, 4)
    assert len(load_dataset(str(tmp_path / "tables" / "TRAIN.PARQUET"), DataOptions(label_column="none")).train) == 4
    with (tmp_path / "X.NPY").open("wb") as file:
        np.save(file, np.zeros((3, 8)))
    assert len(load_dataset(str(tmp_path / "X.NPY")).train) == 3


def test_images_beside_a_table_without_images(tmp_path):
    for label in "ab":
        for number in range(5):
            picture(tmp_path / "set" / label / f"{number}.png")
    parquet(tmp_path / "set" / "metadata.parquet", {"file_name": ["a/0.png"], "text": ["t"]})
    assert load_dataset(str(tmp_path / "set")).train.classes == ("a", "b")
    parquet(tmp_path / "set" / "data.parquet", {"image": [encoded(tmp_path, RED)] * 3})
    dataset = load_dataset(str(tmp_path / "set"))
    assert len(dataset.train) == 3
    assert "10 beside parquet files" in dataset.description["left_out"]


def test_years_are_no_labels_and_nothing_is_held_out(tmp_path):
    for year in ("2019", "2020"):
        for number in range(10):
            picture(tmp_path / "set" / year / "05" / f"{number}.png")
    dataset = load_dataset(str(tmp_path / "set"))
    assert (len(dataset.train), dataset.train.labels, dataset.test) == (20, None, None)
    assert "2019, 2020 are dates" in dataset.description["label_rule"]
    dataset = load_dataset(str(tmp_path / "set"), DataOptions(label_column="folders"))
    assert (dataset.train.classes, len(dataset.test)) == (("2019", "2020"), 4)


def test_parts_to_test_on_are_not_trained_on(tmp_path):
    for split in ("test", "val"):
        for number in range(3):
            picture(tmp_path / "set" / split / "a" / f"{number}.png")
            picture(tmp_path / "set" / split / "b" / f"{number}.png")
    with pytest.raises(ValueError, match="no images to train on beside the splits test, validation"):
        load_dataset(str(tmp_path / "set"))
    picture(tmp_path / "set" / "train" / "a" / "0.png")
    picture(tmp_path / "set" / "train" / "b" / "0.png")
    dataset = load_dataset(str(tmp_path / "set"))
    assert (len(dataset.train), len(dataset.test), dataset.test.split) == (2, 6, "test")
    assert dataset.description["not_read"] == "validation split of 6 images"
    alone = load_dataset(str(tmp_path / "set" / "val"))
    assert len(alone.train) + len(alone.test) == 6
