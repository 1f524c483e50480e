"""Paths as users write them: checked, ``~`` expanded, and one canonical spelling."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path


def expand_path(text: str | os.PathLike[str], name: str = "") -> Path:
    """A path with a leading ``~`` or ``~USER`` expanded; a folder with such a name is written ``./~``.

    Raises ValueError, which begins with ``name``, for an empty path (for instance from an unset shell variable), for an
    unknown home folder, and for a path that no file system allows.

    >>> expand_path("results/demo")
    PosixPath('results/demo')
    >>> expand_path("", "--out")
    Traceback (most recent call last):
    ...
    ValueError: --out: the path is empty; is a variable not set? The working directory is written as .
    """
    written = os.fspath(text)
    about = f"{name}: " if name else ""
    if not written.strip():
        raise ValueError(f"{about}the path is empty; is a variable not set? The working directory is written as .")
    if "\0" in written:
        raise ValueError(f"{about}{written!r} contains a NUL character, which no path allows")
    expanded = os.path.expanduser(written)
    if written.startswith("~") and expanded == written:
        user = written.partition("/")[0]
        raise ValueError(f"{about}the home folder {user} is not known here; write ./{user} for a folder of that name")
    path = Path(expanded)
    # Libraries would read such a relative path as a home folder or as an address (s3:...).
    return path.absolute() if path.parts and (path.parts[0].startswith("~") or ":" in path.parts[0]) else path


def absolute_path(text: str | os.PathLike[str], name: str = "") -> Path:
    """The absolute path in its canonical spelling; ``..`` is followed through links.

    Raises ValueError as :func:`expand_path` does.

    >>> absolute_path("/data/./images//") == absolute_path("/data/images")
    True
    """
    path = expand_path(text, name)
    return Path(os.path.realpath(path)) if ".." in path.parts else path.absolute()


def absolute_text(text: str) -> str:
    """The text of :func:`absolute_path`; an empty path stays empty. For parameters of codecs."""
    return str(absolute_path(text)) if text else text


def split_path(argument: str) -> tuple[str, str]:
    """A path, and the key after its ``#`` (empty without one). Names that contain ``#`` are found by existing files.

    The path is the longest beginning that exists; if none exists, everything before the last ``#``. Nothing is
    expanded, and the path may be empty if a key follows.

    >>> split_path("images.npz#test")
    ('images.npz', 'test')
    >>> split_path("#train")
    ('', 'train')
    """
    places = [place for place, letter in enumerate(argument) if letter == "#"]
    for place in [len(argument), *reversed(places)]:
        if argument[:place] and os.path.exists(os.path.expanduser(argument[:place])):
            return argument[:place], argument[place + 1 :]
    path, mark, rest = ("", "#", argument[1:]) if argument.startswith("#") else argument.rpartition("#")
    return (path, rest) if mark else (argument, "")


def check_run_names(names: Iterable[object]) -> None:
    """Raises ValueError unless each name of the configuration's section ``runs`` can be the name of a run's folder.

    >>> check_run_names(["demo", "kodak-2.1"])
    """
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"runs: {name!r} is not text; write the name of the run in quotes")
        if name.startswith("paper_") or name in ("channel_cost", "environments"):
            raise ValueError(f"runs: {name!r}: the workflow itself uses that name; choose another")
        if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ValueError(
                f"runs: {name!r}: the name of a run is that of its folder: letters, digits, '.', '_' and '-', with a "
                "letter or digit first"
            )
