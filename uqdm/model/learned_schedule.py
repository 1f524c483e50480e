"""A learnable noise schedule: its constants are tensors with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from uqdm.model.schedule import Schedule, Step

LEARNABLE = ("slope", "gamma_max")


class LearnedSchedule(nn.Module):
    """The linear schedule of :class:`uqdm.model.schedule.Schedule` with learned parameters.

    ``learned`` names any of ``slope`` and ``gamma_max``. The published models learn the slope alone. Without learned
    parameters, steps are the coder's constants.

    >>> LearnedSchedule(Schedule(18.3, 6.0, 4), ["slope"]).step(3).alpha_s
    tensor(1.0000, dtype=torch.float64, grad_fn=<SqrtBackward0>)
    """

    slope: torch.Tensor
    gamma_max: torch.Tensor

    def __init__(self, schedule: Schedule, learned: Sequence[str] = ()):
        super().__init__()
        unknown = sorted(set(learned) - set(LEARNABLE))
        if unknown:
            raise ValueError(f"schedule cannot learn {', '.join(unknown)}; it can learn {', '.join(LEARNABLE)}")
        self._start, self.n_steps = schedule, schedule.n_steps
        for name in LEARNABLE:
            value = torch.tensor(getattr(schedule, name), dtype=torch.float64)
            if name in learned:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    @property
    def is_learned(self) -> bool:
        """Whether any parameter is learned."""
        return bool(self._parameters)

    def fixed(self) -> Schedule:
        """The schedule with the current values, for coding."""
        if not self.is_learned:
            return self._start
        return Schedule(float(self.slope.detach()), float(self.gamma_max.detach()), self.n_steps)

    def step(self, index: int) -> Step:
        """Constants of one step: floats, or where the schedule is learned float64 tensors of no dimension."""
        if not self.is_learned:
            return self._start.step(index)
        return self._constants(torch.tensor(float(index), dtype=torch.float64, device=self.slope.device), index)

    def steps(self) -> list[Step]:
        """Constants of all steps in coding order."""
        return [self.step(index) for index in range(self.n_steps)]

    def steps_of(self, indices: torch.Tensor) -> Step:
        """Constants for samples of different steps, int64 [B]: tensors [B, 1, 1, 1] in float32."""
        constants = vars(self._constants(indices.to(self.slope.device, torch.float64), indices))
        shaped: dict[str, Any] = {
            name: value if name == "index" else value.float().reshape(-1, 1, 1, 1) for name, value in constants.items()
        }
        return Step(**shaped)

    def _constants(self, at: torch.Tensor, index: int | torch.Tensor) -> Step:
        # The formulas of Step, in float64 instead of exact arithmetic.
        gamma_t = self.gamma_max - self.slope * (at / self.n_steps)
        gamma_s = self.gamma_max - self.slope * ((at + 1) / self.n_steps)
        alpha_t, alpha_s = torch.sigmoid(-gamma_t).sqrt(), torch.sigmoid(-gamma_s).sqrt()
        sigma_t, sigma_s = torch.sigmoid(gamma_t).sqrt(), torch.sigmoid(gamma_s).sqrt()
        e = -torch.expm1(gamma_s - gamma_t)
        constants: dict[str, Any] = {
            "index": index,
            "gamma_t": gamma_t,
            "gamma_s": gamma_s,
            "alpha_t": alpha_t,
            "sigma_t": sigma_t,
            "alpha_s": alpha_s,
            "sigma_s": sigma_s,
            "z_weight": alpha_s * (1 - e) / alpha_t,
            "x_weight": alpha_s * e,
            "width": 12**0.5 * sigma_s * e.sqrt(),
            "forward_sd": sigma_t * e.sqrt(),
            "posterior_sd": sigma_s * e.sqrt(),
        }
        return Step(**constants)
