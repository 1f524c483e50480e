"""Data sets in memory, for tests of the evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


class MemoryImages:
    """A data set of given images."""

    def __init__(self, images: Sequence[np.ndarray], name: str = "memory") -> None:
        self.name = name
        self.spec = name
        self.images = list(images)
        self.ids = [f"image-{index:03}" for index in range(len(self.images))]
        self.loads = 0

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(b"".join(image.tobytes() for image in self.images)).hexdigest()
        return f"{len(self.images)}-{digest[:16]}"

    def __len__(self) -> int:
        return len(self.images)

    def load(self, index: int) -> np.ndarray:
        self.loads += 1
        return self.images[index]


def unmarked_images(count: int) -> list[np.ndarray]:
    """Noise of several sizes; no image has a mark of the toy codecs."""
    generator = np.random.default_rng(5)
    images = [generator.integers(0, 256, (5 + index % 3, 7, 3), dtype=np.uint8) for index in range(count)]
    for image in images:
        image[0, 0, 0] = 0
    return images
