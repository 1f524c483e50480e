"""Writing files: regular files are complete or absent; links are followed; devices and FIFOs are written to."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_NO_ROOM = "finished work is kept: free some space, or move the folder to a larger disk, and run again"
_NO_RIGHT = "make it writable, or choose another folder, and run again; finished work is kept"
_NO_FOLDER = "part of the path is not a folder; choose another one"
_REMEDIES = {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EROFS: _NO_RIGHT,
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.ENOTDIR: _NO_FOLDER,
    errno.EEXIST: _NO_FOLDER,
    errno.EISDIR: "it is a folder; name a file in it",
    errno.ELOOP: "its links lead in a circle; remove them, or choose another name",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EFBIG: "the disk or a limit (ulimit -f) does not allow a file of this size; choose another folder",
}
_PREFIX = ".writing-"  # hidden: readers of Parquet folders ignore names that begin with a dot
_NAME_BYTES = 60  # of the file's name in the temporary one, so that its length stays within the limit
_READER_SECONDS = 60.0
_AT_ONCE = 2**20


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a name to write a file to, and renames it to ``path`` if the block ends without an error.

    A regular file, or none, is replaced in one step, and keeps its mode and owner. A link stays, and its target
    is replaced or created. A device or FIFO is written to; a FIFO waits up to a minute for its reader. Raises OSError
    with ``path`` and the remedy if it cannot be written, for instance on a full disk, or is a folder or a socket.
    """
    with _named_errors(path):
        target = _target(path)
        if _is_stream(target):
            with tempfile.TemporaryDirectory(prefix="uqdm-") as folder:
                temporary = Path(folder, "output" + path.suffix)
                yield temporary
                _copy(temporary, target)
            return
        with _beside(target) as temporary:
            yield temporary
            _keep_mode(temporary, target)
            os.replace(temporary, target)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a whole file in one step; see :func:`replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def sweep_temporaries(folder: Path) -> None:
    """Removes files that killed writers on this machine left below ``folder``, but none of live writers."""
    prefix = f"{_PREFIX}{socket.gethostname()}-"
    for path in folder.rglob(f"{prefix}*"):
        pid = path.name.removeprefix(prefix).partition("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _REMEDIES:
            raise OSError(error.errno, f"{error.strerror}; {_REMEDIES[error.errno]}", str(path)) from error
        raise


def _target(path: Path) -> Path:
    """The target of a path; creates the folder of a file that does not exist yet."""
    path = path.absolute()  # PyArrow always takes an absolute name as a path
    if path.is_symlink():
        path = Path(os.path.realpath(path))
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _is_stream(target: Path) -> bool:
    """Whether it is written to instead of replaced; raises OSError if neither is possible."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if stat.S_ISSOCK(mode):
        raise OSError(errno.ENXIO, "it is a socket; name a file, a device or a FIFO", str(target))
    return not stat.S_ISREG(mode)


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    name = os.fsdecode(os.fsencode(target.name)[-_NAME_BYTES:])
    own = f"{_PREFIX}{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}-{name}"
    temporary = target.with_name(own)
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):  # the folder is gone or read-only: there is nothing to remove
            temporary.unlink(missing_ok=True)


def _keep_mode(temporary: Path, target: Path) -> None:
    """Gives a new file the owner and the mode of the one that it replaces, as far as this user is allowed to."""
    try:
        before = target.stat()
    except FileNotFoundError:
        return
    now = temporary.stat()
    if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        with contextlib.suppress(OSError):
            os.chown(temporary, before.st_uid, before.st_gid)
    temporary.chmod(stat.S_IMODE(before.st_mode) & 0o777)


def _copy(source: Path, stream: Path) -> None:
    """Writes a file into a device or FIFO."""
    descriptor = _opened(stream)
    os.set_blocking(descriptor, True)
    try:
        with source.open("rb") as file, open(descriptor, "wb") as sink:
            shutil.copyfileobj(file, sink, _AT_ONCE)
    except BrokenPipeError as error:
        raise OSError(errno.EIO, "its reader ended before everything was written", str(stream)) from error


def _opened(stream: Path) -> int:
    deadline = time.monotonic() + _READER_SECONDS
    while True:
        try:
            return os.open(stream, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > deadline:
                reason = f"no process read it for {_READER_SECONDS:.0f} s; start the reader and run again"
                raise OSError(errno.ENXIO, reason, str(stream)) from error
            time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's, so it exists
        return True
    return True
