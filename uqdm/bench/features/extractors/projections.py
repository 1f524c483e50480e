"""Projections of a picture's patches onto fixed random directions; there are no weights and there is no resize."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from uqdm.bench.features.extractor import Extractor
from uqdm.bench.features.patch_projections import N_DIRECTIONS, N_PATCHES, SIDE, digest, directions, places

RESIZE = "none"


class Projections(nn.Module):
    """Maps pictures, whose sides have at least 8 pixels, to the projections of 16 patches onto each direction.

    >>> features = Projections()(torch.full((1, 3, 8, 8), 7, dtype=torch.uint8))
    >>> features.shape, bool((features[:, :N_DIRECTIONS] == features[:, -N_DIRECTIONS:]).all())
    (torch.Size([1, 3200]), True)
    """

    def __init__(self) -> None:
        super().__init__()
        self.directions: torch.Tensor
        self.register_buffer("directions", torch.from_numpy(directions()))

    def forward(self, pixels_uint8: torch.Tensor) -> torch.Tensor:
        """Projections [B, N_PATCHES x N_DIRECTIONS] in grey levels, those of a patch together, of [B, 3, H, W]."""
        height, width = pixels_uint8.shape[2:]
        patches = [
            pixels_uint8[:, :, top : top + SIDE, left : left + SIDE].flatten(1)
            for top in places(height)
            for left in places(width)
        ]
        projections = torch.stack(patches, 1).float() @ self.directions  # (B, N_PATCHES, N_DIRECTIONS)
        return projections.flatten(1)


def load(path: Path | None = None, device: str | None = None) -> Extractor:
    """The extractor; nothing is read. Raises ValueError if a file of weights is named."""
    if path is not None:
        raise ValueError(f"{path}: projections have no weights; leave the file out")
    return Extractor(Projections(), digest(), N_PATCHES * N_DIRECTIONS, RESIZE, device=device)
