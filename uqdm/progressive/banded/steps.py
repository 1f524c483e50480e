"""The steps of a process in bands, in exact integers: the same code encodes, decodes and samples.

Latents are z = (k - w + 1/2) D with the symbol k and the dither w = (2 j + 1) / 512, j in 0..255 shared. A symbol is
k = floor(((1 - e) z_t + e x) / D + w), and has the logistic distribution with location
((1 - e) z_t + e x_hat) / D + w (eq. 8, Yang et al. 2025, coordinate by coordinate).
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.banded.model import BandedModel
from uqdm.banded.network import (
    LATE_DEVIATIONS,
    N_BAND_SECTIONS,
    BandedNetworks,
    BandState,
    OpenedBands,
    OpenedPixels,
    PixelNetwork,
    band_section,
    known_before,
)
from uqdm.coding.bounds import Bounds
from uqdm.coding.logistic import LOCATION_BITS, SCALE_UNITS
from uqdm.coding.randomness import DITHER_LEVELS, dither
from uqdm.diffusion.density import LOGISTIC_SCALE_PER_DEVIATION, bin_log_mass, bounded_log_mass
from uqdm.diffusion.images import N_LEVELS
from uqdm.model.sectioned import BLOCK, N_SECTIONS, ORDER
from uqdm.progressive.banded import kernels
from uqdm.progressive.banded.rounding import Rounding
from uqdm.progressive.banded.symbols import Symbols

MIDDLE = 127.5
"""The level that networks see as 0."""
_EDGE = N_LEVELS / 2 - 0.5  # of a picture: the middle of the first and of the last level


class Networks:
    """A model's networks in float64 on a device, and integer constants of its steps."""

    @float32_arithmetic()
    def __init__(self, model: BandedModel, device: torch.device):
        self.model, self.device, self.schedule = model, device, model.schedule
        self.networks: BandedNetworks = copy.deepcopy(model.networks).to(device, torch.float64)
        self.grid = model.image_size // 8

    @property
    def n_coordinates(self) -> int:
        """Coordinates of a tile."""
        return 3 * self.model.image_size**2

    def coefficients(self, levels: np.ndarray) -> np.ndarray:
        """Coefficients float64 [B, 192, h, w] of levels [B, 3, S, S]."""
        picture = torch.from_numpy(levels - MIDDLE).to(self.device)
        return self.networks.bands.coefficients(picture).cpu().numpy()

    @functools.cached_property
    def scale_offsets(self) -> np.ndarray:
        """Of each band step and each last step of a coordinate: log2 of e s / D over s / sigma, int64 [K, K + 1]."""
        rows = [
            [
                round(SCALE_UNITS * math.log2(e * LOGISTIC_SCALE_PER_DEVIATION * sigma / width))
                for e, width in zip(constants.x_weight, constants.width, strict=True)
            ]
            for sigma, constants in zip(self.schedule.sigmas, self.schedule.constants, strict=True)
        ]
        return np.array(rows, np.int64)

    @functools.cached_property
    def log2_sigmas(self) -> list[float]:
        """Binary logarithms of the noise levels."""
        return [math.log2(sigma) for sigma in self.schedule.sigmas]


@dataclass(frozen=True)
class Known:
    """What is decoded of B tiles after some steps, with what the networks make of it."""

    n_done: int
    state: BandState
    opened: OpenedBands
    late: OpenedPixels | None = None
    """The opened last stage, after the pixel step."""
    window: tuple[np.ndarray, np.ndarray] | None = None
    """First and last level that are possible after the pixel step, int64 [B, 3, S, S]."""

    @property
    def x_hat(self) -> np.ndarray:
        """The estimate of the image in levels from -127.5 to 127.5, float64 [B, 3, S, S]."""
        picture = self.opened.picture if self.late is None else self.late.x_hat
        return picture.clamp(-_EDGE, _EDGE).cpu().numpy()

    def picture(self, rounding: Rounding) -> np.ndarray:
        """Levels uint8 [B, 3, S, S] of x_hat, the nearest possible ones."""
        levels = rounding.levels(self.x_hat + N_LEVELS / 2).clip(0, N_LEVELS - 1)
        return (levels if self.window is None else levels.clip(*self.window)).astype(np.uint8)


