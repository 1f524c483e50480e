"""The hash of a picture's pixels, which identifies it."""

from __future__ import annotations

import hashlib

import numpy as np


def picture_sha256(image_uint8: np.ndarray) -> str:
    """SHA-256 in hexadecimal of a picture, uint8 [H, W, 3].

    Hashed are height and width as little-endian 32-bit integers, then the pixels row by row, RGB.

    >>> picture_sha256(np.zeros((2, 3, 3), np.uint8))[:16]
    '0ad243e60754f5a7'
    """
    digest = hashlib.sha256(np.array(image_uint8.shape[:2], "<u4").tobytes())
    digest.update(np.ascontiguousarray(image_uint8).data)
    return digest.hexdigest()
