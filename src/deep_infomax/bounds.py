r"""Variational lower bounds on mutual information and on other dependencies: scores in, a scalar in nats out.

With the expectations over paired scores ``joint`` and unpaired scores ``marginal`` (see `contracts.Scores`), every
bound is a mean of a pointwise function, or a log-sum-exp, of either set and a formula on those statistics. All are
maximised. With r the ratio of the joint density to the product of the marginals:

===================  =================================  ===========================  ======================
function             bounds from below                  tight at                     largest finite-sample value
===================  =================================  ===========================  ======================
donsker_varadhan     KL (the mutual information)        log r + any constant         none
nwj                  KL                                 1 + log r                    none
jensen_shannon       2 JS <= min(KL, 2 log 2)           log r                        2 log 2
info_nce_bound       KL                                 log r + any f(anchor)        log(k + 1)
reverse_kl           reverse KL                         log r                        none
squared_hellinger    integral of (sqrt p - sqrt q)^2    (log r) / 2                  2
pearson_chi_squared  chi-squared divergence             2 (r - 1)                    none
===================  =================================  ===========================  ======================

Scores of 16 bits are widened to float32 before any exponential; float64 is kept. NaN in, NaN out: nothing is hidden.
An unpaired score of -inf means "this pair never occurs" and is exact: where its exponential enters, it contributes
nothing. An overflowing exponential makes `nwj`, `reverse_kl` and `squared_hellinger` -inf, which is still a lower
bound; the others stay finite, as do their gradients, for any scores whose squares are finite.

>>> import torch
>>> scores = Scores(torch.tensor([[1.0, 2.0], [2.5, 0.5]]), torch.tensor([[[0.5, -1.0]], [[0.0, 1.5]]]))
>>> for name, bound in BOUNDS.items():
...     print(f"{name:10} {bound.report(scores):9.6f} nats, at most {bound.ceiling(1):.6f}")
infonce     0.286756 nats, at most 0.693147
jsd         0.217530 nats, at most 1.386294
dv          0.916664 nats, at most inf
nwj         0.810383 nats, at most inf
reverse-kl  0.452042 nats, at most inf
hellinger  -0.172530 nats, at most 2.000000
chi2        1.031250 nats, at most inf
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from deep_infomax.contracts import Bound, Scores, Weights

# float32 elements worked on at once: on a CPU a block and its temporaries stay in a core's cache, on an accelerator
# blocks are large enough to hide the launches.
_CPU_BLOCK = 2**18
_ACCELERATOR_BLOCK = 2**26


def donsker_varadhan(scores: Scores) -> Float[Tensor, ""]:
    r"""Donsker-Varadhan lower bound on the mutual information, in nats.

    .. math:: \frac{1}{m} \sum_l \left[ \frac{1}{n} \sum_i T_{il} - \log \frac{1}{nk} \sum_{i,k} e^{T_{ikl}} \right]

    A lower bound in expectation only: the logarithm of a finite sample's mean reads high.
    Raises ValueError without unpaired scores. Source: Donsker and Varadhan, 1983; Belghazi et al., "Mutual information
    neural estimation", 2018, arXiv 1801.04062.
    """
    joint, marginal = _widened(scores)
    n, k, _ = marginal.shape
    per_anchor = _reduce(marginal, _LOG_SUM_EXP)
    per_location = _reduce(per_anchor[None], _LOG_SUM_EXP)[0] - math.log(n * k)
    return (joint.mean(0) - per_location).mean()


def nwj(scores: Scores) -> Float[Tensor, ""]:
    r"""Lower bound of Nguyen, Wainwright and Jordan on the mutual information (f-GAN's KL), in nats.

    .. math:: E_{joint}[T] - E_{marginal}[e^{T - 1}]

    Raises ValueError without unpaired scores. Source: Nguyen et al., "Estimating divergence functionals and the
    likelihood ratio by convex risk minimization", 2010, arXiv 0809.0853.
    """
    joint, marginal = _widened(scores)
    return joint.mean() - (_wide(marginal) - 1).exp().mean()


def jensen_shannon(scores: Scores) -> Float[Tensor, ""]:
    r"""Lower bound on twice the Jensen-Shannon divergence, in nats; at most 2 log 2.

    .. math:: -E_{joint}[\mathrm{softplus}(-T)] - E_{marginal}[\mathrm{softplus}(T)] + 2 \log 2

    Without the offset 2 log 2 it is minus twice the balanced binary cross-entropy of the discriminator T ("GAN"). Twice
    the divergence is below the mutual information too. Raises ValueError without unpaired scores.
    Source: Hjelm et al., "Learning deep representations by mutual information estimation and maximization", 2019,
    arXiv 1808.06670.
    """
    joint, marginal = _widened(scores)
    return 2 * math.log(2) - _softplus(-joint).mean() - _reduce(marginal, _MEAN_SOFTPLUS).mean()


def info_nce(scores: Scores) -> Float[Tensor, ""]:
    r"""InfoNCE as a loss, in nats: minimised, never negative.

    .. math:: -\frac{1}{nm} \sum_{i,l} \left[ T_{il} - \log\left(e^{T_{il}} + \sum_{k,l'} e^{T_{ikl'}}\right) \right]

    Each location of an anchor is told from all locations of the other inputs; its siblings, the anchor's other
    locations, are neither positives nor negatives. The log-sum over negatives is one per anchor, so memory is
    O(n^2 m). Minus the loss plus a constant is no bound on the mutual information when m > 1: report `info_nce_bound`.
    Raises ValueError without unpaired scores. Source: van den Oord et al., "Representation learning with contrastive
    predictive coding", 2018, arXiv 1807.03748; with many locations: Hjelm et al., 2019, arXiv 1808.06670.
    """
    return _info_nce(scores)[0]


def info_nce_bound(scores: Scores) -> Float[Tensor, ""]:
    r"""InfoNCE as a lower bound on I(Y; location drawn at random), in nats; at most log(k + 1).

    .. math::
        \frac{1}{nm} \sum_{i,l} \left[ T_{il} - \log\left(e^{T_{il}} + \sum_k \tfrac{1}{m} \sum_{l'} e^{T_{ikl'}}\right)
        \right] + \log(k + 1)

    The locations of one input are dependent, so they are averaged before the logarithm (Jensen); the training loss
    `info_nce` does not average them. Raises ValueError without unpaired scores.
    Source: van den Oord et al., 2018, arXiv 1807.03748.
    """
    return _info_nce(scores)[1]


def reverse_kl(scores: Scores) -> Float[Tensor, ""]:
    r"""Lower bound on the divergence KL(product of the marginals || joint), in nats; not on mutual information.

    .. math:: E_{joint}[-e^{-T}] - E_{marginal}[T - 1]

    Raises ValueError without unpaired scores. Source: Nowozin et al., "f-GAN", 2016, arXiv 1606.00709.
    """
    joint, marginal = _widened(scores)
    return -(-joint).exp().mean() - marginal.mean(dtype=joint.dtype) + 1


def squared_hellinger(scores: Scores) -> Float[Tensor, ""]:
    r"""Lower bound on the squared Hellinger distance, the integral of (sqrt p - sqrt q)^2; at most 2; no information.

    .. math:: E_{joint}[1 - e^{-T}] - E_{marginal}[e^T - 1]

    Both means are below 1 for any scores; the distance is 2 where the two densities do not overlap.
    Raises ValueError without unpaired scores. Source: Nowozin et al., "f-GAN", 2016, arXiv 1606.00709.
    """
    joint, marginal = _widened(scores)
    return -(-joint).expm1().mean() - _wide(marginal).expm1().mean()


def pearson_chi_squared(scores: Scores) -> Float[Tensor, ""]:
    r"""Lower bound on Pearson's chi-squared divergence E_marginal[(r - 1)^2]; not on mutual information.

    .. math:: E_{joint}[T] - E_{marginal}[T^2 / 4 + T]

    Raises ValueError without unpaired scores. Source: Nowozin et al., "f-GAN", 2016, arXiv 1606.00709.
    """
    joint, marginal = _widened(scores)
    # T^2 / 4 + T by completing the square: an unpaired score of -inf gives inf and not inf - inf.
    return joint.mean() - (_wide(marginal) / 2 + 1).square().mean() + 1


def _widened(scores: Scores) -> Scores:
    """Scores with `joint` in at least float32; `marginal`, the large one, is widened where it is used."""
    if scores.marginal.numel() == 0:
        shape = tuple(scores.marginal.shape)
        raise ValueError(f"a bound needs unpaired scores, got none (shape {shape}); use a batch of at least 2 inputs")
    return Scores(_wide(scores.joint), scores.marginal)


def _wide(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _softplus(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """log(1 + exp x); the default threshold of 20, above which it is x, is exact in float32 but not in float64."""
    return nn.functional.softplus(x, threshold=40)


def _info_nce(scores: Scores) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The loss and the bound; both need the log-sum over an anchor's negatives, which is nearly all of the work."""
    joint, marginal = _widened(scores)
    _, k, m = marginal.shape
    margin = _reduce(marginal.flatten(1)[..., None], _LOG_SUM_EXP) - joint
    return _softplus(margin).mean(), math.log(k + 1) - _softplus(margin - math.log(m)).mean()


