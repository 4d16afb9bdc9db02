"""The files of a saved encoder: ``encoder.safetensors`` (weights, input statistics) and ``encoder.json`` (the network).

No pickle is written or read. Each file is replaced atomically: a process killed while it saves leaves the older one
whole. A run directory holds the same two files, so that a run, a folder and a Hub repository load alike.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import huggingface_hub
import safetensors.torch
import torch
from torch import Tensor, nn

from deep_infomax.runtime import run_files
from deep_infomax.runtime.files import write_text, written_whole
from deep_infomax.runtime.missing import Missing
from deep_infomax.runtime.records import damaged, read_json, typed
from deep_infomax.runtime.run_files import ENCODER, WEIGHTS
from deep_infomax.runtime.scaling import Scaling
from deep_infomax.runtime.tensors import first_misfit, read_tensors

SCHEMA = 2
REMEDY = "copy or save the encoder again"
"""What helps where a file is damaged."""

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""Names of repositories of the Hub."""


_LARGEST = 2**18
"""Bytes of ``encoder.json`` at most; it takes about one thousand."""


@dataclass(frozen=True)
class Configuration:
    """What ``encoder.json`` says of a network."""

    architecture: str
    """Name of the class that builds it."""
    arguments: dict[str, Any]
    """What that class builds it from; JSON values only."""
    offset: tuple[float, ...] | None = None
    """What is subtracted from every channel of the inputs in double precision, where anything is."""
    scaling: Scaling = "standard"
    """How the statistics of the inputs are used."""
    missing: Missing | None = None
    """What stands for a missing value; None where none may be missing."""


@dataclass(frozen=True)
class _Made:
    """What ``encoder.json`` says in every version."""

    schema: int
    package: str = "an unknown version"


def write(folder: Path, configuration: Configuration, module: nn.Module) -> None:
    """Write both files of a saved encoder into ``folder``, which is made where it does not exist."""
    # Copies: safetensors takes neither channels-last memory nor tensors that share storage (tied weights).
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in module.state_dict().items()
    }
    usual = {field.name: field.default for field in fields(Configuration)}
    said = {name: value for name, value in asdict(configuration).items() if value != usual[name]}
    # Versions that know no other scaling, and no missing values, would read inputs wrongly; they refuse the schema.
    schema = 1 if configuration.scaling == "standard" and configuration.missing is None else SCHEMA
    described = {"schema": schema, "package": f"deep-infomax {version('deep-infomax')}", **said}
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(folder / WEIGHTS) as file:
        file.write(safetensors.torch.save(tensors, metadata={"format": "pt"}))
    write_text(folder / ENCODER, json.dumps(described, indent=2) + "\n")


def locate(source: str | Path) -> Path:
    """The folder behind a folder, a run directory or a Hub name ``owner/name``, which is downloaded.

    Raises:
        ValueError: ``source`` is neither a folder nor a Hub name, or the Hub has nothing to give under that name.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    if isinstance(source, Path) or folder.exists() or not HUB_NAME.fullmatch(source):
        raise ValueError(
            f"no saved encoder at '{source}': it is neither a folder nor a Hub name (owner/name); check the path"
        )
    with _hub_errors(f"no folder '{source}' here, and the Hugging Face Hub gave none", "check the path, the name"):
        return Path(huggingface_hub.snapshot_download(source, allow_patterns=[WEIGHTS, ENCODER]))


def read_configuration(folder: Path) -> Configuration:
    """What ``encoder.json`` in ``folder`` says.

    Raises:
        ValueError: a file is missing or damaged, or a newer version of the package wrote it.
    """
    if missing := [name for name in (ENCODER, WEIGHTS) if not (folder / name).is_file()]:
        remedy = (
            f"its training has not ended; finish it with `Run({str(folder)!r}).resume()`"
            if (folder / run_files.CHECKPOINTS).is_dir()
            else "give a folder that save_pretrained wrote or a finished run directory"
        )
        raise ValueError(f"'{folder}' lacks {' and '.join(missing)}; {remedy}")
    path = folder / ENCODER
    described = read_json(path, dict, REMEDY, largest=_LARGEST, follow=True)
    try:
        made = typed(described, _Made)
        if made.schema <= SCHEMA:
            return typed(described, Configuration)
    except ValueError as error:
        raise damaged(path, error, REMEDY) from None
    raise ValueError(
        f"'{path}' has schema {made.schema}, written by {made.package}, and deep-infomax {version('deep-infomax')} "
        f"reads schemas up to {SCHEMA}; upgrade it: pip install --upgrade deep-infomax"
    )


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors in ``folder``, by name.

    Raises:
        ValueError: the file is damaged.
    """
    tensors, _ = read_tensors(folder / WEIGHTS, REMEDY, follow=True)
    return tensors


def require_fit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], folder: Path) -> None:
    """Raise ValueError unless every name and shape of the tensors in ``folder`` agrees; the first names are given."""
    if misfits := _misfits(expected, found):
        raise ValueError(
            f"the weights in '{folder / WEIGHTS}' do not fit the encoder: {'; '.join(misfits)}; "
            "build the network that was saved, or save the encoder again"
        )


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Copy the tensors in ``folder`` into ``module``.

    Raises:
        ValueError: a name, a shape or a type does not agree, or a number is not finite.
    """
    expected = module.state_dict()
    require_fit(expected, tensors, folder)
    if said := first_misfit(tensors, expected):
        raise damaged(folder / WEIGHTS, said, REMEDY)
    module.load_state_dict(tensors)


def upload(repo_id: str, save: Callable[[Path], None], *, private: bool, token: str | None, message: str) -> str:
    """Upload what ``save`` writes into a folder as the Hub repository ``repo_id``, made where it does not exist.

    Returns:
        The address of the repository.

    Raises:
        ValueError: the Hub refused or could not be reached.
    """
    hub = huggingface_hub.HfApi(token=token)
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder))
        with _hub_errors(f"could not upload to '{repo_id}' on the Hugging Face Hub", "check the login (hf auth login)"):
            address = hub.create_repo(repo_id, private=private, exist_ok=True)
            hub.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=message)
    return str(address)


def _misfits(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """How the tensors ``found`` differ from those ``expected``, one phrase for each kind of difference."""
    reshaped = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in found and found[name].shape != value.shape
    ]
    kinds = {
        "missing": [name for name in expected if name not in found],
        "not expected": [name for name in found if name not in expected],
        "of another shape": reshaped,
    }
    return [f"{kind}: {_first(names)}" for kind, names in kinds.items() if names]


def _first(names: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


@contextmanager
def _hub_errors(failure: str, remedy: str) -> Iterator[None]:
    """Turn whatever the Hub's client raises into one sentence."""
    try:
        yield
    # The client lets errors of its own, of its HTTP library and of the system through; which, depends on its version.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"{failure} ({reason}); {remedy} and the connection to https://huggingface.co") from None
