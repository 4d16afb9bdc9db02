"""Networks of pairs that are trained in step: their gradient by hand, and that they do not touch one another."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from deep_infomax.mutual_information import Fitting
from deep_infomax.mutual_information.critics import pair_networks
from deep_infomax.mutual_information.critics.critics import SomeInputs
from deep_infomax.mutual_information.critics.fitting import LOSSES, Watch
from deep_infomax.mutual_information.critics.pair_networks import PairNetworks
from deep_infomax.mutual_information.critics.pairing import Pairs
from deep_infomax.mutual_information.critics.scoring import chosen_scores
from deep_infomax.mutual_information.critics.trials import Contest, Trial, run_contests

FITTING = Fitting(steps=120, batch_size=20, others=6, hidden=16, checks=12, patience=2)


def pairs(n, rank=2):
    x = torch.randn(n, 5)
    y = torch.cat([x[:, :2] ** 2, torch.randn(n, 5)], dim=1)
    return Pairs(x, y, 0.1 * torch.randn(n, rank), 0.1 * torch.randn(n, rank))


def network(lane, depth=2, separable=0):
    """Lanes read different numbers of inputs."""
    return SomeInputs(torch.arange(5 - lane), torch.arange(lane, 7), 16, depth, separable)


def networks_of(depth, separable, loss="dv", chosen=(0, 1, 2)):
    networks = [network(lane, depth, separable).double() for lane in chosen]
    for one in networks:
        for parameter in one.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    fitted = [pairs(40 + lane, 1 + lane) for lane in chosen]
    fitted = [Pairs(*(part.double() for part in (p.x, p.y, p.base_x, p.base_y))) for p in fitted]
    generators = [torch.Generator().manual_seed(lane) for lane in chosen]
    return PairNetworks(networks, fitted, fitted, loss, FITTING, generators), networks, fitted


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("separable", [0, 8])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("at_once", [1, 2])
def test_gradient_by_hand_is_that_of_autograd(at_once, depth, separable, loss, monkeypatch):
    if at_once == 2:  # as on a GPU
        monkeypatch.setattr(pair_networks, "_chunks", lambda networks, device: [slice(networks)])
    several, networks, fitted = networks_of(depth, separable, loss)
    chosen, average = [0, 2], torch.full((2,), math.nan, dtype=torch.double)
    rows, partners = several._draw(chosen)
    monkeypatch.setattr(several, "_draw", lambda chosen: (rows, partners))
    value, gradients, _ = several.gradients(chosen, several.weights[chosen], average)
    for place, lane in enumerate(chosen):
        batch = fitted[lane][rows[place] - several.starts[lane]]
        scores = chosen_scores(networks[lane], batch, partners[place])
        expected, of_scores, _ = LOSSES[loss](scores.detach()[None], average[:1])
        torch.testing.assert_close(value[place], expected[0])
        names, parameters = zip(*networks[lane].named_parameters(), strict=True)
        plain = torch.autograd.grad((scores * of_scores[0]).sum(), parameters)
        ours = several._parts(gradients[place : place + 1])
        for name, gradient in zip(names, plain, strict=True):
            torch.testing.assert_close(ours[name][0][..., : gradient.shape[-1]], gradient)
            assert not ours[name][0][..., gradient.shape[-1] :].any()  # of inputs that this network does not have


def test_partners_are_others_and_batches_give_each_row_once_a_round():
    several, _, fitted = networks_of(2, 0)
    seen = []
    for _ in range(2 * (len(fitted[1]) // FITTING.batch_size)):
        rows, partners = several._draw([1])
        seen += (rows[0] - several.starts[1]).tolist()
        assert torch.equal(partners[0, :, 0], torch.arange(FITTING.batch_size))
        assert all(len(set(row)) == 1 + FITTING.others for row in partners[0].tolist())
    assert all(len(set(part)) == len(part) for part in (seen[:40], seen[40:]))


def contest(seed, lane=0):
    torch.manual_seed(seed)
    trials = [Trial(network(lane))]
    return Contest(trials, pairs(200), pairs(60), torch.Generator().manual_seed(seed))


def copied(one):
    trials = [Trial(copy.deepcopy(trial.network), trial.rate) for trial in one.trials]
    generator = torch.Generator()
    generator.set_state(one.generator.get_state())
    return replace(one, trials=trials, generator=generator)


@pytest.mark.parametrize("most_held", [2**28, 1])
def test_in_step_they_become_what_they_become_alone(monkeypatch, most_held):
    monkeypatch.setattr("deep_infomax.mutual_information.critics.trials.MOST_HELD", most_held)
    contests = [contest(seed) for seed in range(3)]
    alone = [run_contests([copied(one)], "dv", FITTING, Watch())[0] for one in contests]
    together = run_contests([copied(one) for one in contests], "dv", FITTING, Watch())
    assert len({one.history.steps[-1] for one in alone}) > 1  # some end before others
    for one, other in zip(alone, together, strict=True):
        assert one.history == other.history
        assert one.gain == other.gain
        for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True):
            assert torch.equal(a, b)
