"""Reading the stream of a chunk, one complete part after the other: seeds, roundings, symbols, pixels, check values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from uqdm.codec import StreamError
from uqdm.coding import grids, previews
from uqdm.coding.ans import DamagedStreamError, Reader
from uqdm.coding.bounds import Bounds
from uqdm.coding.container import Container
from uqdm.coding.grids import Cells, Grid
from uqdm.coding.lattice import MAX_LATENT
from uqdm.coding.randomness import dither, start
from uqdm.progressive.encoder import (
    CHECK_MASK,
    last_stage_ideal_bits,
    latent_check,
    levels_check,
    step_ideal_bits,
    whole_window,
)
from uqdm.progressive.predictor import Outputs, Predictor


class SymbolObserver(Protocol):
    """Sees what a decoder reads, in the order of the stream."""

    def section(
        self, index: int, symbols: np.ndarray, known: np.ndarray, outputs: Outputs, bounds: Bounds | None
    ) -> None:
        """A section of step ``index``; arrays are [B, N]."""

    def last_stage(self, predictor: Predictor, levels: np.ndarray, n_0: np.ndarray) -> None:
        """The pixels int64 [B, D], with the latents of the last step."""


class _NoObserver:
    """Ignores all that is read."""

    def section(
        self, index: int, symbols: np.ndarray, known: np.ndarray, outputs: Outputs, bounds: Bounds | None
    ) -> None:
        """See :meth:`SymbolObserver.section`."""

    def last_stage(self, predictor: Predictor, levels: np.ndarray, n_0: np.ndarray) -> None:
        """See :meth:`SymbolObserver.last_stage`."""


_NO_OBSERVER = _NoObserver()


@dataclass(frozen=True)
class IdealBits:
    """Sums the ideal bits of a chunk by the paper's accounting: of each step, then of the last stage."""

    by_stage: list[float] = field(default_factory=list)

    def section(
        self, index: int, symbols: np.ndarray, known: np.ndarray, outputs: Outputs, bounds: Bounds | None
    ) -> None:
        """See :meth:`SymbolObserver.section`."""
        if index == len(self.by_stage):
            self.by_stage.append(0.0)
        self.by_stage[index] += float(step_ideal_bits(symbols, known, outputs, bounds).sum())

    def last_stage(self, predictor: Predictor, levels: np.ndarray, n_0: np.ndarray) -> None:
        """See :meth:`SymbolObserver.last_stage`."""
        self.by_stage.append(float(last_stage_ideal_bits(predictor, levels, n_0).sum()))


@dataclass(frozen=True)
class Latents:
    """The latents of a chunk's tiles after ``n_steps`` steps, and what is known with them."""

    n_steps: int
    n_t: np.ndarray
    """int64 [B, D]."""
    window: tuple[np.ndarray, np.ndarray]
    """First and last level [B, D] that are possible. Without bounded densities only the last step narrows it."""
    check: int
    """Running check value of all that was decoded."""


@dataclass(frozen=True)
class RoundedSection:
    """Outputs of the network for a section, and the integers that they are rounded to; arrays are [B, N]."""

    outputs: Outputs
    cells: Cells


@dataclass(frozen=True)
class FileChunk:
    """A chunk of a file, of which nothing is read yet, with the network that decodes it."""

    container: Container
    number: int
    predictor: Predictor
    observer: SymbolObserver = _NO_OBSERVER

    @property
    def positions(self) -> range:
        """Positions of its tiles in the image."""
        return self.container.header.chunks[self.number]

    @property
    def n_stages(self) -> int:
        """Stages of a whole stream."""
        return len(self.container.stages[self.number])

    @property
    def first_seeds(self) -> list[int]:
        """The first seed that each tile may have; which one it has stands in the stream."""
        return [self.container.header.seed] * len(self.positions)

    def start(self, seeds: Sequence[int]) -> Latents:
        """z_T of the tiles."""
        n_t = np.stack([start(seed, self.predictor.n_coordinates) for seed in seeds])
        return Latents(0, n_t, whole_window(n_t), check=0)

    def open(self, n_stages: int) -> ChunkStream:
        """Opens the stream up to ``n_stages`` stages, and reads the seeds. Raises StreamError if it is damaged."""
        bits = self.container.header.seed_bits
        try:
            reader = Reader(self.container.stream(self.number, n_stages))
            seeds = [seed + (reader.raw(bits) if bits else 0) for seed in self.first_seeds]
        except DamagedStreamError as error:
            raise self.damaged(1, error) from error
        return ChunkStream(self, reader, seeds)

    def damaged(self, stage: int, reason: object) -> StreamError:
        """The error of a damaged stage, counted from 1."""
        name = f"step {stage}" if stage <= len(self.predictor.steps) else "the last stage"
        return StreamError(f"{name} of the file is damaged: {reason}")


