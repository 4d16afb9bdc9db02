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

from deep_infomax.bounds import info_nce, jensen_shannon, nwj
from deep_infomax.contracts import Scores

Loss = Callable[[Float[Tensor, " n"], Float[Tensor, "n k"]], Float[Tensor, ""]]
"""What is minimised, from the scores of own and of other pairs."""


DIVERGED: Final = 1.0
"""Nats below the start, at which a training has diverged."""
MOST_RESTARTS: Final = 3
AFTER_DIVERGENCE: Final = 0.1
AFTER_STANDSTILL: Final = 0.25
"""Share of the learning rate that a training goes on with, from its best weights."""


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
    """Looks in a row without a new best after which the rate is lowered, or the training ends."""

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
    draw: Callable[[nn.Module], tuple[Float[Tensor, " n"], Float[Tensor, "n k"]]],
    validate: Callable[[nn.Module], float],
    make_loss: Callable[[], Loss],
    fitting: Fitting,
    watch: Watch = Watch(),
) -> History:
    """Train in place with AdamW, the learning rate up over a tenth of the steps and down along a cosine.

    What is looked at are averages of the weights over the last steps, which vary less than the weights. The critic ends
    with the average whose held-out figure was best; the start is one of them, so a critic that adds nothing but noise
    to its baseline is undone.

    Without a new best for long the training goes on from the best weights at a quarter of the rate. Where it diverges,
    that is where the held-out figure is a nat below its start or a loss is not finite, it does so at once and at a
    tenth. It ends after three of these, and where none came since the last. Losses on a GPU are asked at a look only,
    so that between two looks nothing waits.

    Args:
        critic: The module to train.
        draw: A critic's scores of a new batch: own pairs, and for each of them k others.
        validate: The held-out figure of a critic, in nats.
        make_loss: Makes what is minimised, from a batch's scores; called again after a divergence.
        fitting: See `Fitting`.
        watch: See `Watch`.
    """
    every = max(1, fitting.steps // fitting.checks)
    steps, values = [0], [_validated(critic, validate)]
    kept, best, diverged = _copy(critic), 0, False
    looked, since, restarts = 0, 0, 0  # the looks from which patience counts, and at which the training went on
    began, step, share, rate = time.monotonic(), 0, 0.0, fitting.learning_rate
    loss, optimizer, averaged, first = make_loss(), _optimizer(critic, fitting), copy.deepcopy(critic), 0
    losses: Tensor | float = 0.0  # their sum, which is not finite once one of them was not
    while share < 1 and not watch.stop():
        share = max((step + 1) / fitting.steps, _elapsed_share(began, watch.deadline))
        optimizer.param_groups[0]["lr"] = rate * _factor(min(share, 1.0))
        critic.train()
        value = loss(*draw(critic))
        losses += value.detach()
        finite = value.device.type != "cpu" or math.isfinite(losses)
        if finite:
            value.backward()
            optimizer.step()
            optimizer.zero_grad()
            _average(averaged, critic, 1 / (1 + fitting.averaged * (step - first)))
        step += 1
        watch.report(min(share, 1.0))
        if step % every and share < 1 and finite:
            continue
        finite = finite and math.isfinite(losses)
        steps.append(step)
        values.append(_validated(averaged, validate) if finite else -math.inf)
        if values[-1] > values[best]:
            best, looked, kept = len(values) - 1, len(values) - 1, _copy(averaged)
        diverged = values[-1] < values[0] - DIVERGED
        if diverged or len(values) - 1 - looked >= fitting.patience:
            if restarts == MOST_RESTARTS or not (diverged or best > since):
                break
            critic.load_state_dict(kept)
            loss, optimizer, averaged, first = make_loss(), _optimizer(critic, fitting), copy.deepcopy(critic), step
            losses, looked, restarts = 0.0, len(values) - 1, restarts + 1
            since = looked
            rate *= AFTER_DIVERGENCE if diverged else AFTER_STANDSTILL
    critic.load_state_dict(kept)
    critic.eval()
    ended = step == fitting.steps or (share < 1 and not watch.stop())
    return History(tuple(steps), tuple(values), ended and not diverged, diverged)


def batches(n: int, size: int, device: torch.device | None = None) -> Iterator[Int[Tensor, " size"]]:
    """Endless batches of indices, none twice in a round; what is left over at its end, less than a batch, is dropped.

    Draws from torch's global generator of the device, on which they are; of the CPU without one.
    """
    size = min(size, n)
    while True:
        yield from torch.randperm(n, device=device)[: n - n % size].split(size)


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

    def __call__(self, joint: Float[Tensor, " n"], others: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """The loss of one batch; its gradient is what counts."""
        log_mean = others.flatten().logsumexp(0) - math.log(others.numel())
        now = log_mean.detach()
        if self.average is None:
            self.average = now
        self.average = torch.logaddexp(self.average + math.log(1 - self.rate), now + math.log(self.rate))
        return (log_mean - self.average).exp() - joint.mean()


def _of_bound(bound: Callable[[Scores], Tensor], sign: int) -> Loss:
    return lambda joint, others: sign * bound(Scores(joint[:, None], others[..., None]))


LOSSES: dict[str, Callable[[], Loss]] = {
    "dv": MovingDonskerVaradhan,
    "jsd": lambda: _of_bound(jensen_shannon, -1),
    "infonce": lambda: _of_bound(info_nce, 1),
    "nwj": lambda: _of_bound(nwj, -1),
}
"""Makers of losses by name."""


def _optimizer(critic: nn.Module, fitting: Fitting) -> torch.optim.Optimizer:
    return torch.optim.AdamW(critic.parameters(), fitting.learning_rate, weight_decay=fitting.weight_decay, fused=True)


def _factor(share: float) -> float:
    return min(1.0, 10 * share) * (1 + math.cos(math.pi * share)) / 2


def _elapsed_share(began: float, deadline: float) -> float:
    return (time.monotonic() - began) / max(deadline - began, 1e-9) if math.isfinite(deadline) else 0.0


@torch.no_grad()
def _average(averaged: nn.Module, critic: nn.Module, weight: float) -> None:
    """Move averaged parameters a share of the way to a critic's; its buffers are taken as they are."""
    for mean, parameter in zip(averaged.parameters(), critic.parameters(), strict=True):
        mean.lerp_(parameter, weight)
    for kept, buffer in zip(averaged.buffers(), critic.buffers(), strict=True):
        kept.copy_(buffer)


def _validated(critic: nn.Module, validate: Callable[[nn.Module], float]) -> float:
    critic.eval()
    with torch.no_grad():
        value = validate(critic)
    return value if math.isfinite(value) else -math.inf


def _copy(critic: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in critic.state_dict().items()}
