"""From the streams of chunks to their tiles, step by step and section by section."""

from __future__ import annotations

import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from uqdm.coding.grids import Grid
from uqdm.progressive.chunk_stream import (
    ChunkStream,
    FileChunk,
    Latents,
    RoundedSection,
    StepDecoder,
    round_section,
)
from uqdm.progressive.predictor import OpenStep, Outputs, Predictor
from uqdm.progressive.step_pictures import (
    AfterLastStep,
    AfterStep,
    BeforeFirstStep,
    DenoisedPicture,
    Lossless,
    PictureSource,
    Preview,
    RoundedMeans,
    WantedPicture,
)


@dataclass(frozen=True)
class DecodedPicture:
    """The levels of each chunk's tiles, int64 [B, D], for a wanted picture.

    ``seconds`` is what decoding up to the step took, and making this picture; not what other pictures took.
    """

    wanted: WantedPicture
    parts: list[np.ndarray]
    seconds: float


def decode_chunks(chunks: Sequence[FileChunk], wanted: Sequence[WantedPicture]) -> Iterator[DecodedPicture]:
    """Decodes chunks together, each call of the network made once for all; yields in the order of the steps.

    Raises :class:`uqdm.codec.StreamError` where a stream is damaged.
    """
    begun = time.perf_counter()
    aside = 0.0
    for step, sources in _points(chunks, wanted):
        for item in wanted:
            if item.step == step:
                paused = time.perf_counter()
                parts = [source.picture(item) for source in sources]
                now = time.perf_counter()
                yield DecodedPicture(item, parts, now - begun - aside)
                aside += time.perf_counter() - paused


def _points(
    chunks: Sequence[FileChunk], wanted: Sequence[WantedPicture]
) -> Iterator[tuple[int | None, Sequence[PictureSource]]]:
    """Runs the steps that the pictures need; stops before the first, after each, and after the last stage (None)."""
    predictor = chunks[0].predictor
    n_steps = len(predictor.steps)
    lossless = any(item.step is None for item in wanted)
    last_step = n_steps if lossless else max(item.step for item in wanted if item.step is not None)
    yield 0, [BeforeFirstStep(chunk) for chunk in chunks]
    if last_step == 0:
        return
    streams = [chunk.open(chunk.n_stages if lossless else last_step) for chunk in chunks]
    batch = _Batch(predictor, streams)
    opened = batch.open([stream.start() for stream in streams])
    for step in range(1, last_step + 1):
        known = opened.decode()
        if step < n_steps:
            opened = batch.open(known)
            yield step, opened.check()
        else:
            yield from _end(predictor, streams, known, lossless=lossless)


def _end(
    predictor: Predictor, streams: Sequence[ChunkStream], known: Sequence[Latents], *, lossless: bool
) -> Iterator[tuple[int | None, Sequence[PictureSource]]]:
    """The pictures after the last step, and if ``lossless`` after the last stage."""
    n_steps = len(predictor.steps)
    pairs = list(zip(streams, known, strict=True))
    pixels = []
    if predictor.lattice[-1].window_is_free:  # the check value of the last step is that of the pixels
        pixels = [stream.read_pixels(latents) for stream, latents in pairs]
    else:
        for stream, latents in pairs:
            stream.check_step(latents)
    yield n_steps, [AfterLastStep(predictor, latents) for latents in known]
    if lossless:
        pixels = pixels or [stream.read_pixels(latents) for stream, latents in pairs]
        yield None, [Lossless(levels) for levels in pixels]


class _Batch:
    """Chunks that are decoded together, with calls of the network for all of them."""

    def __init__(self, predictor: Predictor, streams: Sequence[ChunkStream]):
        self.predictor = predictor
        self.streams = streams
        self._seeds = [seed for stream in streams for seed in stream.seeds]
        ends = itertools.accumulate(len(stream.seeds) for stream in streams)
        self._spans = list(itertools.pairwise([0, *ends]))

    def open(self, known: Sequence[Latents]) -> _OpenedStep:
        """Calls the network of the next step for the latents; reads what the streams hold of the step's picture."""
        index = known[0].n_steps
        opened = self.predictor.open(index, np.concatenate([latents.n_t for latents in known]), self._seeds)
        kind = _SingleSection if self.predictor.format_version == 1 else _SeveralSections
        return kind(self, known, opened)

    def rows(self, opened: OpenStep) -> list[OpenStep]:
        """What the network made of each chunk's latents."""
        return [opened.rows(*span) for span in self._spans]

    def predict(self, opened: OpenStep, number: int, n_s: Sequence[np.ndarray]) -> list[Outputs]:
        """Predicts a section of each chunk from the latents n_s, int64 [B, D], of the sections before it."""
        outputs = self.predictor.predict(opened, number, np.concatenate(n_s))
        return [outputs.rows(*span) for span in self._spans]


