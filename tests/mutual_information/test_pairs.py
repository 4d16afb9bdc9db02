"""Many columns at once: every pair, each column beside a target, and the p-values and pictures of both."""

import json
import math
import os
import signal

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.feature_selection import SelectKBest
from sklearn.pipeline import make_pipeline

from deep_infomax.mutual_information import TASKS, Pairwise, information_scores, pairwise, rank_features
from deep_infomax.mutual_information.screening import categorical, independence_p_value, numeric, screen
from deep_infomax.mutual_information.tables import holm

TRUTH = math.log(2) / 2


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """a with c, b with d, and e by itself."""
    z = np.random.default_rng(0).normal(size=(1000, 5))
    z[:, 2:4] += z[:, :2]
    return pd.DataFrame(z, columns=list("abcde"))


@pytest.fixture(scope="module")
def found(frame: pd.DataFrame) -> Pairwise:
    return pairwise(frame, progress=False)


def test_pairs_with_information_are_found_with_their_intervals(found: Pairwise) -> None:
    assert found.names == tuple("abcde")
    assert np.isnan(found.mi.diagonal()).all()
    for i, j in ((0, 2), (1, 3)):
        assert found.low[i, j] < TRUTH < found.high[i, j]
        assert found.adjusted[i, j] < 1e-9
    assert (found.mi == found.mi.T)[~np.eye(5, dtype=bool)].all()
    others = [found.adjusted[i, j] for i in range(5) for j in range(i) if (j, i) not in ((0, 2), (1, 3))]
    assert min(others) > 0.05


def test_a_result_is_a_table_a_frame_json_and_a_picture(found: Pairwise) -> None:
    frame = found.to_frame()
    assert len(frame) == 10
    assert {*map(tuple, frame[["x", "y"]].head(2).to_numpy())} == {("a", "c"), ("b", "d")}
    assert json.loads(json.dumps(found.to_json()))["mi"][0][0] is None
    assert str(found).startswith("Mutual information of 10 pairs, 1,000 rows, in nats")
    order = [found.names[i] for i in found.clustered()]
    assert abs(order.index("a") - order.index("c")) == abs(order.index("b") - order.index("d")) == 1
    cells = found.plot().axes[1]
    assert [label.get_text() for label in cells.get_xticklabels()] == order


def test_bits(found: Pairwise, frame: pd.DataFrame) -> None:
    bits = pairwise(frame, progress=False, unit="bits")
    np.testing.assert_allclose(bits.mi, found.mi / math.log(2))
    np.testing.assert_array_equal(bits.clustered(), found.clustered())
    assert "in bits" in str(bits)


@pytest.mark.parametrize("name", ["normal-bivariate-bimodal", "uniform-noise-0.75", "random-scale", "crossed-normals"])
def test_intervals_of_neighbours_hold_the_truth(name: str) -> None:
    generator, held = np.random.default_rng(0), 0
    for seed in range(20):
        x, y, _ = TASKS[name].sample(500, seed)
        one = screen(numeric(x[:, 0], generator), numeric(y[:, 0], generator), 0.95)
        held += one.low <= TASKS[name].truth <= one.high
    assert held >= 17


def test_information_of_rounded_values_and_categories() -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(3, size=2000)
    y = np.where(generator.random(2000) < 0.5, x, generator.integers(3, size=2000))
    share = 0.5 + 0.5 / 3
    truth = math.log(3) + share * math.log(share) + (1 - share) * math.log((1 - share) / 2)
    for one, other in ((categorical(x), categorical(y)), (categorical(x), numeric(y + 0.0, generator))):
        read = screen(one, other, 0.95)
        assert read.low < truth < read.high
        assert read.p_value < 1e-9


@pytest.mark.parametrize("kinds", ["numbers", "rounded", "categories", "rare"])
def test_p_values_of_independent_columns_hold_their_level(kinds: str) -> None:
    generator, rejected = np.random.default_rng(1), 0
    for _ in range(400):
        x, y = generator.normal(size=(2, 200))
        left, right = numeric(x, generator), numeric(y, generator)
        if kinds == "rounded":
            right = numeric(y.round(), generator)
        if kinds in ("categories", "rare"):
            left = categorical(generator.poisson(3, 200) if kinds == "rare" else generator.integers(3, size=200))
        rejected += independence_p_value(left, right) < 0.05
    assert rejected <= 400 * 0.05 + 3 * math.sqrt(400 * 0.05 * 0.95)


