"""Which column of a table holds the images and which the labels."""

import json
from typing import Any, NamedTuple

import pyarrow as pa

from deep_infomax.data.options import DataOptions

LABEL_NAMES = ("label", "labels", "fine_label", "class", "target", "y")


class Columns(NamedTuple):
    """What a table offers."""

    image: str
    label: str | None
    classes: tuple[str, ...] | None
    """Names of the classes, where the table has them."""


def find_columns(schema: pa.Schema, options: DataOptions) -> Columns:
    """Find the columns by the features that Hub data sets embed, else by their types.

    Images are the one ``Image`` feature, or the one column of structures with ``bytes``. Labels are the one
    ``ClassLabel`` feature, else a column named as labels are, else the one column of whole numbers.

    Raises:
        ValueError: There is no such column, or several among which the user must choose.
    """
    features = embedded_features(schema)
    image = options.image_column or find_image(schema, features)
    if image not in schema.names or not holds_images(schema, image):
        raise ValueError(f"column {image!r} holds no images; `data_options.image_column` can be one of {schema.names}")
    if options.label_column == "none":
        return Columns(image, None, None)
    label = options.label_column or find_label(schema, features)
    if label is not None and label not in schema.names:
        raise ValueError(
            f"there is no column {label!r}; `data_options.label_column` can be one of {schema.names}, or none"
        )
    if label is not None and holds_several(schema, label):
        raise ValueError(
            f"column {label!r} holds several values a row; choose another with `data_options.label_column`, or none"
        )
    names = features.get(label or "", {}).get("names")
    return Columns(image, label, tuple(names) if names else None)


def embedded_features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Return the features of the Hub's schema, or nothing."""
    metadata = (schema.metadata or {}).get(b"huggingface", b"{}")
    features: dict[str, Any] = json.loads(metadata).get("info", {}).get("features", {})
    return {name: feature for name, feature in features.items() if isinstance(feature, dict)}  # a list: many a row


def holds_images(schema: pa.Schema, column: str) -> bool:
    """Tell whether a column has the type of encoded images: structures with ``bytes``."""
    kind = schema.field(column).type
    return pa.types.is_struct(kind) and "bytes" in [kind.field(i).name for i in range(kind.num_fields)]


def holds_several(schema: pa.Schema, column: str) -> bool:
    """Tell whether a column has lists or structures in its rows."""
    kind = schema.field(column).type  # the `datasets` library wraps its arrays into types of its own
    return bool(pa.types.is_nested(getattr(kind, "storage_type", kind)))


def find_image(schema: pa.Schema, features: dict[str, dict[str, Any]]) -> str:
    """Return the one column of images."""
    found = [name for name, feature in features.items() if feature.get("_type") == "Image"]
    found = found or [name for name in schema.names if holds_images(schema, name)]
    if not found:
        raise ValueError(
            f"no column holds images (structures of bytes and path); the columns are {schema.names}; "
            "write the files with the Image feature of the `datasets` library"
        )
    if len(found) > 1:
        raise ValueError(f"several columns hold images, {found}; choose one with `data_options.image_column`")
    return found[0]


def find_label(schema: pa.Schema, features: dict[str, dict[str, Any]]) -> str | None:
    """Return the one column of labels, or None where nothing looks like one."""
    named = [name for name in LABEL_NAMES if name in schema.names]
    classes = [name for name, feature in features.items() if feature.get("_type") == "ClassLabel"]
    if len(classes) > 1 and not (named := [name for name in named if name in classes]):
        raise ValueError(f"several columns hold classes, {classes}; choose one with `data_options.label_column`")
    if len(classes) == 1 or named:
        return classes[0] if len(classes) == 1 else named[0]
    whole = [field.name for field in schema if pa.types.is_integer(field.type)]
    return whole[0] if len(whole) == 1 else None
