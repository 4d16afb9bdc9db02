"""Total correlation: normal models, critics, and the three methods."""

import dataclasses
import json
import math
import os
import signal

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from torch import nn

from deep_infomax.mutual_information import DEPENDENCIES, DEPENDENCY_TASKS, Fitting, neural_dependency
from deep_infomax.mutual_information.critics.fitting import History, batches
from deep_infomax.mutual_information.critics.readouts import Readout
from deep_infomax.mutual_information.dependency import estimate as dependency
from deep_infomax.mutual_information.dependency import paper
from deep_infomax.mutual_information.dependency.combining import combined
from deep_infomax.mutual_information.dependency.correlations import conditionals, fit_correlations, normal_log_ratio
from deep_infomax.mutual_information.dependency.critics import JointCritic, MaskedCritic, Samples
from deep_infomax.mutual_information.dependency.densities import fit_normal, fit_others
from deep_infomax.mutual_information.dependency.departure import departure, p_value
from deep_infomax.mutual_information.dependency.folds import _read_joint, _read_term, _shuffled
from deep_infomax.mutual_information.dependency.one_dimension import log_spacings
from deep_infomax.mutual_information.dependency.paper import dim_dependency
from deep_infomax.mutual_information.dependency.reading import Fold
from deep_infomax.mutual_information.rows.structure import independent
from deep_infomax.mutual_information.samples.inputs import as_columns
from deep_infomax.mutual_information.tasks.joint import correlated_pairs, equicorrelated

QUICK = Fitting(steps=40)
HARDLY = Fitting(steps=2, checks=1)  # where nothing rests on what a network learns


def random_correlations(d, seed=0):
    factor = np.random.default_rng(seed).normal(size=(d, d + 2))
    covariance = factor @ factor.T
    scale = np.sqrt(np.diag(covariance))
    return covariance / np.outer(scale, scale)


def plain(z):
    """Samples whose coordinates are standard normal, and read as they are."""
    return Samples(z, z, torch.zeros_like(z))


def measure(z, method="auto", **options):
    return neural_dependency(z, method, progress=False, **{"fitting": QUICK} | options)


# The normal model


def test_normal_log_ratio_is_that_of_the_densities():
    task = equicorrelated("", 5, 0.3, 0.1)
    sample = task.sample(100, seed=0)
    matrix = np.full((5, 5), 0.3) + 0.7 * np.eye(5)
    np.testing.assert_allclose(normal_log_ratio(sample.z, matrix), sample.log_ratio, atol=1e-10)


def test_conditionals_chain_to_the_joint_log_ratio():
    d = 6
    matrix = random_correlations(d)
    z = np.random.default_rng(1).multivariate_normal(np.zeros(d), matrix, size=50)
    weights, variances = conditionals(matrix, np.arange(1, d), np.tri(d, k=-1, dtype=bool)[1:])
    own = z[:, 1:]
    ratios = (own**2 - (own - z @ weights.T) ** 2 / variances - np.log(variances)) / 2
    np.testing.assert_allclose(ratios.sum(1), normal_log_ratio(z, matrix), atol=1e-9)


@pytest.mark.parametrize("name", ["equicorrelated-64", "correlated-pairs-8", "correlated-pairs-32"])
def test_fitted_correlations_lose_little_on_new_samples(name):
    task = DEPENDENCY_TASKS[name]
    z, log_ratio = task.sample(9000, seed=0)
    matrix = fit_correlations(z[:6000], z[6000:7000])
    lost = log_ratio[7000:].mean() - normal_log_ratio(z[7000:], matrix).mean()
    assert 0 <= lost + 0.01 < 0.06  # the sample's own matrix loses 0.17 nats in 64 dimensions
    assert np.linalg.eigvalsh(matrix)[0] > 0


def test_repeated_coordinates_keep_a_regular_matrix():
    z = np.random.default_rng(0).normal(size=(300, 2))[:, [0, 0, 1]]
    assert np.linalg.eigvalsh(fit_correlations(z[:200], z[200:]))[0] > 0


# Critics


def test_critics_start_at_the_normal_model():
    d = 4
    matrix = random_correlations(d)
    z = np.random.default_rng(2).normal(size=(20, d))
    normal = torch.from_numpy(z).float()
    joint = JointCritic(d, matrix)(plain(normal))
    expected = normal_log_ratio(z, matrix) + np.linalg.slogdet(matrix)[1] / 2
    np.testing.assert_allclose(joint.detach().numpy(), expected, rtol=1e-4, atol=1e-4)


