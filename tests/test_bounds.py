"""Bounds: known answers, a plain-loop reference, invariances, gradients, extreme values."""

import math

import pytest
import torch
from torch.nn.functional import softplus
from torch.quasirandom import SobolEngine

from deep_infomax.bounds import BOUNDS, DONSKER_VARADHAN, INFO_NCE, JENSEN_SHANNON, donsker_varadhan, info_nce
from deep_infomax.contracts import Scores
from deep_infomax.negatives import all_pairs

DTYPES = [torch.bfloat16, torch.float32]
each_bound = pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS.keys())


def random_scores(n=5, k=3, m=4, dtype=torch.float64, scale=1.0):
    return Scores(scale * torch.randn(n, m, dtype=dtype), scale * torch.randn(n, k, m, dtype=dtype))


def mapped(function, scores):
    return Scores(*map(function, scores))


def gradients(function, scores):
    leaves = mapped(lambda x: x.detach().requires_grad_(), scores)
    return torch.autograd.grad(function(leaves), leaves)


# Known answers

WORKED_EXAMPLE = Scores(torch.tensor([[1.0, 2.0], [2.5, 0.5]]), torch.tensor([[[0.5, -1.0]], [[0.0, 1.5]]]))
WORKED_ANSWERS = {
    "infonce": 0.286756,
    "jsd": 0.217530,
    "dv": 0.916664,
    "nwj": 0.810383,
    "reverse-kl": 0.452042,
    "hellinger": -0.172530,
    "chi2": 1.031250,
}


@each_bound
def test_worked_example(bound):
    assert bound.report(WORKED_EXAMPLE).item() == pytest.approx(WORKED_ANSWERS[bound.name], abs=1e-6)


def test_worked_example_of_the_info_nce_loss():
    assert info_nce(WORKED_EXAMPLE).item() == pytest.approx(0.658044, abs=1e-6)


def log_ratio(x, y, rho):
    """Log of the density of a bivariate Gaussian of correlation rho over the product of its marginals."""
    rest = 1 - rho**2
    return -math.log(rest) / 2 + (2 * rho * x * y - rho**2 * (x**2 + y**2)) / (2 * rest)


def divergence(generator, rho):
    """Integral of q f(p / q), with p the bivariate Gaussian and q the product of its marginals, f of the log ratio."""
    grid = torch.linspace(-10, 10, 801, dtype=torch.float64)
    x, y = grid[:, None], grid[None, :]
    product = torch.exp(-(x**2 + y**2) / 2) / (2 * math.pi)
    return torch.trapezoid(torch.trapezoid(product * generator(log_ratio(x, y, rho)), grid), grid).item()


def jensen_shannon_generator(t):
    return t.exp() * (math.log(2) - softplus(-t)) + math.log(2) - softplus(t)


OPTIMA = {  # name: the optimal score and the generator of the divergence, both from the log ratio
    "infonce": (lambda t: t, lambda t: t.exp() * t),
    "dv": (lambda t: t, lambda t: t.exp() * t),
    "nwj": (lambda t: t + 1, lambda t: t.exp() * t),
    "jsd": (lambda t: t, jensen_shannon_generator),
    "reverse-kl": (lambda t: t, lambda t: -t),
    "hellinger": (lambda t: t / 2, lambda t: (t / 2).expm1() ** 2),
    "chi2": (lambda t: 2 * t.expm1(), lambda t: t.expm1() ** 2),
}


def log_ratios(rho, n=1024):
    """Log ratios (n, n, 1) of all pairs of low-discrepancy samples: the closed form within a few per cent."""
    x, noise = torch.special.ndtri(SobolEngine(2, scramble=True, seed=0).draw(n, dtype=torch.float64)).T
    y = rho * x + math.sqrt(1 - rho**2) * noise
    return log_ratio(x[None], y[:, None], rho)[..., None]


@pytest.mark.parametrize("rho", [0.2, 0.3])
@each_bound
def test_tight_at_the_optimal_score(bound, rho):
    score, generator = OPTIMA[bound.name]
    report = bound.report(all_pairs(score(log_ratios(rho)))).item()
    assert report == pytest.approx(divergence(generator, rho), rel=0.08)


