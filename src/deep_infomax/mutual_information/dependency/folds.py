"""One fold of a dependency estimate: critics fitted to some samples of a variable and read out on others."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from deep_infomax.mutual_information.dependency.correlations import fit_correlations, normal_log_ratio
from deep_infomax.mutual_information.dependency.critics import JointCritic, MaskedCritic
from deep_infomax.mutual_information.fitting import Fitting, History, MovingDonskerVaradhan, Watch, batches, fit_critic
from deep_infomax.mutual_information.folds import held_back
from deep_infomax.mutual_information.pairing import ColumnReader, fit_reader
from deep_infomax.mutual_information.readouts import Readout, donsker_varadhan_readout
from deep_infomax.mutual_information.structure import independent
from deep_infomax.runtime.random_numbers import own_random_numbers

Array = np.ndarray

SHUFFLES: Final = 100
"""Shuffles of every coordinate by itself, or other samples each one is scored with, at the readout."""
VALIDATION_SHUFFLES: Final = 8
MOST_READ: Final = 4000
"""Held-out samples of a fold that are read."""


@dataclass(frozen=True)
class Samples:
    """Samples as critics read them."""

    inputs: Float[Tensor, "*n f"]
    """Inputs of a network."""
    normal: Float[Tensor, "*n d"]
    """Standard normal coordinates, which the normal model reads."""

    def __getitem__(self, index: slice | Tensor) -> "Samples":
        """Some of the samples."""
        return Samples(self.inputs[index], self.normal[index])

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.normal)


@dataclass(frozen=True)
class Model:
    """What is fitted before any network: how samples are read, and their correlations."""

    reader: ColumnReader
    correlations: Float[Array, "d d"]
    fitted: Samples
    validated: Samples
    device: torch.device

    def samples(self, z: Float[Array, "n d"]) -> Samples:
        """Any samples of the variable."""
        return _read(self.reader, z, self.device)

    @property
    def owners(self) -> Int[Tensor, " f"]:
        """The coordinate that each input of a network comes from."""
        return torch.from_numpy(self.reader.owners(len(self.correlations))).to(self.device)

    @property
    def determined(self) -> bool:
        """Whether some coordinate is a function of the others, as far as the normal model sees."""
        return bool(np.linalg.eigvalsh(self.correlations)[0] < 1e-5)


def fit_model(
    z: Float[Array, "n d"], rest: Int[Array, " f"], ranks: bool, fitting: Fitting, device: torch.device
) -> Model:
    """Fit ranks and correlations to the samples of ``rest``, apart from a validation part."""
    validation, fit = held_back(rest, fitting, independent(len(z)))
    reader = fit_reader(z[fit], ranks)
    fitted, validated = (_read(reader, z[rows], device) for rows in (fit, validation))
    correlations = fit_correlations(*(part.normal.cpu().numpy().astype(np.float64) for part in (fitted, validated)))
    return Model(reader, correlations, fitted, validated, device)


@dataclass(frozen=True)
class JointFold:
    """The joint critic's reading of the whole dependency on an untouched fold."""

    total: Readout
    fitted: float
    """Its reading of as many of the samples that it was fitted to."""
    one_shuffle: float
    """Its reading with a single shuffle, as in the paper."""
    effective_sample_size: float
    history: History


def fit_joint(model: Model, held_out: Samples, fitting: Fitting, watch: Watch) -> JointFold:
    """Tell samples from samples whose coordinates were shuffled each by itself."""
    fitted, validated, owners = model.fitted, model.validated, model.owners
    network = JointCritic(len(owners), model.correlations, fitting.hidden, fitting.depth).to(model.device)
    order = batches(len(fitted), fitting.batch_size, model.device)

    def draw(critic: nn.Module) -> tuple[Tensor, Tensor]:
        batch = fitted[next(order)]
        parts = [batch] + [_shuffled(batch, owners)[0] for _ in range(fitting.others)]
        scores = critic(torch.stack([p.inputs for p in parts]), torch.stack([p.normal for p in parts]))
        return scores[0], scores[1:].T

    checks = [_shuffled(validated, owners)[0] for _ in range(VALIDATION_SHUFFLES)]

    def validate(critic: nn.Module) -> float:
        others = torch.cat([critic(samples.inputs, samples.normal) for samples in checks])
        joint = critic(validated.inputs, validated.normal)
        return float(joint.mean() - others.logsumexp(0)) + math.log(len(others))

    history = fit_critic(network, draw, validate, MovingDonskerVaradhan(), fitting, watch)
    total, one_shuffle, size = _read_joint(network, held_out, owners)
    again, _, _ = _read_joint(network, fitted[: len(held_out)], owners)
    return JointFold(total, again.value, one_shuffle, size, history)


