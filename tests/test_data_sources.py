"""Every kind of source, what its images and labels become, and the sentence each mistake gets."""

import json
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from deep_infomax.data import DataOptions, Source, cache, load_dataset, require_labels
from deep_infomax.data.arrays import channels_second
from deep_infomax.data.labels import hold_out, number_classes

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEP_INFOMAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def picture(path: Path, colour=RED, size=(4, 4), mode="RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


def encoded(folder: Path, colour) -> dict:
    return {"bytes": picture(folder / "scratch" / "p.png", colour).read_bytes(), "path": "p.png"}


def parquet(file: Path, columns: dict, features: dict | None = None) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, file)
    return file


@pytest.fixture
def class_folders(tmp_path):
    for label, colour in {"ant": RED, "bee": GREEN}.items():
        for i in range(10):
            picture(tmp_path / "insects" / label / f"{i}.png", colour)
    return tmp_path / "insects"


# Names


def test_digits_are_split_the_same_every_time_and_by_class():
    first, second = load_dataset("digits"), load_dataset("digits")
    assert (len(first.train), len(first.test), first.train.shape) == (1297, 500, (1, 8, 8))
    assert torch.equal(first.train.inputs, second.train.inputs)
    assert torch.equal(first.test.labels, second.test.labels)
    whole = torch.cat([first.train.labels, first.test.labels]).bincount() * 500 / 1797
    assert (first.test.labels.bincount() - whole).abs().max() <= 1
    assert first.train.inputs.dtype == torch.uint8
    assert first.train.inputs.unique().tolist() == [round(255 * value / 16) for value in range(17)]
    assert first.pretraining is first.train


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("cifr10", "did you mean cifar10"),
        ("nowhere/to-be-found", "write hub:nowhere/to-be-found"),
        ("./missing", "names: digits, cifar10"),
        ("", "no data set"),
        ("hub:name", "write hub:owner/name"),
    ],
)
def test_unknown_names_are_answered_with_known_ones(spec, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        load_dataset(spec)


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
    with pytest.raises(ValueError, match="flat train has no labels.*--probe"):
        require_labels(dataset.train)


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


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    (tmp_path / "deep").mkdir()
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "deep" / "a.png")
    assert np.unique(load_dataset(str(tmp_path / "deep")).train.inputs).tolist() == [40_000 // 256]


def test_sizes_that_differ_need_a_rule(tmp_path):
    root = tmp_path / "sizes"
    left, right = picture(root / "a.png", BLUE, (8, 4)), picture(root / "b.png", RED, (4, 6))
    with pytest.raises(ValueError, match=r"2 different sizes.*4 x 8.*--data_options.resize 64"):
        load_dataset(str(root))
    assert load_dataset(str(root), DataOptions(resize=6)).train.shape == (3, 6, 6)
    assert load_dataset(str(root), DataOptions(resize=6, crop=2)).train.shape == (3, 2, 2)
    assert load_dataset(str(root), DataOptions(crop=4)).train.shape == (3, 4, 4)
    right.unlink()
    with pytest.raises(ValueError, match=f"{left} has 4 x 8 pixels.*--data_options.resize 5"):
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


def floating(root):
    root.mkdir()
    Image.fromarray(np.zeros((4, 4), np.float32)).save(root / "bad.tif")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (Path.mkdir, "has no files"),
        (lambda root: (root.mkdir(), (root / "a.txt").touch()), "has 1 files, none of them"),
        (broken, "bad.png: it is not an image of a known format; remove or replace it"),
        (truncated, "bad.png: .*truncated.*; remove or replace it"),
        (beside, r"1 images \(bad.png, ...\) lie beside class folders \(cat, ...\)"),
        (outside_splits, "bad.png lies beside the folder train"),
        (floating, "bad.tif: it holds floating-point numbers"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path, make, sentence):
    make(tmp_path / "folder")
    with pytest.raises(ValueError, match=sentence):
        load_dataset(str(tmp_path / "folder"))
    assert not list(tmp_path.glob("cache/*"))


def test_a_file_of_no_known_kind(tmp_path):
    with pytest.raises(ValueError, match="a file of no known kind"):
        load_dataset(str(picture(tmp_path / "a.png")))


# Parquet files and the Hub


def test_parquet_in_the_schema_of_the_hub(tmp_path):
    features = {"img": {"_type": "Image"}, "label": {"names": ["zebra", "ape"], "_type": "ClassLabel"}}
    rows = [encoded(tmp_path, colour) for colour in (RED, GREEN, BLUE)]
    parquet(tmp_path / "set/data/train-0.parquet", {"img": rows, "label": [1, 0, 1], "id": [7, 8, 9]}, features)
    parquet(tmp_path / "set/data/test-0.parquet", {"img": rows[:1], "label": [-1]}, features)
    parquet(tmp_path / "set/data/valid-0.parquet", {"img": rows[1:2], "label": [0]}, features)
    dataset = load_dataset(str(tmp_path / "set"))
    assert dataset.train.classes == ("zebra", "ape")
    assert dataset.train.labels.tolist() == [1, 0, 1]
    assert dataset.train.take(torch.arange(3))[:, :, 0, 0].tolist() == [list(RED), list(GREEN), list(BLUE)]
    assert (dataset.test.split, dataset.test.labels.tolist()) == ("validation", [0])


def test_parquet_without_features(tmp_path):
    file = parquet(tmp_path / "set.parquet", {"p": [encoded(tmp_path, RED)] * 10, "kind": [3] * 5 + [4] * 5})
    dataset = load_dataset(str(file))
    assert dataset.train.classes == ("3", "4")
    assert load_dataset(str(file), DataOptions(label_column="none")).train.labels is None


def test_names_as_labels(tmp_path):
    labels = ["b", "a"] * 5
    file = parquet(tmp_path / "set.parquet", {"p": [encoded(tmp_path, RED)] * 10, "label": labels, "id": range(10)})
    assert load_dataset(str(file)).train.classes == ("a", "b")


@pytest.mark.parametrize(
    ("columns", "features", "options", "sentence"),
    [
        (["text"], {}, {}, "no column holds images"),
        (["a", "b"], {}, {}, r"several columns hold images, \['a', 'b'\].*--data_options.image_column"),
        (["a", "label"], {}, {"image_column": "label"}, "'label' holds no images"),
        (["a", "label"], {}, {"label_column": "kind"}, "there is no column 'kind'"),
        (["a", "u", "v"], {"u": "ClassLabel", "v": "ClassLabel"}, {}, "several columns hold classes"),
        (["a", "missing"], {}, {"label_column": "missing"}, "some labels are missing"),
    ],
)
def test_parquet_columns_that_cannot_be_used(tmp_path, columns, features, options, sentence):
    values = {"text": ["x", "y"], "label": [0, 1], "u": [0, 1], "v": [0, 1], "missing": [0, None]}
    table = {name: values.get(name, [encoded(tmp_path, RED)] * 2) for name in columns}
    file = parquet(
        tmp_path / "set.parquet", table, {name: {"_type": kind, "names": ["x", "y"]} for name, kind in features.items()}
    )
    with pytest.raises(ValueError, match=sentence):
        load_dataset(str(file), DataOptions(**options))


def test_damaged_parquet(tmp_path):
    file = parquet(tmp_path / "set.parquet", {"p": [encoded(tmp_path, RED)] * 10})
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ValueError, match="cannot read set.parquet.*replace"):
        load_dataset(str(file))
    parquet(file, {"p": [{"bytes": None, "path": None}, encoded(tmp_path, RED)]})
    with pytest.raises(ValueError, match="row 0 of set.parquet has no image"):
        load_dataset(str(file))
    parquet(file, {"p": [encoded(tmp_path, RED), {"bytes": b"no image", "path": "q.png"}]})
    with pytest.raises(ValueError, match=r"row 1 of set.parquet \(q.png\): it is not an image"):
        load_dataset(str(file))


