"""From tiles to the streams of their chunks."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
import torch

from uqdm.coding import grids
from uqdm.coding.ans import Writer
from uqdm.coding.grids import Cells
from uqdm.coding.logistic import LOCATION_BITS
from uqdm.coding.randomness import dither, start
from uqdm.diffusion.density import LOGISTIC_SCALE_PER_DEVIATION, bin_log_mass
from uqdm.diffusion.process import last_stage_bits
from uqdm.progressive.predictor import Outputs, Predictor
from uqdm.progressive.tolerance import StepTolerance

CHECK_MASK = 0xFFFF


@dataclass(frozen=True)
class SentTile:
    """All that a writer needs of one tile: by step the symbols, known locations and outputs; then the last stage."""

    seed: int
    symbols: list[np.ndarray]
    known: list[np.ndarray]
    outputs: list[tuple[np.ndarray, np.ndarray]]
    """mean_bins and log2_scale of each step."""
    latents: list[np.ndarray]
    choices: tuple[np.ndarray, np.ndarray]
    """Which of the levels in the window of z_1 and z_0 it is, and how many there are."""
    levels: np.ndarray
    ideal_bits: list[float]
    """By the paper's accounting: each step, then the last stage."""


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

    Ideal bits are computed if ``ideal``, else left empty: they take longer than coding itself.
    """
    n_t = np.stack([start(seed, predictor.n_coordinates) for seed in seeds])
    steps: list[tuple[np.ndarray, np.ndarray, Outputs, np.ndarray]] = []
    bits: list[np.ndarray] = []
    for index, lattice in enumerate(predictor.lattice):
        outputs = predictor.predict(index, n_t, seeds)
        j = _dithers(seeds, positions, index, predictor.n_coordinates)
        symbols, known = lattice.quantize(n_t, levels, j), lattice.known_location(n_t, j)
        if index == len(predictor.lattice) - 1:
            first, counts = lattice.window(n_t, symbols, j)
        n_t = lattice.latent(symbols, j)
        steps.append((symbols, known, outputs, n_t))
        if ideal:
            bits.append(step_ideal_bits(symbols, known, outputs))
    if ideal:
        bits.append(last_stage_ideal_bits(predictor, levels, n_t))
    return [
        SentTile(
            seed=seeds[row],
            symbols=[symbols[row] for symbols, _, _, _ in steps],
            known=[known[row] for _, known, _, _ in steps],
            outputs=[(outputs.mean_bins[row], outputs.log2_scale[row]) for _, _, outputs, _ in steps],
            latents=[latents[row] for _, _, _, latents in steps],
            choices=(levels[row] - first[row], counts[row]),
            levels=levels[row],
            ideal_bits=[float(values[row]) for values in bits],
        )
        for row in range(len(levels))
    ]


def _dithers(seeds: list[int], positions: list[int], index: int, size: int) -> np.ndarray:
    return np.stack([dither(s, index + 1, p, size) for s, p in zip(seeds, positions, strict=True)])


def step_ideal_bits(symbols: np.ndarray, known: np.ndarray, outputs: Outputs) -> np.ndarray:
    """Bits of each tile's symbols under the unrounded predictions, float64 [B]."""
    # The known part holds u + 1/2: a symbol's bin is centred on k + 1/2 in these coordinates.
    centre = torch.from_numpy(symbols + 0.5 - known / (1 << LOCATION_BITS))
    deviation = torch.from_numpy(np.exp2(outputs.log2_scale)) / LOGISTIC_SCALE_PER_DEVIATION
    log_mass = bin_log_mass(centre, torch.from_numpy(np.array(outputs.mean_bins)), deviation, width=1.0)
    return (log_mass.sum(1) / -math.log(2)).numpy()


def last_stage_ideal_bits(predictor: Predictor, levels: np.ndarray, n_0: np.ndarray) -> np.ndarray:
    """Bits of each tile's pixels given z_0 alone, by the paper's accounting, float64 [B]."""
    step = predictor.steps[-1]
    x = torch.from_numpy((2 * levels + 1) / 256 - 1)
    z_0 = torch.from_numpy(n_0 * predictor.lattice[-1].unit)
    return last_stage_bits(x, z_0, step).sum(1).numpy()


def choose_seed(predictor: Predictor, levels: np.ndarray, position: int, candidates: range) -> int:
    """The seed whose first step costs a tile, levels int64 [D], the fewest bits."""
    if len(candidates) == 1:
        return candidates[0]
    costs = []
    for seed in candidates:
        n_t = start(seed, predictor.n_coordinates)[None]
        j = dither(seed, 1, position, predictor.n_coordinates)[None]
        lattice = predictor.lattice[0]
        symbols, known = lattice.quantize(n_t, levels[None], j), lattice.known_location(n_t, j)
        costs.append(float(step_ideal_bits(symbols, known, predictor.first(seed))[0]))
    return candidates[int(np.argmin(costs))]


def write_chunk(
    tiles: list[SentTile], predictor: Predictor, tolerances: list[StepTolerance], base_seed: int, seed_bits: int
) -> CodedChunk:
    """Codes a chunk's tiles into one stream. Raises :class:`uqdm.coding.offsets.MarginError`."""
    writer, checks, crc = Writer(), [], 0
    n_steps = len(predictor.steps)
    if seed_bits:
        for tile in tiles:
            writer.raw(tile.seed - base_seed, seed_bits)
    cells = _write_offsets(writer, tiles, 0, predictor, tolerances)
    for index in range(n_steps):
        for tile, cell in zip(tiles, cells, strict=True):
            writer.symbols(tile.symbols[index], tile.known[index] + cell.mean, cell.scale)
            crc = latent_check(tile.latents[index], crc)
        if index + 1 < n_steps:
            cells = _write_offsets(writer, tiles, index + 1, predictor, tolerances)
            crc = cells_check(cells, crc)
        checks.append(crc & CHECK_MASK)
        writer.mark()
    free = predictor.lattice[-1].window_is_free
    for tile in tiles:
        if not free:
            writer.choices(*tile.choices)
        crc = zlib.crc32(tile.levels.astype(np.uint8).tobytes(), crc)
    stream, marks = writer.finish(check=crc)
    # Where the last stage is free, the last step is the end of the stream, and its check value the stream's own.
    return CodedChunk(stream, marks[:-1], checks[:-1]) if free else CodedChunk(stream, marks, checks)


def _write_offsets(
    writer: Writer, tiles: list[SentTile], index: int, predictor: Predictor, tolerances: list[StepTolerance]
) -> list[Cells]:
    tolerance = in_bins(tolerances[index], predictor, index)
    return [grids.write(writer, *tile.outputs[index], tolerance) for tile in tiles]


def in_bins(tolerance: StepTolerance, predictor: Predictor, index: int) -> grids.Tolerance:
    """A step's tolerance in the coder's units."""
    step = predictor.steps[index]
    return grids.Tolerance(tolerance.x_hat * step.x_weight / step.width, tolerance.log2_scale)


def cells_check(cells: list[Cells], crc: int) -> int:
    """Running check value of the rounded means of tiles, which the picture of a step is made from."""
    for cell in cells:
        crc = zlib.crc32(cell.mean.astype("<i8").tobytes(), crc)
    return crc


def latent_check(latents: np.ndarray, crc: int) -> int:
    """Running check value of a tile's latents, int64 [D]."""
    return zlib.crc32(latents.astype("<i4").tobytes(), crc)