@dataclass(frozen=True)
class Coded:
    """What a step coded, in the order of the stream, and its ideal bits by the unrounded densities, float64 [B]."""

    symbols: list[list[np.ndarray]]
    """By tile: the symbols int64 [N] of each section."""
    ideal_bits: np.ndarray

    @classmethod
    def nothing(cls, n_tiles: int) -> Coded:
        """Before the first section."""
        return cls([[] for _ in range(n_tiles)], np.zeros(n_tiles))


@float32_arithmetic()
@torch.inference_mode()
def begin(networks: Networks, n_tiles: int) -> Known:
    """Before the first step."""
    shape = (n_tiles, networks.networks.bands.basis.shape[0], networks.grid, networks.grid)
    state = BandState.empty(torch.zeros(shape, dtype=torch.float64, device=networks.device))
    return Known(0, state, networks.networks.bands.open(0, state))


@dataclass(frozen=True)
class Draws:
    """The shared randomness of B tiles: seeds, and positions in their images."""

    seeds: Sequence[int]
    positions: Sequence[int]

    def dither(self, step: int, size: int) -> np.ndarray:
        """j of a step, counted from 1: int64 [B, size], in 0..255."""
        return np.stack([dither(s, step, p, size) for s, p in zip(self.seeds, self.positions, strict=True)])


@float32_arithmetic()
@torch.inference_mode()
def advance(
    networks: Networks, known: Known, draws: Draws, rounding: Rounding, symbols: Symbols, *, ideal: bool = False
) -> tuple[Known, Coded]:
    """Codes the next step: a band step, the pixel step, or the last stage, whose result has one level as its window.

    ``symbols.data`` are coefficients for a band step, else levels [B, 3, S, S].
    """
    if known.n_done < networks.schedule.n_band_steps:
        return _BandStep(networks, known, draws, rounding, ideal=ideal).run(symbols)
    if known.late is None:
        return _pixel_step(networks, known, draws, rounding, symbols, ideal=ideal)
    return _last_stage(networks, known, rounding, symbols, ideal=ideal)


# ---- band steps ------------------------------------------------------------------------------------


@dataclass
class _BandStep:
    """A step in bands; arrays are [B, 192, h, w]."""

    networks: Networks
    known: Known
    draws: Draws
    rounding: Rounding
    ideal: bool = field(kw_only=True)

    def run(self, symbols: Symbols) -> tuple[Known, Coded]:
        bands, index = self.networks.networks.bands, self.known.n_done
        opened, state = self.known.opened, self.known.state
        self._constants = self.networks.schedule.constants[index]
        self._z, self._last = state.z.cpu().numpy(), state.done.cpu().numpy()
        self._centre = bands.coefficients(opened.picture.clamp(-N_LEVELS / 2, N_LEVELS / 2)).cpu().numpy()
        self._spread = opened.spread.cpu().numpy()
        self._j = self.draws.dither(index + 1, self._z[0].size).reshape(self._z.shape)
        self._n_s, self._done, self._residuals = self._z.copy(), self._last.copy(), np.zeros_like(self._z)
        coded = Coded.nothing(len(self._z))
        for section in range(N_BAND_SECTIONS):
            of, blocks = band_section(section, *self._z.shape[2:])
            known = torch.from_numpy(self._residuals[:, : known_before(section)]).to(state.z)
            outputs = bands.section(section, index, opened, known)
            mean, log_deviation = (out.cpu().numpy().reshape(len(self._z), -1) for out in outputs)
            for row in range(len(self._z)):
                self._section(row, of, blocks.numpy().ravel(), mean[row], log_deviation[row], symbols, coded)
        after = BandState(torch.from_numpy(self._n_s).to(state.z), torch.from_numpy(self._done).to(state.done))
        return Known(index + 1, after, bands.open(index + 1, after)), coded

    def _section(
        self,
        row: int,
        of: slice,
        blocks: np.ndarray,
        mean: np.ndarray,
        log_deviation: np.ndarray,
        symbols: Symbols,
        coded: Coded,
    ) -> None:
        """A section of one tile."""
        index = self.known.n_done
        centre, spread, z, last, j, n_s, done, residuals = (
            values[row, of].reshape(-1)
            for values in (
                self._centre, self._spread, self._z, self._last, self._j, self._n_s, self._done, self._residuals
            )
        )  # fmt: skip
        weights, widths = self._constants.x_weight, self._constants.width
        offsets = self.networks.scale_offsets[index]
        places, locations, scales, exact, deviations, clear = kernels.band_outputs(
            mean, log_deviation, centre, spread, z, last, j, blocks, weights, widths, offsets,
            self.networks.log2_sigmas[index], self.rounding.shift(row),
        )  # fmt: skip
        self.rounding.clear[row] &= clear
        wanted = None
        if symbols.data is not None:
            wanted = kernels.band_symbols(symbols.data[row, of].reshape(-1), z, last, j, places, weights, widths)
        k = symbols.free(row, locations, scales, wanted)
        coded.symbols[row].append(k)
        if self.ideal:
            w = (2 * j[places] + 1) / (2 * DITHER_LEVELS)
            coded.ideal_bits[row] += free_bits(k, exact + w, deviations)
        kernels.band_latents(k, z, last, j, places, centre, spread, weights, widths, n_s, done, index + 1, residuals)