def masked_critic(d, matrix, trained):
    contexts = torch.from_numpy(np.tri(d, k=-1, dtype=bool)[1:])
    critic = MaskedCritic(torch.arange(d), torch.arange(1, d), contexts, matrix, hidden=8)
    if trained:
        torch.nn.init.normal_(critic.last.weight)
    return critic


@torch.no_grad()
def test_masked_critic_reads_its_context_and_nothing_else():
    torch.manual_seed(0)
    critic = masked_critic(5, random_correlations(5), trained=True)
    z, others = torch.randn(1, 5), torch.randn(1, 3, 5)
    term = torch.tensor([2])  # coordinate 3 given 0, 1, 2
    before = critic(term, plain(z), plain(others))
    z[:, 3:], others[..., [0, 1, 2, 4]] = 9.0, 9.0
    assert torch.equal(critic(term, plain(z), plain(others)), before)
    z[:, 1] = 9.0
    assert not torch.equal(critic(term, plain(z), plain(others)), before)


@torch.no_grad()
def test_rotations_are_scores_of_the_samples_further_on():
    torch.manual_seed(1)
    critic = masked_critic(4, random_correlations(4), trained=True)
    z = torch.randn(6, 4)
    rotated = critic.rotated(1, plain(z), [0, 2, 5])
    for i in range(6):
        others = z[[i, (i + 2) % 6, (i + 5) % 6]][None]
        expected = critic(torch.tensor([1]), plain(z[[i]]), plain(others))
        torch.testing.assert_close(rotated[[i]], expected)


# Readouts with a perfect critic


def perfect_reading(pairs, n, seed, chain):
    samples = plain(torch.from_numpy(correlated_pairs("", pairs, 0.8, 0.1).sample(n, seed).z).float())
    d = 2 * pairs
    matrix = np.kron(np.eye(pairs), [[1, 0.8], [0.8, 1]])
    if not chain:
        return _read_joint(JointCritic(d, matrix), samples, torch.arange(d))
    critic = masked_critic(d, matrix, trained=False)
    return [_read_term(critic, term, samples)[0] for term in range(d - 1)]


def test_a_perfect_critic_reads_the_truth_jointly():
    torch.manual_seed(0)
    readings = [perfect_reading(2, 500, seed, chain=False)[0] for seed in range(30)]
    values = np.array([r.value for r in readings])
    assert values.mean() == pytest.approx(-2 * math.log(0.6), abs=4 * values.std() / math.sqrt(30))
    errors = [float(r.influence.std()) / math.sqrt(500) for r in readings]
    assert np.mean(errors) == pytest.approx(values.std(ddof=1), rel=0.4)
    assert all(abs(float(r.influence.mean())) < 1e-5 for r in readings)


def test_a_perfect_critic_reads_the_truth_by_the_chain_where_one_shuffle_does_not():
    truth = -32 * math.log(0.6)
    torch.manual_seed(0)
    assert perfect_reading(32, 500, 0, chain=False)[1] > truth + 2
    assert sum(r.value for r in perfect_reading(32, 500, 0, chain=True)) == pytest.approx(truth, abs=0.4)


# The whole


@pytest.mark.parametrize("method", ["joint", "chain"])
def test_independent_coordinates(method):
    r = measure(np.random.default_rng(0).random((600, 3)), method)
    assert r.total_correlation == pytest.approx(0, abs=0.02)
    assert r.interval[0] < 0 < r.interval[1]
    assert (r.method, r.reason) == (method, "as asked for")


@pytest.mark.parametrize("method", ["joint", "chain"])
def test_normal_coordinates_and_which_of_them_depend(method):
    z = np.random.default_rng(1).normal(size=(1000, 4))
    z[:, 2] = 0.8 * z[:, 0] + 0.6 * z[:, 2]
    r = measure(np.exp(z), method)  # ranks undo it
    truth = -math.log(0.6)
    assert r.interval[0] < truth < r.interval[1]
    assert r.per_factor == pytest.approx([truth, 0, truth, 0], abs=0.1)
    assert (r.per_factor_errors > 0).all()


def test_dependence_without_correlation_is_found():
    rng = np.random.default_rng(2)
    z = rng.normal(size=(800, 3))
    z[:, 2] *= np.exp(z[:, 0])
    r = measure(z, "joint", folds=2, fitting=Fitting(steps=60))
    assert r.readouts["gaussian"] == pytest.approx(0, abs=0.02)
    assert r.total_correlation > 0.2
    assert r.per_factor[1] < 0.1 < min(r.per_factor[[0, 2]])


