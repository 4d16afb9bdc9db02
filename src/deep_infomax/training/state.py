"""The state of a training: what its steps change, what a checkpoint keeps of it, and whether it is still finite."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deep_infomax.data import Source, fingerprint
from deep_infomax.objectives import MutualInformation
from deep_infomax.processes import gathered
from deep_infomax.training.checkpoint import Checkpoints, load_optimizer, optimizer_tensors, what_is_kept
from deep_infomax.training.config import TrainingConfig
from deep_infomax.training.errors import NonFiniteLossError
from deep_infomax.training.log import RunningMeans
from deep_infomax.training.prepare import Model, prepare_optimizers

_MODEL = "model."


class TrainingState:
    """Weights, optimisers, sums of the log and counters of one training, with the facts a resume must agree with."""

    def __init__(self, model: Model, training: TrainingConfig, seed: int, data: Source, device: torch.device) -> None:
        self.model, self.training, self.device = model, training, device
        self.optimizers = prepare_optimizers(model, training)
        self.means = RunningMeans()
        self.precision = torch.float32
        self.step, self.seconds, self.log_size = 0, 0.0, 0
        self._data = f"{data.name} {data.split}"
        self._fingerprint = fingerprint(data)
        self._chosen = {"seed": seed, "batch_size": int(training.batch_size)}

    def contents(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON record of a checkpoint; every process has to ask, as the log's sums are those of all."""
        tensors = {f"{_MODEL}{name}": tensor for name, tensor in self.model.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            tensors |= optimizer_tensors(name, optimizer)
        record = {
            "step": self.step, "seconds": self.seconds, "log_size": self.log_size, "device": self.device.type,
            "precision": str(self.precision).removeprefix("torch."), "data": self._fingerprint,
        }  # fmt: skip
        return tensors | self.means.tensors(), record | self._chosen

    def take_up(self, tensors: dict[str, Tensor], record: dict[str, Any], out: Path) -> None:
        """Go on from a checkpoint of the run directory ``out``.

        Raises:
            ValueError: it is of other data, another seed or batch size, or another model.
        """
        if record.get("data", self._fingerprint) != self._fingerprint:
            raise ValueError(
                f"the inputs of {self._data} are not those that {out} was trained on; restore them, or train anew"
            )
        for name, value in self._chosen.items():
            if record.get(name, value) != value:
                raise ValueError(
                    f"{out} was trained with the {name} {record[name]}, not {value}; give that, or train anew"
                )
        weights = {name.removeprefix(_MODEL): t for name, t in tensors.items() if name.startswith(_MODEL)}
        try:
            self.model.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(
                f"the checkpoint of {out} does not fit its configuration; restore config.yaml or train anew"
            ) from error
        for name, optimizer in self.optimizers.items():
            load_optimizer(name, optimizer, tensors)
        self.means.load(tensors, self.device)
        self.step, self.seconds, self.log_size = record["step"], record["seconds"], record["log_size"]
        if self.training.precision == "auto" and record.get("device", self.device.type) == self.device.type:
            self.precision = getattr(torch, record["precision"])

    def check_loss(self, checkpoints: Checkpoints | None) -> None:
        """Wait for the device, and raise NonFiniteLossError where a loss of any process was not finite."""
        own = self.means.first_non_finite_step()
        # Every process sends the same type, whatever it found.
        first = torch.tensor([math.inf if own is None else own], dtype=torch.float64, device=self.device)
        step = gathered(first).min()
        if step < math.inf:
            self._refuse(f"the loss of step {step:.0f} is not finite", checkpoints)

    def check_weights(self, checkpoints: Checkpoints) -> None:
        """Raise NonFiniteLossError where weights or statistics are not finite."""
        for name, tensor in self.model.state_dict().items():
            if not torch.isfinite(tensor).all():
                self._refuse(f"{name} is not finite after step {self.step}", checkpoints)

    def _refuse(self, what: str, checkpoints: Checkpoints | None) -> None:
        """Raise, with what may keep a loss finite and is not so already."""
        terms = [part for part in self.model.modules() if isinstance(part, MutualInformation)]
        choices = {
            f"a lower --training.learning_rate than {self.training.learning_rate:g}": True,
            "--training.precision float32": self.precision is not torch.float32,
            "limited scores (--objective.limit 20)": any(term.limit is None for term in terms),
        }
        advice = " or ".join(choice for choice, is_open in choices.items() if is_open)
        raise NonFiniteLossError(f"{what}; {what_is_kept(checkpoints)}. Train anew with {advice}")
