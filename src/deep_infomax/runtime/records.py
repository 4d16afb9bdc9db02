"""Records read from disk: JSON and YAML of a bounded size, in regular files, with the types that are asked for.

Whatever is wrong with one is a ValueError of one sentence, ``PATH is damaged: <what> at <where>; <remedy>``. A missing
file, or one that may not be read, stays an OSError. Fields that later versions add are passed over.

msgspec compares what was read with dataclasses as they are, strictly: no text becomes a number, and no number text.
pydantic would do the same, but takes longer to load and wants classes of its own. Parsing stays with the
standard library and PyYAML, as msgspec's parsers let a key appear twice.
"""

import json
import math
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import msgspec
import yaml

T = TypeVar("T")

LARGEST: Final = 2**24
"""Bytes of a record at most."""
LARGEST_YAML: Final = 2**18
"""Bytes of YAML at most; its parsers take two seconds for as much."""
DEEPEST: Final = 32
"""Levels of lists and mappings within each other at most."""

_LONGEST_WORDS: Final = 300
_WORDS: Final = {
    "int": "a whole number", "float": "a number", "str": "text", "bool": "true or false", "object": "a mapping",
    "array": "a list", "null": "nothing",
}  # fmt: skip
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN: Final = tuple(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null"))
"""What a word of YAML can stand for beside itself."""


def damaged(path: Path, what: object, remedy: str) -> ValueError:
    """The error of a file that cannot be used as it is."""
    said = " ".join(str(what).split()) or type(what).__name__
    said = said if len(said) <= _LONGEST_WORDS else f"{said[:_LONGEST_WORDS]}..."
    return ValueError(f"{path} is damaged: {said}; {remedy}")


def open_regular(path: Path, remedy: str, *, follow: bool = False) -> BinaryIO:
    """Open a regular file for reading; a device, a pipe or a socket is never waited for.

    Args:
        path: The file.
        remedy: What to do where it is no regular file.
        follow: Whether it may be a link to one. Files of a run may not; what is named on a command line may.

    Raises:
        ValueError: It is something else.
        OSError: It is not there, or may not be read.
    """
    what = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    kind = stat.S_IFMT((path.stat() if follow else path.lstat()).st_mode)
    if kind == stat.S_IFREG:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # another process may have replaced it in between
            return os.fdopen(descriptor, "rb")
        os.close(descriptor)
    raise damaged(path, f"it is {what.get(kind, 'a device')}, no file", remedy)


def read_bytes(path: Path, remedy: str, *, largest: int = LARGEST, follow: bool = False) -> bytes:
    """The content of a regular file.

    Raises:
        ValueError: It is no regular file, or larger than ``largest`` bytes.
        OSError: It is not there, or cannot be read.
    """
    with open_regular(path, remedy, follow=follow) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise damaged(path, f"it has more than {largest:,} bytes", remedy)
    return content


def read_json(path: Path, kind: type[T], remedy: str, *, largest: int = LARGEST, follow: bool = False) -> T:
    """What a JSON file holds, as a value of a type.

    Raises:
        ValueError: It is no regular file, too large, no JSON, or something else than ``kind``.
        OSError: It is not there, or cannot be read.
    """
    content = read_bytes(path, remedy, largest=largest, follow=follow)
    try:
        return typed(from_json(content), kind)
    except ValueError as error:
        raise damaged(path, error, remedy) from None


def read_yaml(path: Path, kind: type[T], remedy: str, *, follow: bool = False) -> T:
    """What a YAML file holds, as a value of a type; see `read_json`."""
    content = read_bytes(path, remedy, largest=LARGEST_YAML, follow=follow)
    try:
        return typed(from_yaml(content), kind)
    except ValueError as error:
        raise damaged(path, error, remedy) from None


def from_json(content: bytes | str, *, finite: bool = True) -> Any:
    """The values that JSON spells.

    Args:
        content: The JSON.
        finite: Whether NaN and infinities are refused, which are no JSON, but which logs may hold.

    Raises:
        ValueError: It is no JSON, names a key twice, or holds what no record does; the words say what and where.
    """
    try:
        value = json.loads(_text(content), object_pairs_hook=_mapping, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON ({error.msg} in line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise ValueError(f"it nests deeper than {DEEPEST} levels") from None
    _check_values(value, finite)
    return value


def from_yaml(content: bytes | str) -> Any:
    """The values that YAML spells, without aliases, anchors and tags; what looks like a date is text.

    Raises:
        ValueError: It is no YAML, names a key twice, or holds what no record does; the words say what and where.
    """
    text = _text(content)
    try:
        _check_events(yaml.parse(text, Loader=_LOADER))
        value = _composed(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f" in line {mark.line + 1}, column {mark.column + 1}"
        raise ValueError(f"no valid YAML{place}") from None
    _check_values(value, finite=True)
    return value


def typed(value: Any, kind: type[T]) -> T:
    """A value of a type, made of what JSON or YAML hold; unknown fields of dataclasses are passed over.

    Raises:
        ValueError: It is something else; the words say what is expected, and where.

    >>> from dataclasses import make_dataclass
    >>> typed({"sizes": [1, "b"]}, make_dataclass("Record", [("sizes", list[int])]))
    Traceback (most recent call last):
    ValueError: expected a whole number, got text at sizes[1]
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at ")
        said = re.sub(r"`([^`]*)`", lambda found: " or ".join(_WORDS.get(k, k) for k in found[1].split(" | ")), said)
        said = said.replace("Object missing required field", "it lacks").replace("Expected", "expected")
        place = place.strip("`").removeprefix("$").removeprefix(".")
        raise ValueError(f"{said} at {place}" if place else said) from None


def _check_events(events: Iterable[yaml.Event]) -> None:
    """Refuse what makes a small YAML file large, or other than it looks."""
    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        line = 0 if event.start_mark is None else event.start_mark.line + 1
        if depth > DEEPEST:
            raise ValueError(f"it nests deeper than {DEEPEST} levels in line {line}")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise ValueError(f"an anchor or an alias stands in line {line}, and neither is read")
        if getattr(event, "tag", None) is not None:
            raise ValueError(f"a tag stands in line {line}, and none is read")


def _composed(text: str) -> Any:
    loader = _LOADER(text)
    try:
        return _value(loader, loader.get_single_node())
    finally:
        loader.dispose()


def _value(loader: Any, node: yaml.Node | None) -> Any:
    if isinstance(node, yaml.MappingNode):
        keys = [_value(loader, key) for key, _ in node.value]
        place = f" in line {node.start_mark.line + 1}"
        if strange := [key for key in keys if not isinstance(key, str)]:
            raise ValueError(f"the key {strange[0]!r} is no text{place}")
        _require_once(keys, place)
        return dict(zip(keys, (_value(loader, value) for _, value in node.value), strict=True))
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item) for item in node.value]
    if node is None:
        return None
    if node.tag not in _PLAIN:
        return node.value
    try:
        return loader.construct_object(node)
    except ValueError:
        raise ValueError(f"no number can be made of {node.value[:40]!r}") from None


def _text(content: bytes | str) -> str:
    try:
        return content if isinstance(content, str) else content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"no text in UTF-8 (byte {error.start + 1})") from None


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        _require_once([key for key, _ in pairs], "")
    return found


def _whole(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError("a whole number has more than 64 bits")
    return int(digits)


def _require_once(keys: list[str], place: str) -> None:
    seen = set[str]()
    for key in keys:
        if key in seen:
            raise ValueError(f"the key {key!r} is there twice{place}")
        seen.add(key)


def _check_values(value: Any, finite: bool) -> None:
    """Refuse what no record holds, level by level, in time that grows with its size."""
    level, depth = [value], 0
    while level:
        if depth > DEEPEST:
            raise ValueError(f"it nests deeper than {DEEPEST} levels")
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.keys()
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str):
                _check_text(item)
            elif isinstance(item, int) and not -(2**63) <= item < 2**64:
                raise ValueError("a whole number has more than 64 bits")
            elif isinstance(item, float) and finite and not math.isfinite(item):
                raise ValueError(f"a number is {item}, not finite")
        level, depth = below, depth + 1


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a text holds half a character (a lone surrogate)") from None
