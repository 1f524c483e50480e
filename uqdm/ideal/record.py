"""Records that an ideal codec stores in place of files, so that pictures can be made again for scoring.

A record has the original pixels and a seed, and a magic number. It is not a bitstream: its size is not a rate, and its
prefixes have no use.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from uqdm.codec import StreamError, check_images

MAGIC = b"uqdm ideal record 1: original pixels and a seed, no bitstream\n"
SUFFIX = ".ideal-record"
_SIZES = struct.Struct(">QII")  # seed, height, width


@dataclass(frozen=True, eq=False)
class Record:
    """An image, uint8 [H, W, 3], and the seed of the noise of its transmission.

    >>> again = Record.parse(Record(np.zeros((2, 3, 3), np.uint8), 7).pack())
    >>> again.image_uint8.shape, again.seed
    ((2, 3, 3), 7)
    """

    image_uint8: np.ndarray
    seed: int

    def pack(self) -> bytes:
        """The record as bytes."""
        check_images([self.image_uint8])
        height, width = self.image_uint8.shape[:2]
        return MAGIC + _SIZES.pack(self.seed, height, width) + np.ascontiguousarray(self.image_uint8).tobytes()

    @classmethod
    def parse(cls, data: bytes) -> Record:
        """The reverse of :meth:`pack`; raises :class:`uqdm.codec.StreamError` for anything else."""
        begin = len(MAGIC) + _SIZES.size
        if not data.startswith(MAGIC) or len(data) < begin:
            raise StreamError("not a record of an ideal codec, or cut inside its head")
        seed, height, width = _SIZES.unpack_from(data, len(MAGIC))
        if 0 in (height, width) or len(data) - begin != 3 * height * width:
            raise StreamError(f"a record of {len(data)} bytes cannot hold {height} x {width} pixels: it is damaged")
        return cls(np.frombuffer(data, np.uint8, offset=begin).reshape(height, width, 3), seed)
