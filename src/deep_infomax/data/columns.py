"""Which column of a table holds the images and which the labels."""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import pyarrow as pa

from deep_infomax.data.encoded import EncodedImages
from deep_infomax.data.labels import can_name_a_class, no_labels
from deep_infomax.data.options import DataOptions
from deep_infomax.runtime.records import from_json, typed

LABEL_NAMES: Final = ("label", "labels", "fine_label", "class", "cls", "target", "y")
_NO_LABEL_NAMES: Final = frozenset((
    "age", "bytes", "count", "date", "day", "duration", "file", "frame", "hash", "height", "hour", "id", "ids", "idx",
    "index", "key", "length", "level", "month", "no", "num", "number", "offset", "page", "pid", "position", "row",
    "seed", "size", "taken", "time", "timestamp", "uid", "uuid", "width", "year",
))  # fmt: skip
"""Words of a name that a column of labels does not have."""


class Columns(NamedTuple):
    """What a table offers."""

    image: str
    labels: tuple[str, ...]
    """Columns that may hold labels, the likeliest first."""
    classes: Mapping[str, tuple[str, ...]]
    """Names of the classes of such columns, where the table has them."""
    names: tuple[str, ...]
    """All columns."""


class Table(NamedTuple):
    """One split of a table: its images, still without labels, and its columns."""

    images: EncodedImages
    columns: Columns
    values: Callable[[str], Sequence[Hashable]]
    """Reads a column."""


def find_columns(schema: pa.Schema, options: DataOptions) -> Columns:
    """Find the columns by the features that Hub data sets embed, else by their types.

    Images are the one ``Image`` feature, or the one column of structures with ``bytes``. Labels may be the one
    ``ClassLabel`` feature, columns named as labels are, and the one column of whole numbers that is named otherwise;
    `with_labels` settles by their values which it is.

    Raises:
        ValueError: There is no such column, or several among which the user must choose.
    """
    features = embedded_features(schema)
    image = options.image_column or one_image_column(schema)
    if image not in schema.names or not holds_images(schema, image):
        raise ValueError(f"column {image!r} holds no images; `data_options.image_column` can be one of {schema.names}")
    of_classes = {name: class_names(feature) for name, feature in features.items() if has_classes(feature)}
    classes = {name: names for name, names in of_classes.items() if names}
    label, names = options.label_column, tuple(schema.names)
    if label == "none":
        return Columns(image, (), classes, names)
    if label is not None and label not in names:
        raise ValueError(
            f"there is no column {label!r}; `data_options.label_column` can be one of {schema.names}, or none"
        )
    labels = find_labels(schema, features) if label is None else (label,)
    if labels and holds_several(schema, labels[0]):
        raise ValueError(
            f"column {labels[0]!r} holds several values a row; choose another with `data_options.label_column`, or none"
        )
    return Columns(image, tuple(name for name in labels if not holds_several(schema, name)), classes, names)


