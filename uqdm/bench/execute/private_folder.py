"""A private folder for the length of a session: a short path, mode 0700, gone at the end.

Ray keeps Unix sockets in its folder, and the system limits the length of their paths to about a hundred bytes: with a
long ``TMPDIR`` the folder is in ``/tmp``. The next session of the same user removes folders of killed processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

_PREFIX = "uqdm"
_MAKING = ".uqdm"
_SOCKET_BYTES = 107 if sys.platform == "linux" else 103  # of the longest path of a Unix socket
_BELOW = "/r/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store"  # Ray's longest, below ours
_NAME = f"/{_PREFIX}12345678"
MAX_PARENT_BYTES = _SOCKET_BYTES - len(_BELOW) - len(_NAME)
"""Longest path in which a private folder has room for Ray's sockets."""


class NoFolderError(OSError):
    """No folder on this machine is suitable. The message says which were tried, why not, and what to set."""


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder that only this user can enter, removed at the end.

    It is in the first of ``TMPDIR``, ``/tmp``, ``/var/tmp``, ``XDG_RUNTIME_DIR`` and ``/dev/shm`` that is writable,
    supports Unix sockets and has a path of at most :data:`MAX_PARENT_BYTES` bytes. Raises :class:`NoFolderError` where
    there is none.

    >>> with private_folder() as folder:
    ...     oct(folder.stat().st_mode & 0o777)
    '0o700'
    >>> folder.exists()
    False
    """
    folder, lock = _make(_candidates())
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _candidates() -> list[str]:
    named = [os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")]
    usual = ["/tmp", "/var/tmp", os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"]
    return list(dict.fromkeys(path for path in [*named, *usual] if path))


def _make(candidates: Sequence[str]) -> tuple[Path, int]:
    """The folder, and a descriptor that holds its lock while this process lives."""
    refused = []
    for parent in candidates:
        path = os.path.abspath(parent)
        if len(os.fsencode(path)) > MAX_PARENT_BYTES:
            refused.append(f"{parent} (longer than {MAX_PARENT_BYTES} bytes)")
            continue
        try:
            _sweep(Path(path))
            return _make_in(Path(path))
        except OSError as error:
            refused.append(f"{parent} ({error.strerror or error})")
    raise NoFolderError(
        f"no folder for the sockets of Ray: tried {', '.join(refused)}; set TMPDIR to a folder that you can write, "
        f"on a disk of this machine, with a path of at most {MAX_PARENT_BYTES} bytes"
    )


def _make_in(parent: Path) -> tuple[Path, int]:
    """Locked under a hidden name first: a folder of the final name without a lock belongs to a process that ended."""
    making = Path(tempfile.mkdtemp(prefix=_MAKING, dir=parent))
    try:
        lock = os.open(making, os.O_RDONLY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # a file system without locks: then no session removes it
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _try_socket(making)
        folder = parent / f"{_PREFIX}{making.name.removeprefix(_MAKING)}"
        making.rename(folder)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    return folder, lock


def _try_socket(folder: Path) -> None:
    path = folder / "socket"
    with socket.socket(socket.AF_UNIX) as probe:
        probe.bind(str(path))
    path.unlink()


def _sweep(parent: Path) -> None:
    """Removes folders of this user's sessions whose processes have ended."""
    for folder in parent.glob(f"{_PREFIX}" + "[a-z0-9_]" * 8):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            if found.st_uid == os.geteuid() and (folder / "token").is_file() and _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
