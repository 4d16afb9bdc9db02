"""Data of a program: arrays, lists of arrays, data sets of PyTorch and of the Hugging Face library.

Items are read once, in their order, into memory. A training draws its own order from them, which it can repeat.
"""

import sys
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data import Dataset as TorchDataset

from deep_infomax.data.archives import INPUTS
from deep_infomax.data.arrays import as_array, build
from deep_infomax.data.axes import NAMES, axes_of, channels_rule, channels_second
from deep_infomax.data.columns import LABEL_NAMES, image_columns
from deep_infomax.data.dataset import Dataset, Source, as_array_source
from deep_infomax.data.hub import open_hub
from deep_infomax.data.images import load_images
from deep_infomax.data.labels import number_classes
from deep_infomax.data.lists import Listed, as_labels, build_lists
from deep_infomax.data.missing import surveyed
from deep_infomax.data.options import DataOptions
from deep_infomax.data.sizes import choose_fit

_INPUTS: Final = (*INPUTS, "image", "img", "input", "series", "volume", "pixel_values", "input_values")
"""Names of the inputs in items that are mappings, and of columns of arrays."""
_GIVE: Final = (
    "give an array or a tensor, a list of such, a data set of PyTorch or of the library datasets, or a Dataset"
)


class Gathered(NamedTuple):
    """What was read of data of a program."""

    inputs: np.ndarray | list[np.ndarray]
    """As one array, or one by one."""
    labels: list[Hashable] | np.ndarray | None
    """Of each input; an array may have rows with a one at the class."""


def from_data(
    data: Any,
    labels: Any = None,
    *,
    test: Any = None,
    test_labels: Any = None,
    name: str = "array",
    options: DataOptions | None = None,
) -> Dataset:
    """Make a data set of what a program holds.

    Args:
        data: Inputs: an array or a tensor (n, ...); a list of arrays, which may differ in size (`DataOptions.size`); a
            map-style data set of PyTorch, whose items are inputs or pairs of input and label; a data set of the library
            `datasets` with a column of images or of arrays.
        labels: One for each input, where ``data`` has none itself.
        test: Inputs to test on, of the same kind; without them, a part of labelled inputs is held out.
        test_labels: Their labels.
        name: What reports call the data.
        options: How to read the inputs; axes are read as those of arrays.

    Raises:
        ValueError: The data are of another kind, such as a `DataLoader`, or cannot be used.

    >>> pairs = [(np.zeros((1, 8, 8), np.uint8), number % 2) for number in range(20)]
    >>> class Pairs(TorchDataset):
    ...     __len__, __getitem__ = lambda self: len(pairs), lambda self, number: pairs[number]
    >>> dataset = from_data(Pairs())
    >>> len(dataset.train), dataset.train.shape, dataset.train.classes
    (16, (1, 8, 8), ('0', '1'))
    """
    options = options or DataOptions()
    if options.stream:
        raise ValueError(
            "`data_options.stream` is for files, and these data are a program's; give the name or address of parquet "
            "or tar files"
        )
    if _is_hugging_face(data) and (found := _hugging_face_images(data, test, name, options)):
        return surveyed(found, options)
    unread: list[str] = []
    if _is_hugging_face(data) and isinstance(data, Mapping):
        data, test, unread = _parts(data, test)
    given = {"train": (data, labels), **({} if test is None else {"test": (test, test_labels)})}
    parts: dict[str, Gathered] = {}
    for split, (inputs, own) in given.items():
        gathered = gather(inputs, options)
        parts[split] = gathered if own is None else gathered._replace(labels=as_array(own))
    dataset = surveyed(_built(name, parts, options), options)
    if unread:
        dataset = replace(dataset, description={**dataset.description, "not_read": f"splits {', '.join(unread)}"})
    return _with_names(dataset, getattr(data, "classes", None))


def as_source(data: Any) -> Source:
    """Data of a program as a source with all its inputs, for `fit`; their channels lie first.

    Args:
        data: A `Source`, or what `from_data` takes. An array in a file stays there, memory-mapped.

    Raises:
        ValueError: The data are of another kind, or their inputs are no numbers of shape (channels, *spatial).
    """
    if _is_hugging_face(data):
        return from_data(data, options=DataOptions(label_column="none")).pretraining
    if not isinstance(data, list | tuple | TorchDataset | DataLoader):
        return as_array_source(data)
    gathered = gather(data, DataOptions())
    if isinstance(gathered.inputs, list):
        names = [f"input {number}" for number in range(len(gathered.inputs))]
        try:
            choose_fit([array.shape for array in gathered.inputs], names, DataOptions())
        except ValueError as error:
            raise ValueError(
                f"{error}: deep_infomax.data.from_data(data, options=DataOptions(size=...)).pretraining"
            ) from error
        gathered = gathered._replace(inputs=np.stack(gathered.inputs))
    assert isinstance(gathered.inputs, np.ndarray)
    source = as_array_source(gathered.inputs)
    assert not isinstance(gathered.labels, np.ndarray)
    numbers, classes = number_classes({"train": gathered.labels})
    return replace(source, labels=numbers["train"], classes=classes)


