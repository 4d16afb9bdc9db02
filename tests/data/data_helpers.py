"""Small image files and tables for the tests of data."""

import io
import json
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def picture(path: Path, colour=RED, size=(4, 4), mode="RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


def encoded(folder: Path, colour) -> dict:
    return {"bytes": picture(folder / "scratch" / "p.png", colour).read_bytes(), "path": "p.png"}


def parquet(file: Path, columns: dict, features: dict | None = None) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, file)
    return file


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(values: np.ndarray) -> bytes:
    """A PNG file of 8 or 16 bits with 1 to 4 bands, written without a library: Pillow writes no colours of 16 bits."""
    height, width, bands = values.shape
    rows = b"".join(b"\0" + row.astype(values.dtype.newbyteorder(">")).tobytes() for row in values)
    return png_file(width, height, values.dtype.itemsize * 8, {1: 0, 2: 4, 3: 2, 4: 6}[bands], rows)


def png_file(width: int, height: int, depth: int, colours: int, rows: bytes, *before: bytes) -> bytes:
    """A PNG file of rows, each with a filter's byte in front; ``before`` are chunks that go before them."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(rows))
    return b"".join((b"\x89PNG\r\n\x1a\n", header, *before, pixels, png_chunk(b"IEND", b"")))


def image(number, size=(6, 6), colours=3):
    """A picture of noise by its number."""
    values = np.random.default_rng(number).integers(0, 256, (*size, colours), np.uint8)
    return Image.fromarray(values if colours == 3 else values[..., 0])


def content(number, size=(6, 6), colours=3, kind="PNG"):
    file = io.BytesIO()
    image(number, size, colours).save(file, kind)
    return file.getvalue()


def tar(path, members, mode="w"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def labelled(numbers, **image_options):
    """Members of a tar file: pictures by their numbers, and one of three classes for each."""
    members = {}
    for number in numbers:
        members[f"{number:04}.png"] = content(number, **image_options)
        members[f"{number:04}.cls"] = str(number % 3).encode()
    return members
