r"""How much of the input a representation keeps, and how far its units depend on one another, in nats.

Each protocol has a name and a version, as the probes have. No labels are read.

``mine/1``
    I(X; Y) between an input and its representation, by `estimate_mi` with 5 folds: critics are fitted to four of them
    and read on the fifth, with Donsker-Varadhan and InfoNCE, of which the larger is the figure. Of more than 10,000
    inputs as many are taken, evenly spaced. Units are standardised with the training part. The critic is `InputCritic`,
    the training `FITTING`. An encoder is a function of its input, so between continuous variables the true information
    is infinite. The figure is a lower bound in expectation, which depends on this critic, this training and the number
    of inputs, and compares encoders at this protocol only. InfoNCE, which gives the ``lower_bound``, cannot exceed the
    logarithm of a fold's inputs (7.60 for 10,000 in all); above it Donsker-Varadhan rests on few pairs, as the
    ``effective_sample_size`` tells.
``ndm/1``
    The total correlation of a layer by `neural_dependency` with the method ``auto``: held-out folds, too. 0 where the
    units are independent. For layers of at most 256 units.
``ndm-sample/1``
    The same of samples of a variational encoder's posterior, ``z = Y + exp(log_variance / 2) * noise``, one for each
    input, drawn with the seed. Units whose differences the noise covers are independent in it, however their means
    depend on one another; the dependency of ``Y`` itself does not change with its scale.
``mine-paper/2``
    As the paper says: the Donsker-Varadhan objective with a decaying learning rate, trained on the training part and
    read on the same. What the paper leaves open and is chosen here: `InputCritic` on standardised units, Adam, a
    learning rate from 1e-3 to 0 along a cosine, 50 epochs of batches of 256, each input beside one representation of
    another; the figure is the mean over the batches of one more pass. It bounds nothing. Version 1 read all inputs as
    one batch, where the largest score of a few pairs in 50,000 decides.
``ndm-paper/2``
    `dim_dependency` on the training part: the paper's protocol as it was released, 1,000 epochs, which take seconds
    each on a CPU. The variant ``sigmoid`` reads units through a sigmoid, ``default`` as they are. Version 1 was trained
    by the Donsker-Varadhan objective that it is read with, by an Adam with the usual betas.

Details of a figure hold its interval, its lower bound, warnings and the like, or the course of the training.

Shapes: n inputs, d units.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean
from typing import Any, Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deep_infomax.bounds import donsker_varadhan
from deep_infomax.contracts import Scores
from deep_infomax.data import Source, evenly_spaced, floats_of
from deep_infomax.evaluation.probes import standardised
from deep_infomax.evaluation.results import Outcome
from deep_infomax.mutual_information import Fitting, estimate_mi
from deep_infomax.mutual_information.critics.critics import PairCritic
from deep_infomax.mutual_information.critics.fitting import batches
from deep_infomax.mutual_information.dependency.estimate import neural_dependency
from deep_infomax.mutual_information.dependency.paper import EPOCHS, dim_dependency
from deep_infomax.runtime.progress import Progress
from deep_infomax.runtime.random_numbers import own_random_numbers

MOST_INPUTS: Final = 10_000
FITTING: Final = Fitting(steps=1000, batch_size=128, others=32, learning_rate=1e-3)
PAPER_EPOCHS: Final = 50
PAPER_BATCH: Final = 256
PAPER_LEARNING_RATE: Final = 1e-3
CUT_SHORT: Final = "the objective was not finite at some step, where the training ended"
INFINITE: Final = (
    "an encoder is a function of its input: between continuous variables the true information is infinite, and the "
    "figure a lower bound that compares encoders at this protocol only"
)


class InputCritic(nn.Module):
    """Scores inputs with representations: a convolutional network reads each input once, a `PairCritic` the pairs.

    Every axis of an input is cut into at most 8 patches, which a first convolution reads; a second one, of stride 2
    where there are more than 4 of them, and a linear layer follow.

    Args:
        channels: Channels of an input.
        spatial: Its spatial sizes, one to three.
        size_y: Units of a representation.
        width: Filters of each convolution.
        features: What the convolutional network hands on.

    >>> InputCritic(3, (32, 32), 64)(torch.randn(4, 3, 32, 32), torch.randn(5, 64)).shape
    torch.Size([4, 5])
    """

    def __init__(
        self, channels: int, spatial: tuple[int, ...], size_y: int, width: int = 64, features: int = 128
    ) -> None:
        super().__init__()
        convolution: Any = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[len(spatial)]
        patch = tuple(math.ceil(size / 8) for size in spatial)
        places = tuple(math.ceil(size / length) for size, length in zip(spatial, patch, strict=True))
        padding = tuple((n * p - size + 1) // 2 for n, p, size in zip(places, patch, spatial, strict=True))
        stride = tuple(2 if n > 4 else 1 for n in places)
        ends = math.prod(math.ceil(n / s) for n, s in zip(places, stride, strict=True))
        self.body = nn.Sequential(
            convolution(channels, width, patch, patch, padding), nn.ReLU(),
            convolution(width, width, 3, stride, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(ends * width, features),
        )  # fmt: skip
        self.pair = PairCritic(features, size_y, separable=64)

    def forward(self, x: Float[Tensor, "n channels *spatial"], y: Float[Tensor, "p d"]) -> Float[Tensor, "n p"]:
        """Scores of every input with every representation."""
        scores: Tensor = self.pair(self.body(x), y)
        return scores

    def chosen(
        self, x: Float[Tensor, "n channels *spatial"], y: Float[Tensor, "n d"], partners: Int[Tensor, "n k"]
    ) -> Float[Tensor, "n k"]:
        """Scores of each input with k of the representations."""
        return self.pair.chosen(self.body(x), y, partners)


def mine(
    source: Source,
    features: Float[Tensor, "n d"],
    train_features: Float[Tensor, "m d"],
    seeds: Sequence[int],
    progress: Progress,
) -> list[Outcome]:
    """Held-out estimate of I(X; Y), ``mine/1``, on the device of the features."""
    index = evenly_spaced(len(source), MOST_INPUTS)
    if not (features[index] != features[index[0]]).any():
        constant = "no unit varies, and a constant tells nothing"
        return [Outcome(0.0, {}, {"warnings": [constant]}, n=len(index)) for _ in seeds]
    x = floats_of(source)(index).cpu()
    y = standardised(train_features, features[index])[1].cpu()
    critic = partial(InputCritic, x.shape[1], tuple(x.shape[2:]), y.shape[1])
    outcomes = []
    for seed in seeds:
        estimate = estimate_mi(
            x, y, critic=critic, fitting=FITTING, seed=seed, device=features.device, progress=_of_seed(progress, seed)
        )
        kept = ("interval", "level", "lower_bound", "ceiling", "readouts", "effective_sample_size", "n", "warnings")
        details = _finished(estimate.finished, estimate.to_json(), kept)
        outcomes.append(
            Outcome(estimate.mi, {}, details | {"warnings": [INFINITE, *details["warnings"]]}, n=len(index))
        )
    return outcomes


def ndm(features: Float[Tensor, "n d"], seeds: Sequence[int], progress: Progress) -> list[Outcome]:
    """Held-out estimate of the total correlation, ``ndm/1``, on the device of the features."""
    if (features != features[0]).any(0).sum() < 2:
        constant = "fewer than two units vary, and a constant depends on nothing"
        return [Outcome(0.0, {}, {"warnings": [constant]}) for _ in seeds]
    outcomes = []
    for seed in seeds:
        found = neural_dependency(
            features.cpu(), "auto", seed=seed, device=features.device, progress=_of_seed(progress, seed)
        )
        kept = ("interval", "level", "method", "per_factor", "warnings")
        outcomes.append(Outcome(found.total_correlation, {}, _finished(found.finished, found.to_json(), kept)))
    return outcomes


def ndm_sample(
    features: Float[Tensor, "n d"], log_variance: Float[Tensor, "n d"], seeds: Sequence[int], progress: Progress
) -> list[Outcome]:
    """Held-out estimate of the total correlation of posterior samples, ``ndm-sample/1``, as `ndm`."""
    deviation = (log_variance / 2).exp()
    outcomes = []
    for seed in seeds:
        noise = torch.randn(features.shape, generator=torch.Generator().manual_seed(seed)).to(features)
        outcomes += ndm(features + deviation * noise, [seed], progress)
    return outcomes


def mine_paper(
    source: Source, features: Float[Tensor, "n d"], seeds: Sequence[int], progress: Progress
) -> list[Outcome]:
    """The paper's estimate of I(X; Y), ``mine-paper/2``, on the device of the features."""
    gather = floats_of(source)
    std, mean = torch.std_mean(gather(evenly_spaced(len(source), MOST_INPUTS)))
    y = standardised(features, features)[0]

    def inputs(rows: Int[Tensor, " k"]) -> Float[Tensor, "k channels *spatial"]:
        return gather(rows).to(y.device).sub(mean).div(std)

    outcomes = []
    for seed in seeds:
        with own_random_numbers(seed, y.device), torch.enable_grad():
            critic = InputCritic(source.shape[0], source.shape[1:], y.shape[1]).to(y.device)
            course = _train_as_the_paper(critic, inputs, y, _of_seed(progress, seed))
        early = [CUT_SHORT] if course[-1][0] < PAPER_EPOCHS else []
        outcomes.append(Outcome(course[-1][1], {}, {"course": course, "warnings": early}))
    return outcomes


