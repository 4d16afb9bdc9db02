"""Arrays of any shape, and the sentence each mistake gets."""

import numpy as np
import pytest
import torch

from deep_infomax.data import Batches, DataOptions, from_arrays, load_dataset


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64, np.uint16, np.int8, ">f4", ">i2"])
def test_npy_stays_on_disk(tmp_path, kind):
    array = np.arange(5 * 6 * 7 * 3).reshape(5, 6, 7, 3).astype(kind)
    np.save(tmp_path / "x.npy", array)
    dataset = load_dataset(str(tmp_path / "x.npy"))
    train, read = dataset.train, np.uint8 if kind is np.uint8 else np.float32
    assert isinstance(train.inputs, np.memmap)
    expected = torch.from_numpy(array.astype(read)).movedim(-1, 1)
    torch.testing.assert_close(train.take(torch.tensor([4, 0])), expected[[4, 0]], rtol=0, atol=0)
    for resident_bytes in (0, None):
        batch = Batches(train, 5, 0, "cpu", resident_bytes=resident_bytes).batch(0)
        torch.testing.assert_close(batch.inputs, expected[batch.index], rtol=0, atol=0)
    assert train.nbytes == expected.nbytes
    assert dataset.description["encoding"] == np.dtype(read).name
    resized = load_dataset(str(tmp_path / "x.npy"), DataOptions(resize=12)).train.inputs
    assert resized.dtype == expected.dtype


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
    np.savez(tmp_path / "c.npz", np.ones((10, 8)), notes=np.array([None]))
    assert load_dataset(str(tmp_path / "c.npz")).test is None


def test_arrays_without_their_labels_are_not_split(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((10, 8)), y=np.linspace(0, 1, 10))
    dataset = load_dataset(str(tmp_path / "a.npz"), DataOptions(label_column="none"))
    assert (len(dataset.train), dataset.train.labels, dataset.test) == (10, None, None)
    np.savez(tmp_path / "b.npz", x=np.ones((4, 8)), y=[0, 1, 0, 1], x_test=np.zeros((2, 8)), y_test=[1, 0])
    dataset = load_dataset(str(tmp_path / "b.npz"), DataOptions(label_column="none"))
    assert (len(dataset.test), dataset.train.labels, dataset.test.labels) == (2, None, None)
    dataset = load_dataset("digits", DataOptions(label_column="none"))
    assert (len(dataset.train), dataset.train.labels, dataset.test) == (1797, None, None)


def test_labels_of_one_kind_or_two_keep_their_order(tmp_path):
    arrays = {"x": np.ones((4, 8)), "y": [10, 9, 10, 9], "x_test": np.ones((2, 8)), "y_test": [b"v", b"u"]}
    np.savez(tmp_path / "x.npz", **arrays)
    assert load_dataset(str(tmp_path / "x.npz")).train.classes == ("9", "10", "u", "v")


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
        (np.array([[None, 1]]), {}, "no complete file of plain numpy arrays; write arrays of numbers"),
        (np.array([[0, 1], [0, np.nan]]), {}, "input 1 has numbers that are NaN or infinite"),
        (np.array([[0, 1e300]]), {}, "input 0 has numbers that are NaN or infinite"),
        (np.ones((2, 8)), {"resize": 4}, "`data_options.resize` is for images"),
        (np.ones((2, 8, 8)), {"crop": 9}, "8 x 8 cannot be cropped to 9"),
        (np.ones((2, 8, 8)), {"channels": 3}, "`data_options.channels` converts only image files"),
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
        ({"x": np.ones((2, 3)), "y": [0, 0.5]}, r"label 0\.5 is neither a whole number nor text; round or bin"),
        ({"x": np.ones((2, 3)), "y": [1j, 1j]}, "label 1j is neither a whole number nor text"),
        ({"x": np.ones((2, 3)), "y": np.zeros(2, "M8[D]")}, "label 1970-01-01 is neither"),
        ({"x": np.ones((2, 3)), "y": [0, 0]}, "cannot hold 0 of 2 inputs out .*`data_options.label_column` to none"),
        ({"x": np.ones((2, 3)), "x_test": np.ones((2, 4))}, "x has inputs of 3, x_test has inputs of 4; give all one"),
        ({"x": np.ones((2, 3)), "x_test": np.ones((2, 3, 3))}, "x has inputs of 3, x_test has inputs of 3 x 3; give"),
    ],
)
def test_archives_that_cannot_be_used(tmp_path, arrays, sentence):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=sentence):
        load_dataset(str(tmp_path / "x.npz"))


def test_masked_values_are_not_read():
    x = np.ma.masked_greater(np.arange(12.0).reshape(3, 4), 10)
    with pytest.raises(ValueError, match="some values are masked"):
        from_arrays(x)
    assert from_arrays(np.ma.filled(x, 0)).train.inputs.max() == 10
    assert len(from_arrays(x[:2]).train) == 2


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.bool, torch.int64, torch.float64])
def test_tensors_of_every_type(kind):
    x = (torch.arange(100).reshape(4, 1, 5, 5) % 7).to(kind)
    assert torch.equal(from_arrays(x).train.inputs, x.float())


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
@pytest.mark.parametrize("content", [b"", b"no array at all"])
def test_files_that_are_no_arrays(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}: it is no complete file of plain numpy arrays"):
        load_dataset(str(tmp_path / name))
