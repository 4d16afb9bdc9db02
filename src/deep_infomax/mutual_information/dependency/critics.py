"""Critics of one variable: how much likelier a sample is than coordinates drawn each by itself.

Both add a network, whose output starts at zero, to the log-ratio of a normal model. They read a sample twice: as the
inputs of the network, and as the standard normal coordinates of the normal model.
"""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from deep_infomax.mutual_information.dependency.correlations import conditionals

Array = np.ndarray


class JointCritic(nn.Module):
    """Scores samples as a whole.

    Args:
        size: Inputs of the network.
        correlations: Of the normal model.
        hidden: Units of each hidden layer.
        depth: Hidden layers.

    >>> JointCritic(6, np.eye(3))(torch.randn(4, 6), torch.randn(4, 3))
    tensor([0., 0., 0., 0.], grad_fn=<SubBackward0>)
    """

    precision: Tensor

    def __init__(self, size: int, correlations: Float[Array, "d d"], hidden: int = 64, depth: int = 2) -> None:
        super().__init__()
        precision = np.linalg.inv(correlations) - np.eye(len(correlations))
        self.register_buffer("precision", torch.from_numpy(precision).float())
        sizes = [size] + [hidden] * depth
        layers = [(nn.Linear(i, o), nn.ReLU()) for i, o in pairwise(sizes)]
        self.body = nn.Sequential(*(part for layer in layers for part in layer))
        self.last = _silent(hidden)

    def forward(self, inputs: Float[Tensor, "*n f"], normal: Float[Tensor, "*n d"]) -> Float[Tensor, "*n"]:
        """Scores of samples, up to a constant."""
        scores: Tensor = self.last(self.body(inputs))[..., 0] - (normal @ self.precision * normal).sum(-1) / 2
        return scores


class MaskedCritic(nn.Module):
    r"""One network for many terms: how well a value of coordinate i goes with the coordinates in a context S.

    .. math:: T_t(z'_i, z_S) = w^T \, \mathrm{MLP}(A\,(m_S \odot z) + B\,(m_i \odot z') + e_t)
        + \log \frac{N(z'_i; \mu_t(z_S), v_t)}{N(z'_i; 0, 1)}

    with masks m and a learnt vector e for every term t = (i, S); z and z' are two samples, or one.

    Args:
        owners: The coordinate that each input of the network comes from.
        factors: The coordinate i of each term.
        contexts: The context S of each term, as a mask of the coordinates.
        correlations: Of the normal model.
        hidden: Units of each hidden layer.
        depth: Hidden layers.
    """

    factors: Tensor
    factor_inputs: Tensor
    context_inputs: Tensor
    weights: Tensor
    variances: Tensor

    def __init__(
        self,
        owners: Int[Tensor, " f"],
        factors: Int[Tensor, " t"],
        contexts: Bool[Tensor, "t d"],
        correlations: Float[Array, "d d"],
        hidden: int = 64,
        depth: int = 2,
    ) -> None:
        super().__init__()
        weights, variances = conditionals(correlations, factors.numpy(), contexts.numpy())
        for name, buffer in {
            "factors": factors,
            "factor_inputs": (owners == factors[:, None]).float(),
            "context_inputs": contexts[:, owners].float(),
            "weights": torch.from_numpy(weights).float(),
            "variances": torch.from_numpy(variances).float(),
        }.items():
            self.register_buffer(name, buffer)
        self.context, self.value = nn.Linear(len(owners), hidden), nn.Linear(len(owners), hidden, bias=False)
        self.term = nn.Embedding(len(factors), hidden)
        self.hidden = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(depth - 1))
        self.last = _silent(hidden)

    def forward(
        self,
        term: Int[Tensor, " r"],
        inputs: Float[Tensor, "r f"],
        normal: Float[Tensor, "r d"],
        other_inputs: Float[Tensor, "r k f"],
        other_normal: Float[Tensor, "r k d"],
    ) -> Float[Tensor, "r k"]:
        """For each row and its term, scores of one sample's context with the values of k samples."""
        context = self.context(inputs * self.context_inputs[term]) + self.term(term)
        values = self.value(other_inputs * self.factor_inputs[term][:, None])
        means = (normal * self.weights[term]).sum(1)
        own = other_normal.gather(2, self.factors[term][:, None, None].expand(-1, other_normal.shape[1], 1))[..., 0]
        return self._network(context[:, None], values) + _log_ratio(own, means[:, None], self.variances[term][:, None])

    def rotated(
        self, term: int, inputs: Float[Tensor, "n f"], normal: Float[Tensor, "n d"], shifts: list[int]
    ) -> Float[Tensor, "n k"]:
        """For one term, scores of each sample's context with the values of the samples some places further on."""
        context = self.context(inputs * self.context_inputs[term]) + self.term.weight[term]
        values = self.value(inputs * self.factor_inputs[term])
        means, own, variance = normal @ self.weights[term], normal[:, self.factors[term]], self.variances[term]
        scores = [
            self._network(context[:, None], values.roll(-shift, 0)[:, None])[:, 0]
            + _log_ratio(own.roll(-shift), means, variance)
            for shift in shifts
        ]
        return torch.stack(scores, dim=1)

    def _network(self, context: Float[Tensor, "r 1 h"], value: Float[Tensor, "r k h"]) -> Float[Tensor, "r k"]:
        hidden = (context + value).relu_()
        for layer in self.hidden:
            hidden = layer(hidden).relu_()
        scores: Tensor = self.last(hidden)[..., 0]
        return scores


def _log_ratio(value: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Logarithm of N(value; mean, variance) / N(value; 0, 1)."""
    return (value.square() - (value - mean).square() / variance - variance.log()) / 2


def _silent(units: int) -> nn.Linear:
    """A last layer whose output starts at zero, without a constant, as that would change no estimate."""
    layer = nn.Linear(units, 1, bias=False)
    nn.init.zeros_(layer.weight)
    return layer
