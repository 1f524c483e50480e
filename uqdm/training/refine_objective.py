"""The training loss of a second stage: conditional flow matching (Lipman et al. 2023)."""

from __future__ import annotations

from typing import Any

import torch

from uqdm.diffusion.images import to_data
from uqdm.refine.network import RefineNetwork
from uqdm.training.contract import Batch, Objective, Rates
from uqdm.training.data.pairs import PairBatch
from uqdm.training.recipe import TrainingPlan


class RefineObjective(Objective):
    """Mean of (t^2 + (1 - t)^2) |v - (r - n)|^2 over samples, v the network's velocity at r_t = (1 - t) n + t r.

    The weight makes the squared error that of the network's own output. A share of the samples has t = 0, where the
    network sees no r_t, and learns E[r | condition]. With ``autocast`` the network computes in bfloat16 where torch
    allows it.
    """

    def __init__(self, network: RefineNetwork, *, mean_share: float, autocast: bool = False):
        super().__init__()
        self.network, self.mean_share, self.autocast = network, mean_share, autocast

    @property
    def n_choices(self) -> int:
        """Nothing is chosen."""
        return 1

    @property
    def rate_names(self) -> list[str]:
        """See :attr:`Objective.rate_names`; ``total`` is the mean rate of the files, errors are those of the scaled
        residual."""
        return ["total", "flow_error", "mean_error"]

    def inputs(self, batch: Batch, plan: TrainingPlan, iteration: int, generator: torch.Generator) -> tuple[Any, ...]:
        """See :meth:`Objective.inputs`."""
        pairs: PairBatch = batch.samples
        device = generator.device
        x = to_data(pairs.images_uint8).to(device)
        noise = torch.empty((batch.n, *x.shape[1:]), device=device).normal_(generator=generator)[batch.rows]
        drawn = torch.empty((2, batch.n), device=device).uniform_(generator=generator)[:, batch.rows]
        t = torch.where(drawn[0] < self.mean_share, 0.0, drawn[1])
        conditions = pairs.conditions
        if conditions.latents is not None:
            condition = torch.from_numpy(conditions.latents)
        else:
            assert conditions.pictures_uint8 is not None
            condition = to_data(conditions.pictures_uint8)
        return x, condition.to(device), torch.from_numpy(conditions.log2_bpp).to(device), noise, t

    def forward(
        self,
        x: torch.Tensor,
        condition: torch.Tensor,
        log2_bpp: torch.Tensor,
        noise: torch.Tensor,
        t: torch.Tensor,
    ) -> tuple[torch.Tensor, Rates]:
        """The loss of images x [B, 3, H, W] in [-1, 1] with noise N(0, 1) of that shape, at times t [B]."""
        residual = (x - self.network.base(condition, x)) / self.network.scale(log2_bpp)
        time = t[:, None, None, None]
        r_t = (1 - time) * noise + time * residual
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.autocast):
            velocity = self.network(r_t, t, self.network.given(condition), log2_bpp)
        torch.clear_autocast_cache()
        weight = time**2 + (1 - time) ** 2
        errors = (weight * (velocity.float() - (residual - noise)) ** 2).flatten(1).mean(1)
        rates: Rates = {"total": (2**log2_bpp).mean()}
        for name, chosen in (("flow_error", t > 0), ("mean_error", t == 0)):
            if chosen.any():
                rates[name] = errors[chosen].mean().detach()
        return errors.mean(), rates

    def compile_networks(self) -> None:
        """See :meth:`Objective.compile_networks`."""
        self.network.compile()
