"""Packages that only some formats need, each in an extra of this package."""

import importlib
from types import ModuleType


def require(module: str, extra: str, what: str) -> ModuleType:
    """Import a package of an extra.

    Args:
        module: What is imported.
        extra: Which extra it belongs to.
        what: What it is needed for, as a plural: "WAV and FLAC files".

    Raises:
        ValueError: It is not installed, or does not load.

    >>> require("nothing_called_so", "audio", "WAV files")
    Traceback (most recent call last):
    ...
    ValueError: WAV files are read by nothing_called_so, which is not installed; pip install "deep-infomax[audio]"
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = f'{what} are read by {module}, which is not installed; pip install "deep-infomax[{extra}]"'
        raise ValueError(missing) from error
    except OSError as error:  # a library of the system that it stands on
        raise ValueError(f"{what} are read by {module}, which cannot be loaded ({error}); install it anew") from error
