"""Baselines of categories, by their formulae in loops, and by what they read on new pairs."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from deep_infomax.mutual_information.critics.category_baselines import (
    ClassBaseline,
    TableBaseline,
    category_baselines,
    fit_class_baseline,
    fit_table_baseline,
)
from deep_infomax.mutual_information.critics.ranks import rank_gaussianiser
from deep_infomax.mutual_information.critics.readouts import read_out

BOTH = np.ones(1, bool), np.ones(1, bool)
FIRST = np.ones(1, bool), np.zeros(1, bool)


def as_is(numbers):
    return numbers


def held_out(baseline, pairs):
    """What a baseline reads on new pairs."""
    rows_x, rows_y = baseline.factors(*pairs)
    return read_out(torch.from_numpy(rows_x @ rows_y.T), 0.0)["dv"].value


def parts(x, y):
    x, y = (z.reshape(len(z), -1).astype(float) for z in (x, y))
    ends = [slice(0, len(x) * 7 // 10), slice(len(x) * 7 // 10, len(x) * 8 // 10), slice(len(x) * 8 // 10, None)]
    return [(x[end], y[end]) for end in ends]


def test_a_table_is_smoothed_as_its_formula_says():
    x, y = np.random.default_rng(0).integers(0, [[4], [3]], (2, 200))
    fit, validation, _ = parts(x, y)
    baseline = fit_table_baseline(fit, validation)
    i, j = (column[:, 0].astype(int) for column in fit)
    one, other = (i, j) if baseline.by_x else (j, i)
    for a in range(4):
        for b in range(3):
            row, place = (a, b) if baseline.by_x else (b, a)
            pairs, share = np.sum((one == row) & (other == place)), np.mean(other == place)
            expected = math.log((pairs / share + baseline.added) / (np.sum(one == row) + baseline.added))
            assert baseline.scores[a, b] == pytest.approx(expected)
    rows_x, rows_y = baseline.factors(np.array([[2.0], [9.0]]), np.array([[1.0], [7.0]]))
    np.testing.assert_allclose(rows_x @ rows_y.T, [[baseline.scores[2, 1], 0], [0, 0]], atol=1e-6)  # 9, 7: never seen


def test_classes_have_normal_distributions():
    rng = np.random.default_rng(1)
    codes = rng.integers(3, size=300)
    values = rng.normal(size=(300, 2)) * (1 + codes[:, None]) + 2 * codes[:, None]
    fit, validation, new = parts(codes, values)
    baseline = fit_class_baseline(fit, validation, as_is, True)
    shares = np.bincount(fit[0][:, 0].astype(int)) / len(fit[0])
    covariances = [np.linalg.inv(root @ root.T) for root in baseline.roots]
    for z in new[1][:5]:
        densities = [
            multivariate_normal(mean, covariances[k % len(covariances)]).pdf(z) for k, mean in enumerate(baseline.means)
        ]
        weighted = (shares * densities) ** baseline.choice[2]
        np.testing.assert_allclose(baseline.scores(z[None])[0], np.log(weighted / weighted.sum() / shares), atol=1e-6)


def test_means_are_drawn_to_the_common_mean():
    codes = np.repeat([0.0, 1.0], 50)[:, None]
    values = codes + np.tile([-1.0, 1.0], 50)[:, None]
    baseline = fit_class_baseline((codes, values), (codes, values), as_is, True)
    added = baseline.choice[0]
    np.testing.assert_allclose(baseline.means[:, 0], [added / 2 / (50 + added), (50 + added / 2) / (50 + added)])


def test_codes_of_many_levels_are_read_on_new_pairs():
    rng = np.random.default_rng(2)
    x = rng.integers(100, size=6000)
    y = rng.permutation(100)[(x + rng.integers(4, size=6000)) % 100]
    fit, validation, new = parts(x, y)
    table = category_baselines(fit, validation, BOTH, as_is, as_is)[0]
    assert isinstance(table, TableBaseline)
    assert math.log(25) - 0.15 < held_out(table, new) < math.log(25) + 0.02


@pytest.mark.parametrize("swapped", [False, True])
def test_classes_at_random_places_are_read_on_new_pairs(swapped):
    rng = np.random.default_rng(3)
    means, codes = 2 * rng.normal(size=50), rng.integers(50, size=3000)
    values = means[codes] + rng.normal(size=3000)
    grid = np.linspace(-12, 12, 4001)
    density = np.mean([np.exp(-((grid - mean) ** 2) / 2) for mean in means], axis=0) / math.sqrt(2 * math.pi)
    truth = -np.sum(density * np.log(density + 1e-300)) * (grid[1] - grid[0]) - math.log(2 * math.pi * math.e) / 2
    pairs = parts(values, codes) if swapped else parts(codes, values)
    maps = [rank_gaussianiser(z) for z in pairs[0]]
    [found] = category_baselines(*pairs[:2], FIRST[::-1] if swapped else FIRST, *maps)
    assert isinstance(found, ClassBaseline)
    assert held_out(found, pairs[2]) == pytest.approx(truth, abs=0.08)
    again = found.refitted(*(np.concatenate(part) for part in zip(*pairs[:2], strict=True)))
    assert held_out(again, pairs[2]) == pytest.approx(truth, abs=0.08)
    assert again.choice == found.choice


def test_independent_codes_of_many_levels_read_nothing():
    x, y = np.random.default_rng(4).integers(300, size=(2, 3000))
    fit, validation, new = parts(x, y)
    for baseline in category_baselines(fit, validation, BOTH, *map(rank_gaussianiser, fit)):
        assert -0.1 < held_out(baseline, new) < 0.02


def test_rows_of_several_columns_are_categories_together():
    bits = np.random.default_rng(5).integers(2, size=(1000, 3))
    fit, validation, new = parts(bits, bits.sum(axis=1) % 2)
    found = category_baselines(fit, validation, (np.ones(3, bool), np.ones(1, bool)), as_is, as_is)[0]
    assert held_out(found, new) == pytest.approx(math.log(2), abs=0.02)
    again = found.refitted(*fit)
    np.testing.assert_allclose(again.scores, found.scores)


def test_numbers_and_codes_that_do_not_recur_have_no_such_baseline():
    rng = np.random.default_rng(6)
    for z, discrete in ((rng.normal(size=200), False), (np.arange(200), True)):
        fit, validation, _ = parts(z, rng.normal(size=200))
        assert category_baselines(fit, validation, (np.array([discrete]), np.array([False])), as_is, as_is) == []
