"""Models so small that coding with them takes milliseconds; they run the same code as other models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import uqdm
from uqdm.model import checkpoint
from uqdm.model.checkpoint import Model
from uqdm.model.denoiser import Denoiser, Opened, Prediction
from uqdm.model.schedule import Schedule, Step
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


class SmallSections(Denoiser):
    """A denoiser of several sections a step, of convolutions with fixed weights; it was never trained.

    Sections are strips along diagonals, shifted by channel. The estimates for pictures and for coding differ.
    """

    def __init__(self, n_sections: Sequence[int], *, bounded: bool = False):
        super().__init__()
        self.bounded = bounded
        self.sections = list(n_sections)
        self.conv_in = torch.nn.ModuleList(torch.nn.Conv2d(3, 4, 3, padding=1) for _ in self.sections)
        self.conv_out = torch.nn.ModuleList(torch.nn.Conv2d(10, 6, 3, padding=1) for _ in self.sections)
        words = np.random.Philox(key=len(self.sections))  # its raw words are the same in every version of the library
        with torch.no_grad():
            for weights in self.parameters():
                uniform = words.random_raw(weights.numel()).astype(np.float64) / 2**64
                weights.copy_(torch.from_numpy((uniform - 0.5) * 0.6).reshape(weights.shape))

    def needs_input(self, step: Step) -> bool:
        return step.index > 0 or self.sections[0] > 1

    def n_sections(self, step: Step) -> int:
        return self.sections[step.index]

    def section_of(self, step: Step, channels: int, height: int, width: int) -> torch.Tensor:
        channel, row, column = torch.meshgrid(*map(torch.arange, (channels, height, width)), indexing="ij")
        return (channel + row + 2 * column) % self.sections[step.index]

    def forward(self, z_t: torch.Tensor, step: Step) -> Prediction:
        opened = self.begin(z_t, step)
        return Prediction(opened.x_hat, torch.full_like(opened.x_hat, step.forward_sd))

    def begin(self, z_t: torch.Tensor, step: Step) -> Opened:
        if not self.needs_input(step):
            return Opened(torch.zeros_like(z_t), (z_t.new_zeros(len(z_t), 4, *z_t.shape[2:]),))
        share = 0.25 / (0.25 + (step.sigma_t / step.alpha_t) ** 2)  # of the noisy data in the best linear estimate
        hidden = torch.relu(self.conv_in[step.index](z_t))
        return Opened(share / step.alpha_t * z_t + 0.02 * hidden[:, :3], (hidden,))

    def condition(self, opened: Opened, z_t: torch.Tensor, z_s: torch.Tensor, index: int, step: Step) -> Prediction:
        known = (self.section_of(step, *z_t.shape[1:]) < index).to(z_t.device).expand_as(z_t)
        error = torch.where(known, (z_s - step.z_weight * z_t) / step.x_weight - opened.x_hat, 0)
        out = self.conv_out[step.index](torch.cat([opened.features[0], error, known.to(z_t)], 1)).double()
        noise = step.sigma_t / step.alpha_t
        deviation = step.x_weight * noise * 0.5 / (0.25 + noise**2) ** 0.5
        x_hat = opened.x_hat.double() + 0.1 * deviation / step.x_weight * out[:, :3]
        return Prediction(x_hat, deviation * (0.3 * out[:, 3:]).exp())


def small_sections_codec(
    slope: float, n_sections: Sequence[int] = (1, 3, 4, 2), *, bounded: bool = False, **options: Any
) -> UQDM:
    """A model of 8x8 tiles whose steps have several sections, or bounded densities, its tolerances measured."""
    denoiser = SmallSections(n_sections, bounded=bounded).eval().requires_grad_(False)
    schedule = Schedule(slope=slope, gamma_max=6.0, n_steps=len(n_sections))
    digest = checkpoint._digest(denoiser, schedule, {"sections": list(n_sections), "bounded": bounded})
    model = Model("small-sections", denoiser, schedule, 8, {}, digest)
    config = {"tolerance": tolerance.to_data(tolerance.measure(model))}
    return UQDM(replace(model, config=config), **options)
