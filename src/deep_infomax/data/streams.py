"""Images in shards, left where they are and decoded as batches need them: from files of shards to a `Dataset`."""

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import numpy as np
from jaxtyping import Num

from deep_infomax.data import cache
from deep_infomax.data.columns import Columns, Table, with_labels
from deep_infomax.data.dataset import Dataset, FileNames, by, evenly_spaced
from deep_infomax.data.decode import decode, without
from deep_infomax.data.encoded import EncodedImage, EncodedImages, Shard, in_shards
from deep_infomax.data.images import Splits, damage_rule, progress, settled, wrapped
from deep_infomax.data.index import Contents, Index, ShardFile, index_of, survey_of
from deep_infomax.data.options import DataOptions
from deep_infomax.data.pictures import ignore_warnings
from deep_infomax.data.precision import DOUBLE, PRECISION, SAMPLE, stored_as
from deep_infomax.data.shards import GROUP_BYTES, Piece, ShardedInputs
from deep_infomax.data.survey import ImageRule, Survey, choose_rule

_BLOCK: Final = 1024
"""Images that are read at a time, where shards have fewer."""
_AHEAD: Final = 2
"""Times so many that are read while others are decoded."""


def load_shards(name: str, splits: Mapping[str, Sequence[ShardFile]], options: DataOptions) -> Dataset:
    """Load images that stay in their files: an index of each file is made, or found in the cache; nothing is decoded.

    Args:
        name: The data set.
        splits: The files of each split: train, and where they exist test, validation, unlabelled.
        options: Channels, sizes, columns.

    Raises:
        ValueError: A file, a column or a label cannot be used.
        OSError: A file cannot be read.
    """
    ignore_warnings()
    files = [file for group in splits.values() for file in group]
    total = sum(file.file.size for file in files)
    try:
        with progress("indexing", math.ceil(total / 1e6), "MB") as advance:
            indices = {split: [_indexed(file, advance) for file in group] for split, group in splits.items()}
        return _dataset(name, splits, indices, options, f"{_counted(len(files), 'file')} of {total / 1e6:,.1f} MB")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _indexed(file: ShardFile, advance: Callable[[int], None]) -> Index:
    index = index_of(file)
    advance(round(file.file.size / 1e6))
    return index


def _dataset(
    name: str,
    splits: Mapping[str, Sequence[ShardFile]],
    indices: Mapping[str, Sequence[Index]],
    options: DataOptions,
    files: str,
) -> Dataset:
    """Settle labels, splits and the rule by which images are decoded, as for images that are decoded at once."""
    n = sum(index.n for group in indices.values() for index in group)
    tables = {split: table_of(splits[split], [index.contents for index in group]) for split, group in indices.items()}
    images, damage = _sound(with_labels(tables, options), indices, n)
    images, classes, held_out, notes = settled(images)
    read = [index for split in images if split in indices for index in indices[split]]
    survey = survey_of(read)
    rule = choose_rule(survey, options)
    inputs = {split: _inputs(part.shards or (), rule, options) for split, part in images.items()}
    shards = sum(len(index.contents.parts) for index in read)
    description: dict[str, str | int] = {
        "shape": by(rule.shape),
        **rule.description,
        **_transparency(survey),
        **({PRECISION: DOUBLE} if any(map(_is_double, inputs.values())) else {}),
        **damage,
        **notes,
        "stream_rule": (
            f"{_counted(shards, 'shard')} in {files}, decoded as they are needed; an epoch mixes the shards, then the "
            f"inputs of every {GROUP_BYTES / 1e6:,.0f} MB decoded"
        ),
    }
    labels: dict[str, Any] = {split: part.labels and list(part.labels) for split, part in images.items()}
    record = cache.Record(
        labels,
        None if classes is None else list(classes),
        None if held_out is None else held_out.tolist(),
        description,
    )
    named = {split: _files(part.shards or ()) for split, part in images.items()}
    return wrapped(name, inputs, record, {split: files for split, files in named.items() if files is not None})


