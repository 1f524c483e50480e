"""EXIF orientation, and nothing else of EXIF. Odd or damaged EXIF means orientation 1."""

from __future__ import annotations

import struct

import numpy as np

_ORIENTATION = 0x0112
_SHORT = 3
_LONG = 4


def orientation_of(exif: bytes) -> int:
    """The orientation, 1 to 8, of an EXIF block (a TIFF header and its first folder); 1 if there is none.

    >>> orientation_of(b"II*\\0\\x08\\0\\0\\0" + struct.pack("<HHHIHH", 1, 0x0112, 3, 1, 6, 0))
    6
    """
    exif = exif.removeprefix(b"Exif\0\0")
    try:
        order = {b"II*\0": "<", b"MM\0*": ">"}[exif[:4]]
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, n = struct.unpack_from(f"{order}HHI", exif, place)
            if tag == _ORIENTATION and n == 1 and kind in (_SHORT, _LONG):
                (value,) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", exif, place + 8)
                return value if 1 <= value <= 8 else 1
    except (struct.error, KeyError):
        return 1
    return 1


def turned(rgb_uint8: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels [H, W, 3] in their displayed orientation, contiguous."""
    image = rgb_uint8.swapaxes(0, 1) if orientation >= 5 else rgb_uint8
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
