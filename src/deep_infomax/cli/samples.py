"""Samples from a file: ``.npy``, ``.npz`` that holds one array, or ``.csv``."""

import re
import zipfile
import zlib
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
    what = f"{name} ({path})"
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
        if "Object arrays" in str(error) or "Python objects" in str(error):
            raise ValueError(f"{what} holds Python objects; save a plain array of numbers") from error
        raise ValueError(f"{what} is no complete file of numpy arrays; write it again with numpy.save") from error
    if len(keys) != 1:
        found = f"{len(keys)} arrays ({', '.join(keys)})" if keys else "no array"
        raise ValueError(f"{what} holds {found}; save one to a .npy file, and name that")
    return arrays[0]


def _read_table(path: Path, what: str) -> Array:
    header = 0
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        header = int(bool(lines) and not _is_numeric(lines[0]))
        if not lines[header:]:
            return np.empty(0)
        return np.loadtxt(lines[header:], delimiter=",", comments=None, quotechar='"', ndmin=2)
    except ValueError as error:
        found = str(error).split("; use ")[0].rstrip(".")
        first = header + ("convert" in found)  # numpy counts rows from 0 in this sentence, from 1 in others
        found = re.sub(r"row (\d+)", lambda row: f"line {int(row[1]) + first}", found)
        raise ValueError(f"{what} is no table of numbers ({found}); give numbers separated by commas") from error


def _is_numeric(line: str) -> bool:
    try:
        np.loadtxt([line], delimiter=",", comments=None, quotechar='"')
    except ValueError:
        return False
    return True
