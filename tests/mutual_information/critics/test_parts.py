"""What estimators of mutual information are built of: ranks, the normal log-ratio, nearest neighbours."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_regression

from deep_infomax.mutual_information import TASKS
from deep_infomax.mutual_information.critics.critics import PairCritic, ZeroCritic
from deep_infomax.mutual_information.critics.fitting import Fitting
from deep_infomax.mutual_information.critics.gaussian import fit_normal_ratio
from deep_infomax.mutual_information.critics.pairing import fit_column_pairing
from deep_infomax.mutual_information.critics.ranks import rank_gaussianiser
from deep_infomax.mutual_information.critics.trials import trials_of
from deep_infomax.mutual_information.critics.variable import WAVES
from deep_infomax.mutual_information.facts import functions_of, has_function, has_function_within
from deep_infomax.mutual_information.ksg import ksg_pointwise


def test_ranks_become_standard_normal_and_keep_their_order():
    x = np.random.default_rng(0).standard_cauchy((5000, 2))
    z = rank_gaussianiser(x)(x)
    assert stats.kstest(z[:, 0], "norm").pvalue > 0.99
    assert (np.argsort(z, axis=0) == np.argsort(x, axis=0)).all()


def test_equal_values_share_a_rank():
    z = rank_gaussianiser(np.array([[0.0], [0.0], [1.0], [1.0]]))(np.array([[0.0], [1.0]]))
    assert z.ravel() == pytest.approx(stats.norm.ppf([0.25, 0.75]))


def test_normal_ratio_is_the_ratio_of_the_densities():
    rng = np.random.default_rng(1)
    mix = rng.normal(size=(5, 5))
    z = rng.normal(size=(4000, 5)) @ mix.T
    x, y = z[:, :3], z[:, 3:]
    ratio = fit_normal_ratio(x, y)
    covariance, mean = np.cov(z.T, bias=True), z.mean(axis=0)
    parts = ((z, slice(None)), (x, slice(3)), (y, slice(3, None)))
    joint, px, py = (stats.multivariate_normal(mean[s], covariance[s, s]).logpdf(part) for part, s in parts)
    np.testing.assert_allclose(ratio.pointwise(x, y), joint - px - py, atol=1e-6)
    rows_x, rows_y = ratio.factors(x[:50], y[:50])
    np.testing.assert_allclose(np.diag(rows_x @ rows_y.T), ratio.pointwise(x[:50], y[:50]), atol=1e-8)
    assert rows_x[2] @ rows_y[1] == pytest.approx(ratio.pointwise(x[2:3], y[1:2])[0])


def test_validation_keeps_the_true_correlations_only():
    sample = TASKS["normal-sparse-25"].sample(8000, seed=0)
    x, y = sample.x, sample.y
    ratio = fit_normal_ratio(x[:7000], y[:7000], (x[7000:], y[7000:]))
    assert len(ratio.correlations) == 2
    assert ratio.correlations == pytest.approx([0.8, 0.8], abs=0.03)


def test_identical_variables_give_a_finite_ratio():
    x = np.random.default_rng(2).normal(size=(300, 2))
    rows_x, rows_y = fit_normal_ratio(x, x).factors(x, x)
    assert np.isfinite(rows_x @ rows_y.T).all()


def test_neighbours_agree_with_a_plain_loop():
    rng = np.random.default_rng(3)
    x, y, k = rng.normal(size=(60, 2)), rng.normal(size=(60, 3)), 4
    x[:, 0] += y[:, 0]
    expected = []
    for i in range(60):
        dx, dy = (np.abs(z - z[i]).max(axis=1) for z in (x, y))
        radius = np.sort(np.maximum(dx, dy))[k]
        expected.append(digamma(k) + digamma(60) - digamma((dx < radius).sum()) - digamma((dy < radius).sum()))
    np.testing.assert_allclose(ksg_pointwise(x, y, k), expected)


def test_neighbours_agree_with_scikit_learn_in_one_dimension():
    x, y, _ = TASKS["normal-bivariate"].sample(3000, seed=4)
    theirs = mutual_info_regression(x / x.std(), y.ravel() / y.std(), n_neighbors=3, random_state=0)[0]
    assert ksg_pointwise(x / x.std(), y / y.std(), 3).mean() == pytest.approx(theirs, abs=2e-3)


@pytest.mark.parametrize("name", ["normal-bivariate", "normal-dense-3", "crossed-normals", "independent"])
def test_neighbours_find_the_truth(name):
    x, y, _ = TASKS[name].sample(5000, seed=5)
    assert ksg_pointwise(x, y).mean() == pytest.approx(TASKS[name].truth, abs=0.05)


def test_too_few_pairs_for_neighbours():
    with pytest.raises(ValueError, match="3 pairs have no 3 neighbours each"):
        ksg_pointwise(np.zeros((3, 1)), np.zeros((3, 1)))


@pytest.mark.parametrize("n", [200, 3000])
def test_functions_are_told_from_noise(n):
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, n, 1))
    walk = rng.normal(size=(n, 1)).cumsum(axis=0)
    assert functions_of(x, np.concatenate([x**2, np.sin(3 * x), np.exp(x), x], axis=1)).all()
    assert not functions_of(x, np.concatenate([noise, x + 0.3 * noise, np.sign(x), x.round()], axis=1)).any()
    assert not functions_of(np.arange(n, dtype=float)[:, None], walk).any()
    assert not functions_of(np.sign(x), x).any()


def test_functions_of_several_inputs():
    x = np.random.default_rng(0).normal(size=(2000, 4))
    product = x[:, [0]] * x[:, [1]]
    assert has_function(x[:, :2], product)
    assert not has_function(x[:, [0]], product)
    assert not has_function(x[:, :3], x[:, 3:])
    assert has_function_within(np.concatenate([x[:, :2], product], axis=1))
    assert has_function_within(np.concatenate([x, np.abs(x[:, [2]])], axis=1))
    assert not has_function_within(x)


def test_functions_are_not_looked_for_in_few_samples_or_many_coordinates():
    x = np.random.default_rng(0).normal(size=(300, 99))
    assert has_function(x, x[:, :1])
    assert not has_function(x[:199], x[:199, :1])
    assert not has_function(x, x[:, :2])


def test_refitted_normal_model_keeps_the_number_of_correlations():
    x, y, _ = TASKS["normal-sparse-5"].sample(2000, seed=0)
    pairing = fit_column_pairing(x[:500], y[:500], (x[500:1000], y[500:1000]), ranks=True)
    again = pairing.refitted(x, y)
    assert len(again.normal.ratio.correlations) == len(pairing.normal.ratio.correlations) < 5
    new = again(x, y)
    # all correlations of the same 2,000 pairs, the smallest of which are left out
    whole = fit_normal_ratio(pairing.normal.to_x(x), pairing.normal.to_y(y)).correlations
    kept = again.normal.ratio.correlations
    np.testing.assert_allclose(kept, whole[: len(kept)])
    torch.testing.assert_close(new.x, pairing(x, y).x)


def test_a_critic_that_was_dropped_scores_what_a_new_network_does():
    x, y, partners = torch.randn(6, 2), torch.randn(6, 3), torch.tensor([[0, 4]] * 6)
    new, dropped = PairCritic(2, 3, separable=4), ZeroCritic()
    assert torch.equal(dropped(x, y), new(x, y))
    assert torch.equal(dropped.chosen(x, y, partners), new.chosen(x, y, partners))


def rotated(n, condition, seed=0):
    """Ten normal coordinates of each of x and y, turned so that small directions lie across the columns; 3 nats."""
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=(2, n, 10))
    r = np.sqrt(1 - np.exp(-2 * 3.0 / 10))
    v = r * u + np.sqrt(1 - r**2) * v
    turns = [np.linalg.qr(np.random.default_rng(part).normal(size=(10, 10)))[0] for part in (1, 2)]
    scales = np.geomspace(1, np.sqrt(condition), 10)
    return [z * scales @ turn for z, turn in zip((u, v), turns, strict=True)]


def test_validation_chooses_standardised_columns_where_ranks_lose_small_directions():
    x, y = rotated(1500, 400)
    pairing = fit_column_pairing(x[:1200], y[:1200], (x[1200:], y[1200:]), ranks=True)
    alone = fit_normal_ratio(x[:1200], y[:1200])
    np.testing.assert_allclose(
        pairing.normal.ratio.correlations, alone.correlations[: len(pairing.normal.ratio.correlations)], atol=1e-6
    )
    assert pairing.baseline is pairing.normal


def test_validation_chooses_ranks_where_columns_are_bent():
    x, y = rotated(1500, 1)
    x, y = np.sinh(2 * x), np.sinh(2 * y)
    pairing = fit_column_pairing(x[:1200], y[:1200], (x[1200:], y[1200:]), ranks=True)
    assert pairing.normal.to_x is pairing.x.columns.to_normal


def test_a_network_of_some_columns_is_tried_before_one_of_all():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 1500, 12))
    y[:, 5] += x[:, 2] ** 2
    pairing = fit_column_pairing(x[:1200], y[:1200], (x[1200:], y[1200:]), ranks=True)
    few, waves, everything = trials_of(pairing, 1200, Fitting())
    assert [len(trial.network.places_x) for trial in (few, waves)] == [2, 2 + 2 * WAVES]
    assert np.unique(pairing.x.owners[few.network.places_x]).tolist() == [2]
    assert np.unique(pairing.y.owners[few.network.places_y]).tolist() == [5]
    assert (few.rate, everything.rate) == (1.0, 0.1)
    assert len(everything.network.places_x) == 24
    assert len(trials_of(pairing, 1000, Fitting())) == 2
    independent = fit_column_pairing(x[:1200], x[300:], (x[1200:], y[1200:]), ranks=True)
    assert independent.few is None