def ndm_paper(features: Float[Tensor, "n d"], seeds: Sequence[int], progress: Progress, sigmoid: bool) -> list[Outcome]:
    """The paper's dependency measure, ``ndm-paper/2``, on the device of the features."""
    z = (features.sigmoid() if sigmoid else features).cpu().numpy()
    outcomes = []
    for seed in seeds:
        value, course = dim_dependency(
            z, seed=seed, epochs=EPOCHS, device=features.device, progress=_of_seed(progress, seed), stop=lambda: False
        )
        outcomes.append(Outcome(value, {}, {"course": [list(point) for point in course]}))
    return outcomes


def _train_as_the_paper(
    critic: InputCritic, inputs: Callable[[Tensor], Tensor], y: Float[Tensor, "n d"], progress: Progress
) -> list[list[float]]:
    """Train in place; epochs and the objective after them."""
    optimizer = torch.optim.Adam(critic.parameters(), PAPER_LEARNING_RATE)
    size = min(PAPER_BATCH, len(y))
    order, steps_per_epoch = batches(len(y), size), len(y) // size
    steps, every = PAPER_EPOCHS * steps_per_epoch, PAPER_EPOCHS // 10 * steps_per_epoch
    course = [[0, _figure(critic, inputs, y, size)]]
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = PAPER_LEARNING_RATE * (1 + math.cos(math.pi * (step - 1) / steps)) / 2
        value = _objective(critic, inputs, y, next(order))
        if not torch.isfinite(value):
            course.append([step // steps_per_epoch, _figure(critic, inputs, y, size)])
            break
        optimizer.zero_grad()
        (-value).backward()
        optimizer.step()
        progress("training", step, steps)
        if step % every == 0:
            course.append([step // steps_per_epoch, _figure(critic, inputs, y, size)])
    return course


def _objective(
    critic: InputCritic, inputs: Callable[[Tensor], Tensor], y: Float[Tensor, "n d"], rows: Int[Tensor, " k"]
) -> Float[Tensor, ""]:
    """Donsker-Varadhan of a batch, each input beside the representation of another."""
    own = torch.arange(len(rows), device=y.device)
    partners = torch.stack([own, own.roll(int(torch.randint(1, len(rows), ())))], dim=1)
    scores = critic.chosen(inputs(rows), y[rows.to(y.device)], partners)
    return donsker_varadhan(Scores(scores[:, :1], scores[:, 1:, None]))


@torch.no_grad()
def _figure(critic: InputCritic, inputs: Callable[[Tensor], Tensor], y: Float[Tensor, "n d"], size: int) -> float:
    """The mean of the objective over the batches of one pass."""
    order = batches(len(y), size)
    return fmean(_objective(critic, inputs, y, next(order)).item() for _ in range(len(y) // size))


def _of_seed(progress: Progress, seed: int) -> Progress:
    return lambda task, done, total: progress(f"seed {seed}", done, total)


def _finished(finished: bool, found: dict[str, Any], kept: Sequence[str]) -> dict[str, Any]:
    """What is kept of an estimate; one that an interrupt cut short is none."""
    if not finished:
        raise KeyboardInterrupt
    return {name: found[name] for name in kept}
