"""What names a picture: a hash of its pixels."""

from __future__ import annotations

import hashlib

import numpy as np


def picture_sha256(image_uint8: np.ndarray) -> str:
    """SHA-256 in hexadecimal of a picture, uint8 [H, W, 3]: two are equal exactly if this is.

    What is hashed: height and width as little-endian 32-bit integers, then the pixels in rows, RGB.

    >>> picture_sha256(np.zeros((2, 3, 3), np.uint8))[:16]
    '0ad243e60754f5a7'
    """
    digest = hashlib.sha256(np.array(image_uint8.shape[:2], "<u4").tobytes())
    digest.update(np.ascontiguousarray(image_uint8).data)
    return digest.hexdigest()
