"""Files that are whole or not there: written under a name of their own, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

_NO_ROOM = "what was finished is kept: free some, or move the folder to a larger disk, and run again"
_NO_RIGHT = "make it writable, or choose another folder, and run again; what was finished is kept"
_REMEDIES = {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EROFS: _NO_RIGHT,
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
}
_PREFIX = ".writing-"  # hidden: readers of Parquet folders pass over names that begin with a dot


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a name beside ``path`` to write to, and renames it to ``path`` if the block ends without an error.

    Raises OSError that names ``path`` and the remedy where the disk is full or the folder cannot be written.
    """
    path = path.absolute()  # which PyArrow takes for a path whatever its characters
    temporary = path.with_name(f"{_PREFIX}{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in _REMEDIES:
            raise OSError(error.errno, f"{error.strerror}; {_REMEDIES[error.errno]}", str(path)) from error
        raise
    finally:
        with contextlib.suppress(OSError):  # of a folder that is gone or read-only: there is nothing to remove
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a whole file in one step."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def sweep_temporaries(folder: Path) -> None:
    """Removes what writers on this machine left below ``folder`` when they were killed; live writers are spared."""
    prefix = f"{_PREFIX}{socket.gethostname()}-"
    for path in folder.rglob(f"{prefix}*"):
        pid = path.name.removeprefix(prefix).partition("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it is there
        return True
    return True
