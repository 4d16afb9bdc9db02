"""Tar and parquet files at an address of the web, or several by a range of numbers in braces."""

import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from deep_infomax.data.dataset import Dataset
from deep_infomax.data.options import DataOptions
from deep_infomax.data.parquet import load_stored_tables
from deep_infomax.data.stored import FileSystem, StoredFile, remote_files
from deep_infomax.data.tars import SUFFIXES, load_stored_tars

PREFIXES: Final = ("https://", "http://")
SECONDS: Final = 60
"""After which a server that says nothing is taken for unreachable."""
_MOST_FILES: Final = 100_000
_RANGE: Final = re.compile(r"\{(\d+)\.\.(\d+)\}")


def load_address(
    address: str,
    options: DataOptions,
    system: FileSystem | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Dataset:
    """Load the tar or parquet files at an address, as a stream.

    Args:
        address: Of one file, or of several: ``https://host/train-{000..099}.tar``.
        options: Channels, sizes, columns; ``stream`` has to be set.
        system: How it is read; over the network unless given.
        sleep: Waits between attempts.

    Raises:
        ValueError: There are no such files, they are of another kind, or cannot be used.
        OSError: They cannot be reached.
    """
    name = PurePosixPath(urlsplit(address).path).name
    if not name.lower().endswith((*SUFFIXES, ".parquet")):
        raise ValueError(f"{address} ends in neither .tar nor .parquet; download it and give the file")
    if not options.stream:
        raise ValueError(f"{address} is read over the network; set `data_options.stream` to true, or download it")
    load = load_stored_tables if name.lower().endswith(".parquet") else load_stored_tars
    root = address.rpartition("/")[0] + "/"
    return load(re.sub(r"[-_.]?\{.*\}", "", name), files_at(address, system, sleep), root, options)


def files_at(
    address: str, system: FileSystem | None = None, sleep: Callable[[float], None] = time.sleep
) -> list[StoredFile]:
    """The file at an address, or the files of a range in braces: ``https://host/train-{000..099}.tar``.

    Raises:
        ValueError: One of them is not there, or the range is none.
        OSError: One cannot be reached.
    """
    addresses = spelt_out(address)
    names = [PurePosixPath(urlsplit(each).path).name for each in addresses]
    try:
        return remote_files(system or Addresses(), addresses, names, sleep)
    except FileNotFoundError as error:
        of_several = f", one of {len(addresses):,} files of the range" if len(addresses) > 1 else ""
        raise ValueError(f"{address}: there is no such file ({error}){of_several}; correct the address") from error
    except PermissionError as error:
        raise ValueError(f"{address}: it may not be read ({error}); download the files and give the folder") from error


def spelt_out(address: str) -> list[str]:
    """The addresses that one with a range in braces stands for.

    >>> spelt_out("https://host/train-{08..10}.tar")
    ['https://host/train-08.tar', 'https://host/train-09.tar', 'https://host/train-10.tar']

    Raises:
        ValueError: There are several ranges, or one from a larger to a smaller number.
    """
    if (found := _RANGE.search(address)) is None:
        if "{" in address or "}" in address:
            raise ValueError(f"{address}: braces hold no range of numbers; write one like {{000..099}}")
        return [address]
    before, after = address[: found.start()], address[found.end() :]
    first, last = int(found[1]), int(found[2])
    if "{" in before + after or "}" in before + after:
        raise ValueError(f"{address} has several pairs of braces; give one range")
    if not 0 <= last - first < _MOST_FILES:
        raise ValueError(f"{address}: the range {found[0]} names no files, or more than {_MOST_FILES:,}; correct it")
    return [f"{before}{number:0{len(found[1])}}{after}" for number in range(first, last + 1)]


class Addresses:
    """Files at addresses of the web, as a file system; that of fsspec needs aiohttp, which nothing else here does."""

    def info(self, path: str) -> Mapping[str, Any]:
        """Size, ETag and time of change.

        Raises:
            OSError: The server cannot be reached, or shows no such file.
            ValueError: It does not say the size.
        """
        with _answer(urllib.request.Request(path, method="HEAD")) as answer:
            found = {"size": answer.headers.get("Content-Length"), "ETag": answer.headers.get("ETag")}
            found["LastModified"] = answer.headers.get("Last-Modified")
        if found["size"] is None:
            raise ValueError(f"the server of {path} does not say how large it is; download it and give the file")
        return {**found, "size": int(found["size"])}

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        """Read some bytes; there are no options.

        Raises:
            OSError: The server cannot be reached, or sends fewer.
            ValueError: It sends whole files only.
        """
        assert start is not None
        assert end is not None
        with _answer(urllib.request.Request(path, headers={"Range": f"bytes={start}-{end - 1}"})) as answer:
            if answer.status != 206:
                raise ValueError(f"the server of {path} sends no parts of files; download it and give the file")
            content: bytes = answer.read()
        if len(content) != end - start:
            raise OSError(f"{len(content):,} of {end - start:,} bytes came")
        return content

    def find(self, path: str) -> Sequence[str]:
        """Servers of the web list no files.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"{path} is no file; name the files, several by a range in braces")


def _answer(request: urllib.request.Request) -> Any:
    try:
        return urllib.request.urlopen(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        kind = {401: PermissionError, 403: PermissionError, 404: FileNotFoundError, 410: FileNotFoundError}
        raise kind.get(error.code, OSError)(f"{request.full_url}: {error.code} {error.reason}") from error
