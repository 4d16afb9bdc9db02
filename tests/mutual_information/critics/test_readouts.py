"""Readouts of mutual information and their errors, critics, and how critics are trained."""

import itertools
import math
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from deep_infomax.bounds import BOUNDS, donsker_varadhan, info_nce_bound, nwj
from deep_infomax.contracts import Scores
from deep_infomax.mutual_information import Fitting
from deep_infomax.mutual_information.critics.critics import AllPairs, PairCritic
from deep_infomax.mutual_information.critics.fitting import (
    LOSSES,
    AdamW,
    History,
    Watch,
    batches,
    fit_critic,
    moving_donsker_varadhan,
)
from deep_infomax.mutual_information.critics.readouts import (
    effective_sample_size,
    log_mean,
    read_out,
)
from deep_infomax.mutual_information.critics.scoring import derangements
from deep_infomax.negatives import all_pairs

NAMES = ["dv", "nwj", "infonce", "smile"]


def normal_scores(n, rho=0.6):
    """True log-ratios of every x with every y, bivariate normal."""
    x, noise = torch.randn(2, n)
    y = rho * x + math.sqrt(1 - rho**2) * noise
    x = x[:, None]
    return -math.log(1 - rho**2) / 2 + (2 * rho * x * y - rho**2 * (x**2 + y**2)) / (2 * (1 - rho**2))


# Readouts


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_readouts_are_the_bounds_on_all_pairs(scale):
    scores, c = scale * torch.randn(30, 30), 0.7
    readouts = read_out(scores, c)
    pairs = all_pairs(scores[..., None].double())
    assert readouts["dv"].value == pytest.approx(donsker_varadhan(pairs).item(), rel=1e-5)
    assert readouts["nwj"].value == pytest.approx(nwj(Scores(*(t - c + 1 for t in pairs))).item(), rel=1e-5)
    assert readouts["infonce"].value == pytest.approx(info_nce_bound(pairs).item(), rel=1e-5)


def test_smile_is_the_plain_loop():
    scores = (4 * torch.randn(8, 8)).tolist()
    others = [math.exp(max(-5.0, min(5.0, scores[i][j]))) for i, j in itertools.permutations(range(8), 2)]
    expected = sum(scores[i][i] for i in range(8)) / 8 - math.log(sum(others) / len(others))
    assert read_out(torch.tensor(scores), 0.0)["smile"].value == pytest.approx(expected, rel=1e-5)


