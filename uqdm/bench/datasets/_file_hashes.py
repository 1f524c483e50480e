"""SHA-256 of files, stored between calls for files that have not changed since."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from uqdm.bench.datasets._base import DataSetError
from uqdm.files import write_bytes

_SETTLED_NS = 2 * 10**9  # coarsest time stamps of a file system: they may not show a change so soon after
_THREADS = 8

_Remembered = dict[str, tuple[list[int], str]]  # by path: what identifies the content, and its hash


def file_hashes(paths: Sequence[Path], memory: Path | None = None) -> list[str]:
    """SHA-256 in hexadecimal of each file.

    ``memory`` is a file that keeps hashes for the next call. A hash is reused while size, modification time, change
    time of the inode, inode and device stay the same. No program can set the change time of an inode, so a file that
    is overwritten with its old size and modification time is detected. A memory that cannot be read or written is
    ignored.

    Raises :class:`DataSetError` that names a file that is absent, not regular, or cannot be read.
    """
    known = _read(memory)
    identities = [_identity_of(path) for path in paths]
    found = {
        path: known[str(path)][1]
        for path, identity in zip(paths, identities, strict=True)
        if str(path) in known and known[str(path)][0] == identity
    }
    now_ns = time.time_ns()
    unknown = [path for path in paths if path not in found]
    with ThreadPoolExecutor(_THREADS) as pool:
        found |= zip(unknown, pool.map(_sha256, unknown), strict=True)
    settled = {
        str(path): (identity, found[path])
        for path, identity in zip(paths, identities, strict=True)
        if max(identity[1:3]) < now_ns - _SETTLED_NS
    }
    if memory is not None and settled != known:
        with contextlib.suppress(OSError):
            write_bytes(memory, json.dumps(settled).encode())
    return [found[path] for path in paths]


def _identity_of(path: Path) -> list[int]:
    try:
        found = os.stat(path)
    except OSError as error:
        raise DataSetError(f"{path}: cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(found.st_mode):
        raise DataSetError(f"{path}: not a regular file; move it out of the data set")
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev]


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataSetError(f"{path}: cannot be read ({error.strerror})") from error


def _read(memory: Path | None) -> _Remembered:
    try:
        content = json.loads(memory.read_bytes()) if memory is not None else {}
        return {str(path): (list(identity), str(sha256)) for path, (identity, sha256) in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
