"""JPEG at its best settings for PSNR: flat tables, chroma depending on the quality, the shorter order of scans."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from uqdm.codec import Parameter
from uqdm_baselines.jpeg import JPEG

_SCANS = {"sequential": (False,), "progressive": (True,), "shorter": (False, True)}
_FLAT = 16
"""Step at quality 50, that of the first coefficient in the standard's table of luma."""


class JPEGTuned(JPEG):
    """JPEG with optimised Huffman tables, equal steps for all coefficients, and full chroma at high rates.

    The standard's example tables (T.81, annex K) have larger steps for less visible errors; PSNR weights all errors
    equally. ``tables="flat"`` has one step for all, which the quality scales as in the other tables (as mozjpeg's
    ``-quant-table 1``). Sequential and progressive files of the same tables contain the same coefficients, and so
    the same picture: ``scans="shorter"`` encodes both and keeps the shorter file. Encode times include both.
    """

    name = "jpeg-tuned"
    summary = "JPEG by Pillow, tuned for PSNR: flat tables, 4:2:0 or 4:4:4 by quality, the shorter order of scans"
    parameters = (
        *JPEG.parameters,
        Parameter("subsampling", str, "4:4:4", "of chroma", choices=("4:4:4", "4:2:2", "4:2:0")),
        Parameter("tables", str, "flat", "steps of the coefficients: equal, or annex K's", choices=("flat", "annex-k")),
        Parameter("scans", str, "shorter", "one, ten, or the shorter file of the two", choices=tuple(_SCANS)),
    )
    sweep: ClassVar = (
        *({"quality": quality, "subsampling": "4:2:0"} for quality in (1, 10, 20, 30, 40, 50, 60)),
        *({"quality": quality, "subsampling": "4:4:4"} for quality in (70, 80, 90, 95, 100)),
    )

    def save_options(self, progressive: bool = False) -> dict[str, Any]:
        """Tables of the given quality, chroma as set."""
        options = {**super().save_options(), "subsampling": self.values["subsampling"], "progressive": progressive}
        if self.values["tables"] == "flat":
            del options["quality"]  # which would scale the tables once more
            options["qtables"] = [[flat_step(self.values["quality"])] * 64] * 2
        return options

    def _encode(self, image_uint8: np.ndarray) -> bytes:
        files = [self._save(image_uint8, self.save_options(way)) for way in _SCANS[self.values["scans"]]]
        return min(files, key=len)  # the sequential one if both have the same length


def flat_step(quality: int) -> int:
    """The step of all coefficients at a quality, scaled as libjpeg scales the entries of a table.

    >>> [flat_step(quality) for quality in (1, 10, 50, 90, 100)]
    [255, 80, 16, 3, 1]
    """
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return min(max((_FLAT * percent + 50) // 100, 1), 255)
