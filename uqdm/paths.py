"""Paths as users write them: checked, ``~`` expanded, and one spelling for one place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path


def expand_path(text: str | os.PathLike[str], name: str = "") -> Path:
    """A path with a leading ``~`` or ``~USER`` expanded; a folder that is really named so is written ``./~``.

    Raises ValueError, which begins with ``name``, for an empty path (an unset variable of a shell, say), for a home
    folder that is not known, and for what no file system takes.

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
        raise ValueError(f"{about}{written!r} holds a NUL character, which no path may")
    expanded = os.path.expanduser(written)
    if written.startswith("~") and expanded == written:
        user = written.partition("/")[0]
        raise ValueError(f"{about}the home folder {user} is not known here; write ./{user} for a folder of that name")
    path = Path(expanded)
    # Libraries would read such a relative path as a home folder or as an address (s3:...).
    return path.absolute() if path.parts and (path.parts[0].startswith("~") or ":" in path.parts[0]) else path


def absolute_path(text: str | os.PathLike[str], name: str = "") -> Path:
    """The same place from any working directory, in one spelling; ``..`` is followed through links.

    Raises ValueError as :func:`expand_path` does.

    >>> absolute_path("/data/./images//") == absolute_path("/data/images")
    True
    """
    path = expand_path(text, name)
    return Path(os.path.realpath(path)) if ".." in path.parts else path.absolute()


def absolute_text(text: str) -> str:
    """A path as :func:`absolute_path` has it, as text; what is empty stays so. For parameters of codecs."""
    return str(absolute_path(text)) if text else text


def split_path(argument: str) -> tuple[str, str]:
    """A path, and what follows the ``#`` after it (empty without one). Names with ``#`` are told by what is there.

    The longest beginning that exists is the path; where none does, all before the last ``#`` is. Nothing is expanded,
    and the path may be empty, where something follows.

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
    """Raises ValueError unless each name of the configuration's section ``runs`` can be that of a run's folder.

    >>> check_run_names(["demo", "kodak-2.1"])
    """
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"runs: {name!r} is no text; write the name of the run in quotes")
        if name.startswith("paper_") or name == "channel_cost":
            raise ValueError(f"runs: {name!r}: the workflow has a run of that name; choose another")
        if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ValueError(
                f"runs: {name!r}: the name of a run is that of its folder: letters, digits, '.', '_' and '-', with a "
                "letter or digit first"
            )
