"""The networks that are tried for a pairing: each is trained, and validation pairs choose one, or none."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

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
    coordinates: int = 0
    """Coordinates of x and y together that the network reads; 0 of a module of the user's."""


@dataclass(frozen=True)
class Outcome:
    """What trials came to."""

    network: nn.Module
    """The one that validation pairs chose; a `ZeroCritic` where none reads more than the baseline."""
    history: History
    gain: float
    """How much more than the baseline it reads on validation pairs, in nats; 0 of a `ZeroCritic`."""
    coordinates: int = 0
    """As of its `Trial`; 0 of a `ZeroCritic`."""


def trials_of(pairing: ColumnPairing, n: int, fitting: Fitting) -> list[Trial]:
    """A network of all columns, after one of those that depend on one another pair by pair, where these are some.

    With such a one, that of all is tried only where n samples are enough to find more among so many. Of few columns a
    network with sines and cosines follows one without: they show what changes fast, and are soon learnt by heart.
    """
    parts = [pairing.few]
    if pairing.few is not None and n >= ENOUGH_PER_COORDINATE * pairing.coordinates(None):
        parts.append(None)
    return [
        _trial(pairing, fitting, part, waves)
        for part in parts
        for waves in ((False, True) if pairing.has_waves(part) else (False,))
    ]


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

    Those that are alike are trained in step, as far as memory allows.
    """
    lanes = [
        Lane(number, trial, contest, _own(contest.generator))
        for number, contest in enumerate(contests)
        for trial in contest.trials
    ]
    together = _alike(lanes)
    histories: dict[int, History] = {}
    for number, places in enumerate(together):
        found = _train([lanes[place] for place in places], loss, fitting, _part(watch, number, len(together)))
        histories |= dict(zip(places, found, strict=True))
    return [
        _outcome(contest, [histories[place] for place, lane in enumerate(lanes) if lane.number == number], loss)
        for number, contest in enumerate(contests)
    ]


class Lane(NamedTuple):
    """One of the trainings that may be made in step."""

    number: int
    """Of the contest."""
    trial: Trial
    contest: Contest
    generator: torch.Generator
    """Which this training draws from, and no other."""


def _own(generator: torch.Generator) -> torch.Generator:
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    return torch.Generator(generator.device).manual_seed(int(seed))


def _alike(lanes: Sequence[Lane]) -> list[list[int]]:
    """Places of lanes that are trained in step: those with a separable part, those without; no module of the user's."""
    by_kind: dict[object, list[int]] = {}
    for place, lane in enumerate(lanes):
        network = lane.trial.network
        by_kind.setdefault(network.side_x is None if isinstance(network, SomeInputs) else (place,), []).append(place)
    together = []
    for places in by_kind.values():
        held = max(len(lanes[place].contest.fitted) * _width(lanes[place].contest.fitted) for place in places)
        many = max(1, MOST_HELD // held)
        together += [places[start : start + many] for start in range(0, len(places), many)]
    return together


def _width(pairs: Pairs) -> int:
    return sum(part[0].numel() for part in (pairs.x, pairs.y, pairs.base_x, pairs.base_y))


def _train(lanes: Sequence[Lane], loss: str, fitting: Fitting, watch: Watch) -> list[History]:
    """Train some lanes in step, or one module of the user's."""
    rates = [fitting.learning_rate * lane.trial.rate for lane in lanes]
    networks = [lane.trial.network for lane in lanes if isinstance(lane.trial.network, SomeInputs)]
    if not networks:
        return [_train_module(lanes[0], loss, replace(fitting, learning_rate=rates[0]), watch)]
    several = PairNetworks(
        networks,
        [lane.contest.fitted for lane in lanes],
        [lane.contest.validated for lane in lanes],
        loss,
        fitting,
        [lane.generator for lane in lanes],
    )
    found = fit_networks(several, rates, fitting, watch)
    for number, (_, kept) in enumerate(found):
        several.load_network(number, kept)
    return [history for history, _ in found]


def _train_module(lane: Lane, loss: str, fitting: Fitting, watch: Watch) -> History:
    """Train a critic of the user's."""
    fitted, validated, generator = lane.contest.fitted, lane.contest.validated, lane.generator
    order = batches(len(fitted), fitting.batch_size, generator)

    def draw(critic: nn.Module) -> Tensor:
        chosen = fitted[next(order)]
        return chosen_scores(critic, chosen, derangements(len(chosen), fitting.others, generator))

    partners = validation_partners(len(validated), generator)
    return fit_critic(
        lane.trial.network,
        draw,
        lambda critic: validation_figure(critic, validated, partners, loss),
        LOSSES[loss],
        fitting,
        watch,
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
            kept = Outcome(trial.network, history, gain, trial.coordinates)
    return kept


def _trial(pairing: ColumnPairing, fitting: Fitting, few: Columns | None, waves: bool) -> Trial:
    inputs = [torch.from_numpy(part) for part in pairing.inputs_of(few, waves)]
    coordinates = pairing.coordinates(few)
    high = coordinates > LOW_DIMENSION
    network = SomeInputs(inputs[0], inputs[1], fitting.hidden, fitting.depth, fitting.hidden if high else 0)
    return Trial(network, HIGH_DIMENSION_RATE if high else 1.0, coordinates)


def _part(watch: Watch, number: int, parts: int) -> Watch:
    """The watch of one of several trainings that share the time left."""
    now = time.monotonic()
    deadline = now + (watch.deadline - now) / (parts - number)
    return Watch(watch.stop, lambda share: watch.report((number + share) / parts), deadline)
