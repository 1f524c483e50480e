"""The values of x that are possible given the latents so far.

The noise of a step is uniform and so has bounds: given z_t and z_s, x is within width / (2 x_weight) of
(z_s - z_weight z_t) / x_weight. Over the steps these intervals shrink to one level of a pixel. A *bounded* density is
zero outside of them. This extends the paper, whose p(z_s | z_t) does not depend on the latents before z_t.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from uqdm.diffusion.images import N_LEVELS
from uqdm.model.schedule import Step

# In levels: more than the rounding of float32 latents, so that no possible level is excluded. The coder has integers.
_ROUNDING = 2e-3


@dataclass(frozen=True)
class Window:
    """First and last possible level of each coordinate, integers 0..255 in the shape of the image."""

    first: torch.Tensor
    last: torch.Tensor

    @classmethod
    def everything(cls, like: torch.Tensor) -> Window:
        """All levels.

        >>> Window.everything(torch.zeros(1)).edges()
        (tensor([-1.]), tensor([1.]))
        """
        return cls(torch.zeros_like(like), torch.full_like(like, N_LEVELS - 1))

    def after(self, z_t: torch.Tensor, z_s: torch.Tensor, step: Step) -> Window:
        """The window after the step from z_t to z_s."""
        centre = ((z_s - step.z_weight * z_t) / step.x_weight + 1) * (N_LEVELS / 2) - 0.5
        reach = step.width / step.x_weight * (N_LEVELS / 4) + _ROUNDING
        first = torch.maximum(self.first, torch.ceil(centre - reach))
        last = torch.minimum(self.last, torch.floor(centre + reach))
        return Window(first, torch.maximum(last, first))

    def edges(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The ends of the window as data in [-1, 1], half a level beyond its first and last level."""
        return 2 * self.first / N_LEVELS - 1, 2 * (self.last + 1) / N_LEVELS - 1
