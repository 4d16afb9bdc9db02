"""Entries of the cache that are damaged, hostile or larger than the disk; tables that refer to files."""

import errno
import json
import os
import resource

import numpy as np
import pytest
import torch
from data_helpers import GREEN, RED, encoded, parquet, picture
from PIL import Image

from deep_infomax.data import DataOptions, cache, load_dataset


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEP_INFOMAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def entry(tmp_path, own_cache):
    for label, colour in {"ant": RED, "bee": GREEN}.items():
        for i in range(10):
            picture(tmp_path / "insects" / label / f"{i}.png", colour)
    load_dataset(str(tmp_path / "insects"))
    (path,) = own_cache.iterdir()
    assert cache.read_entry(path) is not None
    return path


def change(path, **changes):
    record = json.loads((path / cache.RECORD).read_text())
    (path / cache.RECORD).write_text(json.dumps(record | changes))


def write_array(path, array):
    np.save(path / "train.npy", array, allow_pickle=True)


def write_other_numbers(path):
    write_array(path, np.zeros((16, 3, 4, 4), np.float32))


def write_pipe(path):
    (path / "train.npy").unlink()
    os.mkfifo(path / "train.npy")


def write_link(path):
    (path / "train.npy").rename(path / "elsewhere.npy")
    (path / "train.npy").symlink_to(path / "elsewhere.npy")


