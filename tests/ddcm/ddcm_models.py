"""Small models of the Gaussian process for tests of DDCM."""

from __future__ import annotations

from pathlib import Path

import torch

from uqdm.model import checkpoint
from uqdm.model.checkpoint import Model, as_model
from uqdm.model.denoiser import Denoiser, Prediction
from uqdm.model.schedule import Step

SCHEDULE = {"slope": 18.3, "gamma_max": 6.0, "n_steps": 4}
MULTISCALE = {"kind": "multiscale", "widths": [4, 4], "blocks": [1, 1], "embedding": 8}
CONFIG = {"image_size": 16, "process": "gaussian", "schedule": SCHEDULE, "denoiser": MULTISCALE}


def model_folder(folder: Path, **changes: object) -> Path:
    """A model of 16x16 tiles. Its weights are random, those of the last layer too, which start at zero."""
    config = {**CONFIG, **changes}
    torch.manual_seed(0)
    denoiser = checkpoint.build(config)[0]
    for name, value in denoiser.named_parameters():
        if "conv_out" in name:
            torch.nn.init.normal_(value, std=0.05)
    checkpoint.save(folder, config, denoiser)
    return folder


class GaussianSource(Denoiser):
    """The exact estimate of x ~ N(0, deviation^2) of each coordinate of a transform: here a smooth and a rough part.

    The smooth part of a channel is its mean over blocks of 4x4 pixels, the rough part is the rest. Computed in float64.
    """

    any_schedule = True

    def __init__(self, smooth: float = 0.5, rough: float = 0.1):
        super().__init__()
        self.variances = (smooth**2, rough**2)
        self.deviations = torch.nn.Parameter(torch.tensor([smooth, rough]))  # its digest tells models apart

    def forward(self, z_t: torch.Tensor, step: Step) -> Prediction:
        """E[x | z_t], and the deviation of q(z_s | z_t, x)."""
        alpha, sigma = step.alpha_t, step.sigma_t
        weights = [alpha * variance / (alpha**2 * variance + sigma**2) for variance in self.variances]
        smooth = smooth_part(z_t.double())
        x_hat = weights[0] * smooth + weights[1] * (z_t.double() - smooth)
        return Prediction(x_hat, torch.full_like(x_hat, step.posterior_sd))


def smooth_part(x: torch.Tensor) -> torch.Tensor:
    """Means over blocks of 4x4 pixels, repeated to the size of x [B, C, H, W]."""
    means = torch.nn.functional.avg_pool2d(x, 4)
    return means.repeat_interleave(4, 2).repeat_interleave(4, 3)


def gaussian_model(smooth: float = 0.5, rough: float = 0.1, image_size: int = 16) -> Model:
    """A model that knows its source exactly."""
    return as_model("gaussian", GaussianSource(smooth, rough), {**CONFIG, "image_size": image_size})