def gather(data: Any, options: DataOptions) -> Gathered:
    """Read all inputs and labels.

    Raises:
        ValueError: The data are of another kind, or hold what is no input.
    """
    if isinstance(data, DataLoader):
        raise ValueError(
            "`data` is a DataLoader, which has an order of its own, and no training could repeat or resume that; give "
            "the data set in it, its `.dataset`"
        )
    if isinstance(data, IterableDataset) or type(data).__name__ == "IterableDataset":
        raise ValueError(
            "`data` is an IterableDataset, whose items can be read in one order only; give a map-style data set, a "
            "list of its items, or the name or address of its parquet or tar files with `data_options.stream`"
        )
    if _is_hugging_face(data):
        return _columns(data, options)
    if isinstance(data, Tensor | np.ndarray):
        return Gathered(as_array(data, options.missing is not None), None)
    if isinstance(data, TorchDataset):
        length = getattr(data, "__len__", None)
        if length is None:
            raise ValueError(f"`data` is a {type(data).__name__} without a length; give it the method __len__")
        return _items([data[number] for number in range(length())], options)
    if isinstance(data, list | tuple):
        if (items := [*data]) and not isinstance(items[0], Tensor | np.ndarray | Image.Image):
            raise ValueError(f"`data` is a {type(data).__name__} of {type(items[0]).__name__}; {_GIVE}")
        return _items(items, options)
    raise ValueError(f"`data` is a {type(data).__name__}; {_GIVE}, or the name or path of a data set")


def _items(items: list[Any], options: DataOptions) -> Gathered:
    """Part items into inputs and labels."""
    if not items:
        raise ValueError("`data` has no items; give some")
    pairs = [_pair(item, number) for number, item in enumerate(items)]
    inputs = [_input(value, number, options) for number, (value, _) in enumerate(pairs)]
    if options.label_column == "none" or any(len(pair) < 2 or pair[1] is None for pair in pairs):
        return Gathered(inputs, None)
    return Gathered(inputs, [_label(label, number) for number, (_, label) in enumerate(pairs)])


def _pair(item: Any, number: int) -> tuple[Any, Any]:
    """The input and the label of an item; None for no label."""
    if isinstance(item, Mapping):
        name = next((name for name in _INPUTS if name in item), None)
        if name is None:
            raise ValueError(
                f"item {number} of `data` has the entries {', '.join(map(str, item))}, none of which is called x; call "
                "the input x and the label y"
            )
        return item[name], next((item[label] for label in LABEL_NAMES if label in item), None)
    if isinstance(item, tuple | list):
        if not item:
            raise ValueError(f"item {number} of `data` is empty; give an input, or an input and its label")
        return item[0], item[1] if len(item) > 1 else None
    return item, None


def _input(value: Any, number: int, options: DataOptions) -> np.ndarray:
    if isinstance(value, Image.Image):
        return np.asarray(value if value.mode in ("L", "RGB", "I", "I;16", "F") else value.convert("RGB"))
    if not isinstance(value, Tensor | np.ndarray):
        raise ValueError(
            f"item {number} of `data` has a {type(value).__name__} for an input; let it give an array, a tensor or an "
            "image, alone or before its label"
        )
    array = as_array(value, options.missing is not None)
    if array.ndim == 0:
        raise ValueError(f"item {number} of `data` is a single number; give inputs of at least one axis")
    return array


def _label(label: Any, number: int) -> Hashable:
    if isinstance(label, Tensor | np.ndarray | np.generic):
        array = as_array(label)
        if array.size != 1:
            raise ValueError(
                f"item {number} of `data` has an array of the shape {array.shape} for a label; give whole numbers or "
                "text, or set `data_options.label_column` to none to read no labels"
            )
        label = array.item()
    if not isinstance(label, Hashable):
        raise ValueError(
            f"item {number} of `data` has a {type(label).__name__} for a label; give whole numbers or text, or set "
            "`data_options.label_column` to none to read no labels"
        )
    return label


