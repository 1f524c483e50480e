"""From tiles to the streams of their chunks."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from uqdm.coding import grids, previews
from uqdm.coding.ans import Writer
from uqdm.coding.bounds import Bounds
from uqdm.coding.container import CHUNK_TILES
from uqdm.coding.grids import Cells
from uqdm.coding.logistic import LOCATION_BITS
from uqdm.coding.randomness import dither, start
from uqdm.diffusion.density import LOGISTIC_SCALE_PER_DEVIATION, bin_log_mass
from uqdm.diffusion.images import N_LEVELS
from uqdm.diffusion.process import last_stage_bits
from uqdm.progressive.predictor import Outputs, Predictor, Sections
from uqdm.progressive.tolerance import StepTolerance

CHECK_MASK = 0xFFFF


@dataclass(frozen=True)
class SentStep:
    """One step of a tile: symbols, known locations and outputs in the order of coding, latents channel by channel."""

    symbols: np.ndarray
    known: np.ndarray
    mean_bins: np.ndarray
    log2_scale: np.ndarray
    latents: np.ndarray
    x_hat: np.ndarray
    """Estimate for the picture before this step, in files of version 2."""
    bounds: Bounds | None
    """Bounds of the symbols, if the model's densities are bounded."""
    window: tuple[np.ndarray, np.ndarray]
    """First and last level that are possible before this step; all levels if the densities are not bounded."""


@dataclass(frozen=True)
class SentTile:
    """All data of one tile to be written: its steps, then the last stage."""

    seed: int
    steps: list[SentStep]
    choices: tuple[np.ndarray, np.ndarray]
    """For each coordinate, the index of its level in the window of the last stage, and the window's size."""
    levels: np.ndarray
    ideal_bits: list[float]
    """Of each step, then of the last stage, by the paper's accounting."""


@dataclass(frozen=True)
class CodedChunk:
    """A chunk's stream with the ends of its stages (all but the last) and their check values."""

    stream: bytes
    marks: list[int]
    checks: list[int]


def send_tiles(
    predictor: Predictor, levels: np.ndarray, positions: list[int], seeds: list[int], *, ideal: bool
) -> list[SentTile]:
    """Runs the steps for tiles: levels int64 [B, D], their positions in their images, and their seeds.

    Ideal bits are computed if ``ideal``, else empty: they take longer than coding.
    """
    n_t = np.stack([start(seed, predictor.n_coordinates) for seed in seeds])
    sent: list[list[SentStep]] = [[] for _ in seeds]
    bits: list[np.ndarray] = []
    first, last = whole_window(n_t)
    for index, lattice in enumerate(predictor.lattice):
        j = _dithers(seeds, positions, index, predictor.n_coordinates)
        symbols, known = lattice.quantize(n_t, levels, j), lattice.known_location(n_t, j)
        bounds, window = lattice.bounds(n_t, first, last, j) if predictor.bounded else None, (first, last)
        if index == len(predictor.lattice) - 1 or predictor.bounded:
            first, last = lattice.narrow(n_t, symbols, j, first, last)
        n_s = lattice.latent(symbols, j)
        x_hat, outputs = predictor.encoding(index, n_t, n_s, seeds)
        order = predictor.sections[index].order
        symbols, known = symbols[:, order], known[:, order]
        bounds = bounds and bounds.at(slice(None), order)
        for row, steps in enumerate(sent):
            means, scales = outputs.mean_bins[row], outputs.log2_scale[row]
            possible, left = bounds and bounds.at(row), (window[0][row], window[1][row])
            steps.append(SentStep(symbols[row], known[row], means, scales, n_s[row], x_hat[row], possible, left))
        if ideal:
            bits.append(step_ideal_bits(symbols, known, outputs, bounds))
        n_t = n_s
    if ideal:
        bits.append(last_stage_ideal_bits(predictor, levels, n_t))
    return [
        SentTile(
            seed=seeds[row],
            steps=sent[row],
            choices=(levels[row] - first[row], last[row] - first[row] + 1),
            levels=levels[row],
            ideal_bits=[float(values[row]) for values in bits],
        )
        for row in range(len(levels))
    ]


