"""Labelled data that packages bring, for `where_it_wins.py`: found where they are installed, cut to size, kept as npz.

| sets | from |
|---|---|
| ArrowHead, BasicMotions, GunPoint and others | `pip install --no-deps aeon` |
| watch: exercises by a smartwatch of 6 channels; three of ten persons are the test | `pip install --no-deps seglearn` |
| voices: half seconds of recorded announcements in five languages; other announcements are the test | Debian's \
`asterisk-core-sounds-{en,es,fr,it,ru}-wav` |
| brain: cubes of a scan with the lobe they lie in; the left half is learnt, the right one, mirrored, is the test | \
Debian's `mricron-data` |
| proteins: cubes of 16 Angstrom around a residue, the four kinds of atom its channels, with what the chain does \
there; dehydrogenases are learnt, trypsins are the test | Debian's `theseus-examples` |
| landsat: pieces of a satellite's image of six bands with the height of the ground; stripes are the test | Debian's \
`r-cran-stars` |
| seasons: pieces of monthly weather over the northern oceans, seven variables, missing on land, with the season; the \
Atlantic is the test | Debian's `ferret-datasets` |
| tiny-imagenet: the first twenty classes of Tiny ImageNet, at half their size | its parquet files |
"""

import gzip
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
PROTEINS = Path("/usr/share/doc/theseus/examples")
SATELLITE = Path("/usr/lib/R/site-library/stars/tif")
WEATHER = Path("/usr/share/ferret-vis/data/coads_climatology.cdf")
VOICES = {"en_US_f_Allison": "en", "es_MX_f_Allison": "es", "fr_CA_f_June": "fr", "it_IT_m_Carlo": "it",
          "ru_RU_f_IvrvoiceRU": "ru"}  # fmt: skip
SAMPLES, SILENT = 4096, 0.01
WINDOW, LAST_PERSON_LEARNT = 128, 7
SIDE, CUBES = 16, 400
PIECE, STEP = 16, 4
ATOMS = "CNOS"
FAMILIES = {"ldh": "train", "trypsins": "test"}
STATES = {"HHH": "helix", "EEE": "strand", "---": "neither"}
RESIDUES = 600
HEIGHTS = {0: "sea", 10: "plain", 30: "slope"}
STRIPE = 88
VARIABLES = ("SST", "AIRT", "SPEH", "WSPD", "UWND", "VWND", "SLP")
SEASONS = ("winter", "spring", "summer", "autumn")
ATLANTIC = 280
CLASSES = 20
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
    if PROTEINS.is_dir():
        found["proteins"] = kept(folder / "proteins.npz", proteins, PROTEINS)
    if SATELLITE.is_dir():
        found["landsat"] = kept(folder / "landsat.npz", landsat, SATELLITE)
    if WEATHER.is_file():
        found["seasons"] = kept(folder / "seasons.npz", seasons, WEATHER, missing="nan")
    return found


def package(name: str) -> Path | None:
    """The folder of an installed package, which is not imported."""
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def kept(file: Path, make: Callable[[Path], list[Part]], source: Path, **options: str) -> RealSet:
    if not file.exists():
        parts = make(source)
        arrays = {}
        for suffix, part in (("", "train"), ("_test", "test")):
            inputs, labels = zip(*[(x, y) for where, x, y in parts if where == part], strict=True)
            stacked = np.stack(inputs)
            kept_as = np.uint8 if stacked.dtype == np.uint8 else np.float32
            arrays |= {f"x{suffix}": stacked.astype(kept_as), f"y{suffix}": np.array(labels)}
        np.savez(file, **arrays)
    return RealSet(str(file), {"layout": "channels_first", **options})


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


def proteins(folder: Path) -> list[Part]:
    """Smoothed counts of atoms around residues whose neighbours along the chain do the same, as many of each state."""
    from scipy.ndimage import gaussian_filter

    generator, edges, parts = np.random.default_rng(0), np.arange(PIECE + 1) - PIECE / 2, []
    for family, part in FAMILIES.items():
        chains = [read_chain(file) for file in sorted((folder / family).glob("*.pdb.gz"))]
        for state, name in STATES.items():
            places = [
                (chain, residue)
                for chain in chains
                for residue in range(1, len(chain.states) - 1)
                if chain.states[residue - 1 : residue + 2] == state
            ]
            for index in generator.permutation(len(places))[:RESIDUES]:
                chain, residue = places[index]
                around = chain.atoms - chain.centres[residue]
                counts = [np.histogramdd(around[chain.elements == atom], [edges] * 3)[0] for atom in ATOMS]
                parts.append((part, gaussian_filter(np.stack(counts), (0, 1, 1, 1)), name))
    return parts


