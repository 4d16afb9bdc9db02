"""Tasks with known answers: the published truths, and Monte Carlo over each task's own log-density ratio."""

import math

import numpy as np
import pytest
from scipy import stats

from deep_infomax.mutual_information import DEPENDENCY_TASKS, TASKS
from deep_infomax.mutual_information.tasks import transforms

N = 20_000
PUBLISHED = {
    "normal-bivariate": 0.4133, "uniform-noise-0.1": 1.7094, "uniform-noise-0.75": 0.3333,
    "normal-sparse-2": 1.0217, "normal-sparse-25": 1.0217,
    "normal-dense-2": 0.2939, "normal-dense-3": 0.4133, "normal-dense-5": 0.5928, "normal-dense-25": 1.2922,
    "normal-dense-50": 1.6243,
    "student-1-1": 0.2242, "student-2-1": 0.4319, "student-2-2": 0.1931, "student-3-2": 0.2909,
    "student-3-3": 0.1787, "student-5-2": 0.4482, "student-5-3": 0.2985,
    "normal-correlated-20-2": 2, "normal-correlated-20-10": 10, "independent": 0,
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_truth_is_the_published_one(name):
    assert TASKS[name].truth == pytest.approx(PUBLISHED[name], abs=6e-5)


@pytest.mark.parametrize(
    ("name", "truth"), [("equicorrelated-64", 2.325), ("correlated-pairs-8", 4.087), ("correlated-pairs-32", 16.35)]
)
def test_total_correlation_is_the_published_one(name, truth):
    assert DEPENDENCY_TASKS[name].truth == pytest.approx(truth, rel=3e-4)


@pytest.mark.parametrize("name", TASKS | DEPENDENCY_TASKS)
def test_truth_is_the_mean_of_the_pointwise_log_ratio(name):
    task = (TASKS | DEPENDENCY_TASKS)[name]
    log_ratio = task.sample(N, seed=1)[-1]
    if task.truth == math.inf:
        assert (log_ratio == math.inf).all()
        return
    assert abs(log_ratio.mean() - task.truth) < max(4 * log_ratio.std() / math.sqrt(N), 1e-9)
    # E exp(-log ratio) = 1, where p(x) p(y) has no mass outside the support of p(x, y) and the mean a variance to use.
    if np.ptp(log_ratio) > 0 and log_ratio.std() < 1:
        inverse = np.exp(-log_ratio)
        assert inverse.mean() < 1 + 4 * inverse.std() / math.sqrt(N)


@pytest.mark.parametrize("name", TASKS)
def test_samples_are_finite_repeatable_and_as_long_as_asked(name):
    sample, again, other = (TASKS[name].sample(50, seed) for seed in (3, 3, 4))
    for part, same, different in zip(sample[:2], again[:2], other[:2], strict=True):
        assert part.ndim == 2
        assert len(part) == 50
        assert part.dtype.kind == "U" or np.isfinite(part).all()
        assert (part == same).all()
        assert (part != different).any()


@pytest.mark.parametrize(
    "name", ["product-of-signs", "double-angle", "crossed-normals", "symmetric-channel", "random-scale"]
)
def test_a_normal_model_finds_nothing_in_the_uncorrelated_tasks(name):
    x, y, _ = TASKS[name].sample(N, seed=2)
    ranks = np.concatenate([x, y], axis=1).argsort(axis=0).argsort(axis=0)
    scores = stats.norm.ppf((ranks + 0.5) / N)
    between = np.corrcoef(scores.T)[: x.shape[1], x.shape[1] :]
    found = -np.log1p(-(between**2)).sum() / 2
    assert found < 0.01
    assert TASKS[name].truth > 0.2


def test_truth_of_discrete_information_matches_the_plug_in_estimate():
    task = TASKS["symmetric-channel"]
    x, y, _ = task.sample(200_000, seed=0)
    joint = np.histogram2d(x[:, 0], y[:, 0], bins=np.arange(9) - 0.5)[0] / len(x)
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    assert (joint * np.log(joint / independent)).sum() == pytest.approx(task.truth, abs=0.005)


@pytest.mark.parametrize("name", ["normal_cdf", "half_cube", "wiggly", "bimodal"])
def test_coordinate_maps_increase(name):
    x = np.linspace(-6, 6, 5001)[:, None]
    assert (np.diff(getattr(transforms, name)(x), axis=0) > 0).all()


def test_bimodal_has_the_mixture_it_says():
    z = transforms.bimodal(np.random.default_rng(0).standard_normal((N, 1)))[:, 0]
    mixture = lambda q: (stats.norm.cdf(q, -2, 0.5) + stats.norm.cdf(q, 2, 0.5)) / 2  # noqa: E731
    assert stats.kstest(z, mixture).pvalue > 1e-3


def test_a_spiral_turns_one_plane_and_keeps_distances_from_the_origin():
    x = np.random.default_rng(0).standard_normal((100, 4))
    turned = transforms.spiral(x, (1, 2))
    np.testing.assert_allclose((turned**2).sum(1), (x**2).sum(1))
    np.testing.assert_array_equal(turned[:, [0, 3]], x[:, [0, 3]])
    back = turned.copy()
    angle = -(turned**2).sum(1) / 4
    back[:, 1] = np.cos(angle) * turned[:, 1] - np.sin(angle) * turned[:, 2]
    back[:, 2] = np.sin(angle) * turned[:, 1] + np.cos(angle) * turned[:, 2]
    np.testing.assert_allclose(back, x)