def free_bits(symbols: np.ndarray, location: np.ndarray, deviation: np.ndarray) -> float:
    """Information of symbols k, whose bins are [k, k + 1], under logistic densities in bins."""
    z, mean, s = (torch.from_numpy(np.ascontiguousarray(v)) for v in (symbols + 0.5, location, deviation))
    return float(bin_log_mass(z, mean, s, 1.0).sum()) / -math.log(2)


def bounded_bits(symbols: np.ndarray, location: np.ndarray, deviation: np.ndarray, bounds: Bounds) -> float:
    """The same for densities that are cut off at bounds."""
    ends = (bounds.low / (1 << LOCATION_BITS), bounds.high / (1 << LOCATION_BITS))
    z, mean, s, low, high = (torch.from_numpy(v) for v in (symbols + 0.5, location, deviation, *ends))
    return float(bounded_log_mass(z, mean, s, 1.0, (low, high), least=1 / N_LEVELS).sum()) / -math.log(2)


# ---- pixel step and last stage ---------------------------------------------------------------------


def _pixel_step(
    networks: Networks, known: Known, draws: Draws, rounding: Rounding, symbols: Symbols, *, ideal: bool
) -> tuple[Known, Coded]:
    """Leaves ``pixel_width`` levels of each coordinate: v = W k - j + 0, 1, ... W - 1 with a dither j in 0..W - 1."""
    width, size = networks.schedule.pixel_width, networks.model.image_size
    picture = known.opened.picture.clamp(-N_LEVELS / 2, N_LEVELS / 2)
    misfit = networks.networks.misfit(known.state, picture)
    opened = networks.networks.open_pixel_step(picture, misfit)
    j = draws.dither(known.n_done + 1, networks.n_coordinates) * width // DITHER_LEVELS
    j = j.reshape(-1, 3, size, size)
    bounds = Bounds(
        (j << LOCATION_BITS) // width,
        ((N_LEVELS + j) << LOCATION_BITS) // width,
        j // width,
        (N_LEVELS - 1 + j) // width,
    )
    network, _ = networks.networks.late_networks
    step = _LateStep(network, opened, rounding, bounds, width=width, shift=j, ideal=ideal)
    k, coded = step.run(symbols)
    window = (width * k - j).clip(0), (width * k - j + width - 1).clip(max=N_LEVELS - 1)
    z = torch.from_numpy(width * k - j + (width - 1) / 2 - MIDDLE).to(picture)
    late = networks.networks.open_last_stage(picture, misfit, z)
    return Known(known.n_done + 1, known.state, known.opened, late, window), coded


def _last_stage(
    networks: Networks, known: Known, rounding: Rounding, symbols: Symbols, *, ideal: bool
) -> tuple[Known, Coded]:
    """Chooses a level of each window."""
    assert known.late is not None
    assert known.window is not None
    first, last = known.window
    bounds = Bounds(first << LOCATION_BITS, (last + 1) << LOCATION_BITS, first, last)
    _, network = networks.networks.late_networks
    step = _LateStep(network, known.late, rounding, bounds, width=1, shift=np.zeros_like(first), ideal=ideal)
    levels, coded = step.run(symbols)
    return Known(known.n_done + 1, known.state, known.opened, known.late, (levels, levels)), coded


