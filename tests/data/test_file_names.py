"""Names of the files that inputs were read from: known where there are files, and kept with the decoded images."""

import os

import numpy as np
import pytest
import soundfile
import torch
from data_helpers import GREEN, RED, encoded, parquet, picture

from deep_infomax.data import DataOptions, cache, from_arrays, load_dataset


@pytest.fixture
def photos(tmp_path):
    for number in range(10):
        picture(tmp_path / "photos" / "cat" / f"{number}.png", RED)
        picture(tmp_path / "photos" / "dog" / f"{number}.png", GREEN)
    return tmp_path / "photos"


def files(dataset):
    """The names of the files of a split, in the order in which it is stored."""
    names = {}
    for source, rows in dataset.stored["train"]:
        names |= dict(zip(rows.tolist(), source.files(), strict=True))
    return [names[row] for row in sorted(names)]


NAMES = [f"{animal}/{number}.png" for animal in ("cat", "dog") for number in range(10)]


def test_files_are_named_below_the_folder_when_decoded_and_when_kept(photos):
    for _ in range(2):
        dataset = load_dataset(str(photos))
        assert dataset.held_out is not None
        assert files(dataset) == NAMES
        for source in (dataset.train, dataset.test):
            red = source.take(torch.arange(len(source)))[:, 0, 0, 0] == 255
            assert [name.startswith("cat") for name in source.files()] == red.tolist()


def test_they_are_read_when_they_are_wanted(photos, monkeypatch):
    load_dataset(str(photos))
    read = []
    monkeypatch.setattr(cache, "read_files", lambda *arguments: read.append(arguments) or ["x"] * arguments[1])
    dataset = load_dataset(str(photos))
    assert not read
    assert dataset.train.files() == ["x"] * 16
    assert len(read) == 1


def test_they_are_known_without_a_cache(photos, tmp_path, monkeypatch):
    (tmp_path / "no-folder").write_text("")
    monkeypatch.setenv("DEEP_INFOMAX_CACHE", str(tmp_path / "no-folder"))
    with pytest.warns(UserWarning, match="cannot be written"):
        assert files(load_dataset(str(photos))) == NAMES


def test_those_of_inputs_that_are_left_out_are_left_out(photos):
    (photos / "cat" / "3.png").write_bytes(b"")
    dataset = load_dataset(str(photos), DataOptions(skip_damaged=True))
    assert files(dataset) == [name for name in NAMES if name != "cat/3.png"]
    thinned = load_dataset(str(photos), DataOptions(skip_damaged=True, train_inputs=5))
    assert len(thinned.train.files()) == 5
    assert set(thinned.train.files()) < set(dataset.train.files())
    held = load_dataset(str(photos), DataOptions(skip_damaged=True, held_out=4))
    assert sorted(held.train.files() + held.test.files()) == sorted(dataset.train.files())


def test_crops_are_of_the_same_files(photos):
    dataset = load_dataset(str(photos), DataOptions(random_crop=2))
    assert dataset.train.files() == dataset.uncropped.train.files()


@pytest.mark.skipif(os.name != "posix", reason="names of files are text elsewhere")
def test_names_that_are_no_text_are_spelt_out(photos):
    for number in range(2):
        (photos / "cat" / f"{number}.png").rename(photos / "cat" / os.fsdecode(b"\xff\n%d.png" % number))
    assert files(load_dataset(str(photos)))[8:10] == ["cat/\\udcff\n0.png", "cat/\\udcff\n1.png"]


def test_rows_of_a_table_name_their_files_or_none_does(tmp_path):
    image = encoded(tmp_path, RED)
    parquet(tmp_path / "named" / "train.parquet", {"image": [{**image, "path": f"{row}.png"} for row in range(3)]})
    parquet(tmp_path / "partly" / "train.parquet", {"image": [{**image, "path": None}, image]})
    assert load_dataset(str(tmp_path / "named")).train.files() == ["0.png", "1.png", "2.png"]
    assert load_dataset(str(tmp_path / "partly")).train.files is None


def test_arrays_have_none():
    dataset = from_arrays(np.zeros((20, 1, 8, 8), np.uint8), np.arange(20) % 2)
    assert dataset.train.files is dataset.test.files is None


@pytest.mark.parametrize("content", ["", "{", "[1]", '["a"]', "\udcff"])
def test_damaged_names_are_refused_with_the_remedy(photos, content):
    load_dataset(str(photos))
    dataset = load_dataset(str(photos))
    [kept] = cache.cache_folder().glob("*/train.files.json")
    kept.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=rf"train\.files\.json is damaged: .*; remove {kept.parent}, which is made"):
        dataset.train.files()


def test_recordings_are_named_as_well(tmp_path):
    for place in ("a/0.wav", "a/1.wav", "b/0.wav", "b/1.wav"):
        path = tmp_path / "sounds" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.sin(np.arange(64) * 0.1), 8000)
    for _ in range(2):
        dataset = load_dataset(str(tmp_path / "sounds"), DataOptions(label_column="none"))
        assert dataset.train.files() == ["a/0.wav", "a/1.wav", "b/0.wav", "b/1.wav"]
