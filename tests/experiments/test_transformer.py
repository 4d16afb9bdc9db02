"""The transformer of scikit-learn: its own checks, and the very weights that `train` gives."""

import os
import pickle
import signal
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from deep_infomax import DeepInfoMaxTransformer, TrainingConfig, train
from deep_infomax.experiments import transformer

SMALL: dict[str, Any] = {"epochs": 1, "dim": 3, "device": "cpu", "settings": {"objective": {"units": 16}}}
SERIES = np.random.default_rng(0).normal(size=(24, 2, 32))
DIGITS, LABELS = (array[:200] for array in load_digits(return_X_y=True))


# All checks pass, so none is named as an expected failure. That of array libraries is skipped by scikit-learn itself
# unless SCIPY_ARRAY_API is set. A constructor of scikit-learn keeps what it is given, so types are checked by `fit`.
@pytest.mark.usefixtures("unchecked")
@parametrize_with_checks([DeepInfoMaxTransformer(**SMALL)])
def test_it_is_what_scikit_learn_calls_a_transformer(estimator: Any, check: Any) -> None:
    check(estimator)


def test_it_learns_the_weights_that_train_learns(tmp_path: Any) -> None:
    found = DeepInfoMaxTransformer(**SMALL, batch_size=8, seed=3).fit(SERIES)
    run = train(
        "local-infonce",
        SERIES,
        out=tmp_path / "run",
        seed=3,
        progress=False,
        encoder={"dim": 3},
        training={"epochs": 1, "batch_size": 8, "device": "cpu"},
        objective={"units": 16},
        data_options={"layout": "cl"},
    )
    expected = run.encoder.cpu()
    assert found.encoder_.state_dict().keys() == expected.state_dict().keys()
    for name, weight in expected.state_dict().items():
        assert torch.equal(found.encoder_.state_dict()[name], weight), name
    np.testing.assert_array_equal(found.transform(SERIES), expected.encode(SERIES).numpy())


def test_rows_are_series_of_one_channel_or_what_shape_says() -> None:
    as_rows = DeepInfoMaxTransformer(**SMALL).fit(SERIES[:, 0])
    as_series = DeepInfoMaxTransformer(**SMALL).fit(SERIES[:, :1])
    assert as_rows.shape_ == as_series.shape_ == (1, 32)
    assert (as_rows.n_features_in_, as_series.n_features_in_) == (32, 1)
    found, expected = as_rows.transform(SERIES[:, 0]), as_series.transform(SERIES[:, :1])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)  # sums in another order of memory
    images = DIGITS.reshape(-1, 8, 8)
    shaped = DeepInfoMaxTransformer(**SMALL, shape=(1, 8, 8))
    expected = DeepInfoMaxTransformer(**SMALL).fit_transform(images[:, None])
    for inputs in (DIGITS, images, images[:, None], torch.from_numpy(DIGITS), DIGITS.tolist()):
        np.testing.assert_allclose(shaped.fit_transform(inputs), expected, rtol=1e-3, atol=1e-6)


def test_volumes_and_numbers_far_from_zero() -> None:
    volumes = np.random.default_rng(0).normal(size=(8, 1, 6, 7, 8))
    far = 1e6 + SERIES / 1000
    assert DeepInfoMaxTransformer(**SMALL).fit_transform(volumes).shape == (8, 3)
    model = DeepInfoMaxTransformer(**SMALL).fit(far)
    assert model.encoder_.offset is not None
    assert model.transform(far).std(axis=0).min() > 1e-3


def test_what_is_read_only_is_taken() -> None:
    inputs = SERIES.astype(np.float32)
    inputs.flags.writeable = False
    assert DeepInfoMaxTransformer(**SMALL).fit_transform(inputs).shape == (24, 3)


