r"""What the scores of held-out pairs say about mutual information, and how sure that is.

A matrix of scores holds those of every x with every y, the own pairs on its diagonal: the joint distribution has n
samples, the product of the marginals the n (n - 1) others. Each readout comes with its influence function, by which
each pair moves it: a readout is nearly a mean of n independent terms, so its standard error is the influence's
standard deviation over sqrt(n). As pair i takes part in other pairs both with its x and with its y, its influence on
a mean over other pairs is the sum of its row's and its column's mean, less twice the whole mean (a U-statistic).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

SMILE_CLIP = 5.0


class Readout(NamedTuple):
    """A figure in nats and what each held-out pair contributes to its error."""

    value: float
    influence: Float[Tensor, " n"]
    """Of mean 0."""


def read_out(scores: Float[Tensor, "n n"], shift: float) -> dict[str, Readout]:
    r"""The readouts by name, in nats.

    ``dv``, ``nwj`` and ``infonce`` are lower bounds, the last with a ceiling of ``log n``, ``dv`` in expectation only.
    ``smile`` clips the scores below the exponential at 5: a diagnostic of small variance, and no bound.

    .. math::
        \mathrm{dv} &= \overline{T_{ii}} - \log \overline{e^{T_{ij}}} \\
        \mathrm{nwj} &= \overline{T_{ii}} - c + 1 - \overline{e^{T_{ij} - c}} \\
        \mathrm{infonce} &= \overline{T_{ii} - \log \tfrac{1}{n} \textstyle\sum_j e^{T_{ij}}}

    Args:
        scores: Of every x (rows) with every y.
        shift: c, the logarithm of the mean of e^T over other pairs than these, such as those the critic was fitted to.

    Sources: Poole et al., "On variational bounds of mutual information", 2019, arXiv 1905.06922; Song and Ermon,
    "Understanding the limitations of variational mutual information estimators", 2020, arXiv 1910.06222.
    """
    scores = scores.float()
    n = len(scores)
    joint = scores.diagonal()
    others = others_only(scores)
    rows, columns = others.logsumexp(1), others.logsumexp(0)
    log_rows = torch.logaddexp(rows, joint)
    own_softmax = (joint - log_rows).exp()
    softmax_columns = (others - log_rows[:, None]).exp_().sum(0) + own_softmax
    nce = joint - log_rows + math.log(n)
    scale = math.log(n - 1) + shift
    row_means, column_means = (rows - scale).exp(), (columns - scale).exp()
    return {
        "dv": donsker_varadhan_readout(joint, [rows, columns], n * (n - 1)),
        "nwj": Readout(
            float(joint.mean() - shift + 1 - row_means.mean()),
            _centred(joint) - _centred(row_means) - _centred(column_means),
        ),
        "infonce": Readout(float(nce.mean()), _centred(nce) - _centred(softmax_columns)),
        "smile": read_donsker_varadhan(scores.clamp(-SMILE_CLIP, SMILE_CLIP).diagonal_scatter(joint)),
    }


def read_donsker_varadhan(scores: Float[Tensor, "n n"]) -> Readout:
    """``dv`` alone, as in `read_out`."""
    n, others = len(scores), others_only(scores)
    return donsker_varadhan_readout(scores.diagonal(), [others.logsumexp(1), others.logsumexp(0)], n * (n - 1))


def donsker_varadhan_readout(
    joint: Float[Tensor, " n"], log_sums: Sequence[Float[Tensor, " n"]], count: int
) -> Readout:
    """Donsker-Varadhan from the scores of own samples and from those of ``count`` others.

    Of the exponentials of the latter, every member of ``log_sums`` holds the log-sums by the sample that one part (the
    x, the y, a coordinate) was taken from; all have the same sum.
    """
    total = log_sums[0].logsumexp(0)
    weights = torch.stack([(log_sum - total).exp() for log_sum in log_sums]).sum(0)
    return Readout(float(joint.mean() - total) + math.log(count), _centred(joint) - _centred(len(joint) * weights))


def log_mean(scores: Float[Tensor, "n n"]) -> float:
    """Logarithm of the mean of e^T over other pairs."""
    n = len(scores)
    return float(others_only(scores.float()).logsumexp((0, 1))) - math.log(n * (n - 1))


def others_only(scores: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    """Scores with minus infinity for own pairs, which then weigh nothing in any mean of exponentials."""
    return scores.masked_fill(torch.eye(len(scores), dtype=torch.bool, device=scores.device), -math.inf)


def effective_sample_size(scores: Float[Tensor, "n n"]) -> float:
    """Pairs that carry the mean of e^T over other pairs: ``(sum e^T)^2 / sum e^(2 T)``.

    >>> effective_sample_size(torch.zeros(5, 5))
    20.0
    """
    others = others_only(scores)
    weights = (others - others.max()).exp_()
    squares = torch.linalg.vector_norm(weights, dtype=torch.double).square()
    return round(float(weights.sum(dtype=torch.double).square() / squares), 9)


def _centred(values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    return values - values.mean()
