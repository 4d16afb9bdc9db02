"""One estimate from several folds."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from deep_infomax.mutual_information.combining import combine, spread_of
from deep_infomax.mutual_information.critics.fitting import History
from deep_infomax.mutual_information.facts import Facts
from deep_infomax.mutual_information.folds import Fold
from deep_infomax.mutual_information.rows.structure import independent
from deep_infomax.mutual_information.second import Second

N, FOLDS = 1000, 5
NAMES = ("dv", "nwj", "infonce", "smile", "gaussian")


def fold(value=1.0, number=0, **changes):
    influence = torch.tensor([-0.5, 0.5] * (N // FOLDS // 2))  # an error of 0.5 / sqrt(1,000) in all
    made = Fold(
        values=dict.fromkeys(NAMES, value),
        influences=dict.fromkeys(NAMES, influence),
        fitted=value,
        held_out=N // FOLDS,
        test=np.arange(number * N // FOLDS, (number + 1) * N // FOLDS),
        effective_sample_size=1000.0,
        history=History((0, 10, 20), (0.0, value, value), True),
        gain=value,
        coordinates=2,
        p_value=None,
        determined=False,
        log_ratio=lambda x, y: np.zeros(len(x)),
    )
    return replace(made, **changes)


NO_FACTS = Facts(())


def combined(folds, facts=NO_FACTS, estimator="auto"):
    return combine(folds, estimator, facts, 0.95, independent(N), None, 1.0, True)


def said(estimate, words):
    return any(words in warning for warning in estimate.warnings)


def test_folds_that_agree_have_the_error_of_their_pairs():
    r = combined([fold(number=i) for i in range(FOLDS)])
    assert r.standard_errors["dv"] == pytest.approx(0.5 / math.sqrt(N), rel=0.01)
    assert r.interval == pytest.approx((1 - 1.96 * r.standard_errors["dv"], 1 + 1.96 * r.standard_errors["dv"]))
    assert r.warnings == ()


def test_folds_that_disagree_have_the_error_of_their_spread():
    values = [1.68, 0.83, 1.69, 1.42, 1.60]
    r = combined([fold(value, i) for i, value in enumerate(values)])
    assert r.standard_errors["dv"] == pytest.approx(np.std(values, ddof=1) / math.sqrt(5))
    assert r.interval[0] < 1.2


def test_one_fold_that_blew_up_does_not_take_away_the_allowance_of_the_others():
    folds = [fold(number=i, fitted=1.5) for i in range(4)]
    r = combined([*folds, fold(number=4, fitted=-9.0)])
    assert r.interval[1] > 1 + 2 * 0.4


def test_two_bounds_that_disagree_open_the_interval():
    apart = dict.fromkeys(NAMES, 1.0) | {"nwj": 0.8}
    r = combined([fold(number=i, values=apart) for i in range(FOLDS)])
    assert r.interval[1] == math.inf
    assert said(r, "dv (1.000 nats) and nwj (0.800 nats) disagree beyond their errors: the interval is open above")


@pytest.mark.parametrize(("coordinates", "opened"), [(40, False), (100, True)])
def test_nothing_found_among_many_coordinates_says_little(coordinates, opened):
    r = combined([fold(0.0, i) for i in range(FOLDS)], Facts((), coordinates=coordinates))
    assert (r.interval[1] == math.inf) == opened
    assert said(r, f"among {coordinates} coordinates a network found nothing") == opened


@pytest.mark.parametrize(("read", "opened"), [(4, False), (100, True)])
def test_what_a_network_of_many_coordinates_does_not_find_cannot_be_seen(read, opened):
    r = combined([fold(number=i, coordinates=read) for i in range(FOLDS)], Facts((), coordinates=100))
    assert (r.interval[1] == math.inf) == opened
    assert said(r, "among 100 coordinates what a network of all does not find cannot be seen") == opened


@pytest.mark.parametrize(
    ("coordinates", "gains", "opened"),
    [
        (20, (0.1,) * 5, True),
        (20, (0.1, 0.0, 0.1, 0.0, 0.1), True),
        (20, (0.1, 0.0, 0.1, 0.0, 0.0), False),  # most folds are content with the simple model
        (20, (0.6,) * 5, False),  # the network reads most of it
        (16, (0.1,) * 5, False),
    ],
)
def test_a_network_that_adds_little_has_perhaps_found_a_part(coordinates, gains, opened):
    folds = [fold(number=i, gain=gain, coordinates=4) for i, gain in enumerate(gains)]
    r = combined(folds, Facts((), coordinates=coordinates))
    assert (r.interval[1] == math.inf) == opened
    assert said(r, f"among {coordinates} coordinates a network adds little to a simple model") == opened


def test_a_second_opinion_that_is_clearly_higher_is_the_estimate():
    facts = Facts((), second=Second("ksg", "nearest neighbours", 1.5, 0.02, above=0.1, below=0.05))
    folds = [fold(number=i) for i in range(FOLDS)]
    r = combined(folds, facts)
    assert (r.readout, r.mi, r.readouts["ksg"]) == ("ksg", 1.5, 1.5)
    error = math.hypot(0.02, r.standard_errors["dv"])  # as the larger of two figures was taken
    assert r.interval == pytest.approx((1.45 - 1.96 * error, 1.6 + 1.96 * error), abs=1e-4)
    assert said(r, "nearest neighbours read 1.500 nats, more than the 1.000 nats of the critic: that is the estimate")
    named = combined(folds, facts, "infonce")
    assert (named.readout, named.mi) == ("infonce", 1.0)
    assert named.interval[1] == pytest.approx(1.6 + 1.96 * 0.02, abs=1e-4)


def test_a_second_opinion_within_the_errors_is_none():
    facts = Facts((), second=Second("ksg", "nearest neighbours", 1.02, 0.02))
    r = combined([fold(number=i) for i in range(FOLDS)], facts)
    assert (r.readout, r.mi, r.warnings) == ("dv", 1.0, ())


def test_a_function_is_read_by_the_bound_that_has_a_ceiling():
    values = dict.fromkeys(NAMES, 3e6) | {"infonce": 5.2}
    r = combined([fold(number=i, values=values, fitted=4e6) for i in range(FOLDS)], Facts((), determined=True))
    assert (r.readout, r.mi, r.interval[1]) == ("infonce", 5.2, math.inf)
    assert said(r, "some coordinate of y is a function of x")
    assert not said(r, "more on the pairs it was fitted to")  # the difference of two figures without meaning


def test_divergence_is_said():
    folds = [fold(number=i) for i in range(4)] + [fold(number=4, history=History((0, 1), (0.0, -9.0), False, True))]
    r = combined(folds)
    assert said(r, "the training of 1 of 5 folds diverged at every rate; its best weights are read")
    assert not r.converged


def test_folds_of_which_one_is_infinite_have_no_finite_error():
    assert spread_of([1.0, 2.0, 3.0]) == pytest.approx(1 / 3)
    assert spread_of([1.0]) == 0.0
    assert spread_of([1.0, -math.inf]) == math.inf
