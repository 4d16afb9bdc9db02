"""Conditional information, interaction information and transfer entropy against closed forms."""

import json
import math
import os
import signal

import numpy as np
import pandas as pd
import pytest

from deep_infomax.mutual_information import (
    Difference,
    Fitting,
    conditional_mi,
    estimate_mi,
    interaction_information,
    transfer_entropy,
)

SHORT = Fitting(steps=60, checks=5)
BIT = math.log(2)


def holds(found: Difference, truth: float) -> bool:
    assert found.interval is not None
    return found.interval[0] < truth < found.interval[1]


def normal(seed: int, n: int = 1000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y with a partial correlation of sqrt(1/2) given z."""
    z, e, f = np.random.default_rng(seed).normal(size=(3, n))
    x = z + e
    return x, z + x + f, z


def autoregressive(coupling: float, memory: float, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """x drives y; both have a memory."""
    noise = np.random.default_rng(seed).normal(size=(n, 2))
    series = np.zeros((n, 2))
    for t in range(1, n):
        series[t] = memory * series[t - 1] + noise[t] + [0, coupling * series[t - 1, 0]]
    return series[:, 0], series[:, 1]


def test_conditional_information_of_normal_variables_is_that_of_the_partial_correlation() -> None:
    held = [
        holds(conditional_mi(*normal(seed, 400), "gaussian", folds=2, progress=False), BIT / 2) for seed in range(10)
    ]
    assert sum(held) >= 9


def test_the_error_is_that_of_the_difference() -> None:
    z, e, f = np.random.default_rng(0).normal(size=(3, 1000))
    found = conditional_mi(z + e / 5, z + f / 5, z, "gaussian", progress=False)  # truth: 0
    whole, part = (term.estimate for term in found.terms)
    assert found.mi == pytest.approx(whole.readouts["gaussian"] - part.readouts["gaussian"], abs=1e-6)
    assert found.standard_error < 0.2 * math.hypot(*(one.standard_errors["gaussian"] for one in (whole, part)))
    assert holds(found, 0.0)


def test_the_terms_are_those_of_an_estimate() -> None:
    x, y, z = normal(0)
    found = conditional_mi(x, y, z, "gaussian", progress=False)
    alone = estimate_mi(x, np.stack([y, z], axis=1), "gaussian", progress=False)
    assert found.terms[0].estimate.mi == pytest.approx(alone.mi, abs=1e-6)


def test_an_exclusive_or_is_information_given_the_other_alone() -> None:
    x, y = np.random.default_rng(0).integers(2, size=(2, 600))
    given = conditional_mi(x, y, x ^ y, fitting=SHORT, folds=2, progress=False, unit="bits")
    assert holds(given, 1.0)
    assert given.mi == pytest.approx(1.0, abs=0.05)
    assert "in bits" in str(given)
    found = interaction_information(x, y, x ^ y, fitting=SHORT, folds=2, progress=False)
    assert holds(found, BIT)
    assert [term.sign for term in found.terms] == [1, -1, -1]


def test_what_a_chain_tells_is_known_already() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(3, size=1000)
    z = np.where(rng.random(1000) < 0.7, x, rng.integers(3, size=1000))
    y = np.where(rng.random(1000) < 0.7, z, rng.integers(3, size=1000))
    found = conditional_mi(x, y, z, fitting=SHORT, folds=2, progress=False)
    assert holds(found, 0.0)
    assert abs(found.mi) < 0.03


def test_transfer_entropy_of_a_linear_process_goes_one_way() -> None:
    # Given y's past, x at t - 1 is normal; its variance beside the noise of y says what it tells.
    x, y = autoregressive(0.6, 0.5, 1000, 0)
    longer = autoregressive(0.6, 0.5, 50_000, 1)
    now, past = longer[1][1:], np.stack([longer[1][:-1]]).T
    residual = now - past @ np.linalg.lstsq(past, now, rcond=None)[0]
    truth = math.log(residual.var()) / 2  # the noise of y has variance 1
    assert truth > 0.1
    there, back = (transfer_entropy(*pair, "gaussian", progress=False) for pair in ((x, y), (y, x)))
    assert holds(there, truth)
    assert holds(back, 0.0)
    assert there.interval[0] > 0.05
    assert there.n == 999


def test_lags_reach_back_as_far_as_they_are_asked_to() -> None:
    x, noise = np.random.default_rng(0).normal(size=(2, 800))
    y = np.append(np.zeros(3), x[:-3]) + noise
    options = {"progress": False, "own_lags": 1, "folds": 2}
    assert transfer_entropy(x, y, "gaussian", lags=2, **options).interval[1] < 0.05
    for lags, said in ((3, "1 to 3"), ([3], "3"), ((1, 3), "1, 3")):
        found = transfer_entropy(x, y, "gaussian", lags=lags, **options)
        assert holds(found, BIT / 2)
        assert f"{said}, own lags 1" in str(found)


def test_slow_series_that_do_not_meet_transfer_nothing() -> None:
    held = 0
    for seed in range(10):
        x, y = autoregressive(0.0, 0.99, 600, seed)
        found = transfer_entropy(x, y, "gaussian", folds=3, progress=False)
        held += holds(found, 0.0) and found.interval[0] < 0.02
    assert held == 10


def test_recordings_do_not_reach_into_each_other() -> None:
    x, noise = np.random.default_rng(0).normal(size=(2, 1000))
    y = np.append(0, x[:-1]) + noise
    recordings = np.repeat(np.arange(50), 20)
    found = transfer_entropy(x, y, "gaussian", groups=recordings, progress=False)
    assert found.n == 50 * 19
    assert holds(found, BIT / 2)


def test_names_and_json_of_a_difference() -> None:
    x, y, z = normal(0)
    frame = pd.DataFrame({"age": x, "pulse": y, "weight": z})
    found = conditional_mi(frame["age"], frame["pulse"], frame[["weight"]], "gaussian", progress=False)
    assert "x = age; y = pulse; z = weight; 5 held-out folds" in str(found)
    told = json.loads(json.dumps(found.to_json()))
    assert told["names"]["z"] == ["weight"]
    assert [term["name"] for term in told["terms"]] == ["I(x; y, z)", "I(x; z)"]
    assert found.in_unit("bits").standard_error == pytest.approx(found.standard_error / BIT)
    assert len(found.plot().axes) == 1


def test_an_interrupt_ends_without_an_interval() -> None:
    def stop(task: str, done: int, total: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    found = conditional_mi(*normal(0), fitting=SHORT, progress=stop)
    assert not found.finished
    assert found.interval is None
    assert "UNFINISHED" in str(found)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x, y, z: conditional_mi(x, y, z, "ksg"), "the estimator ksg has no folds"),
        (lambda x, y, z: conditional_mi(x, y, z, "kgs"), "`estimator`: kgs is unknown"),
        (lambda x, y, z: conditional_mi(x, y, z[:500]), "`y` has 1,000 and `z` has 500 samples"),
        (lambda x, y, z: conditional_mi(x, y, 0 * z), "`z` is constant"),
        (lambda x, y, z: transfer_entropy(x, y, lags=0), "`lags` is 0; give a number of steps"),
        (lambda x, y, z: transfer_entropy(x, y, lags="1"), "`lags` is '1'; give a number of steps"),
        (lambda x, y, z: transfer_entropy(x, y, own_lags=[]), "`own_lags` is"),
        (lambda x, y, z: transfer_entropy(x, y, lags=500), "the longest lag is 500; give at most 100 for 1,000"),
        (lambda x, y, z: transfer_entropy(x, y, groups=[1, 2]), "`groups` has the shape"),
    ],
)
def test_wrong_input_gets_a_sentence(call, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call(*normal(0))
