"""Critics of one variable: how much likelier a sample is than coordinates drawn each by itself.

Both add a network, whose output starts at zero, to the log-ratio of a normal model. Small directions, in which
coordinates that depend strongly hardly vary, are too small for a network to see in its inputs: it also reads a sample's
whitened coordinates, or how far a value is from the normal model's mean, in the deviations of that model.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from deep_infomax.mutual_information.dependency.correlations import conditionals

Array = np.ndarray

COLLINEAR: Final = 0.2
"""Smallest eigenvalue of correlations, below which whitened coordinates are read, too."""


@dataclass(frozen=True)
class Samples:
    """Samples as critics read them."""

    inputs: Float[Tensor, "*n f"]
    """Inputs of a network."""
    normal: Float[Tensor, "*n d"]
    """Coordinates of mean 0 and variance 1, which the normal model reads."""
    margins: Float[Tensor, "*n d"]
    """The log-density of each of these by itself, less that of a standard normal variable."""

    def __getitem__(self, index: slice | Tensor) -> "Samples":
        """Some of the samples."""
        return Samples(self.inputs[index], self.normal[index], self.margins[index])

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.normal)


class JointCritic(nn.Module):
    """Scores samples as a whole.

    Args:
        size: Inputs of the network.
        correlations: Of the normal model.
        hidden: Units of each hidden layer.
        depth: Hidden layers.

    >>> JointCritic(6, np.eye(3))(Samples(torch.randn(4, 6), torch.randn(4, 3), torch.zeros(4, 3))).tolist()
    [0.0, 0.0, 0.0, 0.0]
    """

    precision: Tensor
    whitening: Tensor

    def __init__(self, size: int, correlations: Float[Array, "d d"], hidden: int = 64, depth: int = 2) -> None:
        super().__init__()
        precision = np.linalg.inv(correlations) - np.eye(len(correlations))
        self.register_buffer("precision", torch.from_numpy(precision).float())
        values, vectors = np.linalg.eigh(correlations)
        collinear = values < COLLINEAR
        whitening = vectors[:, collinear] / np.sqrt(values[collinear])
        self.register_buffer("whitening", torch.from_numpy(whitening).float())
        sizes = [size + 2 * int(collinear.sum())] + [hidden] * depth
        layers = [(nn.Linear(i, o), nn.ReLU()) for i, o in pairwise(sizes)]
        self.body = nn.Sequential(*(part for layer in layers for part in layer))
        self.last = _silent(hidden)

    def forward(self, samples: Samples) -> Float[Tensor, "*n"]:
        """Scores of samples, up to a constant."""
        normal = samples.normal
        # Shuffled samples are far out in small directions, so what a network reads of these grows ever more slowly.
        small = (normal @ self.whitening).asinh()
        inputs = torch.cat([samples.inputs, small, small.square()], dim=-1)
        base = -(normal @ self.precision * normal).sum(-1) / 2 - samples.margins.sum(-1)
        scores: Tensor = self.last(self.body(inputs))[..., 0] + base
        return scores


class MaskedCritic(nn.Module):
    r"""One network for many terms: how well a value of coordinate i goes with the coordinates in a context S.

    .. math:: T_t(z'_i, z_S) = w^T \, \mathrm{MLP}(A\,(m_S \odot z) + B\,(m_i \odot z') + c\,r + e_t)
        + \log \frac{N(z'_i; \mu_t(z_S), v_t)}{p(z'_i)}, \qquad
        r = \operatorname{asinh} \frac{z'_i - \mu_t(z_S)}{\sqrt{v_t}}

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
        self.residual = nn.Linear(1, hidden, bias=False)
        self.term = nn.Embedding(len(factors), hidden)
        self.hidden = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(depth - 1))
        self.last = _silent(hidden)

    def forward(self, term: Int[Tensor, " r"], samples: Samples, others: Samples) -> Float[Tensor, "r k"]:
        """For each row and its term, scores of one sample's context with the values of k samples, ``others`` (r, k)."""
        context = self.context(samples.inputs * self.context_inputs[term]) + self.term(term)
        values = self.value(others.inputs * self.factor_inputs[term][:, None])
        means = (samples.normal * self.weights[term]).sum(1)
        place = self.factors[term][:, None, None].expand(-1, others.normal.shape[1], 1)
        own, margins = (part.gather(2, place)[..., 0] for part in (others.normal, others.margins))
        variance = self.variances[term][:, None]
        return self._scores(context[:, None] + values, own, means[:, None], variance) - margins

    def rotated(self, term: int, samples: Samples, shifts: list[int]) -> Float[Tensor, "n k"]:
        """For one term, scores of each sample's context with the values of the samples some places further on."""
        context = self.context(samples.inputs * self.context_inputs[term]) + self.term.weight[term]
        values = self.value(samples.inputs * self.factor_inputs[term])
        means, variance = samples.normal @ self.weights[term], self.variances[term]
        own, margins = (part[:, self.factors[term]] for part in (samples.normal, samples.margins))
        scores = [
            self._scores(context + values.roll(-shift, 0), own.roll(-shift), means, variance) - margins.roll(-shift)
            for shift in shifts
        ]
        return torch.stack(scores, dim=1)

    def _scores(self, hidden: Float[Tensor, "*n h"], value: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """The network, and the logarithm of N(value; mean, variance) / N(value; 0, 1)."""
        squares = (value - mean).square() / variance
        residual = ((value - mean) * variance.rsqrt()).asinh()
        hidden = (hidden + self.residual(residual[..., None])).relu_()
        for layer in self.hidden:
            hidden = layer(hidden).relu_()
        network: Tensor = self.last(hidden)[..., 0]
        return network + (value.square() - squares - variance.log()) / 2


def _silent(units: int) -> nn.Linear:
    """A last layer whose output starts at zero, without a constant, as that would change no estimate."""
    layer = nn.Linear(units, 1, bias=False)
    nn.init.zeros_(layer.weight)
    return layer
