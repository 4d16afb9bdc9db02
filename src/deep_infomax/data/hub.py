"""Data sets of the Hugging Face Hub, by name."""

import re
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from deep_infomax.data.cache import stamp_files
from deep_infomax.data.columns import Table, find_columns, with_labels
from deep_infomax.data.dataset import Dataset
from deep_infomax.data.encoded import EncodedImage, EncodedImages
from deep_infomax.data.images import Splits, load_images
from deep_infomax.data.options import DataOptions
from deep_infomax.data.parquet import BLOCK, encoded_rows, first_line, load_stored_tables
from deep_infomax.data.splits import split_of
from deep_infomax.data.stored import FileSystem, patiently, remote_files
from deep_infomax.data.tars import load_stored_tars

if TYPE_CHECKING:
    import datasets


class HubName(NamedTuple):
    """Where a well-known data set lies, and its columns; its splits have the usual names."""

    repository: str
    image: str
    label: str
    """"none" where it has no classes."""


KNOWN = {
    "cifar10": HubName("uoft-cs/cifar10", "img", "label"),
    "cifar100": HubName("uoft-cs/cifar100", "img", "fine_label"),
    "stl10": HubName("jxie/stl10", "image", "label"),
    "tiny-imagenet": HubName("zh-plus/tiny-imagenet", "image", "label"),
    "celeba": HubName("flwrlabs/celeba", "image", "none"),
}
"""Data sets that have a name of their own; ``jxie/stl10`` is the copy that has the unlabelled split."""
_NOT_SHOWN: Final = (
    "the Hugging Face Hub shows no data set {!r}; correct the name, or log in with `hf auth login` if it is private"
)
_CONFIGURATIONS: Final = re.compile(r"(?:available configs|Available): *\[([^\]]+)\]")
"""Where the `datasets` library lists them, when a name is missing or unknown."""


def load_known(name: str, options: DataOptions) -> Dataset:
    """Load one of the `KNOWN` data sets from the Hub."""
    known = KNOWN[name]
    image, label = options.image_column or known.image, options.label_column or known.label
    return load_hub(known.repository, replace(options, image_column=image, label_column=label), name)


def load_hub(repository: str, options: DataOptions, name: str | None = None) -> Dataset:
    """Load a data set of the Hub, downloaded once into the cache of the `datasets` library, or streamed from there.

    Args:
        repository: ``owner/name``, or ``owner/name:config`` where it has several configurations.
        options: Channels, sizes, columns.
        name: What to call it; ``repository`` unless given.

    Raises:
        ValueError: The Hub has no such data set or cannot be reached, or its columns cannot be used.
    """
    if options.stream:
        return stream_hub(repository, options, name)
    splits = download(repository)
    files = sorted({Path(file["filename"]) for split in splits.values() for file in split.cache_files})
    stamp = [repository, stamp_files(files, Path("/"))]
    return load_images(name or repository, stamp, lambda: open_hub(splits, options), options)


