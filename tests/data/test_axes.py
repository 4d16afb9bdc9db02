"""What the axes of arrays mean: read where their sizes leave no doubt, as the user says, or refused."""

import numpy as np
import pytest

from deep_infomax.data import DataOptions, load_dataset
from deep_infomax.data.axes import axes_of, channels_rule, channels_second


@pytest.mark.parametrize(
    ("shape", "images", "word"),
    [
        ((9, 50), False, "l"),
        ((9, 28, 28), False, "hw"),
        ((9, 6, 7), True, "hw"),
        ((9, 1, 500), False, "cl"),
        ((9, 500, 1), False, "lc"),
        ((9, 32, 32, 3), False, "hwc"),
        ((9, 32, 48, 4), True, "hwc"),
        ((9, 1, 28, 28), False, "chw"),
        ((9, 4, 28, 28), False, "chw"),
        ((9, 1, 8, 8, 8), False, "cdhw"),
        ((9, 8, 8, 8, 1), False, "dhwc"),
    ],
)
def test_sizes_that_leave_no_doubt(shape, images, word):
    assert axes_of(shape, "auto", images) == word


@pytest.mark.parametrize(
    ("shape", "images", "words"),
    [
        ((9, 6, 7), False, "hw, cl or lc"),
        ((9, 12, 1000), False, "hw, cl or lc"),
        ((9, 1000, 12), False, "hw, cl or lc"),
        ((9, 3, 1000), True, "hw, cl or lc"),
        ((9, 16, 16, 2), True, "chw, hwc or dhw"),
        ((9, 16, 16, 5), False, "chw, hwc or dhw"),
        ((9, 2, 16, 16), False, "chw, hwc or dhw"),
        ((9, 3, 8, 3), True, "chw, hwc or dhw"),
        ((9, 20, 30, 40), False, "chw, hwc or dhw"),
        ((9, 2, 8, 8, 8), False, "cdhw or dhwc"),
        ((9, 3, 8, 8, 3), False, "cdhw or dhwc"),
    ],
)
def test_sizes_that_leave_doubt_are_refused(shape, images, words):
    with pytest.raises(ValueError, match=f"can be {words} .*say which with `data_options.layout`"):
        axes_of(shape, "auto", images)


@pytest.mark.parametrize(
    ("shape", "word", "expected", "rule"),
    [
        ((2, 5), "l", (2, 1, 5), "one channel"),
        ((2, 5, 7), "cl", (2, 5, 7), "channels first"),
        ((2, 5, 7), "lc", (2, 7, 5), "channels last"),
        ((2, 5, 7), "hw", (2, 1, 5, 7), "one channel"),
        ((2, 5, 6, 7), "chw", (2, 5, 6, 7), "channels first"),
        ((2, 5, 6, 7), "hwc", (2, 7, 5, 6), "channels last"),
        ((2, 5, 6, 7), "dhw", (2, 1, 5, 6, 7), "one channel"),
        ((2, 4, 5, 6, 7), "cdhw", (2, 4, 5, 6, 7), "channels first"),
        ((2, 4, 5, 6, 7), "dhwc", (2, 7, 4, 5, 6), "channels last"),
        ((2, 5, 7), "channels_first", (2, 5, 7), "channels first"),
        ((2, 5, 6, 7), "channels_last", (2, 7, 5, 6), "channels last"),
        ((2, 5), "channels_last", (2, 1, 5), "one channel"),
    ],
)
def test_every_case_has_a_word(tmp_path, shape, word, expected, rule):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.save(tmp_path / "x.npy", array)
    dataset = load_dataset(str(tmp_path / "x.npy"), DataOptions(layout=word))
    read = np.asarray(dataset.train.inputs)
    assert read.shape == expected
    last = read[(1, *(size - 1 for size in expected[1:]))]
    assert (read[0].flat[0], last, np.sort(read, axis=None).tolist()) == (0, array.max(), array.ravel().tolist())
    moved = channels_second(array, axes_of(shape, word, False))
    for index in np.ndindex(expected):
        place = index[2:] if rule == "one channel" else (*index[2:], index[1]) if rule == "channels last" else index[1:]
        assert moved[index] == array[(index[0], *place)]
    assert dataset.description["channels_rule"] == channels_rule(axes_of(shape, word, False)) == rule


def test_a_word_for_other_axes(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 8, 8)))
    with pytest.raises(
        ValueError, match=r"\(4, 8, 8\), with 2 axes after the first, .*names 3 with hwc; give hw or cl or lc"
    ):
        load_dataset(str(tmp_path / "x.npy"), DataOptions(layout="hwc"))
