"""What an architecture of transform coding offers to coders and to training.

An image becomes latents y (analysis), and latents become side information z (hyper analysis). Both are quantized with
a step of 1. From z come the features that, section by section, give means and deviations of the latents.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

MIN_DEVIATION = 0.11
"""Smaller deviations of latents count as this: 0 then has nearly all of the probability."""


class Transforms(nn.Module, ABC):
    """The networks of an architecture. Images are float [B, 3, H, W] from 0 to 1, sides multiples of ``stride``.

    A model may have several rates, its levels: ``level`` is int64 [B], the level of each image.
    """

    architecture: str
    channels: int
    """Channels of the latents, M."""
    side_channels: int
    """Channels of the side information, N; 0 without one."""
    latent_stride: int
    """Pixels of a side for one latent."""
    stride: int
    """Pixels of a side for one value of the side information; without one, the same as ``latent_stride``."""
    sections: tuple[int, ...]
    """Channels of the sections of the latents, in the order of coding; a section's densities may depend on the sections
    before it. They sum to M."""
    has_means: bool
    """Whether means of the latents are predicted, not only deviations."""
    n_levels: int

    @abstractmethod
    def analysis(self, image: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """Latents y [B, M, H / latent_stride, W / latent_stride]."""

    @abstractmethod
    def synthesis(self, latents: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """The image of quantized latents, not clipped."""

    def without_gain(self, latents: torch.Tensor, level: int) -> torch.Tensor:
        """Latents [B, M, h, w] in units that do not depend on the level; by default they are."""
        return latents

    @abstractmethod
    def hyper_analysis(self, latents: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """Side information z [B, N, H / stride, W / stride]."""

    @abstractmethod
    def features(self, side: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """What all sections use of quantized side information."""

    @abstractmethod
    def section(
        self, index: int, features: torch.Tensor, earlier: torch.Tensor, level: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and deviations of a section of the latents.

        ``earlier`` holds the quantized latents of the sections before it, [B, C, h, w]. Deviations are not bounded.
        """