def test_features_have_names_in_arrays_and_frames() -> None:
    frame = pd.DataFrame(DIGITS, columns=[f"pixel{n}" for n in range(64)])
    model = DeepInfoMaxTransformer(**SMALL, shape=(1, 8, 8)).set_output(transform="pandas")
    table = model.fit_transform(frame)
    assert list(table) == model.get_feature_names_out().tolist() == ["Y_0", "Y_1", "Y_2"]
    assert set(map(str, table.dtypes)) == {"float32"}
    assert model.feature_names_in_.tolist() == list(frame)
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        model.get_feature_names_out(list(frame)[::-1])
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame.rename(columns={"pixel0": "other"}))
    assert list(model.set_params(layer="fc").transform(frame))[-1] == "fc_255"
    assert next(iter(model.set_params(layer="fc-linear").transform(frame))) == "fc-linear_0"


def test_a_pickle_and_a_clone() -> None:
    model = DeepInfoMaxTransformer(**SMALL, seed=5).fit(SERIES)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(SERIES), model.transform(SERIES))
    fresh = clone(model)
    assert fresh.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        fresh.transform(SERIES)
    with pytest.raises(NotFittedError):
        fresh.get_feature_names_out()
    np.testing.assert_array_equal(fresh.fit_transform(SERIES), model.transform(SERIES))


def test_a_pickle_holds_the_encoder_on_the_cpu() -> None:
    model = DeepInfoMaxTransformer(**SMALL).fit(SERIES)
    model.encoder_.to("meta")  # stands for a GPU
    with pytest.raises(NotImplementedError):  # a copy to the CPU is asked for, and a meta tensor has nothing to copy
        pickle.dumps(model)


def test_a_search_over_a_pipeline_finds_the_better_recipe() -> None:
    steps = [("learn", DeepInfoMaxTransformer(shape=(1, 8, 8), epochs=4, device="cpu", batch_size=32)),
             ("scale", StandardScaler()), ("classify", LogisticRegression(max_iter=1000))]  # fmt: skip
    grid = {"learn__recipe": ["random", "supervised"]}
    search = GridSearchCV(Pipeline(steps), grid, cv=2, error_score="raise").fit(DIGITS, LABELS)
    floor, ceiling = search.cv_results_["mean_test_score"]
    assert search.best_params_ == {"learn__recipe": "supervised"}
    assert ceiling > floor + 0.1
    words = np.array(list("abcdefghij"))[LABELS]
    named = DeepInfoMaxTransformer("supervised", **(SMALL | {"settings": None}), shape=(1, 8, 8)).fit(DIGITS, words)
    numbered = clone(named).fit(DIGITS, LABELS)
    np.testing.assert_array_equal(named.transform(DIGITS), numbered.transform(DIGITS))


def test_a_batch_is_no_larger_than_the_data_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[TrainingConfig] = []
    whole = transformer.fit
    monkeypatch.setattr(transformer, "fit", lambda *given, **more: sizes.append(given[3]) or whole(*given, **more))
    for inputs in (SERIES, DIGITS):
        DeepInfoMaxTransformer(**SMALL).fit(inputs)
    assert [training.batch_size for training in sizes] == [24, 128]
    with pytest.raises(ValueError, match="less than one batch of 25; set `batch_size` to at most 24"):
        DeepInfoMaxTransformer(**SMALL, batch_size=25).fit(SERIES)


def test_random_numbers_outside_are_left_alone() -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    DeepInfoMaxTransformer(**SMALL).fit(SERIES).transform(SERIES)
    assert torch.equal(states[0], torch.get_rng_state())
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])


