"""From what a user types for ``--data`` to a `Dataset`."""

import re
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from deep_infomax.data import audio, dicom, nifti, stores, tars
from deep_infomax.data.addresses import PREFIXES, load_address
from deep_infomax.data.arrays import load_arrays, split_off_test
from deep_infomax.data.audio import load_audio
from deep_infomax.data.dataset import Dataset, by, labels_to_test_on
from deep_infomax.data.dicom import load_dicom
from deep_infomax.data.digits import load_digits, load_placed_digits
from deep_infomax.data.fingerprint import fingerprint
from deep_infomax.data.folders import load_folder, user_files
from deep_infomax.data.formats import READABLE
from deep_infomax.data.hub import KNOWN, load_hub, load_known
from deep_infomax.data.long import load_long
from deep_infomax.data.missing import surveyed
from deep_infomax.data.nifti import load_nifti
from deep_infomax.data.options import DataOptions, Sides, sides, written
from deep_infomax.data.parquet import load_parquet
from deep_infomax.data.readers import Reader, endings, reader_at
from deep_infomax.data.stores import load_store
from deep_infomax.data.tars import load_tars
from deep_infomax.data.ts import load_ts
from deep_infomax.runtime.files import expanded
from deep_infomax.runtime.scaling import SCALINGS

_HUB_NAME: Final = re.compile(r"hub:[^./:][^/:]*/[^./:][^/:]*(:[^/:]+)?")


def _read_hub(spec: str, path: Path, options: DataOptions) -> Dataset:
    if not _HUB_NAME.fullmatch(spec):
        raise ValueError(
            f"{spec!r} is not the name of a Hub data set; write hub:owner/name, or hub:owner/name:config where it has "
            "several configurations"
        )
    return load_hub(spec.removeprefix("hub:"), options)


def _read_parquet(spec: str, path: Path, options: DataOptions) -> Dataset:
    return load_long(path, options) if options.series_column else load_parquet(path.parent, [path], options)