@pytest.mark.parametrize("detuned", [lambda t: t / 2, lambda t: 1.5 * t], ids=["flatter", "steeper"])
@each_bound
def test_lower_at_other_scores(bound, detuned):
    score, _ = OPTIMA[bound.name]
    ratios = log_ratios(0.4)
    assert bound.report(all_pairs(score(detuned(ratios)))) < 0.9 * bound.report(all_pairs(score(ratios)))


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.9])
def test_divergence_of_the_gaussian_is_its_mutual_information(rho):
    assert divergence(lambda t: t.exp() * t, rho) == pytest.approx(-math.log(1 - rho**2) / 2, abs=1e-6)


# Plain loops


def mean(values):
    return math.fsum(values) / len(values)


def loop_info_nce(joint, marginal, locations=1):
    terms = []
    for own, others in zip(joint, marginal, strict=True):
        negatives = math.fsum(math.exp(t) / locations for other in others for t in other)
        terms += [t - math.log(math.exp(t) + negatives) for t in own]
    return mean(terms)


def loop_donsker_varadhan(joint, marginal):
    values = []
    for location in range(len(joint[0])):
        unpaired = [math.exp(other[location]) for others in marginal for other in others]
        values.append(mean([own[location] for own in joint]) - math.log(mean(unpaired)))
    return mean(values)


def loop_means(paired, unpaired):
    def reference(joint, marginal):
        flat = [t for others in marginal for other in others for t in other]
        return mean([paired(t) for own in joint for t in own]) - mean([unpaired(t) for t in flat])

    return reference


LOOPS = {
    "infonce": lambda joint, marginal: loop_info_nce(joint, marginal, len(joint[0])) + math.log(len(marginal[0]) + 1),
    "dv": loop_donsker_varadhan,
    "nwj": loop_means(lambda t: t, lambda t: math.exp(t - 1)),
    "jsd": loop_means(lambda t: 2 * math.log(2) - math.log1p(math.exp(-t)), lambda t: math.log1p(math.exp(t))),
    "reverse-kl": loop_means(lambda t: -math.exp(-t), lambda t: t - 1),
    "hellinger": loop_means(lambda t: 1 - math.exp(-t), lambda t: math.exp(t) - 1),
    "chi2": loop_means(lambda t: t, lambda t: t**2 / 4 + t),
}


@pytest.mark.parametrize(("n", "k", "m"), [(5, 3, 4), (2, 1, 1), (3, 5, 2)])
@each_bound
def test_report_is_the_plain_loop(bound, n, k, m):
    scores = random_scores(n, k, m)
    expected = LOOPS[bound.name](*(x.tolist() for x in scores))
    assert bound.report(scores).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n", "k", "m"), [(5, 3, 4), (2, 1, 1), (3, 5, 2)])
def test_info_nce_is_the_plain_loop(n, k, m):
    scores = random_scores(n, k, m)
    assert info_nce(scores).item() == pytest.approx(-loop_info_nce(*(x.tolist() for x in scores)), rel=1e-12)


@each_bound
def test_loss_is_minus_the_report_for_all_but_info_nce(bound):
    scores = random_scores()
    assert (bound.loss(scores) == -bound.report(scores)) == (bound is not INFO_NCE)


# Gradients


@each_bound
def test_gradcheck(bound):
    leaves = tuple(x.requires_grad_() for x in random_scores(3, 2, 2))
    assert torch.autograd.gradcheck(lambda *x: (bound.loss(Scores(*x)), bound.report(Scores(*x))), leaves)


def plain_info_nce(scores):
    negatives = scores.marginal.flatten(1).logsumexp(1, keepdim=True)
    return (torch.logaddexp(scores.joint, negatives) - scores.joint).mean()


def plain_donsker_varadhan(scores):
    n, k, _ = scores.marginal.shape
    return (scores.marginal.flatten(0, 1).logsumexp(0) - math.log(n * k) - scores.joint.mean(0)).mean()


def plain_jensen_shannon(scores):
    return softplus(-scores.joint).mean() + softplus(scores.marginal).mean() - 2 * math.log(2)


@pytest.mark.parametrize(
    ("bound", "plain"),
    [(INFO_NCE, plain_info_nce), (DONSKER_VARADHAN, plain_donsker_varadhan), (JENSEN_SHANNON, plain_jensen_shannon)],
    ids=["infonce", "dv", "jsd"],
)
def test_many_blocks_agree_with_autograd_through_the_whole(bound, plain):
    scores = random_scores(n=24, k=23, m=500, scale=3)  # 276,000 unpaired scores: more than one block
    assert bound.loss(scores).item() == pytest.approx(plain(scores).item(), rel=1e-12)
    for ours, theirs in zip(gradients(bound.loss, scores), gradients(plain, scores), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=0)


