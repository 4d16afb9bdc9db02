"""Which column of a table labels its images, judged by name and by values, and which configuration is read."""

from decimal import Decimal

import pytest
from data_helpers import RED, encoded, parquet

from deep_infomax.data import DataOptions, load_dataset
from deep_infomax.data.labels import number_classes

N = 20


def load(folder, features=None, options=None, **columns):
    rows = {"image": [encoded(folder, RED)] * N, **{name: list(values) for name, values in columns.items()}}
    return load_dataset(str(parquet(folder / "set.parquet", rows, features)), DataOptions(**(options or {})))


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"image_id": range(0, 7 * N, 7)}, "none; not read: image_id"),
        ({"taken": range(1_700_000_000, 1_700_000_000 + N)}, "none; not read: taken"),
        ({"caption": ["a b"] * N, "__index_level_0__": range(N)}, "none; not read: caption, __index_level_0__"),
        ({"width": [8] * N}, "none; not read: width"),
        ({"kind": [8] * N}, "none: in kind all values are equal"),
        ({"kind": range(N)}, "none: in kind all values are different"),
        ({"kind": [number * 2 // 3 for number in range(N)]}, "none: in kind hardly any value occurs twice"),
        ({"label": [f"caption {number}" for number in range(N)]}, "none: in label all values are different"),
        ({"y": ["x"] * N, "id": range(N)}, "none: in y all values are equal; not read: id"),
    ],
)
def test_columns_that_tell_no_classes_apart(tmp_path, columns, rule):
    dataset = load(tmp_path, **columns)
    assert (len(dataset.train), dataset.train.labels, dataset.test) == (N, None, None)
    assert dataset.description["label_rule"] == rule


@pytest.mark.parametrize(
    ("columns", "classes", "rule"),
    [
        ({"label": [0.0, 1.0] * 10}, ("0", "1"), "column label"),
        ({"label": [Decimal(3), Decimal(12)] * 10, "id": range(N)}, ("3", "12"), "column label; not read: id"),
        ({"label": [True, False] * 10}, ("False", "True"), "column label"),
        ({"label": range(N), "target": [5, 7] * 10}, ("5", "7"), "column target: in label all values are different"),
        ({"kind": [-1, 1] * 10}, ("-1", "1"), "column kind"),
        ({"label": [-2, -1, 0, 1] * 5}, ("-2", "-1", "0", "1"), "column label"),
    ],
)
def test_columns_that_do(tmp_path, columns, classes, rule):
    dataset = load(tmp_path, **columns)
    assert dataset.train.classes == classes
    assert dataset.description["label_rule"] == rule
    first, second = list(columns.values())[-1 if "target" in columns else 0][:2]
    assert (len(dataset.train), first != second) == (16, True)


@pytest.mark.parametrize(
    ("columns", "options", "sentence"),
    [
        ({"id": range(N)}, {"label_column": "id"}, "column 'id' tells no classes apart, as all values are different"),
        ({"label": [float("nan"), 1.0, 2.0, None] * 5}, {}, r"some labels are missing \(10 inputs have none\)"),
        ({"label": ["", "cat", "dog", " "] * 5}, {}, r"some labels are missing \(10 inputs have none\)"),
        ({"label": [-1, 0, 1, 2] * 5}, {}, "the label -1 stands beside others from 0 on, and may be a class"),
    ],
)
def test_columns_that_are_refused(tmp_path, columns, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        load(tmp_path, options=options, **columns)
    assert len(load(tmp_path, options={"label_column": "none"}, **columns).train) == N


def test_a_split_of_minus_one_is_unlabelled_in_every_kind_of_numbers():
    numbers, classes = number_classes({"train": [2, 0, 1], "test": [-1, -1.0, -1]})
    assert (numbers["train"].tolist(), numbers["test"], classes) == ([2, 0, 1], None, ("0", "1", "2"))
    numbers, classes = number_classes({"train": [0, 1], "test": [-1, -1]}, ["a", "b"])
    assert (numbers["train"].tolist(), numbers["test"], classes) == ([0, 1], None, ("a", "b"))
    numbers, classes = number_classes({"train": [-1, 1], "test": [-1, -1]})
    assert (numbers["test"].tolist(), classes) == ([0, 0], ("-1", "1"))


@pytest.mark.parametrize(
    "files",
    [
        ("small/train/0000.parquet", "large/train/0000.parquet"),
        ("small/train/0000.parquet", "large/test/0000.parquet"),
        ("small/train-00000-of-00001.parquet", "large/train-00000-of-00001.parquet"),
        ("data/train-0.parquet", "large/test-0.parquet"),
        ("small/0.parquet", "large/0.parquet"),
    ],
)
def test_configurations_are_never_merged(tmp_path, files):
    for file in files:
        parquet(tmp_path / "set" / file, {"image": [encoded(tmp_path, RED)] * 4, "label": [0, 1, 0, 1]})
    with pytest.raises(ValueError, match=r"parquet files lie in several folders, .*large.*give one of them, such as"):
        load_dataset(str(tmp_path / "set"))
    assert load_dataset(str(tmp_path / "set" / "large")).train.classes == ("0", "1")


def test_splits_in_folders_of_one_configuration(tmp_path):
    for split in ("train", "test"):
        for shard in range(2):
            file = tmp_path / "set" / "default" / split / f"{shard:04}.parquet"
            parquet(file, {"image": [encoded(tmp_path, RED)] * 4, "label": [0, 1, 0, 1]})
    dataset = load_dataset(str(tmp_path / "set"))
    assert (len(dataset.train), len(dataset.test)) == (8, 8)
