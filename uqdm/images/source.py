"""The bytes of an image file: regular files only, with a limited size."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from uqdm.images.errors import RefusedError

_METADATA_BYTES = 2**26
_BYTES_PER_PIXEL = 8  # four channels of 16 bits: such a file is refused with its depth as the reason
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read_source(path: Path, max_pixels: int) -> bytes:
    """The bytes of a regular file.

    Raises RefusedError for anything else (it is not opened, so nothing blocks), and for a file of more than 64 MiB
    and 8 bytes for each of ``max_pixels``; OSError if it cannot be read.
    """
    _check_regular(path.stat().st_mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        _check_regular(found.st_mode)  # it may have been replaced
        check_length(found.st_size, max_pixels)
        return file.read(found.st_size + 1)


def check_length(n_bytes: int, max_pixels: int) -> None:
    """Raises RefusedError for more bytes than an image of ``max_pixels`` needs."""
    most = longest(max_pixels)
    if n_bytes > most:
        raise RefusedError(f"a file of more than {most} bytes, which {max_pixels} pixels and their metadata may take")


def longest(max_pixels: int) -> int:
    """The greatest number of bytes of a file with so many pixels."""
    return _METADATA_BYTES + _BYTES_PER_PIXEL * max_pixels


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), "a special file")
        raise RefusedError(f"not a file ({kind}); only regular files are read as images")
