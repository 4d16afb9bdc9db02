"""Columns that depend on one another pair by pair."""

import numpy as np
import pytest

from deep_infomax.mutual_information.critics.columns import fit_reader
from deep_infomax.mutual_information.critics.selection import dependent_coordinates, rank_features


def found(x, y):
    parts = dependent_coordinates(*(rank_features(fit_reader(z, True), z) for z in (x, y)))
    return tuple(np.flatnonzero(part).tolist() for part in parts)


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(
    "follows",
    [lambda x: x, np.abs, lambda x: np.sin(4 * x), np.sign, lambda x: x.round()],
    ids=["line", "fold", "wave", "sign", "steps"],
)
def test_dependence_of_any_shape_is_found_where_it_is(follows):
    x, y = draws(800, 20), draws(800, 30, seed=1)
    y[:, 7] = follows(x[:, 3]) + 0.3 * y[:, 7]
    assert found(x, y) == ([3], [7])


def test_levels_of_a_discrete_column_are_its_features():
    x, labels = draws(800, 10), np.random.default_rng(1).integers(5, size=(800, 1)).astype(float)
    x[:, [4]] += np.array([0.0, 1.0, 0.0, 0.0, -1.0])[labels.astype(int)]
    assert found(x, labels) == ([4], [0])


def test_independent_columns_are_hardly_ever_found():
    hits = sum(bool(found(draws(300, 12, seed=2 * i), draws(300, 12, seed=2 * i + 1))[0]) for i in range(60))
    assert hits <= 1  # one of 1,000 is expected


def test_monotone_maps_change_nothing():
    x, y = draws(400, 3), draws(400, 3, seed=1)
    y[:, 0] += x[:, 0]
    assert found(np.exp(x), y**3) == found(x, y) == ([0], [0])
