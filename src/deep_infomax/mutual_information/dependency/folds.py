"""Critics of one fold of a dependency estimate: fitted to some samples of a variable and read out on others."""

import copy
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from deep_infomax.mutual_information.critics.fitting import (
    Fitting,
    History,
    Watch,
    batches,
    fit_critic,
    moving_donsker_varadhan,
)
from deep_infomax.mutual_information.critics.readouts import Readout, donsker_varadhan_readout
from deep_infomax.mutual_information.dependency.critics import JointCritic, MaskedCritic, Samples
from deep_infomax.mutual_information.dependency.model import Model
from deep_infomax.runtime.random_numbers import default_generator, own_random_numbers

Array = np.ndarray

SHUFFLES: Final = 100
"""Shuffles of every coordinate by itself, or other samples each one is scored with, at the readout."""
VALIDATION_SHUFFLES: Final = 8
MOST_READ: Final = 4000
"""Held-out samples of a fold that are read."""


@dataclass(frozen=True)
class JointFold:
    """The joint critic's reading of the whole dependency on an untouched fold."""

    total: Readout
    fitted: float
    """Its reading of as many of the samples that it was fitted to."""
    gain: float
    """What the network adds to the normal density on validation samples; 0 where that may be chance."""
    one_shuffle: float
    """Its reading with a single shuffle, as in the paper."""
    effective_sample_size: float
    history: History


def fit_joint(model: Model, held_out: Samples, fitting: Fitting, watch: Watch) -> JointFold:
    """Tell samples from samples whose coordinates were shuffled each by itself."""
    fitted, validated, owners = model.samples(model.fit), model.samples(model.validation), model.owners
    network = JointCritic(len(owners), model.correlations, fitting.hidden, fitting.depth).to(model.device)
    start = copy.deepcopy(network)
    order = batches(len(fitted), fitting.batch_size, default_generator(model.device))

    def draw(critic: nn.Module) -> Tensor:
        batch = fitted[next(order)]
        parts = [batch] + [_shuffled(batch, owners)[0] for _ in range(fitting.others)]
        scores: Tensor = critic(_stacked(parts))
        return scores.T

    checks = [_shuffled(validated, owners)[0] for _ in range(VALIDATION_SHUFFLES)]

    def looked(critic: nn.Module) -> Readout:
        return _pooled(critic(validated), torch.stack([critic(samples) for samples in checks], dim=1))

    history = fit_critic(network, draw, lambda critic: looked(critic).value, moving_donsker_varadhan, fitting, watch)
    with torch.no_grad():
        gain = _gain(looked(network), looked(start))
    total, one_shuffle, size = _read_joint(network, held_out, owners)
    again, _, _ = _read_joint(network, fitted[: len(held_out)], owners)
    return JointFold(total, again.value, gain, one_shuffle, size, history)


@dataclass(frozen=True)
class TermsFold:
    """The masked critic's readings of terms I(z_i; z_S) on an untouched fold."""

    terms: tuple[Readout, ...]
    """Empty where the network adds nothing to any of them."""
    fitted: tuple[float, ...]
    """Its readings of as many of the samples that it was fitted to, of the terms from ``first_compared`` on."""
    gains: tuple[float, float]
    """What the network adds to the normal density on validation samples, in the mean term before ``first_compared`` and
    in the mean term from there on; 0 where that may be chance."""
    effective_sample_size: float
    """Pairs that carry the exponential mean, in the term from ``first_compared`` on with the fewest."""
    history: History


def fit_terms(
    model: Model,
    held_out: Samples,
    factors: Int[Array, " t"],
    contexts: Bool[Array, "t d"],
    first_compared: int,
    fitting: Fitting,
    watch: Watch,
) -> TermsFold:
    """Tell a coordinate's own value in a sample from those of other samples, for every term by one network."""
    fitted, validated = model.samples(model.fit), model.samples(model.validation)
    network = MaskedCritic(
        model.owners.cpu(), torch.from_numpy(factors), torch.from_numpy(contexts), model.correlations, fitting.hidden,
        fitting.depth,
    ).to(model.device)  # fmt: skip
    start = copy.deepcopy(network)
    order = batches(len(fitted), fitting.batch_size, default_generator(model.device))
    every = (0, len(factors))

    def draw(critic: nn.Module) -> Tensor:
        return _score_terms(critic, fitted[next(order)], every, fitting.others)

    def looked(critic: nn.Module, terms: tuple[int, int]) -> Readout:
        with own_random_numbers(0, model.device):  # the same terms and partners at every look
            drawn = [_score_terms(critic, validated, terms, fitting.others) for _ in range(VALIDATION_SHUFFLES)]
        scores = torch.cat(drawn)
        return _pooled(scores[:, 0], scores[:, 1:])

    history = fit_critic(
        network, draw, lambda critic: looked(critic, every).value, moving_donsker_varadhan, fitting, watch
    )
    parts = ((0, first_compared), (first_compared, len(factors)))
    with torch.no_grad():
        gains = tuple(_gain(looked(network, part), looked(start, part)) if part[0] < part[1] else 0.0 for part in parts)
    if not any(gains):
        return TermsFold((), (), (0.0, 0.0), math.nan, history)
    read = [_read_term(network, term, held_out) for term in range(len(factors))]
    same = fitted[: len(held_out)]
    again = tuple(_read_term(network, term, same)[0].value for term in range(first_compared, len(factors)))
    size = min((size for _, size in read[first_compared:]), default=math.nan)
    return TermsFold(tuple(readout for readout, _ in read), again, (gains[0], gains[1]), size, history)