def _weighted_info_nce(scores: Scores, weights: Weights) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The loss and the bound, which has no gradient; an anchor's ceiling counts the others with a location left."""
    joint, marginal = _widened(scores)
    share = weights.joint / weights.joint_total
    loss = (share * _softplus(_reduce(marginal.flatten(1)[..., None], _LOG_SUM_EXP) - joint)).sum()
    left = weights.marginal.sum(2)  # locations of each other piece
    averaged = marginal.detach() - left.clamp(min=1).log()[..., None]
    ceiling = (left > 0).sum(1, keepdim=True).to(joint).log1p()
    margin = _reduce(averaged.flatten(1)[..., None], _LOG_SUM_EXP) - joint.detach()
    return loss, (share * (ceiling - _softplus(margin))).sum()


def _weighted_donsker_varadhan(scores: Scores, weights: Weights) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Minus the bound and the bound, of all anchors; locations without unpaired scores are left out."""
    joint, marginal = _widened(scores)
    pairs = weights.marginal.sum((0, 1))
    per_location = _reduce(_reduce(marginal, _LOG_SUM_EXP)[None], _LOG_SUM_EXP)[0] - pairs.log()
    told = pairs > 0
    share = weights.joint * told
    value = (share * (joint - per_location.masked_fill(~told, 0))).sum() / share.sum().clamp(min=1)
    return -value, value


def _pointwise(
    paired: Callable[[Tensor], Tensor], unpaired: Callable[[Tensor], Tensor], constant: float = 0.0
) -> Callable[[Scores, Weights], tuple[Tensor, Tensor]]:
    """The form for weighted scores of a bound that is E_joint[paired] - E_marginal[unpaired] + constant."""

    def evaluate(scores: Scores, weights: Weights) -> tuple[Tensor, Tensor]:
        joint, marginal = _widened(scores)
        # What is left out is computed at 0, where every function and its slope are finite.
        of_paired = paired(joint.masked_fill(weights.joint == 0, 0)) + constant
        of_unpaired = unpaired(_wide(marginal).masked_fill(weights.marginal == 0, 0))
        value = (weights.joint * of_paired).sum() / weights.joint_total
        value = value - (weights.marginal * of_unpaired).sum() / weights.marginal_total
        return -value, value

    return evaluate


def _log_mean_exp_per_anchor(scores: Scores) -> Scores:
    """Scores with the same `donsker_varadhan`: of each anchor and location the logarithm of the unpaired mean."""
    joint, marginal = _widened(scores)
    return Scores(joint, _reduce(marginal, _LOG_SUM_EXP)[:, None] - math.log(marginal.shape[1]))


class _Reduction(NamedTuple):
    """A statistic over the middle axis of scores (rows, terms, m) and its derivative by each score."""

    value: Callable[[Tensor], Tensor]
    """From scores (rows, terms, m) to (rows, m)."""
    derivative: Callable[[Tensor, Tensor], Tensor]
    """From scores (rows, terms, m) and values (rows, 1, m) to a new tensor (rows, terms, m)."""


def _softmax(scores: Tensor, log_sum: Tensor) -> Tensor:
    # Without any finite score, the sum of exponentials is 0 and so is every weight: not exp(-inf + inf).
    return (scores - log_sum.masked_fill(log_sum == -math.inf, 0)).exp_()


_LOG_SUM_EXP = _Reduction(lambda scores: _wide(scores).logsumexp(1), _softmax)
_MEAN_SOFTPLUS = _Reduction(
    lambda scores: _softplus(_wide(scores)).mean(1),
    lambda scores, _: _wide(scores).sigmoid().div_(scores.shape[1]),
)


class _Blockwise(torch.autograd.Function):
    """A reduction computed a few rows at a time, both ways.

    Apart from the scores and their gradient, in the scores' own precision, nothing of their size is ever stored: no
    float32 copy, no exponentials.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, reduction: _Reduction) -> Tensor:
        value = torch.cat([reduction.value(block) for block in scores.split(_rows_per_block(scores))])
        ctx.save_for_backward(scores, value)
        ctx.reduction = reduction
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        scores, value = ctx.saved_tensors
        result = torch.empty_like(scores)
        pieces = (x.split(_rows_per_block(scores)) for x in (result, scores, value[:, None], gradient[:, None]))
        for out, block, block_value, block_gradient in zip(*pieces, strict=True):
            out.copy_(ctx.reduction.derivative(block, block_value).mul_(block_gradient))
        return result, None


