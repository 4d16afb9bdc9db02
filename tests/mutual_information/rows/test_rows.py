"""Rows that belong together: how they are found, split, shuffled and counted."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, pearsonr

from deep_infomax.mutual_information import TASKS, Fitting, estimate_mi
from deep_infomax.mutual_information.rows.arrangement import rows_of
from deep_infomax.mutual_information.rows.independence import combined_p_value, critic_p_value, normal_p_value
from deep_infomax.mutual_information.rows.order import autocorrelations, block_length, is_series
from deep_infomax.mutual_information.rows.repeats import exact_copies, joined, noisy_copies
from deep_infomax.mutual_information.rows.structure import Rows, independent

GROUPS = Rows(np.repeat(np.arange(25), np.arange(25) % 5 + 1), "groups")
BLOCKS = Rows(np.arange(200), "blocks", block=7)


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def autoregressive(phi, n, seed=0):
    """A series whose moments are correlated with those one step earlier by phi."""
    noise = draws(n + 500, seed=seed)
    for t in range(1, len(noise)):
        noise[t] += phi * noise[t - 1]
    return noise[500:]


# Splits


def test_independent_rows_are_split_at_random():
    split = independent(103).split(4, seed=2)
    parts = np.array_split(np.random.default_rng(2).permutation(103), 4)
    for i, (rest, test) in enumerate(split):
        np.testing.assert_array_equal(test, parts[i])
        np.testing.assert_array_equal(rest, np.concatenate(parts[i + 1 :] + parts[:i]))


def test_whole_groups_are_held_out_in_parts_of_like_size():
    split = GROUPS.split(5, seed=0)
    assert sorted(np.concatenate([test for _, test in split])) == list(range(len(GROUPS)))
    assert {len(test) for _, test in split} == {15}
    for rest, test in split:
        assert not set(GROUPS.cluster[rest]) & set(GROUPS.cluster[test])
        assert len(rest) + len(test) == len(GROUPS)
        validation, fit = GROUPS.held_back(rest, 10)
        assert not set(GROUPS.cluster[validation]) & set(GROUPS.cluster[fit])
        assert sorted([*validation, *fit]) == sorted(rest)
        assert 7 <= len(validation) <= 13
    assert not np.array_equal(split[0][1], GROUPS.split(5, seed=1)[0][1])


def test_folds_of_a_series_are_stretches_with_a_gap_around_them():
    for rest, test in BLOCKS.split(4, seed=0):
        assert list(test) == list(range(test[0], test[0] + 50))
        assert set(rest) == set(range(200)) - set(range(test[0] - 7, test[-1] + 8))
        validation, fit = BLOCKS.held_back(rest, 20)
        assert len(validation) == 20
        assert min(abs(int(a) - int(b)) for a in validation for b in fit) > 7


def test_copies_of_what_a_stretch_holds_are_not_fitted_to():
    rows = Rows(np.arange(200) % 100, "blocks", block=3)
    for rest, test in rows.split(4, seed=0):
        assert not set(rows.cluster[rest]) & set(rows.cluster[test])


# Shuffles


def test_groups_are_exchanged_whole_with_others_of_their_size():
    rows = Rows(np.random.default_rng(0).permutation(np.repeat(np.arange(40), 3)), "groups")
    kept, order = rows.shuffles(np.arange(120))
    generator = np.random.default_rng(0)
    shuffled = np.stack([kept[order(generator)] for _ in range(50)])
    assert sorted(kept) == list(range(120))
    for one in shuffled:
        assert sorted(one) == list(range(120))
        partners = {(rows.cluster[i], rows.cluster[j]) for i, j in zip(kept, one, strict=True)}
        assert len(partners) == 40
    assert len({tuple(one) for one in shuffled}) == 50


def test_groups_of_other_sizes_are_cut_to_the_smallest_of_eight():
    rows = Rows(np.repeat(np.arange(20), [1] * 10 + [5, 6, 6, 7, 7, 7, 8, 9, 9, 30]), "groups")
    kept, order = rows.shuffles(np.arange(len(rows)))
    sizes = np.bincount(rows.cluster[kept])
    assert list(sizes) == [1] * 10 + [5] * 10
    shuffled = kept[order(np.random.default_rng(0))]
    assert {(rows.cluster[i] < 10) == (rows.cluster[j] < 10) for i, j in zip(kept, shuffled, strict=True)} == {True}


def test_a_series_is_shifted_and_independent_rows_are_permuted():
    kept, order = BLOCKS.shuffles(np.arange(50))
    generator = np.random.default_rng(0)
    shifts = {int(order(generator)[0]) for _ in range(2000)}
    assert shifts == set(range(50))
    assert set(np.diff(order(generator))) <= {1, -49}
    assert sorted(independent(50).shuffles(np.arange(50))[1](generator)) == list(range(50))
    assert list(kept) == list(range(50))


# Standard errors


def test_error_of_independent_rows_is_that_of_a_mean():
    values = draws(80)
    assert independent(80).variance(values, np.arange(80)) == pytest.approx(values.var(ddof=1) / 80, rel=1e-12)


def test_copies_count_once_in_an_error():
    values = draws(80)
    rows = Rows(np.repeat(np.arange(80), 5), "groups")
    assert rows.variance(np.repeat(values, 5), np.arange(400)) == pytest.approx(values.var(ddof=1) / 80, rel=1e-12)


def test_error_of_a_series_is_that_of_its_long_run_variance():
    phi, n = 0.8, 40_000
    rows = Rows(np.arange(n), "blocks", block=100)
    expected = 1 / (1 - phi) ** 2 / n
    assert rows.variance(autoregressive(phi, n), np.arange(n)) == pytest.approx(expected, rel=0.15)


def test_few_clusters_have_wider_limits():
    assert independent(1000).quantile(0.975, 5) == pytest.approx(1.96, abs=1e-3)
    assert GROUPS.quantile(0.975, 5) == pytest.approx(2.086, abs=1e-3)  # Student's t with 20 degrees of freedom


# Tests of independence


def test_normal_p_value_of_one_coordinate_is_that_of_pearson():
    for seed in range(5):
        x, y = draws(2, 400, seed=seed)
        y = y + 0.1 * x
        assert normal_p_value(x, y, independent(400), 500, 0) == pytest.approx(pearsonr(x, y).pvalue, abs=0.08)


@pytest.mark.parametrize("shape", [(2, 300, 3), (2, 60, 10), (2, 60, 80)], ids=["canonical", "plain", "combined"])
def test_level_of_the_normal_p_value(shape):
    values = [normal_p_value(*draws(*shape, seed=seed), independent(shape[1]), 39, seed) for seed in range(60)]
    assert sum(value <= 0.1 for value in values) <= 12
    assert 0.4 < np.mean(values) < 0.6


def test_level_of_p_values_where_rows_belong_together():
    grouped, series = [], []
    groups, blocks = Rows(np.repeat(np.arange(30), 10), "groups"), Rows(np.arange(400), "blocks", block=30)
    for seed in range(60):
        x, y = np.repeat(draws(2, 30, seed=seed), 10, axis=1)
        grouped.append(normal_p_value(x, y, groups, 39, seed))
        pair = (autoregressive(0.9, 400, seed=2 * seed), autoregressive(0.9, 400, seed=2 * seed + 1))
        series.append(normal_p_value(*pair, blocks, 39, seed))
    for values in (grouped, series):
        assert sum(value <= 0.1 for value in values) <= 13
        assert 0.35 < np.mean(values) < 0.65


def test_p_value_of_a_critic_is_a_rank_among_shuffles():
    assert critic_p_value(torch.eye(100), np.arange(100), independent(100), 99, 0) == 1 / 100
    assert critic_p_value(torch.zeros(100, 100), np.arange(100), independent(100), 99, 0) == 1
    scores = torch.zeros(100, 100)
    scores[3, 3] = math.nan
    assert critic_p_value(scores, np.arange(100), independent(100), 99, 0) == 1
    ring = torch.from_numpy(np.cos((np.arange(100)[:, None] - np.arange(100)) * 2 * np.pi / 100))
    assert critic_p_value(ring, np.arange(100), Rows(np.arange(100), "blocks", block=5), 999, 0) < 0.03


def test_p_values_of_a_critic_are_uniform_under_independence():
    values = []
    for seed in range(200):
        x, y = torch.randn(2, 40)
        values.append(critic_p_value(x[:, None] * y, np.arange(40), independent(40), 49, seed))
    assert kstest(values, "uniform").pvalue > 0.01


def test_p_values_are_combined_by_bonferroni():
    assert combined_p_value(0.01, [0.5, 0.2, 0.9]) == pytest.approx(0.02)
    assert combined_p_value(0.9, [0.5, 0.004, 0.9]) == pytest.approx(0.024)
    assert combined_p_value(0.9, [0.5]) == 1


# What is found


def _copies(kind, n=600):
    x, y = draws(2, n // 5, 2)
    generator = np.random.default_rng(5)
    order = generator.permutation(n)
    return {
        "repeated": lambda: (np.repeat(x, 5, 0), np.repeat(y, 5, 0)),
        "tiled": lambda: (np.tile(x, (5, 1)), np.tile(y, (5, 1))),
        "shuffled": lambda: (np.tile(x, (5, 1))[order], np.tile(y, (5, 1))[order]),
        "x-alone": lambda: (np.repeat(x, 5, 0), draws(n, 2)),
        "images": lambda: (np.tile((9 * x).round(), (5, 40)) % 7, np.tile(y[:, 0] > 0, 5)),
        "noisy": lambda: tuple(np.repeat(z, 5, 0) + 1e-3 * generator.normal(size=(n, 2)) for z in (x, y)),
        "noisy-shuffled": lambda: tuple((np.repeat(z, 5, 0) + 1e-3 * draws(n, 2))[order] for z in (x, y)),
    }[kind]()


@pytest.mark.parametrize("kind", ["repeated", "tiled", "shuffled", "x-alone", "noisy", "noisy-shuffled"])
def test_copies_share_a_fold(kind):
    rows = rows_of(_copies(kind))
    assert rows.kind == "groups"
    assert 0.95 * 120 <= rows.clusters <= 1.05 * 120
    assert "rows repeat others" in rows.warnings[0]


def test_copies_of_numbers_on_a_grid_are_told_from_chance():
    x = np.random.default_rng(0).integers(0, 10, (120, 8))
    assert exact_copies([np.repeat(x, 5, 0), np.repeat(x[:, 0] > 4, 5)]).max() == 119
    many = np.random.default_rng(0).integers(0, 300, (1000, 1))
    assert exact_copies([many, many // 10]).max() == 999


def test_names_are_joined_through_others():
    np.testing.assert_array_equal(joined(np.array([7, 7, 1, 2, 3]), np.array([0, 1, 1, 2, 3])), [0, 0, 0, 1, 2])


def _independent(kind, n=1000):
    generator = np.random.default_rng(1)
    x = draws(n, seed=2)
    y = x + draws(n, seed=3)
    by_x = np.argsort(x)
    label = np.repeat(np.arange(10), n // 10)
    images = draws(10, 3)[label] + draws(n, 3, seed=4)
    time = np.linspace(0, 10, n)
    return {
        "normal": lambda: (x, y),
        "equal": lambda: (x, x),
        "oscillating": lambda: (x, np.sin(50 * x)),
        "often-0": lambda: (np.where(generator.random(n) < 0.3, 0, x), y),
        "classes": lambda: (generator.integers(0, 4, n), generator.integers(0, 3, n)),
        "rounded": lambda: (x.round(1), y.round(1)),
        "far-tails": lambda: generator.standard_t(1, size=(2, n)),
        "clusters": lambda: (draws(10, 2)[label] + 0.01 * draws(n, 2), x),
        "one-series": lambda: (autoregressive(0.99, n), x),
        "sorted-by-x": lambda: (x[by_x], y[by_x]),
        "sorted-by-class": lambda: (images, label),
        "sorted-by-class-downwards": lambda: (images[::-1], label[::-1]),
        "classes-in-runs": lambda: (images, generator.permutation(10)[label]),
        "classes-in-turn": lambda: (images.reshape(10, -1, 3).swapaxes(0, 1).reshape(n, 3), np.arange(n) % 10),
        "sorted-by-class-and-x": lambda: [z[np.lexsort((images[:, 0], label))] for z in (images, label)],
        "noise-over-a-grid": lambda: (time, np.sin(time) + 0.3 * x),
    }[kind]()


@pytest.mark.parametrize(
    "kind",
    [
        "normal", "equal", "oscillating", "often-0", "classes", "rounded", "far-tails", "clusters", "one-series",
        "sorted-by-x", "sorted-by-class", "sorted-by-class-downwards", "classes-in-runs", "classes-in-turn",
        "sorted-by-class-and-x", "noise-over-a-grid",
    ],
)  # fmt: skip
def test_independent_rows_stay_independent(kind):
    rows = rows_of([*_independent(kind)])
    assert (rows.kind, rows.warnings, rows.trusted) == ("independent", (), True)


def test_independent_rows_are_hardly_ever_taken_for_others():
    shapes = [(2, 60, 1), (2, 200, 3), (2, 400, 2)]
    found = [rows_of([*draws(*shapes[seed % 3], seed=seed)]).kind for seed in range(150)]
    assert set(found) == {"independent"}


def _series(kind, n=1000):
    noise = draws(2, n)
    time = np.arange(n)
    who = np.repeat(np.arange(20), n // 20)
    field = np.add.outer(*np.cumsum(draws(2, 30), axis=1)).ravel()
    return {
        "autoregressive": lambda: (autoregressive(0.8, n), autoregressive(0.8, n, seed=1)),
        "slow": lambda: (autoregressive(0.99, n), autoregressive(0.99, n, seed=1)),
        "walks": lambda: np.cumsum(noise, axis=1),
        "season": lambda: (np.sin(time / 8) + 0.5 * noise[0], np.cos(time / 8 + 1) + 0.5 * noise[1]),
        "week": lambda: (np.sin(time * 2 * np.pi / 7) + 0.5 * noise[0], np.cos(time * 2 * np.pi / 7) + 0.5 * noise[1]),
        "subjects": lambda: [draws(20, 2, seed=s)[who] + 0.3 * draws(n, 2, seed=s + 2) for s in (0, 1)],
        "volatility": lambda: [np.exp(autoregressive(0.98, n, seed=s) / 2) * noise[s] for s in (0, 1)],
        "walk-over-time": lambda: (time / 10, np.cumsum(noise[0])),
        "places": lambda: (np.stack([np.arange(900) // 30, np.arange(900) % 30], axis=1), field),
    }[kind]()


@pytest.mark.parametrize(
    "kind",
    ["autoregressive", "slow", "walks", "season", "week", "subjects", "volatility", "walk-over-time", "places"],
)
def test_series_are_found(kind):
    rows = rows_of([*_series(kind)])
    assert rows.kind == "blocks"
    assert "rows depend on those before them" in rows.warnings[0]
    assert rows.trusted == (kind == "autoregressive")
    assert rows.trusted or "withheld" in rows.warnings[1]


def test_blocks_are_three_times_the_time_of_a_series():
    phi = 0.9  # the sum of phi^(2 l) over all lags is (1 + phi^2) / (1 - phi^2)
    lengths = [block_length([autoregressive(phi, 10_000, seed=seed)]) for seed in range(5)]
    assert np.mean(lengths) == pytest.approx(3 * (1 + phi**2) / (1 - phi**2), rel=0.1)
    assert block_length([draws(1000)]) in (3, 4)


def test_columns_of_one_variable_are_looked_at_in_pairs():
    series = np.stack([autoregressive(0.9, 500, seed=seed) for seed in range(2)], axis=1)
    assert is_series([series])
    assert not is_series([np.stack([series[:, 0], draws(500)], axis=1)])


def test_autocorrelations_by_a_plain_sum():
    z = draws(50) + np.arange(50) / 10
    z -= z.mean()
    expected = [z[:-lag] @ z[lag:] / (z @ z) for lag in range(1, 6)]
    np.testing.assert_allclose(autocorrelations(z[:, None], 5)[:, 0], expected, rtol=1e-10)


def test_there_are_no_noisy_copies_among_few_rows():
    assert noisy_copies([draws(50, 2), draws(50, 2, seed=1)]) is None


# Estimates


def estimate(x, y, estimator="auto", **options):
    return estimate_mi(x, y, estimator, progress=False, fitting=Fitting(steps=40), **options)


@pytest.mark.parametrize(("kind", "estimator"), [("repeated", "gaussian"), ("shuffled", "gaussian"), ("noisy", "auto")])
def test_nothing_is_claimed_of_copies_of_independent_pairs(kind, estimator):
    r = estimate(*_copies(kind), estimator, folds=2, permutations=99)
    assert r.lower_bound < 0.02
    assert r.interval[0] < 0.02
    assert r.p_value > 0.05
    assert any("rows repeat others" in warning for warning in r.warnings)


@pytest.mark.parametrize("kind", ["slow", "walks", "subjects"])
def test_nothing_is_claimed_of_what_remembers_too_long(kind):
    r = estimate(*_series(kind), "gaussian", permutations=19)
    assert (r.interval, r.lower_bound, r.p_value) == (None, None, None)
    assert any("are withheld" in warning for warning in r.warnings)
    assert "no interval" in str(r)
    assert r.to_json()["interval"] is None


def test_subjects_count_once():
    who = np.random.default_rng(0).permutation(np.repeat(np.arange(40), 15))
    x, y = (draws(40, 2, seed=s)[who] + 0.3 * draws(600, 2, seed=s + 2) for s in (0, 1))
    r = estimate(x, y, "gaussian", groups=who, permutations=99)
    assert r.standard_errors["dv"] > 1.5 * estimate(x, y, "gaussian").standard_errors["dv"]
    assert r.lower_bound < 0.02
    assert r.p_value > 0.05


@pytest.mark.parametrize("blocks", [None, "auto", 40])
def test_dependence_of_series_is_found(blocks):
    rho = 0.6
    x, noise = (autoregressive(0.9, 1000, seed=seed) for seed in range(2))
    r = estimate(x, rho * x + math.sqrt(1 - rho**2) * noise, "gaussian", blocks=blocks, permutations=99)
    assert r.lower_bound > 0.1
    assert r.interval[0] < -math.log(1 - rho**2) / 2 < r.interval[1]
    assert r.p_value < 0.05


def test_faint_dependence_is_found():
    x, noise = draws(2, 1000, seed=3)
    assert estimate(x, 0.2 * x + noise, "gaussian", permutations=99).p_value == pytest.approx(0.02)


def test_independent_rows_are_read_as_if_each_were_said_to_be():
    x, y = draws(2, 300)
    assert estimate(x, y, "gaussian").folds == estimate(x, y, "gaussian", groups=np.arange(300)).folds


def test_neighbours_of_copies_have_no_interval():
    r = estimate(*_copies("noisy"), "ksg")
    assert r.interval is None
    assert r.warnings[-1] == "ksg takes rows for independent, so its interval is withheld; use auto"


# What is said


def test_groups_are_whatever_names_rows():
    variables = [*draws(2, 60)]
    expected = np.repeat(np.arange(20), 3)
    for groups in (expected, [f"subject {i}" for i in expected], torch.from_numpy(expected), expected / 7):
        rows = rows_of(variables, groups=groups)
        assert (rows.kind, rows.clusters, rows.trusted, rows.warnings) == ("groups", 20, True, ())
        np.testing.assert_array_equal(rows.cluster, expected)
    rows = rows_of(variables, groups=expected // 2)
    assert (rows.clusters, rows.trusted) == (10, False)
    assert "only 10 groups: interval, lower bound and p-value are withheld" in rows.warnings[0]


def test_rows_of_groups_of_their_own_are_independent_but_for_copies():
    series = _series("slow")
    assert rows_of(series, groups=np.arange(1000)).kind == "independent"
    rows = rows_of(_copies("tiled"), groups=np.arange(600))
    assert (rows.kind, rows.clusters) == ("groups", 120)
    assert "taken for one: 120 of 600" in rows.warnings[0]


def test_blocks_are_a_number_or_found():
    series = _series("autoregressive")
    assert rows_of(series, blocks=30).block == 30
    found = rows_of(series, blocks="auto")
    assert (found.kind, found.block, found.warnings) == ("blocks", block_length(series), ())
    slow = rows_of(_series("slow"), blocks="auto")
    assert (slow.block, slow.trusted) == (50, False)
    assert "too long for 1,000 rows: interval, lower bound and p-value are withheld" in slow.warnings[0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"groups": [1, 2]}, r"`groups` has the shape \(2,\); give one name or number for each of 60 samples"),
        ({"groups": np.zeros((60, 1))}, r"`groups` has the shape \(60, 1\)"),
        ({"groups": [None] + [1] * 59}, "`groups` is missing in row 0"),
        ({"groups": [1.0] * 59 + [math.nan]}, "`groups` is missing in row 59"),
        ({"groups": [0] * 30 + [1] * 30}, "`groups` has 2 different values, fewer than 5 folds"),
        ({"groups": np.arange(60), "blocks": 3}, "`groups` and `blocks` are both given"),
        ({"blocks": 0}, "`blocks` is 0; give auto, or 1 to 15 rows for 60 samples"),
        ({"blocks": 16}, "`blocks` is 16; give auto"),
        ({"blocks": True}, "`blocks` is True; give auto"),
        ({"blocks": 2.5}, "`blocks` is 2.5; give auto"),
        ({"blocks": "weekly"}, "`blocks` is weekly; give auto"),
    ],
)
def test_wrong_groups_and_blocks(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        rows_of([*draws(2, 60)], **options)


@pytest.mark.parametrize("task", ["atoms-and-normal", "counts-with-zeros", "censored"])
def test_rows_on_atoms_are_no_copies_with_noise(task):
    x, y, _ = TASKS[task].sample(1000, seed=1000)
    assert rows_of((x, y)).kind == "independent"