READERS: Final[dict[str, Reader]] = {
    "digits": Reader(
        "Digits",
        "The 1,797 handwritten digits of 8x8 pixels that come with scikit-learn.",
        lambda spec, path, options: load_digits(options),
        names=("digits",),
    ),
    "placed-digits": Reader(
        "Digits out of place",
        "The same digits at random places of a canvas of 20x20 pixels, which pixels and components do not see past.",
        lambda spec, path, options: load_placed_digits(options),
        names=("placed-digits",),
    ),
    ", ".join(KNOWN): Reader(
        "Well-known images",
        "Image data sets that have a name of their own, downloaded from the Hugging Face Hub once.",
        lambda spec, path, options: load_known(spec, options),
        names=tuple(KNOWN),
        streams=lambda path: True,
    ),
    "hub:owner/name": Reader(
        "Hugging Face Hub",
        "Any data set of images on the Hugging Face Hub, downloaded once; hub:owner/name:config where it has several "
        "configurations.",
        _read_hub,
        prefix="hub:",
        streams=lambda path: True,
    ),
    "https://host/name-{000..099}.tar": Reader(
        "Files at addresses",
        "Tar or parquet files of images at an address, with a range of numbers in braces for several; as a stream.",
        lambda spec, path, options: load_address(spec, options),
        prefix=PREFIXES,
        streams=lambda path: True,
    ),
    "FOLDER": Reader(
        "Folder",
        "A folder of images, sorted into folders by split and class if you like, or of parquet files.",
        lambda spec, path, options: (load_long if options.series_column else load_folder)(path, options),
        within=(*sorted(READABLE), ".parquet"),
        streams=lambda path: any(file.suffix.lower() == ".parquet" for file in user_files(path)),
    ),
    "FILE.npy or FILE.npz": Reader(
        "NumPy arrays",
        "Series, images or volumes as arrays, with labels and test inputs in an .npz file.",
        lambda spec, path, options: load_arrays(path, options),
        suffixes=(".npy", ".npz"),
    ),
    "FILE.parquet": Reader(
        "Parquet file",
        "A column of encoded images and a column of labels; or series in long form.",
        _read_parquet,
        suffixes=(".parquet",),
        streams=lambda path: True,
    ),
    "FILE.tar": Reader(
        "Tar files of images",
        "Images in the layout of WebDataset, KEY.jpg beside KEY.cls, or a folder of such files; decoded once, or "
        "streamed.",
        lambda spec, path, options: load_tars(path, options),
        suffixes=(".tar",),
        within=tars.SUFFIXES,
        streams=lambda path: True,
    ),
    "FILE.h5": Reader(
        "HDF5 file",
        "Arrays by their names as in an .npz file; FILE.h5:NAME reads one array or one group.",
        load_store,
        suffixes=stores.HDF5,
        parts=True,
    ),
    "FILE.zarr": Reader(
        "Zarr store",
        "The same in a folder of Zarr; FILE.zarr:NAME reads one array or one group.",
        load_store,
        suffixes=stores.ZARR,
        folder=True,
        parts=True,
    ),
    "FILE.csv or FILE.tsv": Reader(
        "Tables in long form",
        "Series with a row for each moment, and a column that names the series.",
        lambda spec, path, options: load_long(path, options),
        suffixes=(".csv", ".tsv"),
    ),
    "FILE.ts": Reader(
        "Time series",
        "Series in the format of sktime and aeon, NAME_TRAIN.ts and NAME_TEST.ts together.",
        lambda spec, path, options: load_ts(path, options),
        suffixes=(".ts",),
        within=(".ts",),
    ),
    "FILE.wav or FILE.flac": Reader(
        "Recordings",
        "Sound, or a folder of recordings sorted by split and class; all of one sampling rate.",
        lambda spec, path, options: load_audio(path, options),
        suffixes=audio.SUFFIXES,
        within=audio.SUFFIXES,
    ),
    "FILE.nii or FILE.nii.gz": Reader(
        "NIfTI volumes",
        "A volume, or a folder of volumes sorted by split and class; a fourth axis becomes channels.",
        lambda spec, path, options: load_nifti(path, options),
        suffixes=nifti.SUFFIXES,
        within=nifti.SUFFIXES,
    ),
    "FILE.dcm": Reader(
        "DICOM series",
        "A folder of slices, or of folders with a series each, sorted by split and class.",
        lambda spec, path, options: load_dicom(path, options),
        suffixes=dicom.SUFFIXES,
        within=dicom.SUFFIXES,
        begins=dicom.is_dicom,
    ),
}
"""The kinds of data that ``--data`` and ``--probe`` take, by what is typed. Of several for one path the last counts."""

NAMES: Final = tuple(name for reader in READERS.values() for name in reader.names)
"""The data sets that have a name of their own here."""


def register_reader(typed: str, reader: Reader) -> None:
    """Let a program read a kind of data wherever a data set is named.

    It goes before those that are built in, and takes the place of an earlier one that is registered alike.

    Args:
        typed: What a user types for such data, for messages and tables: ``FILE.table``.
        reader: How such data are found and read.

    Raises:
        ValueError: Nothing can be found by it, or an ending is not written as file names are compared.

    >>> register_reader("FILE.none", Reader("None", "Nothing.", lambda spec, path, options: ...))
    Traceback (most recent call last):
    ...
    ValueError: the reader 'FILE.none' has no names, prefix, suffixes or within, so nothing is found by it; give one
    """
    if not (reader.names or reader.prefix or reader.suffixes or reader.within or reader.begins):
        raise ValueError(
            f"the reader {typed!r} has no names, prefix, suffixes or within, so nothing is found by it; give one"
        )
    for field, suffixes in (("suffixes", reader.suffixes), ("within", reader.within)):
        if isinstance(suffixes, str):
            raise ValueError(f"`{field}` is the text {suffixes!r}; give a tuple: ({suffixes!r},)")
        for suffix in suffixes:
            if not suffix.startswith(".") or suffix != suffix.lower():
                raise ValueError(f"`{field}` has the ending {suffix!r}; write it small, with the dot: '.table'")
    READERS[typed] = reader


