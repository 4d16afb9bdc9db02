"""Estimators of other kinds by their names: nearest neighbours, and the neural estimator of 2018 to the letter."""

import math
import time
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import norm
from torch import nn

from deep_infomax.mutual_information.critics.fitting import History, Watch, moving_donsker_varadhan
from deep_infomax.mutual_information.ksg import NearestPairs
from deep_infomax.mutual_information.result import Estimate

Array = np.ndarray
KSG_ROWS: Final = 1000
"""Pairs between two looks at the clock."""
MINE_STEPS: Final = 5000
MINE_BATCH: Final = 256
MINE_UNITS: Final = 100
MINE_LEARNING_RATE: Final = 1e-3


def ksg(
    x: Float[Array, "n dx"],
    y: Float[Array, "n dy"],
    level: float,
    warnings: tuple[str, ...],
    watch: Watch,
) -> Estimate:
    """Nearest neighbours, in standardised coordinates; its interval takes the pairs' contributions for independent.

    Cut short, it is the mean over the pairs that were looked at by then, drawn at random.
    """
    began, n = time.monotonic(), len(x)
    x, y = ((z - z.mean(axis=0)) / z.std(axis=0) for z in (x, y))
    contribution, parts, done = NearestPairs(x, y), [], 0
    for rows in np.array_split(np.random.default_rng(0).permutation(n), math.ceil(n / KSG_ROWS)):
        parts.append(contribution(rows))
        done += len(rows)
        watch.report(done / n)
        if watch.stop() or time.monotonic() > watch.deadline:
            break
    pointwise = np.concatenate(parts)
    value, error = float(pointwise.mean()), float(pointwise.std() / math.sqrt(done))
    if done < n:
        warnings = (*warnings, f"neighbours of {done:,} pairs were looked at, a part of all, among all")
    if any("equal values" in warning for warning in warnings):
        warnings = (*warnings, "ksg assumes continuous variables: with equal values its figure is wrong, use auto")
    elif x.shape[1] + y.shape[1] > 6:
        warnings = (*warnings, f"ksg reads low in many dimensions, here {x.shape[1] + y.shape[1]}: compare with auto")
    reach = float(norm.ppf((1 + level) / 2)) * error
    return _without_folds(
        "ksg", value, (value - reach, value + reach), level, error, warnings, n, time.monotonic() - began,
        finished=not watch.stop(),
    )  # fmt: skip


def mine(
    x: Float[Array, "n dx"],
    y: Float[Array, "n dy"],
    level: float,
    warnings: tuple[str, ...],
    watch: Watch,
) -> Estimate:
    r"""Algorithm 1 of the paper, with the corrected gradient of its section 3.2, and no held-out part.

    Every step draws a batch of pairs and as many y by themselves, and ascends
    :math:`\overline{T(x, y)} - \log \overline{e^{T(x, \tilde y)}}`; the figure is this objective at the end, on all
    pairs and one shuffle of y. Left open by the paper and chosen here: two hidden layers of 100 ReLU units on
    standardised coordinates, Adam at 1e-3, 5,000 batches of 256. Such a figure has no interval and bounds nothing.

    Source: Belghazi et al., "Mutual information neural estimation", 2018, arXiv 1801.04062.
    """
    began = time.monotonic()
    inputs = [torch.from_numpy(((z - z.mean(axis=0)) / z.std(axis=0)).astype(np.float32)) for z in (x, y)]
    units = MINE_UNITS
    network = nn.Sequential(
        nn.Linear(x.shape[1] + y.shape[1], units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, 1)
    )
    optimizer = torch.optim.Adam(network.parameters(), MINE_LEARNING_RATE)
    average = torch.full((1,), math.nan)
    n, batch = len(x), min(MINE_BATCH, len(x))

    def scores(rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = network(torch.cat([inputs[0][rows], inputs[1][others]], dim=1))[:, 0]
        return result

    def figure() -> float:
        with torch.no_grad():
            everything, shuffled = torch.arange(n), torch.randperm(n)
            joint, others = scores(everything, everything), scores(everything, shuffled)
            return float(joint.mean() - others.logsumexp(0)) + math.log(n)

    steps, values = [0], [figure()]
    for step in range(1, MINE_STEPS + 1):
        rows, others = torch.randperm(n)[:batch], torch.randperm(n)[:batch]
        scored = torch.stack([scores(rows, rows), scores(rows, others)], dim=1)
        _, gradient, average = moving_donsker_varadhan(scored.detach()[None], average, rate=0.01)
        optimizer.zero_grad()
        (scored * gradient[0]).sum().backward()
        optimizer.step()
        watch.report(step / MINE_STEPS)
        ended = watch.stop() or time.monotonic() > watch.deadline
        if ended or step % (MINE_STEPS // 20) == 0:
            steps.append(step)
            values.append(figure())
        if ended:
            break
    warnings = (*warnings, "mine reads the pairs that it was trained on: no interval, and no bound; use auto for both")
    if steps[-1] < MINE_STEPS:
        warnings = (*warnings, "the training was cut short; give more time")
    history = History(tuple(steps), tuple(values), steps[-1] == MINE_STEPS)
    return _without_folds(
        "mine", values[-1], None, level, None, warnings, n, time.monotonic() - began, (history,), not watch.stop()
    )


def _without_folds(
    name: str,
    value: float,
    interval: tuple[float, float] | None,
    level: float,
    error: float | None,
    warnings: tuple[str, ...],
    n: int,
    seconds: float,
    history: tuple[History, ...] = (),
    finished: bool = True,
) -> Estimate:
    return Estimate(
        estimator=name,
        readout=name,
        mi=value,
        interval=interval,
        level=level,
        lower_bound=None,
        readouts={name: value},
        standard_errors={} if error is None else {name: error},
        ceiling=math.inf,
        effective_sample_size=math.nan,
        converged=True,
        warnings=warnings,
        folds=(),
        history=history,
        n=n,
        seconds=seconds,
        finished=finished,
    )
