"""What a critic of pairs reads of one variable."""

import numpy as np
import pytest

from deep_infomax.mutual_information.critics.variable import WAVES, fit_variable


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def inputs(reader, columns):
    return reader.inputs(columns, reader.columns.to_normal(columns))


def test_small_differences_of_columns_that_are_nearly_equal_are_inputs_of_unit_size():
    both, difference = draws(2, 500)
    columns = np.stack([both, both + 1e-3 * difference], axis=1)
    reader = fit_variable(columns, ranks=True, waves=False)
    read = inputs(reader, columns)
    assert read.shape == (500, 8)
    directions = read[:, reader.owners == -1][:, :2]
    np.testing.assert_allclose(np.cov(directions.T, bias=True), np.eye(2), atol=0.02)
    best = np.abs(np.corrcoef(directions.T, difference)[-1, :-1]).max()
    assert best > 0.99


def test_columns_that_differ_have_no_directions():
    reader = fit_variable(draws(500, 4), ranks=True, waves=False)
    assert reader.directions is None
    assert reader.owners.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


def test_a_column_twice_adds_no_direction_of_nothing():
    x = draws(500, 1)
    reader = fit_variable(np.concatenate([x, x], axis=1), ranks=True, waves=False)
    assert reader.directions.shape == (2, 1)
    assert np.isfinite(inputs(reader, np.concatenate([x, -x], axis=1))).all()


def test_waves_are_of_the_ranks():
    columns = draws(400, 2)
    reader = fit_variable(columns, ranks=True, waves=True)
    read = inputs(reader, columns)
    assert read.shape == (400, 4 + 4 * WAVES) == (400, len(reader.owners))
    share = (np.argsort(np.argsort(columns[:, 1])) + 0.5) / 400
    last = read[:, 4 + 2 * WAVES :]
    np.testing.assert_allclose(last[:, 2], np.sin(6 * np.pi * share), atol=1e-4)
    np.testing.assert_allclose(last[:, WAVES], np.cos(2 * np.pi * share), atol=1e-4)


@pytest.mark.parametrize("waves", [True, False])
def test_places_of_some_columns(waves):
    reader = fit_variable(draws(400, 3), ranks=True, waves=True)
    places = reader.places(np.array([False, True, False]), waves)
    assert (reader.owners[places] == 1).all()
    assert len(places) == 2 + 2 * WAVES * waves
    assert len(reader.places(None, waves)) == 6 + 6 * WAVES * waves
