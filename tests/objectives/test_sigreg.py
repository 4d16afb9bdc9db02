"""SIGReg against closed forms, against slow loops with numerical integration, and by what its gradient does."""

import cmath
import math

import numpy as np
import pytest
import torch

from deep_infomax.contracts import Batch, Features
from deep_infomax.objectives import SIGReg, Sphere, epps_pulley

NULL = math.sqrt(2 * math.pi) * (1 - 1 / math.sqrt(3))
"""The mean of the statistic of normal samples."""


def closed_form(x: np.ndarray) -> float:
    """The integral without a grid: the window makes each pair of samples a normal density of their distance."""
    pairs = np.exp(-((x[:, None] - x[None]) ** 2) / 2).sum() / len(x)
    normal = len(x) / math.sqrt(3)
    return math.sqrt(2 * math.pi) * (pairs - math.sqrt(2) * np.exp(-(x**2) / 4).sum() + normal)


def slow(x: list[float], step: float = 0.02, reach: float = 12.0) -> float:
    """By its definition: a sum over samples for every t of a fine grid on both sides of 0."""
    grid = np.arange(-reach, reach + step / 2, step)
    squares = []
    for t in grid:
        empirical = sum(cmath.exp(1j * t * value) for value in x) / len(x)
        squares.append(abs(empirical - math.exp(-t * t / 2)) ** 2 * math.exp(-t * t / 2))
    return len(x) * float(np.trapezoid(squares, grid))


# --- the statistic -----------------------------------------------------------


def test_a_point_mass_at_zero():
    """Its characteristic function is 1: the integral of (1 - exp(-t^2 / 2))^2 exp(-t^2 / 2), three normal integrals."""
    expected = math.sqrt(2 * math.pi) * (1 - math.sqrt(2) + 1 / math.sqrt(3))
    for n in (1, 2, 7):
        assert epps_pulley(torch.zeros(n, 1).double()).item() == pytest.approx(n * expected, abs=1e-5 * n)


def test_two_points():
    """Half of the mass at -1 and half at 1 have the characteristic function cos t."""
    expected = math.sqrt(2 * math.pi) * ((1 + math.exp(-2)) / 2 - math.sqrt(2) * math.exp(-1 / 4) + 1 / math.sqrt(3))
    found = epps_pulley(torch.tensor([[-1.0], [1.0]]).double()).item()
    assert found == pytest.approx(2 * expected, abs=1e-5)
    t = np.linspace(-12, 12, 4001)
    by_cosine = np.trapezoid((np.cos(t) - np.exp(-(t**2) / 2)) ** 2 * np.exp(-(t**2) / 2), t)
    assert found == pytest.approx(2 * by_cosine, abs=1e-5)


@pytest.mark.parametrize("scale", [0.1, 1.0, 2.0])
@pytest.mark.parametrize("n", [1, 3, 20])
def test_known_samples_have_the_value_of_a_loop_and_of_the_closed_form(n, scale):
    samples = scale * np.random.default_rng(n).normal(size=(n, 2)) + 0.3
    found = epps_pulley(torch.from_numpy(samples))
    assert found.shape == (2,)
    for value, x in zip(found.tolist(), samples.T, strict=True):
        assert value == pytest.approx(slow(x.tolist()), abs=2e-5 * n)
        assert value == pytest.approx(closed_form(x), abs=2e-5 * n)


def test_its_accuracy_is_what_is_said():
    """Five digits for samples within 7 of zero; a sample at the period of the rule counts like one at 0."""
    within = np.random.default_rng(0).uniform(-7, 7, size=200)
    assert epps_pulley(torch.from_numpy(within)[:, None]).item() == pytest.approx(closed_form(within), rel=1e-5)
    period = 2 * math.pi * 16 / 5
    assert round(period, 1) == 20.1
    far, near = (epps_pulley(torch.full((1, 1), at).double()).item() for at in (period, 0.0))
    assert far == pytest.approx(near, rel=1e-9)


def test_the_mean_over_normal_samples_does_not_depend_on_how_many():
    for n in (2, 10, 200):
        found = epps_pulley(torch.randn(n, 2000))
        assert abs(found.mean() - NULL) < 5 * found.std() / math.sqrt(2000)


@pytest.mark.parametrize("change", [lambda x: x + 0.5, lambda x: 2 * x, lambda x: 0.5 * x, lambda x: x.sign()])
def test_what_is_not_standard_normal_grows_with_the_samples(change):
    few, many = (epps_pulley(change(torch.randn(n, 200))).mean().item() - NULL for n in (100, 1000))
    assert few > 0
    assert many == pytest.approx(10 * few, rel=0.25)


def test_its_gradient_is_that_of_its_value():
    assert torch.autograd.gradcheck(epps_pulley, (2 * torch.randn(5, 3)).double().requires_grad_())


# --- the part ----------------------------------------------------------------