def _rows_per_block(scores: Tensor) -> int:
    elements = _CPU_BLOCK if scores.device.type == "cpu" else _ACCELERATOR_BLOCK
    return max(1, elements // scores[0].numel())


def _reduce(scores: Float[Tensor, "rows terms m"], reduction: _Reduction) -> Float[Tensor, "rows m"]:
    result: Tensor = _Blockwise.apply(scores, reduction)
    return result


def _maximised(
    name: str,
    report: Callable[[Scores], Tensor],
    weighted: Callable[[Scores, Weights], tuple[Tensor, Tensor]],
    title: str,
    meaning: str,
    most: float = math.inf,
) -> Bound:
    def evaluate(scores: Scores) -> tuple[Tensor, Tensor]:
        value = report(scores)
        return -value, value

    return Bound(name, evaluate, ceiling=lambda k: most, title=title, meaning=meaning, weighted=weighted)


INFO_NCE = Bound(
    "infonce",
    _info_nce,
    ceiling=lambda k: math.log(k + 1),
    title="InfoNCE",
    meaning="A lower bound on the mutual information of what is scored, at most log(k + 1) against k other inputs.",
    weighted=_weighted_info_nce,
)
JENSEN_SHANNON = _maximised(
    "jsd",
    jensen_shannon,
    _pointwise(lambda t: -_softplus(-t), _softplus, 2 * math.log(2)),
    "Jensen-Shannon",
    "Twice the Jensen-Shannon divergence of paired and unpaired features, which is below the mutual information and at "
    "most 2 log 2 nats.",
    most=2 * math.log(2),
)
DONSKER_VARADHAN = _maximised(
    "dv",
    donsker_varadhan,
    _weighted_donsker_varadhan,
    "Donsker-Varadhan",
    "A lower bound on the mutual information of what is scored, without a ceiling; a finite batch makes it read high.",
)._replace(pooled=_log_mean_exp_per_anchor)
NWJ = _maximised(
    "nwj",
    nwj,
    _pointwise(lambda t: t, lambda t: (t - 1).exp()),
    "NWJ",
    "A lower bound on the mutual information of what is scored, without a ceiling.",
)
REVERSE_KL = _maximised(
    "reverse-kl",
    reverse_kl,
    _pointwise(lambda t: -(-t).exp(), lambda t: t - 1),
    "reverse KL",
    "A lower bound on the reverse KL divergence, not on the mutual information.",
)
SQUARED_HELLINGER = _maximised(
    "hellinger",
    squared_hellinger,
    _pointwise(lambda t: -(-t).expm1(), torch.expm1),
    "squared Hellinger",
    "A lower bound on the squared Hellinger distance, not on the mutual information.",
    most=2.0,
)
PEARSON_CHI_SQUARED = _maximised(
    "chi2",
    pearson_chi_squared,
    _pointwise(lambda t: t, lambda t: (t / 2 + 1).square() - 1),
    "Pearson chi-squared",
    "A lower bound on the chi-squared divergence, not on the mutual information.",
)

BOUNDS: dict[str, Bound] = {
    bound.name: bound
    for bound in (INFO_NCE, JENSEN_SHANNON, DONSKER_VARADHAN, NWJ, REVERSE_KL, SQUARED_HELLINGER, PEARSON_CHI_SQUARED)
}
"""The bounds by the names that recipes use."""
