"""The cost of pictures in network calls and in multiply-accumulates (see :mod:`uqdm.progressive.cost`).

What the networks make of nothing is the same for all images: that call is not counted. Each state after a step is
opened by one call. The pixel step and the last stage have a call each; the picture after the pixel step needs both.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from uqdm.banded.network import N_BAND_SECTIONS, BandState, known_before
from uqdm.diffusion.choices import ANCESTRAL
from uqdm.model.sectioned import N_SECTIONS
from uqdm.progressive.banded.steps import Networks
from uqdm.progressive.cost import Costs


@dataclass(frozen=True)
class BandedCosts(Costs):
    """Multiply-accumulates of one tile: of opening a state, of the sections of a step, and of the late steps."""

    n_band_steps: int
    opening: int
    sections: int
    late_openings: tuple[int, int]
    late_sections: tuple[int, int]

    @classmethod
    def of(cls, networks: Networks) -> BandedCosts:
        """Counts on shapes alone: nothing is computed, on any device."""
        shapes = copy.deepcopy(networks.networks).to("meta")
        bands, size = shapes.bands, networks.model.image_size
        with torch.device("meta"), torch.inference_mode():
            z = torch.empty(1, bands.basis.shape[0], networks.grid, networks.grid, dtype=torch.float64)
            state, picture = BandState.empty(z), torch.empty(1, 3, size, size, dtype=torch.float64)
            with FlopCounterMode(display=False) as opening:
                opened = bands.open(0, state)
            with FlopCounterMode(display=False) as sections:
                bands.coefficients(picture)
                for index in range(N_BAND_SECTIONS):
                    bands.section(index, 0, opened, z[:, : known_before(index)])
            with FlopCounterMode(display=False) as first:
                pixel = shapes.open_pixel_step(picture, shapes.misfit(state, picture))
            with FlopCounterMode(display=False) as second:
                shapes.open_last_stage(picture, picture, picture)
            late = []
            for network in shapes.late_networks:
                with FlopCounterMode(display=False) as own:
                    for index in range(N_SECTIONS):
                        network.section(index, pixel, network.residuals(picture, pixel))
                late.append(own)
        opening_macs, section_macs, *rest = (
            counter.get_total_flops() // 2 for counter in (opening, sections, first, second, *late)
        )
        steps = networks.schedule.n_band_steps
        return cls(steps, opening_macs, section_macs, (rest[0], rest[1]), (rest[2], rest[3]))

    @property
    def encoding_calls(self) -> int:
        """See :attr:`Costs.encoding_calls`."""
        return self.n_band_steps + 2

    def calls(self, step: int | None, reconstruction: str) -> int:
        """See :meth:`Costs.calls`."""
        done = self._done(step, reconstruction)
        return done if done <= self.n_band_steps else self.n_band_steps + 2

    def macs(self, step: int | None, reconstruction: str) -> int:
        """See :meth:`Costs.macs`."""
        done = self._done(step, reconstruction)
        bands = min(done, self.n_band_steps) * (self.opening + self.sections)
        if done <= self.n_band_steps:
            return bands
        late = sum(self.late_openings) + self.late_sections[0]
        return bands + late + (self.late_sections[1] if done > self.n_band_steps + 1 else 0)

    def _done(self, step: int | None, reconstruction: str) -> int:
        """Steps that are decoded or sampled; the last stage counts as one."""
        return self.n_band_steps + 2 if step is None or reconstruction == ANCESTRAL else step
