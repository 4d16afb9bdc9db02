"""One fold of an estimate: a critic fitted to some pairs and read out on others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from deep_infomax.mutual_information.critics.critics import AllPairs, ZeroCritic
from deep_infomax.mutual_information.critics.fitting import Fitting, History, Watch
from deep_infomax.mutual_information.critics.pairing import (
    ColumnPairing,
    Pairing,
    fit_column_pairing,
    fit_structured_pairing,
)
from deep_infomax.mutual_information.critics.readouts import (
    Readout,
    effective_sample_size,
    log_mean,
    read_donsker_varadhan,
    read_out,
)
from deep_infomax.mutual_information.critics.scoring import own_scores, score_matrix
from deep_infomax.mutual_information.critics.trials import Contest, Outcome, Trial, run_contests, trials_of
from deep_infomax.mutual_information.estimators import Estimator
from deep_infomax.mutual_information.rows.independence import critic_p_value
from deep_infomax.mutual_information.rows.structure import Rows

Array = np.ndarray

MOST_PAIRED: Final = 4000
"""Held-out samples of a fold that are scored against one another, which makes 16 million pairs."""
VALIDATED: Final = 0.125
"""Share of what a critic is fitted to that decides which of its weights are kept."""
MOST_VALIDATED: Final = 1000
FAR_BELOW: Final = 0.6
"""Share of the median gain, below which a fold is trained again."""
WORTH_REPEATING: Final = 0.05
"""Median gain in nats from which on it is."""
AGAIN: Final = 0.3
"""Share of the learning rate at which it is."""
WORTH_FITTING: Final = 0.05
"""Validation pairs to each other one, above which the normal model is fitted to both if the network is left out."""


@dataclass(frozen=True)
class Work:
    """What is the same for every fold."""

    method: Estimator
    device: torch.device
    ranks: bool
    critic: Callable[[], nn.Module] | None
    permutations: int
    """Shuffles of each fold for a test of independence; 0 for none."""
    fitting: Fitting
    rows: Rows
    """Which rows belong together."""
    discrete: tuple[Bool[Array, " dx"], Bool[Array, " dy"]] | None = None
    """Which columns of x and of y are discrete."""


@dataclass(frozen=True)
class Fold:
    """What one untouched fold says."""

    values: dict[str, float]
    """Readouts by name."""
    influences: dict[str, Float[Tensor, " p"]]
    """Of each readout."""
    fitted: float
    """What ``dv`` is on the pairs that the critic was fitted to."""
    held_out: int
    """Samples of the fold."""
    test: Int[Array, " p"]
    """The rows of those of them that were scored against one another."""
    effective_sample_size: float
    history: History
    gain: float
    """How much more than its baseline the critic reads on validation pairs; 0 where no network was kept."""
    coordinates: int
    """Coordinates of x and y together that the network reads; 0 where none was kept, or one of the user's."""
    p_value: float | None
    determined: bool
    """Whether the normal model finds a perfect correlation between continuous variables."""
    log_ratio: Callable[[Any, Any], Float[Array, " n"]]
    """Scores of new pairs, with an exponential mean of 1 over pairs that do not belong together."""


def fit_folds(
    x: Shaped[Array, "n *dx"],
    y: Shaped[Array, "n *dy"],
    split: Sequence[tuple[Int[Array, " _f"], Int[Array, " _t"]]],
    work: Work,
    watch: Watch,
) -> list[Fold]:
    """Fit a critic for each part of a split, (rest, test), all in step.

    A fold whose network gained much less on validation pairs than those of the other folds is trained again, at a lower
    rate and from other weights; of the two the one that gained more is kept.
    """
    done = _fit_all(x, y, split, work, watch)
    usual = float(np.median([fold.gain for fold in done]))
    low = [place for place, fold in enumerate(done) if fold.gain < FAR_BELOW * usual]
    if usual > WORTH_REPEATING and low and not watch.over():
        again = _fit_all(x, y, [split[place] for place in low], work, replace(watch, report=lambda share: None), AGAIN)
        for place, fold in zip(low, again, strict=True):
            done[place] = max(done[place], fold, key=lambda fold: fold.gain)
    return done


def _fit_all(
    x: Shaped[Array, "n *dx"],
    y: Shaped[Array, "n *dy"],
    split: Sequence[tuple[Int[Array, " _f"], Int[Array, " _t"]]],
    work: Work,
    watch: Watch,
    rate: float = 1.0,
) -> list[Fold]:
    """Fit a critic for each part of a split, at a share of the learning rate."""
    prepared = [prepare_fold(x, y, rest, test, work, rate) for rest, test in split]
    outcomes = [Outcome(ZeroCritic(), History((), (), True), 0.0)] * len(split)
    if work.method.loss is not None:
        contests = [fold.contest for fold in prepared]
        outcomes = run_contests(contests, work.method.loss, work.fitting, watch)
    if not watch.stop():
        watch.report(1.0)
    return [read_fold(x, y, fold, outcome, work) for fold, outcome in zip(prepared, outcomes, strict=True)]


@dataclass(frozen=True)
class Prepared:
    """A fold before its training."""

    test: Int[Array, " p"]
    held_out: int
    """Samples of the fold, of which ``test`` are read."""
    fit: Int[Array, " f"]
    validation: Int[Array, " v"]
    pairing: Pairing
    contest: Contest


