"""Samples of models in bands: the steps of a file, with symbols that are drawn from their distributions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uqdm.banded.model import BandedModel
from uqdm.coding.container import CHUNK_TILES
from uqdm.progressive.banded.rounding import Rounding
from uqdm.progressive.banded.steps import Draws, Networks, advance, begin
from uqdm.progressive.banded.symbols import Sampled
from uqdm.progressive.device import checked_device
from uqdm.progressive.step_pictures import TileNoise
from uqdm.sampling.sampler import Sampler


class BandedSampler(Sampler):
    """Samples of all steps of a model in bands, the pixel step and the last stage too.

    Before the first step nothing is known, and z_T is not needed: coordinates that no step has sent have infinite
    noise. A sample is the picture that a file with this seed has before its first step, at the tile with the sample's
    number, by ``ancestral`` reconstruction with the same seed of noise.
    """

    def __init__(self, model: BandedModel, *, seed: int = 0, device: str = "cpu"):
        self.model, self.seed, self.image_size, self.at_once = model, seed, model.image_size, CHUNK_TILES
        self._networks = Networks(model, checked_device(device))

    def batch(self, numbers: Sequence[int]) -> np.ndarray:
        """See :meth:`uqdm.sampling.sampler.Sampler.batch`."""
        noise = [TileNoise(self.seed, 0, number) for number in numbers]
        draws, rounding = Draws([self.seed] * len(numbers), list(numbers)), Rounding([0] * len(numbers))
        source = Sampled(lambda row, size: noise[row].uniform(size))
        known = begin(self._networks, len(numbers))
        while known.n_done <= self._networks.schedule.n_steps:
            known, _ = advance(self._networks, known, draws, rounding, source)
        assert known.window is not None  # of one level after the last stage
        return known.window[0].astype(np.uint8).transpose(0, 2, 3, 1)