def test_is_the_mean_over_projections_onto_unit_directions():
    vector = torch.from_numpy(np.random.default_rng(1).normal(0.2, 1.3, size=(9, 4)))
    torch.manual_seed(7)
    found = SIGReg(projections=5)(vector).encoder.item()
    torch.manual_seed(7)
    directions = Sphere().sample(5, 4, torch.device("cpu")).double()
    projected = [[math.fsum(a * b for a, b in zip(y, u, strict=True)) for y in vector.tolist()] for u in directions]
    assert found == pytest.approx(sum(slow(x) for x in projected) / 5, abs=1e-4)


def test_the_mean_over_all_directions_of_a_point_mass_is_its_closed_form():
    """A point at the origin projects to 0 whatever the direction; one elsewhere, in one dimension, to itself."""
    origin = SIGReg(projections=3)(torch.zeros(4, 6)).encoder.item()
    assert origin == pytest.approx(closed_form(np.zeros(4)), abs=1e-4)
    point = SIGReg(projections=3)(torch.full((4, 1), 1.5)).encoder.item()
    assert point == pytest.approx(closed_form(np.full(4, 1.5)), abs=1e-4)


def test_normal_vectors_have_the_mean_of_the_statistic():
    part = SIGReg()
    found = torch.stack([part(torch.randn(64, 8)).encoder for _ in range(50)])
    assert abs(found.mean() - NULL) < 5 * found.std() / math.sqrt(50)


def test_directions_are_drawn_anew_and_follow_the_global_seed():
    part, vector = SIGReg(projections=4), torch.randn(16, 6)
    torch.manual_seed(1)
    first, second = part(vector).encoder, part(vector).encoder
    torch.manual_seed(1)
    assert torch.equal(part(vector).encoder, first)
    assert not torch.equal(first, second)


def test_a_rotation_does_not_matter_in_the_mean():
    vector = torch.randn(32, 4).double() * torch.tensor([2.0, 1.0, 0.5, 0.1]).double()
    rotation = torch.linalg.qr(torch.randn(4, 4).double()).Q
    part = SIGReg(projections=10_000)
    assert part(vector @ rotation).encoder.item() == pytest.approx(part(vector).encoder.item(), rel=0.05)


def test_its_gradient_pushes_a_shifted_scaled_and_dependent_batch_onto_a_standard_normal():
    mixing = torch.tensor([[1.0, 0.9, 0.0], [0.0, 0.4, 0.0], [0.0, 0.0, 0.2]])
    vector = torch.nn.Parameter(torch.rand(128, 3) @ mixing + torch.tensor([1.5, -1.0, 0.0]))
    part, optimizer = SIGReg(projections=32), torch.optim.Adam([vector], lr=0.1)
    before = part(vector).encoder.item()
    for _ in range(100):
        optimizer.zero_grad()
        part(vector).encoder.backward()
        optimizer.step()
    after = part(vector).encoder.item()
    assert after < NULL < 20 < before  # samples that are pushed lie closer than drawn ones do
    assert vector.mean(0).abs().max() < 0.15
    assert torch.allclose(vector.detach().T.cov(), torch.eye(3), atol=0.15)


def test_one_step_against_the_gradient_lowers_a_shift_and_a_scale():
    for vector, size in ((torch.randn(512, 4) + 1, lambda v: v.mean()), (3 * torch.randn(512, 4), lambda v: v.std())):
        vector = vector.requires_grad_()
        SIGReg()(vector).encoder.backward()
        with torch.no_grad():
            assert size(vector - vector.grad) < size(vector)


def test_has_a_loss_for_the_encoder_alone():
    part = SIGReg()
    features = Features(torch.zeros(8, 2, 3), torch.randn(8, 4), {})
    losses = part.losses(Batch(torch.zeros(8, 1, 3), torch.arange(8)), features, lambda inputs: features)
    assert losses.adversary is None
    assert losses.terms.keys() == {"loss"}
    assert losses.terms["loss"].item() == losses.encoder.item()
    assert list(part.parameters()) == list(part.adversary_parameters()) == []


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e4])
def test_extreme_vectors_stay_finite(scale):
    vector = (scale * torch.randn(8, 4)).requires_grad_()
    loss = SIGReg()(vector).encoder
    loss.backward()
    assert loss.isfinite()
    assert vector.grad.isfinite().all()


def test_autocast_leaves_the_statistic_in_float32():
    part, vector = SIGReg(), torch.randn(32, 8).bfloat16()
    found = []
    for enabled in (False, True):
        torch.manual_seed(4)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found.append(part(vector).encoder)
    assert found[0].dtype == found[1].dtype == torch.float32
    assert torch.equal(*found)


def test_no_projections_are_refused():
    with pytest.raises(ValueError, match="`projections` is 0; give 1 or more"):
        SIGReg(projections=0)
