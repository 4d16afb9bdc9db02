"""The run directory: where a training keeps its configuration, log, checkpoints, encoder and results.

======================  ===========================================================================================
file                    what it holds
======================  ===========================================================================================
``config.yaml``         `Settings`: all that the training was told, its data set and what it ran on
``metrics.jsonl``       the log, one JSON object a line (`deep_infomax.training.Callback.on_log`)
``checkpoints/``        ``step-*.safetensors``, the newest few (`deep_infomax.training.checkpoint`)
``encoder.*``           the trained encoder, ``.safetensors`` and ``.json`` (`deep_infomax.encoders.pretrained`)
``evaluation.json``     what was measured of it (`deep_infomax.evaluation.results`)
``arrays/``             what the report draws: representations, miniatures, neighbours, reconstructions
``report.html``         the report
``explore.html``        the map of Y, whose tables are in ``explore/``
======================  ===========================================================================================

`fit` with ``out`` writes all but ``config.yaml``. It knows neither a recipe nor how the network, the objective and the
data were made, so it could not be continued from such a file. Its folder is a run for `encode`, `report` and, with a
probe, `evaluate`.
"""

import dataclasses
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import torch
import yaml
from msgspec import Meta

import deep_infomax
from deep_infomax.experiments.settings import GROUPS, configure
from deep_infomax.recipes import Config
from deep_infomax.runtime import run_files
from deep_infomax.runtime.files import write_text
from deep_infomax.runtime.locks import LockedError, training_lock
from deep_infomax.runtime.records import damaged, read_yaml, typed

RECORDED: Final = ("command", "dataset", "environment")
"""What ``config.yaml`` tells of a run beside its settings."""
IN_MEMORY: Final = "(in memory)"
"""What stands for the data of a training that were not read from a file."""

_TRAINED: Final = (
    run_files.METRICS, f"{run_files.CHECKPOINTS}/*", run_files.WEIGHTS, run_files.ENCODER, run_files.EVALUATION,
)  # fmt: skip
_REMEDY: Final = "restore it or train anew"


@dataclass(frozen=True)
class Settings:
    """What a run was told, and what is recorded once it has begun: all that ``config.yaml`` holds."""

    recipe: str
    command: str | None
    """How it was started: a command line, or a call from Python."""
    seed: int
    data: str
    """A spec; `IN_MEMORY` for data that were given as they are."""
    probe: str | None
    """The spec of labelled data for later probes; None for the training's own."""
    config: Config
    dataset: Mapping[str, Any] | None = None
    """Description of the data as they were read."""
    environment: Mapping[str, Any] | None = None
    """What figures depend on beside the settings."""

    @property
    def in_memory(self) -> bool:
        """Whether the data were given as they are, so that nothing here can read them again."""
        return self.data == IN_MEMORY

    def content(self) -> dict[str, Any]:
        """As ``config.yaml`` has it, in its order."""
        told = {name: getattr(self, name) for name in ("recipe", "command", "seed", "data", "probe")}
        recorded = {name: value for name in ("dataset", "environment") if (value := getattr(self, name)) is not None}
        if self.command is None:
            del told["command"]
        return {**told, **plain(self.config), **plain(recorded)}


@dataclass(frozen=True)
class _Environment:
    """What a training that goes on reads of the environment that it began in."""

    precision: Literal["bfloat16", "float32"] = "float32"
    device: str = ""


@dataclass(frozen=True)
class _Content:
    """What ``config.yaml`` holds; groups of settings are read by `configure`."""

    recipe: str
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    data: str
    probe: str | None
    encoder: dict[str, Any]
    objective: dict[str, Any]
    training: dict[str, Any]
    data_options: dict[str, Any]
    command: str | None = None
    dataset: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)


