"""Units of figures and names of columns, in every result that carries them."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from deep_infomax.mutual_information import Fitting, estimate_mi, neural_dependency

BIT = math.log(2)
FEW = Fitting(steps=10)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    z = np.random.default_rng(0).normal(size=(400, 3))
    z[:, 1] += z[:, 0]
    return pd.DataFrame(z, columns=["age", "pulse", "noise"])


@pytest.mark.parametrize("estimator", ["gaussian", "ksg", "auto"])
def test_bits_are_nats_by_log_2_in_every_figure(estimator: str, frame: pd.DataFrame) -> None:
    x, y = frame["age"], frame["pulse"]
    nats, bits = (estimate_mi(x, y, estimator, fitting=FEW, progress=False, unit=unit) for unit in ("nats", "bits"))
    assert bits.mi == pytest.approx(nats.mi / BIT)
    assert bits.interval == pytest.approx([limit / BIT for limit in nats.interval])
    assert bits.readouts == pytest.approx({name: value / BIT for name, value in nats.readouts.items()})
    assert bits.standard_errors == pytest.approx({name: value / BIT for name, value in nats.standard_errors.items()})
    assert bits.ceiling == pytest.approx(nats.ceiling / BIT)
    assert bits.to_json()["unit"] == "bits"
    assert "in bits" in str(bits)
    assert "nats" not in str(bits)
    again = bits.in_unit("nats")
    assert again.mi == pytest.approx(nats.mi)
    if estimator != "ksg":
        assert bits.lower_bound == pytest.approx(nats.lower_bound / BIT)
        assert bits.pointwise(x, y) == pytest.approx(nats.pointwise(x, y) / BIT)
        assert bits.folds[0] == pytest.approx({name: value / BIT for name, value in nats.folds[0].items()})


def test_bits_of_a_dependency(frame: pd.DataFrame) -> None:
    nats, bits = (
        neural_dependency(frame, "joint", fitting=FEW, folds=2, progress=False, unit=unit) for unit in ("nats", "bits")
    )
    assert bits.total_correlation == pytest.approx(nats.total_correlation / BIT)
    assert bits.per_factor == pytest.approx(nats.per_factor / BIT)
    assert bits.interval == pytest.approx([limit / BIT for limit in nats.interval])
    assert "nats" not in str(bits)
    assert bits.to_json()["unit"] == "bits"


@pytest.mark.parametrize(
    "function", [lambda z, unit: estimate_mi(z, z, unit=unit), lambda z, unit: neural_dependency(z, unit=unit)]
)
def test_an_unknown_unit_is_refused(function, frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="`unit`: bit is unknown; did you mean bits"):
        function(frame, "bit")


def test_names_of_a_table_reach_the_result(frame: pd.DataFrame) -> None:
    found = estimate_mi(frame[["age", "noise"]], frame["pulse"], "gaussian", progress=False)
    assert (found.x_names, found.y_names) == (("age", "noise"), ("pulse",))
    assert "x = age, noise; y = pulse; " in str(found)
    assert json.loads(json.dumps(found.to_json()))["x_names"] == ["age", "noise"]
    arrays = estimate_mi(frame[["age", "noise"]].to_numpy(), frame["pulse"].to_numpy(), "gaussian", progress=False)
    assert arrays.mi == found.mi
    assert arrays.x_names == ()
    dependency = neural_dependency(frame, "joint", fitting=FEW, folds=2, progress=False)
    assert dependency.names == ("age", "pulse", "noise")
    assert "pulse" in str(dependency)


def test_rows_that_would_be_paired_wrongly_are_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"`x` and `y` index their rows differently .* in row 0"):
        estimate_mi(frame["age"].sort_values(), frame["pulse"], progress=False)
    mixed = frame["pulse"].set_axis(pd.date_range("2020", periods=400))
    with pytest.raises(ValueError, match="index their rows differently"):
        estimate_mi(frame["age"], mixed, progress=False)
