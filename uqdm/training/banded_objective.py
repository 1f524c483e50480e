"""The training loss of a process in bands: rates of all steps, and errors of the pictures between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from uqdm.banded.network import (
    N_BAND_SECTIONS,
    BandedNetworks,
    BandState,
    OpenedBands,
    band_section,
    known_before,
)
from uqdm.banded.schedule import CELLS_PER_OCTAVE, SENT_FROM
from uqdm.diffusion.density import bin_log_mass, bounded_log_mass
from uqdm.training.contract import Batch, Objective, Rates
from uqdm.training.recipe import BandedRecipe, TrainingPlan

MIDDLE = 127.5
"""The level that networks see as 0."""
EDGE = 128.0
_CENTRE_UNIT = 64.0  # of the error before the first step


@dataclass(frozen=True)
class Terms:
    """Rates by step in bits per pixel, what is minimized in their place, and mean squared errors; one of each image."""

    rates: list[torch.Tensor]
    minimized: list[torch.Tensor]
    errors: list[torch.Tensor]
    unbounded: list[torch.Tensor]
    pictures: list[torch.Tensor]


class BandedObjective(Objective):
    """Sum over the steps of weighted rates, and over the states between them of weighted errors of x_hat.

    A coordinate of a band step is sent where its predicted deviation says so, as in coding. The density of all
    coordinates is trained, so that predictions are good on both sides of that decision. With ``autocast`` networks
    compute in bfloat16 where torch allows it.
    """

    def __init__(
        self,
        networks: BandedNetworks,
        step_weights: Sequence[float],
        picture_weights: Sequence[float],
        *,
        autocast: bool = False,
    ):
        super().__init__()
        self.networks, self.autocast = networks, autocast
        self.step_weights, self.picture_weights = list(step_weights), list(picture_weights)

    @property
    def n_choices(self) -> int:
        """All steps and the last stage are trained in each iteration."""
        return len(self.step_weights)

    @property
    def n_steps(self) -> int:
        """Steps before the last stage."""
        return self.networks.schedule.n_steps

    @property
    def rate_names(self) -> list[str]:
        """See :attr:`Objective.rate_names`."""
        return [*(f"step_{i + 1}" for i in range(self.n_steps)), "last_stage", "x_hat_error"]

    def inputs(self, batch: Batch, plan: TrainingPlan, iteration: int, generator: torch.Generator) -> tuple[Any, ...]:
        """See :meth:`Objective.inputs`."""
        assert isinstance(plan, BandedRecipe)
        device, schedule = generator.device, self.networks.schedule
        x = torch.from_numpy(batch.samples).to(device).permute(0, 3, 1, 2).float() - MIDDLE
        noise = torch.empty(batch.n, schedule.n_band_steps, *x.shape[1:], device=device)
        noise = noise.uniform_(generator=generator)[batch.rows] - 0.5
        dither = torch.randint(schedule.pixel_width, (batch.n, *x.shape[1:]), generator=generator, device=device)
        return x, noise, dither[batch.rows], plan.unbounded_at(iteration), plan.trains_bands(iteration)

    def forward(
        self,
        x: torch.Tensor,
        noise: torch.Tensor,
        dither: torch.Tensor,
        unbounded_weight: float,
        trains_bands: bool,
    ) -> tuple[torch.Tensor, Rates]:
        """The loss of images [B, 3, H, W]: levels minus 127.5.

        ``noise`` [B, K, 3, H, W] is uniform in (-1/2, 1/2), ``dither`` int64 [B, 3, H, W] in 0..pixel_width - 1. The
        loss is that of the bands, or that of the late steps, whose inputs then have no gradients.
        """
        terms = Terms([], [], [], [], [])
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.autocast):
            with torch.set_grad_enabled(trains_bands and torch.is_grad_enabled()):
                state = self._band_steps(terms, x, noise)
            if not trains_bands:
                self._late_steps(terms, state, x, dither)
        torch.clear_autocast_cache()
        units = [_CENTRE_UNIT, *self.networks.schedule.sigmas, self.networks.schedule.pixel_width / math.sqrt(12)]
        errors = [error.mean() / unit**2 for error, unit in zip(terms.errors, units, strict=False)]
        if trains_bands:
            loss = _weighted(self.step_weights[:-2], terms.minimized) + _weighted(self.picture_weights[:-1], errors)
        else:
            loss = _weighted(self.step_weights[-2:], terms.minimized[-2:]) + self.picture_weights[-1] * errors[-1]
            loss = loss + unbounded_weight * _weighted(self.step_weights[-2:], terms.unbounded)
        names = [f"step_{i + 1}" for i in range(self.n_steps)] + ["last_stage"]
        rates = {name: rate.mean() for name, rate in zip(names, terms.rates, strict=False)}
        rates["x_hat_error"] = torch.stack(errors).mean()
        return loss, {name: value.detach() for name, value in rates.items()}

    def compile_networks(self) -> None:
        """See :meth:`Objective.compile_networks`."""
        self.networks.compile()

    def terms(self, x: torch.Tensor, noise: torch.Tensor, dither: torch.Tensor) -> Terms:
        """Rates, errors and pictures of all steps; arguments are those of :meth:`forward`."""
        terms = Terms([], [], [], [], [])
        self._late_steps(terms, self._band_steps(terms, x, noise), x, dither)
        return terms

    def _band_steps(self, terms: Terms, x: torch.Tensor, noise: torch.Tensor) -> BandState:
        """The state after all band steps."""
        bands, schedule = self.networks.bands, self.networks.schedule
        coefficients = bands.coefficients(x)
        state = BandState.empty(coefficients)
        for n_done in range(schedule.n_band_steps + 1):
            opened = bands.open(n_done, state)
            terms.errors.append(_error(opened.picture, x))
            terms.pictures.append(opened.picture.detach())
            if n_done < schedule.n_band_steps:
                u = noise[:, n_done].reshape(coefficients.shape)
                state, rate, minimized = self._band_step(n_done, state, opened, coefficients, u)
                terms.rates.append(rate)
                terms.minimized.append(minimized)
        return state

    def _band_step(
        self, n_done: int, state: BandState, opened: OpenedBands, x: torch.Tensor, u: torch.Tensor
    ) -> tuple[BandState, torch.Tensor, torch.Tensor]:
        """The state after a step, its rate, and the rate if all coordinates were sent; of coefficients ``x``."""
        bands, schedule = self.networks.bands, self.networks.schedule
        with torch.no_grad():
            centre = bands.coefficients(opened.picture.clamp(-EDGE, EDGE))
            constants = schedule.constants[n_done]
            e, width = (_at(values, state.done, x) for values in (constants.x_weight, constants.width))
            noise = width / e * u
            unit = (opened.spread**2 + (width / e) ** 2 / 12).sqrt()
            residuals = (x + noise - centre) / unit
        known, sent = torch.zeros_like(x), torch.zeros_like(x, dtype=torch.bool)
        rate = minimized = torch.zeros(len(x), device=x.device)
        for index in range(N_BAND_SECTIONS):
            of, blocks = band_section(index, *x.shape[2:])
            blocks = blocks.to(x.device)
            before = known[:, : known_before(index)]
            mean, log_deviation = (found.float() for found in bands.section(index, n_done, opened, before))
            spread = opened.spread[:, of]
            deviation = spread * log_deviation.exp()
            mass = bin_log_mass(
                (x + noise - centre)[:, of],
                spread * mean,
                deviation,
                (width / e)[:, of],  # type: ignore[arg-type]
            )
            bits = torch.where(blocks, mass / -math.log(2), 0.0)
            chosen = sends(deviation.detach(), schedule.sigmas[n_done]) & blocks
            sent[:, of] |= chosen
            known = known.clone()  # the heads before keep theirs for the gradient
            known[:, of] = torch.where(chosen, residuals[:, of], known[:, of])
            rate = rate + torch.where(chosen, bits, 0.0).flatten(1).sum(1)
            minimized = minimized + bits.flatten(1).sum(1)
        pixels = x[0].numel() / 3
        z = torch.where(sent, (1 - e) * state.z + e * x + width * u, state.z)
        done = torch.where(sent, n_done + 1, state.done)
        return BandState(z, done), rate / pixels, minimized / pixels

    def _late_steps(self, terms: Terms, state: BandState, x: torch.Tensor, dither: torch.Tensor) -> None:
        networks, width = self.networks, self.networks.schedule.pixel_width
        picture = terms.pictures[-1].clamp(-EDGE, EDGE)  # as in coding
        misfit = networks.misfit(state, picture)
        z = pixel_latent(x, dither, width)
        everything = torch.full_like(x, -EDGE), torch.full_like(x, EDGE)
        left = (z - width / 2).clamp(min=-EDGE), (z + width / 2).clamp(max=EDGE)
        first = networks.open_pixel_step(picture, misfit)
        last = networks.open_last_stage(picture, misfit, z)
        terms.errors.append(_error(last.x_hat, x))
        terms.pictures.append(last.x_hat.detach())
        pixel_step, last_stage = networks.late_networks
        for network, step, values, size, bounds in (
            (pixel_step, first, z, width, everything),
            (last_stage, last, x, 1, left),
        ):
            mean, log_deviation = network.all_sections(step, network.residuals(values, step))
            mean = step.x_hat.detach() + network.unit * mean.float()
            deviation = network.unit * log_deviation.float().exp()
            bits = -bounded_log_mass(values, mean, deviation, size, bounds, least=1.0) / math.log(2)
            free = -bin_log_mass(values, mean, deviation, size) / math.log(2)
            per_pixel = x[0].numel() / 3
            for kept in (terms.rates, terms.minimized):
                kept.append(bits.flatten(1).sum(1) / per_pixel)
            terms.unbounded.append(free.flatten(1).sum(1) / per_pixel)


@dataclass(frozen=True)
class Measurement:
    """Mean rates of all steps and the last stage, mean PSNR after 0, 1, ... steps, and the pictures [N, H, W, 3]."""

    rates_bpp: list[float]
    psnr_db: list[float]
    pictures_uint8: list[np.ndarray]


@torch.inference_mode()
def measured(objective: BandedObjective, images_uint8: np.ndarray) -> Measurement:
    """Measures a model on images uint8 [N, H, W, 3], with noise from a seed of its own."""
    device = next(objective.parameters()).device
    x = torch.from_numpy(images_uint8).to(device).permute(0, 3, 1, 2).float() - MIDDLE
    schedule = objective.networks.schedule
    generator = torch.Generator(device).manual_seed(0)
    noise = torch.rand(len(x), schedule.n_band_steps, *x.shape[1:], generator=generator, device=device) - 0.5
    dither = torch.randint(schedule.pixel_width, x.shape, generator=generator, device=device)
    terms = objective.terms(x, noise, dither)
    levels = [(picture.clamp(-MIDDLE, MIDDLE) + MIDDLE).round() for picture in terms.pictures]
    errors = [(shown - MIDDLE - x).square().flatten(1).mean(1).double() for shown in levels]
    psnr_db = [float((10 * torch.log10(255**2 / error)).mean()) for error in errors]
    pictures_uint8 = [shown.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy() for shown in levels]
    return Measurement([float(rate.mean()) for rate in terms.rates], psnr_db, pictures_uint8)


def sends(deviation: torch.Tensor, sigma: float) -> torch.Tensor:
    """Whether a coordinate with a predicted deviation is sent in a step to noise ``sigma``."""
    return deviation >= sigma * 2 ** (SENT_FROM / CELLS_PER_OCTAVE)


def pixel_latent(x: torch.Tensor, dither: torch.Tensor, width: int) -> torch.Tensor:
    """The middle of the ``width`` levels that the pixel step leaves for levels minus 127.5.

    >>> pixel_latent(torch.tensor([-127.5, -126.5, 127.5]), torch.tensor([0, 6, 0]), 7).tolist()
    [-124.5, -123.5, 127.5]
    """
    k = torch.floor((x + MIDDLE + dither) / width)
    return width * k - dither + (width - 1) / 2 - MIDDLE


def _weighted(weights: Sequence[float], values: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack([weight * value.mean() for weight, value in zip(weights, values, strict=True)]).sum()


def _error(picture: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return (picture.float() - x).square().flatten(1).mean(1)


def _at(values: Any, done: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(values).to(like)[done]
