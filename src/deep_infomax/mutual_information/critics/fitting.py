"""Training critics, watched on held-out data: the best weights are kept, the start among them.

Where the held-out figure falls far below the start, or a loss is not finite, the training has diverged: it goes on from
the best weights at a tenth of the rate. Several networks are trained in step, each with its weights in a row of one
matrix: what they share is done once, and each has its own course.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from deep_infomax.bounds import info_nce, jensen_shannon, nwj
from deep_infomax.contracts import Scores

Loss = Callable[
    [Float[Tensor, "k n p"], Float[Tensor, " k"]],
    tuple[Float[Tensor, " k"], Float[Tensor, "k n p"], Float[Tensor, " k"]],
]
"""From the scores of k critics, own pairs in the first column and others beside, and a moving average of each, NaN at
first: what each minimises, its gradient by the scores, and the average that goes on."""

LEAST_GAIN: Final = 0.002
"""Nats by which the held-out figure must grow, for patience to begin anew."""
DIVERGED: Final = 1.0
"""Nats below the start, at which a training has diverged."""
MOST_RESTARTS: Final = 3
AFTER_DIVERGENCE: Final = 0.1
AFTER_STANDSTILL: Final = 0.25
"""Share of the learning rate that a training goes on with, from its best weights."""
BETAS: Final = (0.9, 0.999)
EPSILON: Final = 1e-8
"""As in `torch.optim.AdamW`."""


@dataclass(frozen=True)
class Fitting:
    """How a critic is trained: one set of values for all data."""

    steps: int = 2500
    batch_size: int = 128
    others: int = 8
    """Other partners that each sample of a batch is scored with, redrawn at every step."""
    learning_rate: float = 2.5e-2
    weight_decay: float = 1e-2
    hidden: int = 64
    """Units of each hidden layer."""
    depth: int = 2
    """Hidden layers."""
    averaged: float = 0.1
    """Share of the steps so far that the averaged weights, which are read, reach back over."""
    checks: int = 40
    """How often the held-out data are looked at."""
    patience: int = 6
    """Looks in a row without a clearly new best after which the rate is lowered, or the training ends."""

    def __post_init__(self) -> None:
        """Reject what no training can use."""
        least = {"steps": 1, "batch_size": 2, "others": 1, "hidden": 1, "depth": 1, "checks": 1, "patience": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"`fitting.{name}` is {getattr(self, name)}; give {value} or more")


def _never() -> bool:
    """Go on to the end."""
    return False


def _silent(share: float) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Watch:
    """What a training asks between two steps."""

    stop: Callable[[], bool] = _never
    """Whether to end at once with what has been reached."""
    report: Callable[[float], None] = _silent
    """Told how much of the training is done, 0 to 1."""
    deadline: float = math.inf
    """On the clock of `time.monotonic`; the learning rate falls to zero by then."""

    def over(self) -> bool:
        """Whether there is nothing left to train in."""
        return self.stop() or time.monotonic() > self.deadline


@dataclass(frozen=True)
class History:
    """How a training went."""

    steps: tuple[int, ...]
    validation: tuple[float, ...]
    """What the held-out data read after these steps, in nats."""
    complete: bool
    """Whether the training ended by itself, and not by an interrupt, the clock or divergence."""
    diverged: bool = False
    """Whether the held-out figure was far below its start, or a loss not finite, even at the lowest rate."""

    @property
    def rising(self) -> bool:
        """Whether the held-out figure was still growing in the last quarter."""
        return self.gained_after(0.75) > max(0.02, 0.05 * max(self.validation, default=0.0))

    def gained_after(self, share: float) -> float:
        """By how much the best held-out figure is larger than the best of the first part of the training."""
        if not self.steps:
            return 0.0
        seen = zip(self.steps, self.validation, strict=True)
        return max(self.validation) - max(value for step, value in seen if step <= share * self.steps[-1])


@runtime_checkable
class Networks(Protocol):
    """Networks that are trained in step."""

    weights: Float[Tensor, "k w"]
    """The start of each."""

    def gradients(
        self, chosen: Sequence[int], weights: Float[Tensor, "c w"], average: Float[Tensor, " c"]
    ) -> tuple[Float[Tensor, " c"], Float[Tensor, "c w"], Float[Tensor, " c"]]:
        """Losses of a new batch for each of some networks, gradients by their weights, and the loss's averages."""
        ...

    def validate(self, number: int, weights: Float[Tensor, " w"]) -> float:
        """The held-out figure of a network with some weights, in nats."""
        ...

    def state(self, weights: Float[Tensor, " w"]) -> Any:
        """What is kept of the network that was validated last."""
        ...

    def load(self, weights: Float[Tensor, " w"], state: Any) -> None:
        """Go on from what was kept, in the place of some weights."""
        ...


