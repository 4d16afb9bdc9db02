"""Arrays in HDF5 files and Zarr stores: exact values, which array is read, and the sentence each mistake gets."""

import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import zarr

from deep_infomax.data import DataOptions, cache, load_dataset


def written(path: Path, arrays, **options):
    if path.suffix == ".zarr":
        store = zarr.open_group(path, mode="w")
        for name, values in arrays.items():
            chunks = options.get("chunks") or values.shape
            store.create_array(name, shape=values.shape, chunks=chunks, dtype=values.dtype)[...] = values
    else:
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file.create_dataset(name, data=values, **options)
    return path


@pytest.fixture(params=[".h5", ".hdf5", ".zarr"])
def path(request, tmp_path):
    return tmp_path / f"data{request.param}"


X = np.arange(6 * 2 * 5, dtype=np.float32).reshape(6, 2, 5)
SERIES = DataOptions(layout="cl")


def rows_of(source):
    return source.take(torch.arange(len(source)))


@pytest.mark.parametrize("kind", ["uint8", "int16", ">f4", "float64", "bool", "float16"])
@pytest.mark.parametrize("chunks", [None, (4, 1, 5)])
def test_one_array(path, kind, chunks):
    if kind == ">f4" and path.suffix == ".zarr":
        kind = "float32"
    values = X.astype(kind)
    written(path, {"anything": values}, chunks=chunks)
    for _ in range(2):  # read, then out of the cache
        dataset = load_dataset(str(path), SERIES)
        expected = torch.from_numpy(values.astype("uint8" if kind == "uint8" else "float32"))
        assert torch.equal(rows_of(dataset.train), expected)
    assert (dataset.name, dataset.description["array_rule"]) == ("data", "anything, the only one")
    assert isinstance(dataset.train.inputs, np.memmap)


def test_an_array_in_one_piece_is_mapped_where_it_lies(tmp_path):
    dataset = load_dataset(str(written(tmp_path / "a.h5", {"x": X})), SERIES)
    assert Path(dataset.train.inputs.filename) == tmp_path / "a.h5"
    assert not cache.cache_folder().exists() or not list(cache.cache_folder().iterdir())
    load_dataset(str(written(tmp_path / "b.h5", {"x": X}, compression="gzip")), SERIES)
    assert len(list(cache.cache_folder().iterdir())) == 1


def test_names_as_in_npz(path):
    arrays = {"x": X, "y": np.array([0, 1, 2, 0, 1, 2]), "x_test": X[:2] + 1, "y_test": np.array([2, 0]), "extra": X[0]}
    dataset = load_dataset(str(written(path, arrays)), SERIES)
    assert torch.equal(rows_of(dataset.test), torch.from_numpy(X[:2] + 1))
    assert (dataset.train.labels.tolist(), dataset.test.labels.tolist()) == ([0, 1, 2, 0, 1, 2], [2, 0])
    assert dataset.description["not_read"] == "extra"
    nested = {"train/images": X, "train/labels": np.array([0, 1, 2, 0, 1, 2]), "test/images": X[:2]}
    dataset = load_dataset(str(written(path, nested)), SERIES)
    assert (len(dataset.train), len(dataset.test)) == (6, 2)


def test_labels_as_words(tmp_path):
    arrays = {
        "x": X,
        "y": np.array(["b", "a"] * 3, dtype=h5py.string_dtype()),
        "x_test": X,
        "y_test": np.array([b"a"] * 6),
    }
    dataset = load_dataset(str(written(tmp_path / "a.h5", arrays)), SERIES)
    assert (dataset.train.classes, dataset.train.labels.tolist()) == (("a", "b"), [1, 0] * 3)


def test_one_array_of_several(path):
    written(path, {"small": X[:, :1, :2], "large": X, "group/x": X + 5, "group/y": np.array([0, 1] * 3)})
    dataset = load_dataset(f"{path}:small", DataOptions(layout="cl"))
    assert torch.equal(rows_of(dataset.train), torch.from_numpy(X[:, :1, :2]))
    assert dataset.description["array_rule"] == "small, as asked"
    dataset = load_dataset(f"{path}:group", SERIES)
    assert torch.equal(torch.cat([rows_of(dataset.train), rows_of(dataset.test)]).sum(), torch.tensor((X + 5).sum()))
    assert len(dataset.train.classes) == 2
    assert torch.equal(rows_of(load_dataset(f"{path}:/group/x", SERIES).train), torch.from_numpy(X + 5))