class _OpenedStep(ABC):
    """A step of a batch after the call of the network, up to where the pictures before the step can be made."""

    def __init__(self, batch: _Batch, known: Sequence[Latents], opened: OpenStep):
        self._batch = batch
        self._known = known
        self._opened = opened
        self._index = opened.index

    @abstractmethod
    def decode(self) -> list[Latents]:
        """Reads the symbols of the step, section by section; gives the latents after it."""

    @abstractmethod
    def _denoised(self) -> Sequence[DenoisedPicture]:
        """The denoised picture of each chunk before the step."""

    def check(self) -> list[AfterStep]:
        """Compares the check values of the steps so far and of the picture before this one."""
        denoised = self._denoised()
        rows = zip(self._known, denoised, strict=True)
        self._known = [replace(known, check=picture.check(known.check)) for known, picture in rows]
        for stream, known in zip(self._batch.streams, self._known, strict=True):
            stream.check_step(known)
        parts = zip(self._batch.streams, self._known, self._batch.rows(self._opened), denoised, strict=True)
        return [AfterStep(*part) for part in parts]

    def _decode(self, round_sections: Callable[[int, Sequence[np.ndarray]], Sequence[RoundedSection]]) -> list[Latents]:
        """Reads the symbols; ``round_sections`` rounds a section's outputs, given the latents of those before it."""
        pairs = zip(self._batch.streams, self._known, strict=True)
        decoders = [StepDecoder(stream, known) for stream, known in pairs]
        for number in range(self._batch.predictor.sections[self._index].count):
            rounded = round_sections(number, [decoder.n_s for decoder in decoders])
            for decoder, section in zip(decoders, rounded, strict=True):
                decoder.read_section(number, section)
        return [decoder.finish() for decoder in decoders]


class _SingleSection(_OpenedStep):
    """Files of version 1: a step is one section, and the picture before it is made from its rounded means.

    So its outputs are rounded as soon as the network is called.
    """

    def __init__(self, batch: _Batch, known: Sequence[Latents], opened: OpenStep):
        super().__init__(batch, known, opened)
        outputs = batch.predict(opened, 0, [latents.n_t for latents in known])  # no section is before the first
        grids = [stream.read_grids(max(self._index, 1)) for stream in batch.streams]
        pairs = zip(grids, outputs, strict=True)
        self._rounded = [round_section(grid, rows, begin=0) for grid, rows in pairs]

    def decode(self) -> list[Latents]:
        return self._decode(lambda number, n_s: self._rounded)

    def _denoised(self) -> Sequence[DenoisedPicture]:
        step = self._batch.predictor.steps[self._index]
        return [RoundedMeans(rounded.cells, step) for rounded in self._rounded]


class _SeveralSections(_OpenedStep):
    """Files of version 2: a picture states its own rounding, and a section is predicted from those before it."""

    def __init__(self, batch: _Batch, known: Sequence[Latents], opened: OpenStep):
        super().__init__(batch, known, opened)
        rows = zip(batch.streams, batch.rows(opened), known, strict=True)
        # Before the first step nothing is in the file.
        self._previews = [stream.read_preview(row.x_hat, latents) for stream, row, latents in rows if self._index]

    def decode(self) -> list[Latents]:
        grids = [stream.read_grids(self._index + 1) for stream in self._batch.streams]
        return self._decode(lambda number, n_s: self._round(grids, number, n_s))

    def _round(self, grids: Sequence[Sequence[Grid]], number: int, n_s: Sequence[np.ndarray]) -> list[RoundedSection]:
        outputs = self._batch.predict(self._opened, number, n_s)
        begin = self._batch.predictor.sections[self._index].bounds[number]
        return [round_section(grid, rows, begin) for grid, rows in zip(grids, outputs, strict=True)]

    def _denoised(self) -> Sequence[DenoisedPicture]:
        return [Preview(levels) for levels in self._previews]
