"""Refuses names of files that the result files' libraries cannot open, before any work is done."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from uqdm.text import printable


def check_file_names(arguments: Iterable[str], encoding: str | None = None) -> None:
    r"""Raises ValueError if an argument, or the working directory, cannot be decoded in the encoding of file names.

    Results are Parquet files, and PyArrow opens only names that are UTF-8. Python marks each byte that it cannot read
    as text by a lone surrogate. ``encoding`` is that of file names; by default this process's.

    >>> check_file_names(["--out", "r\udcc3\udcbcn"], "ascii")
    Traceback (most recent call last):
    ...
    ValueError: r\udcc3\udcbcn: not text in ascii, the encoding of file names here; set PYTHONUTF8=1 or LC_ALL=C.UTF-8
    """
    known = encoding or sys.getfilesystemencoding()
    for name in (*arguments, _working_directory()):
        if any("\ud800" <= character <= "\udfff" for character in name):
            utf8 = known.replace("-", "").lower() == "utf8"
            remedy = "rename it" if utf8 else "set PYTHONUTF8=1 or LC_ALL=C.UTF-8"
            raise ValueError(f"{printable(name)}: not text in {known}, the encoding of file names here; {remedy}")


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""  # it was removed; absolute paths do not need it
