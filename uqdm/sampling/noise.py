"""The random numbers of samples: streams of their own for each sample and each use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

_LEAST = 2.0**-24  # a float32 below 1 that is this far from 1 exists, so that no uniform number is 0 or 1


@dataclass(frozen=True)
class SampleNoise:
    """Random numbers of the samples with the given numbers. They do not depend on the other samples of a batch.

    >>> alone, both = SampleNoise(0, [3]), SampleNoise(0, [2, 3])
    >>> shape = torch.Size((1, 3, 4, 4))
    >>> torch.equal(alone.normal(1, shape)[0], both.normal(1, torch.Size((2, 3, 4, 4)))[1])
    True
    """

    seed: int
    numbers: Sequence[int]

    def normal(self, index: int, shape: torch.Size) -> torch.Tensor:
        """N(0, 1), float32 of a shape [B, ...]; ``index`` tells the uses of a sample apart."""
        rows = [self._generator(number, index).standard_normal(tuple(shape[1:]), np.float32) for number in self.numbers]
        return torch.from_numpy(np.stack(rows))

    def uniform(self, index: int, shape: torch.Size) -> torch.Tensor:
        """Uniform numbers strictly between 0 and 1, float32 of a shape [B, ...]."""
        rows = [self._generator(number, index).random(tuple(shape[1:]), np.float32) for number in self.numbers]
        return torch.from_numpy(np.stack(rows)).clamp(_LEAST, 1 - _LEAST)

    def _generator(self, number: int, index: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, number, index])))