def table_of(files: Sequence[ShardFile], contents: Sequence[Contents]) -> Table:
    """The images of one split, and the columns of all its files together; a label that a file lacks is missing."""
    columns = [found.columns for found in contents]
    labels = tuple(dict.fromkeys(name for found in columns for name in found.labels))
    classes = {name: names for found in columns for name, names in found.classes.items()}
    if any(found.classes.get(name, names) != names for found in columns for name, names in classes.items()):
        raise ValueError(f"{files[0].file.name} and the other files of its split list different classes")
    names = tuple(dict.fromkeys(name for found in columns for name in found.names))

    def values(column: str) -> list[Hashable]:
        return [
            value
            for found in contents
            for value in found.values.get(column, [None] * sum(part.n for part in found.parts))
        ]

    shards = [
        Shard(part.n, partial(file.images, part), part.files if part.names else None)
        for file, found in zip(files, contents, strict=True)
        for part in found.parts
    ]
    return Table(in_shards(shards), Columns(columns[0].image, labels, classes, names), values)


def _sound(splits: Splits, indices: Mapping[str, Sequence[Index]], n: int) -> tuple[Splits, dict[str, str]]:
    """Leave out the images that an index has as damaged; also describe which."""
    kept, names = dict[str, EncodedImages](), list[str]()
    for split, images in splits.items():
        starts = np.cumsum([0, *(index.n for index in indices[split])]).tolist()
        gone = {
            start + place: name
            for start, index in zip(starts, indices[split], strict=False)
            for place, name in index.damaged
        }
        kept[split] = without(images, list(gone)) if gone else images
        names += gone.values()
    return kept, damage_rule(names, n)


def _inputs(shards: Sequence[Shard], rule: ImageRule, options: DataOptions) -> ShardedInputs:
    def read(pieces: Sequence[Piece]) -> Num[np.ndarray, "n channels *spatial"]:
        n = sum(len(rows) for _, rows in pieces)
        out = np.empty((n, *rule.shape), rule.kind)
        decode(EncodedImages(n, partial(_blocks, shards, pieces), None), rule, options, out, lambda count: None)
        return out

    return ShardedInputs([shard.n for shard in shards], read, rule.shape, rule.kind)


def _blocks(shards: Sequence[Shard], pieces: Sequence[Piece]) -> Iterator[Sequence[EncodedImage]]:
    """Read pieces in their order, small ones together; the next ones are read while the last are decoded."""
    waiting = deque[Future[list[EncodedImage]]]()
    with ThreadPoolExecutor(_AHEAD, thread_name_prefix="shards") as readers:
        for block in _together(pieces):
            waiting.append(readers.submit(_read, shards, block))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _read(shards: Sequence[Shard], pieces: Sequence[Piece]) -> list[EncodedImage]:
    return [image for number, rows in pieces for image in shards[number].read(rows)]


def _together(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Neighbouring pieces, as many as have `_BLOCK` images together, or one with more."""
    block, n = list[Piece](), 0
    for piece in pieces:
        if block and n + len(piece[1]) > _BLOCK:
            yield block
            block, n = [], 0
        block.append(piece)
        n += len(piece[1])
    if block:
        yield block


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _transparency(survey: Survey) -> dict[str, str]:
    """Say how many images may be transparent somewhere: of those that are decoded later, no more is known."""
    count = sum(
        count for (bands, colours), count in survey.bands.count.items() if colours is not None and bands == colours + 1
    )
    n = survey.frames.count.total()
    return {"alpha_rule": f"{count} of {n} images have transparency, laid over white"} if count else {}


def _is_double(inputs: ShardedInputs) -> bool:
    """Whether float32 tells too few values apart, as some images from everywhere show."""
    if inputs.dtype.itemsize <= 2:
        return False
    most = max(1, SAMPLE // math.prod(inputs.shape[2:]))
    found = inputs.candidates(most)
    return stored_as(inputs[found[evenly_spaced(len(found), most)].numpy()]) == np.float64


def _files(shards: Sequence[Shard]) -> FileNames | None:
    """Gives the files of the images of some shards; None where those of some are not known."""
    known = [shard.files for shard in shards if shard.files is not None]
    return (lambda: [name for files in known for name in files()]) if len(known) == len(shards) else None
