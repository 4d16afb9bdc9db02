"""Training a critic, watched on held-out data: the best weights are kept, its start among them.

Where the held-out figure falls far below the start, or a loss is not finite, the training has diverged: it goes on from
the best weights at a tenth of the rate.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from deep_infomax.bounds import info_nce, jensen_shannon, nwj
from deep_infomax.contracts import Scores

Loss = Callable[[Float[Tensor, "n k1"]], tuple[Float[Tensor, ""], Float[Tensor, "n k1"]]]
"""What is minimised, and its gradient, from scores without one: of own pairs in the first column, of others beside."""

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


def fit_critic(
    critic: nn.Module,
    draw: Callable[[nn.Module], Float[Tensor, "n k1"]],
    validate: Callable[[nn.Module], float],
    make_loss: Callable[[], Loss],
    fitting: Fitting,
    watch: Watch = Watch(),
) -> History:
    """Train in place with AdamW, the learning rate up over a tenth of the steps and down along a cosine.

    What is looked at are averages of the weights over the last steps, which vary less than the weights. The critic ends
    with the average whose held-out figure was best; the start is one of them, so a critic that adds nothing but noise
    to its baseline is undone.

    Where the best has not grown by 0.002 nats for long, the training goes on from the best weights at a quarter of the
    rate. Where it diverges, that is where the held-out figure is a nat below its start or a loss is not finite, it does
    so at once and at a tenth. It ends after three of these, and where nothing was gained since the last. Losses on a
    GPU are asked at a look only, so that between two looks nothing waits.

    Args:
        critic: The module to train.
        draw: A critic's scores of a new batch: own pairs in the first column, and for each of them k others.
        validate: The held-out figure of a critic, in nats.
        make_loss: Makes what is minimised, from a batch's scores; called again after a divergence.
        fitting: See `Fitting`.
        watch: See `Watch`.
    """
    every = max(1, fitting.steps // fitting.checks)
    steps, values = [0], [_validated(critic, validate)]
    kept, best, diverged = _copy(critic), 0, False
    looked, since, restarts = 0, 0, 0  # the looks from which patience counts, and at which the training went on
    began, step, share, rate, first = time.monotonic(), 0, 0.0, fitting.learning_rate, 0
    averaged = copy.deepcopy(critic)
    weights, mean = Weights(critic), Weights(averaged)
    loss, optimizer = make_loss(), AdamW(weights.vector, fitting.weight_decay)
    losses: Tensor | float = 0.0  # their sum, which is not finite once one of them was not
    critic.train()
    while share < 1 and not watch.stop():
        share = max((step + 1) / fitting.steps, _elapsed_share(began, watch.deadline))
        scores = draw(critic)
        value, of_scores = loss(scores.detach())
        losses += value
        finite = value.device.type != "cpu" or math.isfinite(losses)
        if finite:
            optimizer.step(weights.gradient(scores, of_scores), rate * _factor(min(share, 1.0)))
            mean.vector.lerp_(weights.vector, 1 / (1 + fitting.averaged * (step - first)))
        step += 1
        watch.report(min(share, 1.0))
        if step % every and share < 1 and finite:
            continue
        finite = finite and math.isfinite(losses)
        steps.append(step)
        _take_buffers(averaged, critic)
        values.append(_validated(averaged, validate) if finite else -math.inf)
        if values[-1] > values[best]:
            best, kept = len(values) - 1, _copy(averaged)
        if values[best] > values[looked] + LEAST_GAIN:
            looked = best
        diverged = values[-1] < values[0] - DIVERGED
        if diverged or len(values) - 1 - looked >= fitting.patience:
            if restarts == MOST_RESTARTS or not (diverged or looked > since):
                break
            critic.load_state_dict(kept)
            mean.vector.copy_(weights.vector)
            loss, optimizer, first = make_loss(), AdamW(weights.vector, fitting.weight_decay), step
            losses, restarts = 0.0, restarts + 1
            looked = since = len(values) - 1
            rate *= AFTER_DIVERGENCE if diverged else AFTER_STANDSTILL
    critic.load_state_dict(kept)
    critic.eval()
    ended = step == fitting.steps or (share < 1 and not watch.stop())
    return History(tuple(steps), tuple(values), ended and not diverged, diverged)


class Weights:
    """The parameters of a module that are trained, as views of one vector, which is changed in their place."""

    def __init__(self, module: nn.Module) -> None:
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self.vector = parameters_to_vector(self.parameters).detach()
        vector_to_parameters(self.vector, self.parameters)

    def gradient(self, outputs: Tensor, of_outputs: Tensor) -> Float[Tensor, " w"]:
        """The gradient of something by all of them, from its gradient by what they are computed to."""
        # A scalar with this gradient: PyTorch loads SymPy, for a second, where it is given gradients of outputs.
        scalar = (outputs * of_outputs).sum()
        parts = torch.autograd.grad(scalar, self.parameters, allow_unused=True, materialize_grads=True)
        return torch.cat([part.flatten() for part in parts])


class AdamW:
    """`torch.optim.AdamW` for one vector: for a small network most of a step of that is its bookkeeping.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, arXiv 1711.05101.
    """

    def __init__(self, weights: Float[Tensor, " w"], decay: float) -> None:
        self.weights, self.decay, self.steps = weights, decay, 0
        self.mean, self.square = torch.zeros_like(weights), torch.zeros_like(weights)

    @torch.no_grad()
    def step(self, gradient: Float[Tensor, " w"], rate: float) -> None:
        """Change the weights in place."""
        self.steps += 1
        self.mean.lerp_(gradient, 1 - BETAS[0])
        self.square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        deviation = (self.square / (1 - BETAS[1] ** self.steps)).sqrt_().add_(EPSILON)
        self.weights.mul_(1 - rate * self.decay)
        self.weights.addcdiv_(self.mean, deviation, value=-rate / (1 - BETAS[0] ** self.steps))


def batches(n: int, size: int, generator: torch.Generator | None = None) -> Iterator[Int[Tensor, " size"]]:
    """Endless batches of indices, none twice in a round; what is left over at its end, less than a batch, is dropped.

    They are drawn from a generator, and are on its device.
    """
    size, device = min(size, n), None if generator is None else generator.device
    while True:
        yield from torch.randperm(n, generator=generator, device=device)[: n - n % size].split(size)


class MovingDonskerVaradhan:
    r"""Minus the Donsker-Varadhan bound with the gradient of a moving average of the exponentials' mean.

    .. math:: -\overline{T_{joint}} + e^{\log \overline{e^T} - a}, \qquad
        a = \log\left((1 - r) e^{a'} + r \, \overline{e^T}\right)

    The gradient of the logarithm of one batch's mean is biased, that of the mean over a long average less so; a is kept
    as a logarithm, so it cannot overflow. Source: Belghazi et al., "Mutual information neural estimation", 2018,
    arXiv 1801.04062, section 3.2.
    """

    def __init__(self, rate: float = 0.1) -> None:
        self.rate = rate
        self.average: Tensor | None = None

    def __call__(self, scores: Float[Tensor, "n k1"]) -> tuple[Float[Tensor, ""], Float[Tensor, "n k1"]]:
        """The loss of one batch and its gradient, which is what counts."""
        n, most = scores[:, 1:].numel(), scores[:, 1:].max()
        exponentials = (scores - most).exp_()
        exponentials[:, 0] = 0.0
        now = exponentials.sum().log_() + (most - math.log(n))
        if self.average is None:
            self.average = now
        self.average = torch.logaddexp(self.average + math.log(1 - self.rate), now + math.log(self.rate))
        gradient = exponentials.mul_((most - self.average).exp_().div_(n))
        gradient[:, 0] = -1 / len(scores)
        return (now - self.average).exp_() - scores[:, 0].mean(), gradient


def _of_bound(bound: Callable[[Scores], Tensor], sign: int) -> Loss:
    def loss(scores: Float[Tensor, "n k1"]) -> tuple[Float[Tensor, ""], Float[Tensor, "n k1"]]:
        scores = scores.detach().requires_grad_()
        value = sign * bound(Scores(scores[:, :1], scores[:, 1:, None]))
        return value.detach(), torch.autograd.grad(value, scores)[0]

    return loss


LOSSES: dict[str, Callable[[], Loss]] = {
    "dv": MovingDonskerVaradhan,
    "jsd": lambda: _of_bound(jensen_shannon, -1),
    "infonce": lambda: _of_bound(info_nce, 1),
    "nwj": lambda: _of_bound(nwj, -1),
}
"""Makers of losses by name."""


def _factor(share: float) -> float:
    return min(1.0, 10 * share) * (1 + math.cos(math.pi * share)) / 2


def _elapsed_share(began: float, deadline: float) -> float:
    return (time.monotonic() - began) / max(deadline - began, 1e-9) if math.isfinite(deadline) else 0.0


def _take_buffers(averaged: nn.Module, critic: nn.Module) -> None:
    """Copy buffers, which are no averages, from a critic."""
    for kept, buffer in zip(averaged.buffers(), critic.buffers(), strict=True):
        kept.copy_(buffer)


def _validated(critic: nn.Module, validate: Callable[[nn.Module], float]) -> float:
    critic.eval()
    with torch.no_grad():
        value = validate(critic)
    return value if math.isfinite(value) else -math.inf


def _copy(critic: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in critic.state_dict().items()}
