"""A network for each step: small, at full resolution, without attention or time embedding.

With T = 4 steps each network specialises on one noise level. The first latent z_T is almost pure noise, so step 0 is a
learned constant without a network. This extends the paper, which has one network for all steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from uqdm.model.denoiser import Denoiser, Prediction, square_root, zero
from uqdm.model.schedule import Schedule, Step
from uqdm.text import counted

SIGMA_DATA = 0.5  # deviation of image data in [-1, 1], for input and output scaling (Karras et al. 2022, Table 1)


class DilatedBlock(nn.Module):
    """x + conv(relu(conv(relu(x)))); the second convolution starts at zero."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        zero(self.conv2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [B, width, H, W] to the same shape."""
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class StepNetwork(nn.Module):
    """Trunk of residual blocks from z_t to (x_hat, log of the deviation), 2C channels.

    It has a block for each entry of ``dilations``; the receptive field is 5 + sum(2 d + 2) pixels wide.
    """

    def __init__(self, channels: int, width: int, dilations: Sequence[int]):
        super().__init__()
        self.conv_in = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*[DilatedBlock(width, dilation) for dilation in dilations])
        self.conv_out = nn.Conv2d(width, 2 * channels, 3, padding=1)
        zero(self.conv_out)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Maps [B, C, H, W] to [B, 2C, H, W]."""
        return self.conv_out(F.relu(self.blocks(self.conv_in(z))))


class StepwiseDenoiser(Denoiser):
    """A constant for step 0 and a :class:`StepNetwork` for each further step.

    ``widths`` and ``dilations`` have an entry for each of the steps 1..T-1.
    """

    learns_schedule = True

    def __init__(
        self, schedule: Schedule, *, widths: Sequence[int], dilations: Sequence[Sequence[int]], channels: int = 3
    ):
        super().__init__()
        if not len(widths) == len(dilations) == schedule.n_steps - 1:
            raise ValueError(
                f"{counted(schedule.n_steps, 'step')} need {counted(schedule.n_steps - 1, 'width')} and lists of "
                "dilations"
            )
        self.channels = channels
        self.mean = nn.Parameter(torch.zeros(channels))
        self.log_factor = nn.Parameter(torch.zeros(channels))
        self.networks = nn.ModuleList(
            StepNetwork(channels, width, spread) for width, spread in zip(widths, dilations, strict=True)
        )

    def needs_input(self, step: Step) -> bool:
        """Step 0 is a constant."""
        return step.index > 0

    def forward(self, z_t: torch.Tensor, step: Step) -> Prediction:
        """See :meth:`uqdm.model.denoiser.Denoiser.forward`."""
        base = base_deviation(step)
        if step.index == 0:
            x_hat = self.mean[None, :, None, None].expand_as(z_t)
            return Prediction(x_hat, (base * self.log_factor.exp())[None, :, None, None].expand_as(z_t))
        # In the units of Karras et al. 2022 (Table 1): noisy data y = z / alpha with noise sd / SIGMA_DATA.
        noise = step.sigma_t / step.alpha_t
        total = square_root(SIGMA_DATA**2 + noise**2)
        out = self.networks[step.index - 1](z_t.to(self.mean.dtype) / step.alpha_t / total)
        # float64 from here on: rounding x_hat to float32 would add errors of the size of the network's own.
        residual, log_factor = out.double().chunk(2, dim=1)
        c_skip, c_out = SIGMA_DATA**2 / total**2, noise * SIGMA_DATA / total
        x_hat = c_skip / step.alpha_t * z_t.double() + c_out * residual
        return Prediction(x_hat, base * log_factor.clamp(-8.0, 8.0).exp())


def base_deviation(step: Step) -> float:
    """Deviation of the base density if x_hat had the error of the best linear estimate of white data.

    The uniform noise of the step is not included: p(z_s | z_t) is the base density convolved with that noise.
    """
    noise = step.sigma_t / step.alpha_t
    return step.x_weight * noise * SIGMA_DATA / square_root(SIGMA_DATA**2 + noise**2)