def write_long_header(path):
    with (path / "train.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (2**40, 3, 4, 4)})


DAMAGE = {
    "no record": lambda path: (path / cache.RECORD).unlink(),
    "no JSON": lambda path: (path / cache.RECORD).write_text("{"),
    "a list": lambda path: (path / cache.RECORD).write_text("[]"),
    "deep JSON": lambda path: (path / cache.RECORD).write_text("[" * 100_000),
    "fewer labels": lambda path: change(path, labels={"train": [0], "test": [0, 0, 0, 0]}),
    "labels of no class": lambda path: change(path, labels={"train": [7] * 16, "test": [0] * 4}),
    "negative labels": lambda path: change(path, labels={"train": [-1] * 16, "test": [0] * 4}),
    "labels in words": lambda path: change(path, labels={"train": ["a"] * 16, "test": [0] * 4}),
    "no classes": lambda path: change(path, classes=None),
    "held-out rows beyond all": lambda path: change(path, held_out=[1, 2, 3, 99]),
    "held-out rows out of order": lambda path: change(path, held_out=[3, 2, 1, 0]),
    "fewer held-out rows": lambda path: change(path, held_out=[1]),
    "another description": lambda path: change(path, description={"shape": "1 x 2 x 3"}),
    "no description": lambda path: change(path, description=5),
    "an empty array": lambda path: (path / "train.npy").write_bytes(b""),
    "a cut array": lambda path: os.truncate(path / "train.npy", 500),
    "another array": lambda path: write_array(path, np.zeros((16, 3, 5, 5), np.uint8)),
    "other numbers": write_other_numbers,
    "objects": lambda path: write_array(path, np.array([{}] * 16, object)),
    "complex numbers": lambda path: write_array(path, np.zeros((16, 3, 4, 4), np.complex64)),
    "columns first": lambda path: write_array(path, np.asfortranarray(np.zeros((16, 3, 4, 4), np.uint8))),
    "no array": lambda path: (path / "train.npy").unlink(),
    "a pipe": write_pipe,
    "a link": write_link,
    "a long header": write_long_header,
    "no header": lambda path: (path / "train.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': [[}   "),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_entries_are_made_anew(entry, tmp_path, damage):
    damage(entry)
    assert cache.read_entry(entry) is None
    dataset = load_dataset(str(tmp_path / "insects"))
    assert dataset.train.labels.bincount().tolist() == [8, 8]
    assert cache.read_entry(entry) is not None


def test_a_disk_that_fills_up_is_an_error_not_a_signal(tmp_path, own_cache):
    picture(tmp_path / "large" / "a.png", RED, (300, 300))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match=r"train\.npy") as refused:
            load_dataset(str(tmp_path / "large"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.value.errno == errno.EFBIG
    assert not list(own_cache.iterdir())


def test_room_is_taken_before_pixels_are_written(tmp_path, monkeypatch):
    for fallocate in (True, False):
        if not fallocate:
            monkeypatch.delattr(os, "posix_fallocate")
        with cache.new_entry(tmp_path / f"entry-{fallocate}", 0) as entry:
            entry.allocate("train", (10, 1, 300, 300), np.dtype(np.uint16))
            stat = (entry.folder / "train.npy").stat()
            assert stat.st_blocks * 512 >= stat.st_size >= 10 * 300 * 300 * 2


def test_deep_images_in_memory_are_read_as_those_on_disk(tmp_path, own_cache):
    (tmp_path / "deep").mkdir()
    values = np.arange(16, dtype=np.uint16).reshape(4, 4) * 4000
    Image.fromarray(values).save(tmp_path / "deep" / "a.png")
    own_cache.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match=r"cannot be written"):
        train = load_dataset(str(tmp_path / "deep")).train
    np.testing.assert_array_equal(train.take(torch.tensor([0]))[0, 0].numpy(), values.astype(np.float32))


# Tables that refer to files


def referring(folder, paths):
    return parquet(folder / "train.parquet", {"image": [{"bytes": None, "path": path} for path in paths]})


def shades(source):
    return np.asarray(source.inputs)[:, 0, 0, 0].tolist()


def test_changed_files_that_a_table_refers_to_are_noticed(tmp_path, own_cache):
    folder = tmp_path / "set"
    for i in range(4):
        picture(folder / "pictures" / f"{i}.png", i, mode="L")
    referring(folder, [f"pictures/{i}.png" for i in range(4)])
    assert shades(load_dataset(str(folder)).train) == [0, 1, 2, 3]
    for i in range(4):
        Image.new("L", (4, 4), 200 + i).save(folder / "pictures" / f"{i}.png")
        os.utime(folder / "pictures" / f"{i}.png", ns=(1, 1))
    assert shades(load_dataset(str(folder)).train) == [200, 201, 202, 203]
    assert len(list(own_cache.iterdir())) == 2


def test_a_table_whose_statistics_are_damaged_ends_in_a_sentence(tmp_path):
    file = referring(tmp_path / "set", ["a.png"] * 20)
    content = bytearray(file.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(100):
        torn = content.copy()
        for place in rng.integers(len(content) // 2, len(content) - 8, size=3):
            torn[place] = rng.integers(256)
        file.write_bytes(torn)
        with pytest.raises(ValueError, match=r"set|train"):
            load_dataset(str(file))


@pytest.mark.parametrize(
    "path", ["../secret.png", "{root}/secret.png", "link.png", "linked/secret.png", "a/../../secret.png"]
)
@pytest.mark.parametrize("options", [{}, {"skip_damaged": True}])
def test_a_table_refers_to_nothing_outside_its_folder(tmp_path, path, options):
    picture(tmp_path / "secret.png")
    folder = tmp_path / "set"
    picture(folder / "inside.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "linked").symlink_to(tmp_path)
    file = referring(folder, ["inside.png", path.format(root=tmp_path)])
    with pytest.raises(ValueError, match=r"the image in row 1 of train.parquet \(.*\) lies outside .*set"):
        load_dataset(str(file), DataOptions(**options))


def test_a_table_refers_to_files_inside_by_any_path(tmp_path):
    folder = tmp_path / "set"
    picture(folder / "a" / "b.png", 7, mode="L")
    (folder / "link.png").symlink_to("a/b.png")
    file = referring(folder, ["a/b.png", str(folder / "a" / "b.png"), "link.png", "a/../a/b.png"])
    assert shades(load_dataset(str(file)).train) == [7] * 4


def test_missing_files_and_pipes_are_damaged_images(tmp_path):
    folder = tmp_path / "set"
    picture(folder / "here.png", 7, mode="L")
    os.mkfifo(folder / "pipe.png")
    file = referring(folder, ["here.png", "gone.png", "pipe.png", None])
    with pytest.raises(ValueError, match=r"in row 1 of train.parquet \(gone.png\): there is no such file"):
        load_dataset(str(file))
    dataset = load_dataset(str(file), DataOptions(skip_damaged=True))
    assert shades(dataset.train) == [7]
    assert dataset.description["damaged_rule"].startswith("3 of 4 images damaged and left out: ")


def test_a_table_of_text_where_bytes_belong_opens_no_file(tmp_path):
    picture(tmp_path / "secret.png")
    file = parquet(
        tmp_path / "set" / "train.parquet", {"image": [{"bytes": str(tmp_path / "secret.png"), "path": "a"}]}
    )
    with pytest.raises(ValueError, match=r"row 0 of train.parquet has bytes or a path of another type"):
        load_dataset(str(file))


def test_a_hub_data_set_refers_to_no_file_of_the_user(tmp_path, monkeypatch):
    import datasets

    rows = {"image": [encoded(tmp_path, RED), {"bytes": None, "path": str(picture(tmp_path / "secret.png"))}]}
    file = parquet(tmp_path / "train.parquet", rows, {"image": {"_type": "Image"}})
    splits = datasets.load_dataset("parquet", data_files={"train": str(file)}, cache_dir=str(tmp_path / "hub"))
    monkeypatch.setattr(datasets, "load_dataset", lambda *names: splits)
    with pytest.raises(ValueError, match=r"the image in row 1 of train \(.*secret.png\) lies outside"):
        load_dataset("hub:owner/name", DataOptions(label_column="none"))
