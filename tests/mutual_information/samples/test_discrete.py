"""Estimators of categorical variables, by closed forms and by their formulae in plain loops."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy.special import digamma

from deep_infomax.mutual_information.samples.discrete import (
    codes_of,
    coverage,
    entropy_limit,
    grassberger,
    miller_madow,
    plug_in,
    ross,
    ross_pointwise,
)


def noisy_code(levels, noise, n, seed=0):
    """A uniform code, and the same moved up by uniform noise: log(levels / noise) nats."""
    x, move = np.random.default_rng(seed).integers(0, [[levels], [noise]], (2, n))
    return x, (x + move) % levels


def entropy(counts):
    n = sum(counts)
    return -sum(k / n * math.log(k / n) for k in counts)


def in_loops(x, y, correction):
    tables = [Counter(x), Counter(y), Counter(zip(x, y, strict=True))]
    values = [entropy(table.values()) + correction(list(table.values())) for table in tables]
    return values[0] + values[1] - values[2]


def first_order(counts):
    return (len(counts) - 1) / (2 * sum(counts))


def test_counts_give_the_information_of_a_table():
    table = np.array([[30, 10, 0], [5, 20, 35]])
    x, y = (np.repeat(index.ravel(), table.ravel()) for index in np.indices(table.shape))
    p = table / table.sum()
    product = p.sum(1, keepdims=True) * p.sum(0)
    truth = float((p[p > 0] * np.log((p / product)[p > 0])).sum())
    assert plug_in(x, y).value == pytest.approx(truth, abs=1e-12)
    assert miller_madow(x, y).value == pytest.approx(truth - (5 - 2 - 3 + 1) / 200, abs=1e-12)


@pytest.mark.parametrize(("read", "correction"), [(plug_in, lambda counts: 0.0), (miller_madow, first_order)])
def test_the_jackknife_leaves_out_every_sample(read, correction):
    x, y = noisy_code(4, 2, 40)
    pairs = list(zip(x.tolist(), y.tolist(), strict=True))
    without = [in_loops(*zip(*(pairs[:i] + pairs[i + 1 :]), strict=True), correction) for i in range(40)]
    reading = read(x, y)
    assert reading.value == pytest.approx(in_loops(x.tolist(), y.tolist(), correction), abs=1e-12)
    assert reading.error == pytest.approx(math.sqrt(39 / 40 * np.sum((without - np.mean(without)) ** 2)), abs=1e-12)


def test_the_sums_of_grassberger_are_those_of_his_recursion():
    """G(1) = -gamma - log 2, G(2) = 2 - gamma - log 2, G(2k + 1) = G(2k), G(2k + 2) = G(2k) + 2 / (2k + 1)."""
    first = -np.euler_gamma - math.log(2)
    sums = {1: first, 2: 2 + first, 3: 2 + first, 4: 2 + 2 / 3 + first, 5: 2 + 2 / 3 + first}
    counts = [1, 2, 3, 4, 5]
    x = np.repeat(range(5), counts)
    h = math.log(15) - sum(k * sums[k] for k in counts) / 15
    assert grassberger(x, x).value == pytest.approx(h, abs=1e-12)  # I(x; x) = H(x)


@pytest.mark.parametrize(("levels", "noise", "n"), [(200, 10, 10_000), (50, 5, 1000), (20, 20, 3000), (2, 2, 500)])
def test_codes_of_many_levels_read_their_information(levels, noise, n):
    readings = [grassberger(*noisy_code(levels, noise, n, seed)) for seed in range(8)]
    truth, error = math.log(levels / noise), np.sqrt(np.mean([r.error**2 for r in readings]))
    assert np.mean([r.value for r in readings]) == pytest.approx(truth, abs=0.012)
    assert abs(readings[0].value - truth) < 4 * error


def test_coverage_falls_with_what_was_not_seen():
    assert coverage(np.repeat(range(10), 2)) == 1
    assert coverage(np.arange(10)) == 0


def test_ross_is_his_formula_in_plain_loops():
    rng = np.random.default_rng(2)
    codes = np.concatenate([rng.integers(3, size=50), [3, 3, 4]])  # a level of two, and one of one
    values = rng.normal(size=(53, 2)) + codes[:, None]
    n, expected = 52, []
    for i in range(52):
        distances = [max(abs(values[i] - values[j])) for j in range(52)]
        same = sorted(distances[j] for j in range(52) if j != i and codes[j] == codes[i])
        k = min(3, len(same))
        m = sum(distances[j] <= same[k - 1] for j in range(52) if j != i)
        expected.append(digamma(n) - digamma(len(same) + 1) + digamma(k) - digamma(m))
    np.testing.assert_allclose(ross_pointwise(codes, values), expected, atol=1e-12)


def test_ross_reads_levels_of_uniform_values():
    """A level c of two has values in [c, c + 2): the half they share says nothing of c, the rest everything."""
    rng = np.random.default_rng(3)
    codes = rng.integers(2, size=4000)
    reading = ross(codes, (codes + 2 * rng.random(4000))[:, None])
    assert reading.value == pytest.approx(math.log(2) / 2, abs=3 * reading.error)
    assert reading.error < 0.02
    independent = ross(rng.integers(300, size=3000), rng.normal(size=(3000, 1)))
    assert abs(independent.value) < 3 * independent.error


def test_ross_needs_levels_that_recur():
    with pytest.raises(ValueError, match="all 5 levels have one sample each"):
        ross(np.arange(5), np.zeros((5, 1)))


@pytest.mark.parametrize("n", [300, 3000])
def test_a_limit_of_entropy_holds_it(n):
    weights = 1 / np.arange(1, 41) ** 2
    p = weights / weights.sum()
    truth = -float((p * np.log(p)).sum())
    limits = [entropy_limit(np.random.default_rng(seed).choice(40, size=n, p=p)) for seed in range(40)]
    assert min(limits) > truth
    assert max(limits) < truth + 12 / math.sqrt(n)
    assert entropy_limit(np.arange(300) % 7) == pytest.approx(math.log(7), abs=1e-12)


def test_an_entropy_of_what_was_hardly_seen_has_no_limit():
    assert entropy_limit(np.random.default_rng(0).integers(1000, size=1000)) == math.inf


def test_rows_that_are_equal_have_equal_codes():
    assert codes_of(np.array([["b", "a"], ["a", "z"], ["b", "a"]])).tolist() == [1, 0, 1]