def test_a_function_of_another_column_has_an_open_interval() -> None:
    x = np.random.default_rng(0).normal(size=(500, 1))
    found = pairwise(np.hstack([x, np.sin(3 * x)]), progress=False)
    assert found.high[0, 1] == math.inf
    assert found.to_json()["high"][0][1] is None


def test_constant_columns_share_nothing(frame: pd.DataFrame) -> None:
    found = pairwise(frame[["a", "c"]].assign(same=1.0), progress=False)
    assert found.warnings == ("constant, so they share nothing: same",)
    assert (found.mi[0, 2], found.p_values[0, 2]) == (0, 1)


def test_any_estimator_can_read_pairs(frame: pd.DataFrame) -> None:
    found = pairwise(frame[["a", "b", "c"]], "gaussian", permutations=99, progress=False)
    assert found.low[0, 2] < TRUTH < found.high[0, 2]
    assert found.p_values[0, 2] < 0.1


def test_an_interrupt_keeps_the_pairs_that_are_done(frame: pd.DataFrame) -> None:
    def stop(task: str, done: int, total: int) -> None:
        assert (task, total) == ("pairs", 10)
        if done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    found = pairwise(frame, progress=stop)
    assert not found.finished
    assert np.isfinite(found.mi[np.triu_indices(5, 1)]).sum() == 3
    assert found.warnings == ("the work ended after 3 of 10 pairs: the rest is unknown",)
    assert "UNFINISHED" in str(found)
    found.plot()


def test_features_are_ranked(frame: pd.DataFrame) -> None:
    found = rank_features(frame[["a", "b", "e"]], frame["c"], progress=False)
    assert found.target == "c"
    assert found.to_frame().index[0] == "a"
    assert found.low[0] < TRUTH < found.high[0]
    assert found.to_json()["order"][0] == 0
    assert "Mutual information with c, 1,000 rows, in nats" in str(found)
    found.plot()


def test_a_selector_of_scikit_learn_takes_the_scores(frame: pd.DataFrame) -> None:
    selector = clone(SelectKBest(information_scores, k=2))
    x = frame.assign(same=0.0)
    pipeline = make_pipeline(selector).fit(x, frame["a"] * frame["b"] > 0.1)
    assert list(pipeline.get_feature_names_out()) == ["a", "b"]
    fitted = pipeline[0]
    assert np.isfinite(fitted.scores_).all()
    assert fitted.pvalues_[list(x.columns).index("same")] == 1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda z: pairwise(z[["a"]]), "`z` has one column; a pair needs two or more"),
        (lambda z: pairwise(z, "nearest"), "`estimator`: nearest is unknown"),
        (lambda z: pairwise(z, folds=3), "the estimator neighbours takes no `folds`; leave it out, or use auto"),
        (lambda z: pairwise(z, level=95), "`level` is 95"),
        (lambda z: pairwise(z, unit="bans"), "`unit`: bans is unknown"),
        (lambda z: rank_features(z, z), "`y` has 5 columns; give one"),
        (lambda z: rank_features(z, z["a"][:500]), "`x` has 1,000 and `y` has 500 samples"),
        (lambda z: rank_features(z, z["a"][::-1]), "index their rows differently"),
    ],
)
def test_wrong_input_gets_a_sentence(call, said: str, frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=said):
        call(frame)


def test_rows_that_belong_together_have_p_values_of_their_own_and_no_intervals() -> None:
    noise, rejected = np.random.default_rng(0).normal(size=(6, 600, 2)), 0
    for one in noise:
        series = np.zeros((600, 2))
        for t in range(1, 600):
            series[t] = 0.9 * series[t - 1] + one[t]
        found = pairwise(series, progress=False)
        assert any("taken for a series" in warning for warning in found.warnings)
        assert np.isnan(found.low[0, 1])
        rejected += found.p_values[0, 1] <= 0.02  # NaN where the series is too short
    assert rejected <= 1
    trials = np.repeat(noise[0, :30], 20, axis=0) + 0.3 * noise[1]
    found = pairwise(trials, groups=np.repeat(np.arange(30), 20), progress=False)
    assert found.p_values[0, 1] > 0.01
    json.dumps(found.to_json())
    str(found)


def test_holm_is_the_plain_loop() -> None:
    p_values = np.random.default_rng(0).random(20) ** 3
    order, adjusted, largest = np.argsort(p_values), np.empty(20), 0.0
    for k, place in enumerate(order):
        largest = max(largest, min(1.0, (20 - k) * p_values[place]))
        adjusted[place] = largest
    np.testing.assert_allclose(holm(p_values), adjusted)
