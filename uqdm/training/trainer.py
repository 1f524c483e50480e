"""A small trainer for the steps of a model whose schedule is fixed.

The objective is the rate of the steps (Sec. 4.3, Yang et al. 2025): each iteration draws one step, sends random
crops through the forward process down to it, and takes a gradient step on the bits that it would cost.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from uqdm.diffusion.images import to_data
from uqdm.diffusion.process import transmit
from uqdm.model.denoiser import Denoiser
from uqdm.model.schedule import Schedule, Step
from uqdm.training.data import random_crops
from uqdm.training.losses import step_losses


class TrainingError(ValueError):
    """Training cannot go on; the message says at which iteration and why."""


@dataclass(frozen=True)
class Recipe:
    """How to train. Lists have an entry for each step of the schedule."""

    n_iterations: int
    step_shares: list[float]
    """Probability that an iteration trains the step."""
    batch_sizes: list[int]
    crop_sizes: list[int]
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warm_up: int = 100
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    seed: int = 0
    bfloat16: bool = True
    betas: tuple[float, float] = field(default=(0.9, 0.99))

    def rate_at(self, iteration: int) -> float:
        """Learning rate: linear warm-up, then a cosine down to 2 %."""
        warm = min(1.0, (iteration + 1) / self.warm_up)
        return self.learning_rate * warm * (0.02 + 0.49 * (1 + math.cos(math.pi * iteration / self.n_iterations)))


@dataclass(frozen=True)
class Progress:
    """What a callback sees: running means of the rate of each step, in bits per pixel."""

    iteration: int
    seconds: float
    step_bpp: list[float]


class Ema:
    """Exponential moving average of the parameters, each advanced only when it was trained."""

    def __init__(self, module: Denoiser, decay: float):
        self.decay = decay
        self.module = copy.deepcopy(module)
        self.module.requires_grad_(False)
        self.updates: dict[str, int] = {}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Takes in the parameters that have a gradient; warms up as (1 + n) / (10 + n)."""
        averages = dict(self.module.named_parameters())
        for name, value in module.named_parameters():
            if value.grad is not None:
                n = self.updates[name] = self.updates.get(name, 0) + 1
                averages[name].lerp_(value, 1 - min(self.decay, (1 + n) / (10 + n)))


def train(
    denoiser: Denoiser,
    schedule: Schedule,
    tiles_uint8: np.ndarray,
    recipe: Recipe,
    report: Callable[[Progress], Any] = lambda progress: None,
    report_every: int = 500,
) -> Denoiser:
    """Trains ``denoiser`` in place on tiles uint8 [N, H, W, 3], and returns its moving average.

    Raises :class:`TrainingError` when the loss is not finite.
    """
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    optimizer = torch.optim.AdamW(
        denoiser.parameters(), lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay
    )
    ema, means, start = Ema(denoiser, recipe.ema_decay), [math.nan] * schedule.n_steps, time.monotonic()
    denoiser.train()
    for iteration in range(recipe.n_iterations):
        index = int(rng.choice(schedule.n_steps, p=recipe.step_shares))
        crops = random_crops(tiles_uint8, recipe.batch_sizes[index], recipe.crop_sizes[index], rng)
        optimizer.param_groups[0]["lr"] = recipe.rate_at(iteration)
        optimizer.zero_grad(set_to_none=True)
        bpp = step_loss_bpp(denoiser, schedule, to_data(crops), index, bfloat16=recipe.bfloat16)
        if not torch.isfinite(bpp):
            raise TrainingError(
                f"iteration {iteration}: the rate of step {index} is {bpp.item()} bpp; lower the learning rate"
            )
        bpp.backward()
        nn.utils.clip_grad_norm_(denoiser.parameters(), recipe.clip_norm)
        optimizer.step()
        ema.update(denoiser)
        means[index] = _running(means[index], bpp.item())
        if (iteration + 1) % report_every == 0:
            report(Progress(iteration + 1, time.monotonic() - start, list(means)))
    ema.module.eval()
    return ema.module


def step_loss_bpp(
    denoiser: Denoiser, schedule: Schedule, x: torch.Tensor, index: int, *, bfloat16: bool = False
) -> torch.Tensor:
    """Mean rate of one step in bits per pixel, for data x [B, 3, H, W], with fresh noise."""
    return step_losses(denoiser, schedule, x, index, bfloat16=bfloat16).rate_bpp


def _running(mean: float, value: float) -> float:
    return value if math.isnan(mean) else 0.99 * mean + 0.01 * value


@torch.inference_mode()
def evaluate(denoiser: Denoiser, schedule: Schedule, images_uint8: np.ndarray, seed: int = 0) -> list[dict[str, float]]:
    """Ideal rate in bpp and PSNR in dB of x_hat at each step, means over images uint8 [N, H, W, 3]."""
    generator = torch.Generator().manual_seed(seed)

    def noise(index: int, shape: Iterable[int]) -> torch.Tensor:
        size = list(shape)
        return torch.randn(size, generator=generator) if index == 0 else torch.rand(size, generator=generator) - 0.5

    rows = [_evaluate_image(denoiser, schedule, to_data(image[None]), noise) for image in images_uint8]
    return [{key: float(np.mean([row[i][key] for row in rows])) for key in rows[0][i]} for i in range(schedule.n_steps)]


def _evaluate_image(denoiser: Denoiser, schedule: Schedule, x: torch.Tensor, noise: Any) -> list[dict[str, float]]:
    n_pixels = x.shape[-1] * x.shape[-2]
    rows = []
    for sent in transmit(denoiser, schedule, x, noise):
        mse = float(((sent.x_hat.clamp(-1, 1) - x) * 127.5).square().mean())
        psnr_db = 10 * math.log10(255**2 / max(mse, 1e-9))
        rows.append({"rate_bpp": float(sent.bits.sum()) / n_pixels, "x_hat_psnr_db": psnr_db})
    return rows


def step_names(schedule: Schedule) -> list[str]:
    """Names of the steps for tables, e.g. ``'step 1 (t=1 to 0.75)'``."""

    def name(step: Step) -> str:
        return f"step {step.index + 1} (t={schedule.time(step.index):g} to {schedule.time(step.index + 1):g})"

    return [name(step) for step in schedule.steps()]
