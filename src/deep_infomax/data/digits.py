"""The embedded data set: 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn."""

from dataclasses import replace

import numpy as np
import torch

from deep_infomax.data.arrays import resized, split_off_test
from deep_infomax.data.dataset import Dataset, Source, by
from deep_infomax.data.options import DataOptions

TEST = 500
"""Digits held out for testing; 1,297 remain."""


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