@contextmanager
def new_run(run: Path) -> Iterator[None]:
    """Make a run directory, and keep others out of it during the block; one where no training began may be used again.

    Where the block wrote nothing, such as for a training that is refused, no directory is left that was not there.

    Raises:
        ValueError: it already holds a run or files that a run would overwrite, something else is in its place, or
            another process trains there.
    """
    there = run.exists()
    _require_free(run)
    try:
        with training_lock(run):
            _require_free(run)  # another one may have begun and ended in between
            yield
    finally:
        if not there:
            with suppress(OSError):  # it is not empty
                run.rmdir()


@contextmanager
def new_numbered_run(run: Path) -> Iterator[Path]:
    """As `new_run`, with the next free number where the name is taken: ``-2``, ``-3``, and so on."""
    with ExitStack() as held:
        for number in count(1):
            free = run if number == 1 else run.with_name(f"{run.name}-{number}")
            with suppress(_TakenError, LockedError):
                held.enter_context(new_run(free))
                break
        yield free


class _TakenError(ValueError):
    """A folder in which no training can begin."""


def _require_free(run: Path) -> None:
    if said := _in_the_way(run):
        if run.is_dir():
            with suppress(OSError), training_lock(run):  # of a training that is under way, its process says more
                pass
        raise _TakenError(said)


def _in_the_way(run: Path) -> str | None:
    """Why a training cannot begin in a folder."""
    if run.exists() and not run.is_dir():
        return f"{run} is a file; name a folder with `out`"
    if run.is_symlink() and not run.exists():
        return f"{run} is a link that leads nowhere; name a folder with `out`"
    found = [name for name in (run_files.CONFIG, *_TRAINED) if any(run.glob(name))]
    if not found:
        return None
    if run_files.CONFIG in found:
        try:
            read_settings(run)
        except ValueError:
            pass
        else:
            if found == [run_files.CONFIG]:
                return None
            return f"{run} already holds a run; continue it with `Run({str(run)!r}).resume()` or choose another `out`"
    return (
        f"{run} holds {', '.join(found)}, which a training would overwrite, and is no run that can be continued; "
        "choose another `out`"
    )


def write_settings(run: Path, settings: Settings) -> None:
    """Write ``config.yaml`` whole or not at all."""
    write_text(run / run_files.CONFIG, yaml.safe_dump(settings.content(), sort_keys=False, allow_unicode=True))


def read_settings(run: Path) -> Settings:
    """The settings of a run; what an older one does not say is as it was before.

    Raises:
        ValueError: there is no run, or its configuration is damaged; the file and the key are named.
    """
    path = run / run_files.CONFIG
    content = _content(path)
    try:
        config = configure(Config(), {group: getattr(content, group) for group in GROUPS})
        typed(content.environment, _Environment)
    except ValueError as error:
        raise damaged(path, str(error).replace("`", ""), _REMEDY) from error  # in a file no setting is a flag
    return Settings(
        content.recipe, content.command, content.seed, content.data, content.probe, config,
        content.dataset or None, content.environment or None,
    )  # fmt: skip


def _content(path: Path) -> _Content:
    run = path.parent
    if not path.is_file():
        if trained_by_fit(run):
            raise ValueError(f"{run} was trained by `fit`, which keeps no {path.name}; continue it with its `resume`")
        raise ValueError(f"{run} is no run directory: it has no {path.name}; give a folder that a training wrote")
    return read_yaml(path, _Content, _REMEDY)


def trained_by_fit(run: Path) -> bool:
    """Whether a folder is what `fit` writes, which keeps no configuration."""
    return not (run / run_files.CONFIG).exists() and (run / run_files.METRICS).is_file()


def environment(device: torch.device, precision: torch.dtype) -> dict[str, Any]:
    """What a figure depends on beside the configuration."""
    return {
        "version": deep_infomax.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": str(precision).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }


def plain(value: Any) -> Any:
    """Dataclasses, mappings, tuples and paths as what YAML and JSON know."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({entry.name: getattr(value, entry.name) for entry in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value
