"""Coded files with what is known of them, and the pictures that they decode to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, repr=False)
class Compressed:
    """A file with its ideal bits by the paper's accounting: after 0, 1, ..., T steps, and lossless."""

    stream: bytes
    ideal_bits: list[float]
    seed: int
    """Seed of the first tile."""

    def __repr__(self) -> str:
        ideal = f", {self.ideal_bits[-1]:.0f} ideal bits" if self.ideal_bits else ""
        return f"Compressed({len(self.stream)} bytes{ideal}, seed {self.seed})"


@dataclass(frozen=True, repr=False)
class Picture:
    """A decoded image: after ``step`` 0..T in some reconstruction, or the lossless one (``step`` None)."""

    step: int | None
    reconstruction: str
    image_uint8: np.ndarray
    seconds: float
    """Time from the file to this picture, without the time of other pictures; for a batch, the sum over its files."""

    def __repr__(self) -> str:
        height, width = self.image_uint8.shape[:2]
        name = "lossless" if self.step is None else f"step {self.step}, {self.reconstruction}"
        return f"Picture({name}, {width}x{height} pixels, {self.seconds:.3f} s)"


@dataclass(frozen=True)
class Prefix:
    """The beginning of a file that a picture needs: ``step`` 0..T, or None for the lossless image."""

    step: int | None
    n_bytes: int
