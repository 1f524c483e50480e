"""Small second stages with random weights, which run the same code as other models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from uqdm.refine import model as models

NETWORK = {"widths": [4, 6], "blocks": [1, 1], "embedding": 4}
PICTURE: dict[str, Any] = {
    "condition": "picture",
    "codec": "jpeg",
    "settings": [{"quality": 10}, {"quality": 40}],
    "residual_scale": [[0, 0.2], [2, 0.1]],
    "network": NETWORK,
}
LATENTS: dict[str, Any] = {
    "condition": "latents",
    "codec": "hyperprior",
    "settings": [{"quality": 1}],
    "residual_scale": [[0, 0.5]],
    "network": {**NETWORK, "latent_channels": 128, "features": 4},
}


def refine_folder(folder: Path, described: dict[str, Any]) -> Path:
    """A model folder with random weights in every layer."""
    config = {"image_size": 16, "refine": described}
    torch.manual_seed(0)
    network = models.build(config, "config.json")
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    models.save(folder, config, network, half=False)
    return folder
