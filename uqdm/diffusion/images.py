"""Conversion between uint8 images and the data range of the process."""

from __future__ import annotations

import numpy as np
import torch

N_LEVELS = 256


def to_data(images_uint8: np.ndarray) -> torch.Tensor:
    """Maps uint8 [N, H, W, 3] to float32 [N, 3, H, W]: level v is (2 v + 1) / 256 - 1.

    >>> to_data(np.full((1, 1, 1, 3), 255, np.uint8)).unique()
    tensor([0.9961])
    """
    levels = torch.from_numpy(np.ascontiguousarray(images_uint8)).permute(0, 3, 1, 2)
    return (2 * levels.float() + 1) / N_LEVELS - 1


def to_uint8(data: torch.Tensor) -> np.ndarray:
    """Nearest level of data [N, 3, H, W], as uint8 [N, H, W, 3]; values out of range are clipped."""
    levels = torch.floor((data.double() + 1) * (N_LEVELS / 2)).clamp(0, N_LEVELS - 1)
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