def prepare_fold(
    x: Shaped[Array, "n *dx"],
    y: Shaped[Array, "n *dy"],
    rest: Int[Array, " f"],
    test: Int[Array, " t"],
    work: Work,
    rate: float = 1.0,
) -> Prepared:
    """Fit how the pairs of ``rest`` are read, and make the networks to be tried on them."""
    validation, fit = held_back(rest, work.fitting, work.rows)
    pairing, trials = _pairing_and_trials(x, y, fit, validation, work)
    trials = [replace(trial, rate=rate * trial.rate) for trial in trials]
    fitted, validated = (pairing(x[rows], y[rows]).to(work.device) for rows in (fit, validation))
    own = torch.Generator(work.device).manual_seed(int(torch.randint(2**62, ())))
    contest = Contest(trials, fitted, validated, own)
    return Prepared(test[:MOST_PAIRED], len(test), fit, validation, pairing, contest)


def read_fold(
    x: Shaped[Array, "n *dx"], y: Shaped[Array, "n *dy"], fold: Prepared, outcome: Outcome, work: Work
) -> Fold:
    """Read the network that was kept on the pairs that were held out."""
    pairing, fit, validation, test, fitted = fold.pairing, fold.fit, fold.validation, fold.test, fold.contest.fitted
    network = outcome.network
    # Nothing is left for validation pairs to decide; where they are few beside the others, they add only time.
    few_fitted = len(validation) > WORTH_FITTING * len(fit)
    if isinstance(network, ZeroCritic) and isinstance(pairing, ColumnPairing) and few_fitted:
        rows = np.concatenate([validation, fit])
        pairing = pairing.refitted(x[rows], y[rows])
        fitted = pairing(x[rows], y[rows]).to(work.device)
    held_out = pairing(x[test], y[test]).to(work.device)
    scores = score_matrix(network, held_out)
    same = fitted[: len(held_out)]
    shift = log_mean(score_matrix(network, same[: len(same) // 2]))
    readouts = read_out(scores, shift) | {"gaussian": _normal_readout(pairing, x[test], y[test])}
    return Fold(
        values={name: readout.value for name, readout in readouts.items()},
        influences={name: readout.influence.cpu() for name, readout in readouts.items()},
        fitted=float(own_scores(network, fitted).mean()) - shift,
        held_out=fold.held_out,
        test=test,
        effective_sample_size=effective_sample_size(scores),
        history=outcome.history,
        gain=outcome.gain,
        coordinates=outcome.coordinates,
        p_value=_p_value(scores, test, work) if work.permutations else None,
        determined=isinstance(pairing, ColumnPairing) and pairing.determined,
        log_ratio=lambda new_x, new_y: _log_ratio(network, pairing, new_x, new_y, shift, work.device),
    )


def _normal_readout(pairing: Pairing, x: Shaped[Array, "p *dx"], y: Shaped[Array, "p *dy"]) -> Readout:
    """What the normal model alone reads; 0 where there is none."""
    if not isinstance(pairing, ColumnPairing):
        return Readout(0.0, torch.zeros(len(x)))
    rows_x, rows_y = (torch.from_numpy(rows.astype(np.float32)) for rows in pairing.normal.factors(x, y))
    return read_donsker_varadhan(rows_x @ rows_y.T)


def _p_value(scores: Float[Tensor, "p p"], test: Int[Array, " p"], work: Work) -> float:
    seed = int(torch.randint(2**62, ()))
    return critic_p_value(scores, test, work.rows, work.permutations, seed)


def held_back(rest: Int[Array, " f"], fitting: Fitting, rows: Rows) -> tuple[Int[Array, " v"], Int[Array, " g"]]:
    """Split off validation samples; of the others no more than the training can look at, for time and memory."""
    validation, fit = rows.held_back(rest, min(MOST_VALIDATED, max(10, round(VALIDATED * len(rest)))))
    return validation, fit[: fitting.steps * fitting.batch_size]


def _pairing_and_trials(
    x: Shaped[Array, "n *dx"], y: Shaped[Array, "n *dy"], fit: Array, validation: Array, work: Work
) -> tuple[Pairing, list[Trial]]:
    if work.critic is not None:
        network = work.critic()
        network = network if hasattr(network, "chosen") else AllPairs(network)
        return fit_structured_pairing(x[fit], y[fit]), [Trial(network.to(work.device))]
    pairing = fit_column_pairing(
        x[fit], y[fit], (x[validation], y[validation]), work.ranks, work.discrete, work.method.loss is not None
    )
    # To an infinite log-ratio a network could add nothing but noise.
    trials = [] if pairing.determined else trials_of(pairing, len(fit), work.fitting)
    for trial in trials:
        trial.network.to(work.device)
    return pairing, trials


def _log_ratio(
    network: nn.Module, pairing: Pairing, x: Any, y: Any, shift: float, device: torch.device
) -> Float[Array, " n"]:
    pairs = pairing(np.asarray(x), np.asarray(y)).to(device)
    values: Array = own_scores(network, pairs).cpu().numpy() - shift
    return values