@dataclass
class _LateStep:
    """Coding of bounded symbols k = floor((v + shift) / width) of levels v; arrays are [B, 3, S, S]."""

    network: PixelNetwork
    opened: OpenedPixels
    rounding: Rounding
    bounds: Bounds
    width: int = field(kw_only=True)
    shift: np.ndarray = field(kw_only=True)
    ideal: bool = field(kw_only=True)

    def run(self, symbols: Symbols) -> tuple[np.ndarray, Coded]:
        """The symbols, int64, section by section."""
        bounds = [_by_section(part) for part in vars(self.bounds).values()]
        self._by_section = _Sections(
            _by_section(self.opened.x_hat.cpu().numpy()) + N_LEVELS / 2, _by_section(self.shift), Bounds(*bounds)
        )
        data = None if symbols.data is None else _by_section(symbols.data)
        found = np.zeros_like(self._by_section.shift)
        residuals = torch.zeros(found.shape, dtype=torch.float64, device=self.opened.x_hat.device)
        coded = Coded.nothing(len(found))
        for number in range(N_SECTIONS):
            outputs = self.network.section(number, self.opened, residuals)
            mean, log_deviation = (out[:, 0].cpu().numpy() for out in outputs)
            for row in range(len(found)):
                self._section(number, row, mean[row].ravel(), log_deviation[row].ravel(), data, symbols, found, coded)
            centre, shift = self._by_section.centre[:, number], self._by_section.shift[:, number]
            middle = self.width * found[:, number] - shift + self.width / 2
            residuals[:, number] = torch.from_numpy((middle - centre) / self.network.unit).to(residuals)
        return _to_pixels(found), coded

    def _section(
        self,
        number: int,
        row: int,
        mean: np.ndarray,
        log_deviation: np.ndarray,
        data: np.ndarray | None,
        symbols: Symbols,
        found: np.ndarray,
        coded: Coded,
    ) -> None:
        """A section of one tile."""
        unit = LATE_DEVIATIONS[self.network.index]
        centre, shift = (part[row, number].ravel() for part in (self._by_section.centre, self._by_section.shift))
        log2_scale = math.log2(unit * LOGISTIC_SCALE_PER_DEVIATION / self.width)
        locations, scales, exact, exponents, clear = kernels.late_outputs(
            mean, log_deviation, centre, shift, unit, self.width, log2_scale, self.rounding.shift(row)
        )
        self.rounding.clear[row] &= clear
        bounds = self._by_section.bounds.at(row, number).flat
        wanted = None if data is None else (data[row, number].ravel() + shift) // self.width
        k = symbols.bounded(row, locations, scales, bounds, wanted)
        coded.symbols[row].append(k)
        if self.ideal:
            coded.ideal_bits[row] += bounded_bits(k, exact, np.exp2(exponents) / LOGISTIC_SCALE_PER_DEVIATION, bounds)
        found[row, number] = k.reshape(found.shape[2:])


@dataclass(frozen=True)
class _Sections:
    """What the sections of a late step have, [B, 12, S/2, S/2] each: the centre in levels from 0 on, and integers."""

    centre: np.ndarray
    shift: np.ndarray
    bounds: Bounds


def _by_section(values: np.ndarray) -> np.ndarray:
    """[B, 3, S, S] to [B, 12, S/2, S/2] in the order of coding: one of each 2 x 2 block of one colour.

    >>> _by_section(np.arange(12).reshape(1, 3, 2, 2)).ravel().tolist()
    [4, 0, 8, 7, 3, 11, 5, 1, 9, 6, 2, 10]
    """
    n, channels, height, width = values.shape
    blocks = values.reshape(n, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(0, 1, 3, 5, 2, 4)
    return blocks.reshape(n, N_SECTIONS, height // BLOCK, width // BLOCK)[:, list(ORDER)]


def _to_pixels(values: np.ndarray) -> np.ndarray:
    """Inverse of :func:`_by_section`."""
    n, _, height, width = values.shape
    blocks = values[:, np.argsort(ORDER)].reshape(n, -1, BLOCK, BLOCK, height, width).transpose(0, 1, 4, 2, 5, 3)
    return blocks.reshape(n, -1, BLOCK * height, BLOCK * width)
