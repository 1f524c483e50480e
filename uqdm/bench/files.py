"""Files that are whole or not there: written under a name of their own, then renamed."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

_PREFIX = ".writing-"  # hidden: readers of Parquet folders pass over names that begin with a dot


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a name beside ``path`` to write to, and renames it to ``path`` if the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{_PREFIX}{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
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