@each_bound
def test_16_bits_are_widened_before_any_exponential(bound):
    scores = mapped(torch.Tensor.bfloat16, random_scores(scale=4))
    wide = mapped(torch.Tensor.float, scores)
    assert bound.report(scores).dtype == bound.loss(scores).dtype == torch.float32
    assert bound.report(scores) == bound.report(wide)
    for ours, theirs in zip(gradients(bound.loss, scores), gradients(bound.loss, wide), strict=True):
        torch.testing.assert_close(ours, theirs.bfloat16())


def test_float64_keeps_its_precision():
    scores = Scores(torch.zeros(2, 1).double(), torch.full((2, 1, 1), 21.0).double())
    assert info_nce(scores).item() == pytest.approx(math.log1p(math.exp(21)), rel=1e-14)


@pytest.mark.parametrize("bound", [INFO_NCE, DONSKER_VARADHAN, JENSEN_SHANNON], ids=lambda bound: bound.name)
def test_keeps_nothing_of_the_scores_size_but_the_scores(bound):
    scores = mapped(lambda x: x.bfloat16().requires_grad_(), random_scores(8, 7, 16))
    kept = {}

    def keep(x):
        kept[x.data_ptr()] = x.numel() * x.element_size()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        bound.loss(scores)
    assert sum(kept.values()) < 2 * scores.marginal.numel() + 40 * scores.joint.numel()


# Invariances


@pytest.mark.parametrize("function", [info_nce, INFO_NCE.report, donsker_varadhan])
@pytest.mark.parametrize("shift", [-7.0, 300.0])
def test_a_shift_of_all_scores_changes_nothing(function, shift):
    scores = random_scores()
    assert function(mapped(lambda x: x + shift, scores)).item() == pytest.approx(function(scores).item(), abs=1e-12)


@pytest.mark.parametrize("function", [info_nce, INFO_NCE.report])
def test_info_nce_ignores_a_shift_for_each_anchor(function):
    joint, marginal = random_scores()
    shift = torch.randn(len(joint), 1).double()
    shifted = Scores(joint + shift, marginal + shift[..., None])
    assert function(shifted).item() == pytest.approx(function(Scores(joint, marginal)).item(), abs=1e-12)


def test_donsker_varadhan_ignores_a_shift_for_each_location():
    scores = random_scores()
    shift = torch.randn(scores.joint.shape[1]).double()
    shifted = mapped(lambda x: x + shift, scores)
    assert donsker_varadhan(shifted).item() == pytest.approx(donsker_varadhan(scores).item(), abs=1e-12)


@each_bound
def test_order_of_anchors_others_and_locations_is_irrelevant(bound):
    joint, marginal = random_scores()
    anchors, others, locations = (torch.randperm(size) for size in marginal.shape)
    permuted = Scores(joint[anchors][:, locations], marginal[anchors][:, others][..., locations])
    for function in (bound.loss, bound.report):
        assert function(permuted).item() == pytest.approx(function(Scores(joint, marginal)).item(), rel=1e-12)


@each_bound
def test_equal_locations_report_what_one_of_them_does(bound):
    scores = random_scores(m=1)
    repeated = mapped(lambda x: x.expand(*x.shape[:-1], 6), scores)
    assert bound.report(repeated).item() == pytest.approx(bound.report(scores).item(), rel=1e-12)


def test_sibling_locations_are_in_neither_role_of_info_nce():
    joint, marginal = random_scores(n=3, m=4)
    hessian = torch.autograd.functional.jacobian(
        lambda x: torch.autograd.grad(info_nce(Scores(x, marginal)), x, create_graph=True)[0], joint.requires_grad_()
    )
    hessian = hessian.reshape(joint.numel(), joint.numel())
    assert (hessian.diagonal() > 0).all()
    assert hessian.count_nonzero() == joint.numel()  # the term of a location depends on no other location's score


# Ceilings


@pytest.mark.parametrize("scale", [0.1, 3.0, 1e3])
@each_bound
def test_report_is_at_most_the_ceiling(bound, scale):
    for k in (1, 3, 16):
        joint, marginal = random_scores(k=k, dtype=torch.float32, scale=scale)
        for scores in (Scores(joint, marginal), Scores(joint.abs(), -marginal.abs())):
            assert bound.report(scores).item() <= bound.ceiling(k) + 1e-6