def test_the_largest_array_is_read_and_said(path):
    written(path, {"few": X[:2], "many": X})
    dataset = load_dataset(str(path), SERIES)
    assert (len(dataset.train), dataset.description["array_rule"]) == (6, "many, the largest")
    assert dataset.description["not_read"] == "few"


def test_a_store_that_is_an_array(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", shape=X.shape, chunks=(2, 2, 5), dtype=X.dtype)[...] = X
    assert torch.equal(rows_of(load_dataset(str(tmp_path / "a.zarr"), SERIES).train), torch.from_numpy(X))


def test_a_changed_file_is_read_anew(path):
    written(path, {"x": X}, chunks=(2, 2, 5))
    load_dataset(str(path), SERIES)
    written(path, {"x": X[:, ::-1]}, chunks=(2, 2, 5))
    assert torch.equal(rows_of(load_dataset(str(path), SERIES).train), torch.from_numpy(X[:, ::-1].copy()))


@pytest.mark.parametrize(
    ("arrays", "part", "sentence"),
    [
        ({"x": X}, ":y", "there is no array 'y'; it has x"),
        ({}, "", "it has no arrays, none with inputs as rows; save the inputs as an array called x"),
        ({"a": X[:, 0, 0]}, "", "it has the arrays a, none with inputs as rows"),
        ({"a": X, "b": X}, "", "a and b can both be the inputs; name one after the path: :a"),
        ({"x": X.astype(complex)}, "", "the inputs are of type complex128; save real numbers"),
        ({"x": X[:, 0, 0]}, "", "the inputs have the shape (6,)"),
        ({"x": X * np.nan}, "", "input 0 has numbers that are NaN or infinite"),
        ({"x": X, "y": np.array([0, 1])}, "", "y has the shape (2,) for 6 inputs"),
        ({"x": X, "x_test": X[..., :3]}, "", "x has inputs of 2 x 5, x_test has inputs of 2 x 3; give all one shape"),
    ],
)
def test_arrays_that_cannot_be_used(path, arrays, part, sentence):
    with pytest.raises(ValueError, match=rf"data.*: .*{re.escape(sentence)}") as caught:
        load_dataset(f"{written(path, arrays)}{part}", SERIES)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_stores(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"no header")
    (tmp_path / "b.h5").write_bytes(b"")
    whole = written(tmp_path / "c.h5", {"x": np.zeros((99, 99))}).read_bytes()
    (tmp_path / "c.h5").write_bytes(whole[:5000])
    for name in "abc":
        with pytest.raises(
            ValueError, match=rf"{name}.h5: it is no complete HDF5 file of plain arrays \(.*\); write it"
        ):
            load_dataset(str(tmp_path / f"{name}.h5"))
    (tmp_path / "d.zarr").mkdir()
    (tmp_path / "d.zarr" / "zarr.json").write_text("{")
    (tmp_path / "e.zarr").mkdir()
    for name in "de":
        with pytest.raises(ValueError, match=rf"{name}.zarr: it is no complete Zarr store of plain arrays"):
            load_dataset(str(tmp_path / f"{name}.zarr"))


def test_arrays_in_other_files_are_not_followed(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(80))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (2, 10), "f4", external=[(str(tmp_path / "secret"), 0, 80)])
    with pytest.raises(ValueError, match="x lies in other files; copy it into this one"):
        load_dataset(str(tmp_path / "a.h5"))


@pytest.mark.parametrize(
    ("name", "module", "what"), [("a.h5", "h5py", "HDF5 files"), ("a.zarr", "zarr", "Zarr stores")]
)
def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch, name, module, what):
    written(tmp_path / name, {"x": X})
    monkeypatch.setitem(sys.modules, module, None)
    sentence = f'{what} are read by {module}, which is not installed; pip install "deep-infomax[arrays]"'
    with pytest.raises(ValueError, match=re.escape(sentence)):
        load_dataset(str(tmp_path / name))
