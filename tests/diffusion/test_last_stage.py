"""Samples of the last stage have the probabilities of its ideal bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uqdm.diffusion.last_stage import draw_levels
from uqdm.diffusion.levels import IMAGE_LEVELS, Levels
from uqdm.diffusion.process import last_stage_bits
from uqdm.model.schedule import Schedule

N = 20_000


@pytest.mark.parametrize(
    ("levels", "z"),
    [(IMAGE_LEVELS, [0.3, -1.2, 0.995]), (Levels.standardized([115.6, 135.3], [47.2, 41.6]), [0.3, -3.2])],
    ids=["images", "points"],
)
def test_levels_are_drawn_with_the_probability_of_their_bits(levels: Levels, z: list[float]) -> None:
    step = Schedule(13.0, 5.0, 4).step(3)  # gamma_0 = -8: noise of some levels of an image, or one of a point's
    z_0 = torch.tensor(z, dtype=torch.float64)[None, :, None, None]
    estimate = (z_0 / step.alpha_s).expand(N, -1, 1, 1)
    drawn = draw_levels(estimate, step, torch.Generator().manual_seed(0), levels).flatten(1).numpy()
    for channel in range(len(z)):
        level, count = np.unique(drawn[:, channel], return_counts=True)
        likely = level[count.argmax()]
        x = levels.to_data(np.full((1, 1, 1, len(z)), likely, np.uint8)).double()
        probability = float(2 ** -last_stage_bits(x, z_0, step, levels).flatten()[channel])
        deviation = np.sqrt(probability * (1 - probability) / N)
        assert count.max() / N == pytest.approx(probability, abs=4 * deviation)
