"""The noise between Y and its scorers, against the capacity of a Gaussian channel and against noise added by hand."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from deep_infomax.bounds import BOUNDS, DONSKER_VARADHAN, INFO_NCE, JENSEN_SHANNON
from deep_infomax.contracts import Batch, Bound, Encoded, Features
from deep_infomax.negatives import all_pairs
from deep_infomax.objectives import DeepInfoMax, Gaussian, GaussianChannel, MutualInformation, PriorMatching
from deep_infomax.scorers import EncodeAndDot, GlobalConcat

N, D = 8, 5


def local_term(bound: Bound = INFO_NCE, **options) -> MutualInformation:
    return MutualInformation(EncodeAndDot(4, D, units=8), bound, **options)


def global_term() -> MutualInformation:
    return MutualInformation(GlobalConcat(4 * 9, D, units=8), JENSEN_SHANNON)


def features(missing: torch.Tensor | None = None) -> Features:
    return Features(torch.randn(N, 4, 3, 3), 2 + 3 * torch.randn(N, D), {}, missing)


def batch() -> Batch:
    return Batch(torch.zeros(N, 1, 2, 2), torch.arange(N))


def normalised(vector: torch.Tensor) -> torch.Tensor:
    """Unit by unit, over the batch."""
    columns = [(unit - unit.mean()) / math.sqrt(unit.var(correction=0) + 1e-5) for unit in vector.T]
    return torch.stack(columns, dim=1)


# --- the channel -------------------------------------------------------------


@pytest.mark.parametrize(
    ("d", "deviation", "capacity"),
    [
        (1, 1.0, math.log(2) / 2), (64, 0.5, 32 * math.log(5)), (16, 0.5, 8 * math.log(5)), (2, 1e-3, 13.8155116),
        (3, 1e3, 1.5e-6),
    ],
)  # fmt: skip
def test_capacity_is_the_closed_form(d, deviation, capacity):
    assert GaussianChannel(d, deviation).capacity == pytest.approx(capacity, rel=1e-6)


def test_capacity_is_the_information_of_a_normal_vector_and_its_noisy_self():
    """By the covariance of both: I = (log det cov(Y) + log det cov(Z) - log det cov(Y, Z)) / 2."""
    d, deviation = 3, 0.7
    one = torch.eye(d).double()
    cov = torch.cat([torch.cat([one, one]), torch.cat([one, (1 + deviation**2) * one])], dim=1)
    information = (cov[:d, :d].logdet() + cov[d:, d:].logdet() - cov.logdet()) / 2
    assert GaussianChannel(d, deviation).capacity == pytest.approx(information.item(), rel=1e-9)


def test_less_than_the_capacity_passes_of_dependent_units_and_of_binary_ones():
    deviation = 0.5
    capacity = GaussianChannel(2, deviation).capacity
    correlated = torch.tensor([[1.0, 0.8], [0.8, 1.0]]).double()
    passing = torch.logdet(torch.eye(2).double() + correlated / deviation**2) / 2
    assert passing.item() < capacity - 0.2
    # Two binary units tell at most their own entropy, 2 log 2, and less than the capacity where that is smaller.
    z = torch.linspace(-6, 6, 20001).double()
    density = sum(torch.distributions.Normal(y, deviation).log_prob(z).exp() for y in (-1.0, 1.0)) / 2
    entropy = -torch.trapezoid(density * density.clamp(min=1e-300).log(), z)
    binary = 2 * (entropy.item() - math.log(deviation * math.sqrt(2 * math.pi * math.e)))
    assert 0 < binary < min(capacity, 2 * math.log(2))


def test_what_passes_is_the_normalised_vector_and_normal_noise():
    channel, vector = GaussianChannel(D, 0.3), 4 + 2 * torch.randn(N, D)
    torch.manual_seed(3)
    found = channel(vector)
    torch.manual_seed(3)
    assert torch.allclose(found, normalised(vector) + 0.3 * torch.randn(N, D), atol=1e-5)


def test_noise_is_normal_independent_and_of_its_deviation():
    channel = GaussianChannel(2, 0.5)
    vector = torch.randn(4000, 2)
    noise = (channel(vector) - normalised(vector)).double()
    for unit in noise.T:
        assert stats.kstest(unit.numpy(), stats.norm(scale=0.5).cdf).pvalue > 1e-4
    both = torch.cat([noise, vector.double()], dim=1).T
    assert torch.corrcoef(both).fill_diagonal_(0)[:2].abs().max() < 4 / math.sqrt(4000)


def test_shift_and_scale_of_a_unit_do_not_pass():
    """Else the encoder would outgrow the noise."""
    channel, vector = GaussianChannel(D, 0.5).double(), torch.randn(N, D).double()
    found = []
    for scaled in (vector, 1e4 * vector - 30):
        torch.manual_seed(1)
        found.append(channel(scaled))
    assert torch.allclose(*found, atol=1e-4)


def test_evaluation_normalises_by_running_statistics_and_adds_the_noise():
    channel, vector = GaussianChannel(D, 0.5), 3 + 2 * torch.randn(64, D)
    for _ in range(200):
        channel(vector)
    channel.eval()
    mean, variance = vector.mean(0), vector.var(0)
    assert torch.allclose(channel.normalise.running_mean, mean, atol=1e-4)
    before = {name: buffer.clone() for name, buffer in channel.named_buffers()}
    torch.manual_seed(2)
    found = channel(vector[:1])
    torch.manual_seed(2)
    expected = (vector[:1] - mean) / variance.sqrt() + 0.5 * torch.randn(1, D)
    assert torch.allclose(found, expected, atol=1e-3)
    assert all(torch.equal(before[name], buffer) for name, buffer in channel.named_buffers())


def test_no_parameter_is_learnt():
    assert list(GaussianChannel(D, 0.5).parameters()) == []


def test_gradient_is_that_of_the_normalised_vector():
    channel = GaussianChannel(3, 0.5).double()

    def passed(vector):
        torch.manual_seed(0)
        return channel(vector)

    assert torch.autograd.gradcheck(passed, torch.randn(6, 3).double().requires_grad_())


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e4])
def test_extreme_vectors_stay_finite(scale):
    vector = (scale * torch.randn(N, D)).requires_grad_()
    passed = GaussianChannel(D, 0.1)(vector)
    passed.square().sum().backward()
    assert passed.isfinite().all()
    assert vector.grad.isfinite().all()


def test_vectors_of_16_bits_are_widened():
    vector = torch.randn(N, D).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert GaussianChannel(D, 0.1)(vector).dtype == torch.float32


@pytest.mark.parametrize("deviation", [0.0, -0.5, math.nan, math.inf])
def test_a_deviation_out_of_range_is_refused(deviation):
    with pytest.raises(ValueError, match=f"deviation is {deviation}; give a finite number above 0"):
        GaussianChannel(D, deviation)


# --- in the objective --------------------------------------------------------


@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
@pytest.mark.parametrize("others", [None, 3])
@pytest.mark.parametrize("gaps", [False, True])
def test_a_noisy_term_is_the_plain_term_of_vectors_made_noisy_by_hand(bound, others, gaps):
    term, given = local_term(bound, others=others, penalty=0.1), features(torch.rand(N, 3, 3) < 0.2 if gaps else None)
    objective = DeepInfoMax(local_term=term, beta=2.0, noise=GaussianChannel(D, 0.4))
    torch.manual_seed(5)
    losses = objective(batch(), lambda inputs: given)
    torch.manual_seed(5)
    noisy = normalised(given.vector) + 0.4 * torch.randn(N, D)
    plain = term(given.local, noisy, missing=given.missing)
    assert losses.encoder.item() == pytest.approx(2 * plain.encoder.item(), rel=1e-4)
    assert losses.terms["local_bound"].item() == pytest.approx(plain.terms["bound"].item(), rel=1e-4, abs=1e-5)


def test_both_terms_read_one_noisy_vector_and_the_prior_reads_y_itself():
    parts = {
        "global_term": global_term(),
        "local_term": local_term(),
        "prior": PriorMatching(Gaussian(), D, units=(8,)),
    }
    objective = DeepInfoMax(**parts, alpha=0.5, beta=0.1, gamma=2.0, noise=GaussianChannel(D, 0.4))
    given = features()
    torch.manual_seed(5)
    losses = objective(batch(), lambda inputs: given)
    torch.manual_seed(5)
    noisy = normalised(given.vector) + 0.4 * torch.randn(N, D)
    of_global, of_local = (parts[name](given.local, noisy) for name in ("global_term", "local_term"))
    of_prior = parts["prior"](given.vector)
    expected = 0.5 * of_global.encoder + 0.1 * of_local.encoder + 2.0 * of_prior.encoder
    assert losses.encoder.item() == pytest.approx(expected.item(), rel=1e-5)
    assert losses.terms["global_bound"].item() == pytest.approx(of_global.terms["bound"].item(), rel=1e-5)


def test_the_capacity_is_a_term_and_no_other_is_new():
    given = features()
    with_noise, without = (
        DeepInfoMax(local_term=local_term(DONSKER_VARADHAN), beta=1.0, noise=noise)(batch(), lambda inputs: given).terms
        for noise in (GaussianChannel(D, 0.5), None)
    )
    assert with_noise.keys() - without.keys() == {"noise_ceiling"}
    assert with_noise["noise_ceiling"].item() == pytest.approx(D / 2 * math.log(5))


class TrueLogRatio(nn.Module):
    """Scores pairs of a normal Y and its noisy self by the log-ratio of their density and those of each."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.variance = deviation**2

    def encode(self, local, vector):
        return Encoded(local.flatten(2).mT, vector)

    def score(self, pieces, anchors, others=None, own=None):
        squares = (anchors[:, None, None] - pieces).square() / self.variance
        squares = squares - anchors.square()[:, None, None] / (1 + self.variance)
        return all_pairs((math.log1p(1 / self.variance) - squares).sum(-1) / 2, own)

    def values_per_anchor(self, p, m, k):
        return p * m