def stream_hub(
    repository: str,
    options: DataOptions,
    name: str | None = None,
    system: FileSystem | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Dataset:
    """Read the parquet or tar files of a data set where they lie on the Hub.

    Args:
        repository: ``owner/name``, or ``owner/name:config``.
        options: Channels, sizes, columns.
        name: What to call it; ``repository`` unless given.
        system: How the Hub is read; over the network unless given.
        sleep: Waits between attempts.

    Raises:
        ValueError: The Hub has no such data set, or one without parquet and tar files, or they cannot be used.
        OSError: The Hub cannot be reached.
    """
    owned, _, configuration = repository.partition(":")
    if system is None:
        from huggingface_hub import HfFileSystem  # takes a moment, too

        system = HfFileSystem()
    root = f"datasets/{owned}"
    try:
        every = patiently(partial(system.find, root), f"the data set {owned} of the Hugging Face Hub", sleep)
    except (FileNotFoundError, PermissionError) as error:
        raise ValueError(_NOT_SHOWN.format(repository)) from error
    found = {path.partition(f"{root}/")[2]: path for path in every}
    kept = {below: path for below, path in found.items() if not configuration or configuration in below.split("/")[:-1]}
    for suffix, load in ((".parquet", load_stored_tables), (".tar", load_stored_tars)):
        if names := sorted(below for below in kept if below.endswith(suffix)):
            files = remote_files(system, [kept[below] for below in names], names, sleep)
            return load(name or repository, files, f"hub:{owned}:", options)
    inside = f" in {configuration}" if configuration else ""
    raise ValueError(
        f"the data set {owned} of the Hugging Face Hub has no parquet or tar files{inside}, and no others can be "
        "streamed; leave `data_options.stream` out"
    )


def download(repository: str) -> "datasets.DatasetDict":
    """Download a data set, or find it in the cache of the `datasets` library.

    Raises:
        ValueError: It does not exist, is not open to this user, or the Hub cannot be reached.
    """
    import datasets  # here because it takes seconds, which other sources need not wait for

    name, *configuration = repository.split(":")
    try:
        splits = datasets.load_dataset(name, *configuration)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise ValueError(_NOT_SHOWN.format(repository)) from error
    except ConnectionError as error:
        raise ValueError(
            f"cannot get {repository!r} from the Hugging Face Hub ({first_line(error)}); connect to the network "
            "(and unset HF_HUB_OFFLINE), or download its parquet files elsewhere and give the folder"
        ) from error
    except Exception as error:  # scripts, several configurations, broken files: errors of many kinds
        if listed := _CONFIGURATIONS.search(str(error)):
            names = [choice.strip(" '\"") for choice in listed[1].split(",")]
            raise ValueError(
                f"{repository!r} has several configurations, {', '.join(names)}; name one: hub:{name}:{names[0]}"
            ) from error
        raise ValueError(
            f"cannot read {repository!r} from the Hugging Face Hub ({type(error).__name__}: {first_line(error)}); "
            "download its parquet files and give the folder"
        ) from error
    assert isinstance(splits, datasets.DatasetDict)
    return splits


def open_hub(splits: "datasets.DatasetDict", options: DataOptions, own: bool = False) -> Splits:
    """Name the splits as this project does; a data set with one split of another name is all training data.

    Args:
        splits: The tables.
        options: Which columns are read.
        own: Whether a program made them, so that rows may refer to any file.
    """
    named = {split_of(split): split for split in splits}
    if len(named) < len(splits):
        raise ValueError(
            f"several of the splits {list(splits)} have one role; give a folder with the parquet files of one each"
        )
    if None in named and len(splits) > 1:
        raise ValueError(
            f"cannot tell train from test among the splits {list(splits)}; give a folder of parquet files named so"
        )
    tables = {role or "train": open_split(splits[split], split, options, own) for role, split in named.items()}
    return with_labels(tables, options)


def open_split(table: "datasets.Dataset", split: str, options: DataOptions, own: bool = False) -> Table:
    """Open one split."""
    columns = find_columns(table.features.arrow_schema, options)

    def read() -> Iterator[Sequence[EncodedImage]]:
        import datasets
        from huggingface_hub import constants

        caches = (datasets.config.HF_DATASETS_CACHE, constants.HF_HUB_CACHE, constants.HF_HOME)
        folders = [Path(Path.cwd().anchor)] if own else [Path(place) for place in caches]
        encoded = table.select_columns([columns.image]).cast_column(columns.image, datasets.Image(decode=False))
        for start in range(0, len(table), BLOCK):
            rows = encoded[start : start + BLOCK][columns.image]
            yield encoded_rows(rows, split, start, folders)

    def values(column: str) -> Sequence[Hashable]:
        found: Sequence[Hashable] = table.with_format(None)[column][:]
        return found

    configuration = {"configuration": name} if (name := table.info.config_name) not in (None, "default") else {}
    return Table(EncodedImages(len(table), read, None, notes=configuration), columns, values)