@dataclass
class Course:
    """How one of several trainings goes."""

    rate: float
    values: list[float]
    steps: list[int] = field(default_factory=lambda: [0])
    state: Any = None
    """The best of what was looked at."""
    best: int = 0
    looked: int = 0
    """The look from which patience counts."""
    since: int = 0
    """The look at which the training last went on from the best weights."""
    first: int = 0
    """The step at which it did."""
    restarts: int = 0
    ended: bool = False
    diverged: bool = False

    def look(self, step: int, value: float, patience: int) -> bool:
        """Take a held-out figure; whether to go on from the best weights, which may be those that were looked at."""
        value = value if math.isfinite(value) else -math.inf
        self.steps.append(step)
        self.values.append(value)
        last = len(self.values) - 1
        if value > self.values[self.best]:
            self.best = last
        if self.values[self.best] > self.values[self.looked] + LEAST_GAIN:
            self.looked = self.best
        self.diverged = value < self.values[0] - DIVERGED
        if not self.diverged and last - self.looked < patience:
            return False
        self.ended = self.restarts == MOST_RESTARTS or not (self.diverged or self.looked > self.since)
        if not self.ended:
            self.rate *= AFTER_DIVERGENCE if self.diverged else AFTER_STANDSTILL
            self.looked, self.since, self.first, self.restarts = last, last, step, self.restarts + 1
        return not self.ended


