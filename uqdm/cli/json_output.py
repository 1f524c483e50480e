"""JSON on standard output: valid for every reader, and without what identifies the user where that is asked for."""

from __future__ import annotations

import contextlib
import getpass
import json
import math
import os
import pwd
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_NO_HOMES = ("", "/", "/nonexistent")  # of users without one


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Prints a value as :func:`plain` gives it."""
    typer.echo(json.dumps(plain(value), indent=indent, allow_nan=False))


def plain(value: Any) -> Any:
    """A value of dictionaries, lists, text and numbers alone; figures that are not finite are None, as JSON has none.

    Scalars of numpy are numbers, paths are text, and tuples, sets of values and arrays are lists.

    >>> from pathlib import Path
    >>> plain({"bpp": float("nan"), "path": Path("a/b"), 3: (1, float("inf"))})
    {'bpp': None, 'path': 'a/b', '3': [1, None]}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if hasattr(value, "tolist"):  # numpy
        return plain(value.tolist())
    return str(value)


def json_rows(frame: pd.DataFrame, schema: pa.Schema | None = None) -> list[dict[str, Any]]:
    """The rows of a data frame as objects; nulls are None, and integers of ``schema`` stay integers beside them."""
    import pandas as pd
    import pyarrow as pa

    whole = [field.name for field in schema or () if pa.types.is_integer(field.type) and field.name in frame]
    typed = frame.astype({name: pd.Int64Dtype() for name in whole})
    rows = typed.astype(object).to_dict("records")
    return [{str(name): None if value is pd.NA else plain(value) for name, value in row.items()} for row in rows]


def without_user(value: Any) -> Any:
    """The same value, in whose texts the home folder is ``~``, and the user's name in paths is ``USER``."""
    return _in_texts(value, _hide_user)


def _in_texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _in_texts(one, change) for name, one in value.items()}
    return [_in_texts(one, change) for one in value] if isinstance(value, list) else value


def _hide_user(text: str) -> str:
    for home in sorted(_homes(), key=len, reverse=True):
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    for name in _user_names():
        word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")
        text = re.sub(r"\S*/\S*", lambda path, word=word: word.sub("USER", path[0]), text)  # type: ignore[misc]
    return text


def _homes() -> set[str]:
    """The home folder as the environment names it and as the list of users does, also with its links resolved."""
    named = {os.path.expanduser("~"), os.environ.get("HOME", "").rstrip("/")}
    with contextlib.suppress(KeyError):  # a numeric user without an entry
        named.add(pwd.getpwuid(os.getuid()).pw_dir)
    return {path for one in named for path in (one, os.path.realpath(one)) if one not in _NO_HOMES and path != "~"}


def _user_names() -> set[str]:
    named = {os.environ.get(variable, "") for variable in ("USER", "LOGNAME")}
    with contextlib.suppress(ImportError, KeyError, OSError):  # a numeric user without a name
        named.add(getpass.getuser())
    return named - {""}
