"""Files that commands read and write by the names that users give; ``-`` is standard input or output."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import typer

from uqdm.cli.about import about
from uqdm.output import STANDARD
from uqdm.text import printable

if TYPE_CHECKING:
    import numpy as np

    from uqdm.images.write import WrittenFormat

_BLOCK = 1 << 20
_HEAD = 64  # bytes that identify the format of a file


def read_picture(path: Path) -> np.ndarray:
    """The pixels of an image file, or of standard input; raises :class:`uqdm.images.ImageError`.

    Prints a note on standard error where they differ from the picture in the file.
    """
    from uqdm.images import changes_text, longest_file, read_with_changes

    if path == STANDARD:
        pixels, changes = read_with_changes(_standard_input().read(longest_file() + 1), name="standard input")
    else:
        _check_file(path)
        pixels, changes = read_with_changes(path)
    if changes:
        kept = "the coded file is exact for these pixels, not for the image file"
        typer.echo(f"note: {shown(path)}: {changes_text(changes)}; {kept}", err=True)
    return pixels


def read_coded(path: Path, n_bytes: int | None = None) -> bytes:
    """The bytes of a coded file, or of standard input, at most ``n_bytes``.

    Of other files only the beginning is read, whatever their length.
    """
    from uqdm.coding.container import is_coded_file

    with opened(path) as file:
        head = file.read(_HEAD if n_bytes is None else min(_HEAD, n_bytes))
        if not is_coded_file(head):
            return head
        return head + file.read(-1 if n_bytes is None else n_bytes - len(head))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A coded file, or standard input, opened for reading: a regular file, of which no more is read than is asked."""
    if path == STANDARD:
        yield _standard_input()
        return
    _check_file(path)
    with path.open("rb") as file:
        yield file


def bytes_left(file: BinaryIO) -> int:
    """Number of bytes from the current position to the end; content of a pipe is read and dropped for it.

    >>> import io
    >>> bytes_left(io.BytesIO(b"12345"))
    5
    """
    if file.seekable():
        begin = file.tell()
        return file.seek(0, os.SEEK_END) - begin
    return sum(map(len, iter(lambda: file.read(_BLOCK), b"")))


def write_output(path: Path, data: bytes) -> None:
    """Writes to a file, device or FIFO, or to standard output."""
    from uqdm.files import write_bytes

    if path != STANDARD:
        write_bytes(path, data)
        return
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: standard output accepts no more; send it elsewhere") from error


def picture_format(path: Path) -> WrittenFormat:
    """The format of a picture to write, by the suffix; PNG for a device, FIFO or standard output without one.

    Raises ValueError, which names the path, for a suffix of no known format.
    """
    from uqdm.images.write import FORMAT_BY_SUFFIX, PNG, written_format
    from uqdm.output import is_stream

    if is_stream(path) and path.suffix.lower() not in FORMAT_BY_SUFFIX:
        return PNG
    with about(path):
        return written_format(path.suffix)


def say(path: Path, text: str, *, to: Path | None = None) -> None:
    """Prints ``PATH: TEXT``, on standard error if the file ``to`` is standard output."""
    typer.echo(f"{shown(path)}: {text}", err=to == STANDARD)


def shown(path: Path) -> str:
    """A path in a message, with escapes for control characters."""
    return "standard input or output" if path == STANDARD else printable(str(path))


def _standard_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.isatty():
        raise ValueError("-: standard input is a terminal; send a file to it")
    return sys.stdin.buffer


def _check_file(path: Path) -> None:
    """Raises ValueError for anything but a regular file, which is not opened, so nothing blocks."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise ValueError(f"{path}: a folder; name a file in it")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path}: not a file (a device, FIFO or socket); send its content to standard input, as -")
