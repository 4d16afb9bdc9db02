"""Data of a program: lists, data sets of PyTorch and of Hugging Face; exact inputs and labels, and each mistake."""

import re

import datasets
import numpy as np
import pytest
import torch
from data_helpers import BLUE, GREEN, RED
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

import deep_infomax
from deep_infomax.data import DataOptions, Source, as_source, from_data, load_dataset
from deep_infomax.encoders import convolutional
from deep_infomax.objectives import Untrained

X = np.arange(10 * 2 * 6, dtype=np.float32).reshape(10, 2, 6)
Y = np.arange(10) % 2
SERIES = DataOptions(layout="cl")


class Items(torch.utils.data.Dataset):
    def __init__(self, items, classes=None):
        self.items = items
        if classes:
            self.classes = classes

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number]


class Endless(IterableDataset):
    def __iter__(self):
        yield from X


def whole(dataset):
    """Inputs and class names in their first order, whatever was held out."""
    sources = [source for source, _ in dataset.stored["train"]]
    order = torch.cat([rows for _, rows in dataset.stored["train"]]).argsort()
    inputs = torch.cat([source.take(torch.arange(len(source))) for source in sources])[order]
    labels = [source.classes[label] for source in sources if source.labels is not None for label in source.labels]
    return inputs, [labels[place] for place in order] if labels else None


PAIRS = [
    pytest.param(lambda: Items([*zip(X, Y, strict=True)]), id="pairs"),
    pytest.param(
        lambda: Items([(torch.from_numpy(x), torch.tensor(y)) for x, y in zip(X, Y, strict=True)]), id="tensors"
    ),
    pytest.param(lambda: Items([{"x": x, "label": int(y)} for x, y in zip(X, Y, strict=True)]), id="mappings"),
    pytest.param(lambda: TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), id="TensorDataset"),
    pytest.param(lambda: Subset(Items([*zip(X, Y, strict=True)]), range(10)), id="Subset"),
    pytest.param(lambda: datasets.Dataset.from_dict({"x": X, "label": Y}), id="datasets"),
]


@pytest.mark.parametrize("make", PAIRS)
def test_pairs_of_input_and_label(make):
    inputs, labels = whole(from_data(make(), options=SERIES))
    assert torch.equal(inputs, torch.from_numpy(X))
    assert labels == [str(y) for y in Y]
    dataset = from_data(make(), options=DataOptions(layout="cl", label_column="none"))
    assert (len(dataset.train), dataset.train.labels, dataset.test) == (10, None, None)


@pytest.mark.parametrize(
    "data",
    [X, torch.from_numpy(X), [*X], tuple(torch.from_numpy(X)), Items([*X]), TensorDataset(torch.from_numpy(X))],
    ids=["array", "tensor", "list", "tuple", "data set", "TensorDataset"],
)
def test_inputs_alone(data):
    dataset = from_data(data, options=SERIES)
    assert torch.equal(dataset.train.inputs, torch.from_numpy(X))
    assert dataset.train.labels is None
    inputs, labels = whole(from_data(data, Y, options=SERIES))
    assert torch.equal(inputs, torch.from_numpy(X))
    assert labels == [str(y) for y in Y]
    source = as_source(data)
    assert isinstance(source, Source)
    assert torch.equal(source.take(torch.arange(10)), torch.from_numpy(X))


def test_test_data_and_names_of_classes():
    train = Items([*zip(X, Y, strict=True)], classes=["cat", "dog", "fox"])
    dataset = from_data(train, test=Items([(X[3], 1)]), options=SERIES)
    assert (len(dataset.train), dataset.train.classes, dataset.test.classes) == (10, ("cat", "dog"), ("cat", "dog"))
    assert torch.equal(dataset.test.inputs, torch.from_numpy(X[3:4]))
    one_hot = from_data([*X], np.eye(2)[Y], options=SERIES)
    assert whole(one_hot)[1] == [str(y) for y in Y]
    dataset = from_data([*X], Y, test=X[:2], test_labels=Y[:2], options=SERIES)
    assert dataset.test.labels.tolist() == [0, 1]


