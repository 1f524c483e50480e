"""Paths on the command line: empty ones are refused and ``~`` is expanded, in every command."""

from __future__ import annotations

import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from uqdm.paths import expand_path


def with_user_paths(command: Callable[..., Any]) -> Callable[..., Any]:
    """Applies :func:`expand_path` to each path among the arguments and options of a command's function.

    ``--out=~/run``, which no shell expands, and ``--out ~/run`` then mean one folder, and ``--out ""`` is an error. The
    function's conditions on its paths (``exists``, ``file_okay``, ``dir_okay``) are checked as usual.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    for hint in hints.values():
        inner, *infos = typing.get_args(hint) if typing.get_origin(hint) is typing.Annotated else (hint,)
        if inner is Path or Path in typing.get_args(inner) or list[Path] in typing.get_args(inner):
            for info in infos:
                info.parser = _parser(info.exists, info.file_okay, info.dir_okay)
    command.__annotations__ = hints
    return command


def _parser(exists: bool, file_okay: bool, dir_okay: bool) -> Callable[[Any], Path]:
    kind = "path" if file_okay and dir_okay else "file" if file_okay else "directory"

    def parse(written: Any) -> Path:
        try:
            path = expand_path(written)
            found = path.exists()
        except (ValueError, OSError) as error:  # an OSError of a name that is too long
            raise typer.BadParameter(str(error)) from error
        if exists and not found:
            raise typer.BadParameter(f"there is no {kind} {str(path)!r}")
        if found and not dir_okay and path.is_dir():
            raise typer.BadParameter(f"{str(path)!r} is a directory, not a file")
        if found and not file_okay and not path.is_dir():
            raise typer.BadParameter(f"{str(path)!r} is a file, not a directory")
        return path

    parse.__name__ = kind  # its name in help texts
    return parse
