"""Models of a process in bands so small that a step takes milliseconds; they run the same code as others."""

from __future__ import annotations

from typing import Any

import torch

from uqdm.banded import model as models
from uqdm.banded.model import BandedModel
from uqdm.banded.network import BandedNetworks

SMALL_BANDS: dict[str, Any] = {
    "sigmas": [100, 40.5, 13],
    "pixel_width": 9,
    "bands": {"width": 8, "depth": 1, "hidden": 4, "refine": 4, "refine_depth": 1},
    "late": [{"width": 4, "dilations": [1], "hidden": 4}, {"width": 4, "dilations": [2], "hidden": 4}],
}


def banded_config(size: int = 16, **changes: Any) -> dict[str, Any]:
    """A configuration of tiles of ``size`` pixels; changes are those of its part ``banded``."""
    return {"image_size": size, "banded": {**SMALL_BANDS, **changes}}


def banded_networks(size: int = 16, *, noise: float = 0.0, **changes: Any) -> BandedNetworks:
    """Networks as they are before training, or with noise of a deviation added to all weights."""
    torch.manual_seed(0)
    networks = models.build(banded_config(size, **changes), "small")
    with torch.no_grad():
        for value in networks.parameters():
            value += noise * torch.randn_like(value)
    return networks


def banded_model(size: int = 16, *, noise: float = 0.0, **changes: Any) -> BandedModel:
    """A model of :func:`banded_networks`."""
    return models.in_memory("small", banded_config(size, **changes), banded_networks(size, noise=noise, **changes))
