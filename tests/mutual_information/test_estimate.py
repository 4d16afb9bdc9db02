"""Estimates of mutual information from end to end: what they read, their intervals, and what they warn of."""

import io
import itertools
import json
import math
import os
import signal
import sys
import time
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from deep_infomax.mutual_information import TASKS, Fitting, estimate_mi, named
from deep_infomax.mutual_information.critics.columns import fit_reader
from deep_infomax.mutual_information.critics.pairing import fit_column_pairing, fit_structured_pairing
from deep_infomax.mutual_information.facts import facts_of
from deep_infomax.mutual_information.ksg import ksg_pointwise
from deep_infomax.mutual_information.rows.structure import independent
from deep_infomax.mutual_information.samples.inputs import as_columns, as_samples, few_samples

SHORT = Fitting(steps=40)
HARDLY = Fitting(steps=5, checks=1)  # where nothing rests on what a network learns
BIVARIATE = TASKS["normal-bivariate"].sample(600, seed=0)


def estimate(x=BIVARIATE.x, y=BIVARIATE.y, estimator="auto", **options):
    return estimate_mi(x, y, estimator, **{"folds": 2, "progress": False, "fitting": SHORT} | options)


@cache
def plain(estimator="auto"):
    """The estimate of what `estimate` takes where nothing else is given, made once."""
    return estimate(estimator=estimator)


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def correlated(n, d, nats):
    """Normal x and y of d coordinates each and so much information."""
    rho = math.sqrt(1 - math.exp(-2 * nats / d))
    x = draws(n, d)
    return x, rho * x + math.sqrt(1 - rho**2) * draws(n, d, seed=1)


def said(r, words):
    return any(words in warning for warning in r.warnings)


# Known answers


@pytest.mark.parametrize("name", ["normal-bivariate", "normal-sparse-3"])
def test_intervals_of_the_normal_model_cover_the_truth(name):
    task = TASKS[name]
    results = [estimate(*task.sample(400, seed)[:2], "gaussian", folds=5) for seed in range(10)]
    assert sum(r.interval[0] < task.truth < r.interval[1] for r in results) >= 8
    assert sum(r.lower_bound < task.truth for r in results) >= 8
    assert np.mean([r.mi for r in results]) == pytest.approx(task.truth, abs=0.08)


@pytest.mark.parametrize("name", ["double-angle", "crossed-normals", "symmetric-channel"])
def test_network_finds_what_the_normal_model_cannot(name):
    task = TASKS[name]
    r = estimate(*task.sample(600, seed=0)[:2])
    assert abs(r.readouts["gaussian"]) < 0.05 * task.truth
    assert 0.4 * task.truth < r.lower_bound < r.mi < 1.05 * task.truth


@pytest.mark.parametrize("estimator", ["auto", "jsd", "infonce", "nwj", "smile"])
def test_estimators_with_a_critic_find_the_truth_of_the_normal(estimator):
    r = plain(estimator)
    expected = max(("dv", "infonce"), key=r.readouts.get) if estimator in ("auto", "jsd") else estimator
    assert r.readout == expected
    assert r.mi == r.readouts[expected]
    assert r.mi == pytest.approx(TASKS["normal-bivariate"].truth, abs=0.1)
    assert r.interval[0] < TASKS["normal-bivariate"].truth < r.interval[1]


def test_independent_variables_read_nothing():
    r = estimate(draws(600, 2), draws(600, seed=1))
    assert r.mi == pytest.approx(0, abs=0.02)
    assert r.interval[0] < 0 < r.interval[1]


def test_pointwise_is_the_log_ratio():
    x, y, log_ratio = TASKS["normal-bivariate"].sample(2000, seed=1)
    pointwise = estimate(estimator="gaussian").pointwise(x, y)
    assert np.corrcoef(pointwise, log_ratio)[0, 1] > 0.98
    assert pointwise.mean() == pytest.approx(log_ratio.mean(), abs=0.05)


