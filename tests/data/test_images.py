"""Folders of image files, what their images and labels become, and the cache of decoded images."""

import errno
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from data_helpers import BLUE, GREEN, RED, picture
from PIL import Image

from deep_infomax.data import DataOptions, cache, load_dataset, require_labels
from deep_infomax.data.sources import centred


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEP_INFOMAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def class_folders(tmp_path):
    for label, colour in {"ant": RED, "bee": GREEN}.items():
        for i in range(10):
            picture(tmp_path / "insects" / label / f"{i}.png", colour)
    return tmp_path / "insects"


# Folders of images


def test_class_folders_become_labels_and_a_fifth_is_held_out(class_folders):
    dataset = load_dataset(str(class_folders))
    assert dataset.name == "insects"
    assert dataset.train.classes == ("ant", "bee")
    assert dataset.train.labels.bincount().tolist() == [8, 8]
    assert dataset.test.labels.bincount().tolist() == [2, 2]
    for source in (dataset.train, dataset.test):
        colours = source.take(torch.arange(len(source)))[:, :, 0, 0]
        assert torch.equal(colours, torch.tensor([RED, GREEN], dtype=torch.uint8)[source.labels])
    assert dataset.description["split_rule"].startswith("4 of 20 labelled inputs held out")
    assert dataset.description["size_rule"] == "kept, all are 4 x 4"


def test_flat_folder_is_unlabelled_and_all_for_training(tmp_path):
    for i in range(3):
        picture(tmp_path / "flat" / f"{i}.png")
    dataset = load_dataset(str(tmp_path / "flat"))
    assert (len(dataset.train), dataset.train.labels, dataset.test) == (3, None, None)
    with pytest.raises(ValueError, match=r"flat train has no labels.*`probe`"):
        require_labels(dataset.train)


def test_linked_folders_are_read_and_links_upwards_are_not_followed(class_folders, tmp_path):
    some = tmp_path / "some"
    some.mkdir()
    for label in ("ant", "bee"):
        (some / label).symlink_to(class_folders / label)
    plain = load_dataset(str(class_folders))
    (class_folders / "ant" / "all").symlink_to(some / "ant")
    linked = load_dataset(str(some))
    assert linked.train.classes == ("ant", "bee")
    np.testing.assert_array_equal(linked.train.inputs, plain.train.inputs)


def test_what_is_held_out_is_described(tmp_path):
    shades = tmp_path / "shades"
    for i in range(20):
        picture(shades / ("dark" if i < 10 else "light") / f"{i}.png", (10 * i, 0, 0))
    before = load_dataset(str(shades)).description
    assert load_dataset(str(shades)).description == before
    (shades / "dark" / "0.png").rename(shades / "light" / "x.png")
    (shades / "light" / "10.png").rename(shades / "dark" / "x.png")
    after = load_dataset(str(shades)).description
    assert {name for name in before if before[name] != after[name]} == {"held_out_inputs"}


def test_thinning_leaves_out_no_class(tmp_path):
    x = np.arange(100 * 4, dtype=np.float32).reshape(100, 4)
    np.savez(tmp_path / "turns.npz", x=x, y=np.arange(100) % 10, x_test=x, y_test=np.arange(100) % 10)
    thin = load_dataset(str(tmp_path / "turns.npz"), DataOptions(train_inputs=20)).train
    assert thin.labels.bincount().tolist() == [2] * 10
    assert torch.equal(thin.inputs[:, 0, 0] / 4 % 10, thin.labels.float())


def test_class_folders_without_their_labels_are_not_split(class_folders):
    unlabelled = DataOptions(label_column="none")
    dataset = load_dataset(str(class_folders), unlabelled)
    assert (len(dataset.train), dataset.train.labels, dataset.test) == (20, None, None)
    picture(class_folders / "beside.png")
    with pytest.raises(ValueError, match=r"`data_options\.label_column` to none"):
        load_dataset(str(class_folders))
    assert len(load_dataset(str(class_folders), unlabelled).train) == 21


def test_split_folders_are_known_in_any_case(tmp_path):
    for split in ("Train", "Test"):
        for name in ("a", "b"):
            picture(tmp_path / split / name / "0.png")
    dataset = load_dataset(str(tmp_path))
    assert dataset.train.classes == ("a", "b")
    assert (len(dataset.train), len(dataset.test)) == (2, 2)