def _built(name: str, parts: Mapping[str, Gathered], options: DataOptions) -> Dataset:
    """Make a data set of inputs of one size by the rules for arrays, of others by `build_lists`."""
    if empty := [split for split, part in parts.items() if not len(part.inputs)]:
        raise ValueError(f"there are no inputs in the {empty[0]} part; give some")
    alike = len({shape for part in parts.values() for shape in _shapes(part.inputs)}) == 1
    if alike:
        arrays: dict[str, np.ndarray] = {}
        for split, part in parts.items():
            role = "" if split == "train" else f"_{split}"
            arrays[f"x{role}"] = part.inputs if isinstance(part.inputs, np.ndarray) else np.stack(part.inputs)
            if part.labels is not None:
                arrays[f"y{role}"] = as_labels(part.labels)
        return build(name, arrays, options)
    every = [array for part in parts.values() for array in part.inputs]
    if len({array.ndim for array in every}) > 1:
        raise ValueError(f"the inputs have {every[0].ndim} axes and others; give all one number of axes")
    largest = tuple(np.max([array.shape for array in every], axis=0).tolist())
    word = axes_of((len(every), *largest), options.layout, all(array.dtype == np.uint8 for array in every))
    listed = {
        split: Listed([channels_second(array[None], word)[0] for array in part.inputs], part.labels, split)
        for split, part in parts.items()
    }
    notes = {"channels_rule": channels_rule(word), "axes": f"{word} ({', '.join(NAMES[letter] for letter in word)})"}
    return build_lists(name, listed, options, notes)


def _shapes(inputs: np.ndarray | Sequence[np.ndarray]) -> set[tuple[int, ...]]:
    return {inputs.shape[1:]} if isinstance(inputs, np.ndarray) else {array.shape for array in inputs}


def _with_names(dataset: Dataset, names: Any) -> Dataset:
    """Call classes that are numbers by the names that a data set of PyTorch has for them."""
    classes = dataset.train.classes
    if classes is None or not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        return dataset
    if not all(number.isdigit() and int(number) < len(names) for number in classes):
        return dataset
    named = tuple(names[int(number)] for number in classes)
    return replace(
        dataset,
        train=replace(dataset.train, classes=named),
        test=dataset.test and replace(dataset.test, classes=dataset.test.classes and named),
    )


def _is_hugging_face(data: Any) -> bool:
    library = sys.modules.get("datasets")
    return library is not None and isinstance(data, library.Dataset | library.DatasetDict)


def _hugging_face_images(data: Any, test: Any, name: str, options: DataOptions) -> Dataset | None:
    """A data set of the library `datasets` with a column of images; None for one without."""
    import datasets

    splits = data if isinstance(data, datasets.DatasetDict) else {"train": data}
    splits = datasets.DatasetDict({**splits, **({} if test is None else {"test": test})})
    if not all(image_columns(part.features.arrow_schema) for part in splits.values()):
        return None
    stamp = [(split, part._fingerprint) for split, part in splits.items()]
    return load_images(name, stamp, lambda: open_hub(splits, options, own=True), options)


def _parts(splits: Mapping[str, Any], test: Any) -> tuple[Any, Any, list[str]]:
    """What is trained on and tested on of several splits of arrays, and the names of the others."""
    if "train" not in splits:
        raise ValueError(
            f"`data` has the splits {', '.join(splits)}, none of which is called train; give the one to train on alone"
        )
    tested = next((split for split in ("test", "validation") if split in splits and test is None), None)
    others = [split for split in splits if split not in ("train", tested)]
    return splits["train"], test if tested is None else splits[tested], others


def _columns(data: Any, options: DataOptions) -> Gathered:
    """The arrays and labels in columns of a data set of the library `datasets`."""
    import datasets

    names = data.column_names
    column = next((name for name in _INPUTS if name in names), None)
    if column is None:
        raise ValueError(
            f"`data` has the columns {', '.join(names)}, none of which is called x; rename the inputs to x"
        )
    classes = [name for name, feature in data.features.items() if isinstance(feature, datasets.ClassLabel)]
    label = next((name for name in (*LABEL_NAMES, *classes) if name in names), None)
    if options.label_column is not None:
        label = None if options.label_column == "none" else options.label_column
        if label is not None and label not in names:
            raise ValueError(
                f"there is no column {label!r}; `data_options.label_column` can be one of {names}, or none"
            )
    inputs = [
        _input(np.asarray(value), number, options) for number, value in enumerate(data.with_format("numpy")[column])
    ]
    if label is None:
        return Gathered(inputs, None)
    labels = [*data.with_format(None)[label]]
    feature = data.features[label]
    if isinstance(feature, datasets.ClassLabel):
        labels = [None if value is None else feature.int2str(value) for value in labels]
    return Gathered(inputs, labels)