@pytest.mark.parametrize(
    "like",
    [
        lambda x: x[:, 0],
        lambda x: torch.from_numpy(x).requires_grad_(),
        lambda x: (100 * x).astype(int),
        lambda x: np.concatenate([np.ones_like(x), x], axis=1),
    ],
    ids=["vector", "tensor", "integers", "constant-column"],
)
def test_pointwise_takes_what_the_estimate_takes(like):
    r = estimate(like(BIVARIATE.x), estimator="gaussian")
    assert r.pointwise(like(BIVARIATE.x), BIVARIATE.y).mean() == pytest.approx(0.41, abs=0.1)


# What an estimate is made of


def test_figures_are_made_of_the_folds():
    r = estimate(folds=3, level=0.9)
    assert r.readouts.keys() == {"dv", "nwj", "infonce", "smile", "gaussian", "ksg"} == r.standard_errors.keys()
    for name, value in r.readouts.items():
        assert name == "ksg" or value == pytest.approx(np.mean([fold[name] for fold in r.folds]))
    assert r.interval[0] == pytest.approx(r.mi - 1.6449 * r.standard_errors["dv"], abs=1e-4)
    assert r.interval[1] >= r.mi + 1.6448 * r.standard_errors["dv"]
    assert r.lower_bound == pytest.approx(r.readouts["infonce"] - 1.2816 * r.standard_errors["infonce"], abs=1e-4)
    assert r.ceiling == pytest.approx(math.log(200))
    assert (r.n, r.finished, r.p_value, len(r.history)) == (600, True, None, 3)


def test_same_seed_same_figures_and_no_trace_in_the_global_generators():
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = estimate(seed=1)
    torch.testing.assert_close(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])
    torch.manual_seed(9)
    assert estimate(seed=1).folds == first.folds
    assert estimate(seed=2).folds != first.folds


@pytest.mark.parametrize("estimator", ["gaussian", "auto"])
def test_scale_of_a_coordinate_is_irrelevant(estimator):
    scaled = estimate(x=2.0**600 * BIVARIATE.x, y=BIVARIATE.y / 8, estimator=estimator)
    assert scaled.folds == plain(estimator).folds


@pytest.mark.parametrize("map_y", [np.exp, np.arctan, lambda y: y**3], ids=["exp", "arctan", "cube"])
def test_monotone_maps_of_a_coordinate_are_irrelevant(map_y):
    # Between the samples it was fitted to, a rank is linear in the value: equal up to that.
    mapped = estimate(y=map_y(BIVARIATE.y), estimator="gaussian").mi
    assert mapped == pytest.approx(plain("gaussian").mi, abs=5e-3)


def test_monotone_maps_of_a_discrete_coordinate_are_irrelevant():
    x = BIVARIATE.x.round()
    assert estimate(x=np.exp(x)).mi == pytest.approx(estimate(x=x).mi, abs=0.02)


def test_ranks_are_optional():
    x = BIVARIATE.x**3
    without, with_ranks = (estimate(x, estimator="gaussian", ranks=ranks).mi for ranks in (False, True))
    assert without < 0.9 * with_ranks


def test_either_variable_may_come_first():
    assert estimate(BIVARIATE.y, BIVARIATE.x, "gaussian").mi == pytest.approx(plain("gaussian").mi, abs=1e-4)


def test_arrays_tensors_and_lists_are_the_same():
    expected = plain("gaussian").folds
    for x in (BIVARIATE.x[:, 0], BIVARIATE.x[..., None], torch.from_numpy(BIVARIATE.x), BIVARIATE.x.tolist()):
        assert estimate(x, estimator="gaussian").folds == expected


def test_training_never_sees_the_fold_it_is_read_on():
    _, held_out = independent(600).split(2, seed=0)[0]
    y = BIVARIATE.y.copy()
    y[held_out] = y[held_out][::-1]
    before, after = plain(), estimate(y=y)
    assert before.history[0] == after.history[0]
    assert before.folds[0]["dv"] > 0.3 > after.folds[0]["dv"]


