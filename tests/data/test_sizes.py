"""Inputs of several sizes: cropped or padded about the centre, or refused with what would make them alike."""

import re

import numpy as np
import pytest

from deep_infomax.data import DataOptions, load_dataset
from deep_infomax.data.sizes import choose_fit, fitted, stacked

SERIES = [np.arange(5.0)[None], np.arange(8.0)[None], np.arange(6.0)[None]]
NAMES = ["first", "second", "third"]


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("length", [1, 4, 7])
def test_a_window_about_the_centre_against_a_loop(length, size):
    row = np.arange(float(length))
    start = (length - size) // 2 if length >= size else -((size - length) // 2)
    expected = [row[min(max(position, 0), length - 1)] for position in range(start, start + size)]
    assert fitted(row[None], (size,)).tolist() == [expected]


def test_volumes_are_cropped_along_one_axis_and_padded_along_another():
    volume = np.arange(2 * 3 * 4).reshape(1, 2, 3, 4)
    found = fitted(volume, (3, 3, 3))
    assert found.shape == (1, 3, 3, 3)
    np.testing.assert_array_equal(found, volume[:, [0, 1, 1], :, :3])


def test_series_of_one_size():
    array, rule = stacked(SERIES, NAMES, DataOptions(size=6))
    assert array[:, 0].tolist() == [[0, 1, 2, 3, 4, 4], [1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5]]
    assert rule == (
        "cropped or padded to 6 about the centre (1 of 3 inputs cropped, 1 padded with their outermost values)"
    )
    array, rule = stacked(SERIES, NAMES, DataOptions(size=6, crop=2))
    assert array[:, 0].tolist() == [[2, 3], [3, 4], [2, 3]]
    assert stacked(SERIES, NAMES, DataOptions(crop=3))[0][:, 0].tolist() == [[1, 2, 3], [2, 3, 4], [1, 2, 3]]


@pytest.mark.parametrize(
    ("shapes", "options", "sentence"),
    [
        (
            [(1, 5), (1, 8), (1, 6)],
            {},
            "the inputs have 3 different sizes, from 5 (first) to 8 (second); crop or pad all to one with "
            "`data_options.size`, or crop all to at most 5 with `data_options.crop`",
        ),
        ([(1, 2, 9), (1, 4, 4), (1, 4, 5)], {}, "from 4 x 4 (second) to 4 x 5 (third)"),
        ([(1, 5), (1, 4), (1, 6)], {"crop": 5}, "second has the size 4, too little for a crop of 5; set"),
        ([(1, 5), (2, 5), (1, 5)], {"size": 5}, "first has 1 channels, second has 2; give inputs with one number"),
        ([(1, 5), (1, 5), (1, 5, 5)], {"size": 5}, "first has the size 5, third has 5 x 5; give inputs with one"),
        ([(1, 5), (1, 0), (1, 5)], {"size": 5}, "second has the size 0, so there is nothing in it; remove it"),
    ],
)
def test_sizes_that_do_not_go_together(shapes, options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        choose_fit(shapes, NAMES, DataOptions(**options))


def test_arrays_are_padded_and_cropped(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(20.0).reshape(2, 10))
    dataset = load_dataset(str(tmp_path / "x.npy"), DataOptions(size=12))
    assert dataset.train.inputs[0, 0].tolist() == [0, *range(10), 9]
    assert dataset.description["size_rule"] == "cropped or padded to 12 about the centre, with the outermost values"
    assert load_dataset(str(tmp_path / "x.npy"), DataOptions(size=4)).train.inputs[1, 0].tolist() == [13, 14, 15, 16]
    assert isinstance(load_dataset(str(tmp_path / "x.npy"), DataOptions(size=10)).train.inputs, np.memmap)


def test_sizes_are_not_for_images(tmp_path):
    from data_helpers import picture

    picture(tmp_path / "0.png")
    with pytest.raises(ValueError, match=r"`data_options.size` is for series, volumes and arrays; give images"):
        load_dataset(str(tmp_path), DataOptions(size=3))
    with pytest.raises(ValueError, match=r"`data_options.resize` scales images.*leave one out"):
        DataOptions(size=3, resize=3)
    with pytest.raises(ValueError, match=r"`data_options.crop` is 4, larger than `data_options.size` of 3"):
        DataOptions(size=3, crop=4)
