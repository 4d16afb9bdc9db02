"""The state of a training: what its steps change, what a checkpoint keeps of it, and whether it is still finite."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deep_infomax.data import Source, fingerprint
from deep_infomax.runtime.processes import gathered
from deep_infomax.runtime.tensors import first_misfit
from deep_infomax.training.averaging import Average
from deep_infomax.training.checkpoint import (
    AVERAGE,
    MODEL,
    Checkpoint,
    Checkpoints,
    load_optimizer,
    optimizer_tensors,
    what_is_kept,
)
from deep_infomax.training.config import TrainingConfig
from deep_infomax.training.errors import NonFiniteLossError
from deep_infomax.training.log import RunningMeans
from deep_infomax.training.prepare import Model, prepare_optimizers


class TrainingState:
    """Weights, optimisers, sums of the log and counters of one training, with the facts a resume must agree with."""

    def __init__(self, model: Model, training: TrainingConfig, seed: int, data: Source, precision: torch.dtype) -> None:
        self.model, self.training, self.precision = model, training, precision
        self.device = model.encoder.mean.device
        self.optimizers = prepare_optimizers(model, training)
        self.means = RunningMeans()
        self.step, self.seconds, self.log_size = 0, 0.0, 0
        self.average = None if training.average is None else Average(model.encoder, training.average)
        self.stopped = False
        """Whether a callback or a collapse ended the training."""
        self.collapsed_since: float | None = None
        """The epoch since which every look at Y has found almost no directions."""
        self._data = f"{data.name} {data.split}"
        self._fingerprint = fingerprint(data)
        self._chosen = {"seed": seed, "batch_size": int(training.batch_size)}

    def contents(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and record of a checkpoint, but for the log's size; every process has to ask, as it gathers sums."""
        tensors = {f"{MODEL}{name}": tensor for name, tensor in self.model.state_dict().items()}
        if self.average is not None:
            tensors |= {f"{AVERAGE}{name}": tensor for name, tensor in self.average.tensors.items()}
        for name, optimizer in self.optimizers.items():
            tensors |= optimizer_tensors(name, optimizer)
        record = {
            "step": self.step, "seconds": self.seconds, "precision": str(self.precision).removeprefix("torch."),
            "device": self.device.type, "data": self._fingerprint,
        }  # fmt: skip
        stopped = {"stopped_early": True} if self.stopped else {}
        collapsed = {} if self.collapsed_since is None else {"collapsed_since": self.collapsed_since}
        return tensors | self.means.tensors(), record | self._chosen | stopped | collapsed

    def load(self, checkpoint: Checkpoint, out: Path) -> None:
        """Go on from a checkpoint of the run directory ``out``.

        Raises:
            ValueError: it is of other data, another seed or batch size, or another model, or is damaged.
        """
        tensors, record = checkpoint.tensors, checkpoint.record
        if record.data not in (None, self._fingerprint):
            raise ValueError(
                f"the inputs of {self._data} are not those that {out} was trained on; restore them, or train anew"
            )
        for name, value in self._chosen.items():
            if (found := getattr(record, name)) not in (None, value):
                raise ValueError(f"{out} was trained with the {name} {found}, not {value}; give that, or train anew")
        weights = checkpoint.part(MODEL)
        expected = self.model.state_dict()
        of_this_shape = {n: t for n, t in weights.items() if n in expected and t.shape == expected[n].shape}
        if said := first_misfit(of_this_shape, expected):
            raise checkpoint.damaged(said)
        try:
            self.model.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(
                f"the checkpoint of {out} does not fit its configuration; restore config.yaml or train anew"
            ) from error
        try:
            for name, optimizer in self.optimizers.items():
                load_optimizer(name, optimizer, tensors)
            self.means.load(tensors, self.device)
            if self.average is not None:
                self.average.load(checkpoint.part(AVERAGE))
        except ValueError as error:
            raise checkpoint.damaged(error) from None
        self.step, self.seconds, self.log_size = record.step, record.seconds, record.log_size
        self.stopped, self.collapsed_since = record.stopped_early, record.collapsed_since
        if self.training.precision == "auto" and record.device in (None, self.device.type):
            self.precision = getattr(torch, record.precision)

    def look(self, epoch: float, collapsed: bool) -> float | None:
        """Take a look at Y; the epoch since which it has been collapsed, None where it is not."""
        self.collapsed_since = (epoch if self.collapsed_since is None else self.collapsed_since) if collapsed else None
        return self.collapsed_since

    def collapsed_for(self, epoch: float) -> float:
        """Epochs since which Y has been collapsed."""
        return 0.0 if self.collapsed_since is None else epoch - self.collapsed_since

    def check_loss(self, checkpoints: Checkpoints | None) -> None:
        """Wait for the device, and raise NonFiniteLossError where a loss of any process was not finite."""
        first = torch.tensor([self.means.first_non_finite_step()], device=self.device)
        step = gathered(first).min()
        if step < math.inf:
            raise self._not_finite(f"the loss of step {step:.0f} is not finite", checkpoints)

    def check_vectors(self, vectors: Tensor, checkpoints: Checkpoints | None) -> None:
        """Raise NonFiniteLossError where what the encoder makes of inputs is not finite."""
        if not torch.isfinite(vectors).all():
            raise self._not_finite(f"the encoder's vectors are not finite after step {self.step}", checkpoints)

    def check_weights(self, checkpoints: Checkpoints) -> None:
        """Raise NonFiniteLossError where weights or statistics are not finite."""
        for name, tensor in self.model.state_dict().items():
            if not torch.isfinite(tensor).all():
                raise self._not_finite(f"{name} is not finite after step {self.step}", checkpoints)

    def _not_finite(self, what: str, checkpoints: Checkpoints | None) -> NonFiniteLossError:
        """The error, with what may keep a loss finite and is not so already."""
        advice = [f"a lower `training.learning_rate` than {self.training.learning_rate:g}"]
        if self.precision is not torch.float32:
            advice.append("`training.precision` float32")
        advice += self.model.objective.advice()
        return NonFiniteLossError(f"{what}; {what_is_kept(checkpoints)}. Train anew with {' or '.join(advice)}")
