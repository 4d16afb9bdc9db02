"""Training: one loop for every objective, its settings, and exact checkpoints."""

from deep_infomax.runtime.allocator import keep_freed_memory
from deep_infomax.training.callbacks import Callback
from deep_infomax.training.checkpoint import checkpoint_bytes
from deep_infomax.training.compilation import can_compile
from deep_infomax.training.config import (
    LEAST_STEPS,
    USUAL_EPOCHS,
    TrainingConfig,
    learning_rate_factor,
    with_epochs,
)
from deep_infomax.training.errors import InterruptedTrainingError, LostProcessError, NonFiniteLossError, WriteError
from deep_infomax.training.health import dead_units, effective_rank
from deep_infomax.training.loop import Training, fit
from deep_infomax.training.precision import has_fast_bfloat16, resolve_precision
from deep_infomax.training.prepare import uses_cpu

__all__ = [
    "LEAST_STEPS",
    "USUAL_EPOCHS",
    "Callback",
    "InterruptedTrainingError",
    "LostProcessError",
    "NonFiniteLossError",
    "Training",
    "TrainingConfig",
    "WriteError",
    "can_compile",
    "checkpoint_bytes",
    "dead_units",
    "effective_rank",
    "fit",
    "has_fast_bfloat16",
    "keep_freed_memory",
    "learning_rate_factor",
    "resolve_precision",
    "uses_cpu",
    "with_epochs",
]