@dataclass(frozen=True)
class TermsFold:
    """The masked critic's readings of terms I(z_i; z_S) on an untouched fold."""

    terms: tuple[Readout, ...]
    fitted: tuple[float, ...]
    """Its readings of as many of the samples that it was fitted to, of the terms from ``first_compared`` on."""
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
    fitted, validated = model.fitted, model.validated
    network = MaskedCritic(
        model.owners.cpu(), torch.from_numpy(factors), torch.from_numpy(contexts), model.correlations, fitting.hidden,
        fitting.depth,
    ).to(model.device)  # fmt: skip
    order = batches(len(fitted), fitting.batch_size, model.device)

    def draw(critic: nn.Module) -> tuple[Tensor, Tensor]:
        return _score_terms(critic, fitted[next(order)], len(factors), fitting.others)

    def validate(critic: nn.Module) -> float:
        with own_random_numbers(0, model.device):  # the same terms and partners at every look
            drawn = [_score_terms(critic, validated, len(factors), fitting.others) for _ in range(VALIDATION_SHUFFLES)]
        joint, others = (torch.cat(scores) for scores in zip(*drawn, strict=True))
        return float(joint.mean() - others.flatten().logsumexp(0)) + math.log(others.numel())

    history = fit_critic(network, draw, validate, MovingDonskerVaradhan(), fitting, watch)
    terms = tuple(_read_term(network, term, held_out) for term in range(len(factors)))
    same = fitted[: len(held_out)]
    again = tuple(_read_term(network, term, same).value for term in range(first_compared, len(factors)))
    return TermsFold(terms, again, history)


def read_normal(model: Model, held_out: Samples) -> Readout:
    """What the normal model alone reads: the mean of its log-ratio, a lower bound for normal coordinates."""
    normal = held_out.normal.cpu().numpy().astype(np.float64)
    ratios = torch.from_numpy(normal_log_ratio(normal, model.correlations))
    return Readout(float(ratios.mean()), ratios - ratios.mean())


def _score_terms(
    critic: nn.Module, samples: Samples, terms: int, others: int
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n k"]]:
    """For each sample and a term drawn for it, scores of its context with its own value and those of k others."""
    n = len(samples)
    device = samples.normal.device
    term = torch.randint(terms, (n,), device=device)
    own = torch.arange(n, device=device)
    shifts = torch.cat([own[:1], torch.randperm(n - 1, device=device)[:others] + 1])
    partners = samples[(own[:, None] + shifts) % n]
    scores = critic(term, samples.inputs, samples.normal, partners.inputs, partners.normal)
    return scores[:, 0], scores[:, 1:]


@torch.no_grad()
def _read_term(network: MaskedCritic, term: int, samples: Samples) -> Readout:
    n = len(samples)
    shifts = (torch.randperm(n - 1)[: SHUFFLES - 1] + 1).tolist()
    scores = network.rotated(term, samples.inputs, samples.normal, [0, *shifts])
    others = scores[:, 1:]
    # The value of sample j goes with the context of sample j - shift.
    by_value = torch.stack([column.roll(shift) for column, shift in zip(others.T, shifts, strict=True)], dim=1)
    return donsker_varadhan_readout(scores[:, 0], [others.logsumexp(1), by_value.logsumexp(1)], others.numel())


@torch.no_grad()
def _read_joint(network: JointCritic, samples: Samples, owners: Tensor) -> tuple[Readout, float, float]:
    """The readout, the same with one shuffle, and the effective sample size."""
    joint = network(samples.inputs, samples.normal)
    sums = torch.full_like(samples.normal, -math.inf)  # by sample and coordinate, of all shuffles so far
    totals, squares = [], []
    for _ in range(SHUFFLES):
        shuffled, places = _shuffled(samples, owners)
        scores = network(shuffled.inputs, shuffled.normal)
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
    return Samples(samples.inputs.gather(0, places[:, owners]), samples.normal.gather(0, places)), places


def _read(reader: ColumnReader, z: Float[Array, "n d"], device: torch.device) -> Samples:
    normal = reader.to_normal(z)
    return Samples(reader(z, normal).to(device), torch.from_numpy(normal.astype(np.float32)).to(device))