class Chain(NamedTuple):
    """A protein's chain: all atoms, and each residue's central carbon and state."""

    atoms: Array
    elements: Array
    centres: Array
    states: str


def read_chain(file: Path) -> Chain:
    """Of a file of the Protein Data Bank; only residues with their whole backbone are kept."""
    atoms, elements, backbones = [], [], {}
    for line in gzip.decompress(file.read_bytes()).decode().splitlines():
        if line.startswith("ATOM") and line[16] in " A" and line[76:78].strip() in ATOMS:
            place = [float(line[start : start + 8]) for start in (30, 38, 46)]
            atoms.append(place)
            elements.append(line[76:78].strip())
            if (name := line[12:16].strip()) in ("N", "CA", "C"):
                backbones.setdefault(line[21:27], {})[name] = place
    whole = [[b["N"], b["CA"], b["C"]] for b in backbones.values() if len(b) == 3]
    backbone = np.array(whole).reshape(-1, 3, 3)
    states = ["-"] * len(backbone)
    for i in range(1, len(backbone) - 1):
        if np.linalg.norm(backbone[i - 1 : i + 1, 2] - backbone[i : i + 2, 0], axis=1).max() < 2:
            phi = torsion(backbone[i - 1, 2], *backbone[i])
            psi = torsion(*backbone[i], backbone[i + 1, 0])
            states[i] = "H" if -100 < phi < -30 and -80 < psi < -5 else "E" if phi < -90 and psi > 80 else "-"
    return Chain(np.array(atoms), np.array(elements), backbone[:, 1], "".join(states))


def torsion(a: Array, b: Array, c: Array, d: Array) -> float:
    """The angle between the planes of a, b, c and of b, c, d, in degrees."""
    along = (c - b) / np.linalg.norm(c - b)
    before, after = (v - v @ along * along for v in (a - b, d - c))
    return float(np.degrees(np.arctan2(np.cross(along, before) @ after, before @ after)))


def landsat(folder: Path) -> list[Part]:
    """Pieces of 16 x 16 places, which overlap, with the height in their middle; no piece lies in two stripes."""
    import tifffile

    bands = tifffile.imread(folder / "L7_ETMs.tif")
    heights = tifffile.imread(folder / "olinda_dem_utm25s.tif")
    parts = []
    for top in range(0, bands.shape[0] - PIECE + 1, STEP):
        if (stripe := top // STRIPE) != (top + PIECE - 1) // STRIPE:
            continue
        for left in range(0, bands.shape[1] - PIECE + 1, STEP):
            y, x = ((np.array([top, left]) + PIECE / 2) * heights.shape / bands.shape[:2]).astype(int)
            name = next((name for most, name in HEIGHTS.items() if heights[y, x] <= most), "hill")
            piece = bands[top : top + PIECE, left : left + PIECE].transpose(2, 0, 1)
            parts.append(("test" if stripe % 2 else "train", piece, name))
    return parts


def seasons(file: Path) -> list[Part]:
    """Pieces of 32 x 32 degrees and a month, of which half is known; no piece lies in both parts."""
    from scipy.io import netcdf_file

    with netcdf_file(file, mmap=False) as data:
        maps = np.stack([data.variables[name][:] for name in VARIABLES], 1).astype(np.float32)
        north, west = data.variables["COADSY"][:] > 0, data.variables["COADSX"][:] < ATLANTIC
    maps = np.where(maps < -1e33, np.nan, maps)[:, :, north]
    parts = []
    for month, values in enumerate(maps):
        for part, there in (("train", west), ("test", ~west)):
            ocean = values[:, :, there]
            for top in range(0, ocean.shape[1] - PIECE + 1, STEP):
                for left in range(0, ocean.shape[2] - PIECE + 1, STEP):
                    piece = ocean[:, top : top + PIECE, left : left + PIECE]
                    if np.isnan(piece).mean() < 0.5:
                        parts.append((part, piece, SEASONS[(month + 1) % 12 // 3]))
    return parts


def tiny_imagenet(folder: Path) -> list[Part]:
    """The first classes, in the files' own order; every pixel is the mean of four."""
    from datasets import load_dataset

    parts = []
    for split, part in (("train", "train"), ("valid", "test")):
        files = [str(file) for file in folder.glob(f"{split}-*.parquet")]
        for row in load_dataset("parquet", data_files=files, split="train"):
            if row["label"] < CLASSES:
                small = np.asarray(row["image"].convert("RGB").reduce(2))
                parts.append((part, small.transpose(2, 0, 1), str(row["label"])))
    return parts
