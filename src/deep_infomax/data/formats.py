"""Which files are images by the endings of their names: those that can be read, and those that are counted and named.

Pillow knows more formats than are used here. Left out are those that it reads through another program (EPS, WMF), those
that are no pixels without a plug-in (GRIB, HDF5), and FITS, whose scaling it does not apply.
"""

from typing import Final

from PIL import Image

_WANTED: Final = (
    "AVIF", "BLP", "BMP", "CUR", "DCX", "DDS", "DIB", "FLI", "FTEX", "GBR", "GIF", "ICNS", "ICO", "IM", "JPEG",
    "JPEG2000", "MPO", "MSP", "PCX", "PIXAR", "PNG", "PPM", "PSD", "QOI", "SGI", "SUN", "TGA", "TIFF", "WEBP", "XBM",
    "XPM",
)  # fmt: skip

Image.init()
FORMATS: Final = tuple(name for name in _WANTED if name in Image.OPEN)
"""Names of the formats that Pillow may open, as this copy of it was built."""
READABLE: Final = frozenset(
    suffix for suffix, name in Image.registered_extensions().items() if name in _WANTED and name in {*FORMATS, "MPO"}
)
"""Endings of files that are read as images, in small letters."""
_OTHERS: Final = """
.3fr .ai .arw .bpg .cr2 .cr3 .crw .czi .djvu .dng .emz .erf .exr .fts .hdr .heic .heics .heif .hif .ims .jls
.jng .jxl .jxr .ktx .ktx2 .kra .lif .lsm .mgh .mgz .mha .mhd .mrc .mrxs .nd2 .ndpi .nef .nrrd .nrw .orf .oir .pam
.pef .psb .raf .raw .rw2 .scn .sr2 .srw .svg .svgz .svs .vms .vsi .wdp .xcf
"""
_RARELY_IMAGES: Final = frozenset((".h5", ".hdf", ".iim", ".mpeg", ".mpg", ".ps"))
UNREADABLE: Final = frozenset((*Image.registered_extensions(), *_OTHERS.split())) - READABLE - _RARELY_IMAGES
"""Endings of other files that hold images: such are left out, and said to be."""
