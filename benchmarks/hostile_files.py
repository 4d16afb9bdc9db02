"""Damaged and hostile files, made of sound ones: what the readers of the project are tried with.

Every function draws from a `random.Random`, so that a seed makes the same files again.
"""

import io
import json
import os
import random
import struct
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 0.5, -0.5, 1e30, 1e300, float("nan"), float("inf"),
    "", "x", "\x1b[31m", "../../x", "9" * 5000, "\ud800", [], {}, [None], [[]], {"x": 1}, ["x"] * 1000,
)  # fmt: skip
"""What takes the place of a value."""
YAML: Final = (
    b"a: &a [*a]", b"[" * 9_999, b"? " * 9_999, b"- " * 9_999, b"!!python/object:os.system x", b"a: 1\na: 2\n", b"",
    b"{1: 2}", b"%TAG ! x\n" * 99, b"---\n" * 99, b"\x00", b"a: 0b_\n", b"a: 2001-99-99\n", b"a: !!binary x\n", b"x",
    b"- x\n", b"? [x]\n: y\n", b"<<: {recipe: x}\n", b"a: 1:2:3:4:99999999999\n",
)  # fmt: skip
TYPES: Final = ("F64", "F16", "BF16", "I64", "I8", "U8", "BOOL", "C64", "F8_E4M3", "X", "")


def flipped(content: bytes, rng: random.Random) -> bytes:
    """Bits turned over, a part cut out, repeated, zeroed, or cut off."""
    changed, kind = bytearray(content), rng.randrange(6)
    at = rng.randrange(len(changed) + 1)
    length = rng.choice((1, 4, 64, 4096))
    if kind == 0:
        for _ in range(rng.choice((1, 1, 8, 64))):
            if changed:
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del changed[at:]
    elif kind == 2:
        del changed[at : at + length]
    elif kind == 3:
        changed[at:at] = changed[at : at + length]
    elif kind == 4:
        changed[at : at + length] = bytes(len(changed[at : at + length]))
    else:
        changed[at:at] = rng.randbytes(length)
    return bytes(changed)


def swapped(value: Any, rng: random.Random) -> Any:
    """A value of JSON in which one value, at any depth, is another, is missing, or has another beside it."""
    places: list[tuple[Any, Any]] = []
    level = [value]
    while level:
        below = []
        for item in level:
            pairs = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
            for key, inside in pairs:
                places.append((item, key))
                below.append(inside)
        level = below
    if not places or rng.random() < 0.05:
        return rng.choice(VALUES)
    holder, key = rng.choice(places)
    kind = rng.randrange(5)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[rng.choice(("later", "", "\x00", "schema"))] = rng.choice(VALUES)
    elif kind == 2:
        holder[key] = nested(rng.choice((30, 33, 500)), rng.choice(VALUES))
    else:
        holder[key] = rng.choice(VALUES)
    return value


def nested(depth: int, value: Any) -> Any:
    """A value inside so many lists and mappings."""
    for number in range(depth):
        value = [value] if number % 2 else {"x": value}
    return value


def hostile_json(content: bytes, rng: random.Random) -> bytes:
    """A JSON file with a value swapped, deep, with a key twice, or damaged."""
    kind = rng.randrange(6)
    if kind == 0:
        return flipped(content, rng)
    if kind == 1:
        return rng.choice((b"", b"[" * 50_000, b'{"a":' * 50_000, b"9" * 9_999, b"\xff\xfe", b"NaN", b"[]", b"null"))
    if kind == 2:
        return content.replace(b"{", b'{"schema": 1, "schema": 1, ', 1)
    return json.dumps(swapped(json.loads(content), rng)).encode()


def hostile_lines(content: bytes, rng: random.Random) -> bytes:
    """A file of JSON lines of which some are hostile, missing or torn."""
    lines = content.splitlines()
    for number in rng.sample(range(len(lines)), min(len(lines), rng.choice((1, 2, 5)))):
        lines[number] = hostile_json(lines[number], rng)
    return b"\n".join(lines) + (b"\n" if rng.random() < 0.8 else b"")


def hostile_yaml(content: bytes, rng: random.Random) -> bytes:
    """A YAML file with a value swapped, aliases, tags, depth, or damage."""
    kind = rng.randrange(6)
    if kind == 0:
        return flipped(content, rng)
    if kind == 1:
        bomb = "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghi"))
        return rng.choice((*YAML, f"a: &a [x]\n{bomb}".encode())) + rng.choice((b"", content))
    try:
        return yaml.safe_dump(swapped(yaml.safe_load(content), rng), sort_keys=False).encode()
    except (yaml.YAMLError, UnicodeEncodeError, RecursionError):
        return b"a: ["