def test_parquet_files_of_no_split(tmp_path):
    for name in ("train", "extra"):
        parquet(tmp_path / "set" / f"{name}.parquet", {"p": [encoded(tmp_path, RED)]})
    with pytest.raises(ValueError, match=r"cannot tell the split of extra.parquet"):
        load_dataset(str(tmp_path / "set"))


def test_hub_data_sets_by_name(tmp_path, monkeypatch):
    import datasets

    features = {"image": {"_type": "Image"}, "label": {"names": ["a", "b"], "_type": "ClassLabel"}}
    rows = [encoded(tmp_path, colour) for colour in (RED, GREEN)]
    labels = {"train": [0, 1], "test": [1, 0], "unlabeled": [-1, -1]}
    files = {
        split: str(parquet(tmp_path / f"{split}.parquet", {"image": rows, "label": numbers}, features))
        for split, numbers in labels.items()
    }
    splits = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "hub"))
    asked = []
    monkeypatch.setattr(datasets, "load_dataset", lambda name: asked.append(name) or splits)
    dataset = load_dataset("stl10")
    assert asked == ["jxie/stl10"]
    assert dataset.test.labels.tolist() == [1, 0]
    assert dataset.train.take(torch.arange(2))[:, :, 0, 0].tolist() == [list(RED), list(GREEN)]
    assert (len(dataset.unlabelled), dataset.unlabelled.labels, dataset.unlabelled.classes) == (2, None, None)
    assert load_dataset("hub:owner/name").train.classes == ("a", "b")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            ConnectionError("Couldn't reach it\nmore"),
            r"cannot get 'a/b' from the Hugging Face Hub \(Couldn't reach it\)",
        ),
        ("missing", "shows no data set 'a/b'; correct the name"),
    ],
)
def test_hub_that_does_not_answer(monkeypatch, error, sentence):
    import datasets

    def refuse(name):
        raise datasets.exceptions.DatasetNotFoundError("gone") if error == "missing" else error

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(ValueError, match=sentence):
        load_dataset("hub:a/b")


