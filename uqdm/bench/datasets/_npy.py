"""Reads the headers of NumPy arrays in archives. Nothing is unpickled, and no data is read for a header's sake."""

from __future__ import annotations

import zipfile
import zlib
from typing import IO

import numpy as np

UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)
"""What zipfile and NumPy raise on files that are missing, damaged, encrypted, packed in unknown ways, not archives."""


def read_header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array in C order that ``member`` holds; its data follows in the stream.

    Raises ValueError for what is not such an array.
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