def fit_networks(
    networks: Networks, rates: Sequence[float], fitting: Fitting, watch: Watch = Watch()
) -> list[tuple[History, Any]]:
    """Train with AdamW, the learning rates up over a tenth of the steps and down along a cosine.

    What is looked at are averages of the weights over the last steps, which vary less than the weights. Of each network
    the average whose held-out figure was best is kept; the start is one of them, so a critic that adds nothing but
    noise to its baseline is undone.

    Where the best has not grown by 0.002 nats for long, a training goes on from the best weights at a quarter of the
    rate. Where it diverges, that is where the held-out figure is a nat below its start or a loss is not finite, it does
    so at once and at a tenth. It ends after three of these, and where nothing was gained since the last. Nothing waits
    for a GPU between two looks.

    Args:
        networks: What is trained.
        rates: The learning rate of each.
        fitting: See `Fitting`; its rate is not used.
        watch: See `Watch`.

    Returns:
        Of each network its history, and the state that was kept.
    """
    every = max(1, fitting.steps // fitting.checks)
    weights = networks.weights
    courses = [Course(rate, [networks.validate(number, weights[number])]) for number, rate in enumerate(rates)]
    for course, start in zip(courses, weights, strict=True):
        course.state = networks.state(start)
    mean, optimizer = weights.clone(), AdamW(weights, fitting.weight_decay)
    average, losses = (weights.new_full((len(weights),), value) for value in (math.nan, 0.0))
    alive, step, share, began = list(range(len(courses))), 0, 0.0, time.monotonic()
    while alive and share < 1 and not watch.stop():
        share = max((step + 1) / fitting.steps, _elapsed_share(began, watch.deadline))
        value, gradients, average = networks.gradients(alive, weights, average)
        losses += value
        since = [step - courses[number].first for number in alive]
        rate = _factor(min(share, 1.0))
        optimizer.step(gradients, [rate * courses[number].rate for number in alive], since)
        mean.lerp_(weights, _column([1 / (1 + fitting.averaged * steps) for steps in since], weights))
        step += 1
        watch.report(min(share, 1.0))
        if step % every and share < 1:
            continue
        finite = losses.isfinite().tolist()
        for row, number in enumerate(alive):
            course = courses[number]
            found = networks.validate(number, mean[row]) if finite[row] else -math.inf
            again = course.look(step, found, fitting.patience)
            if course.best == len(course.values) - 1:
                course.state = networks.state(mean[row])
            if again:
                networks.load(weights[row], course.state)
                mean[row] = weights[row]
                optimizer.forget(row)
                average[row], losses[row] = math.nan, 0.0
        left = [row for row, number in enumerate(alive) if not courses[number].ended]
        if len(left) < len(alive):
            alive = [alive[row] for row in left]
            weights, mean, average, losses = (part[left] for part in (weights, mean, average, losses))
            optimizer = optimizer.of(left, weights)
    stopped = watch.stop()
    results = []
    for course in courses:
        diverged = course.ended and course.diverged
        complete = course.ended or (course.steps[-1] == fitting.steps and not stopped)
        history = History(tuple(course.steps), tuple(course.values), complete and not diverged, diverged)
        results.append((history, course.state))
    return results


class AdamW:
    """`torch.optim.AdamW` for rows of a matrix: for a small network most of a step of that is its bookkeeping.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, arXiv 1711.05101.
    """

    def __init__(self, weights: Float[Tensor, "k w"], decay: float) -> None:
        self.weights, self.decay = weights, decay
        self.mean, self.square = torch.zeros_like(weights), torch.zeros_like(weights)

    @torch.no_grad()
    def step(self, gradients: Float[Tensor, "k w"], rates: Sequence[float], since: Sequence[int]) -> None:
        """Change the weights in place; ``since`` says how many steps each row has made since it was forgotten."""
        self.mean.lerp_(gradients, 1 - BETAS[0])
        self.square.mul_(BETAS[1]).addcmul_(gradients, gradients, value=1 - BETAS[1])
        roots = [math.sqrt(1 - BETAS[1] ** (steps + 1)) for steps in since]
        sizes = [
            -rate * root / (1 - BETAS[0] ** (steps + 1)) for rate, root, steps in zip(rates, roots, since, strict=True)
        ]
        deviation = self.square.sqrt().add_(_column([EPSILON * root for root in roots], self.square))
        change = (self.mean / deviation).mul_(_column(sizes, self.mean))
        self.weights.mul_(_column([1 - rate * self.decay for rate in rates], self.weights)).add_(change)

    def forget(self, row: int) -> None:
        """Begin anew with a row."""
        self.mean[row], self.square[row] = 0.0, 0.0

    def of(self, rows: Sequence[int], weights: Float[Tensor, "r w"]) -> "AdamW":
        """The same of some rows, whose weights are elsewhere now."""
        some = AdamW(weights, self.decay)
        some.mean, some.square = self.mean[rows], self.square[rows]
        return some


def fit_critic(
    critic: nn.Module,
    draw: Callable[[nn.Module], Float[Tensor, "n p"]],
    validate: Callable[[nn.Module], float],
    loss: Loss,
    fitting: Fitting,
    watch: Watch = Watch(),
) -> History:
    """Train any module in place, its gradient by autograd, as `fit_networks` does; it ends with the best weights.

    Args:
        critic: The module.
        draw: A critic's scores of a new batch: own pairs in the first column, and for each of them others.
        validate: The held-out figure of a critic, in nats.
        loss: What is minimised.
        fitting: See `Fitting`.
        watch: See `Watch`.
    """
    module = _Module(critic, draw, validate, loss)
    [(history, state)] = fit_networks(module, [fitting.learning_rate], fitting, watch)
    module.load(module.weights[0], state)
    critic.eval()
    return history


class _Module:
    """One module as `Networks`: its parameters are views of the row of weights, which is changed in place."""

    def __init__(
        self,
        critic: nn.Module,
        draw: Callable[[nn.Module], Float[Tensor, "n p"]],
        validate: Callable[[nn.Module], float],
        loss: Loss,
    ) -> None:
        self.critic, self.draw, self.validator, self.loss = critic, draw, validate, loss
        if any(is_lazy(parameter) for parameter in critic.parameters()):
            with torch.no_grad():
                draw(critic)  # which makes what is yet to be made
        self.parameters = [parameter for parameter in critic.parameters() if parameter.requires_grad]
        self.weights = parameters_to_vector(self.parameters).detach()[None]
        vector_to_parameters(self.weights[0], self.parameters)
        self.averaged = copy.deepcopy(critic)
        self.mean = [parameter for parameter in self.averaged.parameters() if parameter.requires_grad]
        critic.train()

    def gradients(
        self, chosen: Sequence[int], weights: Float[Tensor, "1 w"], average: Float[Tensor, " 1"]
    ) -> tuple[Float[Tensor, " 1"], Float[Tensor, "1 w"], Float[Tensor, " 1"]]:
        """As `Networks`."""
        scores = self.draw(self.critic)
        value, of_scores, average = self.loss(scores.detach()[None], average)
        # A scalar with this gradient: PyTorch loads SymPy, for a second, where it is given gradients of outputs.
        scalar = (scores * of_scores[0]).sum()
        parts = torch.autograd.grad(scalar, self.parameters, allow_unused=True, materialize_grads=True)
        return value, torch.cat([part.flatten() for part in parts])[None], average

    def validate(self, number: int, weights: Float[Tensor, " w"]) -> float:
        """As `Networks`."""
        with torch.no_grad():
            vector_to_parameters(weights, self.mean)
            for kept, buffer in zip(self.averaged.buffers(), self.critic.buffers(), strict=True):
                kept.copy_(buffer)
            self.averaged.eval()
            return self.validator(self.averaged)

    def state(self, weights: Float[Tensor, " w"]) -> tuple[Tensor, list[Tensor]]:
        """As `Networks`."""
        return weights.clone(), [buffer.clone() for buffer in self.averaged.buffers()]

    def load(self, weights: Float[Tensor, " w"], state: tuple[Tensor, list[Tensor]]) -> None:
        """As `Networks`."""
        vector, buffers = state
        weights.copy_(vector)
        for buffer, kept in zip(self.critic.buffers(), buffers, strict=True):
            buffer.copy_(kept)


def batches(n: int, size: int, generator: torch.Generator | None = None) -> Iterator[Int[Tensor, " size"]]:
    """Endless batches of indices, none twice in a round; what is left over at its end, less than a batch, is dropped.

    They are drawn from a generator, and are on its device.
    """
    size, device = min(size, n), None if generator is None else generator.device
    while True:
        yield from torch.randperm(n, generator=generator, device=device)[: n - n % size].split(size)


def moving_donsker_varadhan(
    scores: Float[Tensor, "k n p"], average: Float[Tensor, " k"], rate: float = 0.1
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k n p"], Float[Tensor, " k"]]:
    r"""Minus the Donsker-Varadhan bound with the gradient of a moving average of the exponentials' mean.

    .. math:: -\overline{T_{joint}} + e^{\log \overline{e^T} - a}, \qquad
        a = \log\left((1 - r) e^{a'} + r \, \overline{e^T}\right)

    The gradient of the logarithm of one batch's mean is biased, that of the mean over a long average less so; a is kept
    as a logarithm, so it cannot overflow. Source: Belghazi et al., "Mutual information neural estimation", 2018,
    arXiv 1801.04062, section 3.2.

    Args:
        scores: As in `Loss`.
        average: a' of each critic, NaN at first.
        rate: r.

    Returns:
        As of a `Loss`; the gradient is what counts.
    """
    others = scores[0, :, 1:].numel()
    most = scores[:, :, 1:].amax((1, 2))
    exponentials = (scores - most[:, None, None]).exp_()
    exponentials[:, :, 0] = 0.0
    now = exponentials.sum((1, 2)).log_() + (most - math.log(others))
    moved = torch.logaddexp(average + math.log(1 - rate), now + math.log(rate))
    average = torch.where(average.isnan(), now, moved)
    gradients = exponentials.mul_((most - average).exp_().div_(others)[:, None, None])
    gradients[:, :, 0] = -1 / scores.shape[1]
    return (now - average).exp_() - scores[:, :, 0].mean(1), gradients, average


def _of_bound(bound: Callable[[Scores], Tensor], sign: int) -> Loss:
    def loss(
        scores: Float[Tensor, "k n p"], average: Float[Tensor, " k"]
    ) -> tuple[Float[Tensor, " k"], Float[Tensor, "k n p"], Float[Tensor, " k"]]:
        scores = scores.detach().requires_grad_()
        values = torch.stack([sign * bound(Scores(each[:, :1], each[:, 1:, None])) for each in scores])
        return values.detach(), torch.autograd.grad(values.sum(), scores)[0], average

    return loss


LOSSES: dict[str, Loss] = {
    "dv": moving_donsker_varadhan,
    "jsd": _of_bound(jensen_shannon, -1),
    "infonce": _of_bound(info_nce, 1),
    "nwj": _of_bound(nwj, -1),
}
"""Losses by name."""


def _factor(share: float) -> float:
    return min(1.0, 10 * share) * (1 + math.cos(math.pi * share)) / 2


def _elapsed_share(began: float, deadline: float) -> float:
    return (time.monotonic() - began) / max(deadline - began, 1e-9) if math.isfinite(deadline) else 0.0


def _column(values: Sequence[float], like: Tensor) -> Float[Tensor, "k 1"]:
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None]
