"""Second opinions: of the estimator that suits the variables, with its error; none where none does."""

import math

import numpy as np
import pytest

from deep_infomax.mutual_information import TASKS, Fitting, estimate_mi
from deep_infomax.mutual_information.facts import facts_of
from deep_infomax.mutual_information.samples.inputs import as_columns
from deep_infomax.mutual_information.second import NO_SECOND, second_opinion

RNG = np.random.default_rng(0)


def codes(levels, n=1000):
    return RNG.integers(levels, size=n)


def opinion(x, y):
    return second_opinion(as_columns(x, "x"), as_columns(y, "y"))


CODES = codes(200, 10_000)
CLASSES = codes(4, 2000)
BITS = RNG.integers(2, size=(2000, 4))
WORDS = np.array(["a", "b", "c"])[codes(3)]


@pytest.mark.parametrize(
    ("x", "y", "name", "truth"),
    [
        (CODES, (CODES + codes(10, 10_000)) % 200, "counts", math.log(20)),
        (RNG.permutation(200)[CODES], CODES, "counts", math.log(200)),
        (BITS, BITS.sum(axis=1) % 2, "counts", math.log(2)),  # the parity, of which no single bit tells
        (np.eye(4)[CLASSES], CLASSES, "counts", math.log(4)),
        (codes(50, 10_000), codes(50, 10_000), "counts", 0.0),
        (WORDS, codes(5), "counts", 0.0),
        (CLASSES, CLASSES + RNG.random(2000) * 2, "neighbours in each category", math.log(4) - 3 / 4 * math.log(2)),
        (RNG.normal(size=(1000, 3)), WORDS, "neighbours in each category", 0.0),
        (codes(100), RNG.normal(size=1000), "neighbours in each category", 0.0),
        (RNG.normal(size=1000), RNG.normal(size=1000), "nearest neighbours", 0.0),
    ],
)
def test_the_estimator_that_suits_is_asked(x, y, name, truth):
    found = opinion(x, y)
    assert found.words.startswith(name)
    assert abs(found.value - truth) < 4 * found.error + 1e-6
    assert found.error < 0.05


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (codes(300, 10_000), codes(300, 10_000)),  # most pairs stand alone: counts would read 1 nat
        (codes(1000), RNG.normal(size=1000)),
        (WORDS, RNG.normal(size=(1000, 4))),
        (WORDS, np.maximum(RNG.normal(size=1000), 0)),  # zeros amid other values
        (np.stack([codes(3), RNG.normal(size=1000)], axis=1), WORDS),
        (RNG.normal(size=(1000, 3)), RNG.normal(size=(1000, 2))),
    ],
)
def test_nothing_is_said_where_no_estimator_suits(x, y):
    assert opinion(x, y) == NO_SECOND


def test_categories_are_no_functions_of_numbers():
    x = RNG.normal(size=1000)
    rounded = as_columns(x.round(1), "y", discrete=True)
    assert not facts_of(as_columns(x, "x"), rounded, []).determined
    assert facts_of(as_columns(x, "x"), as_columns(x**3, "y"), []).determined


def test_codes_of_too_few_samples_open_the_interval():
    code = RNG.integers(1000, size=1000)
    for y in (RNG.permutation(1000)[code], RNG.normal(size=1000)[code] + RNG.normal(size=1000) / 4):
        assert facts_of(as_columns(code, "x"), as_columns(y, "y"), []).crowded
        assert facts_of(as_columns(y, "x"), as_columns(code, "y"), []).crowded
    sensor = RNG.integers(4096, size=3000)
    for y in (sensor + 300 * RNG.normal(size=3000), np.sin(sensor / 400), RNG.normal(size=3000)):
        assert not facts_of(as_columns(sensor, "x"), as_columns(y, "y"), []).crowded
    assert not facts_of(as_columns(code, "x", False), as_columns(RNG.permutation(1000)[code], "y", False), []).crowded


def test_words_of_many_levels_are_read_from_end_to_end():
    x = codes(50)
    y = RNG.permutation(50)[(x + codes(5)) % 50]
    found = estimate_mi(x.astype(str), y.astype(str), progress=False, folds=2, fitting=Fitting(steps=10))
    assert found.mi == pytest.approx(math.log(10), abs=0.05)
    assert found.interval[0] < math.log(10) < found.interval[1] < math.log(50) + 0.1
    assert any(warning.startswith("counts of pairs read") for warning in found.warnings)


def test_independent_codes_of_many_levels_are_not_overfitted():
    found = estimate_mi(codes(300), codes(300), progress=False, folds=2, fitting=Fitting(steps=10))
    assert abs(found.mi) < 0.03
    assert found.lower_bound < 0.02
    assert found.interval[0] < 0 < found.interval[1]


@pytest.mark.parametrize("seed", [1000, 1001, 1002])
def test_neighbours_on_thin_curves_say_how_much_too_high_they_may_read(seed):
    sample = TASKS["rings-3"].sample(10_000, seed=seed)
    found = opinion(sample.x, sample.y)
    assert found.value - found.below - found.error < TASKS["rings-3"].truth < found.value
