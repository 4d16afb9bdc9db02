"""Priors against closed forms, and the adversarial game against its own definition, sample by sample."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from scipy import stats

from deep_infomax.objectives import PRIORS, Gaussian, Prior, PriorMatching, Uniform

CPU = torch.device("cpu")
SAMPLES = 4000


def accept(values: torch.Tensor, distribution) -> None:
    """Kolmogorov-Smirnov: a right sampler fails once in 10,000 seeds, and the seed is fixed."""
    assert stats.kstest(values.double().numpy(), distribution.cdf).pvalue > 1e-4


def matching(
    prior: Prior | None = None, size: int = 3, gradient_penalty: float = 1.0, penalised: str = "both"
) -> PriorMatching:
    return PriorMatching(prior or Uniform(), size, (16, 8), gradient_penalty, penalised).double()


def discriminator_gradients(part: PriorMatching) -> list[torch.Tensor | None]:
    return [parameter.grad for parameter in part.discriminator.parameters()]


# --- samples -----------------------------------------------------------------


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("d", [1, 2, 5, 64])
def test_samples_are_finite_float32_of_the_asked_shape(name, d):
    samples = PRIORS[name].sample(7, d, CPU)
    assert samples.shape == (7, d)
    assert samples.dtype == torch.float32
    assert samples.isfinite().all()


@pytest.mark.parametrize("d", [1, 2, 16])
@pytest.mark.parametrize(
    ("name", "second_moment"),
    [
        ("uniform", lambda d: 1 / 3),
        ("gaussian", lambda d: 1.0),
        ("ball", lambda d: 1 / (d + 2)),
        ("sphere", lambda d: 1 / d),
    ],
)
def test_moments(name, second_moment, d):
    samples = PRIORS[name].sample(100_000, d, CPU).double()
    mean = 0.5 if name == "uniform" else 0.0
    products = samples.T @ samples / len(samples)
    expected = torch.full((d, d), mean**2).double().fill_diagonal_(second_moment(d))
    assert torch.allclose(samples.mean(0), torch.full((d,), mean).double(), atol=0.02)
    assert torch.allclose(products, expected, atol=0.02)


def test_uniform_coordinates():
    samples = PRIORS["uniform"].sample(SAMPLES, 3, CPU)
    for unit in samples.T:
        accept(unit, stats.uniform())


@pytest.mark.parametrize("d", [1, 7])
def test_gaussian_squared_norm_is_chi_squared(d):
    accept(PRIORS["gaussian"].sample(SAMPLES, d, CPU).square().sum(1), stats.chi2(d))


@pytest.mark.parametrize("d", [1, 2, 3, 10])
def test_ball_holds_a_share_of_its_samples_as_large_as_the_volume(d):
    norms = PRIORS["ball"].sample(SAMPLES, d, CPU).norm(dim=1)
    assert norms.max() <= 1 + 1e-6
    accept(norms.double() ** d, stats.uniform())


def test_sphere_has_norm_one():
    assert torch.allclose(PRIORS["sphere"].sample(100, 6, CPU).norm(dim=1), torch.ones(100))


def test_sphere_in_one_dimension_is_a_fair_sign():
    samples = PRIORS["sphere"].sample(SAMPLES, 1, CPU)
    assert set(samples.flatten().tolist()) == {-1.0, 1.0}
    assert abs(samples.mean()) < 4 / math.sqrt(SAMPLES)


@pytest.mark.parametrize("d", [2, 3, 10])
@pytest.mark.parametrize(("name", "offset"), [("ball", 1), ("sphere", -1)])
def test_every_projection_follows_its_beta_distribution(name, offset, d):
    """(1 + <u, x>) / 2 is Beta(a, a) for a unit vector u: a = (d + 1) / 2 in the ball, (d - 1) / 2 on the sphere."""
    direction = F.normalize(torch.randn(d), dim=0)
    projections = PRIORS[name].sample(SAMPLES, d, CPU) @ direction
    accept((1 + projections) / 2, stats.beta((d + offset) / 2, (d + offset) / 2))


@pytest.mark.parametrize("name", PRIORS)
def test_samples_follow_the_global_seed(name):
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(PRIORS[name].sample(4, 3, CPU))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_only_the_uniform_prior_squashes():
    vector = torch.randn(5, 3)
    assert torch.equal(PRIORS["uniform"].squash(vector), vector.sigmoid())
    for name in ("gaussian", "ball", "sphere"):
        assert torch.equal(PRIORS[name].squash(vector), vector)


# --- losses ------------------------------------------------------------------


@pytest.mark.parametrize("penalised", ["both", "prior"])
def test_losses_equal_a_loop_over_single_samples(penalised):
    part, vector = matching(gradient_penalty=0.7, penalised=penalised), torch.randn(5, 3).double()
    torch.manual_seed(3)
    encoder, adversary, terms = part(vector)
    torch.manual_seed(3)
    samples = Uniform().sample(5, 3, CPU).double()

    expected_encoder = expected_adversary = right = 0.0
    for u, y in zip(samples, vector.sigmoid(), strict=True):
        expected_encoder += math.log1p(math.exp(-part.discriminator(y).item())) / 5
        for x, sign in ((u, 1), (y, -1)):
            x = x.detach().requires_grad_()
            score = part.discriminator(x)
            (slope,) = torch.autograd.grad(score, x)
            expected_adversary += math.log1p(math.exp(-sign * score.item())) / 5
            if penalised == "both" or sign == 1:
                expected_adversary += 0.7 / 2 * slope.square().sum().item() / 5
            right += (sign * score > 0).item() / 10
    assert encoder.item() == pytest.approx(expected_encoder)
    assert adversary.item() == pytest.approx(expected_adversary)
    assert terms["accuracy"].item() == pytest.approx(right)
    assert terms["encoder"].item() == pytest.approx(encoder.item())
    assert terms["adversary"].item() == pytest.approx(adversary.item())


def test_a_blind_discriminator_gives_the_losses_of_a_coin():
    part = matching()
    torch.nn.init.zeros_(part.discriminator[-1].weight)
    torch.nn.init.zeros_(part.discriminator[-1].bias)
    encoder, adversary, _ = part(torch.randn(4, 3).double())
    assert encoder.item() == pytest.approx(math.log(2))
    assert adversary.item() == pytest.approx(2 * math.log(2))


def test_penalty_weighs_every_sample_alike():
    """A linear D has one slope everywhere, so the penalty is its squared norm whatever the batch."""
    part, plain = (PriorMatching(Gaussian(), 3, units=(), gradient_penalty=weight).double() for weight in (2.0, 0.0))
    plain.load_state_dict(part.state_dict())
    for n in (1, 2, 9):
        vector = torch.randn(n, 3).double()
        losses = []
        for each in (part, plain):
            torch.manual_seed(n)
            losses.append(each(vector).adversary)
        squared_slope = part.discriminator[0].weight.square().sum()
        assert (losses[0] - losses[1]).item() == pytest.approx(2 * squared_slope.item())


def test_adversary_gradient_is_that_of_its_loss():
    part, vector = PriorMatching(Gaussian(), 3, units=(4,)).double(), torch.randn(4, 3).double()
    names = [name for name, _ in part.named_parameters()]

    def adversary(*values):
        torch.manual_seed(5)
        return torch.func.functional_call(part, dict(zip(names, values, strict=True)), (vector,)).adversary

    assert torch.autograd.gradcheck(adversary, tuple(p.detach().requires_grad_() for p in part.parameters()))


def test_encoder_gradient_is_that_of_its_loss():
    part = matching()
    assert torch.autograd.gradcheck(lambda vector: part(vector).encoder, torch.randn(4, 3).double().requires_grad_())


def test_one_backward_gives_each_side_its_own_gradient():
    part, vector = matching(), torch.randn(6, 3).double().requires_grad_()

    def gradients(pick):
        part.zero_grad()
        vector.grad = None
        torch.manual_seed(2)
        encoder, adversary, _ = part(vector)
        pick(encoder, adversary).backward()
        return vector.grad, discriminator_gradients(part)

    of_vector, untouched = gradients(lambda encoder, adversary: encoder)
    no_vector, of_discriminator = gradients(lambda encoder, adversary: adversary)
    both_vector, both_discriminator = gradients(lambda encoder, adversary: encoder + adversary)
    assert no_vector is None
    assert untouched == [None] * len(untouched)
    assert torch.equal(both_vector, of_vector)
    for both, own in zip(both_discriminator, of_discriminator, strict=True):
        assert torch.equal(both, own)


@pytest.mark.parametrize("name", PRIORS)
def test_encoder_opposes_the_discriminator(name):
    """At every vector, the direction that lowers the encoder's loss raises the discriminator's."""
    part = matching(PRIORS[name], gradient_penalty=0.0)
    vector = torch.randn(8, 3).double().requires_grad_()
    (of_encoder,) = torch.autograd.grad(part(vector).encoder, vector)
    on_vectors = F.softplus(part.discriminator(part.prior.squash(vector))).mean()
    (of_adversary,) = torch.autograd.grad(on_vectors, vector)
    assert ((of_encoder * of_adversary).sum(1) < 0).all()


def test_a_step_of_the_encoder_raises_what_a_step_of_the_discriminator_lowers():
    part, vector = matching(Gaussian()), (torch.randn(64, 3) + 4).double().requires_grad_()
    encoder, adversary, _ = part(vector)
    (encoder + adversary).backward()
    with torch.no_grad():
        before = part.discriminator(vector).mean()
        after_encoder = part.discriminator(vector - 0.1 * vector.grad).mean()
        for parameter in part.discriminator.parameters():
            parameter -= 0.01 * parameter.grad
        after_adversary = part.discriminator(vector).mean()
    assert after_adversary < before < after_encoder


@pytest.mark.parametrize("scale", [1e-30, 1e4])
def test_extreme_vectors_stay_finite(scale):
    part = PriorMatching(Gaussian(), 3, units=(16, 8))
    vector = (scale * torch.randn(4, 3)).requires_grad_()
    encoder, adversary, _ = part(vector)
    (encoder + adversary).backward()
    assert vector.grad.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in discriminator_gradients(part))


def test_autocast_leaves_the_game_in_float32():
    part, vector = PriorMatching(Uniform(), 3, units=(16, 8)), torch.randn(6, 3).bfloat16()
    losses = []
    for enabled in (False, True):
        torch.manual_seed(4)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses.append(part(vector)[:2])
    for plain, cast in zip(*losses, strict=True):
        assert cast.dtype == torch.float32
        assert torch.equal(plain, cast)


def test_losses_can_be_measured_without_gradients():
    part, vector = matching(), torch.randn(6, 3).double()
    torch.manual_seed(4)
    expected = part(vector)
    torch.manual_seed(4)
    with torch.no_grad():
        measured = part(vector)
    assert [loss.item() for loss in measured[:2]] == [loss.item() for loss in expected[:2]]


def test_the_game_moves_vectors_onto_the_prior():
    part, vector = PriorMatching(Gaussian(), 2, units=(32,)), torch.nn.Parameter(0.3 * torch.randn(128, 2) + 3)
    optimizer = torch.optim.Adam([{"params": [vector], "lr": 0.05}, {"params": part.parameters(), "lr": 0.01}])
    for _ in range(100):
        optimizer.zero_grad()
        encoder, adversary, _ = part(vector)
        (encoder + adversary).backward()
        optimizer.step()
    assert vector.mean(0).abs().max() < 1.0


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_penalty_out_of_range_is_refused(weight):
    with pytest.raises(ValueError, match="gradient_penalty is"):
        PriorMatching(Uniform(), 3, gradient_penalty=weight)


@pytest.mark.usefixtures("unchecked")
def test_an_unknown_place_of_the_penalty_is_refused():
    with pytest.raises(ValueError, match="`penalised`: vectors is unknown; known are both, prior"):
        PriorMatching(Uniform(), 3, penalised="vectors")


def test_default_discriminator_is_the_papers():
    widths = [layer.out_features for layer in PriorMatching(Uniform(), 64).discriminator[::2]]
    assert widths == [1000, 200, 1]
