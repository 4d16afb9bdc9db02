"""Names, tables and the Hub; labels and options; the sentence each mistake gets."""

import json
import os
import re
import time

import numpy as np
import pyarrow as pa
import pytest
import torch
from data_helpers import BLUE, GREEN, RED, encoded, parquet, picture

from deep_infomax.data import DataOptions, Source, load_dataset, require_labels
from deep_infomax.data.columns import Columns, find_columns
from deep_infomax.data.labels import hold_out, number_classes

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
        ("./missing", "names: digits, placed-digits, cifar10"),
        ("", "no data set"),
        ("hub:name", "write hub:owner/name"),
    ],
)
def test_unknown_names_are_answered_with_known_ones(spec, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        load_dataset(spec)


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
        (["a", "b"], {}, {}, r"several columns hold images, \['a', 'b'\].*`data_options.image_column`"),
        (["a", "label"], {}, {"image_column": "label"}, "'label' holds no images"),
        (["a", "label"], {}, {"label_column": "kind"}, "there is no column 'kind'"),
        (["a", "u", "v"], {"u": "ClassLabel", "v": "ClassLabel"}, {}, "several columns hold classes"),
        (["a", "missing"], {}, {"label_column": "missing"}, "some labels are missing"),
        (["a", "lists"], {}, {"label_column": "lists"}, "'lists' holds several values a row; choose another"),
        (["a"], {}, {"label_column": "a"}, "'a' holds several values a row; choose another"),
        (["a", "real"], {}, {"label_column": "real"}, r"label 0\.5 is neither a whole number nor text"),
    ],
)
def test_parquet_columns_that_cannot_be_used(tmp_path, columns, features, options, sentence):
    values = {"text": ["x", "y"], "label": [0, 1], "u": [0, 1], "v": [0, 1], "missing": [0, None]}
    values |= {"lists": [[0], [1]], "real": [0.5, 1.0]}
    table = {name: values.get(name, [encoded(tmp_path, RED)] * 2) for name in columns}
    file = parquet(
        tmp_path / "set.parquet", table, {name: {"_type": kind, "names": ["x", "y"]} for name, kind in features.items()}
    )
    with pytest.raises(ValueError, match=sentence):
        load_dataset(str(file), DataOptions(**options))


def test_arrays_of_the_datasets_library_are_no_labels(tmp_path):
    import datasets

    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("img", image), ("label", datasets.Array2D((2, 2), "int32")())])
    with pytest.raises(ValueError, match="'label' holds several values a row"):
        find_columns(schema, DataOptions())


def class_folders(folder, colours):
    for number, colour in enumerate(colours):
        picture(folder / "ab"[number % 2] / f"{number:02}.png", colour)
    return folder