def test_inputs_of_several_sizes():
    data = [X[0], X[1, :, :4], X[2, :, :5]]
    with pytest.raises(ValueError, match=r"from 4 \(input 1 of train\) to 6 \(input 0 of train\); crop or pad"):
        from_data(data, options=SERIES)
    dataset = from_data(data, options=DataOptions(layout="cl", size=5))
    assert dataset.train.inputs[1].tolist() == np.pad(X[1, :, :4], ((0, 0), (0, 1)), "edge").tolist()
    assert dataset.description["axes"] == "cl (channels, length)"
    last = from_data([array.T for array in data], options=DataOptions(layout="lc", size=5))
    assert torch.equal(last.train.inputs, dataset.train.inputs)
    assert last.description["channels_rule"] == "channels last"
    with pytest.raises(ValueError, match=r"say which with `data_options.layout`"):
        from_data(data, options=DataOptions(size=5))
    lengths = from_data([np.arange(3.0), np.arange(5.0)], options=DataOptions(size=3))
    assert lengths.train.inputs.tolist() == [[[0, 1, 2]], [[1, 2, 3]]]
    with pytest.raises(ValueError, match=r"4 \(input 1\) to 6 .*from_data\(data, options=DataOptions\(size=...\)\)"):
        as_source(data)


def test_images_of_a_data_set_of_pytorch():
    images = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    dataset = from_data(Items([(image, None) for image in images]))
    assert dataset.train.shape == (3, 8, 8)
    assert dataset.train.inputs[:, :, 0, 0].tolist() == [list(RED), list(GREEN), list(BLUE)]


def test_images_of_the_library_datasets():
    images = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN, BLUE) * 4]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["z", "a"])})
    table = datasets.Dataset.from_dict({"image": images, "label": [0, 1] * 6}, features=features)
    inputs, labels = whole(from_data(table, name="colours"))
    assert inputs[:3, :, 0, 0].tolist() == [list(RED), list(GREEN), list(BLUE)]
    assert labels == ["z", "a"] * 6
    dataset = from_data(datasets.DatasetDict({"train": table, "test": table.select(range(2))}))
    assert (len(dataset.train), len(dataset.test)) == (12, 2)
    assert len(from_data(table, test=table.select(range(3))).test) == 3


def test_images_in_files_of_the_library_datasets(tmp_path):
    Image.new("RGB", (4, 4), RED).save(tmp_path / "0.png")
    table = datasets.Dataset.from_dict({"image": [str(tmp_path / "0.png")]}).cast_column("image", datasets.Image())
    assert from_data(table).train.take(torch.tensor([0]))[0, :, 0, 0].tolist() == list(RED)


def test_columns_of_the_library_datasets():
    features = datasets.Features(
        {"inputs": datasets.Sequence(datasets.Value("float32")), "label": datasets.ClassLabel(names=["z", "a"])}
    )
    rows = [[1.0, 2.0, 3.0], [4.0, 5.0], [6.0, 7.0, 8.0, 9.0]] * 4
    table = datasets.Dataset.from_dict({"inputs": rows, "label": [0, 1, 0] * 4}, features=features)
    dataset = from_data(table, options=DataOptions(size=2))
    inputs, labels = whole(dataset)
    assert inputs[:3, 0].tolist() == [[1, 2], [4, 5], [7, 8]]
    assert labels == ["z", "a", "z"] * 4
    with pytest.raises(ValueError, match="there is no column 'kind'"):
        from_data(table, options=DataOptions(label_column="kind"))
    with pytest.raises(ValueError, match="`data` has the columns a, none of which is called x; rename"):
        from_data(datasets.Dataset.from_dict({"a": [[1.0]]}))


