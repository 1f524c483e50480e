"""Decompresses zlib data without keeping them, to check that they are complete and long enough."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from uqdm.images.errors import damaged

_AT_ONCE = 2**20


def check_deflate(parts: Sequence[bytes | memoryview], expected: int) -> None:
    """Raises RefusedError unless the parts are one stream with a correct checksum and at least ``expected`` bytes.

    Decoders of images stop at the last pixel, before the checksum, and some fill in missing data. A stream of more
    than twice its length and 1 MiB is refused.
    """
    stream = zlib.decompressobj()
    n = 0
    try:
        for part in parts:
            rest: bytes | memoryview = part
            while rest and not stream.eof:
                n += len(stream.decompress(rest, _AT_ONCE))
                rest = stream.unconsumed_tail
                if n > 2 * expected + _AT_ONCE:
                    raise damaged("it has more compressed data than pixels")
        while not stream.eof:
            found = len(stream.decompress(b"", _AT_ONCE))
            n += found
            if not found or n > 2 * expected + _AT_ONCE:
                break
    except zlib.error as error:
        raise damaged(f"its data cannot be decompressed ({error})") from error
    if not stream.eof or n < expected:
        raise damaged(f"{n} bytes of pixels after decompression, expected {expected}")