# What users bring


def test_very_few_samples():
    r = estimate(BIVARIATE.x[:50], BIVARIATE.y[:50], folds=5)
    assert said(r, "only 50 samples")
    assert r.interval[1] - r.interval[0] > 0.3


def test_more_coordinates_than_the_samples_can_tell():
    x = draws(500, 200)
    r = estimate(x, x + draws(500, 200, seed=1), fitting=Fitting(steps=60))
    assert said(r, "y: 200 coordinates for 500 samples")
    assert said(r, "among 400 coordinates a network found nothing")
    assert all(map(math.isfinite, (r.mi, r.interval[0], r.lower_bound)))
    assert r.interval[1] == math.inf


@pytest.mark.parametrize("estimator", ["gaussian", "auto"])
def test_identical_variables(estimator):
    r = estimate(BIVARIATE.x, BIVARIATE.x, estimator)
    assert r.interval[1] == math.inf
    assert said(r, "some coordinate of y is a function of x")
    assert said(r, "infonce reads")
    assert r.lower_bound > 0.85 * r.ceiling


@pytest.mark.parametrize("function", [np.square, np.cos])
def test_functions_that_no_line_shows_leave_the_interval_open(function):
    x, noise = draws(2, 600)
    assert estimate(x, function(x), fitting=HARDLY).interval[1] == math.inf
    assert said(estimate(function(x), x, fitting=HARDLY), "some coordinate of y is a function of x, or of x one of y")
    assert estimate(x, function(x) + 0.2 * noise, fitting=HARDLY).interval[1] < math.inf


def test_neighbours_of_identical_variables_leave_the_interval_open():
    r = estimate(BIVARIATE.x, BIVARIATE.x, "ksg")
    assert r.interval[0] <= r.mi < r.interval[1] == math.inf
    assert said(r, "some coordinate of y is a function of x")


def test_identical_variables_read_no_less_than_the_bound():
    r = estimate(BIVARIATE.x, BIVARIATE.x)
    assert r.mi >= r.lower_bound


def test_interval_holds_a_truth_above_the_ceiling():
    r = estimate(*correlated(600, 20, 15), "gaussian")
    assert r.interval[0] < 15


def test_truth_above_the_ceiling_is_declared():
    r = estimate(*correlated(600, 20, 15), fitting=HARDLY)
    assert r.interval[1] == math.inf
    assert said(r, "infonce reads")
    assert said(r, "the exponential mean rests on")
    assert r.lower_bound < r.ceiling < 15


def test_constant_columns_are_left_out():
    x = np.concatenate([np.ones_like(BIVARIATE.x), BIVARIATE.x], axis=1)
    r = estimate(x)
    assert said(r, "x: constant columns are left out (1: 0)")
    assert r.folds == plain().folds


@pytest.mark.parametrize("ranks", [True, False])
def test_columns_that_hardly_vary(ranks):
    x = np.zeros(600)
    x[3] = 1.0
    assert estimate(x, estimator="gaussian", ranks=ranks).mi == pytest.approx(0, abs=0.05)


def test_heavy_tails():
    x = np.random.default_rng(0).standard_cauchy((2, 600))
    r = estimate(*x)
    assert said(r, "x: heavy tails")
    assert r.mi == pytest.approx(0, abs=0.03)
    assert estimate(x[0], x[0] + x[1]).mi > 0.2


def test_neighbours_that_see_more_than_a_short_training_are_the_estimate():
    task = TASKS["double-angle"]
    r = estimate(*task.sample(1000, seed=0)[:2], fitting=Fitting(steps=1))
    assert (r.readout, r.mi) == ("ksg", r.readouts["ksg"])
    assert r.readouts["dv"] < 0.1
    assert r.interval[0] < r.mi < task.truth < r.interval[1]  # 1,000 samples
    assert said(r, "nearest neighbours read 1.")
    assert not said(plain(), "nearest neighbours")


