"""The process: noise levels of the band steps, and the constants of a coordinate's step.

After step s a coordinate x that was sent has the latent z_s = x + noise of deviation sigma_s (in levels of 0..255; the
transform is orthonormal, so deviations are those of pixels). Its next step to sigma_s from sigma_t is the paper's
uniform channel in its variance-exploding form (Yang et al. 2025, eq. 5 and 6, with alpha = 1)::

    e = 1 - sigma_s^2 / sigma_t^2
    z_s = (1 - e) z_t + e x + D U,    D = sqrt(12) sigma_s sqrt(e),    U uniform in (-1/2, 1/2)

so that the mean and the variance of z_s given x are those of x plus Gaussian noise of deviation sigma_s (App. A there).
A coordinate that was never sent has sigma_t = infinity: then e = 1, and the step is plain dithered quantization. So
every coordinate has its own schedule, a subsequence of the model's noise levels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CELLS_PER_OCTAVE = 8
"""Deviations are rounded to cells of 1/8 octave."""
SENT_FROM = 2
"""A coordinate is sent in a step to sigma_s where its predicted deviation is at least sigma_s 2^(SENT_FROM / 8)."""
_LEAST_FALL = 0.999
"""Of two noise levels; bins of a step between more similar ones could be so narrow that symbols exceed 20 bits."""


@dataclass(frozen=True)
class BandSchedule:
    """Noise levels sigma_1 > sigma_2 > ... of the band steps, and the width of the pixel step, all in levels."""

    sigmas: tuple[float, ...]
    pixel_width: int
    """Number of levels among which the pixel step leaves the last stage to choose."""

    def __post_init__(self) -> None:
        falls = all(b <= _LEAST_FALL * a for a, b in zip(self.sigmas, self.sigmas[1:], strict=False))
        if not self.sigmas or not falls or not 0.5 <= self.sigmas[-1] <= self.sigmas[0] <= 2000:
            raise ValueError(f"sigmas {list(self.sigmas)}: must fall by 0.1 % each, and be 0.5 to 2000 levels")
        if not 2 <= self.pixel_width <= 128:
            raise ValueError(f"pixel_width {self.pixel_width}: must be in 2..128")

    @property
    def n_band_steps(self) -> int:
        """Steps in bands; one step in pixels follows."""
        return len(self.sigmas)

    @property
    def n_steps(self) -> int:
        """Steps before the lossless end."""
        return self.n_band_steps + 1

    @functools.cached_property
    def constants(self) -> tuple[StepConstants, ...]:
        """Constants of each band step."""
        return tuple(StepConstants.make(self.sigmas, index) for index in range(self.n_band_steps))

    def noise(self, done: np.ndarray) -> np.ndarray:
        """Deviation of the noise of coordinates whose last sent step is ``done``, counted from 1; 0 is infinite.

        >>> BandSchedule((100.0, 50.0), 7).noise(np.array([0, 1, 2])).tolist()
        [inf, 100.0, 50.0]
        """
        return np.array([math.inf, *self.sigmas])[done]


@dataclass(frozen=True)
class StepConstants:
    """Constants of a band step, by the number 0..K of the step that a coordinate was last sent in (0: never)."""

    x_weight: np.ndarray
    """e."""
    width: np.ndarray
    """D, in levels."""

    @classmethod
    def make(cls, sigmas: Sequence[float], index: int) -> StepConstants:
        """Those of the step ``index``, counted from 0; entries of steps that are not before it are not used.

        >>> constants = StepConstants.make((100.0, 50.0), 1)
        >>> constants.x_weight[:2].tolist(), [round(float(width), 6) for width in constants.width[:2]]
        ([1.0, 0.75], [173.205081, 150.0])
        """
        sigma = sigmas[index]
        e = np.ones(len(sigmas) + 1)
        e[1 : index + 1] = [1 - (sigma / before) ** 2 for before in sigmas[:index]]
        return cls(e, math.sqrt(12) * sigma * np.sqrt(e))
