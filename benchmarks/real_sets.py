"""Labelled data that packages bring, for `where_it_wins.py`: found where they are installed, cut to size, kept as npz.

| sets | from |
|---|---|
| ArrowHead, BasicMotions, GunPoint and others | `pip install --no-deps aeon` |
| watch: exercises by a smartwatch of 6 channels; three of ten persons are the test | `pip install --no-deps seglearn` |
| voices: half seconds of recorded announcements in five languages; other announcements are the test | Debian's \
`asterisk-core-sounds-{en,es,fr,it,ru}-wav` |
| brain: cubes of a scan with the lobe they lie in; the left half is learnt, the right one, mirrored, is the test | \
Debian's `mricron-data` |
"""

import hashlib
import wave
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
Part = tuple[str, Array, str]
"""The part of the data that an input belongs to, the input, its class."""
SOUNDS = Path("/usr/share/asterisk/sounds")
SCANS = Path("/usr/share/mricron/templates")
VOICES = {"en_US_f_Allison": "en", "es_MX_f_Allison": "es", "fr_CA_f_June": "fr", "it_IT_m_Carlo": "it",
          "ru_RU_f_IvrvoiceRU": "ru"}  # fmt: skip
SAMPLES, SILENT = 4096, 0.01
WINDOW, LAST_PERSON_LEARNT = 128, 7
SIDE, CUBES = 16, 400
SERIES: Mapping[str, Mapping[str, str]] = {
    "ACSF1": {}, "ArrowHead": {}, "BasicMotions": {}, "GunPoint": {}, "ItalyPowerDemand": {},
    "JapaneseVowels": {"size": "longest"}, "OSULeaf": {}, "PickupGestureWiimoteZ": {"size": "longest"},
}  # fmt: skip
"""Sets of series; those of unequal length are padded to the longest, and what is padded counts as missing."""
LOBES = {
    "frontal": ("Frontal", "Precentral", "Rolandic", "Supp_Motor", "Olfactory", "Rectus"),
    "temporal": ("Temporal", "Heschl"),
    "parietal": ("Parietal", "Postcentral", "SupraMarginal", "Angular", "Precuneus", "Paracentral"),
    "occipital": ("Occipital", "Calcarine", "Cuneus", "Lingual", "Fusiform"),
    "cerebellum": ("Cerebelum",),
    "nuclei": ("Caudate", "Putamen", "Pallidum", "Thalamus"),
}


class RealSet(NamedTuple):
    """Data as `dim train` takes them."""

    spec: str
    options: Mapping[str, Any] = MappingProxyType({})
    """Of `data_options`."""


def real_sets(folder: Path) -> dict[str, RealSet]:
    """All that can be found here; what is cut is kept in a folder."""
    found = {}
    if aeon := package("aeon"):
        for name, options in SERIES.items():
            found[name] = RealSet(str(aeon / f"datasets/data/{name}/{name}_TRAIN.ts"), options)
    if seglearn := package("seglearn"):
        found["watch"] = kept(folder / "watch.npz", watch, seglearn / "data/watch_dataset.npy")
    if all((SOUNDS / voice).is_dir() for voice in VOICES):
        found["voices"] = kept(folder / "voices.npz", voices, SOUNDS)
    if SCANS.is_dir():
        found["brain"] = kept(folder / "brain.npz", brain, SCANS)
    return found


def package(name: str) -> Path | None:
    """The folder of an installed package, which is not imported."""
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def kept(file: Path, make: Callable[[Path], list[Part]], source: Path) -> RealSet:
    if not file.exists():
        parts = make(source)
        arrays = {}
        for suffix, part in (("", "train"), ("_test", "test")):
            inputs, labels = zip(*[(x, y) for where, x, y in parts if where == part], strict=True)
            arrays |= {f"x{suffix}": np.stack(inputs).astype(np.float32), f"y{suffix}": np.array(labels)}
        np.savez(file, **arrays)
    return RealSet(str(file), {"layout": "channels_first"})


def watch(file: Path) -> list[Part]:
    """Windows of 2.56 s, which overlap by half."""
    data = np.load(file, allow_pickle=True).item()
    return [
        ("train" if person <= LAST_PERSON_LEARNT else "test", series[start : start + WINDOW].T, str(int(label)))
        for series, label, person in zip(data["X"], data["y"], data["subject"], strict=True)
        for start in range(0, len(series) - WINDOW + 1, WINDOW // 2)
    ]


def voices(folder: Path) -> list[Part]:
    """Every fourth window that is not silent; a quarter of the announcements, by their name, is the test."""
    parts: list[Part] = []
    for voice, language in VOICES.items():
        for file in sorted((folder / voice).rglob("*.wav")):
            with wave.open(str(file)) as sound:
                samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2") / 32768
            test = hashlib.sha256(file.name.encode()).digest()[0] < 64
            windows = (samples[start : start + SAMPLES] for start in range(0, len(samples) - SAMPLES + 1, SAMPLES))
            parts += [("test" if test else "train", window[None], language) for window in loud(windows)]
    return parts[::4]


def loud(windows: Iterable[Array]) -> Iterable[Array]:
    return (window for window in windows if window.std() >= SILENT)


def brain(folder: Path) -> list[Part]:
    """Cubes of 16 mm around places of each lobe, as many of all."""
    import nibabel

    scan, regions = (nibabel.load(folder / name).get_fdata() for name in ("ch2bet.nii.gz", "aal.nii.gz"))
    names = dict(line.split()[:2] for line in (folder / "aal.nii.txt").read_text().splitlines() if line.strip())
    generator, half, parts = np.random.default_rng(0), SIDE // 2, []
    for lobe, beginnings in LOBES.items():
        for letter, part in (("L", "train"), ("R", "test")):
            numbers = [
                int(n) for n, name in names.items() if name.startswith(beginnings) and name.endswith(f"_{letter}")
            ]
            places = np.argwhere(np.isin(regions, numbers))
            places = places[((places >= half) & (places < np.array(scan.shape) - half)).all(1)]
            for x, y, z in generator.permutation(places)[:CUBES]:
                cube = scan[x - half : x + half, y - half : y + half, z - half : z + half]
                parts.append((part, (cube if letter == "L" else cube[::-1])[None], lobe))
    return parts