def table(folder, colours):
    images = [encoded(folder, colour) for colour in colours]
    return parquet(folder / "set" / "train.parquet", {"p": images, "label": [0, 1] * (len(colours) // 2)}).parent


def archive(folder, colours):
    pixels = np.array(colours, np.uint8)[:, :, None, None].repeat(2, 2).repeat(2, 3)
    np.savez(folder / "x.npz", x=pixels, y=[0, 1] * (len(colours) // 2))
    return folder / "x.npz"


@pytest.mark.parametrize("make", [class_folders, table, archive])
def test_what_was_held_out_is_known_by_where_it_is_stored(tmp_path, make):
    spec = str(make(tmp_path, [(number, 0, 0) for number in range(20)]))
    expected = load_dataset(spec, DataOptions(label_column="none")).train
    for _ in range(2):  # images: decoded, then out of the cache
        dataset = load_dataset(spec)
        assert len(dataset.test) == 4
        assert list(dataset.stored) == ["train"]
        rows = torch.cat([rows for _, rows in dataset.stored["train"]])
        inputs = torch.cat([source.take(torch.arange(len(source))) for source, _ in dataset.stored["train"]])
        assert torch.equal(inputs[rows.argsort()], expected.take(torch.arange(20)))


def test_published_splits_are_stored_as_they_are(tmp_path):
    for split in ("train", "test", "unlabeled"):
        parquet(tmp_path / "set" / f"{split}.parquet", {"p": [encoded(tmp_path, RED)] * 2, "label": [0, 1]})
    dataset = load_dataset(str(tmp_path / "set"))
    assert {name: [len(source) for source, _ in parts] for name, parts in dataset.stored.items()} == {
        "train": [2],
        "test": [2],
        "unlabelled": [2],
    }


def test_damaged_parquet(tmp_path):
    file = parquet(tmp_path / "set.parquet", {"p": [encoded(tmp_path, RED)] * 10})
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"cannot read set.parquet.*replace"):
        load_dataset(str(file))
    parquet(file, {"p": [{"bytes": None, "path": None}, encoded(tmp_path, RED)]})
    with pytest.raises(ValueError, match=r"row 0 of set.parquet: there is no image"):
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
    monkeypatch.setattr(datasets, "load_dataset", lambda *names: asked.append(names) or splits)
    dataset = load_dataset("stl10")
    assert load_dataset("hub:owner/name:small").name == "owner/name:small"
    assert asked == [("jxie/stl10",), ("owner/name", "small")]
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
        (ValueError("a broken script\nmore"), r"\(ValueError: a broken script\); download its parquet"),
        (
            ValueError("Config name is missing.\nPlease pick one among the available configs: ['small', 'large']"),
            r"'a/b' has several configurations, small, large; name one: hub:a/b:small",
        ),
        (
            ValueError("BuilderConfig 'x' not found. Available: ['small', 'large']"),
            r"'a/b' has several configurations, small, large; name one: hub:a/b:small",
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
        ({"train_inputs": 0}, "`data_options.train_inputs` is 0; give 1 or more"),
        ({"held_out": 0}, "`data_options.held_out` is 0; give 1 or more"),
        ({"resize": 0}, "`data_options.resize` is 0; give 1 or more"),
        ({"channels": 0}, "`data_options.channels` is 0; give 1 or more"),
        ({"resize": 32, "crop": 64}, "`data_options.crop` is 64, larger than `data_options.resize` of 32"),
        ({"crop": 32, "random_crop": 64}, "`data_options.random_crop` is 64, larger than `data_options.crop` of 32"),
    ],
)
def test_options_that_contradict(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        DataOptions(**values)


@pytest.mark.skipif("DEEP_INFOMAX_TEST_CIFAR10" not in os.environ, reason="needs a parquet folder of CIFAR-10")
def test_cifar10_from_parquet():
    dataset = load_dataset(os.environ["DEEP_INFOMAX_TEST_CIFAR10"])
    assert (len(dataset.train), len(dataset.test), dataset.train.shape) == (50_000, 10_000, (3, 32, 32))
    assert dataset.train.classes[0] == "airplane"
    assert dataset.train.labels.bincount().tolist() == [5_000] * 10
    start = time.perf_counter()
    load_dataset(os.environ["DEEP_INFOMAX_TEST_CIFAR10"])
    assert time.perf_counter() - start < 5


def test_columns_of_lists_in_the_hubs_schema_are_passed_over():
    features = {"img": {"_type": "Image"}, "tags": [{"dtype": "string", "_type": "Value"}]}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("img", image), ("tags", pa.list_(pa.string()))], metadata=metadata)
    assert find_columns(schema, DataOptions()) == Columns("img", (), {}, ("img", "tags"))


@pytest.mark.parametrize(
    "metadata",
    [
        "{", "[]", '{"info": 5}', '{"info": {"features": []}}', "[" * 9_999,
        '{"info": {"features": {"y": {"_type": "ClassLabel", "names": [1]}}}}',
        '{"info": {"features": {"y": {"_type": "ClassLabel", "names": "ab"}}}}',
    ],
)  # fmt: skip
def test_metadata_of_the_hub_that_are_damaged_get_one_sentence(metadata):
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("img", image), ("y", pa.int64())], metadata={"huggingface": metadata})
    with pytest.raises(ValueError, match=r"^the metadata 'huggingface' of the table are damaged: .*; write it again"):
        find_columns(schema, DataOptions())


def test_some_of_the_training_inputs_are_kept_and_all_of_the_test_part():
    whole, some = load_dataset("digits"), load_dataset("digits", DataOptions(train_inputs=100))
    rows = torch.arange(100) * len(whole.train) // 100
    assert torch.equal(some.train.inputs, whole.train.inputs[rows])
    assert torch.equal(some.train.labels, whole.train.labels[rows])
    assert torch.equal(some.test.inputs, whole.test.inputs)
    assert some.description["n_train"] == 100
    assert some.description["train_rule"] == "at most 100 training inputs, evenly spaced"
    more = load_dataset("digits", DataOptions(train_inputs=10_000))
    assert torch.equal(more.train.inputs, whole.train.inputs)


def test_training_inputs_stand_in_for_the_test_part():
    whole, chosen = load_dataset("digits"), load_dataset("digits", DataOptions(held_out=300))
    kept, held = hold_out(whole.train.labels, 300)
    assert torch.equal(chosen.train.inputs, whole.train.inputs[kept])
    assert torch.equal(chosen.train.labels, whole.train.labels[kept])
    assert torch.equal(chosen.test.inputs, whole.train.inputs[held])
    assert torch.equal(chosen.test.labels, whole.train.labels[held])
    assert "300 of 1297 labelled inputs held out" in chosen.description["split_rule"]
    assert {name: len(parts) for name, parts in chosen.stored.items()} == {"train": 1, "test": 1}
    few = load_dataset("digits", DataOptions(held_out=300, train_inputs=50))
    assert (len(few.train), len(few.test)) == (50, 300)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"held_out": 1297},
            "`data_options.held_out` is 1297, which leaves none of the 1,297 inputs of digits train to train on",
        ),
        (
            {"held_out": 9, "label_column": "none"},
            "digits train has no labels to test with; leave `data_options.held_out` out",
        ),
    ],
)
def test_what_cannot_be_held_out(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_dataset("digits", DataOptions(**options))
