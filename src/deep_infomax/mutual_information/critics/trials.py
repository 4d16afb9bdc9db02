"""The networks that are tried for a pairing: each is trained, and validation pairs choose one, or none."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor, nn

from deep_infomax.mutual_information.critics.critics import SomeInputs, ZeroCritic
from deep_infomax.mutual_information.critics.fitting import (
    LOSSES,
    Fitting,
    History,
    Watch,
    batches,
    fit_critic,
    fit_networks,
)
from deep_infomax.mutual_information.critics.pair_networks import (
    PairNetworks,
    decisive,
    validation_figure,
    validation_partners,
)
from deep_infomax.mutual_information.critics.pairing import ColumnPairing, Columns, Pairs
from deep_infomax.mutual_information.critics.readouts import read_out
from deep_infomax.mutual_information.critics.scoring import chosen_scores, derangements, score_matrix

MOST_HELD: Final = 2**28
"""Inputs of pairs, a gigabyte of them, that are held for trainings in step."""
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


@dataclass(frozen=True)
class Contest:
    """Networks that are tried on the pairs of a fold."""

    trials: Sequence[Trial]
    fitted: Pairs
    validated: Pairs
    generator: torch.Generator
    """Which the trainings draw from."""


def run_contests(contests: Sequence[Contest], loss: str, fitting: Fitting, watch: Watch) -> list[Outcome]:
    """Train all networks, and keep of each contest the one that reads most on validation pairs.

    Those of several contests are trained in step, as far as they are alike and memory allows.
    """
    histories: list[list[History]] = [[] for _ in contests]
    together = _alike(contests)
    for number, (place, numbers) in enumerate(together):
        found = _train([contests[i] for i in numbers], place, loss, fitting, _part(watch, number, len(together)))
        for i, history in zip(numbers, found, strict=True):
            histories[i].append(history)
    return [_outcome(contest, found, loss) for contest, found in zip(contests, histories, strict=True)]


def _alike(contests: Sequence[Contest]) -> list[tuple[int, list[int]]]:
    """Places of trials, and the contests whose trials at these places are trained in step."""
    together: list[tuple[int, list[int]]] = []
    for place in range(max((len(contest.trials) for contest in contests), default=0)):
        by_kind: dict[object, list[int]] = {}
        for number, contest in enumerate(contests):
            if place < len(contest.trials):
                network = contest.trials[place].network
                alike = isinstance(network, SomeInputs)
                by_kind.setdefault(network.side_x is None if alike else number, []).append(number)
        for numbers in by_kind.values():
            pairs = max(len(contests[number].fitted) for number in numbers)
            width = max(_width(contests[number].fitted) for number in numbers)
            many = max(1, MOST_HELD // (pairs * width))
            together += [(place, numbers[start : start + many]) for start in range(0, len(numbers), many)]
    return together


def _width(pairs: Pairs) -> int:
    return sum(part[0].numel() for part in (pairs.x, pairs.y, pairs.base_x, pairs.base_y))


def _train(contests: Sequence[Contest], place: int, loss: str, fitting: Fitting, watch: Watch) -> list[History]:
    """Train the network at a place of each contest."""
    trials = [contest.trials[place] for contest in contests]
    rates = [fitting.learning_rate * trial.rate for trial in trials]
    networks = [trial.network for trial in trials if isinstance(trial.network, SomeInputs)]
    if not networks:
        fitting = replace(fitting, learning_rate=rates[0])
        return [_train_module(contests[0], trials[0].network, loss, fitting, watch)]
    several = PairNetworks(
        networks,
        [contest.fitted for contest in contests],
        [contest.validated for contest in contests],
        loss,
        fitting,
        [contest.generator for contest in contests],
    )
    found = fit_networks(several, rates, fitting, watch)
    for number, (_, kept) in enumerate(found):
        several.load_network(number, kept)
    return [history for history, _ in found]


def _train_module(contest: Contest, network: nn.Module, loss: str, fitting: Fitting, watch: Watch) -> History:
    """Train a critic of the user's."""
    fitted, validated, generator = contest.fitted, contest.validated, contest.generator
    order = batches(len(fitted), fitting.batch_size, generator)

    def draw(critic: nn.Module) -> Tensor:
        chosen = fitted[next(order)]
        return chosen_scores(critic, chosen, derangements(len(chosen), fitting.others, generator))

    partners = validation_partners(len(validated), generator)
    return fit_critic(
        network, draw, lambda critic: validation_figure(critic, validated, partners, loss), LOSSES[loss], fitting, watch
    )


def _outcome(contest: Contest, histories: Sequence[History], loss: str) -> Outcome:
    """The network that reads most on validation pairs, if that is more than its baseline by an error."""
    if not histories:
        return Outcome(ZeroCritic(), History((), (), True), 0.0)
    validated, name = contest.validated, decisive(loss)
    baseline = read_out(validated.baseline(), 0.0)[name]
    kept = Outcome(ZeroCritic(), histories[-1], 0.0)
    for trial, history in zip(contest.trials, histories, strict=True):
        if isinstance(trial.network, SomeInputs) and max(history.validation) == history.validation[0]:
            continue  # its start, which adds nothing
        trained = read_out(score_matrix(trial.network, validated), 0.0)[name]
        gain = trained.value - baseline.value
        error = float((trained.influence - baseline.influence).std()) / math.sqrt(len(validated))
        if gain > max(error, kept.gain):
            kept = Outcome(trial.network, history, gain)
    return kept


def _trial(pairing: ColumnPairing, fitting: Fitting, few: Columns | None) -> Trial:
    inputs = [torch.from_numpy(part) for part in pairing.inputs_of(few)]
    high = pairing.coordinates(few) > LOW_DIMENSION
    network = SomeInputs(inputs[0], inputs[1], fitting.hidden, fitting.depth, fitting.hidden if high else 0)
    return Trial(network, HIGH_DIMENSION_RATE if high else 1.0)


def _part(watch: Watch, number: int, parts: int) -> Watch:
    """The watch of one of several trainings that share the time left."""
    now = time.monotonic()
    deadline = now + (watch.deadline - now) / (parts - number)
    return Watch(watch.stop, lambda share: watch.report((number + share) / parts), deadline)
