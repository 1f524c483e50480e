"""The swirl: points of the plane on a spiral with noise, rounded down to 256 levels.

The two-dimensional example of Kingma et al. (2021), used by Yang et al. (2025, Sec. 5.1). The entropy of its levels is
5.49 bits a dimension; independent coordinates would take 6.99.
"""

from __future__ import annotations

import numpy as np

from uqdm.training.data.base import DrawnBatch


def swirl_points(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws ``n`` fresh points, uint8 [n, 2].

    >>> swirl_points(2, np.random.default_rng(0))
    array([[144, 188],
           [128,  69]], dtype=uint8)
    """
    angle = 3 * np.pi * np.sqrt(rng.random(n))
    radius = 2 * angle + np.pi
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (4 * (points + 0.25 * rng.standard_normal((n, 2)) + 30)).astype(np.uint8)


class Swirl:
    """A source of fresh points, as images of one pixel with two channels: uint8 [n, 1, 1, 2].

    A small fixed set would be memorized (5.34 bits a dimension in training, 6.66 on fresh points).
    """

    is_slow = False

    def __len__(self) -> int:
        return 0

    def draw(self, n: int, size: int, rng: np.random.Generator) -> DrawnBatch:
        """Draws ``n`` points; they need no reading."""
        return swirl_points(n, rng)[:, None, None, :]  # type: ignore[return-value]

    def load(self, drawn: DrawnBatch) -> np.ndarray:
        """The points themselves."""
        return np.asarray(drawn)
