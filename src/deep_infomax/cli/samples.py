"""Samples from a file: ``.npy``, ``.npz`` that holds one array, or ``.csv``."""

import csv
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

Array = np.ndarray


def read_samples(path: Path, name: str) -> Array:
    """The array in a file; that of a ``.csv`` file has a row for each line, a first line of words being its header.

    Args:
        path: The file, of a kind that its ending names.
        name: What its samples are called in the sentences about them.

    Raises:
        ValueError: The file cannot be read, or does not hold one array of numbers.
    """
    what = f"`{name}`"
    if path.is_dir():
        raise ValueError(f"{what} is a folder; name a .npy, .npz or .csv file in it")
    if not path.exists():
        raise ValueError(f"{what} is not there; give the path of a .npy, .npz or .csv file")
    if path.suffix.lower() not in (".npy", ".npz", ".csv"):
        raise ValueError(f"{what} is no .npy, .npz or .csv file; write it as one, with numpy.save for example")
    try:
        return _read_table(path, what) if path.suffix.lower() == ".csv" else _read_array(path, what)
    except OSError as error:
        raise ValueError(f"{what} cannot be read ({error.strerror or error}); write it again") from error


def _read_array(path: Path, what: str) -> Array:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content as archive:
            keys = archive.files
            arrays: list[Array] = [archive[key] for key in keys[:1]]
    except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{what} is no complete file of plain numpy arrays; write numbers to it with numpy.save"
        ) from error
    if len(keys) != 1:
        found = f"{len(keys)} arrays ({', '.join(keys)})" if keys else "no array"
        raise ValueError(f"{what} holds {found}; save one to a .npy file, and name that")
    return arrays[0]


def _read_table(path: Path, what: str) -> Array:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{what} is no text; give lines of numbers with commas between") from error
    lines = {number: line for number, line in enumerate(text.splitlines(), 1) if line.strip()}
    if lines and not _is_numeric(next(iter(lines.values()))):
        del lines[next(iter(lines))]  # the header
    if not lines:
        return np.empty(0)
    try:
        return np.loadtxt(list(lines.values()), delimiter=",", comments=None, quotechar='"', ndmin=2)
    except ValueError as error:
        raise ValueError(
            f"{what} is no table of numbers: {_trouble(lines)}; give numbers with commas between"
        ) from error


def _trouble(lines: Mapping[int, str]) -> str:
    """What is wrong with the first line that is."""
    first = len(next(csv.reader(lines.values())))
    for number, entries in zip(lines, csv.reader(lines.values()), strict=True):
        if len(entries) != first:
            return f"line {number} has {len(entries)} columns, the first {first}"
        if wrong := [entry for entry in entries if not _is_number(entry)]:
            return f"line {number} holds {wrong[0].strip()!r}"
    return "it cannot be read"


def _is_number(entry: str) -> bool:
    try:
        float(entry)
    except ValueError:
        return False
    return True


def _is_numeric(line: str) -> bool:
    try:
        np.loadtxt([line], delimiter=",", comments=None, quotechar='"')
    except ValueError:
        return False
    return True