# Arrays


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((9, 50), "auto", (9, 1, 50)),
        ((9, 50), "channels_last", (9, 1, 50)),
        ((9, 6, 7), "auto", (9, 1, 6, 7)),
        ((9, 6, 7), "channels_first", (9, 6, 7)),
        ((9, 6, 7), "channels_last", (9, 7, 6)),
        ((9, 6, 7, 3), "auto", (9, 3, 6, 7)),
        ((9, 3, 6, 3), "auto", (9, 3, 6, 3)),
        ((9, 2, 6, 7), "auto", (9, 2, 6, 7)),
        ((9, 5, 6, 7), "channels_last", (9, 7, 5, 6)),
        ((9, 2, 4, 5, 6), "auto", (9, 2, 4, 5, 6)),
        ((9, 4, 5, 6, 2), "channels_last", (9, 2, 4, 5, 6)),
    ],
)
def test_layouts_of_arrays(shape, layout, expected):
    array = np.arange(np.prod(shape)).reshape(shape)
    moved, _ = channels_second(array, layout)
    assert moved.shape == expected
    assert np.array_equal(np.sort(moved, axis=None), array.ravel())


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_npy_stays_on_disk(tmp_path, kind):
    array = np.arange(5 * 6 * 7 * 3).reshape(5, 6, 7, 3).astype(kind)
    np.save(tmp_path / "x.npy", array)
    train = load_dataset(str(tmp_path / "x.npy")).train
    assert isinstance(train.inputs, np.memmap)
    assert torch.equal(train.take(torch.tensor([4, 0])), torch.from_numpy(array[[4, 0]]).movedim(-1, 1))


def test_npz_with_labels_and_test(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((4, 8)), y=["u", "v", "u", "v"], x_test=np.zeros((2, 8)), y_test=["v", "u"])
    dataset = load_dataset(str(tmp_path / "a.npz"))
    assert dataset.train.inputs.dtype == torch.float32
    assert (dataset.train.shape, dataset.train.labels.tolist(), dataset.test.labels.tolist()) == (
        (1, 8),
        [0, 1, 0, 1],
        [1, 0],
    )
    np.savez(tmp_path / "b.npz", images=np.ones((10, 8), bool), labels=np.repeat([3.0, 5.0], 5)[:, None])
    dataset = load_dataset(str(tmp_path / "b.npz"))
    assert (len(dataset.train), len(dataset.test), dataset.train.classes) == (8, 2, ("3", "5"))
    np.savez(tmp_path / "c.npz", np.ones((10, 8)))
    assert load_dataset(str(tmp_path / "c.npz")).test is None


def test_arrays_are_resized_and_cropped(tmp_path):
    np.save(tmp_path / "x.npy", np.full((3, 8, 12), 7, np.uint8))
    train = load_dataset(str(tmp_path / "x.npy"), DataOptions(resize=16)).train
    assert (train.shape, train.inputs.unique().tolist()) == ((1, 16, 16), [7])
    assert load_dataset(str(tmp_path / "x.npy"), DataOptions(crop=6)).train.shape == (1, 6, 6)
    np.save(tmp_path / "series.npy", np.arange(20.0).reshape(2, 10))
    assert load_dataset(str(tmp_path / "series.npy"), DataOptions(crop=2)).train.inputs.tolist() == [
        [[4, 5]],
        [[14, 15]],
    ]
    assert load_dataset("digits", DataOptions(resize=32)).train.shape == (1, 32, 32)


