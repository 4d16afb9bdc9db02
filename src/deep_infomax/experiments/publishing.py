"""A run on the Hugging Face Hub: its encoder, and a card that says what is known of it."""

import re
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from deep_infomax.encoders import Encoder, pretrained
from deep_infomax.evaluation import read_results
from deep_infomax.evaluation.results import described_data
from deep_infomax.experiments.evaluate import finished
from deep_infomax.experiments.model_card import Known, model_card
from deep_infomax.runtime import run_files
from deep_infomax.runtime.files import write_text

CARD: Final = "README.md"
_LICENCE: Final = re.compile(r"[a-z0-9][a-z0-9.-]*")


def publish(
    run: Path, repository: str, *, licence: str | None = None, private: bool = False, token: str | None = None
) -> str:
    """Upload the encoder of a run with its card; the address of the repository, which is made where there is none.

    Args:
        run: Directory of a finished training.
        repository: ``owner/name``.
        licence: Of the weights, as the Hub calls it, such as ``mit``; None states none.
        private: Whether only its owner sees a repository that is made.
        token: Of the Hub; None takes that of ``hf auth login``.

    Raises:
        ValueError: The run or a name cannot be used, or the Hub refused or could not be reached.
    """
    known = _known(run, repository, licence)
    save = partial(_save, known, repository, licence)
    return pretrained.upload(repository, save, private=private, token=token, message="Upload encoder and card")


def write_publication(run: Path, repository: str, folder: Path, *, licence: str | None = None) -> list[str]:
    """Write the folder that `publish` would upload, whole or not at all; the names of its files.

    Raises:
        ValueError: The run or a name cannot be used, or the folder holds something.
        OSError: It cannot be written.
    """
    _require_new(folder)
    known = _known(run, repository, licence)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
        made = Path(beside) / "made"
        made.mkdir()
        _save(known, repository, licence, made)
        if folder.exists():
            folder.rmdir()
        made.rename(folder)
    return sorted(file.name for file in folder.iterdir())


def _require_new(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ValueError(f"{folder} is no folder; name a new one")
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; name a new folder")
    if not folder.parent.is_dir():
        raise ValueError(f"cannot write {folder}: there is no folder {folder.parent}; create it first")


def _known(run: Path, repository: str, licence: str | None) -> Known:
    """What is known of a run, once the names are looked at."""
    if not pretrained.HUB_NAME.fullmatch(repository):
        raise ValueError(f"{repository!r} is not the name of a Hub repository; write owner/name")
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise ValueError(f"`license` is {licence}; give a name that the Hub knows, such as mit or cc-by-4.0")
    settings = finished(run)
    path = run / run_files.EVALUATION
    results = read_results(path)
    return Known(Encoder.from_pretrained(run), settings, results, described_data(path) if results else None)


def _save(known: Known, repository: str, licence: str | None, folder: Path) -> None:
    known.encoder.save_pretrained(folder)
    write_text(folder / CARD, f"{str(model_card(known, repository, licence)).rstrip()}\n")
