"""The environments that are stored, complete or not."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from uqdm.environments.contract import EnvironmentMakeError
from uqdm.environments.stamp import STAMP, Stamp, read_stamp
from uqdm.environments.storage import environments_folder, held, is_held, lock_path, log_path

COMPLETE = "complete"
INCOMPLETE = "incomplete"
BEING_MADE = "being made"


@dataclass(frozen=True)
class StoredEnvironment:
    """An environment in the folder of environments. ``stamp`` is None if it is not complete."""

    folder: Path
    state: str
    size_bytes: int
    """Of all files; those with several names count once."""
    stamp: Stamp | None

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name


def stored_environments() -> list[StoredEnvironment]:
    """The environments in the folder of environments, by name; other folders in it are left out."""
    return [_stored(folder) for folder in _folders()]


def stored_names() -> list[str]:
    """The names of their folders, sorted."""
    return [folder.name for folder in _folders()]


def remove(name: str) -> Path:
    """Removes an environment and its log, and returns the folder that it was in.

    Raises LookupError for an unknown name, and :class:`EnvironmentMakeError` if a process makes it now.
    """
    folder = environments_folder() / name
    if folder not in _folders():
        known = ", ".join(stored_names()) or "none"
        raise LookupError(f"no environment {name!r} in {folder.parent}; there are: {known}")
    if is_held(folder):
        raise EnvironmentMakeError(f"environment {name}: a process makes it now; end that one first")
    with held(folder, lambda: None, lambda: None):
        (folder / STAMP).unlink(missing_ok=True)  # first: what is half removed does not count as made
        shutil.rmtree(folder)
        log_path(folder).unlink(missing_ok=True)
    return folder


def _folders() -> list[Path]:
    """Folders with a lock beside them or a stamp in them: a user's folder may hold others too."""
    parent = environments_folder()
    found = sorted(parent.iterdir()) if parent.is_dir() else []
    folders = [path for path in found if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")]
    return [path for path in folders if lock_path(path).exists() or (path / STAMP).exists()]


def _stored(folder: Path) -> StoredEnvironment:
    stamp = read_stamp(folder)
    state = COMPLETE if stamp is not None else BEING_MADE if is_held(folder) else INCOMPLETE
    return StoredEnvironment(folder, state, _size(folder), stamp)


def _size(folder: Path) -> int:
    sizes = {(found.st_dev, found.st_ino): found.st_size for found in _files(folder)}
    return sum(sizes.values())


def _files(folder: Path) -> Iterator[os.stat_result]:
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # it may be made or removed now
                yield os.lstat(os.path.join(place, name))
