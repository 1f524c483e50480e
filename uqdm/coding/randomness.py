"""Randomness that encoder and decoder share, the same on every machine and device.

The generator is counter-based (Philox 4x64-10; Salmon et al. 2011) and keyed by the seed. All arithmetic is in
integers, except for the table of normal quantiles. The table is rounded so coarsely that differences between math
libraries do not change it, and its digest is checked.
"""

from __future__ import annotations

import functools
import hashlib
from statistics import NormalDist

import numpy as np

from uqdm.errors import UserError

DITHER_LEVELS = 256
"""The dither of a coordinate is u = (2 j + 1) / 512 - 1/2 with j uniform in 0..255."""
START_BITS = 12
"""z_T is a multiple of 2^-12."""
_QUANTILES = 1 << 16
_BLOCK_VALUES = 16  # quantiles of one output of the generator, four words of 64 bits
_CODEBOOK = 1  # in the third place of the counter, which is 0 for the other streams
_QUANTILES_SHA256 = "65adb44855f8b71385141d120e46bcbbe7ab553ca422fa6c389f204db6da226b"


def dither(seed: int, stage: int, tile: int, size: int) -> np.ndarray:
    """Dither indices j of one step and tile: int64 [size], uniform in 0..255.

    ``stage`` counts the steps from 1; ``tile`` is the tile's position in its image.

    >>> dither(seed=0, stage=1, tile=0, size=4).tolist() == dither(0, 1, 0, 8)[:4].tolist()
    True
    """
    return np.frombuffer(_raw(seed, stage, tile, -(-size // 8)), np.uint8)[:size].astype(np.int64)


def start(seed: int, size: int) -> np.ndarray:
    """Latents z_T of a tile in multiples of 2^-12: int64 [size], standard normal in steps of 2^-16 quantiles.

    It is the same for all tiles and images of a seed, so that the network's output for it can be cached.
    """
    return _normal_quantiles()[np.frombuffer(_raw(seed, 0, 0, -(-size // 4)), "<u2")[:size]]


def codewords(seed: int, stage: int, first: int, count: int, size: int) -> np.ndarray:
    """Words ``first``, ``first + 1``, ... of a codebook, in multiples of 2^-12: int16 [count, size], standard normal.

    Each stage has a codebook without end, any part of which is generated alone. Values are quantiles as in
    :func:`start`, and independent of it and of :func:`dither`.

    >>> codewords(seed=0, stage=1, first=5, count=2, size=3)[1].tolist() == codewords(0, 1, 6, 1, 3)[0].tolist()
    True
    """
    blocks = -(-size // _BLOCK_VALUES)  # of the generator, for each word
    raw = _raw(seed, stage, 0, count * blocks * _BLOCK_VALUES // 4, first * blocks, _CODEBOOK)
    places = np.frombuffer(raw, "<u2").reshape(count, blocks * _BLOCK_VALUES)[:, :size]
    return np.take(_short_quantiles(), places, mode="clip")  # twice as fast as an index; no place is out of range


def _raw(seed: int, stage: int, tile: int, words: int, block: int = 0, purpose: int = 0) -> bytes:
    if not 0 <= seed < 1 << 32:
        raise ValueError(f"seed {seed}: must be in 0..2^32-1")
    generator = np.random.Philox(key=[seed, stage], counter=[block, tile, purpose, 0])
    return generator.random_raw(words).astype("<u8", copy=False).tobytes()


@functools.cache
def _short_quantiles() -> np.ndarray:
    """The table of normal quantiles as int16, which fits a processor's cache."""
    table = _normal_quantiles().astype(np.int16)
    table.setflags(write=False)
    return table


@functools.cache
def _normal_quantiles() -> np.ndarray:
    half = _QUANTILES // 2
    inverse = NormalDist().inv_cdf
    positive = [round(inverse((2 * i + 1) / (2 * _QUANTILES)) * (1 << START_BITS)) for i in range(half, _QUANTILES)]
    table = np.array([-value for value in reversed(positive)] + positive, np.int64)
    if hashlib.sha256(table.astype("<i4").tobytes()).hexdigest() != _QUANTILES_SHA256:
        raise UserError(
            "Python's normal quantiles differ on this machine, so files would not decode elsewhere: "
            "use CPython 3.11 to 3.13"
        )
    table.setflags(write=False)
    return table
