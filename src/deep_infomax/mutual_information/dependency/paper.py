r"""The dependency measure of the Deep InfoMax paper, to the letter: read on the samples that it was trained on.

A network is trained to tell samples from samples whose coordinates ("factors") are shuffled, each by itself, over the
batch. It maximises the f-GAN objective of the Kullback-Leibler divergence, ``nwj`` of `bounds`; the figure is the
Donsker-Varadhan objective at the end, on all samples and one shuffle of each coordinate,

.. math:: \overline{T(z)} - \overline{e^{T(\tilde z) - 1}} \qquad\text{and}\qquad
    \overline{T(z)} - \log \overline{e^{T(\tilde z)}}

Both are largest at the same network but for a constant. The figure has no held-out part, so it bounds nothing, and
above some 8 nats it rests on a handful of samples. Where the sources leave the protocol open, this is what is chosen:
an epoch is one pass over all samples in random order, what is left over at its end, less than a batch, being dropped;
fewer samples than a batch make one batch; samples are read as they come, unscaled.

Sources: Hjelm et al., "Learning deep representations by mutual information estimation and maximization", 2019,
arXiv 1808.06670, and the code released with it; Brakel and Bengio, "Learning independent features with adversarial
nets for non-linear ICA", 2017, arXiv 1710.05050.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from deep_infomax.bounds import donsker_varadhan, nwj
from deep_infomax.contracts import Scores
from deep_infomax.mutual_information.critics.fitting import History, batches
from deep_infomax.mutual_information.dependency.result import Dependency
from deep_infomax.runtime.progress import Progress
from deep_infomax.runtime.random_numbers import default_generator, own_random_numbers

Array = np.ndarray

UNITS: Final = (1000, 200)
BATCH: Final = 10_000
LEARNING_RATE: Final = 1e-4
BETAS: Final = (0.5, 0.999)
"""Of Adam, as of every network in the released code."""
EPOCHS: Final = 1000
CHECKS: Final = 20
"""How often the figure is read in the course of a training."""


def dim_dependency(
    z: Float[Array, "n d"],
    *,
    seed: int = 0,
    epochs: int,
    device: torch.device,
    progress: Progress,
    stop: Callable[[], bool],
) -> tuple[float, tuple[tuple[int, float], ...]]:
    """The paper's figure for the dependence of coordinates, in nats, and its course: epochs and the figure after them.

    The network is an MLP d-1000-200-1 with ReLU; Adam at 1e-4 with betas 0.5 and 0.999, times 0.1 at a half and at
    three quarters of the epochs, which are epochs 500 and 750 of the paper's 1,000; batches of 10,000. A step whose
    objective is not finite ends the training.

    Args:
        z: Samples.
        seed: Of the first weights, the order and the shuffles; torch's global generator is left as it was.
        epochs: Passes over the samples.
        device: Where the network is trained.
        progress: Told after every step.
        stop: Asked after every step whether to end at once with what has been reached.

    >>> value, course = dim_dependency(
    ...     np.random.default_rng(0).random((100, 2)), epochs=2, device=torch.device("cpu"),
    ...     progress=lambda task, done, total: None, stop=lambda: False,
    ... )
    >>> abs(round(value, 1)), [epoch for epoch, _ in course]
    (0.0, [0, 1, 2])
    """
    samples = torch.from_numpy(z.astype(np.float32)).to(device)
    steps_per_epoch = max(1, len(samples) // BATCH)
    steps, every = epochs * steps_per_epoch, max(1, epochs // CHECKS)
    with own_random_numbers(seed, device), torch.enable_grad():
        network = _network(samples.shape[1]).to(device)
        optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE, BETAS)
        order = batches(len(samples), BATCH, default_generator(device))
        course = [(0, _figure(network, samples))]
        for step in range(steps):
            epoch, begun = divmod(step, steps_per_epoch)
            if begun == 0 and epoch in (epochs // 2, 3 * epochs // 4):
                optimizer.param_groups[0]["lr"] *= 0.1
            batch = samples[next(order)]
            value = _objective(network(batch), network(_shuffled(batch)))
            diverged = not torch.isfinite(value)
            taken = step if diverged else step + 1
            if not diverged:
                optimizer.zero_grad()
                (-value).backward()
                optimizer.step()
                progress("training ndm", taken, steps)
            ended = diverged or stop() or taken == steps
            if ended or taken % (every * steps_per_epoch) == 0:
                course.append((taken // steps_per_epoch, _figure(network, samples)))
            if ended:
                break
    return course[-1][1], tuple(course)


def dim_result(
    value: float,
    course: tuple[tuple[int, float], ...],
    n: int,
    warnings: Sequence[str],
    *,
    epochs: int,
    level: float,
    seconds: float,
    finished: bool,
) -> Dependency:
    """The result of `dim_dependency` on n samples as a `Dependency`, with what it lacks.

    Args:
        value: The figure.
        course: Its course.
        n: Samples.
        warnings: About the samples.
        epochs: Passes over the samples that were asked for.
        level: That an interval would have.
        seconds: What it took.
        finished: False where an interrupt ended it.
    """
    passed, values = zip(*course, strict=True)
    if passed[-1] < epochs:
        causes = "by the clock, an interrupt, or an objective that was not finite"
        warnings = (*warnings, f"the training ended after {passed[-1]} of {epochs} epochs, {causes}")
    return Dependency(
        method="dim",
        reason="as asked for",
        total_correlation=value,
        interval=None,
        level=level,
        standard_error=math.nan,
        dual_total_correlation=None,
        dual_error=None,
        per_factor=None,
        per_factor_errors=None,
        readouts={"one_shuffle": value},
        effective_sample_size=math.nan,
        warnings=(*warnings, "the paper's protocol reads its own training samples with one shuffle: no interval"),
        folds=(),
        history=(History(passed, values, passed[-1] == epochs),),
        n=n,
        seconds=seconds,
        finished=finished,
    )


def _network(size: int) -> nn.Sequential:
    first, second = UNITS
    return nn.Sequential(nn.Linear(size, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, 1))


@torch.no_grad()
def _figure(network: nn.Module, samples: Float[Tensor, "n d"]) -> float:
    joint, shuffled = (
        torch.cat([network(part) for part in every.split(BATCH)]) for every in (samples, _shuffled(samples))
    )
    return donsker_varadhan(Scores(joint, shuffled[:, None])).item()


def _objective(joint: Float[Tensor, "n 1"], shuffled: Float[Tensor, "n 1"]) -> Float[Tensor, ""]:
    """What is maximised."""
    return nwj(Scores(joint, shuffled[:, None]))


def _shuffled(samples: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Every coordinate shuffled by itself."""
    return samples.gather(0, torch.rand_like(samples).argsort(0))