@dataclass(frozen=True)
class ChunkStream:
    """The open stream of a chunk. It is read in the order of coding; each method advances ``reader``.

    All methods raise :class:`uqdm.codec.StreamError` where the stream is damaged.
    """

    chunk: FileChunk
    reader: Reader
    seeds: list[int]

    def start(self) -> Latents:
        """z_T of the tiles."""
        return self.chunk.start(self.seeds)

    def dither(self, index: int) -> np.ndarray:
        """The dither of step ``index``, int64 [B, D]."""
        size = self.chunk.predictor.n_coordinates
        tiles = zip(self.seeds, self.chunk.positions, strict=True)
        return np.stack([dither(seed, index + 1, position, size) for seed, position in tiles])

    def read_grids(self, stage: int) -> list[Grid]:
        """Reads how the outputs of a step are rounded, by tile; ``stage`` holds them."""
        try:
            return [grids.read(self.reader, self.chunk.predictor.n_coordinates) for _ in self.seeds]
        except DamagedStreamError as error:
            raise self.chunk.damaged(stage, error) from error

    def read_preview(self, x_hat: np.ndarray, known: Latents) -> np.ndarray:
        """Reads how x_hat, float64 [B, D], is rounded for the picture of a step: its levels, uint8 [B, D]."""
        try:
            shown = np.stack([previews.read(self.reader, row) for row in x_hat])
        except DamagedStreamError as error:
            raise self.chunk.damaged(known.n_steps, error) from error
        return np.clip(shown, *known.window)

    def read_symbols(self, stage: int, locations: np.ndarray, scales: np.ndarray, bounds: Bounds | None) -> np.ndarray:
        """Reads the symbols [B, N] of a section."""
        try:
            if bounds is None:
                symbols = self.reader.symbols(locations.ravel(), scales.ravel())
            else:
                symbols = self.reader.bounded(locations.ravel(), scales.ravel(), bounds.flat)
        except DamagedStreamError as error:
            raise self.chunk.damaged(stage, error) from error
        return symbols.reshape(locations.shape)

    def read_pixels(self, known: Latents) -> np.ndarray:
        """Reads the pixels out of the window that the last two latents leave, levels int64 [B, D]; checks them."""
        chunk = self.chunk
        first, last = known.window
        levels = first
        try:
            if not chunk.predictor.lattice[-1].window_is_free:
                levels = first + self.reader.choices((last - first + 1).ravel()).reshape(first.shape)
            stated = self.reader.check()
        except DamagedStreamError as error:
            raise chunk.damaged(chunk.n_stages, error) from error
        if stated != levels_check(levels, known.check):
            raise chunk.damaged(chunk.n_stages, "its check value differs")
        chunk.observer.last_stage(chunk.predictor, levels, known.n_t)
        return levels

    def check_step(self, known: Latents) -> None:
        """Compares the running check value after a step with the one in the file."""
        stated = self.chunk.container.stages[self.chunk.number][known.n_steps - 1].check
        if stated is not None and known.check & CHECK_MASK != stated:
            raise self.chunk.damaged(known.n_steps, "its check value differs")


class StepDecoder:
    """Decodes the symbols of one step of a chunk, section by section."""

    def __init__(self, stream: ChunkStream, known: Latents):
        predictor = stream.chunk.predictor
        index = known.n_steps
        self._stream = stream
        self._known = known
        self._lattice = predictor.lattice[index]
        self._sections = predictor.sections[index]
        self._dither = stream.dither(index)
        self._is_bounded = predictor.bounded
        self._narrows = predictor.bounded or index + 1 == len(predictor.steps)
        first, last = known.window
        self._window = (np.empty_like(first), np.empty_like(last)) if self._narrows else known.window
        self.n_s = np.zeros_like(known.n_t)
        """Latents of the sections that are decoded so far, int64 [B, D]."""

    def read_section(self, number: int, rounded: RoundedSection) -> None:
        """Reads the symbols of a section."""
        chunk = self._stream.chunk
        stage = self._known.n_steps + 1
        places = self._sections.places(number)
        n_t = self._known.n_t[:, places]
        j = self._dither[:, places]
        first, last = self._known.window
        left = first[:, places], last[:, places]
        known = self._lattice.known_location(n_t, j)
        bounds = self._lattice.bounds(n_t, *left, j) if self._is_bounded else None
        symbols = self._stream.read_symbols(stage, known + rounded.cells.mean, rounded.cells.scale, bounds)
        chunk.observer.section(self._known.n_steps, symbols, known, rounded.outputs, bounds)
        latents = self._lattice.latent(symbols, j)
        if np.abs(latents).max() > MAX_LATENT:
            raise chunk.damaged(stage, "a latent is out of range")
        self.n_s[:, places] = latents
        if self._narrows:
            narrowed = self._lattice.narrow(n_t, symbols, j, *left)
            for bound, values in zip(self._window, narrowed, strict=True):
                bound[:, places] = values

    def finish(self) -> Latents:
        """The latents after the step, once all sections are read."""
        return Latents(self._known.n_steps + 1, self.n_s, self._window, check=latent_check(self.n_s, self._known.check))


def round_section(stream_grids: Sequence[Grid], outputs: Outputs, begin: int) -> RoundedSection:
    """Rounds outputs [B, N] of a section, which begins at coordinate ``begin`` in the order of coding."""
    rows = zip(stream_grids, outputs.mean_bins, outputs.log2_scale, strict=True)
    cells = [grid.round(mean, scale, begin) for grid, mean, scale in rows]
    return RoundedSection(
        outputs, Cells(np.stack([cell.mean for cell in cells]), np.stack([cell.scale for cell in cells]))
    )