def test_neighbours_are_not_asked_of_equal_values_or_many_coordinates():
    x, y = as_columns(draws(300, 2), "x"), as_columns(draws(300, 2, seed=1), "y")
    assert facts_of(x, y, []).second.value == pytest.approx(0, abs=0.1)
    assert facts_of(x, as_columns(draws(300, 3), "y"), []).second.value == -math.inf
    assert facts_of(as_columns(draws(300).round(1), "x"), y, []).second.value == -math.inf


def test_integers_with_ties():
    truth = TASKS["normal-bivariate"].truth
    r = estimate((10 * BIVARIATE.x).astype(int), (10 * BIVARIATE.y).astype(np.int8))
    assert said(r, "x: equal values")
    assert r.interval[0] < truth < r.interval[1] + 0.03


def test_class_labels():
    labels = np.resize(np.arange(4), 400)
    r = estimate(np.eye(4)[labels] + 0.1 * draws(400, 4), labels)
    assert said(r, "y: equal values (column 0 has 4 different ones among 400)")
    assert r.mi == pytest.approx(math.log(4), abs=0.1)
    assert estimate(BIVARIATE.x, BIVARIATE.y > 0, "gaussian").mi == pytest.approx(0.22, abs=0.1)


class ImageCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.x = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 8))
        self.y = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 8))

    def forward(self, x, y):
        return self.x(x) @ self.y(y).T


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_images_through_a_critic_of_the_users(kind):
    bright = np.random.default_rng(0).integers(2, size=300)
    x = (100 + 60 * bright[:, None, None, None] + 10 * draws(300, 1, 8, 8)).astype(kind)
    y = bright[:, None] + 0.1 * draws(300, 1, seed=1)
    r = estimate(x, y, critic=ImageCritic, fitting=Fitting(steps=60, learning_rate=1e-2))
    assert r.mi == pytest.approx(math.log(2), abs=0.12)
    assert r.readouts["gaussian"] == pytest.approx(0, abs=1e-5)
    pointwise = r.pointwise(x, y)
    assert pointwise.shape == (300,)
    assert pointwise.mean() == pytest.approx(math.log(2), abs=0.12)


def test_black_and_white_images():
    x = draws(100, 1, 8, 8) > 0
    assert estimate(x, draws(100, 1), critic=ImageCritic).mi < 0.2


class DotProductCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.x, self.y = (nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 16)) for _ in "xy")
        self.offset = nn.Linear(2, 1, bias=False)

    def forward(self, x, y):
        return self.x(x) @ self.y(y).T + self.offset(x)


def test_critic_that_finds_nothing_is_read_as_nothing():
    r = estimate(draws(400, 2), draws(400, 2, seed=1), critic=DotProductCritic)
    assert r.interval[0] <= 0 <= r.interval[1]
    assert r.mi == pytest.approx(0, abs=1e-6)


def test_what_infonce_leaves_free_does_not_hide_what_it_finds():
    class Drifting(DotProductCritic):
        def forward(self, x, y):
            return super().forward(x, y) + 2 * x[:, :1].square()

    x = draws(1000, 2)
    r = estimate(x, x + draws(1000, 2, seed=1), "infonce", critic=Drifting, fitting=Fitting(steps=100))
    assert 0.4 < r.mi < math.log(2)


class NormalisedCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.x, self.y = (nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)) for _ in "xy")

    def forward(self, x, y):
        return self.x(x) @ self.y(y).T


def test_critic_with_batch_normalisation_and_dropout_is_read_in_evaluation_mode():
    x = draws(642, 2)
    r = estimate(x, x + draws(642, 2, seed=1), critic=NormalisedCritic)
    np.testing.assert_allclose(r.pointwise(x[:9], x[:9])[:3], r.pointwise(x[:3], x[:3]), rtol=1e-4, atol=1e-5)