WRONG = [
    (lambda: DataLoader(Items([*X])), "`data` is a DataLoader, which has an order of its own, .* its `.dataset`"),
    (lambda: Endless(), "`data` is an IterableDataset, whose items can be read in one order only; give a map-style"),
    (lambda: [], "`data` has no items; give some"),
    (lambda: Items([]), "`data` has no items; give some"),
    (lambda: [1, 2], "`data` is a list of int; give an array or a tensor, a list of such"),
    (lambda: Items(["word"]), "item 0 of `data` has a str for an input; let it give an array, a tensor or an image"),
    (lambda: Items([()]), "item 0 of `data` is empty; give an input"),
    (lambda: Items([{"a": X[0]}]), "item 0 of `data` has the entries a, none of which is called x; call the input x"),
    (lambda: Items([(X[0], X[0])]), r"item 0 of `data` has an array of the shape \(2, 6\) for a label; give whole"),
    (lambda: Items([(X[0], [1])]), "item 0 of `data` has a list for a label; give whole numbers or text"),
    (lambda: Items([torch.tensor(1.0)]), "item 0 of `data` is a single number; give inputs of at least one axis"),
    (lambda: {"x": X}, "`data` is a dict; give an array or a tensor"),
]


def test_splits_of_arrays_of_the_library_datasets():
    features = datasets.Features(
        {"x": datasets.Array3D((1, 4, 4), "uint8"), "digit": datasets.ClassLabel(names=["z", "a"])}
    )
    rows = np.arange(12 * 16, dtype=np.uint8).reshape(12, 1, 4, 4)
    table = datasets.Dataset.from_dict({"x": rows, "digit": [0, 1] * 6}, features=features)
    parts = {"train": table, "test": table.select(range(4)), "spare": table}
    dataset = from_data(datasets.DatasetDict(parts), options=DataOptions(layout="chw"))
    np.testing.assert_array_equal(dataset.train.inputs, rows)
    np.testing.assert_array_equal(dataset.test.inputs, rows[:4])
    assert [dataset.test.classes[label] for label in dataset.test.labels] == ["z", "a"] * 2
    assert dataset.description["not_read"] == "splits spare"
    with pytest.raises(ValueError, match="has the splits spare, none of which is called train; give the one to"):
        from_data(datasets.DatasetDict({"spare": table}))


@pytest.mark.parametrize(("make", "sentence"), WRONG)
@pytest.mark.usefixtures("unchecked")
def test_data_that_cannot_be_used(make, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        from_data(make(), options=SERIES)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"`data`"):
        as_source(make())


@pytest.mark.usefixtures("unchecked")
def test_numbers_to_predict_are_no_labels():
    with pytest.raises(ValueError, match=r"label 0\.5 is neither a whole number nor text; .*to none"):
        from_data(Items([(x, 0.5 + y) for x, y in zip(X, Y, strict=True)]), options=SERIES)
    with pytest.raises(ValueError, match=re.escape("`spec` is a list; give a name or a path as text")):
        load_dataset([X])


@pytest.mark.parametrize("make", PAIRS[:1] + PAIRS[3:4])
def test_the_loop_takes_data_sets(make):
    source = as_source(make())
    assert (source.labels.tolist(), source.classes) == (Y.tolist(), ("0", "1"))
    encoder = convolutional(channels=2, spatial=(6,), dim=8)
    training = deep_infomax.TrainingConfig(epochs=1, batch_size=5, device="cpu")
    assert deep_infomax.fit(encoder, Untrained(), make(), training, progress=False).steps == 2


def test_a_run_takes_them_and_knows_them_again(tmp_path):
    data = Items(
        [(x, int(y)) for x, y in zip(np.random.default_rng(0).normal(size=(40, 1, 16)), [0, 1] * 20, strict=True)]
    )
    changes = {"training": {"batch_size": 8}, "data_options": {"layout": "cl"}}
    run = deep_infomax.train("local-infonce", data, epochs=1, out=tmp_path / "run", progress=False, **changes)
    results = run.evaluate(metrics=["knn"], layers=["Y"], seeds=1)
    assert len(results) == 1
    assert run.evaluate(probe=data, metrics=["knn"], layers=["Y"], seeds=1)
    again = deep_infomax.Run(tmp_path / "run", data=data)
    assert again.resume(progress=False).path == run.path
    other = Items([(x + 1, y) for x, y in data.items])
    with pytest.raises(ValueError, match="is not the data that"):
        deep_infomax.Run(tmp_path / "run", data=other).resume(progress=False)