def test_auto_takes_the_chain_for_large_dependencies_and_says_why():
    z = correlated_pairs("", 16, 0.8, 0.1).sample(400, 0).z
    r = measure(z, folds=2, fitting=HARDLY)
    assert r.method == "chain"
    assert "the normal model reads" in r.reason
    assert r.reason in str(r)
    small = measure(z[:, :2], folds=2, fitting=HARDLY)
    assert small.method == "joint"
    assert "a density without a network reads 0.5 nats" in small.reason
    wide = measure(np.random.default_rng(0).normal(size=(400, 33)), folds=2, fitting=HARDLY)
    assert wide.method == "chain"
    assert "33 coordinates" in wide.reason


def test_repeated_coordinates_are_said_to_determine_each_other():
    z = np.random.default_rng(3).normal(size=(600, 2))[:, [0, 1, 0]]
    r = measure(z, folds=2)
    assert r.interval[1] == math.inf
    assert any("a function of the others" in warning for warning in r.warnings)


def test_functions_among_coordinates_leave_the_interval_open():
    z = np.random.default_rng(3).normal(size=(600, 2))
    squared = np.concatenate([z, z[:, :1] ** 2], axis=1)
    assert measure(squared, folds=2, fitting=HARDLY).interval[1] == math.inf
    assert measure(z, folds=2, fitting=HARDLY).interval[1] < math.inf


def fold(value=1.0, *, by_network=True, size=1e4, latents=None, n=200, **changed):
    """What a fold says that reads so many nats in three coordinates, with a deviation of 1 among its samples."""
    influence = torch.from_numpy(np.random.default_rng(0).normal(size=n))
    readout = Readout(value, influence)
    fields = {
        "method": "joint", "reason": "", "total": readout, "fitted": value, "validated": value, "normal": readout,
        "readouts": {"gaussian": value, "density": value}, "per_factor": (readout,) * 3, "dual": readout,
        "by_network": by_network,
        "departure": departure(np.random.default_rng(1).normal(size=(500, 3)) if latents is None else latents),
        "disagreement": None, "held_out": n, "read": np.arange(n), "effective_sample_size": size, "late": 0.0,
        "history": History((), (), True), "determined": False,
    }  # fmt: skip
    return Fold(**fields | changed)


def combine(*folds, d=3, rows=None):
    read = as_columns(np.random.default_rng(0).normal(size=(1000, d)), "z")
    per_factor = (folds[0].total,) * d
    folds = [dataclasses.replace(one, per_factor=per_factor) for one in folds]
    return combined(folds, read, rows or independent(1000), 0.95, (), 0.0, True)


def test_folds_that_disagree_widen_the_interval():
    close, apart = combine(*[fold()] * 5), combine(*(fold(value) for value in (1.68, 0.83, 1.69, 1.42, 1.6)))
    assert close.standard_error == pytest.approx(1 / math.sqrt(1000), rel=0.15)
    assert apart.standard_error == pytest.approx(np.std([1.68, 0.83, 1.69, 1.42, 1.6], ddof=1) / math.sqrt(5))
    assert np.ptp(apart.interval) > 2 * 1.96 * 0.16


def test_a_mean_that_rests_on_few_shuffles_leaves_the_interval_open():
    r = combine(*[fold(9.0, size=20.0, normal=Readout(3.0, torch.zeros(200)))] * 2)
    assert any("the exponential mean rests on" in warning for warning in r.warnings)
    assert r.interval == (3.0, math.inf)


def test_dependence_that_was_not_learnt_leaves_the_interval_open():
    dependent = np.random.default_rng(1).normal(size=(500, 3))
    dependent[:, 1] *= np.exp(dependent[:, 0])
    r = combine(*[fold(0.0, by_network=False, latents=dependent)] * 2)
    assert r.interval[1] == math.inf
    assert "in a way that was not learnt (in 2 of 2 folds" in r.warnings[0]
    assert combine(*[fold(0.0, by_network=False)] * 2).interval[1] < 0.2


@pytest.mark.parametrize(("d", "n", "opens", "said"), [(3, 200, 0, 0), (30, 1000, 1, 1), (64, 10**4, 0, 1)])
def test_a_network_that_adds_nothing_to_many_coordinates_is_believed_with_many_samples_of_each(d, n, opens, said):
    r = combine(*[fold(0.0, by_network=False)] * 2, d=d, rows=independent(n))
    assert math.isinf(r.interval[1]) == opens
    assert any("the network adds nothing" in warning for warning in r.warnings) == said


