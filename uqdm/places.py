"""Where files are kept between runs, on machines with and without a home."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from uqdm.paths import expand_path

CACHE_VARIABLE = "UQDM_CACHE"


def cache_folder() -> Path:
    """``UQDM_CACHE``, else :func:`home_cache_folder`; it may be absent or read-only."""
    named = os.environ.get(CACHE_VARIABLE)
    return expand_path(named, CACHE_VARIABLE) if named else home_cache_folder()


def home_cache_folder() -> Path:
    """``~/.cache/uqdm``; it may be absent or read-only.

    A user without a home (for instance a numeric user in a container) has a private folder among the temporary files.
    """
    try:
        return Path.home() / ".cache" / "uqdm"
    except RuntimeError:  # neither HOME nor an entry in the list of users
        return private_temporary_folder()


def writable_cache_folder(name: str) -> Path:
    """The folder ``name`` in the cache, created if needed; raises OSError with the remedy if it cannot be written."""
    folder = cache_folder() / name
    check_writable(folder, CACHE_VARIABLE)
    return folder


def check_writable(folder: Path, variable: str) -> None:
    """Creates a folder if needed; raises OSError, which names the variable to set, if no file can be written in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(f"{folder}: cannot be written ({reason}); set {variable} to a folder that can") from error


def private_temporary_folder() -> Path:
    """This user's permanent folder among the temporary files, created with mode 0700.

    Raises OSError if another user has created one of that name.
    """
    folder = Path(tempfile.gettempdir()) / f"uqdm-of-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or folder.is_symlink():
        raise OSError(f"{folder}: not a private folder of this user; remove it, or set TMPDIR to another place")
    return folder