def test_critic_that_does_not_score_all_pairs():
    with pytest.raises(ValueError, match=r"the critic gave scores of shape \(.*it must score every x with every y"):
        estimate(draws(100, 2), draws(100, 2), critic=lambda: nn.Bilinear(2, 2, 1))


def test_a_copy_of_many_coordinates_is_open_above():
    r = estimate(draws(400, 10), draws(400, 10), "auto")
    assert r.readout == "infonce"
    assert r.interval[1] == math.inf
    assert said(r, "is a function of x")


# Options


def test_time_budget(monkeypatch):
    began = time.monotonic()
    clock = (began + reading / 100 for reading in itertools.count())  # goes on with each look at it
    for module in ("estimate", "critics.fitting"):
        watched = SimpleNamespace(monotonic=lambda: next(clock))
        monkeypatch.setattr(sys.modules[f"deep_infomax.mutual_information.{module}"], "time", watched)
    r = estimate(time_budget=1.0, fitting=Fitting(steps=10**7))
    assert 0.5 < next(clock) - began < 10
    assert r.finished
    assert said(r, "the training was cut short")


def interrupted(times=1):
    """A progress function that presses Ctrl-C."""
    calls = []

    def tell(task, done, total):
        calls.append((task, done, total))
        if len(calls) <= times:
            os.kill(os.getpid(), signal.SIGINT)

    return tell, calls


def test_interrupt_gives_what_is_known():
    before = signal.getsignal(signal.SIGINT)
    tell, calls = interrupted()
    r = estimate(folds=5, progress=tell)
    assert len(calls) == 1
    assert not r.finished
    assert len(r.folds) == 5  # which are trained in step
    assert r.ceiling == pytest.approx(math.log(120))
    assert said(r, "the training was cut short")
    assert "UNFINISHED: 5 held-out folds" in str(r)
    assert signal.getsignal(signal.SIGINT) == before


def test_second_interrupt_ends_at_once(monkeypatch):
    monkeypatch.setattr("deep_infomax.runtime.interrupt.ECHO_SECONDS", 0.0)
    before = signal.getsignal(signal.SIGINT)
    tell, _ = interrupted(times=2)

    def twice(*told):
        tell(*told)
        tell(*told)

    with pytest.raises(KeyboardInterrupt):
        estimate(progress=twice)
    assert signal.getsignal(signal.SIGINT) == before


def test_only_interrupts_are_answered_while_estimating():
    def seen(*told):
        handlers.add((signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)))

    handlers = set()
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    estimate(estimator="gaussian", progress=seen)
    [(interrupt, end)] = handlers
    assert interrupt != before[0]
    assert end == before[1]


def test_progress_is_told_and_never_falls():
    calls = []
    estimate(folds=3, progress=lambda *told: calls.append(told), fitting=Fitting(steps=20, patience=100))
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)
    assert calls[-1] == ("fitting critics", 1000, 1000)


def test_progress_goes_to_standard_error(capsys):
    estimate(progress=True, fitting=Fitting(steps=20, patience=100))
    shown = capsys.readouterr()
    assert not shown.out
    assert "fitting critics: 1,000 done" in shown.err


def test_progress_ends_where_the_training_ends_early():
    calls = []
    early = Fitting(steps=400, patience=1)
    estimate(draws(300), draws(300, seed=1), progress=lambda *told: calls.append(told), fitting=early)
    assert calls[-2][1] < 990
    assert calls[-1] == ("fitting critics", 1000, 1000)