def _stacked(parts: list[Samples]) -> Samples:
    return Samples(
        torch.stack([p.inputs for p in parts]),
        torch.stack([p.normal for p in parts]),
        torch.stack([p.margins for p in parts]),
    )


def _pooled(joint: Float[Tensor, " n"], others: Float[Tensor, "n k"]) -> Readout:
    return donsker_varadhan_readout(joint, [others.logsumexp(1)], others.numel())


def _gain(trained: Readout, start: Readout) -> float:
    """What a network adds to its start, if that is more than two standard errors of the difference."""
    difference = trained.influence - start.influence
    gain = trained.value - start.value
    return gain if gain > 2 * float(difference.std()) / math.sqrt(len(difference)) else 0.0


def _score_terms(critic: nn.Module, samples: Samples, terms: tuple[int, int], others: int) -> Float[Tensor, "n k1"]:
    """For each sample and a term drawn for it, scores of its context with its own value and those of k others."""
    n = len(samples)
    device = samples.normal.device
    term = torch.randint(*terms, (n,), device=device)
    own = torch.arange(n, device=device)
    shifts = torch.cat([own[:1], torch.randperm(n - 1, device=device)[:others] + 1])
    partners = samples[(own[:, None] + shifts) % n]
    scores: Tensor = critic(term, samples, partners)
    return scores


@torch.no_grad()
def _read_term(network: MaskedCritic, term: int, samples: Samples) -> tuple[Readout, float]:
    """The readout, and its effective sample size."""
    n = len(samples)
    shifts = (torch.randperm(n - 1)[: SHUFFLES - 1] + 1).tolist()
    scores = network.rotated(term, samples, [0, *shifts])
    others = scores[:, 1:]
    # The value of sample j goes with the context of sample j - shift.
    by_value = torch.stack([column.roll(shift) for column, shift in zip(others.T, shifts, strict=True)], dim=1)
    readout = donsker_varadhan_readout(scores[:, 0], [others.logsumexp(1), by_value.logsumexp(1)], others.numel())
    size = math.exp(float(2 * others.logsumexp((0, 1)) - (2 * others).logsumexp((0, 1))))
    return readout, size


@torch.no_grad()
def _read_joint(network: JointCritic, samples: Samples, owners: Tensor) -> tuple[Readout, float, float]:
    """The readout, the same with one shuffle, and the effective sample size."""
    joint = network(samples)
    sums = torch.full_like(samples.normal, -math.inf)  # by sample and coordinate, of all shuffles so far
    totals, squares = [], []
    for _ in range(SHUFFLES):
        shuffled, places = _shuffled(samples, owners)
        scores = network(shuffled)
        back = torch.empty_like(samples.normal).scatter_(0, places, scores[:, None].expand_as(places))
        sums = torch.logaddexp(sums, back)
        totals.append(scores.logsumexp(0))
        squares.append((2 * scores).logsumexp(0))
    count = SHUFFLES * len(samples)
    readout = donsker_varadhan_readout(joint, list(sums.T), count)
    one = float(joint.mean() - totals[0]) + math.log(len(samples))
    size = math.exp(float(2 * torch.stack(totals).logsumexp(0) - torch.stack(squares).logsumexp(0)))
    return readout, one, size


def _shuffled(samples: Samples, owners: Tensor) -> tuple[Samples, Int[Tensor, "n d"]]:
    """Every coordinate shuffled by itself; and the sample that each value comes from.

    No two coordinates come from one sample, where there are as many: such values would be no draw from the product.
    """
    n, d = samples.normal.shape
    device = samples.normal.device
    order = torch.randperm(n, device=device)
    shifts = torch.randperm(max(n, d), device=device)[:d] % n
    places = order[(torch.arange(n, device=device)[:, None] + shifts) % n]
    inputs = samples.inputs.gather(0, places[:, owners])
    return Samples(inputs, samples.normal.gather(0, places), samples.margins.gather(0, places)), places
