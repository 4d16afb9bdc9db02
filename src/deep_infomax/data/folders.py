"""Folders of image files: ``root/[train|test|valid|unlabelled/][class/].../file``."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from deep_infomax.data.cache import stamp_files
from deep_infomax.data.dataset import Dataset
from deep_infomax.data.encoded import EncodedImage, EncodedImages, split_of
from deep_infomax.data.images import Splits, load_images
from deep_infomax.data.options import DataOptions
from deep_infomax.data.parquet import BLOCK, load_parquet

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def load_folder(folder: Path, options: DataOptions) -> Dataset:
    """Load a folder: its parquet files where it has any, else its image files.

    Raises:
        ValueError: It has neither, or its images lie partly in class folders and partly beside them.
    """
    files = sorted(files_below(folder))
    if parquet := [file for file in files if file.suffix == ".parquet"]:
        return load_parquet(folder, parquet, options)
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not images:
        content = f"{len(files)} files, none of them an image or parquet file" if files else "no files"
        kinds = ", ".join(sorted(SUFFIXES))
        raise ValueError(f"the folder {folder} has {content}; give a folder of images ({kinds}) or parquet files")
    labelled = options.label_column != "none"
    return load_images(
        folder.resolve().name, stamp_files(images, folder), lambda: open_folder(folder, images, labelled), options
    )


def files_below(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """A user's files, in linked folders, too, without those that systems leave behind.

    A link to one of the folders above it is not followed, as that would never end.
    """
    if (real := folder.resolve()) in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "__")):
                continue
            if entry.is_dir():
                yield from files_below(Path(entry), above | {real})
            elif entry.is_file():
                yield Path(entry)


def open_folder(folder: Path, images: Sequence[Path], labelled: bool) -> Splits:
    """Group the images by the split their topmost folder names; without a folder train, all are for training."""
    tops = {image.relative_to(folder).parts[0] for image in images if image.parent != folder}
    if not any(split_of(top) == "train" for top in tops):
        return {"train": open_files(folder, images, labelled)}
    groups: dict[Path, list[Path]] = {}
    for image in images:
        groups.setdefault(folder / image.relative_to(folder).parts[0], []).append(image)
    for top, group in groups.items():
        if not top.is_dir() or split_of(top.name) is None:
            raise ValueError(
                f"{group[0]} lies beside the folder train; let every image lie in train, test, valid or unlabelled "
                "(a class called train, too: put the folders of classes into one called train)"
            )
    if len({split_of(top.name) for top in groups}) < len(groups):
        raise ValueError(
            f"several of the folders {sorted(top.name for top in groups)} name one split; merge or rename them"
        )
    return {split_of(top.name) or "train": open_files(top, group, labelled) for top, group in groups.items()}


def open_files(folder: Path, images: Sequence[Path], labelled: bool) -> EncodedImages:
    """Label the images of one split by the topmost folder each lies in; flat folders and single ones say nothing."""
    parts = [image.relative_to(folder).parts for image in images]
    classes = {path[0] for path in parts if len(path) > 1}
    flat = [path[0] for path in parts if len(path) == 1]
    if labelled and classes and flat:
        raise ValueError(
            f"{len(flat)} images ({flat[0]}, ...) lie beside class folders ({min(classes)}, ...); "
            "sort them into these, or set `data_options.label_column` to none to read no labels"
        )

    def read() -> Iterator[Sequence[EncodedImage]]:
        for start in range(0, len(images), BLOCK):
            yield [EncodedImage(str(image), image) for image in images[start : start + BLOCK]]

    labels = [path[0] for path in parts] if labelled and len(classes) > 1 else None
    return EncodedImages(len(images), read, labels)