@pytest.mark.parametrize(("name", "ceiling"), [("infonce", math.log(8)), ("jsd", 2 * math.log(2)), ("hellinger", 2.0)])
def test_ceiling_is_reached_by_perfect_scores(name, ceiling):
    perfect = Scores(torch.full((8, 4), 40.0), torch.full((8, 7, 4), -40.0))
    assert BOUNDS[name].ceiling(7) == pytest.approx(ceiling)
    assert BOUNDS[name].report(perfect).item() == pytest.approx(ceiling, abs=1e-6)


@pytest.mark.parametrize("name", ["dv", "nwj", "reverse-kl", "chi2"])
def test_no_ceiling(name):
    assert BOUNDS[name].ceiling(7) == math.inf


# Extreme values


def extremes(dtype):
    size = torch.tensor([1e4, -1e4, 0.0], dtype=dtype)
    for own in size:
        for other in size:
            yield Scores(own.repeat(2, 2), other.repeat(2, 3, 2))
    yield Scores(size.repeat(2, 1), size.repeat(2, 3, 1))
    yield Scores(size.repeat(2, 1), -size.repeat(2, 3, 1))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["infonce", "jsd", "dv", "chi2"])
def test_large_scores_stay_finite_in_value_and_gradient(name, dtype):
    for scores in extremes(dtype):
        for function in (BOUNDS[name].loss, BOUNDS[name].report):
            assert function(scores).isfinite()
            assert all(gradient.isfinite().all() for gradient in gradients(function, scores))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["nwj", "reverse-kl", "hellinger"])
def test_overflow_is_minus_infinity_and_never_nan(name, dtype):
    reports = [BOUNDS[name].report(scores) for scores in extremes(dtype)]
    assert -math.inf in reports
    assert not any(report.isnan() or report == math.inf for report in reports)
    for scores in extremes(dtype):
        assert not any(gradient.isnan().any() for gradient in gradients(BOUNDS[name].loss, scores))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_info_nce_of_large_scores_is_their_difference(dtype):
    scores = Scores(torch.full((2, 2), -8192.0, dtype=dtype), torch.full((2, 1, 2), 8192.0, dtype=dtype))
    assert info_nce(scores).item() == pytest.approx(16384 + math.log(2))


@pytest.mark.parametrize("field", Scores._fields)
@each_bound
def test_nan_is_not_hidden(bound, field):
    scores = random_scores()
    getattr(scores, field).view(-1)[0] = math.nan
    assert bound.report(scores).isnan()
    assert bound.loss(scores).isnan()


def test_unpaired_scores_of_minus_infinity_are_as_if_absent():
    joint, marginal = random_scores()
    padded = Scores(joint, torch.cat([marginal, torch.full_like(marginal[:, :1], -math.inf)], dim=1))
    assert info_nce(padded) == info_nce(Scores(joint, marginal))
    k = marginal.shape[1]
    expected = donsker_varadhan(Scores(joint, marginal)) + math.log((k + 1) / k)
    assert donsker_varadhan(padded).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("absent", [slice(1), slice(None)], ids=["one location", "all"])
@pytest.mark.parametrize("name", ["infonce", "jsd", "dv", "nwj", "hellinger"])
def test_unpaired_scores_of_minus_infinity_get_no_gradient(name, absent):
    scores = random_scores()
    scores.marginal[..., absent] = -math.inf
    assert not BOUNDS[name].loss(scores).isnan()
    joint, marginal = gradients(BOUNDS[name].loss, scores)
    assert joint.isfinite().all()
    assert marginal.isfinite().all()
    assert (marginal[..., absent] == 0).all()


@pytest.mark.parametrize(("name", "limit"), [("reverse-kl", math.inf), ("chi2", -math.inf)])
def test_divergences_with_no_exponential_of_unpaired_scores_are_infinite_there(name, limit):
    scores = random_scores()
    scores.marginal[0, 0, 0] = -math.inf
    assert BOUNDS[name].report(scores) == limit


@each_bound
def test_no_unpaired_scores_is_an_error(bound):
    alone = Scores(torch.zeros(1, 4), torch.zeros(1, 0, 4))
    for function in (bound.loss, bound.report):
        with pytest.raises(ValueError, match=r"needs unpaired scores, got none \(shape \(1, 0, 4\)\); use a batch of"):
            function(alone)
