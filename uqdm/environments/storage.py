"""The folder that holds the environments of this machine, or of machines that share it, and the lock of each."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from uqdm.paths import absolute_path
from uqdm.places import CACHE_VARIABLE, cache_folder, check_writable

VARIABLE = "UQDM_ENVIRONMENTS"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


def environments_folder() -> Path:
    """``UQDM_ENVIRONMENTS``, else ``environments`` in the cache folder; it may be absent or read-only."""
    named = os.environ.get(VARIABLE)
    return absolute_path(named, VARIABLE) if named else absolute_path(cache_folder() / "environments")


def writable_environments_folder() -> Path:
    """The folder of environments, created if needed; raises OSError with the remedy if it cannot be written."""
    folder = environments_folder()
    check_writable(folder, VARIABLE if os.environ.get(VARIABLE) else f"{VARIABLE} or {CACHE_VARIABLE}")
    return folder


def log_path(folder: Path) -> Path:
    """The log of an environment's making, beside its folder."""
    return folder.with_name(f"{folder.name}.log")


def lock_path(folder: Path) -> Path:
    """The file that is locked while an environment is made or removed, beside its folder. It is never removed."""
    return folder.with_name(f".{folder.name}.making")


@contextlib.contextmanager
def held(folder: Path, waiting: Callable[[], object], without: Callable[[], object]) -> Iterator[int]:
    """Holds the lock of an environment while the block runs; yields the descriptor of the lock's file.

    A program that inherits the descriptor holds the lock too, also after a kill of this process. ``waiting`` is called
    if another process holds it, ``without`` if the file system has no locks; the block then runs without one.
    """
    descriptor = os.open(lock_path(folder), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _acquire(descriptor, waiting, without)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, waiting: Callable[[], object], without: Callable[[], object]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        without()


def is_held(folder: Path) -> bool:
    """Whether a process makes or removes the environment now."""
    try:
        descriptor = os.open(lock_path(folder), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
