"""Models of transform coding with random networks, whose densities fit the latents of photographs roughly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uqdm.transform import folder
from uqdm.transform.blocks import BLOCKS, BlockTransforms

SMALL = {"width": 8, "hyper_width": 8, "side": 4, "refine": 4, "sections": [4, 8], "depths": [1, 1]}
LEVELS = 3


def save_small_transform(
    path: Path, images: Sequence[np.ndarray], *, seed: int = 0, levels: int = LEVELS, **options: Any
) -> Path:
    """Writes a model folder: ``levels`` for rounding, then as many for universal quantization.

    ``images`` are those that densities are fitted to, uint8 [64, 64, 3].
    """
    options = SMALL | options
    steps = [0.4 / 2**level for level in range(levels)]
    config = {
        "image_size": 64,
        "transform": {"architecture": BLOCKS, **options},
        "levels": [
            {"quantization": quantization, "weight": 1.0, "step": step}
            for quantization in ("rounding", "universal")
            for step in steps
        ],
    }
    torch.manual_seed(seed)
    transforms = BlockTransforms(2 * steps, **options)
    with torch.no_grad():
        _disturb(transforms)
        _fit(transforms, torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255)
    folder.save(path, config, transforms, half=True)
    return path


def _disturb(transforms: BlockTransforms) -> None:
    """Random weights where training begins at 0, so that all networks have a part in pictures and densities."""
    for name, value in transforms.named_parameters():
        if name.endswith(("end.weight", "outer.weight")):
            value += torch.randn(value.shape) * (0.02 if name.startswith("heads") else 0.01)
    transforms.side_log_gain += 2.0


def _fit(transforms: BlockTransforms, images: torch.Tensor) -> None:
    """Deviations of latents and of side information as measured at each level."""
    for level in range(transforms.n_levels):
        levels = torch.full((len(images),), level)
        y = transforms.analysis(images, levels)
        z = transforms.hyper_analysis(y, levels)
        transforms.log_deviation[level] = y.std((0, 2, 3)).clamp(min=0.05).log()
        transforms.side_mean[level] = z.mean((0, 2, 3))
        transforms.side_log_deviation[level] = z.std((0, 2, 3)).clamp(min=0.1).log()