def test_folders_of_one_split_are_refused(tmp_path):
    for top in ("train", "val", "dev"):
        picture(tmp_path / top / "0.png")
    with pytest.raises(ValueError, match="name one split"):
        load_dataset(str(tmp_path))


def test_split_folders_share_class_numbers(tmp_path):
    root = tmp_path / "set"
    picture(root / "train" / "cat" / "images" / "0.png", RED)
    picture(root / "train" / "dog" / "0.png", GREEN)
    picture(root / "valid" / "dog" / "1.png", GREEN)
    picture(root / "valid" / "ant" / "1.png", BLUE)
    picture(root / "unlabeled" / "2.png", RED)
    (root / ".hidden").mkdir()
    picture(root / ".hidden" / "x.png")
    dataset = load_dataset(str(root))
    assert dataset.test.classes == ("ant", "cat", "dog")
    assert dataset.train.labels.tolist() == [1, 2]
    assert dataset.test.labels.tolist() == [0, 2]
    assert (dataset.test.split, len(dataset.unlabelled), dataset.unlabelled.labels) == ("validation", 1, None)
    assert dataset.pretraining is dataset.unlabelled
    assert dataset.description["split_rule"] == "validation split as published"


def test_one_coloured_image_makes_the_data_set_coloured(tmp_path):
    picture(tmp_path / "mixed" / "a.png", 100, mode="L")
    assert load_dataset(str(tmp_path / "mixed")).train.shape == (1, 4, 4)
    picture(tmp_path / "mixed" / "b.jpg", (0, 0, 0))
    dataset = load_dataset(str(tmp_path / "mixed"))
    assert dataset.train.take(torch.tensor([0])).unique().tolist() == [100]
    assert dataset.train.shape == (3, 4, 4)
    assert dataset.description["encoding"] == "JPEG, PNG"
    grey = load_dataset(str(tmp_path / "mixed"), DataOptions(channels=1))
    assert (grey.train.shape, grey.description["channels_rule"]) == ((1, 4, 4), "1 as asked")


def test_sizes_that_differ_need_a_rule(tmp_path):
    root = tmp_path / "sizes"
    left, right = picture(root / "a.png", BLUE, (8, 4)), picture(root / "b.png", RED, (4, 6))
    with pytest.raises(ValueError, match=r"2 different sizes.*4 x 8.*such as 64 with `data_options.resize`"):
        load_dataset(str(root))
    assert load_dataset(str(root), DataOptions(resize=6)).train.shape == (3, 6, 6)
    assert load_dataset(str(root), DataOptions(resize=6, crop=2)).train.shape == (3, 2, 2)
    assert load_dataset(str(root), DataOptions(crop=4)).train.shape == (3, 4, 4)
    right.unlink()
    with pytest.raises(ValueError, match=rf"{left} has 4 x 8 pixels.*`data_options.resize` to 5"):
        load_dataset(str(root), DataOptions(crop=5))


def test_crop_takes_the_centre(tmp_path):
    (tmp_path / "ramp").mkdir()
    ramp = np.arange(36, dtype=np.uint8).reshape(6, 6)
    Image.fromarray(ramp).save(tmp_path / "ramp" / "a.png")
    dataset = load_dataset(str(tmp_path / "ramp"), DataOptions(crop=2))
    assert np.array_equal(dataset.train.inputs[0, 0], ramp[2:4, 2:4])


def test_random_crops_keep_training_inputs_whole(class_folders):
    dataset = load_dataset(str(class_folders), DataOptions(random_crop=2))
    assert (dataset.train.shape, dataset.test.shape) == ((3, 2, 2), (3, 2, 2))
    assert dataset.pretraining.shape == (3, 4, 4)
    assert np.shares_memory(dataset.train.inputs, dataset.pretraining.inputs)
    assert "random crops of 2" in dataset.description["crop_rule"]
    with pytest.raises(ValueError, match="4 x 4 cannot be cropped to 5"):
        load_dataset(str(class_folders), DataOptions(random_crop=5))
    whole = load_dataset(str(class_folders))
    both = centred(replace(whole, unlabelled=replace(whole.train, labels=None)), 2)
    assert (both.labelled.shape, both.pretraining.shape) == ((3, 4, 4), (3, 4, 4))
    assert (both.labelled.labels is None, both.pretraining.labels is None) == (False, True)


