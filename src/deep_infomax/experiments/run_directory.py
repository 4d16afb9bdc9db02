"""The run directory: where a training keeps its configuration, log, checkpoints, encoder and results."""

import dataclasses
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
import yaml

import deep_infomax
from deep_infomax.runtime.files import written_whole

RECORDED: Final = ("command", "dataset", "environment")
"""What ``config.yaml`` tells of a run beside its settings."""

_CONFIG: Final = "config.yaml"
_TRAINED: Final = ("metrics.jsonl", "checkpoints/*", "encoder.safetensors", "encoder.json", "evaluation.json")

_KINDS: Final = {
    "recipe": (str, "a name"),
    "seed": (int, "a whole number"),
    "data": (str, "a name or a path"),
    "probe": (str | None, "a name or a path"),
    "encoder": (dict, "a mapping"),
    "objective": (dict, "a mapping"),
    "training": (dict, "a mapping"),
    "data_options": (dict, "a mapping"),
}
_KINDS_ONCE_BEGUN: Final = {"dataset": (dict, "a mapping"), "environment": (dict, "a mapping")}


def create_run(run: Path) -> None:
    """Make a run directory; one in which no training ever began may be used again.

    Raises:
        ValueError: it already holds a run or files that a run would overwrite, or something else is in its place.
    """
    if run.exists() and not run.is_dir():
        raise ValueError(f"{run} is a file; name a folder with --out")
    if found := [name for name in (_CONFIG, *_TRAINED) if any(run.glob(name))]:
        try:
            read_config(run)
        except ValueError as error:
            raise ValueError(
                f"{run} holds {', '.join(found)}, which a training would overwrite, and is no run that can be "
                "continued; choose another --out"
            ) from error
        if found != [_CONFIG]:
            remedy = f"continue it with 'dim train --resume {run}' or choose another --out"
            raise ValueError(f"{run} already holds a run; {remedy}")
    run.mkdir(parents=True, exist_ok=True)


def write_config(run: Path, config: Mapping[str, Any]) -> None:
    """Write ``config.yaml`` whole or not at all."""
    with written_whole(run / _CONFIG) as partial:
        partial.write_text(yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True))


def read_config(run: Path) -> dict[str, Any]:
    """The configuration of a run.

    Raises:
        ValueError: there is no run, or its configuration is damaged; the file and the key are named.
    """
    path = run / _CONFIG
    if not path.is_file():
        raise ValueError(
            f"{run} is no run directory: it has no {_CONFIG}; give the folder that 'dim train --out' named"
        )
    try:
        config = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({str(error).splitlines()[0]}); restore it or train anew") from error
    missing = [key for key in _KINDS if key not in config] if isinstance(config, dict) else _KINDS
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; restore it or train anew")
    for key, (kind, name) in (_KINDS | _KINDS_ONCE_BEGUN).items():
        if key in config and not isinstance(value := config[key], kind):
            found = "null" if value is None else repr(value)
            raise ValueError(f"{path}: {key} is {found} where {name} belongs; restore it or train anew")
    if not 0 <= config["seed"] < 2**63:
        raise ValueError(f"{path}: seed is {config['seed']}, not within 0 and 2^63; restore it or train anew")
    return dict(config)


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
