"""The one training loop, for every objective: on a CPU, on a GPU, or in several processes of ``torchrun``.

A step draws its batch and its random numbers as a function of (seed, step, process), so the state of a run is its
weights, its optimisers and the number of the step. A run resumed on a CPU, with as many threads and processes,
therefore ends in the very weights of one that was never interrupted.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from deep_infomax.contracts import Losses, Objective
from deep_infomax.data import Batches, as_source, offset_of, statistics
from deep_infomax.encoders import Encoder
from deep_infomax.runtime import run_files
from deep_infomax.runtime.allocator import keep_freed_memory
from deep_infomax.runtime.chunks import at_a_time
from deep_infomax.runtime.interrupt import StopRequest, stop_requests
from deep_infomax.runtime.locks import training_lock
from deep_infomax.runtime.processes import agreed, lost_process, synchronise_batch_norms, wait_for_all
from deep_infomax.runtime.random_numbers import kept_random_numbers, seed_generators
from deep_infomax.runtime.regular import require_own_folder, require_regular
from deep_infomax.runtime.scaling import Scaling
from deep_infomax.runtime.terminal import PlainConsole
from deep_infomax.runtime.values import read_setting
from deep_infomax.training.callbacks import Callback, Callbacks
from deep_infomax.training.checkpoint import Checkpoints, checkpoint_bytes, what_is_kept
from deep_infomax.training.compilation import can_compile, compile_model
from deep_infomax.training.config import TrainingConfig, learning_rate_factor, with_epochs
from deep_infomax.training.errors import InterruptedTrainingError, LostProcessError, WriteError
from deep_infomax.training.health import collapse_text, health, is_collapsed
from deep_infomax.training.log import TRAINING_PAIRS, MetricsFile, TrainingProgress
from deep_infomax.training.pictures import save_pictures
from deep_infomax.training.precision import resolve_precision
from deep_infomax.training.prepare import Model, check_batch, prepare_accelerator, require_parts, use_channels_last
from deep_infomax.training.state import TrainingState

_HEALTH_INPUTS: Final = 512
_HEALTH_VALUES: Final = 2**27
"""Of large inputs no more are looked at than hold so many values together, 512 MB in float32."""


@dataclass(frozen=True)
class Training:
    """What a finished training reports."""

    steps: int
    seconds: float
    """Time of training, over all parts of an interrupted run."""
    terms: dict[str, float]
    """Means of the terms over the last logged steps of this part, read on training pairs; empty when none was left."""
    stopped_early: bool = False
    """Whether a callback, or a collapse, ended it before the last of the steps that the settings ask for."""
    collapsed_since: float | None = None
    """The epoch since which Y used almost no directions; None where it was well at the end."""


def fit(
    encoder: Encoder,
    objective: Objective,
    data: Any,
    training: TrainingConfig | None = None,
    *,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    transform: Callable[[Tensor], Tensor] | None = None,
    scaling: str = "standard",
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
) -> Training:
    """Train an encoder with an objective, in place.

    Args:
        encoder: any `Encoder`; one without statistics of its own is given those of the data.
        objective: an `Objective`, such as `DeepInfoMax`.
        data: inputs (n, channels, *spatial) as an array, a tensor or a `Source`, a list of inputs, or a map-style data
            set of PyTorch; labels are not needed.
        training: see `TrainingConfig`.
        seed: of the order of the data and of all random numbers drawn in training (weights are drawn before it).
        out: a run directory for the log, the checkpoints and the trained encoder; None writes nothing.
        resume: continue from the newest checkpoint in ``out``, or from the beginning where there is none.
        transform: applied on the device to the inputs of every batch, such as a random crop.
        scaling: how an encoder without statistics of its own is to use those of the data: ``standard``, ``robust``,
            ``log1p`` or ``symmetric``, see `deep_infomax.runtime.scaling`.
        progress: show progress on standard error.
        callbacks: hear of every line of the log and of every epoch, and may end the training; see `Callback`.

    Raises:
        ValueError: the data or a setting cannot be used, or another process trains into ``out``.
        NonFiniteLossError: a loss became infinite or not a number.
        InterruptedTrainingError: SIGINT or SIGTERM arrived; with ``out``, a checkpoint has been written.
        WriteError: a file of ``out`` cannot be written; the checkpoints before it are kept.
        LostProcessError: another process of the training ended, or cannot be reached any more.

    Example:
        >>> from deep_infomax.encoders import convolutional
        >>> from deep_infomax.objectives import Untrained
        >>> encoder = convolutional(channels=2, spatial=(32,), dim=8)
        >>> series = np.random.default_rng(0).normal(size=(64, 2, 32)).astype(np.float32)
        >>> training = TrainingConfig(epochs=2, batch_size=16, device="cpu")
        >>> fit(encoder, Untrained(), series, training, progress=False).steps
        8
    """
    require_parts(encoder, objective, training)
    listening = Callbacks(callbacks)
    run = _Run(
        encoder, objective, data, training or TrainingConfig(), seed, None if out is None else Path(out), transform,
        read_setting("scaling", Scaling, scaling), listening,
    )  # fmt: skip
    with kept_random_numbers(run.device), stop_requests(signal.SIGINT, signal.SIGTERM) as stop, run.alone():
        return run.train(stop, resume, progress)


class _Run:
    """One training: its parts, placed on their device."""

    def __init__(
        self,
        encoder: Encoder,
        objective: Objective,
        data: Any,
        training: TrainingConfig,
        seed: int,
        out: Path | None,
        transform: Callable[[Tensor], Tensor] | None,
        scaling: Scaling,
        callbacks: Callbacks,
    ) -> None:
        self.encoder, self.seed, self.out = encoder, int(seed), out
        self.callbacks = callbacks
        self.logged = (0, 0.0)
        """Step and seconds of the last line about steps."""
        self.accelerator = prepare_accelerator(training, out)
        self.device = self.accelerator.device
        if self.device.type == "cpu":
            keep_freed_memory()
        self.source = as_source(data)
        self.training = training = with_epochs(training, len(self.source))
        self.transform = transform
        # Random crops are drawn from larger inputs than the encoder takes; its health is looked at on central ones.
        cropping = transform is not None and len(self.source.shape) == 1 + len(encoder.spatial)
        shown = self.source.centre_crop(encoder.spatial) if cropping else self.source
        most = max(2, at_a_time(shown.shape, _HEALTH_INPUTS, _HEALTH_VALUES))  # of one there is no spread
        self.sample = shown.sample(most)
        encoder.check_inputs(self.sample.shape)
        if not encoder.has_statistics:
            offset = offset_of(self.source) if scaling != "log1p" else None
            measured = statistics(self.source, offset, scaling)
            encoder.set_statistics(*measured, offset, scaling, self.source.missing)
        encoder.check_missing(self.source.missing, f"{self.source.name} {self.source.split}")
        # Processes that measure for themselves may differ, so all take what the first one found.
        [precision] = broadcast_object_list([resolve_precision(training.precision, self.device)])
        self.bare_model = Model(encoder, objective).to(self.device).train()
        check_batch(self.bare_model, training)
        use_channels_last(self.bare_model)
        self.state = TrainingState(self.bare_model, training, self.seed, self.source, precision)
        if self.accelerator.num_processes > 1:
            synchronise_batch_norms(self.bare_model)
        self.compiled = all(gather_object([training.compile and can_compile(self.device)]))
        if self.compiled:
            compile_model(self.bare_model)
        self.model = self.accelerator.prepare(self.bare_model)
        if isinstance(self.model, DistributedDataParallel):
            self.model.broadcast_buffers = False  # they began alike, and all processes change them alike
        self.control = dist.new_group(backend="gloo") if self.accelerator.num_processes > 1 else None
        self.told = False
        """Whether a collapse was said."""

    def alone(self) -> AbstractContextManager[None]:
        """The run directory for this training alone; the first process holds it for all."""
        if self.out is None or not self.accelerator.is_main_process:
            return nullcontext()
        return training_lock(self.out)

    def train(self, stop: StopRequest, resume: bool, progress: bool) -> Training:
        """Take the steps that are left, writing the log and checkpoints."""
        state, training, accelerator = self.state, self.training, self.accelerator
        world, main = accelerator.num_processes, accelerator.is_main_process
        batches = Batches(
            self.source, training.batch_size, self.seed, self.device, accelerator.process_index, world, self.transform
        )
        per_epoch = batches.steps_per_epoch
        assert training.epochs is not None  # `with_epochs`
        total = math.ceil(training.epochs * per_epoch)
        checkpoints = self._open_checkpoints(resume)
        log = MetricsFile(self.out / run_files.METRICS, state.log_size) if self.out is not None and main else None
        console = PlainConsole(stderr=True) if progress and main else None
        if console is not None and training.compile and not self.compiled:
            console.print("nothing is compiled: torch.compile finds no working compiler here", soft_wrap=True)
        terms: dict[str, float] = {}
        began, saved, self.logged = time.monotonic() - state.seconds, state.seconds, (state.step, state.seconds)
        files = nullcontext() if log is None else closing(log)
        with files, closing(TrainingProgress(total, state.step, console)) as bar, self._explained(checkpoints, stop):
            while state.step < total and not state.stopped:
                rate = learning_rate_factor(training, state.step, total) * training.learning_rate
                self._take_step(batches, rate, checkpoints)
                bar.advance(state.step)
                last, epoch = state.step == total, state.step / per_epoch
                logging = last or state.step % training.log_every == 0
                # An epoch within which no line of the log falls passes without a wait for the device.
                logged_within = state.step // training.log_every > (state.step - per_epoch) // training.log_every
                epoch_over = last or state.step % per_epoch == 0
                looking = last or (epoch_over and logged_within)
                if logging or looking:
                    state.check_loss(checkpoints)  # waits for the device, so that what is timed is done
                state.seconds = time.monotonic() - began
                if logging:
                    terms = self._log_steps(log, bar, epoch, rate, total)
                if looking:
                    self._log_health(log, bar, epoch, checkpoints)
                enough = epoch_over and main and self.callbacks.on_epoch(epoch, self.encoder)
                enough = enough or (training.stop_on_collapse and looking and state.collapsed_for(epoch) >= 1)
                due = state.seconds - saved > training.checkpoint_seconds
                stopping, due, enough = agreed([stop.requested, due, enough], self.control)
                state.stopped = enough and not last
                if state.stopped:
                    state.check_loss(checkpoints)
                    terms = terms if logging else self._log_steps(log, bar, epoch, rate, total)
                    if not looking:
                        self._log_health(log, bar, epoch, checkpoints)
                ends = last or state.stopped
                if checkpoints is not None and (ends or stopping or due):
                    self._save(checkpoints, log)
                    saved = state.seconds
                if stopping and not ends:
                    stop.lasting = self.control is not None  # a launcher may pass the signal on once more
                    raise InterruptedTrainingError(f"interrupted after step {state.step} of {total}")
            end = {"kind": "end", "step": state.step, "epoch": training.epochs, "seconds": state.seconds}
            if state.stopped:
                end |= {"epoch": state.step / per_epoch, "stopped_early": True, "steps_planned": total}
            self._write(log, end)
            self.encoder.eval()
            if state.average is not None:
                state.average.hand_over()
            if self.out is not None and main:
                save_pictures(self.out / run_files.ARRAYS, self.bare_model, self.sample)
                self.encoder.save_pretrained(self.out)  # last: a run with an encoder is whole
        for tracker in accelerator.trackers:
            tracker.finish()
        if self.control is not None:
            dist.destroy_process_group(self.control)
        return Training(state.step, state.seconds, terms, state.stopped, state.collapsed_since)

    @contextmanager
    def _explained(self, checkpoints: Checkpoints | None, stop: StopRequest) -> Iterator[None]:
        """Say of a file that cannot be written, and of a process that was lost, when it was and what is kept."""
        try:
            yield
        except OSError as error:
            if error is self.callbacks.failure:
                raise
            raise WriteError(
                f"writing failed after step {self.state.step} ({error}); {what_is_kept(checkpoints)}"
            ) from error
        except RuntimeError as error:
            if not lost_process(error) or error is self.callbacks.failure:
                raise
            # A launcher that sees a process end sends SIGTERM to the others, which may still be saying why they end.
            stop.lasting = True
            raise LostProcessError(
                f"another process of the training cannot be reached any more, after step {self.state.step} or in it "
                f"({str(error).splitlines()[0]}); {what_is_kept(checkpoints)}"
            ) from error

    def _take_step(self, batches: Batches, rate: float, checkpoints: Checkpoints | None) -> None:
        """One step of all optimisers; its random numbers, crops included, are a function of (seed, step, process)."""
        state = self.state
        entropy = [self.seed, state.step, self.accelerator.process_index]
        seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])
        seed_generators(seed, self.device)
        try:
            batch = batches.batch(state.step)
        except OSError as error:
            raise ValueError(
                f"the inputs of step {state.step + 1} cannot be read: {error}; {what_is_kept(checkpoints)}"
            ) from error
        with torch.autocast(self.device.type, torch.bfloat16, enabled=state.precision is torch.bfloat16):
            losses: Losses = self.model(batch)
        loss = losses.encoder if losses.adversary is None else losses.encoder + losses.adversary
        self.accelerator.backward(loss)
        if self.control is not None:
            self._check_reached()
        for group in state.optimizers["encoder"].param_groups:
            group["lr"] = rate
        for optimizer in state.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        state.step += 1
        if state.average is not None:
            state.average.add(state.step)
        state.means.add(state.step, loss, losses.terms)

    def _check_reached(self) -> None:
        """Refuse what one process leaves as it is, but several cannot: their gradients would not be put together."""
        left_out = [name for name, p in self.bare_model.named_parameters() if p.requires_grad and p.grad is None]
        if left_out:
            raise ValueError(
                f"the loss does not reach {left_out[0]} (parameters left out: {len(left_out)}), which several "
                "processes cannot leave out; train in one, or call requires_grad_(False) on them"
            )

    def _log_steps(
        self, log: MetricsFile | None, bar: TrainingProgress, epoch: float, rate: float, total: int
    ) -> dict[str, float]:
        """Write the line about the steps since the last such line; the means of their terms."""
        state, (step, seconds) = self.state, self.logged
        speed = (state.step - step) * self.training.batch_size / (state.seconds - seconds)
        terms = state.means.take()
        record = {
            "kind": "train", "step": state.step, "epoch": epoch, "images_per_second": speed,
            "learning_rate": rate, "seconds": state.seconds, "read_on": TRAINING_PAIRS, "terms": terms,
        }  # fmt: skip
        self.logged = (state.step, state.seconds)
        self._write(log, record)
        bar.report(record, (total - state.step) * self.training.batch_size / speed)
        return terms

    def _log_health(
        self, log: MetricsFile | None, bar: TrainingProgress, epoch: float, checkpoints: Checkpoints | None
    ) -> None:
        """Write the line about signs of collapse, and say so at the second look that finds one.

        Raises:
            NonFiniteLossError: what the encoder makes of inputs is not finite.
        """
        vectors = self.encoder.encode(self.sample)
        self.state.check_vectors(vectors, checkpoints)
        found, size = health(vectors), vectors.shape[1]
        since = self.state.look(epoch, is_collapsed(found["vector_rank"], size))
        collapsed = {} if since is None else {"collapsed_since": since}
        more = self.callbacks.on_look(self.encoder) if self.accelerator.is_main_process else {}
        bar.look(more)
        self._write(log, {"kind": "health", "step": self.state.step, "epoch": epoch} | found | collapsed | more)
        if since is not None and since < epoch and not self.told:
            self.told = True
            bar.say(collapse_text(found["vector_rank"], size, since))

    def _write(self, log: MetricsFile | None, record: dict[str, Any]) -> None:
        if log is not None:
            log.write(record)
        values = {name: value for name, value in record.items() if isinstance(value, float | int)}
        self.accelerator.log(values | record.get("terms", {}), step=record["step"])
        if self.accelerator.is_main_process:
            self.callbacks.on_log(record)

    def _open_checkpoints(self, resume: bool) -> Checkpoints | None:
        """The run's checkpoints; on a resume the state of the newest is taken up."""
        if self.out is None:
            if resume:
                raise ValueError("resume=True needs out, the run directory to resume from")
            return None
        checkpoints = Checkpoints(self.out / run_files.CHECKPOINTS, self.training.checkpoints)
        if not resume and checkpoints.paths():
            raise ValueError(f"{self.out} already holds checkpoints; give resume=True or another folder")
        if self.accelerator.is_main_process:
            for name in (run_files.METRICS, run_files.WEIGHTS, run_files.ENCODER):
                require_regular(self.out / name)
            require_own_folder(self.out / run_files.ARRAYS)
            averaged = None if self.training.average is None else self.encoder
            checkpoints.prepare(checkpoint_bytes(self.bare_model, self.training.checkpoints, averaged))
        wait_for_all(self.control)
        if resume and (found := checkpoints.read_latest()) is not None:
            self.state.load(found, self.out)
        return checkpoints

    def _save(self, checkpoints: Checkpoints, log: MetricsFile | None) -> None:
        """Write a checkpoint, of what is finite; in the first process, while the others wait."""
        self.state.check_loss(checkpoints)
        self.state.check_weights(checkpoints)
        tensors, record = self.state.contents()
        if log is not None:
            checkpoints.write(self.state.step, tensors, record | {"log_size": log.size})
        wait_for_all(self.control)
