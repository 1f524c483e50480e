"""Which files of a folder are images: the same for evaluation and training."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def image_names(root: Path) -> list[str]:
    """Paths of the files below ``root``, relative to it with forward slashes, in order of their characters.

    Files and folders whose name begins with a dot are skipped, links are followed. Everything else must be an image;
    that is checked when it is read. Raises ValueError for a folder that cannot be listed, a loop of links, and a
    name that is not UTF-8.
    """
    names = sorted(path.relative_to(root).as_posix() for path in files_below(root))
    for name in names:
        _check_name(name, root)
    return names


def files_below(root: Path, *, hidden: bool = False) -> Iterator[Path]:
    """The files in a folder and its subfolders, unordered; names that begin with a dot only if ``hidden``.

    Links are followed. Raises ValueError for a folder that cannot be listed, and for a loop of links.
    """

    def fail(error: OSError) -> None:
        raise ValueError(f"cannot list {error.filename}: {error.strerror}")

    for parent, folders, files in os.walk(root, followlinks=True, onerror=fail):
        _check_no_loop(Path(parent), root)
        folders[:] = [name for name in folders if hidden or not name.startswith(".")]
        yield from (Path(parent, name) for name in files if hidden or not name.startswith("."))


def _check_no_loop(folder: Path, root: Path) -> None:
    for above in folder.parents:
        if not above.is_relative_to(root):
            return
        if folder.samefile(above):
            raise ValueError(f"{folder} is a link to a folder that holds it ({above}); remove the link")


def _check_name(name: str, root: Path) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{root}: the file name {name!r} is not valid UTF-8; rename it") from error
