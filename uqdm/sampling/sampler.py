"""The contract of a sampler: pictures by number, in batches of bounded size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from uqdm.arithmetic import float32_arithmetic

SampleReport = Callable[[int, int], object]
"""Callback with the number of samples drawn so far, and of all."""


class Sampler(ABC):
    """Draws samples of a model. A sample depends on its number and the seed alone.

    Batches have a constant size on each kind of device, since linear algebra libraries sum in another order for another
    one: the last batch is filled up. So the first samples of many are the same as few.
    """

    image_size: int
    """Side of a sample in pixels."""
    at_once: int
    """Size of a batch."""

    @abstractmethod
    def batch(self, numbers: Sequence[int]) -> np.ndarray:
        """The samples with the given numbers, uint8 [B, S, S, 3]."""

    @float32_arithmetic()
    def draw(self, n: int, report: SampleReport = lambda done, total: None) -> np.ndarray:
        """The samples 0 to n - 1, uint8 [n, S, S, 3]."""
        if n < 1:
            raise ValueError(f"n={n}: draw at least one sample")
        drawn = np.empty((n, self.image_size, self.image_size, 3), np.uint8)
        for begin in range(0, n, self.at_once):
            numbers = range(begin, min(begin + self.at_once, n))
            filled = [*numbers, *[numbers[-1]] * (self.at_once - len(numbers))]
            drawn[begin : numbers.stop] = self.batch(filled)[: len(numbers)]
            report(numbers.stop, n)
        return drawn