@pytest.mark.parametrize("deviation", [0.5, 0.7])
def test_the_true_scorer_reads_the_capacity_of_a_normal_vector_and_less_of_others(deviation):
    term = MutualInformation(TrueLogRatio(deviation), DONSKER_VARADHAN)
    channel = GaussianChannel(2, deviation)
    objective = DeepInfoMax(local_term=term, beta=1.0, noise=channel)

    def read(y: torch.Tensor) -> float:
        given = Features(y[:, :, None], 5 + 2 * y, {})  # the map tells all of Y; another shift and scale change nothing
        return objective(Batch(y, torch.arange(len(y))), lambda inputs: given).terms["local_bound"].item()

    n = 1500
    assert read(torch.randn(n, 2)) == pytest.approx(channel.capacity, abs=0.1)
    assert read(torch.randn(n, 2).sign()) < channel.capacity - 0.1
    assert read(torch.randn(n, 1).expand(n, 2).contiguous()) < channel.capacity - 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"local_term": local_term(), "beta": 1.0, "noise": 0.5}, r"`noise` is 0.5; give a GaussianChannel\("),
        (
            {"prior": PriorMatching(Gaussian(), D, units=(8,)), "gamma": 1.0, "noise": GaussianChannel(D, 0.5)},
            "noise is given but no global_term or local_term that reads it; give one or leave noise out",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_noise_that_nothing_can_read_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DeepInfoMax(**options)


def test_noise_is_no_name_for_a_part():
    with pytest.raises(ValueError, match="a part cannot be called 'noise'"):
        DeepInfoMax(parts={"noise": (1.0, PriorMatching(Gaussian(), D, units=(8,)))})
