"""Models of a process in bands so small that a step takes milliseconds; they run the same code as other models."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from uqdm.banded import model as models
from uqdm.banded.model import BandedModel
from uqdm.banded.network import BandedNetworks
from uqdm.model.sectioned import Heads
from uqdm.progressive.banded.compressor import BandedUQDM

GOLDEN_MODEL = Path(__file__).parent / "progressive" / "banded" / "golden-v3-model"
GOLDEN_FILE = GOLDEN_MODEL.with_name("golden-v3.uqdm")
SMALL_BANDS: dict[str, Any] = {
    "sigmas": [100, 40.5, 13],
    "pixel_width": 9,
    "bands": {"width": 8, "depth": 1, "hidden": 4, "refine": 4, "refine_depth": 1},
    "late": [{"width": 4, "dilations": [1], "hidden": 4}, {"width": 4, "dilations": [2], "hidden": 4}],
}
NOISE = 0.05
"""Noise of weights that leaves no output at 0."""


def banded_config(size: int = 16, **changes: Any) -> dict[str, Any]:
    """A configuration of tiles of ``size`` pixels; changes are those of its part ``banded``."""
    return {"image_size": size, "banded": {**SMALL_BANDS, **changes}}


def banded_networks(size: int = 16, *, noise: float = 0.0, seed: int = 0, **changes: Any) -> BandedNetworks:
    """Networks as they are before training, or with noise of a deviation added to all weights.

    They depend on the seed alone: what torch draws for weights may differ between its versions.
    """
    networks = models.build(banded_config(size, **changes), "small")
    words = np.random.Philox(key=seed)  # its raw words are the same in every version of the library

    def drawn(like: torch.Tensor) -> torch.Tensor:
        uniform = words.random_raw(like.numel()).astype(np.float64) / 2**64
        return torch.from_numpy(2 * uniform - 1).reshape(like.shape)

    with torch.no_grad():
        for layer in networks.modules():
            weights = {nn.Conv2d: "weight", Heads: "decoded"}.get(type(layer))
            if weights is not None and (value := getattr(layer, weights)).any():  # others are 0 before training
                value.copy_(drawn(value) / math.sqrt(value[0].numel()))
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                layer.bias.zero_()
        for value in networks.parameters():
            value += noise * math.sqrt(3) * drawn(value)
    return networks


def banded_model(
    size: int = 16, *, name: str = "small", noise: float = 0.0, seed: int = 0, **changes: Any
) -> BandedModel:
    """A model of :func:`banded_networks`."""
    networks = banded_networks(size, noise=noise, seed=seed, **changes)
    return models.in_memory(name, banded_config(size, **changes), networks)


def banded_codec(size: int = 16, **options: Any) -> BandedUQDM:
    """The codec of a :func:`banded_model` whose weights have noise."""
    return BandedUQDM(banded_model(size, noise=NOISE, **options))


def constant_model(size: int = 16, **changes: Any) -> BandedModel:
    """A model whose outputs are constants on boundaries of cells: means and logarithms of deviations are 0."""
    networks = banded_networks(size, **changes)
    with torch.no_grad():
        for weights in networks.parameters():
            weights.zero_()
        for weights in (networks.bands.refine_factor, *(network.heads.decoded for network in networks.late)):
            weights.fill_(1.0)
    return models.in_memory("constant", banded_config(size, **changes), networks)
