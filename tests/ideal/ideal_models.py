"""Small models of both kinds for tests of ideal codecs: one network for all noise levels, and one for each step."""

from __future__ import annotations

from pathlib import Path

import torch

from uqdm.model import checkpoint

SCHEDULE = {"slope": 16.0, "gamma_max": 6.0, "n_steps": 4}
UNET = {"kind": "unet", "embedding_dim": 8, "n_blocks": 1, "norm_groups": 2, "gamma_min": -12.3, "gamma_max": 6.0}
STEPWISE = {"kind": "stepwise", "widths": [4, 4, 4], "dilations": [[1], [1], [1]]}


def model_folder(folder: Path, denoiser: dict[str, object], **more: object) -> Path:
    """A model of 8x8 tiles with random weights."""
    config = {"image_size": 8, "schedule": SCHEDULE, "denoiser": denoiser, **more}
    torch.manual_seed(0)
    checkpoint.save(folder, config, checkpoint.build(config)[0])
    return folder
