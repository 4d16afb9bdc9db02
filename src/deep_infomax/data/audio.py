"""Recordings: WAV, FLAC and other files that libsndfile reads, one input each, by `soundfile`."""

import os
import struct
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, ClassVar, Final

import numpy as np

from deep_infomax.data.cache import stamp_files
from deep_infomax.data.dataset import Dataset
from deep_infomax.data.encoded import EncodedImage
from deep_infomax.data.extras import require
from deep_infomax.data.folders import open_folder, user_files, with_left_out
from deep_infomax.data.items import Facts, Format, load_items
from deep_infomax.data.options import DataOptions
from deep_infomax.data.sizes import Input
from deep_infomax.runtime.records import open_regular

SUFFIXES: Final = (".wav", ".flac")
_OTHERS: Final = frozenset((".aac", ".aif", ".aiff", ".amr", ".au", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wma"))
"""Endings of other recordings, which are counted and left out."""
_STREAMED: Final = 0x7FFFF000
"""Bytes that writers announce who do not know how many will come, at least."""


def load_audio(path: Path, options: DataOptions) -> Dataset:
    """Load a recording, or a folder of them, sorted by split and class as images are.

    Channels are kept. Whole numbers are scaled to -1 to 1; the sampling rate is in the description.

    Raises:
        ValueError: A file is damaged, or the sampling rates, channels or lengths differ.
    """
    folder = path if path.is_dir() else path.parent
    files = sorted(file for file in user_files(path) if is_audio(file)) if path.is_dir() else [path]
    name = folder.resolve().name if path.is_dir() else path.stem
    found = partial(open_folder, folder, files, options.label_column)
    dataset = load_items(name, stamp_files(files, folder), found, options, Recordings())
    return with_left_out(dataset, path, _OTHERS, Recordings.what)


def is_audio(file: Path) -> bool:
    """Whether a file is a recording, by its ending."""
    return file.name.lower().endswith(SUFFIXES)


class Recordings(Format):
    """Files of sound: (channels, length), in float32."""

    what: ClassVar[str] = "recordings"

    def facts(self, item: EncodedImage) -> Facts:
        """Read channels, length and sampling rate."""
        assert isinstance(item.content, Path)
        package = _soundfile()
        try:
            with open_regular(item.content, "write it again", follow=True) as file:
                if _is_cut_short(file):
                    raise ValueError(_DAMAGED)
                file.seek(0)
                said = package.info(file)
        except package.SoundFileError as error:
            raise ValueError(_DAMAGED) from error
        return Facts((said.channels, said.frames), np.dtype(np.float32), said.samplerate)

    def values(self, item: EncodedImage, facts: Facts) -> Input:
        """Read all samples."""
        package = _soundfile()
        try:
            samples, _ = package.read(item.content, dtype="float32", always_2d=True)
        except package.SoundFileError as error:
            raise ValueError(_DAMAGED) from error
        return np.ascontiguousarray(samples.T)

    def notes(self, names: Sequence[str], facts: Sequence[Facts]) -> dict[str, str]:
        """The one sampling rate."""
        rates = [fact.said for fact in facts]
        for name, rate in zip(names, rates, strict=True):
            if rate != rates[0]:
                raise ValueError(
                    f"{names[0]} has {rates[0]:,} samples a second, {name} has {rate:,}; resample all to one rate"
                )
        return {"sampling_rule": f"{rates[0]:,} samples a second", "amplitude_rule": "whole numbers scaled to -1 to 1"}


_DAMAGED: Final = "it is no WAV or FLAC file that can be read; replace it by a complete copy"


def _is_cut_short(file: BinaryIO) -> bool:
    """Whether a WAV file ends before the samples that it announces, which libsndfile passes over in silence."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(4) != b"RIFF":
        return False
    place = 12
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            return bool(size < place + 8 + length and length < _STREAMED)
        place += 8 + length + length % 2
    return False


def _soundfile() -> ModuleType:
    return require("soundfile", "audio", "WAV and FLAC files")
