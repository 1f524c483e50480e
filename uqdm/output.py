"""Checks of output paths: existing files of the user are not replaced by mistake."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from uqdm.images import file_format

STANDARD = Path("-")
"""Stands for standard input or output in place of a file."""
_HEAD = 64  # bytes that identify the format of a file


class OutputError(ValueError):
    """A file is not written, because data would be lost. The message names it and the remedy."""


def is_json_object(head: bytes) -> bool:
    """Whether a file begins like a JSON object."""
    return head.lstrip()[:1] == b"{"


def is_html(head: bytes) -> bool:
    """Whether a file begins like an HTML page."""
    return head.lstrip()[:9].lower() == b"<!doctype"


def is_text(head: bytes) -> bool:
    """Whether a file begins with text, like a log."""
    return not set(head) & set(range(9))


def nothing(head: bytes) -> bool:
    """Accepts no file as an earlier output: all existing files are kept."""
    return False


def check_output(
    path: Path, ours: Callable[[bytes], bool] = nothing, inputs: Sequence[Path] = (), *, force: bool | None = False
) -> None:
    """Raises :class:`OutputError` if writing to ``path`` would lose data that the command did not write.

    ``ours`` decides from the first 64 bytes of a file whether it is an earlier output that may be replaced. The inputs
    themselves, pictures and all other files are refused, under any spelling of their path; so are block devices.
    ``force`` allows all of these; None if the command has no such option. Folders, sockets and read-only files are
    always refused. Call it before anything else is done; the write itself is :func:`uqdm.files.replacing`.
    """
    if path == STANDARD:
        _check_no_terminal()
        return
    found = _found(path)
    if found is None:
        return
    if stat.S_ISDIR(found.st_mode):
        raise OutputError(f"{path}: a folder; name a file in it")
    if stat.S_ISSOCK(found.st_mode):
        raise OutputError(f"{path}: a socket; name a file, a device or a FIFO")
    if not os.access(path, os.W_OK):
        raise OutputError(f"{path}: it may not be written ({stat.filemode(found.st_mode)}); name another file")
    if not force and (reason := _loss(path, found, ours, inputs)):
        or_force = "" if force is None else ", or write over it with --force"
        raise OutputError(f"{path}: {reason}; name another file{or_force}")


def is_stream(path: Path) -> bool:
    """Whether a path is standard output, a device or a FIFO, whose name does not imply a format."""
    found = None if path == STANDARD else _found(path)
    return path == STANDARD or (found is not None and not stat.S_ISREG(found.st_mode))


def _found(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise OutputError(f"{path}: part of the path is not a folder; choose another one") from error
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}; choose another name") from error


def _loss(path: Path, found: os.stat_result, ours: Callable[[bytes], bool], inputs: Sequence[Path]) -> str:
    """What would be lost; empty if nothing."""
    if stat.S_ISBLK(found.st_mode):
        return "a block device; a disk or a part of it would be overwritten"
    if not stat.S_ISREG(found.st_mode):
        return ""
    if any(_same(one, found) for one in inputs):
        return "it is the input itself"
    if found.st_size == 0:
        return ""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if kind := file_format(head):
        return f"it exists already, and is a picture ({kind})"
    return "" if ours(head) else "it exists already, and is not an earlier output of this command"


def _same(one: Path, found: os.stat_result) -> bool:
    if one == STANDARD:
        return False
    try:
        return os.path.samestat(one.stat(), found)
    except OSError:
        return False


def _check_no_terminal() -> None:
    if sys.stdout.isatty():
        raise OutputError("-: standard output is a terminal; send it to a file or a program")