def test_many_coordinates_with_more_than_correlations_leave_the_interval_open():
    beyond = fold(0.5, by_network=False, readouts={"gaussian": 0.1, "density": 0.5})
    r = combine(*[beyond] * 2, d=64, rows=independent(10**4))
    assert r.interval[1] == math.inf
    assert "beyond correlations" in r.warnings[-1]


def test_joint_and_chain_that_disagree_are_named():
    zero = torch.linspace(-1, 1, 200)
    one = fold(disagreement=(Readout(2.0, zero), Readout(1.0, zero)))
    assert any("joint (2.000) and chain (1.000) disagree" in warning for warning in combine(one, fold()).warnings)


def test_folds_far_below_most_are_found():
    assert dependency._far_below([1.0, 1.02, 0.3, 0.98, 1.01]) == [2]
    assert dependency._far_below([0.0, 0.01, -0.01, 0.02, 0.0]) == []


def test_trainings_that_fall_below_their_start_are_repeated_and_named():
    fallen = fold(history=History((0, 1, 2), (0.3, 0.4, -1.5), True))
    assert dependency._to_repeat([fold(), fallen, fold()]) == [1]
    assert any("more than a nat below its start in 1 of 2 folds" in w for w in combine(fallen, fold()).warnings)


def test_too_few_groups_have_no_interval_and_copies_share_a_fold():
    z = np.random.default_rng(9).normal(size=(200, 3))
    few = measure(np.repeat(z[:12], 25, axis=0), groups=np.repeat(np.arange(12), 25), folds=2)
    assert few.interval is None
    assert "no interval" in str(few)
    copies = measure(np.repeat(z, 3, axis=0), folds=2)
    assert copies.interval[0] < 0.02
    assert copies.warnings


# Densities without a network


@pytest.mark.parametrize(
    ("name", "n"),
    [
        ("narrow-8-400", 1000), ("sensors-normal-6", 1000), ("sensors-uniform-4", 1000), ("mixture-laplace-10", 2000),
        ("common-scale-5", 1000),
    ],
)  # fmt: skip
def test_densities_read_what_ranks_hide(name, n):
    task = DEPENDENCY_TASKS[name]
    z, log_ratio = task.sample(n, 0)
    r = measure(z, folds=2)
    assert r.interval[0] < task.truth < r.interval[1]
    assert r.total_correlation == pytest.approx(log_ratio.mean(), abs=0.1 + 0.1 * task.truth)


def test_dual_total_correlation_of_normal_coordinates():
    matrix = random_correlations(4, seed=3)
    z = np.random.default_rng(3).multivariate_normal(np.zeros(4), matrix, size=1000)
    r = measure(z, folds=2)
    # I(z_i; others) = log((R^-1)_ii) / 2, and the total correlation is -log det R / 2
    truth = np.log(np.diag(np.linalg.inv(matrix))).sum() / 2 + np.linalg.slogdet(matrix)[1] / 2
    assert r.dual_total_correlation == pytest.approx(truth, abs=3 * r.dual_error + 0.01)
    assert r.in_unit("bits").dual_total_correlation == pytest.approx(r.dual_total_correlation / math.log(2))


def test_dual_total_correlation_of_the_parity_of_bits():
    bits = np.array(list(np.ndindex(2, 2, 2)))
    even = bits[bits.sum(1) % 2 == 0]
    given = [len({tuple(np.delete(row, i)) for row in even}) for i in range(3)]  # each tells the third
    truth = sum(math.log(2) + math.log(count) - math.log(len(even)) for count in given) - math.log(2)
    assert truth == pytest.approx(2 * math.log(2))
    z = even[np.random.default_rng(1).integers(4, size=400)]
    r = measure(z, "joint", folds=2, fitting=Fitting(steps=60))
    assert r.total_correlation == pytest.approx(math.log(2), abs=0.05)
    assert r.dual_total_correlation == pytest.approx(truth, abs=0.15)