def embedded_features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Return the features of the Hub's schema, or nothing."""
    metadata = (schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        features = typed(from_json(metadata), _Metadata).info.features
    except ValueError as error:
        raise _damaged(error) from None
    return {name: feature for name, feature in features.items() if isinstance(feature, dict)}  # a list: many a row


def has_classes(feature: dict[str, Any]) -> bool:
    """Tell whether a column is one of classes."""
    return bool(feature.get("_type") == "ClassLabel")


def class_names(feature: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the classes of a column."""
    try:
        return tuple(typed(feature, _Classes).names or ())
    except ValueError as error:
        raise _damaged(error) from None


def _damaged(error: ValueError) -> ValueError:
    return ValueError(f"the metadata 'huggingface' of the table are damaged: {error}; write it again with `datasets`")


@dataclass(frozen=True)
class _Classes:
    """What is read of a column of classes."""

    names: list[str] | None = None


@dataclass(frozen=True)
class _Info:
    features: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Metadata:
    """What the `datasets` library writes into the schema of a file, as far as it is read."""

    info: _Info = field(default_factory=_Info)


def holds_images(schema: pa.Schema, column: str) -> bool:
    """Tell whether a column has the type of encoded images: structures with ``bytes``."""
    kind = schema.field(column).type
    return pa.types.is_struct(kind) and "bytes" in [kind.field(i).name for i in range(kind.num_fields)]


def holds_several(schema: pa.Schema, column: str) -> bool:
    """Tell whether a column has lists or structures in its rows."""
    kind = schema.field(column).type  # the `datasets` library wraps its arrays into types of its own
    return bool(pa.types.is_nested(getattr(kind, "storage_type", kind)))


def image_columns(schema: pa.Schema) -> list[str]:
    """The columns that hold images: those that the Hub's schema calls so, else those of their type."""
    found = [name for name, feature in embedded_features(schema).items() if feature.get("_type") == "Image"]
    return found or [name for name in schema.names if holds_images(schema, name)]


def one_image_column(schema: pa.Schema) -> str:
    """Return the one column of images."""
    found = image_columns(schema)
    if not found:
        raise ValueError(
            f"no column holds images (structures of bytes and path); the columns are {schema.names}; "
            "write the files with the Image feature of the `datasets` library, or name the column that names the "
            "series with `data_options.series_column`"
        )
    if len(found) > 1:
        raise ValueError(f"several columns hold images, {found}; choose one with `data_options.image_column`")
    return found[0]


def find_labels(schema: pa.Schema, features: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    """Return the columns that may hold labels by their names and types, the likeliest first."""
    named = [name for name in LABEL_NAMES if name in schema.names]
    classes = [name for name, feature in features.items() if has_classes(feature)]
    if len(classes) > 1 and not (named := [name for name in named if name in classes]):
        raise ValueError(f"several columns hold classes, {classes}; choose one with `data_options.label_column`")
    if len(classes) == 1 or named:
        return tuple(dict.fromkeys([*(classes if len(classes) == 1 else ()), *named]))
    whole = [field.name for field in schema if pa.types.is_integer(field.type)]
    return tuple(name for name in whole if not _words(name) & _NO_LABEL_NAMES)[:2] if len(whole) < 2 else ()


def _words(name: str) -> set[str]:
    return set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))


def with_labels(tables: Mapping[str, Table], options: DataOptions) -> dict[str, EncodedImages]:
    """Give the images of several splits the labels of one column, the same in all, and note which it is.

    Raises:
        ValueError: The user's column has a value of its own in every row.
    """
    refused: dict[str, str] = {}
    chosen, values = None, dict[str, Sequence[Hashable]]()
    for name in dict.fromkeys(name for table in tables.values() for name in table.columns.labels):
        values = {split: table.values(name) for split, table in tables.items() if name in table.columns.names}
        declared = any(name in table.columns.classes for table in tables.values())
        wanted = name == options.label_column
        reason = None if declared else no_labels(list(values.values()), wanted or name in LABEL_NAMES)
        if wanted and reason and all(can_name_a_class(value) for part in values.values() for value in part):
            raise ValueError(
                f"column {name!r} tells no classes apart, as {reason}; choose another with "
                "`data_options.label_column`, or none"
            )
        if reason is None or wanted:
            chosen = name
            break
        refused[name] = reason
    note = {"label_rule": _rule(chosen, refused, tables, options)}
    return {
        split: replace(
            table.images,
            labels=values.get(split) if chosen else None,
            classes=table.columns.classes.get(chosen or ""),
            notes={**table.images.notes, **note},
        )
        for split, table in tables.items()
    }


def _rule(chosen: str | None, refused: Mapping[str, str], tables: Mapping[str, Table], options: DataOptions) -> str:
    rule = "none" + (" wanted" if options.label_column == "none" else "") if chosen is None else f"column {chosen}"
    reasons = [f"in {name} {reason}" for name, reason in refused.items()]
    others = dict.fromkeys(name for table in tables.values() for name in table.columns.names)
    unread = [
        name for name in others if name not in {chosen, *refused, *(table.columns.image for table in tables.values())}
    ]
    more = [f"not read: {', '.join(unread)}"] if unread else []
    return "; ".join([": ".join([rule, *reasons][:2]), *reasons[1:], *more])
