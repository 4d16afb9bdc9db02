"""The networks that are tried for a pairing: each is trained, and validation pairs choose one, or none."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor, nn

from deep_infomax.bounds import info_nce_bound
from deep_infomax.contracts import Scores
from deep_infomax.mutual_information.critics import SomeInputs, ZeroCritic
from deep_infomax.mutual_information.fitting import LOSSES, Fitting, History, Watch, batches, fit_critic
from deep_infomax.mutual_information.pairing import ColumnPairing, Columns, Pairs
from deep_infomax.mutual_information.readouts import read_out
from deep_infomax.mutual_information.scoring import chosen_in_parts, chosen_scores, derangements, score_matrix

VALIDATION_OTHERS: Final = 64
LOW_DIMENSION: Final = 16
"""Coordinates of x and y together, above which a network has a separable part beside the concatenated one."""
ENOUGH_PER_COORDINATE: Final = 50
"""Samples for each coordinate, from which on a network of all is tried beside one of some."""
HIGH_DIMENSION_RATE: Final = 0.1
"""Share of the learning rate that such a network is trained with."""


@dataclass(frozen=True)
class Trial:
    """A network and the share of the learning rate that it is trained with."""

    network: nn.Module
    rate: float = 1.0


@dataclass(frozen=True)
class Outcome:
    """What trials came to."""

    network: nn.Module
    """The one that validation pairs chose; a `ZeroCritic` where none reads more than the baseline."""
    history: History
    gain: float
    """How much more than the baseline it reads on validation pairs, in nats; 0 of a `ZeroCritic`."""


def trials_of(pairing: ColumnPairing, n: int, fitting: Fitting) -> list[Trial]:
    """A network of all columns, after one of those that depend on one another pair by pair, where these are some.

    With such a one, that of all is tried only where n samples are enough to find more among so many.
    """
    everything = _trial(pairing, fitting, None)
    if pairing.few is None:
        return [everything]
    enough = n >= ENOUGH_PER_COORDINATE * pairing.coordinates(None)
    return [_trial(pairing, fitting, pairing.few), *([everything] if enough else [])]


def run_trials(
    trials: Sequence[Trial],
    fitted: Pairs,
    validated: Pairs,
    loss: str,
    fitting: Fitting,
    generator: torch.Generator,
    watch: Watch,
) -> Outcome:
    """Train all networks, which share the time between them, and keep the one that reads most on validation pairs."""
    histories = [
        _train(trial, fitted, validated, loss, fitting, generator, _part(watch, number, len(trials)))
        for number, trial in enumerate(trials)
    ]
    baseline = read_out(validated.baseline(), 0.0)
    kept = Outcome(ZeroCritic(), histories[-1], 0.0)
    for trial, history in zip(trials, histories, strict=True):
        trained = read_out(score_matrix(trial.network, validated), 0.0)
        name = _decisive(loss)
        gain = trained[name].value - baseline[name].value
        error = float((trained[name].influence - baseline[name].influence).std()) / math.sqrt(len(validated))
        if gain > max(error, kept.gain):
            kept = Outcome(trial.network, history, gain)
    return kept


def _trial(pairing: ColumnPairing, fitting: Fitting, few: Columns | None) -> Trial:
    inputs = [torch.from_numpy(part) for part in pairing.inputs_of(few)]
    high = pairing.coordinates(few) > LOW_DIMENSION
    network = SomeInputs(inputs[0], inputs[1], fitting.hidden, fitting.depth, fitting.hidden if high else 0)
    return Trial(network, HIGH_DIMENSION_RATE if high else 1.0)


def _train(
    trial: Trial,
    fitted: Pairs,
    validated: Pairs,
    loss: str,
    fitting: Fitting,
    generator: torch.Generator,
    watch: Watch,
) -> History:
    order = batches(len(fitted), fitting.batch_size, generator)

    def draw(critic: nn.Module) -> Tensor:
        chosen = fitted[next(order)]
        return chosen_scores(critic, chosen, derangements(len(chosen), fitting.others, generator))

    partners = derangements(len(validated), VALIDATION_OTHERS, generator)

    def validate(critic: nn.Module) -> float:
        scores = chosen_in_parts(critic, validated, partners)
        joint, others = scores[:, 0], scores[:, 1:]
        if _decisive(loss) == "infonce":
            return info_nce_bound(Scores(joint[:, None], others[..., None])).item()
        return float(joint.mean() - others.flatten().logsumexp(0)) + math.log(others.numel())

    fitting = replace(fitting, learning_rate=fitting.learning_rate * trial.rate)
    return fit_critic(trial.network, draw, validate, LOSSES[loss], fitting, watch)


def _decisive(loss: str) -> str:
    """The readout that decides on weights: InfoNCE leaves free what depends on x alone, which the other would read."""
    return "infonce" if loss == "infonce" else "dv"


def _part(watch: Watch, number: int, parts: int) -> Watch:
    """The watch of one of several trainings that share the time left."""
    now = time.monotonic()
    deadline = now + (watch.deadline - now) / (parts - number)
    return Watch(watch.stop, lambda share: watch.report((number + share) / parts), deadline)
