"""The settings of a training, and the learning rate as a function of the step."""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

from deep_infomax.runtime.values import MOST_INPUTS, require_count

USUAL_EPOCHS: Final = 20
"""Passes over the data unless told otherwise."""
LEAST_STEPS: Final = 200
"""Steps that few inputs are trained for unless told otherwise; more make an encoder learn them by heart."""


@dataclass(frozen=True)
class TrainingConfig:
    """How any objective is trained; recipes say what they change."""

    epochs: float | None = None
    """Passes over the data; a fraction stops within a pass; none: 20, or as many as make 200 steps."""
    batch_size: int = 256
    """Inputs of one step, which several processes share equally."""
    learning_rate: float = 2e-3
    """Largest learning rate of the encoder, the scorers and other heads."""
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """One-cycle: up from 1/25 over the warm-up, then down to 0, both along a cosine."""
    warmup: float = 0.1
    """Share of all steps in which a one-cycle schedule rises."""
    weight_decay: float = 0.0
    """Decoupled decay of the weights of the encoder side's layers (Loshchilov and Hutter 2019, 1711.05101)."""
    average: float | None = None
    """Decay of a moving average of the encoder's weights, which is what the training gives; none: the last weights."""
    adversary_learning_rate: float = 1e-4
    """Constant learning rate of the adversary (prior matching, BiGAN)."""
    betas: tuple[float, ...] = (0.9, 0.999)
    """Decays of the two moments of Adam, of encoder and adversary (Kingma and Ba 2015, 1412.6980); games often use a
    first of 0.5."""
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """Number type of matrix products and convolutions; auto: bfloat16 where that is faster, else float32."""
    device: Literal["auto", "cpu", "cuda", "mps", "xpu"] = "auto"
    """Where to train; auto: a CUDA GPU where there is one, else the CPU. No test covers mps (Apple) and xpu (Intel)."""
    compile: bool = False
    """Compile the model with torch.compile, where there is a compiler; docs/speed.md says where it pays."""
    log_every: int = 20
    """Steps that one line of metrics.jsonl averages."""
    stop_on_collapse: bool = False
    """End the training where Y has used almost no directions for an epoch or more."""
    checkpoint_seconds: float = 60.0
    """Time between checkpoints; one more is written at the end and on an interrupt."""
    checkpoints: int = 2
    """Checkpoints kept on disk."""
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Where the log goes beside metrics.jsonl, through Accelerate."""

    def __post_init__(self) -> None:
        """Reject values no training can use."""
        for name in ("batch_size", "log_every", "checkpoints"):
            require_count(f"training.{name}", getattr(self, name), MOST_INPUTS)
        for name in ("epochs", "learning_rate", "weight_decay", "adversary_learning_rate", "checkpoint_seconds"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"`training.{name}` is {value:g}; give a finite number of at least 0")
        if self.epochs is not None and self.epochs > 1e9:  # beyond it steps become too many to count
            raise ValueError(f"`training.epochs` is {self.epochs:g}; give at most 1e9")
        if self.average is not None and not 0 <= self.average < 1:
            raise ValueError(
                f"`training.average` is {self.average:g}; give a decay of at least 0 and below 1, such as 0.999"
            )
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            found = ",".join(f"{beta:g}" for beta in self.betas)
            raise ValueError(f"`training.betas` is {found}; give two numbers of at least 0 and below 1, as 0.9,0.999")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"`training.warmup` is {self.warmup}; give a share of the steps, at least 0 and below 1")


def with_epochs(training: TrainingConfig, n: int) -> TrainingConfig:
    """How long to train on n inputs, where that was left open.

    >>> with_epochs(TrainingConfig(batch_size=36), 36).epochs, with_epochs(TrainingConfig(), 50_000).epochs
    (200.0, 20.0)
    """
    if training.epochs is not None:
        return training
    per_epoch = max(1, n // training.batch_size)
    return replace(training, epochs=float(max(USUAL_EPOCHS, math.ceil(LEAST_STEPS / per_epoch))))


def learning_rate_factor(training: TrainingConfig, step: int, total: int) -> float:
    """Share of the largest learning rate that step 0 <= step < total uses.

    >>> learning_rate_factor(TrainingConfig(schedule="constant"), 3, 10)
    1.0
    >>> [round(learning_rate_factor(TrainingConfig(warmup=0.5), step, 8), 2) for step in (0, 4, 7)]
    [0.04, 1.0, 0.15]
    """
    if training.schedule == "constant":
        return 1.0
    rise = training.warmup * total
    if step < rise:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * step / rise)) / 2
    return (1 + math.cos(math.pi * (step - rise) / (total - rise))) / 2