def test_permutations_test_independence():
    # The least is twice that of the normal statistic, 1 / 100.
    assert estimate(estimator="gaussian", permutations=99).p_value == pytest.approx(0.02)
    independent = [
        estimate(draws(200), draws(200, seed=s), permutations=49, fitting=HARDLY).p_value for s in range(1, 6)
    ]
    assert sum(p < 0.05 for p in independent) <= 1
    assert all(0 < p <= 1 for p in independent)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"estimator": "median"},
            "`estimator`: median is unknown; did you mean mine[?] Known are auto, jsd, infonce, nwj",
        ),
        ({"folds": 1}, "`folds` is 1; give 2 to 60 for 600 samples"),
        ({"folds": 61}, "`folds` is 61; give 2 to 60 for 600 samples"),
        ({"level": 1.0}, "`level` is 1; give a probability between 0 and 1, such as 0.95"),
        ({"level": math.nan}, "`level` is nan; give a probability"),
        ({"time_budget": 0}, "`time_budget` is 0 seconds; give a positive number, or leave"),
        ({"time_budget": math.nan}, "`time_budget` is nan seconds"),
        ({"critic": ImageCritic, "estimator": "ksg"}, "the estimator ksg takes no critic; use auto, jsd"),
        ({"critic": ImageCritic, "estimator": "gaussian"}, "the estimator gaussian takes no critic"),
        (
            {"y": BIVARIATE.y[1:]},
            "`x` has 600 and `y` has 599 samples; give as many of each, row i of one belonging",
        ),
        ({"y": np.zeros(600)}, "`y` is constant"),
        ({"x": np.where(BIVARIATE.x > 2.5, math.nan, 0)}, r"`x` holds nan in row \d+ \(\d such values in all\); leave"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_options_that_cannot_be_used(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        estimate(**options)


def test_options_are_checked():
    with pytest.raises(ValueError, match="`permutations` is -1; give 0"):
        estimate(BIVARIATE.x, BIVARIATE.y, permutations=-1)
    with pytest.raises(ValueError, match="`seed` is -1; give 0"):
        estimate(BIVARIATE.x, BIVARIATE.y, seed=-1)
    with pytest.raises(ValueError, match="batch_size` is 1; give 2"):
        Fitting(batch_size=1)


# Estimators without folds


def test_nearest_neighbours_by_name():
    x, y = BIVARIATE.x, BIVARIATE.y
    r = estimate(1000 * x + 3, y, "ksg")
    assert r.mi == pytest.approx(ksg_pointwise(x / x.std(), y / y.std()).mean())
    assert r.interval[0] < TASKS["normal-bivariate"].truth < r.interval[1]
    assert (r.lower_bound, r.folds, r.warnings) == (None, (), ())
    with pytest.raises(ValueError, match="the estimator ksg has no critic to score new pairs with; use auto"):
        r.pointwise(x, y)


def test_nearest_neighbours_cut_short_read_some_of_the_pairs(monkeypatch):
    monkeypatch.setattr(named, "KSG_ROWS", 100)
    tell, _ = interrupted()
    r = estimate(estimator="ksg", progress=tell)
    assert not r.finished
    assert said(r, "neighbours of 100 pairs were looked at, a part of all")
    assert r.interval[0] < TASKS["normal-bivariate"].truth < r.interval[1]
    shares = []
    late = estimate(estimator="ksg", time_budget=1e-9, progress=lambda task, done, total: shares.append(done / total))
    assert late.finished
    assert late.mi == r.mi
    assert shares == pytest.approx([1 / 6], abs=1e-3)
    assert estimate(estimator="ksg").standard_errors["ksg"] < 0.6 * r.standard_errors["ksg"]


def test_nearest_neighbours_warn_of_ties_and_of_many_coordinates():
    assert said(estimate(BIVARIATE.x.round(1), BIVARIATE.y, "ksg"), "with equal values its figure is wrong, use auto")
    assert said(estimate(draws(500, 4), draws(500, 3), "ksg"), "ksg reads low in many dimensions, here 7")


def test_mine_by_name(monkeypatch):
    monkeypatch.setattr(named, "MINE_STEPS", 200)
    calls = []
    r = estimate(estimator="mine", progress=lambda *told: calls.append(told))
    assert r.mi == pytest.approx(TASKS["normal-bivariate"].truth, abs=0.15)
    assert r.interval is None
    assert said(r, "no interval, and no bound")
    assert calls[-1] == ("fitting critics", 1000, 1000)
    assert r.history[0].steps == tuple(range(0, 201, 10))
    assert r.history[0].validation[-1] == r.mi
    assert estimate(estimator="mine").mi == r.mi
    assert "no interval" in str(r)


def test_interrupted_mine():
    tell, calls = interrupted()
    r = estimate(estimator="mine", progress=tell)
    assert (len(calls), r.finished, r.history[0].steps) == (1, False, (0, 1))


# What a result says


@pytest.mark.parametrize("estimator", ["auto", "gaussian", "ksg"])
def test_result_as_text_json_and_figure(estimator):
    r = estimate((10 * BIVARIATE.x).round(), estimator=estimator, permutations=0 if estimator == "ksg" else 19)
    text, values = str(r), json.loads(json.dumps(r.to_json(), allow_nan=False))
    assert all(f"{value:.4f}" in text for value in (r.mi, *r.interval, *r.readouts.values()))
    assert all(warning in text for warning in r.warnings)
    assert text.startswith("Mutual information of 600 pairs, in nats")
    assert all(line == line.rstrip() for line in text.splitlines())
    assert (values["mi"], values["readouts"], tuple(values["interval"])) == (r.mi, r.readouts, r.interval)
    assert values["warnings"] == list(r.warnings)
    assert not r.finished or "UNFINISHED" not in text
    r.plot().savefig(io.BytesIO(), format="png")


def test_infinite_limits_are_null_in_json():
    values = estimate(BIVARIATE.x, BIVARIATE.x, "gaussian").to_json()
    assert values["interval"][1] is None
    json.dumps(values, allow_nan=False)


# Pairing


def normal_pairing(ranks):
    x, y, _ = TASKS["normal-dense-3"].sample(600, seed=0)
    return x, y, fit_column_pairing(x[:500], y[:500], (x[500:], y[500:]), ranks)


@pytest.mark.parametrize("ranks", [True, False])
def test_baseline_is_the_normal_log_ratio(ranks):
    x, y, pairing = normal_pairing(ranks)
    normal_x, normal_y = pairing.normal.to_x(x), pairing.normal.to_y(y)
    pairs = pairing(x, y)
    scores = pairs.baseline()
    np.testing.assert_allclose(scores.diagonal(), pairing.normal.ratio.pointwise(normal_x, normal_y), atol=1e-5)
    np.testing.assert_allclose(
        scores[4, 9], pairing.normal.ratio.pointwise(normal_x[4:5], normal_y[9:10])[0], atol=1e-5
    )
    torch.testing.assert_close(pairs.baseline(slice(4, 6)), scores[4:6])
    torch.testing.assert_close(pairs[torch.tensor([4, 9])].baseline()[0, 1], scores[4, 9])


def test_standardised_columns():
    x, _, pairing = normal_pairing(ranks=False)
    read = pairing.x.columns.to_normal(x)
    np.testing.assert_allclose(read, (x - x[:500].mean(axis=0)) / x[:500].std(axis=0))


def test_inputs_are_coordinates_their_squares_and_codes():
    rng = np.random.default_rng(0)
    columns = np.stack([rng.normal(size=400), rng.integers(3, size=400)], axis=1)
    reader = fit_reader(columns, ranks=True)
    normal = reader.to_normal(columns)
    inputs = reader(columns, normal)
    assert inputs.shape == (400, 2 + 2 + 3)
    np.testing.assert_allclose(inputs[:, :2], normal, atol=1e-6)
    np.testing.assert_allclose(inputs[:, 2:4], (normal**2 - 1) / math.sqrt(2), atol=1e-5)
    np.testing.assert_array_equal(inputs[:, 4:], np.eye(3)[columns[:, 1].astype(int)])
    assert reader.owners(2).tolist() == [0, 1, 0, 1, 1, 1, 1]
    unseen = np.array([[0.0, 7.0]])
    assert (reader(unseen, reader.to_normal(unseen))[:, 4:] == 0).all()


def test_structured_samples_are_scaled_as_a_whole():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (50, 1, 4, 4)).astype(np.uint8), rng.normal(size=50)
    pairs = fit_structured_pairing(x, y)(x, y)
    assert pairs.x.shape == (50, 1, 4, 4)
    assert pairs.y.shape == (50,)
    assert pairs.x.mean().item() == pytest.approx(0, abs=1e-6)
    assert pairs.x.std(correction=0).item() == pytest.approx(1, abs=1e-6)
    assert (pairs.baseline() == torch.zeros(50, 50)).all()


# Inputs


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.array(["a"] * 40), "`x` holds words; give an array of real numbers"),
        (np.ones(40, dtype=complex), "`x` has the type complex128; give an array of real numbers or words"),
        (torch.ones(40, dtype=torch.complex64), "`x` has the type complex64; give an array of real numbers or words"),
        (3.0, "`x` has 1 sample along its first axis; give at least 30"),
        ([], "`x` has 0 samples along its first axis; give at least 30"),
        (np.arange(29), "`x` has 29 samples along its first axis; give at least 30"),
        (np.zeros((40, 0)), r"`x` has the shape \(40, 0\), so its samples are empty; give at least one coordinate"),
        (
            np.where(np.arange(40) < 38, 0, math.nan),
            r"`x` holds nan in row 38 \(2 such values in all\); leave such",
        ),
        (np.where(np.eye(40) == 1, math.inf, 0)[7:], r"`x` holds inf in row 0 \(33 such values in all\); leave such"),
    ],
)
def test_samples_that_cannot_be_used(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        as_samples(values, "x")


def test_tensors_of_bfloat16_are_samples():
    assert as_samples(torch.ones(30).bfloat16(), "x").shape == (30,)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.int64, torch.uint8, torch.bool])