@pytest.mark.parametrize("name", ["sources", "scale"])
def test_densities_and_their_conditionals_are_normalised(name):
    rng = np.random.default_rng(0)
    u = (
        rng.laplace(size=(600, 2)) @ np.array([[1, 0.6], [0.2, 1]])
        if name == "sources"
        else rng.standard_t(5, (600, 2))
    )
    u = (u - u.mean(0)) / u.std(0)
    density = fit_others(u[:400], u[400:], fit_normal(u[:400], u[400:]))[name == "scale"]
    axis = np.linspace(-12, 12, 600)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    mass = np.exp(density.log_density(grid.reshape(-1, 2))).reshape(600, 600)
    assert mass.sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=0.03)
    given = np.exp(density.log_conditionals(grid[300, 250:350]))[:, 1]  # of the second, the first being near 0
    np.testing.assert_allclose(given, mass[300, 250:350] / trapezoid(mass[300], axis), rtol=0.1)


@pytest.mark.parametrize("draw", ["normal", "uniform", "exponential", "standard_cauchy"])
def test_spacings_give_the_entropy(draw):
    column = getattr(np.random.default_rng(0), draw)(size=5000)
    truth = {"normal": 1.4189, "uniform": 0.0, "exponential": 1.0, "standard_cauchy": math.log(4 * math.pi)}[draw]
    assert -log_spacings(column).mean() == pytest.approx(truth, abs=0.04)


def test_a_test_of_independence_keeps_its_level_and_sees_pairs_triples_and_more():
    rng = np.random.default_rng(0)
    p_values = [p_value([departure(rng.normal(size=(200, 3)))]) for _ in range(100)]
    assert np.mean(np.array(p_values) < 0.05) < 0.12
    wave = rng.normal(size=(500, 3))
    wave[:, 1] = np.sin(6 * wave[:, 0]) + 0.3 * wave[:, 1]
    triple = DEPENDENCY_TASKS["signs-of-triples-6"].sample(500, 0).z
    parity = DEPENDENCY_TASKS["parity-5"].sample(500, 0).z
    assert max(p_value([departure(z)]) for z in (wave, triple, parity)) < 1e-4


def test_a_coordinate_that_is_constant_in_all_folds_but_one():
    z = np.random.default_rng(4).normal(size=(300, 3))
    z[:, 1] = 0
    z[7, 1] = 1
    r = measure(z, folds=2)
    assert np.isfinite(r.per_factor).all()
    assert r.interval[0] < 0.01


@pytest.mark.parametrize(("n", "d"), [(2, 2), (50, 2), (50, 50), (5, 7)])
def test_no_shuffled_sample_has_two_values_of_one_sample(n, d):
    samples = Samples(torch.randn(n, d), torch.randn(n, d), torch.randn(n, d))
    shuffled, places = _shuffled(samples, torch.arange(d))
    assert torch.equal(places.sort(0).values, torch.arange(n)[:, None].expand(n, d))
    assert torch.equal(shuffled.normal, samples.normal.gather(0, places))
    assert all(len(set(row)) == min(n, d) for row in places.tolist())


def test_constant_and_discrete_coordinates():
    z = np.random.default_rng(4).integers(3, size=(300, 3))
    z[:, 1] = 7
    r = measure(z, folds=2, fitting=HARDLY)
    assert r.per_factor[1] == 0
    assert any("constant columns are left out (1: 1)" in warning for warning in r.warnings)


def test_the_paper_s_protocol(monkeypatch):
    monkeypatch.setattr("deep_infomax.mutual_information.dependency.estimate.EPOCHS", 3)
    r = measure(np.random.default_rng(5).random((300, 2)), "dim")
    assert r.interval is None
    assert r.per_factor is None
    assert "one shuffle: no interval" in r.warnings[-1]
    assert "no interval" in str(r)
    json.dumps(r.to_json(), allow_nan=False)