@pytest.mark.parametrize(
    ("x", "options", "sentence"),
    [
        (np.ones(5), {}, r"shape \(5,\)"),
        (np.ones((2, 0, 3)), {}, "so there are none"),
        (np.ones((2, 3), complex), {}, "type complex128; save real numbers"),
        (np.array([[None, 1]]), {}, "save plain arrays of numbers, not objects"),
        (np.array([[0, 1], [0, np.nan]]), {}, "input 1 has numbers that are NaN or infinite"),
        (np.array([[0, 1e300]]), {}, "input 0 has numbers that are NaN or infinite"),
        (np.ones((2, 8)), {"resize": 4}, "--data_options.resize is for images"),
        (np.ones((2, 8, 8)), {"crop": 9}, "8 x 8 cannot be cropped to 9"),
        (np.ones((2, 8, 8)), {"channels": 3}, "--data_options.channels 3 converts only image files"),
    ],
)
def test_arrays_that_cannot_be_used(tmp_path, x, options, sentence):
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(ValueError, match=r"x\.npy: .*" + sentence):
        load_dataset(str(tmp_path / "x.npy"), DataOptions(**options))


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"z": np.ones((2, 3))}, r"no inputs among the arrays \['z'\]"),
        ({"x": np.ones((4, 3)), "y": [0, 1]}, r"y has the shape \(2,\) for 4 inputs"),
        ({"x": np.ones((2, 3)), "y": [0, np.nan]}, "y has labels that are not finite"),
        ({"x": np.ones((2, 3)), "y": [0, 1]}, "cannot hold 0 of 2 inputs out"),
        ({"x": np.ones((2, 3)), "x_test": np.ones((2, 4))}, "x has inputs of 1 x 3, x_test of 1 x 4"),
    ],
)
def test_archives_that_cannot_be_used(tmp_path, arrays, sentence):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=sentence):
        load_dataset(str(tmp_path / "x.npz"))


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
@pytest.mark.parametrize("content", [b"", b"no array at all"])
def test_files_that_are_no_arrays(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}: cannot be read as numpy arrays"):
        load_dataset(str(tmp_path / name))


# Labels and options


def test_hold_out_keeps_the_share_of_every_class():
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)[torch.randperm(100)]
    kept, held = hold_out(labels)
    assert labels[held].bincount().tolist() == [10, 6, 4]
    assert torch.cat([kept, held]).sort().values.tolist() == list(range(100))
    assert torch.equal(held, hold_out(labels)[1])
    assert not torch.equal(held, hold_out(labels, seed=1)[1])


def test_class_numbers_outside_the_names():
    with pytest.raises(ValueError, match="label 5 is not one of the 2 named classes"):
        number_classes({"train": [0, 5]}, ["a", "b"])


def test_a_probe_needs_two_classes():
    source = Source(torch.zeros(2, 1, 3), torch.zeros(2, dtype=torch.long), ("a",), "set", "train")
    with pytest.raises(ValueError, match="one class only, 'a'"):
        require_labels(source)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"resize": 0}, "--data_options.resize must be at least 1, got 0"),
        ({"channels": 2}, "must be 1 .* or 3"),
        ({"resize": 32, "crop": 64}, "crop 64 does not fit into --data_options.resize 32"),
        ({"crop": 32, "random_crop": 64}, "random_crop 64 does not fit into --data_options.crop 32"),
    ],
)
def test_options_that_contradict(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        DataOptions(**values)


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
    with pytest.warns(UserWarning, match="cannot be written .*DEEP_INFOMAX_CACHE"):
        dataset = load_dataset(str(class_folders))
    assert isinstance(dataset.train.inputs, torch.Tensor)
    assert len(dataset.train) == 16


def test_a_full_disk_is_refused_before_the_work(class_folders, own_cache, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(ValueError, match="0.0 GB are free; set DEEP_INFOMAX_CACHE"):
        load_dataset(str(class_folders))
    assert not list(own_cache.iterdir())


def test_leftovers_of_killed_commands_are_removed_after_a_day(own_cache):
    old, new = own_cache / ".unfinished-old", own_cache / ".unfinished-new"
    old.mkdir(parents=True)
    new.mkdir()
    yesterday = time.time() - 1.5 * cache.DAY
    os.utime(old, (yesterday, yesterday))
    cache.remove_unfinished(own_cache)
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.skipif("DEEP_INFOMAX_TEST_CIFAR10" not in os.environ, reason="needs a parquet folder of CIFAR-10")
def test_cifar10_from_parquet():
    dataset = load_dataset(os.environ["DEEP_INFOMAX_TEST_CIFAR10"])
    assert (len(dataset.train), len(dataset.test), dataset.train.shape) == (50_000, 10_000, (3, 32, 32))
    assert dataset.train.classes[0] == "airplane"
    assert dataset.train.labels.bincount().tolist() == [5_000] * 10
    start = time.perf_counter()
    load_dataset(os.environ["DEEP_INFOMAX_TEST_CIFAR10"])
    assert time.perf_counter() - start < 5