def test_tensors_of_any_real_type_are_samples(dtype):
    values = torch.arange(60).reshape(30, 2).to(dtype)
    if dtype.is_floating_point:
        values.requires_grad_()
    columns = as_columns(as_samples(values, "x"), "x").values
    np.testing.assert_array_equal(columns, values.detach().double()[:, : columns.shape[1]])


def test_constant_samples():
    with pytest.raises(
        ValueError, match="`x` is constant, so it tells nothing about anything; give a variable that varies"
    ):
        as_columns(np.ones((40, 3)), "x")


@pytest.mark.parametrize(
    ("values", "beginnings"),
    [
        (draws(600, 2), []),
        (draws(600, 151), ["x: 151 coordinates for 600 samples"]),
        (draws(600, 2) * [1, 0], ["x: constant columns are left out (1: 1)"]),
        (draws(600, 2).round(1), ["x: equal values (column "]),
        (draws(600) / np.abs(draws(2, 600)[1]), ["x: heavy tails"]),
        (draws(50, 20).round(), ["x: 20 coordinates for 50", "x: equal values (column "]),
    ],
)
def test_warnings_of_samples(values, beginnings):
    read = as_columns(values, "x")
    columns, warnings = read.values, read.warnings
    assert columns.shape == (len(values), np.ptp(values.reshape(len(values), -1), axis=0).astype(bool).sum())
    assert len(warnings) == len(beginnings)
    assert all(warning.startswith(beginning) for warning, beginning in zip(warnings, beginnings, strict=True))


def test_few_samples_are_said_to_be_few():
    assert few_samples(500) == []
    assert few_samples(499)[0].startswith("only 499 samples")


def test_discrete_variables_share_no_more_than_they_can_hold():
    y = np.arange(600) % 3
    r = estimate(y + 0.01 * draws(600), y, fitting=Fitting(steps=120))
    assert r.interval[1] <= math.log(3) + 1e-9
    assert r.mi > 1.0
