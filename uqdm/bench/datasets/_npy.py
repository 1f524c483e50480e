"""Reads the headers of NumPy arrays in archives. Nothing is unpickled, and only the header is read."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)
"""Exceptions of zipfile and NumPy for files that are absent, damaged, encrypted, no archives, or of unknown format."""


def check_archive(path: Path) -> None:
    """Raises ValueError with the remedy for a file that is no archive; OSError if it cannot be read.

    Anything but a regular file is not opened, so nothing blocks.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a file; name an archive that numpy.savez wrote")
    with path.open("rb") as file:
        head = file.read(len(np.lib.format.MAGIC_PREFIX))
    if head == np.lib.format.MAGIC_PREFIX:
        raise ValueError(
            "a single array (.npy) and no archive of arrays (.npz); make one: "
            f"numpy.savez({path.stem + '.npz'!r}, images=numpy.load({path.name!r}))"
        )
    if not zipfile.is_zipfile(path):
        raise ValueError("no archive of arrays (.npz), or cut short; make one with numpy.savez")


def read_header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array in C order that ``member`` holds; its data follows in the stream.

    Raises ValueError if it holds no such array.
    """
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read(member)
    if fortran_order:
        raise ValueError("the array is in Fortran order; save numpy.ascontiguousarray of it")
    return shape, dtype


def read_exactly(member: IO[bytes], n_bytes: int) -> bytes:
    """The next ``n_bytes`` of a stream; raises ValueError if there are fewer."""
    data = member.read(n_bytes)
    if len(data) < n_bytes:
        raise ValueError(f"cut short: {len(data)} of {n_bytes} bytes of pixels")
    return data