def hostile_tensors(content: bytes, rng: random.Random) -> bytes:
    """A safetensors file whose header lies, whose tensors are of another type, or that is damaged."""
    kind = rng.randrange(7)
    if kind == 0:
        return flipped(content, rng)
    if kind == 1:
        return struct.pack("<Q", rng.choice((0, 1, 2**31, 2**63, 2**64 - 1))) + content[8:]
    size = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    names = [name for name in header if name != "__metadata__"]
    name = rng.choice(names)
    entry = header[name]
    if kind == 2:
        entry["dtype"] = rng.choice(TYPES)
    elif kind == 3:
        entry["shape"] = rng.choice(([], [0], [2**62], [-1], [1, *entry["shape"]], entry["shape"][::-1], ["x"], 5))
    elif kind == 4 and "state" in header.get("__metadata__", {}):
        state = hostile_json(header["__metadata__"]["state"].encode(), rng)
        header["__metadata__"]["state"] = state.decode(errors="replace")
    elif kind == 5:  # the same bytes as other numbers
        begin, end = entry["data_offsets"]
        fill = rng.choice((b"\xff", b"\x00", b"\x7f", b"\xbf", rng.randbytes(1)))
        data = data[:begin] + fill * (end - begin) + data[end:]
    else:
        header = swapped(header, rng)
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + data


def hostile_archive(content: bytes, rng: random.Random) -> bytes:
    """An ``.npz`` file with an array of another kind, a header that lies, or damage."""
    kind = rng.randrange(5)
    if kind == 0:
        return flipped(content, rng)
    with np.load(io.BytesIO(content)) as archive:
        arrays = dict(archive)
    name = rng.choice(list(arrays))
    stream = io.BytesIO()
    if kind < 3:
        arrays[name] = other_array(arrays[name], rng)
        if rng.random() < 0.2:
            del arrays[name]
        np.savez_compressed(stream, **arrays)
        return stream.getvalue()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for other, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array)
            archive.writestr(
                f"{other}.npy", hostile_array(member.getvalue(), rng) if other == name else member.getvalue()
            )
    return stream.getvalue()


def other_array(array: np.ndarray, rng: random.Random) -> np.ndarray:
    """An array of another type, shape or range."""
    kinds: tuple[Callable[[], np.ndarray], ...] = (
        lambda: array[None],
        lambda: array[..., :1] if array.ndim else np.zeros(3),
        lambda: array[:0] if array.ndim else np.zeros(0),
        lambda: np.zeros(array.shape, np.complex64),
        lambda: np.zeros(array.shape, "M8[s]"),
        lambda: np.zeros(array.shape, "S3"),
        lambda: np.zeros(array.shape, [("a", "i4")]),
        lambda: np.zeros(array.shape, ">f8"),
        lambda: np.full(array.shape, np.nan),
        lambda: np.full(array.shape, 1e300),
        lambda: np.full(array.shape, 2**62),
        lambda: np.full(array.shape, -5),
        lambda: np.zeros((0,) * array.ndim, array.dtype),
        lambda: np.zeros((1,) * 20, np.uint8),
    )
    return rng.choice(kinds)()


def hostile_array(content: bytes, rng: random.Random) -> bytes:
    """An ``.npy`` file whose header lies, is no header, or is damaged."""
    version, start = content[6], 10
    end = start + struct.unpack("<H", content[8:10])[0]
    kind = rng.randrange(5)
    if kind == 0:
        return flipped(content, rng)
    if kind == 1:
        return content[:6] + bytes((rng.choice((0, 2, 3, 9, version)), rng.choice((0, 1)))) + content[8:]
    header = content[start:end].decode("latin1").strip()
    if kind == 2:
        shape = rng.choice(("(2,)", f"({2**62},)", "(-1,)", "(1.5,)", "'x'", "()", f"({2**40}, {2**40})", "(True,)"))
        header = header[: header.index("'shape'")] + f"'shape': {shape}, }}"
    elif kind == 3:
        kinds = ("'|O'", "'<c8'", "'<f16'", "'|S0'", "'<U9'", "'|V4'", "5", "'x'", "[('a', '<i4')]", "'<M8[s]'")
        header = f"{{'descr': {rng.choice(kinds)}" + header[header.index(", 'fortran") :]
    else:
        header = rng.choice(("", "{}", "(" * 3000, "{'a': " * 200, "__import__('os')", "\x00", "[]", "1" * 9000))
    packed = header.encode("latin1") + b"\n"
    return content[:8] + struct.pack("<H", len(packed) % 65536) + packed + content[end:]


def take_its_place(path: Path, rng: random.Random) -> str:
    """Put something that is no file of a sensible size in a file's place; what it is."""
    path.unlink()
    kind = rng.choice(("pipe", "folder", "zeros", "loop", "nothing", "outside", "large", "closed"))
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(2**30)  # takes no room on the disk
    elif kind == "closed":
        path.write_bytes(b"{}")
        path.chmod(0)
    else:
        targets = {"zeros": "/dev/zero", "loop": path.name, "nothing": "not-there", "outside": "/etc/hostname"}
        path.symlink_to(targets[kind])
    return kind