def broken(root):
    picture(root / "fine.png")
    (root / "bad.png").write_bytes(b"no image")


def truncated(root):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    root.mkdir()
    Image.fromarray(noise).save(root / "bad.png")
    (root / "bad.png").write_bytes((root / "bad.png").read_bytes()[:5000])


def beside(root):
    picture(root / "cat" / "0.png")
    picture(root / "bad.png")


def outside_splits(root):
    picture(root / "train" / "0.png")
    picture(root / "bad.png")


def not_finite(root):
    root.mkdir()
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(root / "bad.tif")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (Path.mkdir, "has no files"),
        (lambda root: (root.mkdir(), (root / "a.txt").touch()), "has 1 files, none of them"),
        (
            lambda root: picture(root / "a.csv.png").rename(root / "a.csv"),
            "that names the series with `data_options.ser",
        ),
        (lambda root: picture(root / "a.png").rename(root / "a.npy"), "stack arrays of one shape in one file"),
        (broken, "bad.png: it is not an image of a known format; remove or replace it"),
        (truncated, "bad.png: .*truncated.*; remove or replace it"),
        (beside, r"1 files \(bad.png, ...\) lie beside class folders \(cat, ...\)"),
        (outside_splits, "bad.png lies beside the folder train"),
        (not_finite, "bad.tif has pixels that are NaN or infinite"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path, own_cache, make, sentence):
    make(tmp_path / "folder")
    with pytest.raises(ValueError, match=sentence):
        load_dataset(str(tmp_path / "folder"))
    assert not list(own_cache.glob("*"))


def test_a_file_of_no_known_kind(tmp_path):
    with pytest.raises(ValueError, match="a file of no known kind"):
        load_dataset(str(picture(tmp_path / "a.png")))


# The cache


def test_second_command_reads_the_decoded_copy(class_folders, own_cache, monkeypatch):
    first = load_dataset(str(class_folders))
    monkeypatch.setattr("deep_infomax.data.images.decode", None)
    second = load_dataset(str(class_folders))
    assert isinstance(second.train.inputs, np.memmap)
    assert np.array_equal(first.train.inputs, second.train.inputs)
    assert torch.equal(first.train.labels, second.train.labels)
    assert (first.description, first.test.classes) == (second.description, second.test.classes)
    assert len(list(own_cache.iterdir())) == 1


def test_changed_files_options_and_damage_are_noticed(class_folders, own_cache):
    load_dataset(str(class_folders))
    load_dataset(str(class_folders), DataOptions(resize=3))
    assert len(list(own_cache.iterdir())) == 2
    picture(class_folders / "ant" / "0.png", BLUE)
    os.utime(class_folders / "ant" / "0.png", ns=(1, 1))
    load_dataset(str(class_folders))
    assert len(list(own_cache.iterdir())) == 3
    for entry in own_cache.iterdir():
        (entry / "train.npy").write_bytes(b"")
    assert len(load_dataset(str(class_folders)).train) == 16


def test_without_a_cache_images_stay_in_memory(class_folders, own_cache):
    own_cache.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match=r"cannot be written .*DEEP_INFOMAX_CACHE"):
        dataset = load_dataset(str(class_folders))
    assert isinstance(dataset.train.inputs, torch.Tensor)
    assert len(dataset.train) == 16


def test_a_full_disk_is_refused_before_the_work(class_folders, own_cache, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(OSError, match=r"need 0.0 MB, 0.0 are free, DEEP_INFOMAX_CACHE") as refused:
        load_dataset(str(class_folders))
    assert refused.value.errno == errno.ENOSPC
    assert not list(own_cache.iterdir())


def test_leftovers_of_killed_commands_are_removed_after_a_day(own_cache):
    old, new = own_cache / ".unfinished-old", own_cache / ".unfinished-new"
    old.mkdir(parents=True)
    new.mkdir()
    yesterday = time.time() - 1.5 * cache.DAY
    os.utime(old, (yesterday, yesterday))
    cache.remove_unfinished(own_cache)
    assert (old.exists(), new.exists()) == (False, True)
