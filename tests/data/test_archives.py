"""The names that arrays have in ``.npz`` files, and what their labels look like."""

import numpy as np
import pytest
import torch

from deep_infomax.data import DataOptions, load_dataset
from deep_infomax.data.archives import roles
from deep_infomax.data.description import lines

X = np.random.default_rng(0).random((12, 8, 8), np.float32)
Y = np.arange(12) % 3


def load(folder, options=None, **arrays):
    np.savez(folder / "set.npz", **arrays)
    return load_dataset(str(folder / "set.npz"), DataOptions(**(options or {})))


@pytest.mark.parametrize(
    ("x", "y", "x_test", "y_test"),
    [
        ("x", "y", "x_test", "y_test"),
        ("X", "Y", "X_test", "Y_test"),
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_train", "y_train", "X_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("trainX", "trainY", "testX", "testY"),
        ("xtr", "ytr", "xte", "yte"),
        ("data", "target", "data_test", "target_test"),
        ("images", "label", "test-images", "test-label"),
        ("inputs", "targets", "inputs_test", "targets_test"),
    ],
)
def test_names_of_other_libraries(tmp_path, x, y, x_test, y_test):
    dataset = load(tmp_path, **{x: X, y: Y, x_test: X[:5] + 1, y_test: Y[:5]})
    assert dataset.train.labels.tolist() == Y.tolist()
    assert np.array_equal(dataset.train.inputs[:, 0], X)
    assert np.array_equal(dataset.test.inputs[:, 0], X[:5] + 1)
    assert dataset.test.labels.tolist() == Y[:5].tolist()
    assert dataset.description["label_rule"] == f"array {y}, array {y_test}"


def test_validation_arrays_are_tested_on_where_no_others_are_labelled(tmp_path):
    medmnist = {"train_images": X, "train_labels": Y[:, None], "val_images": X[:4], "val_labels": Y[:4, None]}
    dataset = load(tmp_path, **medmnist)
    assert (dataset.test.split, len(dataset.test), dataset.train.classes) == ("validation", 4, ("0", "1", "2"))
    dataset = load(tmp_path, **medmnist, test_images=X[:5], test_labels=Y[:5, None], notes=np.zeros(3))
    assert (dataset.test.split, len(dataset.test)) == ("test", 5)
    assert dataset.description["not_read"] == "val_images, notes"
    dataset = load(tmp_path, **medmnist, test_images=X[:5])
    assert (dataset.test.split, dataset.description["split_rule"]) == ("validation", "x_validation as given")
    dataset = load(tmp_path, x=X, y=Y, x_unlabelled=X[:7], x_test=X[:5], y_test=Y[:5])
    assert (len(dataset.pretraining), len(dataset.labelled)) == (7, 12)


def test_inputs_with_and_without_labels_are_trained_on_where_it_is_asked_for(tmp_path):
    arrays = {"x": X, "y": Y, "x_unlabelled": X[:7] + 1, "x_test": X[:5], "y_test": Y[:5]}
    dataset = load(tmp_path, {"with_labelled": True}, **arrays)
    assert dataset.pretraining is dataset.pretraining  # which may be large
    assert np.array_equal(dataset.pretraining.take(torch.arange(19))[:, 0], np.concatenate([X[:7] + 1, X]))
    assert (dataset.pretraining.labels, dataset.pretraining.split) == (None, "unlabelled and train")
    assert dataset.description["pretraining_rule"] == "19 inputs, those with labels and those without"
    assert any("trained on: 19 inputs" in line for line in lines(dataset.description))
    assert (len(dataset.labelled), len(dataset.unlabelled)) == (12, 7)
    held_out = load(tmp_path, {"with_labelled": True, "held_out": 3}, **arrays)
    assert (len(held_out.pretraining), len(held_out.train)) == (16, 9)
    cropped = load(tmp_path, {"with_labelled": True, "random_crop": 4}, **arrays)
    assert (cropped.pretraining.shape, cropped.train.shape) == ((1, 8, 8), (1, 4, 4))
    without = load(tmp_path, {"with_labelled": True}, x=X, y=Y, x_test=X[:5], y_test=Y[:5])
    assert without.pretraining is without.train
    assert "pretraining_rule" not in without.description


def test_the_likelier_name_counts_and_the_others_are_told():
    assert roles(["target", "DESCR", "images", "data"]) == {"x": "images", "y": "target"}
    assert roles(["arr_0", "arr_1"]) == {"x": "arr_0"}


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x": X, "x_train": X}, "x and x_train can both be those of the training part"),
        ({"x": X, "y_test": Y}, "y_test has labels without inputs; name the inputs x_test"),
        ({"x": X, "y": np.eye(3)[Y] * 2}, r"y has the shape \(12, 3\) for 12 inputs; .* rows with a one at the class"),
        ({"x": X, "y": np.ones((12, 3))}, r"y has the shape \(12, 3\)"),
        ({"x": X, "y": np.arange(12)}, "the labels of y are all different, so they tell no classes apart"),
        ({"x": X, "y": Y - 1}, "the label -1 stands beside others"),
    ],
)
def test_archives_that_leave_doubt(tmp_path, arrays, sentence):
    with pytest.raises(ValueError, match=sentence):
        load(tmp_path, **arrays)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.eye(3)[Y], ("0", "1", "2")),
        (np.eye(3, dtype=bool)[Y], ("0", "1", "2")),
        (Y[:, None], ("0", "1", "2")),
        (Y + 1, ("1", "2", "3")),
        (Y - 2, ("-2", "-1", "0")),
        (np.where(Y == 0, -1, 1), ("-1", "1")),
        (Y == 0, ("False", "True")),
        (np.array([b"a", b"b", b"c"])[Y], ("a", "b", "c")),
        (np.array(["10", "9", "x"])[Y], ("10", "9", "x")),
        (Y.astype(np.float16), ("0", "1", "2")),
        (Y.astype(">i8"), ("0", "1", "2")),
        (Y.astype(np.uint64) + np.uint64(2**63), tuple(str(2**63 + number) for number in range(3))),
    ],
)
def test_labels_of_every_kind(tmp_path, labels, classes):
    dataset = load(tmp_path, x=X, y=labels, x_test=X, y_test=labels)
    assert dataset.train.classes == classes
    expected = Y if len(classes) == 3 else (Y != 0) if classes[0] == "-1" else (Y == 0)
    assert dataset.train.labels.tolist() == expected.astype(int).tolist()


def test_a_test_part_without_labels_or_with_another_class_is_marked(tmp_path):
    dataset = load(tmp_path, x=X, y=Y, x_test=X[:5])
    assert (dataset.test.labels, dataset.description["test_labels"]) == (None, "none")
    dataset = load(tmp_path, x=X, y=Y, x_test=X[:5], y_test=np.full(5, -1))
    assert (dataset.test.labels, dataset.description["test_labels"]) == (None, "none")
    dataset = load(tmp_path, x=X, y=Y, x_test=X[:5], y_test=[0, 7, 7, 1, 2])
    assert dataset.description["test_labels"] == "2 of 5 inputs are of classes that the training part lacks (7)"