def test_the_paper_s_protocol_is_the_plain_training_that_it_says(monkeypatch):
    monkeypatch.setattr(paper, "BATCH", 100)
    z = np.random.default_rng(0).normal(size=(250, 4)) @ np.linalg.cholesky(random_correlations(4)).T
    value, _ = dim_dependency(
        z, seed=3, epochs=8, device=torch.device("cpu"), progress=lambda *_: None, stop=lambda: False
    )
    samples = torch.from_numpy(z).float()
    torch.manual_seed(3)
    layers = [nn.Linear(4, 1000), nn.Linear(1000, 200), nn.Linear(200, 1)]
    parameters = [p for layer in layers for p in layer.parameters()]
    moments = [[torch.zeros_like(p), torch.zeros_like(p)] for p in parameters]
    order = batches(250, 100, torch.default_generator)

    def shuffled(rows):
        places = torch.rand(rows.shape).argsort(0)
        return torch.stack([column[places[:, i]] for i, column in enumerate(rows.T)], dim=1)

    def score(rows):
        first, second, last = layers
        return last(second(first(rows).clamp(min=0)).clamp(min=0))[:, 0]

    def read():
        with torch.no_grad():
            return (score(samples).mean() - score(shuffled(samples)).exp().mean().log()).item()

    step = 0
    for epoch in range(8):
        read()  # as the course, which draws from the same numbers
        for _ in range(2):
            step += 1
            rows = samples[next(order)]
            loss = -(score(rows).mean() - (score(shuffled(rows)) - 1).exp().mean())
            rate = 1e-4 * (1 if epoch < 4 else 0.1 if epoch < 6 else 0.01)
            for p, gradient, moment in zip(parameters, torch.autograd.grad(loss, parameters), moments, strict=True):
                moment[0] = 0.5 * moment[0] + 0.5 * gradient
                moment[1] = 0.999 * moment[1] + 0.001 * gradient**2
                p.data -= rate * moment[0] / (1 - 0.5**step) / ((moment[1] / (1 - 0.999**step)).sqrt() + 1e-8)
    assert value == pytest.approx(read(), abs=1e-5)


def test_the_paper_s_protocol_ends_with_its_time():
    r = measure(np.random.default_rng(5).random((300, 2)), "dim", time_budget=1e-3)
    assert r.finished
    assert not r.history[0].complete
    assert any(warning.startswith("the training ended after ") for warning in r.warnings)


def test_the_paper_s_protocol_says_that_its_last_step_was_not_finite(monkeypatch):
    def objective(joint, shuffled):
        return joint.mean() - shuffled.mean() + math.nan

    monkeypatch.setattr("deep_infomax.mutual_information.dependency.estimate.EPOCHS", 1)
    monkeypatch.setattr("deep_infomax.mutual_information.dependency.paper._objective", objective)
    r = measure(np.random.default_rng(5).random((300, 2)), "dim")
    assert not r.history[0].complete
    assert "after 0 of 1 epochs" in r.warnings[-2]


def test_result_as_text_json_and_figure(tmp_path):
    r = measure(np.random.default_rng(6).normal(size=(300, 12)), "chain", folds=2)
    content = json.loads(json.dumps(r.to_json(), allow_nan=False))
    assert {"total_correlation", "interval", "method", "per_factor", "warnings", "seconds"} <= set(content)
    assert len(content["per_factor"]) == 12
    assert "2 others" in str(r)
    r.plot().savefig(tmp_path / "figure.png")


def test_equal_seeds_give_equal_results_and_leave_random_states_alone():
    z = np.random.default_rng(7).normal(size=(300, 3))
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, second = (measure(z, "joint", folds=2, seed=4) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.total_correlation == second.total_correlation
    assert (first.per_factor == second.per_factor).all()
    assert measure(z, "joint", folds=2, seed=5).total_correlation != first.total_correlation


def test_an_interrupt_returns_what_is_known():
    def interrupt(task, done, total):
        if done >= total // 4:
            os.kill(os.getpid(), signal.SIGINT)

    z = np.random.default_rng(8).normal(size=(600, 3))
    r = neural_dependency(z, "joint", folds=3, progress=interrupt, fitting=QUICK)
    assert not r.finished
    assert 1 <= len(r.folds) < 3
    assert "UNFINISHED" in str(r)


@pytest.mark.parametrize(
    ("z", "options", "sentence"),
    [
        (np.zeros((100, 1)), {}, "`z` is constant"),
        (np.random.default_rng(0).normal(size=100), {}, "`z` has one coordinate that varies; a dependency needs two"),
        (np.random.default_rng(0).normal(size=(100, 2)), {"method": "max"}, "`method`: max is unknown"),
        (np.random.default_rng(0).normal(size=(100, 2)), {"folds": 1}, "`folds` is 1; give 2 to 10"),
        (np.random.default_rng(0).normal(size=(9, 2)), {}, "`z` has 9 samples"),
        (np.full((100, 2), np.nan), {}, "`z` holds nan in row 0"),
    ],
)
def test_wrong_input_is_one_sentence(z, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        neural_dependency(z, progress=False, **options)


def test_the_methods_are_documented():
    assert all(f"``{method}``" in dependency.__doc__ + neural_dependency.__doc__ for method in DEPENDENCIES)
