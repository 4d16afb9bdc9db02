"""Regular files, opened without following a link, and locks on what is open.

A run may come from a stranger. A link in it, a device or a pipe could lead what is written out of its folder, or keep
a reader waiting for ever, so each is refused.
"""

import errno
import os
import stat
import sys
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import fcntl

_NEVER_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


def require_regular(path: Path) -> None:
    """Refuse what is no regular file; nothing at all may be there.

    Raises:
        ValueError: There is a link, a folder, a device, a pipe or a socket.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        raise ValueError(f"{path} is a link to {path.readlink()}, which is not followed; remove it, or name a file")
    if stat.S_ISDIR(mode):
        raise ValueError(f"{path} is a folder; name a file in it")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is a device, a pipe or a socket; name a regular file")


def open_to_write(path: Path, flags: int) -> int:
    """The descriptor of a regular file, opened with flags of `os.open`; no link is followed, nothing is waited for.

    Raises:
        ValueError: Something else is in its place.
    """
    require_regular(path)
    try:
        descriptor = os.open(path, flags | _NEVER_FOLLOW, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # it came in between
            raise ValueError(f"{path} is no regular file; name one") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{path} is no regular file; name one")
    return descriptor


def require_own_folder(path: Path) -> None:
    """Refuse what is no folder; nothing at all may be there.

    Raises:
        ValueError: A link, which would lead out of the folder around it, or a file is in its place.
    """
    if path.is_symlink():
        raise ValueError(f"{path} is a link to {path.readlink()}, which is not followed; put the folder itself there")
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file where a folder belongs; move it away")


def own_folder(path: Path) -> None:
    """Make a folder inside another one, unless it is there.

    Raises:
        ValueError: As `require_own_folder`.
    """
    require_own_folder(path)
    path.mkdir(parents=True, exist_ok=True)


def no_room(error: OSError) -> bool:
    """Whether an error says that there is no room for a file, so that no other input would help."""
    return error.errno in _NO_ROOM


def try_lock(descriptor: int, *, shared: bool = False) -> bool | None:
    """Lock an open file until it is closed, also by the end of the process, however it ends.

    Returns:
        Whether it is locked now; None where the file system keeps no locks.
    """
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
            return False
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


def still_there(path: Path, descriptor: int) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))