def load_dataset(spec: str, options: DataOptions | None = None) -> Dataset:
    """Load a data set.

    Args:
        spec: A name such as ``digits`` or ``cifar10``, ``hub:owner/name``, or the path of a file or folder of one of
            the kinds in `READERS`: images, arrays, tables, series, recordings, scans. A name goes before a folder
            called the same; write ``./digits`` for the folder.
        options: How to read it.

    Raises:
        ValueError: There is no such data set, or it cannot be used; the message says what to do.

    >>> load_dataset("digits").description["n_train"]
    1297
    """
    if not isinstance(spec, str):
        raise ValueError(
            f"`spec` is a {type(spec).__name__}; give a name or a path as text, or read data in memory with `from_data`"
        )
    options = options or DataOptions()
    return prepared(read(spec, options), spec, options)


def prepared(dataset: Dataset, spec: str, options: DataOptions) -> Dataset:
    """Data that were read, with parts held out, left out and cropped as the options say, described with their spec.

    Raises:
        ValueError: An option cannot hold for them.
    """
    dataset = surveyed(dataset, options)
    held_out = dataset.held_out is not None or options.held_out is not None
    if options.held_out is not None:
        dataset = tested_on_train(dataset, options.held_out)
    if options.train_inputs is not None:
        dataset = thinned(dataset, options.train_inputs)
    if options.random_crop is not None:
        size = sides("random_crop", options.random_crop, len(dataset.train.shape) - 1)
        dataset = windowed(dataset, size) if options.evaluate_whole else centred(dataset, options.random_crop)
    sources = {"train": dataset.train, "test": dataset.test, "unlabelled": dataset.unlabelled}
    counts = {f"n_{split}": len(source) for split, source in sources.items() if source is not None}
    classes = {"classes": len(dataset.train.classes)} if dataset.train.classes else {}
    described = {"spec": spec, "name": dataset.name, **counts, **classes, **dataset.description}
    if options.with_labelled and dataset.unlabelled is not None:
        total = len(dataset.unlabelled) + len(dataset.train)
        described["pretraining_rule"] = f"{total:,} inputs, those with labels and those without"
    if options.scaling != "standard":
        described["scaling_rule"] = f"{options.scaling}: {SCALINGS[options.scaling].meaning}"
    if dataset.test is not None and (said := labels_to_test_on(dataset.train, dataset.test)):
        described["test_labels"] = said
    if held_out and dataset.test is not None:
        # Which inputs are held out depends on all files and labels; a change may put some that were trained on there.
        described["held_out_inputs"] = fingerprint(dataset.test)[:12]
    return replace(dataset, description=described, with_labelled=options.with_labelled)


def read(spec: str, options: DataOptions) -> Dataset:
    """Find out what a spec stands for, and load that."""
    reader, path = reader_of(spec)
    if options.stream and not reader.can_stream(path):
        raise ValueError(
            f"`data_options.stream` reads images in tar files, parquet files and data sets of the Hub; {spec} is read "
            "otherwise, so set it to false (image files are streamed once they are put into tar files)"
        )
    return reader.read(spec, path, options)


def can_stream(spec: str) -> bool:
    """Whether what a spec stands for can be read with `DataOptions.stream`.

    Raises:
        ValueError: There is no such data set.
    """
    reader, path = reader_of(spec)
    return reader.can_stream(path)


