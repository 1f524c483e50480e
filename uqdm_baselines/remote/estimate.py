"""Codec ``remote-estimate``: as ``remote``, for a codec whose bits are estimates and that makes no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from uqdm.codec import Encoded, IdealCodec, Point
from uqdm_baselines._process import ProgramError
from uqdm_baselines.remote.codec import Remote

FULL = "full"


class RemoteEstimate(Remote, IdealCodec):
    """A codec in another environment that has rates and pictures, but no files.

    Its rows have the ``rate_kind`` 'ideal'. What its host returns in place of a stream is a record for its decoder. The
    size of that is no rate.
    """

    name = "remote-estimate"
    summary = "as remote, for codecs whose bits are estimates and that make no files (docs/remote-codecs.md)"
    ideal = True

    @property
    def progressive(self) -> bool:
        """False: there is one point."""
        return False

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        """Raises :class:`uqdm.codec.NoFileError`."""
        return IdealCodec.encode(self, images)

    def encode_detailed(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        """Ideal bits, and a record of each image, uint8 [H, W, 3]."""
        found = super().encode_detailed(images)
        if any(FULL not in one.ideal_bits for one in found):
            raise ProgramError(f"{self.name}: the host told no ideal bits: encode must return Stream(record, bits)")
        return [replace(one, ideal_bits={FULL: one.ideal_bits[FULL]}) for one in found]

    def points(self, stream: bytes) -> list[Point]:
        """One, which needs the whole record."""
        return [Point(FULL, len(stream))]
