"""Progressive files: one stream, cut at several points, each prefix decoded from its own bytes alone."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from uqdm.codec import Point, Reconstruction, StreamError
from uqdm_baselines._pillow import PillowCodec


class PrefixCodec(PillowCodec):
    """A codec of Pillow whose files show a picture before they end.

    The rate of a point is the length of a true prefix of the file, from its first byte on. The decoder gets
    only that prefix. It adds what a whole file needs (an end marker, matching lengths) itself, by :meth:`complete`.
    """

    part: ClassVar[str]
    """What a point adds: 'scan', 'layer'."""

    @abstractmethod
    def cuts(self, stream: bytes) -> list[int]:
        """Lengths in bytes of the prefixes that end with a part; the last is the whole stream."""

    @abstractmethod
    def complete(self, prefix: bytes) -> bytes:
        """A whole file with the picture of a prefix."""

    def points(self, stream: bytes) -> list[Point]:
        """A point after each part; raises StreamError if they cannot be found."""
        try:
            cuts = self.cuts(stream)
        except (StreamError, IndexError, ValueError) as error:
            raise StreamError(f"{self.name}: no {self.part}s found in {len(stream)} bytes: {error}") from error
        return [Point(f"{self.part} {number}", length) for number, length in enumerate(cuts, 1)]

    def decode_prefix(self, prefix: bytes) -> np.ndarray:
        """Decodes the picture of a prefix, uint8 [H, W, 3]; raises StreamError if it has none."""
        self.load_plugin()
        try:
            whole = self.complete(prefix)
        except (StreamError, IndexError, ValueError) as error:
            raise StreamError(f"{self.name}: {len(prefix)} bytes show no picture: {error}") from error
        return self._decode(whole)

    def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
        """The picture of every point, each decoded anew from its prefix."""
        for point in self.points(stream):
            started = time.perf_counter()
            image_uint8 = self.decode_prefix(stream[: point.n_bytes])
            yield Reconstruction(point, "decoded", image_uint8, 1e3 * (time.perf_counter() - started))