def reader_of(spec: str) -> tuple[Reader, Path]:
    """The reader that a spec belongs to, and the path that it may be.

    Raises:
        ValueError: There is no such data set, or none that can be read.
    """
    named = [reader for reader in READERS.values() if reader.is_named(spec)]
    if named:
        return named[-1], expanded(spec)
    path, part = place_of(spec)
    if not spec or not path.exists():
        raise ValueError(nothing_called(spec))
    if not (path.is_dir() or path.is_file()):
        raise ValueError(f"{spec} is neither a file nor a folder; give a file or a folder")
    reader = reader_at(path, READERS)
    if reader is None and path.is_dir():
        reader = READERS["FOLDER"]  # which says what a folder may hold
    if reader is None and path.name.lower().endswith(tars.PACKED):
        raise ValueError(f"{spec} is compressed, and no part of it can be read alone; unpack it to a .tar file")
    if reader is None:
        raise ValueError(
            f"{spec} is a file of no known kind; give a {endings(READERS.values())} file, or a folder of images"
        )
    if part and not reader.parts:
        raise ValueError(f"{path} has no parts that can be named after it; leave :{part} out")
    return reader, path


def place_of(spec: str) -> tuple[Path, str]:
    """The path that a spec may be, and the part of the file that it names; FILE:PART where there is no such path.

    >>> place_of("nowhere.h5")
    (PosixPath('nowhere.h5'), '')
    """
    path = expanded(spec)
    file, _, part = spec.rpartition(":")
    if file and not path.exists() and expanded(file).exists():
        return expanded(file), part
    return path, ""


def nothing_called(spec: str) -> str:
    """Say that a spec is no name and no path, and what may have been meant."""
    known = [name for reader in READERS.values() for name in reader.names]
    close = get_close_matches(spec.lower(), known, n=2)
    meant = f"; did you mean {' or '.join(close)}?" if close else ""
    if not close and spec.count("/") == 1 and not spec.startswith((".", "/", "~")):
        meant = f"; for a data set of the Hub write hub:{spec}"
    return f"no data set, file or folder is called {spec!r}{meant} (names: {', '.join(known)}, hub:owner/name)"


def tested_on_train(dataset: Dataset, count: int) -> Dataset:
    """Hold training inputs out in the place of the test inputs, which nothing reads then; all are copied into memory.

    Raises:
        ValueError: The training inputs have no labels, or are too few.
    """
    train = dataset.train
    if train.labels is None:
        raise ValueError(f"{train.name} {train.split} has no labels to test with; leave `data_options.held_out` out")
    if count >= len(train):
        raise ValueError(
            f"`data_options.held_out` is {count}, which leaves none of the {len(train):,} inputs of {train.name} "
            f"{train.split} to train on; lower it"
        )
    parts = split_off_test(train, dataset.description, count)
    test = parts.test and replace(parts.test, split="held-out")
    return replace(parts, test=test, unlabelled=dataset.unlabelled, held_out=None)  # encoded as they are


def thinned(dataset: Dataset, most: int) -> Dataset:
    """Keep some of the training inputs, with and without labels, evenly spaced; all test inputs."""
    return replace(
        dataset,
        train=dataset.train.evenly_spaced(most),
        unlabelled=dataset.unlabelled and dataset.unlabelled.evenly_spaced(most),
        held_out=None,  # which cannot go back among inputs that are not all there
        description={**dataset.description, "train_rule": f"at most {most:,} training inputs, evenly spaced"},
    )


def windowed(dataset: Dataset, size: tuple[int, ...]) -> Dataset:
    """Show the splits whole, of which an encoder is trained on random crops."""
    window = dataset.train.centre_crop(size).shape[1:]
    return replace(
        dataset,
        window=window,
        description={
            **dataset.description,
            "crop_rule": f"random crops of {by(window)} for training, whole inputs for evaluation",
        },
    )


def centred(dataset: Dataset, size: Sides) -> Dataset:
    """Show the splits through the central crop, and keep them whole for random crops."""
    return replace(
        dataset,
        train=dataset.train.centre_crop(size),
        test=dataset.test and dataset.test.centre_crop(size),
        unlabelled=dataset.unlabelled and dataset.unlabelled.centre_crop(size),
        uncropped=dataset,
        description={
            **dataset.description,
            "crop_rule": f"random crops of {written(size)} for training, the centre crop for evaluation",
        },
    )
