"""The orthonormal DCT of 8 x 8 blocks of three orthonormal colour channels, in order of frequency."""

from __future__ import annotations

import math

import numpy as np

BLOCK = 8
_COLOURS = np.array([[1, 1, 1], [1, 0, -1], [0.5, -1, 0.5]]) / np.sqrt(np.array([[3], [2], [1.5]]))
_CHROMA_COST = 4.5  # a frequency of chroma counts as one of luma that is higher by this sum of both indices


def block_functions(n: int) -> np.ndarray:
    """The ``n`` lowest of the 192 frequencies of a block: orthonormal functions, float64 [n, 3, 8, 8].

    >>> flat = block_functions(192).reshape(192, -1)
    >>> bool((abs(flat @ flat.T - np.eye(192)) < 1e-14).all())
    True
    """
    k = np.arange(BLOCK)
    dct = np.cos(np.pi * k[:, None] * (2 * k + 1) / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    dct[0] /= math.sqrt(2)
    order = sorted((i + j + _CHROMA_COST * (c > 0), c, i, j) for c in range(3) for i in k for j in k)
    return np.array([_COLOURS[c][:, None, None] * np.outer(dct[i], dct[j]) for _, c, i, j in order[:n]])
