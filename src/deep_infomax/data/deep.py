"""Images of more than 8 bits that Pillow would cut to 8: PNG, JPEG, JPEG 2000 and AVIF by `imagecodecs`, and PPM."""

import math
import struct
from collections.abc import Callable

import numpy as np
from PIL import ImageFile

from deep_infomax.data.headers import File, Header, Picture, UnsupportedImageError, check_pixels, extra
from deep_infomax.data.pixels import Frame, Pixels, keyed, upright

_NEEDED = "holds more than 8 bits a channel"


class DeepPicture(Picture):
    """An image of one frame that is decoded by another reader than Pillow."""

    def __init__(self, header: Header, decode: Callable[[], Pixels], orientation: int, key: tuple[int, ...]) -> None:
        self.header = header
        self._decode = decode
        self._orientation = orientation
        self._key = key
        """The colour that is transparent, if one is."""

    def frame(self, number: int, stored: bool, short_side: int | None = None) -> Frame:
        """Decode the image."""
        values, colours = self._decode(), self.header.colours
        if colours is not None and self._key and values.shape[-1] == colours:
            values = keyed(values, self._key)
        alpha = colours is not None and values.shape[-1] > colours
        return Frame(upright(values, self._orientation), colours, alpha)


def open_deep(image: ImageFile.ImageFile, file: File, orientation: Callable[[], int]) -> Picture | None:
    """Open an image of more than 8 bits by another reader than Pillow; None where Pillow keeps them."""
    codec, _, start, arguments = image.tile[0] if image.tile else ("", None, 0, ())  # before tags are looked for
    colours, kind = 3 if image.mode.startswith("RGB") else 1, "uint16"
    bands = colours + image.has_transparency_data
    decode: Callable[[], Pixels]
    if image.format == "PNG" and arguments in ("RGB;16B", "RGBA;16B", "LA;16B"):
        colours = 1 if arguments == "LA;16B" else 3
        bands = colours + image.has_transparency_data
        decode = _decoder("png", file)
    elif image.format == "JPEG2000" and (components := _components(file)) and max(components)[0] > 8:
        kind = "int16" if any(signed for _, signed in components) else kind
        bands = len(components)
        decode = _decoder("jpeg2k", file)
    elif image.format == "AVIF" and _is_deep_avif(file):
        decode = _decoder("avif", file)
    elif image.format == "PPM" and (image.mode == "I" or _largest(arguments) > 255):
        shape, plain = (image.height, image.width, colours), codec == "ppm_plain"
        decode = lambda: _portable_map(file, start, shape, plain)  # noqa: E731
    elif codec == "SGI16":
        raise UnsupportedImageError(f"{_NEEDED}, which is not read from SGI files; save it as PNG or TIFF")
    else:
        return None
    key = image.info.get("transparency") if image.format == "PNG" else None
    turn = orientation()
    height, width = (image.width, image.height) if turn >= 5 else (image.height, image.width)
    check_pixels(height, width)
    header = Header(height, width, bands, colours, kind, 1, image.format or "unknown", turn > 1)
    return DeepPicture(header, decode, turn, (key,) if isinstance(key, int) else tuple(key or ()))


def open_jpeg(file: File) -> Picture:
    """Open a JPEG image that Pillow does not know: one of more than 8 bits, or a lossless one."""
    codecs = extra("imagecodecs", "is a JPEG image of a kind that Pillow does not read")
    height, width = _jpeg_size(file)
    check_pixels(height, width)
    values = _with_bands(codecs.jpeg_decode(file.read()))
    height, width, bands = values.shape
    header = Header(height, width, bands, 1 if bands == 1 else 3, str(values.dtype), 1, "JPEG")
    return DeepPicture(header, lambda: values, 1, ())


def _decoder(name: str, file: File) -> Callable[[], Pixels]:
    codecs = extra("imagecodecs", _NEEDED)

    def decode() -> Pixels:
        file.seek(0)
        return _with_bands(getattr(codecs, f"{name}_decode")(file.read()))

    return decode


def _with_bands(values: np.ndarray) -> Pixels:
    return values[..., None] if values.ndim == 2 else values


def _jpeg_size(file: File) -> tuple[int, int]:
    """Height and width in the header of the frame of a JPEG file."""
    file.seek(2)
    while len(marker := file.read(4)) == 4 and marker[0] == 0xFF:
        length = struct.unpack(">H", marker[2:])[0]
        if 0xC0 <= marker[1] <= 0xCF and marker[1] not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">xHH", file.read(5))
            file.seek(0)
            return height, width
        file.seek(length - 2, 1)
    raise ValueError("it is not an image of a known format")


def _components(file: File) -> list[tuple[int, bool]]:
    """Bits of each component of a JPEG 2000 image, and whether it has a sign; nothing where its header is far down."""
    file.seek(0)
    beginning = file.read(1 << 16)
    start = beginning.find(b"\xff\x4f\xff\x51")
    if start < 0:
        return []
    count = int.from_bytes(beginning[start + 40 : start + 42], "big")
    sizes = beginning[start + 42 : start + 42 + 3 * count : 3]
    return [((size & 0x7F) + 1, size >= 0x80) for size in sizes]


def _is_deep_avif(file: File) -> bool:
    """Whether the configuration of an AVIF image's codec says 10 or 12 bits."""
    file.seek(0)
    beginning = file.read(1 << 16)
    start = beginning.find(b"av1C")
    return 0 <= start < len(beginning) - 6 and bool(beginning[start + 6] & 0x40)


def _largest(arguments: object) -> int:
    """The number that stands for white in a portable map of colours."""
    return arguments[-1] if isinstance(arguments, tuple) and isinstance(arguments[-1], int) else 255


def _portable_map(file: File, start: int, shape: tuple[int, int, int], plain: bool) -> Pixels:
    """Read the numbers of a portable map of 16 bits, which Pillow would stretch to 65535."""
    file.seek(start)
    content, n = file.read(), math.prod(shape)
    values = np.array(content.split()[:n], np.uint16) if plain else np.frombuffer(content, ">u2", n).astype(np.uint16)
    return values.reshape(shape)
