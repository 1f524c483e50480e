"""Models so small that coding with them takes milliseconds; the code that runs is that of any other model."""

from __future__ import annotations

from pathlib import Path

import torch

import uqdm
from uqdm.model import checkpoint
from uqdm.progressive import UQDM, tolerance

FREE_SLOPE = 18.21  # the last stage costs nothing
CODED_SLOPE = 16.0  # z_1 and z_0 leave several levels of a pixel: the last stage is coded


def small_codec(folder: Path, slope: float) -> UQDM:
    """A model of 8x8 tiles with random weights, its tolerances measured."""
    config = {
        "image_size": 8,
        "schedule": {"slope": slope, "gamma_max": 6.0, "n_steps": 4},
        "denoiser": {"kind": "stepwise", "widths": [4, 4, 4], "dilations": [[1], [1], [1]]},
    }
    torch.manual_seed(0)
    denoiser = checkpoint.build(config)[0]
    for network in denoiser.networks:
        torch.nn.init.normal_(network.conv_out.weight, std=0.1)
    checkpoint.save(folder, config, denoiser)
    tolerance.record(folder)
    return uqdm.load_model(folder)
