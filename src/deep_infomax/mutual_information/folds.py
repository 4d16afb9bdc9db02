"""One fold of an estimate: a critic fitted to some pairs and read out on others."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from deep_infomax.bounds import info_nce_bound
from deep_infomax.contracts import Scores
from deep_infomax.mutual_information.critics import AllPairs, Critic, PairCritic, ZeroCritic
from deep_infomax.mutual_information.estimators import Estimator
from deep_infomax.mutual_information.fitting import LOSSES, Fitting, History, Watch, batches, fit_critic
from deep_infomax.mutual_information.independence import critic_p_value
from deep_infomax.mutual_information.pairing import (
    ColumnPairing,
    Pairing,
    Pairs,
    fit_column_pairing,
    fit_structured_pairing,
)
from deep_infomax.mutual_information.readouts import effective_sample_size, log_mean, read_out
from deep_infomax.mutual_information.structure import Rows

Array = np.ndarray

MOST_PAIRED: Final = 4000
"""Held-out samples of a fold that are scored against one another, which makes 16 million pairs."""
VALIDATED: Final = 0.125
"""Share of what a critic is fitted to that decides which of its weights are kept."""
MOST_VALIDATED: Final = 1000
WORTH_FITTING: Final = 0.05
"""Validation pairs to each other one, above which the normal model is fitted to both if the network is left out."""
VALIDATION_OTHERS: Final = 64
LOW_DIMENSION: Final = 16
"""Coordinates of x and y together, above which the network has a separable part beside the concatenated one."""


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
    watches: Sequence[Watch],
) -> list[Fold]:
    """Fit a critic for each part of a split, (rest, test), watched by its own watch; fewer where one says stop."""
    done = []
    for (rest, test), watch in zip(split, watches, strict=True):
        done.append(fit_fold(x, y, rest, test, work, watch))
        if watch.stop():
            break
    return done


def fit_fold(
    x: Shaped[Array, "n *dx"],
    y: Shaped[Array, "n *dy"],
    rest: Int[Array, " f"],
    test: Int[Array, " t"],
    work: Work,
    watch: Watch,
) -> Fold:
    """Fit a critic to the pairs of ``rest`` and read it out on those of ``test``."""
    validation, fit = held_back(rest, work.fitting, work.rows)
    pairing, network = _pairing_and_network(x, y, fit, validation, work)
    fitted, validated = (pairing(x[rows], y[rows]).to(work.device) for rows in (fit, validation))
    determined = isinstance(pairing, ColumnPairing) and pairing.determined
    # To an infinite log-ratio a network could add nothing but noise.
    loss = None if determined else work.method.loss
    history = _train(network, fitted, validated, loss, work.fitting, watch) if loss else History((), (), True)
    if loss is None or not _gained(network, validated, _chosen_by(loss)):
        network = ZeroCritic()
        # Nothing is left for validation pairs to decide; where they are few beside the others, they add only time.
        if isinstance(pairing, ColumnPairing) and len(validation) > WORTH_FITTING * len(fit):
            rows = np.concatenate([validation, fit])
            pairing = pairing.refitted(x[rows], y[rows])
            fitted = pairing(x[rows], y[rows]).to(work.device)
    if not watch.stop():
        watch.report(1.0)
    read = test[:MOST_PAIRED]
    held_out = pairing(x[read], y[read]).to(work.device)
    scores = score_matrix(network, held_out)
    same = fitted[: len(held_out)]
    shift = log_mean(score_matrix(network, same[: len(same) // 2]))
    readouts = read_out(scores, shift) | {"gaussian": read_out(held_out.baseline(), 0.0)["dv"]}
    return Fold(
        values={name: readout.value for name, readout in readouts.items()},
        influences={name: readout.influence.cpu() for name, readout in readouts.items()},
        fitted=float(_own_scores(network, fitted).mean()) - shift,
        held_out=len(test),
        test=read,
        effective_sample_size=effective_sample_size(scores),
        history=history,
        p_value=_p_value(scores, read, work) if work.permutations else None,
        determined=determined,
        log_ratio=lambda new_x, new_y: _log_ratio(network, pairing, new_x, new_y, shift, work.device),
    )


def _p_value(scores: Float[Tensor, "p p"], test: Int[Array, " p"], work: Work) -> float:
    seed = int(torch.randint(2**62, ()))
    return critic_p_value(scores, test, work.rows, work.permutations, seed)


def _chosen_by(loss: str) -> str:
    """The readout that decides on weights: InfoNCE leaves free what depends on x alone, which the other would read."""
    return "infonce" if loss == "infonce" else "dv"


def _gained(network: nn.Module, validated: Pairs, readout: str) -> bool:
    """Whether a network reads more than its baseline on all validation pairs, by a standard error of the difference."""
    trained, baseline = (
        read_out(scores, 0.0)[readout] for scores in (score_matrix(network, validated), validated.baseline())
    )
    error = float((trained.influence - baseline.influence).std()) / math.sqrt(len(validated))
    return trained.value - baseline.value > error


def held_back(rest: Int[Array, " f"], fitting: Fitting, rows: Rows) -> tuple[Int[Array, " v"], Int[Array, " g"]]:
    """Split off validation samples; of the others no more than the training can look at, for time and memory."""
    validation, fit = rows.held_back(rest, min(MOST_VALIDATED, max(10, round(VALIDATED * len(rest)))))
    return validation, fit[: fitting.steps * fitting.batch_size]


def score_matrix(network: Critic, pairs: Pairs) -> Float[Tensor, "n n"]:
    """Scores of every x with every y, the baseline included; a few rows at a time, so that they stay in the cache."""
    rows = 16 if isinstance(network, PairCritic) and pairs.x.device.type == "cpu" else 512
    with torch.no_grad():
        parts = [network(x, pairs.y) for x in pairs.x.split(rows)]
        return torch.cat(parts).add_(pairs.baseline())


def _pairing_and_network(
    x: Shaped[Array, "n *dx"], y: Shaped[Array, "n *dy"], fit: Array, validation: Array, work: Work
) -> tuple[Pairing, nn.Module]:
    if work.critic is not None:
        network = work.critic()
        network = network if hasattr(network, "chosen") else AllPairs(network)
        return fit_structured_pairing(x[fit], y[fit]), network.to(work.device)
    pairing = fit_column_pairing(x[fit], y[fit], (x[validation], y[validation]), work.ranks, work.discrete)
    one = pairing(x[fit[:1]], y[fit[:1]])
    separable = work.fitting.hidden if x.shape[1] + y.shape[1] > LOW_DIMENSION else 0
    fitting = work.fitting
    network = PairCritic(one.x.shape[1], one.y.shape[1], fitting.hidden, fitting.depth, separable)
    return pairing, network.to(work.device)


def _train(network: nn.Module, fitted: Pairs, validated: Pairs, loss: str, fitting: Fitting, watch: Watch) -> History:
    order = batches(len(fitted), fitting.batch_size, fitted.x.device)

    def draw(critic: nn.Module) -> tuple[Tensor, Tensor]:
        chosen = fitted[next(order)]
        return _scores(critic, chosen, _derangements(len(chosen), fitting.others, chosen.x.device))

    partners = _derangements(len(validated), VALIDATION_OTHERS, validated.x.device)

    def validate(critic: nn.Module) -> float:
        joint, others = _scores(critic, validated, partners)
        if _chosen_by(loss) == "infonce":
            return info_nce_bound(Scores(joint[:, None], others[..., None])).item()
        return float(joint.mean() - others.flatten().logsumexp(0)) + math.log(others.numel())

    return fit_critic(network, draw, validate, LOSSES[loss](), fitting, watch)


def _derangements(n: int, k: int, device: torch.device) -> Int[Tensor, "n k1"]:
    """Each of n samples, and k others for it by rotations of the whole, none of which leaves any in its place."""
    shifts = torch.randperm(n - 1, device=device)[: min(k, n - 1)] + 1
    own = torch.arange(n, device=device)[:, None]
    return torch.cat([own, (own + shifts) % n], dim=1)


def _scores(
    network: Any, pairs: Pairs, partners: Int[Tensor, "n k1"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n k"]]:
    """Scores of each x with its own y and with k others."""
    scores = network.chosen(pairs.x, pairs.y, partners)
    scores = scores + torch.einsum("nr,nkr->nk", pairs.base_x, pairs.base_y[partners])
    return scores[:, 0], scores[:, 1:]


def _own_scores(network: nn.Module, pairs: Pairs) -> Float[Tensor, " n"]:
    """Scores of each x with its own y."""
    own = torch.arange(len(pairs), device=pairs.x.device)[:, None]
    with torch.no_grad():
        return torch.cat([_scores(network, pairs[rows], own[: len(rows)])[0] for rows in own[:, 0].split(1024)])


def _log_ratio(
    network: nn.Module, pairing: Pairing, x: Any, y: Any, shift: float, device: torch.device
) -> Float[Array, " n"]:
    pairs = pairing(np.asarray(x), np.asarray(y)).to(device)
    values: Array = _own_scores(network, pairs).cpu().numpy() - shift
    return values
