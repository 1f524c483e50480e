"""The data values of the levels 0..255 of a coordinate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from uqdm.diffusion.images import N_LEVELS


@dataclass(frozen=True)
class Levels:
    """Level v of channel c has the value ``first[c] + v spacing[c]``; a single entry applies to all channels.

    With ``clips``, estimates of the data are clipped to [-1, 1], the range of images.

    >>> points = Levels.standardized([115.6, 135.3], [47.2, 41.6])
    >>> points.to_data(np.full((1, 1, 1, 2), 128, np.uint8)).flatten()
    tensor([ 0.2627, -0.1755])
    """

    first: tuple[float, ...]
    spacing: tuple[float, ...]
    clips: bool

    @classmethod
    def standardized(cls, mean: list[float], deviation: list[float]) -> Levels:
        """Levels (v - mean) / deviation, with a mean and a deviation for each channel."""
        first = tuple(-m / d for m, d in zip(mean, deviation, strict=True))
        return cls(first, tuple(1 / d for d in deviation), clips=False)

    def like(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``first`` and ``spacing`` as tensors of the type of x [B, C, H, W]: [C, 1, 1], or single numbers []."""
        first, spacing = (torch.tensor(v, dtype=x.dtype, device=x.device) for v in (self.first, self.spacing))
        return (first[0], spacing[0]) if len(first) == 1 else (first[:, None, None], spacing[:, None, None])

    def to_data(self, levels_uint8: np.ndarray) -> torch.Tensor:
        """Maps uint8 [N, H, W, C] to float32 [N, C, H, W]."""
        levels = torch.from_numpy(np.ascontiguousarray(levels_uint8)).permute(0, 3, 1, 2).double()
        first, spacing = self.like(levels)
        return (first + levels * spacing).float()

    def clip(self, x_hat: torch.Tensor) -> torch.Tensor:
        """Estimates of the data, clipped to the data's range if it is known."""
        return x_hat.clamp(-1, 1) if self.clips else x_hat

    def nearest(self, data: torch.Tensor) -> torch.Tensor:
        """The nearest level of each value of data [B, C, H, W], as integers 0..255 in the type of x."""
        first, spacing = self.like(data)
        return torch.floor((data - first) / spacing + 0.5).clamp(0, N_LEVELS - 1)


IMAGE_LEVELS = Levels(first=(1 / N_LEVELS - 1,), spacing=(2 / N_LEVELS,), clips=True)
"""The levels of images: level v is (2 v + 1) / 256 - 1."""


def levels_of(model_config: dict[str, Any]) -> Levels:
    """The levels of a model's data: standardized if its configuration says so, else those of images."""
    given = model_config.get("levels")
    return IMAGE_LEVELS if given is None else Levels.standardized(given["mean"], given["deviation"])
