"""The embedded data: 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn; the same out of place."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from deep_infomax.data.arrays import resized, split_off_test
from deep_infomax.data.dataset import Dataset, Source, by
from deep_infomax.data.options import DataOptions

TEST = 500
"""Digits held out for testing; 1,297 remain."""
CANVAS = 20
"""Side of the canvas that a digit is placed on."""
PLACEMENTS = 4
"""Of every training digit; a test digit has one."""


def load_digits(options: DataOptions) -> Dataset:
    """Load scikit-learn's digits: 1,297 for training, 500 for testing, always the same.

    The grey values 0 to 16 are stored as 0 to 255 (uint8), so that the digits are images like any other.
    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.

    >>> dataset = load_digits(DataOptions())
    >>> len(dataset.train), len(dataset.test), dataset.train.shape
    (1297, 500, (1, 8, 8))
    """
    from sklearn import datasets  # here because it takes seconds, which other sources need not wait for

    bunch = datasets.load_digits()
    images = torch.from_numpy(bunch.images)[:, None].mul(255 / 16).round().to(torch.uint8)
    inputs, size_rule = resized(images, options, np.dtype(np.uint8))
    classes = tuple(str(digit) for digit in bunch.target_names)
    whole = Source(inputs, torch.from_numpy(bunch.target).long(), classes, "digits", "train")
    if options.label_column == "none":
        whole = replace(whole, labels=None, classes=None)
    description: dict[str, str | int] = {
        "shape": by(whole.shape),
        "encoding": "grey values 0 to 16 stored as 0 to 255",
        "channels_rule": "one channel",
        "size_rule": size_rule,
    }
    return split_off_test(whole, description, TEST)


def load_placed_digits(options: DataOptions) -> Dataset:
    """Load the same digits at random places of an empty canvas of 20 x 20 pixels, always the same.

    Two images of one digit seldom share a bright pixel, so pixels and their principal components tell places apart
    before shapes. Training digits are there at four places each, test digits, which are others, at one.

    >>> dataset = load_placed_digits(DataOptions())
    >>> len(dataset.train), len(dataset.test), dataset.train.shape
    (5188, 500, (1, 20, 20))
    """
    digits = load_digits(DataOptions())
    assert digits.test is not None
    generator = np.random.default_rng(0)
    train, test = _placed(digits.train, PLACEMENTS, generator), _placed(digits.test, 1, generator)
    description = {
        **digits.description,
        "placement_rule": f"digits at random places of {CANVAS} x {CANVAS}, {PLACEMENTS} of each for training",
    }
    assert isinstance(train.inputs, Tensor)
    assert isinstance(test.inputs, Tensor)
    inputs, description["size_rule"] = resized(train.inputs, options, np.dtype(np.uint8))
    train = replace(train, inputs=inputs)
    description["shape"] = by(train.shape)
    if options.label_column == "none":
        return Dataset(train.name, replace(train, labels=None, classes=None), None, None, description)
    test = replace(test, inputs=resized(test.inputs, options, np.dtype(np.uint8))[0])
    return Dataset(train.name, train, test, None, description)


def _placed(source: Source, copies: int, generator: np.random.Generator) -> Source:
    """Each input on several canvases, at places drawn alike."""
    rows = torch.arange(len(source)).repeat_interleave(copies)
    images, side = source.take(rows), source.shape[1]
    canvas = torch.zeros(len(rows), 1, CANVAS, CANVAS, dtype=images.dtype)
    for row, (top, left) in enumerate(generator.integers(0, CANVAS - side + 1, (len(rows), 2)).tolist()):
        canvas[row, :, top : top + side, left : left + side] = images[row]
    assert source.labels is not None
    return replace(source, inputs=canvas, labels=source.labels[rows], name="placed-digits")