def test_log_mean_is_the_plain_loop():
    scores = torch.randn(6, 6)
    others = [scores[i, j].exp().item() for i, j in itertools.permutations(range(6), 2)]
    assert log_mean(scores) == pytest.approx(math.log(sum(others) / 30), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_influences_agree_with_leaving_one_pair_out(name):
    n, scores = 120, normal_scores(120)
    influence = read_out(scores, 0.0)[name].influence
    assert influence.mean().item() == pytest.approx(0, abs=1e-5)
    kept = [torch.arange(n) != i for i in range(n)]
    without = torch.tensor([read_out(scores[k][:, k], 0.0)[name].value for k in kept])
    jackknife = (n - 1) * (without.mean() - without)
    assert (jackknife - influence).std() < 0.03 * influence.std()


def test_standard_errors_are_the_spread_over_replications():
    n, replications = 200, 300
    runs = [read_out(normal_scores(n), 0.0) for _ in range(replications)]
    for name in NAMES:
        spread = torch.tensor([run[name].value for run in runs]).std()
        error = torch.stack([run[name].influence.std() for run in runs]).mean() / math.sqrt(n)
        assert error.item() == pytest.approx(spread.item(), rel=0.15), name


@pytest.mark.parametrize("name", ["dv", "nwj", "infonce"])
def test_true_log_ratio_reads_the_information(name):
    values = [read_out(normal_scores(400), 0.0)[name].value for _ in range(40)]
    assert np.mean(values) == pytest.approx(-math.log(1 - 0.6**2) / 2, abs=0.015)


@pytest.mark.parametrize("name", NAMES)
def test_order_of_the_pairs_is_irrelevant(name):
    scores, order = normal_scores(50), torch.randperm(50)
    value, influence = read_out(scores, 0.1)[name]
    permuted_value, permuted_influence = read_out(scores[order][:, order], 0.1)[name]
    assert permuted_value == pytest.approx(value, abs=1e-5)
    torch.testing.assert_close(permuted_influence, influence[order], atol=1e-5, rtol=1e-5)


def test_shifts_of_the_scores():
    scores = normal_scores(50)
    plain, shifted = read_out(scores, 0.0), read_out(scores + 3, 3.0)
    for name in ("dv", "nwj", "infonce"):
        assert shifted[name].value == pytest.approx(plain[name].value, abs=1e-5)
    for_each_x = read_out(scores + torch.randn(50, 1), 0.0)
    assert for_each_x["infonce"].value == pytest.approx(plain["infonce"].value, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("sign", [-1, 1])
def test_extreme_scores_stay_finite(dtype, sign):
    scores = sign * 1e4 * (2 * torch.eye(20) - 1)
    for extreme in (scores, 1e4 * torch.randn(20, 20).sign()):
        extreme = extreme.to(dtype)
        for readout in read_out(extreme, log_mean(extreme)).values():
            assert math.isfinite(readout.value)
            assert readout.influence.dtype == torch.float32
            assert readout.influence.isfinite().all()
        assert 1 <= effective_sample_size(extreme) <= 380


def test_nan_in_nan_out():
    scores = normal_scores(10)
    scores[2, 5] = math.nan
    assert all(math.isnan(readout.value) for readout in read_out(scores, 0.0).values())
    assert math.isnan(log_mean(scores))
    assert math.isnan(effective_sample_size(scores))


def test_effective_sample_size_is_its_formula():
    scores = normal_scores(40)
    weights = [scores[i, j].exp().item() for i, j in itertools.permutations(range(40), 2)]
    expected = sum(weights) ** 2 / sum(w**2 for w in weights)
    assert effective_sample_size(scores) == pytest.approx(expected, rel=1e-5)
    one_pair = torch.zeros(40, 40)
    one_pair[3, 4] = 1000.0
    assert effective_sample_size(one_pair) == pytest.approx(1)


# Critics

each_critic = pytest.mark.parametrize(("depth", "separable"), [(1, 0), (2, 0), (2, 5), (3, 8)])


def trained_critic(depth, separable):
    critic = PairCritic(3, 2, hidden=16, depth=depth, separable=separable)
    for parameter in critic.parameters():
        nn.init.normal_(parameter, std=0.3)
    return critic


@each_critic
def test_critic_starts_at_zero(depth, separable):
    critic = PairCritic(3, 2, hidden=16, depth=depth, separable=separable)
    assert (critic(torch.randn(7, 3), torch.randn(5, 2)) == 0).all()


@each_critic
def test_critic_is_a_plain_network_of_the_concatenated_pair(depth, separable):
    critic, x, y = trained_critic(depth, separable), torch.randn(4, 3), torch.randn(5, 2)
    first = torch.cat([critic.first_x.weight, critic.first_y.weight], dim=1)
    for i, j in itertools.product(range(4), range(5)):
        hidden = (first @ torch.cat([x[i], y[j]]) + critic.first_x.bias).relu()
        for layer in critic.hidden:
            hidden = layer(hidden).relu()
        expected = critic.last(hidden)[0]
        if separable:
            expected = expected + critic.side_x(x[i]) @ critic.side_y(y[j])
        torch.testing.assert_close(critic(x, y)[i, j], expected, atol=1e-5, rtol=1e-5)


@each_critic
def test_chosen_scores_are_those_of_all_pairs(depth, separable):
    critic, x, y = trained_critic(depth, separable), torch.randn(6, 3), torch.randn(6, 2)
    everything = critic(x, y)
    torch.testing.assert_close(critic.chosen(x, y, torch.arange(6).expand(6, 6)), everything)
    partners = torch.randint(6, (6, 4))
    torch.testing.assert_close(critic.chosen(x, y, partners), everything.gather(1, partners))
    torch.testing.assert_close(AllPairs(critic).chosen(x, y, partners), everything.gather(1, partners))


def test_scores_of_more_pairs_than_a_block_are_those_of_its_parts():
    critic, x, y = trained_critic(2, 0), torch.randn(130, 3), torch.randn(70, 2)
    parts = torch.cat([critic(x[rows], y) for rows in torch.arange(130).split(13)])
    torch.testing.assert_close(critic(x, y), parts)


@each_critic
def test_order_of_a_critics_samples_is_irrelevant(depth, separable):
    critic, x, y = trained_critic(depth, separable), torch.randn(6, 3), torch.randn(5, 2)
    rows, columns = torch.randperm(6), torch.randperm(5)
    torch.testing.assert_close(critic(x[rows], y[columns]), critic(x, y)[rows][:, columns])


@each_critic
def test_every_parameter_of_a_critic_gets_a_gradient_after_one_step(depth, separable):
    critic, x = PairCritic(3, 2, hidden=16, depth=depth, separable=separable), torch.randn(32, 3)
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.1)
    for _ in range(2):
        scores = critic.chosen(x, x[:, :2], derangements(32, 31))
        optimizer.zero_grad()
        scores.backward(LOSSES["jsd"](scores.detach()[None], torch.zeros(1))[1][0])
        optimizer.step()
    assert all(parameter.grad.count_nonzero() for parameter in critic.parameters())


def test_critic_that_scores_own_pairs_only_is_rejected():
    critic = AllPairs(nn.Bilinear(2, 2, 1))
    with pytest.raises(ValueError, match=r"shape \(4, 1\) for 4 x and 4 y; .*every x with every y: \(4, 4\)"):
        critic(torch.randn(4, 2), torch.randn(4, 2))


# Training


class Level(nn.Module):
    """One number, which `climb` makes grow by the learning rate in each step."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))


def climb(critic):
    return torch.cat([critic.value.expand(4, 1), torch.zeros(4, 2)], dim=1)


def difference(scores, average):
    gradient = torch.tensor([-1 / 4, 1 / 8, 1 / 8]).expand(1, 4, 3)
    return (scores * gradient).sum((1, 2)), gradient, average


def value_of(critic):
    return critic.value.item()


def test_start_is_kept_where_nothing_is_better():
    critic = Level()
    history = fit_critic(critic, climb, lambda c: -value_of(c), difference, Fitting(steps=200, checks=100, patience=5))
    assert value_of(critic) == 0
    assert history.steps == (0, 2, 4, 6, 8, 10)
    assert history.complete
    assert not history.rising


def test_best_weights_are_kept():
    critic = Level()

    def hill(c):
        return -abs(value_of(c) - 0.5)

    history = fit_critic(critic, climb, hill, difference, Fitting(steps=100, patience=100))
    assert 0 < history.validation.index(max(history.validation)) < len(history.validation) - 1
    assert hill(critic) == max(history.validation)


def test_averaged_weights_are_the_plain_loop():
    weights, validated = [], []

    def draw(critic):
        weights.append(value_of(critic))
        return climb(critic)

    fitting = Fitting(steps=30, checks=30, averaged=0.3)
    critic = Level()
    fit_critic(critic, draw, lambda c: validated.append(value_of(c)) or value_of(c), difference, fitting)
    mean, expected = 0.0, [0.0]
    for count, weight in enumerate(weights[1:]):
        mean += (weight - mean) / (1 + 0.3 * count)
        expected.append(mean)
    assert validated[: len(expected)] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_after_a_loss_that_is_not_finite_the_training_goes_on_from_its_best_weights(bad):
    drawn = itertools.count()

    def draw(critic):
        return climb(critic) + (bad if next(drawn) == 27 else 0)

    critic = Level()
    history = fit_critic(critic, draw, value_of, difference, Fitting(steps=100, checks=20))
    assert history.steps[:7] == (0, 5, 10, 15, 20, 25, 30)
    assert history.validation[6] == -math.inf
    first, second, third = (history.validation[i] - history.validation[5] for i in (5, 7, 8))
    assert first < second < third < (history.validation[5] - history.validation[3])  # at a tenth of the rate
    assert history.complete
    assert not history.diverged


def test_a_loss_that_is_never_finite_is_divergence():
    critic = Level()
    history = fit_critic(critic, lambda c: climb(c) + math.nan, value_of, difference, Fitting(steps=400))
    assert (history.steps, history.diverged, history.complete) == ((0, 10, 20, 30, 40), True, False)
    assert value_of(critic) == 0


def test_divergence_goes_on_from_the_best_weights_at_a_tenth_of_the_rate():
    rates = []

    def draw(critic):
        rates.append(value_of(critic))
        return climb(critic)

    def cliff(critic):
        return value_of(critic) if value_of(critic) < 1 else -5.0

    critic = Level()
    history = fit_critic(critic, draw, cliff, difference, Fitting(steps=1000, checks=100, learning_rate=0.1))
    fallen = next(look for look, value in enumerate(history.validation) if value == -5)
    best = max(history.validation[:fallen])
    after = rates[history.steps[fallen] :]
    assert after[0] == pytest.approx(best)
    assert after[1] - after[0] == pytest.approx(
        (rates[history.steps[fallen] - 1] - rates[history.steps[fallen] - 2]) / 10, rel=0.1
    )
    assert cliff(critic) == max(history.validation) >= best


def test_a_fall_at_the_last_look_is_no_divergence_at_every_rate():
    critic = Level()
    history = fit_critic(
        critic, climb, lambda c: value_of(c) if value_of(c) < 0.44 else -5.0, difference, Fitting(steps=40, checks=4)
    )
    assert history.validation[-1] == -5
    assert history.steps[-1] == 40
    assert (history.diverged, history.complete) == (False, True)
    assert value_of(critic) == max(history.validation)


def test_standstill_goes_on_from_the_best_weights_at_a_quarter_of_the_rate():
    critic, rates = Level(), []

    def draw(critic):
        rates.append(value_of(critic))
        return climb(critic)

    fitting = Fitting(steps=1000, checks=100, learning_rate=0.1)
    history = fit_critic(critic, draw, lambda c: max(-1.5, -abs(value_of(c) - 1)), difference, fitting)
    best = next(i for i, value in enumerate(history.validation) if value > max(history.validation[i + 1 : i + 7]))
    last = history.steps[best + fitting.patience]
    assert -abs(rates[last] - 1) == pytest.approx(-abs(history.validation[best]), abs=1e-6)
    assert rates[last + 1] - rates[last] == pytest.approx((rates[last - 1] - rates[last - 2]) / 4, rel=0.1)
    assert len(history.steps) < 100
    assert history.complete


def test_deadline_ends_the_training_and_what_it_reached_is_looked_at(monkeypatch):
    critic, began, shares = Level(), time.monotonic(), []
    clock = (began + reading / 100 for reading in itertools.count())  # goes on with each look at it
    monkeypatch.setattr(
        "deep_infomax.mutual_information.critics.fitting.time", SimpleNamespace(monotonic=lambda: next(clock))
    )
    watch = Watch(report=shares.append, deadline=began + 0.3)
    history = fit_critic(critic, climb, value_of, difference, Fitting(steps=10**9), watch)
    assert 0.3 <= next(clock) - began < 1
    assert not history.complete
    assert len(history.steps) == 2
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_request_to_stop_ends_the_training_between_two_steps():
    shares = []
    watch = Watch(stop=lambda: len(shares) == 7, report=shares.append)
    history = fit_critic(Level(), climb, value_of, difference, Fitting(steps=100), watch)
    assert shares == pytest.approx([(i + 1) / 100 for i in range(7)])
    assert not history.complete


def test_rising():
    assert History((0, 50, 100), (0.0, 1.0, 1.2), True).rising
    assert not History((0, 50, 100), (0.0, 1.0, 1.04), True).rising
    assert not History((0, 50, 100), (0.0, 1.0, 0.5), True).rising
    assert not History((), (), True).rising


def test_fitting_rejects_what_no_training_can_use():
    with pytest.raises(ValueError, match=r"`fitting\.steps` is 0; give 1 or more"):
        Fitting(steps=0)


def test_batches_give_each_index_once_a_round():
    order = batches(12, 4)
    for _ in range(3):
        assert sorted(torch.cat([next(order) for _ in range(3)]).tolist()) == list(range(12))
    assert sorted(next(batches(5, 100)).tolist()) == list(range(5))
    some = torch.cat(list(itertools.islice(batches(14, 4), 3)))
    assert len(some.unique()) == 12


@pytest.mark.parametrize("name", ["infonce", "jsd", "nwj"])
def test_losses_are_those_of_the_bounds(name):
    scores = torch.randn(2, 6, 4, requires_grad=True)
    expected = torch.stack([BOUNDS[name].loss(Scores(each[:, :1], each[:, 1:, None])) for each in scores])
    value, gradient, _ = LOSSES[name](scores.detach(), torch.zeros(2))
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(gradient, *torch.autograd.grad(expected.sum(), scores))


def test_moving_average_gives_the_gradient_of_a_plain_loop():
    given, average = torch.full((2,), math.nan), None
    for scale in (1.0, 3.0, 0.5):
        scores = scale * torch.randn(2, 6, 4)
        _, gradient, given = moving_donsker_varadhan(scores, given, rate=0.25)
        exponentials = scores[:, :, 1:].exp()
        mean = exponentials.mean((1, 2))
        average = mean if average is None else 0.75 * average + 0.25 * mean
        torch.testing.assert_close(gradient[:, :, 0], torch.full((2, 6), -1 / 6))
        torch.testing.assert_close(gradient[:, :, 1:], exponentials / 18 / average[:, None, None])


def test_moving_average_of_one_batch_gives_the_donsker_varadhan_gradient():
    scores = torch.randn(6, 4, requires_grad=True)
    plain = -donsker_varadhan(Scores(scores[:, :1], scores[:, 1:, None]))
    _, [gradient], _ = moving_donsker_varadhan(scores.detach()[None], torch.full((1,), math.nan))
    torch.testing.assert_close(gradient, *torch.autograd.grad(plain, scores))


def test_moving_average_of_large_scores_stays_finite():
    average = torch.full((1,), math.nan)
    for size in (1e4, 1e4, -1e4):
        scores = torch.cat([torch.zeros(4, 1), torch.full((4, 2), size)], dim=1)
        value, gradient, average = moving_donsker_varadhan(scores[None], average)
        assert value.isfinite().all()
        assert gradient.isfinite().all()


def test_rows_of_weights_are_trained_as_by_the_optimizer_of_pytorch():
    weights = torch.randn(3, 5)
    theirs = [torch.nn.Parameter(row.clone()) for row in weights]
    reference = [torch.optim.AdamW([row], weight_decay=0.1) for row in theirs]
    ours, since = AdamW(weights, 0.1), [0, 0, 0]
    for step in range(20):
        if step == 10:  # the second begins anew, and the third is left out from here on
            weights = weights[:2].clone()
            ours, since = ours.of([0, 1], weights), [10, 0]
            ours.forget(1)
            reference[1] = torch.optim.AdamW([theirs[1]], weight_decay=0.1)
        gradients, rates = torch.randn(len(weights), 5), [0.01 * (step + 1), 0.02, 0.03][: len(weights)]
        for optimizer, row, gradient, rate in zip(reference, theirs, gradients, rates, strict=False):
            optimizer.param_groups[0]["lr"] = rate
            row.grad = gradient
            optimizer.step()
        ours.step(gradients, rates, since)
        since = [steps + 1 for steps in since]
        torch.testing.assert_close(weights, torch.stack(theirs)[: len(weights)].detach())


def test_parameters_that_are_not_trained_or_not_used_stay():
    parts = {"frozen": nn.Linear(3, 1), "used": nn.Linear(3, 1), "unused": nn.Linear(3, 1)}
    module, x = nn.ModuleDict(parts), torch.randn(4, 3)
    module["frozen"].requires_grad_(False)
    before = {name: value.clone() for name, value in module.state_dict().items()}

    def draw(critic):
        return torch.cat([critic["used"](x) + critic["frozen"](x), torch.zeros(4, 2)], dim=1)

    looks = itertools.count()
    fit_critic(module, draw, lambda c: next(looks), difference, Fitting(steps=5, checks=5, weight_decay=0.0))
    changed = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"used.weight", "used.bias"}


def test_a_module_that_is_yet_to_be_made_is_trained():
    critic, x = nn.LazyLinear(1), torch.randn(4, 3)

    def draw(module):
        return torch.cat([module(x), torch.zeros(4, 2)], dim=1)

    fit_critic(critic, draw, lambda module: module(x).mean().item(), difference, Fitting(steps=200, checks=20))
    assert critic(x).mean() > 0.1


def test_buffers_are_those_of_the_best_look():
    class Counter(Level):
        def __init__(self):
            super().__init__()
            self.register_buffer("steps", torch.zeros(()))

    def draw(critic):
        critic.steps += 1
        return climb(critic)

    critic = Counter()
    fit_critic(critic, draw, lambda c: -abs(float(c.steps) - 6), difference, Fitting(steps=12, checks=6))
    assert critic.steps == 6
