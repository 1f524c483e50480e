"""Pictures of latents.

The small networks of the project's own models run in float64. There two machines' pictures differ by less than 2^-30
levels, and where no sample is that close to a boundary between levels, which is almost always, the pictures are equal.
Where one is, offsets are in the stream, as for the densities. So the pictures are exact, at no cost in bits.

CompressAI's networks would take four times as long in float64. They run in float32, and pictures may differ by
rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from uqdm.coding import offsets
from uqdm.coding.ans import Reader, Writer
from uqdm.coding.offsets import Offsets
from uqdm.transform.blocks import BLOCKS
from uqdm.transform.model import Model
from uqdm_baselines.hyperprior.latents import EPS

_FRACTION_BITS = 16


def are_exact(model: Model) -> bool:
    """Whether a model's pictures are the same on every machine."""
    return model.transforms.architecture == BLOCKS


def synthesize(model: Model, y: torch.Tensor, level: int, height: int, width: int) -> list[np.ndarray]:
    """Pictures in levels, plus 1/2: float64 [height, width, 3] each, from 0.5 to 255.5; y is float64 [B, M, h, w]."""
    exact = are_exact(model)
    networks = model.precise if exact else model.transforms
    y = y.to(model.device) if exact else y.float().to(model.device)
    # In float64 on a CPU, images one by one are faster: large arrays are slow to get from the operating system.
    at_once = 1 if exact and model.device.type == "cpu" else len(y)
    made = []
    with torch.inference_mode():
        for part in y.split(at_once):
            image = networks.synthesis(part, torch.full((len(part),), level, device=model.device))
            levels = image[..., :height, :width].double().clamp(0, 1).nan_to_num() * 255 + 0.5
            made += list(levels.permute(0, 2, 3, 1).cpu().numpy())
    return made


def is_clear(in_levels: np.ndarray) -> bool:
    """Whether no sample is close to a boundary between levels."""
    return offsets.are_clear(in_levels, 0, EPS)


def plain(in_levels: np.ndarray) -> np.ndarray:
    """The picture, uint8 [H, W, 3]."""
    return np.floor(in_levels).astype(np.uint8)


def write(writer: Writer, in_levels: np.ndarray) -> np.ndarray:
    """The picture, rounded with offsets that are written."""
    found = offsets.choose(in_levels.ravel(), _cell_bits(in_levels), EPS)
    offsets.write(writer, found)
    return _shifted(in_levels, found)


def read(reader: Reader, in_levels: np.ndarray) -> np.ndarray:
    """The same for a reader."""
    return _shifted(in_levels, offsets.read(reader))


def _cell_bits(in_levels: np.ndarray) -> np.ndarray:
    return np.zeros(in_levels.size, np.int64)


def _shifted(in_levels: np.ndarray, found: Offsets) -> np.ndarray:
    middles = offsets.round_to_cells(in_levels.ravel(), _cell_bits(in_levels), found, _FRACTION_BITS)
    return np.clip(middles >> _FRACTION_BITS, 0, 255).astype(np.uint8).reshape(in_levels.shape)


__all__: Sequence[str] = ("are_exact", "is_clear", "plain", "read", "synthesize", "write")
