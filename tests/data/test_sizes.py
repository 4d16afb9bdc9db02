"""Inputs of several sizes: cropped or padded about the centre, or refused with what would make them alike."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from deep_infomax.data import DataOptions, from_data, load_dataset
from deep_infomax.data.sizes import choose_fit, fitted, gapped, stacked

SERIES = [np.arange(5.0)[None], np.arange(8.0)[None], np.arange(6.0)[None]]
RNG = np.random.default_rng(0)
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
            "`data_options.size`, pad all to the longest with `data_options.size` longest, or crop all to at most 5 "
            "with `data_options.crop`",
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


@pytest.mark.parametrize("length", range(1, 9))
def test_gaps_about_the_centre_against_a_loop(length):
    row = np.arange(float(length))
    start = -((8 - length) // 2)
    wanted = [row[place] if 0 <= place < length else np.nan for place in range(start, start + 8)]
    np.testing.assert_array_equal(gapped(row[None], (8,))[0], wanted)


def test_series_are_padded_to_the_longest_with_missing_values():
    array, rule = stacked(SERIES, NAMES, DataOptions(size="longest"))
    nan = np.nan
    np.testing.assert_array_equal(
        array[:, 0], [[nan, 0, 1, 2, 3, 4, nan, nan], [*range(8)], [nan, 0, 1, 2, 3, 4, 5, nan]]
    )
    assert rule == "padded to 8, the longest, about the centre (2 of 3 inputs); what is padded counts as missing"
    array, rule = stacked(SERIES, NAMES, DataOptions(size="longest", crop=4))
    assert array[:, 0].tolist() == [[1, 2, 3, 4], [2, 3, 4, 5], [1, 2, 3, 4]]
    assert rule.endswith("missing, centre crop of 4")


@pytest.mark.parametrize("kind", [np.int16, np.int64, np.uint8, np.float32, np.float64])
def test_a_list_of_series_keeps_its_values_and_gaps(kind):
    dataset = from_data([row[0].astype(kind) for row in SERIES], options=DataOptions(size="longest", layout="l"))
    assert dataset.train.missing == "nan"
    assert dataset.train.inputs.dtype is torch.float32
    assert dataset.description["missing_rule"].startswith("5 of 24 values (20.8 %) in 2 of 3 inputs")
    for row, found in zip(SERIES, dataset.train.inputs, strict=True):
        assert found[~found.isnan()].tolist() == row[0].tolist()


def test_inputs_of_one_size_have_no_gaps():
    dataset = from_data(np.zeros((3, 1, 8), np.float32), options=DataOptions(size="longest"))
    assert dataset.train.missing is None
    assert dataset.description["size_rule"] == "kept"


def test_a_value_that_was_missing_before_is_not_taken_for_a_gap():
    rows = [np.array([[0.0, np.nan]]), np.zeros((1, 5))]
    with pytest.raises(ValueError, match=r"input 0 of train has numbers that are NaN or infinite in float32; set"):
        from_data(rows, options=DataOptions(size="longest", layout="cl"))
    dataset = from_data(rows, options=DataOptions(size="longest", layout="cl", missing="nan"))
    assert dataset.description["missing_rule"].startswith("4 of 10 values")


def test_a_number_for_missing_values_and_gaps():
    rows = [np.array([[0.0, -9.0]]), np.arange(5.0)[None]]
    dataset = from_data(rows, options=DataOptions(size="longest", layout="cl", missing=-9))
    assert dataset.train.missing == -9
    assert dataset.description["missing_rule"].startswith("4 of 10 values")


def test_one_length_for_each_axis():
    volume = np.arange(2 * 3 * 4).reshape(1, 2, 3, 4)
    fit = choose_fit([volume.shape], ["it"], DataOptions(size=(2, 4, 2), crop=(1, 4, 2)))
    assert fit.rule == (
        "cropped or padded to 2 x 4 x 2 about the centre (1 of 1 inputs cropped, 1 padded with their outermost "
        "values), centre crop of 1,4,2"
    )
    np.testing.assert_array_equal(fit.apply(volume), volume[:, :1, [0, 1, 2, 2], 1:3])
    with pytest.raises(
        ValueError, match=r"`data_options.size` is 2,4, a length for 2 axes, and inputs have 3; give one"
    ):
        choose_fit([volume.shape], ["it"], DataOptions(size=(2, 4)))
    with pytest.raises(ValueError, match=r"`data_options.crop` is 1,3,4, larger than `data_options.size` of 2; lower"):
        DataOptions(size=2, crop=(1, 3, 4))
    with pytest.raises(ValueError, match=r"`data_options.random_crop` is 0; give 1 or more"):
        DataOptions(random_crop=(4, 0))


def test_an_oblong_crop_of_images(tmp_path):
    for number in range(4):
        Image.fromarray(RNG.integers(0, 255, (8, 9, 3)).astype(np.uint8)).save(tmp_path / f"{number}.png")
    whole = load_dataset(str(tmp_path)).train
    height, width = whole.shape[1:]
    cropped = load_dataset(str(tmp_path), DataOptions(crop=(height - 2, width - 4)))
    assert cropped.description["size_rule"] == f"centre crop of {height - 2},{width - 4}"
    np.testing.assert_array_equal(cropped.train.inputs, whole.inputs[:, :, 1 : height - 1, 2 : width - 2])


def test_random_crops_and_whole_inputs(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(60.0).reshape(2, 30))
    dataset = load_dataset(str(tmp_path / "x.npy"), DataOptions(random_crop=8, evaluate_whole=True))
    assert (dataset.train.shape, dataset.trained_shape) == ((1, 30), (1, 8))
    assert dataset.description["crop_rule"] == "random crops of 8 for training, whole inputs for evaluation"
    cropped = load_dataset(str(tmp_path / "x.npy"), DataOptions(random_crop=8))
    assert (cropped.train.shape, cropped.trained_shape) == ((1, 8), (1, 8))
    with pytest.raises(ValueError, match=r"`data_options.evaluate_whole` is for a training on random crops; set"):
        DataOptions(evaluate_whole=True)


def test_a_crop_that_does_not_fit_names_the_input_and_the_option(tmp_path):
    with pytest.raises(ValueError, match=r"^second has the size 6 x 10, too little for a crop of 8,2; set"):
        choose_fit([(1, 10, 3), (1, 6, 10)], ["first", "second"], DataOptions(crop=(8, 2)))
    for name, shape in (("flat", (6, 10, 3)), ("wide", (10, 3, 3))):
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / f"{name}.png")
    with pytest.raises(ValueError, match=r"flat.png has 6 x 10 pixels, too few for a crop of 8,2"):
        load_dataset(str(tmp_path), DataOptions(crop=(8, 2)))
    np.save(tmp_path / "x.npy", np.zeros((4, 30)))
    with pytest.raises(ValueError, match=r"`data_options.random_crop` is 4,4, a length for 2 axes, and inputs have 1"):
        load_dataset(str(tmp_path / "x.npy"), DataOptions(random_crop=(4, 4)))