def test_an_interrupt_ends_a_search_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = transformer.as_source

    def interrupted(*given: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return whole(*given, **options)

    monkeypatch.setattr("deep_infomax.training.loop.as_source", interrupted)
    search = GridSearchCV(DeepInfoMaxTransformer(**SMALL), {"dim": [2, 3]}, scoring=lambda *_: 0.0, cv=2)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            search.fit(SERIES)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("given", "inputs", "sentence"),
    [
        ({"recipe": "local-infonec"}, SERIES, "`recipe`: local-infonec is unknown; did you mean local-infonce?"),
        ({"epochs": "many"}, SERIES, "`epochs` is many; give a finite number"),
        ({"epochs": -1}, SERIES, "`epochs` is -1; give a finite number of at least 0"),
        ({"dim": -3}, SERIES, "`dim` is -3; give 1 or more"),
        ({"batch_size": 0}, SERIES, "`batch_size` is 0; give 1 or more"),
        ({"device": "gpu"}, SERIES, "`device`: gpu is unknown; did you mean xpu"),
        ({"layer": "Z"}, SERIES, "unknown layer 'Z'; this encoder has conv, fc-linear, fc, Y"),
        ({"seed": None}, SERIES, "`seed` is none; give a whole number"),
        ({"seed": -1}, SERIES, "`seed` is -1; give 0 or a positive number"),
        ({"shape": (1, 9, 9)}, DIGITS, "takes 81 features, and X has 64; correct one of them"),
        ({"shape": (64,)}, DIGITS, r"`shape` is \(64,\); give channels and one, two or three sizes"),
        ({"shape": (0, 8)}, DIGITS, r"`shape` is \(0, 8\); give channels"),
        ({"shape": 64}, DIGITS, "`shape` is 64; give a list"),
        ({"shape": (1, 8, 8)}, SERIES, r"and inputs have the shape \(2, 32\); leave it out"),
        ({"settings": {"data_options": {}}}, SERIES, "`settings` has no group data_options; known are encoder, obj"),
        ({"settings": {"objective": {"unit": 3}}}, SERIES, "`objective` has no setting unit; did you mean units?"),
        ({"settings": [1]}, SERIES, "`settings` is a list; give groups"),
        ({"recipe": "supervised", "settings": None}, SERIES, "supervised training needs labels"),
        ({}, SERIES[:1], "1 sample"),
        ({}, np.full((4, 8), np.nan), "contains NaN"),
        ({}, np.zeros((3, 1, 2, 2, 2, 2)), "X has 6 axes; give"),
    ],
)
def test_what_cannot_be_is_refused_by_fit(given: dict[str, Any], inputs: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DeepInfoMaxTransformer(**(SMALL | given)).fit(inputs)


def test_inputs_of_another_shape_are_refused_by_transform() -> None:
    model = DeepInfoMaxTransformer(**SMALL).fit(SERIES)
    with pytest.raises(ValueError, match="X has 1 features, but DeepInfoMaxTransformer is expecting 2"):
        model.transform(SERIES[:, :1])
    with pytest.raises(ValueError, match=r"inputs of shape \(2, 16\) do not fit an encoder that was fitted to \(2, 32"):
        model.transform(SERIES[:, :, :16])
    with pytest.raises(ValueError, match="unknown layer 'Z'"):
        model.set_params(layer="Z").transform(SERIES)


def test_a_recipe_that_scales_in_a_way_of_its_own_does_so_unless_told_otherwise() -> None:
    rows = np.random.default_rng(0).normal(3, 2, size=(32, 24)).astype(np.float32)
    small = {"epochs": 1, "dim": 4, "device": "cpu", "settings": {"objective": {"global_units": 16}}}
    model = DeepInfoMaxTransformer("global-jsd-paper-2019", **small).fit(rows)
    assert model.encoder_.scaling == "symmetric"
    assert model.encoder_.mean.item() == pytest.approx((float(rows.min()) + float(rows.max())) / 2)
    assert clone(model).set_params(scaling="standard").fit(rows).encoder_.scaling == "standard"


def test_a_scaling_is_that_of_the_encoder() -> None:
    counts = np.random.default_rng(0).poisson(3, size=(32, 24)).astype(np.float32) ** 4
    model = DeepInfoMaxTransformer(epochs=1, dim=4, scaling="log1p", device="cpu").fit(counts)
    torch.testing.assert_close(model.encoder_.mean[0], torch.from_numpy(counts).double().log1p().mean().float())
    assert pickle.loads(pickle.dumps(model)).encoder_.scaling == "log1p"
    with pytest.raises(ValueError, match="`scaling`: log is unknown; did you mean log1p"):
        clone(model).set_params(scaling="log").fit(counts)


@pytest.mark.usefixtures("unchecked")
def test_what_was_fitted_on_a_device_that_is_not_here_transforms_on_another(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = DeepInfoMaxTransformer(**SMALL).fit(SERIES)
    expected = fitted.transform(SERIES)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    moved = pickle.loads(pickle.dumps(fitted.set_params(device="cuda")))
    np.testing.assert_array_equal(moved.transform(SERIES), expected)
