"""The check of how far an estimate moves with the number of samples."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from deep_infomax.mutual_information import Estimate, SampleSizeCheck, check_sample_size, estimate_mi


def reading(mi: float) -> Estimate:
    x = np.random.default_rng(0).normal(size=100)
    return replace(estimate_mi(x, -x + np.arange(100), "gaussian", folds=2, progress=False), mi=mi)


def test_a_bias_of_one_over_n_is_extrapolated_away() -> None:
    parts = {size: reading(0.5 - 40 / size) for size in (400, 200, 100)}
    check = SampleSizeCheck(
        replace(parts[400], standard_errors={"gaussian": 0.01}), (parts[200],) * 2, (parts[100],) * 4
    )
    assert check.extrapolated == pytest.approx(0.5)
    assert check.moved == pytest.approx(0.1)
    assert not check.settled
    assert "still moves" in str(check)
    assert check.to_json()["extrapolated"] == check.extrapolated


def test_parts_are_disjoint_and_all_of_the_samples() -> None:
    x, noise = np.random.default_rng(0).normal(size=(2, 1000))
    frame = pd.DataFrame({"x": x, "y": x + noise}, index=np.arange(1000)[::-1])
    check = check_sample_size(frame["x"], frame["y"], estimator="gaussian", folds=2, progress=False, unit="bits")
    assert [one.n for one in check.halves + check.quarters] == [500] * 2 + [250] * 4
    assert check.settled
    assert abs(check.extrapolated - 0.5) < 0.2
    assert check.whole.unit == check.halves[0].unit == "bits"


def test_groups_stay_whole() -> None:
    groups = np.repeat(np.arange(100), 10)
    shared = np.random.default_rng(0).normal(size=(100, 2))[groups]
    x, y = (shared + np.random.default_rng(1).normal(size=(1000, 2))).T
    check = check_sample_size(x, y, estimator="gaussian", groups=groups, folds=2, progress=False)
    assert len(check.quarters) == 4
    assert not math.isnan(check.extrapolated)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="`x` has 300 samples; give 400 or more"):
        check_sample_size(np.arange(300), np.arange(300))