def whole_window(n_t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last of all levels, in the shape of the latents."""
    return np.zeros_like(n_t), np.full_like(n_t, N_LEVELS - 1)


def _dithers(seeds: list[int], positions: list[int], index: int, size: int) -> np.ndarray:
    return np.stack([dither(s, index + 1, p, size) for s, p in zip(seeds, positions, strict=True)])


def step_ideal_bits(
    symbols: np.ndarray, known: np.ndarray, outputs: Outputs, bounds: Bounds | None = None
) -> np.ndarray:
    """Bits of each tile's symbols under the unrounded predictions, float64 [B]; independent of the batch."""
    rows = [slice(row, row + 1) for row in range(len(symbols))]
    return np.array(
        [
            _tile_ideal_bits(symbols[row], known[row], outputs.rows(row.start, row.stop), bounds and bounds.at(row))
            for row in rows
        ]
    )


def _tile_ideal_bits(symbols: np.ndarray, known: np.ndarray, outputs: Outputs, bounds: Bounds | None) -> float:
    """Bits of a tile's symbols, arrays [1, N]."""
    deviation = torch.from_numpy(np.exp2(outputs.log2_scale)) / LOGISTIC_SCALE_PER_DEVIATION
    mean = torch.from_numpy(np.array(outputs.mean_bins))

    def log_mass(begin: np.ndarray, end: np.ndarray) -> torch.Tensor:
        width: Any = torch.from_numpy(end - begin)  # of each bin
        return bin_log_mass(torch.from_numpy((begin + end) / 2), mean, deviation, width)

    # The known part holds u + 1/2: a symbol's bin begins at k in these coordinates.
    begin = symbols - known / (1 << LOCATION_BITS)
    if bounds is None:
        return float(log_mass(begin, begin + 1).sum() / -math.log(2))
    low, high = ((edge - known) / (1 << LOCATION_BITS) for edge in (bounds.low, bounds.high))
    end = np.where(symbols == bounds.last, high, begin + 1)
    begin = np.where(symbols == bounds.first, low, begin)
    return float((log_mass(begin, end) - log_mass(low, high)).sum() / -math.log(2))


def last_stage_ideal_bits(predictor: Predictor, levels: np.ndarray, n_0: np.ndarray) -> np.ndarray:
    """Bits of each tile's pixels given z_0 alone, by the paper's accounting, float64 [B]."""
    step = predictor.steps[-1]
    x = torch.from_numpy((2 * levels + 1) / 256 - 1)
    z_0 = torch.from_numpy(n_0 * predictor.lattice[-1].unit)
    pairs = zip(x, z_0, strict=True)  # one by one, so that sums do not depend on the batch
    return np.array([float(last_stage_bits(*pair, step).sum()) for pair in pairs])


def choose_seed(
    predictor: Predictor, levels: np.ndarray, position: int, candidates: range, seeds_for: str = "step1"
) -> int:
    """The seed with the fewest bits for a tile, levels int64 [D]: in its first step, or in all steps and stages.

    The whole file takes a network call for each seed and step.
    """
    if len(candidates) == 1:
        return candidates[0]
    costs = _first_costs if seeds_for == "step1" else _whole_costs
    return candidates[int(np.argmin(costs(predictor, levels, position, candidates)))]


def _first_costs(predictor: Predictor, levels: np.ndarray, position: int, candidates: range) -> list[float]:
    """Bits of the first step with each seed."""
    costs = []
    for seed in candidates:
        n_t = start(seed, predictor.n_coordinates)[None]
        j = dither(seed, 1, position, predictor.n_coordinates)[None]
        lattice = predictor.lattice[0]
        symbols, known = lattice.quantize(n_t, levels[None], j), lattice.known_location(n_t, j)
        bounds = lattice.bounds(n_t, *whole_window(n_t), j) if predictor.bounded else None
        outputs, order = predictor.first_outputs(seed, lattice.latent(symbols, j)), predictor.sections[0].order
        bounds = bounds and bounds.at(slice(None), order)
        costs.append(float(step_ideal_bits(symbols[:, order], known[:, order], outputs, bounds)[0]))
    return costs


def _whole_costs(predictor: Predictor, levels: np.ndarray, position: int, candidates: range) -> list[float]:
    """Bits of all steps and the last stage with each seed, without the cost of rounding; a chunk of seeds at a time."""
    costs: list[float] = []
    for begin in range(0, len(candidates), CHUNK_TILES):
        seeds = list(candidates[begin : begin + CHUNK_TILES])
        rows = np.repeat(levels[None], len(seeds), axis=0)
        sent = send_tiles(predictor, rows, [position] * len(seeds), seeds, ideal=True)
        costs += [sum(tile.ideal_bits[:-1]) + float(np.log2(tile.choices[1]).sum()) for tile in sent]
    return costs


def write_chunk(
    tiles: list[SentTile], predictor: Predictor, tolerances: list[StepTolerance], base_seed: int, seed_bits: int
) -> CodedChunk:
    """Codes a chunk's tiles into one stream. Raises :class:`uqdm.coding.offsets.MarginError`."""
    writer, checks, crc = Writer(), [], 0
    n_steps, version = len(predictor.steps), predictor.format_version
    if seed_bits:
        for tile in tiles:
            writer.raw(tile.seed - base_seed, seed_bits)
    cells = _write_grids(writer, tiles, 0, predictor, tolerances)
    for index in range(n_steps):
        if version == 2 and index:
            cells = _write_grids(writer, tiles, index, predictor, tolerances)
        _write_symbols(writer, [tile.steps[index] for tile in tiles], cells, predictor.sections[index])
        for tile in tiles:
            crc = latent_check(tile.steps[index].latents, crc)
        if version == 2 and index + 1 < n_steps:
            crc = _write_previews(writer, tiles, index + 1, tolerances[index + 1].x_hat, crc)
        elif index + 1 < n_steps:
            cells = _write_grids(writer, tiles, index + 1, predictor, tolerances)
            crc = means_check(np.stack([cell.mean for cell in cells]), crc)
        checks.append(crc & CHECK_MASK)
        writer.mark()
    free = predictor.lattice[-1].window_is_free
    for tile in tiles:
        if not free:
            writer.choices(*tile.choices)
        crc = levels_check(tile.levels, crc)
    stream, marks = writer.finish(check=crc)
    # Where the last stage is free, the stream ends with the last step, whose check value is that of the stream.
    return CodedChunk(stream, marks[:-1], checks[:-1]) if free else CodedChunk(stream, marks, checks)


def _write_grids(
    writer: Writer, tiles: list[SentTile], index: int, predictor: Predictor, tolerances: list[StepTolerance]
) -> list[Cells]:
    tolerance = in_bins(tolerances[index], predictor, index)
    steps = [tile.steps[index] for tile in tiles]
    return [grids.write(writer, step.mean_bins, step.log2_scale, tolerance) for step in steps]


def _write_symbols(writer: Writer, steps: list[SentStep], cells: list[Cells], sections: Sections) -> None:
    """A step's symbols of a chunk's tiles, section by section."""
    for begin, end in sections.spans:
        for step, cell in zip(steps, cells, strict=True):
            symbols, scales = step.symbols[begin:end], cell.scale[begin:end]
            locations = step.known[begin:end] + cell.mean[begin:end]
            if step.bounds is None:
                writer.symbols(symbols, locations, scales)
            else:
                writer.bounded(symbols, locations, scales, step.bounds.at(slice(begin, end)))


def _write_previews(writer: Writer, tiles: list[SentTile], index: int, eps: float, crc: int) -> int:
    """Writes how the picture before step ``index`` is rounded; returns the check value updated with the picture."""
    for tile in tiles:
        shown = previews.write(writer, tile.steps[index].x_hat, tile.levels, eps)
        crc = levels_check(np.clip(shown, *tile.steps[index].window), crc)
    return crc


def in_bins(tolerance: StepTolerance, predictor: Predictor, index: int) -> grids.Tolerance:
    """A step's tolerance in the coder's units."""
    step = predictor.steps[index]
    return grids.Tolerance(tolerance.x_hat * step.x_weight / step.width, tolerance.log2_scale)


def means_check(means: np.ndarray, crc: int) -> int:
    """Running check value of the rounded means, int64, of the picture of a step."""
    return zlib.crc32(means.astype("<i8").tobytes(), crc)


def latent_check(latents: np.ndarray, crc: int) -> int:
    """Running check value of the latents of tiles, int64, channel by channel."""
    return zlib.crc32(latents.astype("<i4").tobytes(), crc)


def levels_check(levels: np.ndarray, crc: int) -> int:
    """Running check value of levels of tiles, of the image or of a picture."""
    return zlib.crc32(levels.astype(np.uint8).tobytes(), crc)
