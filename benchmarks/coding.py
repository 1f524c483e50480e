"""Time of coding an image, one thread: encoding and decoding without the network, the network, and other coders.

    python benchmarks/coding.py [MODEL ...] [--dataset npz:imagenet64-sample.npz#eval] [--images 8] [--repeats 15]
    python benchmarks/coding.py [MODEL ...] --coders-only

Coding is everything between the network's outputs and the file, and back: dither, lattice, grids, tables, symbols,
stream, checks and container, for all steps and the last stage. It is timed by running the compressor's own code on
stored outputs. A second table compares the coder of the symbols with constriction's forms on the same symbols
(``benchmarks/symbol_coders.py``), in pairs. Exits 1 where coding takes longer than 3 ms.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import banded_coding
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from symbol_coders import Comparison, Own, Symbols, compare
from tile_images import load_tiles

from uqdm import load_model
from uqdm.coding import grids
from uqdm.coding.ans import Writer
from uqdm.coding.container import pack, parse
from uqdm.coding.grids import Cells
from uqdm.progressive import UQDM, BandedUQDM, tiles
from uqdm.progressive.chunk_stream import FileChunk
from uqdm.progressive.decoder import decode_chunks
from uqdm.progressive.encoder import SentTile, choose_seed, in_bins, send_tiles, write_chunk
from uqdm.progressive.predictor import OpenStep, Outputs, Predictor
from uqdm.progressive.step_pictures import WantedPicture

LIMIT_MS = 3.0
NETWORK_BATCH = 16


class Kept:
    """A predictor that gives outputs from memory."""

    def __init__(self, predictor: Predictor, levels: np.ndarray):
        self._predictor, self._outputs = predictor, list[Outputs]()
        self._opened = list[OpenStep]()
        self._recording = True
        send_tiles(self, levels, [0], [0], ideal=False)
        self._recording = False

    def open(self, index: int, n_t: np.ndarray, seeds: list[int]) -> OpenStep:
        """See :meth:`uqdm.progressive.predictor.Predictor.open`."""
        return self._opened[index]

    def encoding(self, index: int, n_t: np.ndarray, n_s: np.ndarray, seeds: list[int]) -> tuple[np.ndarray, Outputs]:
        """See :meth:`uqdm.progressive.predictor.Predictor.encoding`."""
        if self._recording:
            self._opened.append(self._predictor.open(index, n_t, seeds))
            self._outputs.append(self._predictor.predict_all(self._opened[index], n_s))
        return self._opened[index].x_hat, self._outputs[index]

    def predict(self, opened: OpenStep, number: int, n_s: np.ndarray) -> Outputs:
        """See :meth:`uqdm.progressive.predictor.Predictor.predict`."""
        begin, end = self._predictor.sections[opened.index].spans[number]
        whole = self._outputs[opened.index]
        return Outputs(*(values[:, begin:end] for values in (whole.x_hat, whole.mean_bins, whole.log2_scale)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)


@dataclass(frozen=True)
class Case:
    """An image with the inputs and results of its coding."""

    model: UQDM
    predictor: Kept
    levels: np.ndarray
    tile: SentTile
    file: bytes

    def send(self) -> list[SentTile]:
        """Dither and lattice."""
        return send_tiles(self.predictor, self.levels, [0], [0], ideal=False)

    def grids(self) -> list[tuple[Writer, Cells]]:
        """Rounding of the network's outputs."""
        tolerances = [in_bins(t, self.predictor, i) for i, t in enumerate(self.model.tolerances())]
        writers = [Writer() for _ in tolerances]
        return [
            (writer, grids.write(writer, step.mean_bins, step.log2_scale, tolerance))
            for writer, step, tolerance in zip(writers, self.tile.steps, tolerances, strict=True)
        ]

    def encode(self) -> bytes:
        """Everything."""
        chunk = write_chunk(self.send(), self.predictor, self.model.tolerances(), 0, 0)
        return pack(parse(self.file).header, [chunk.stream], [chunk.marks], [chunk.checks])

    def decode(self) -> np.ndarray:
        """Everything."""
        chunks = [FileChunk(parse(self.file), 0, self.predictor)]
        *_, last = decode_chunks(chunks, [WantedPicture(None, "exact")])
        return last.parts[0]


def make_cases(model: UQDM, images: np.ndarray) -> list[Case]:
    cases = []
    for image, file in zip(images, model.compress(images, seeds=1), strict=True):
        levels = tiles.to_coordinates(image[None])
        predictor = Kept(model.predictor(), levels)
        tile = send_tiles(predictor, levels, [0], [0], ideal=False)[0]
        case = Case(model, predictor, levels, tile, file)
        if case.encode() != file or not (case.decode() == levels).all():
            raise RuntimeError("coding from kept outputs is not what the compressor does")
        cases.append(case)
    return cases


def symbols_of(cases: Sequence[Case]) -> list[Symbols]:
    """The input of each image's coder."""
    return [Symbols.of_steps(case.tile.steps, [cells for _, cells in case.grids()]) for case in cases]


def milliseconds(runs: Sequence[Callable[[], object]], repeats: int) -> float:
    """Median over all runs and repeats, after a round to warm up."""
    found = []
    for repeat in range(repeats + 1):
        for run in runs:
            begun = time.perf_counter()
            run()
            if repeat:
                found.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(found)


def network_milliseconds(model: UQDM, images: np.ndarray, repeats: int) -> float:
    """All calls but the first, which is kept, per image."""
    predictor, count = model.predictor(), len(images)
    tile_levels = tiles.to_coordinates(images)
    sent = send_tiles(predictor, tile_levels, [0] * count, [0] * count, ideal=False)
    latents = [np.stack([tile.steps[index].latents for tile in sent]) for index in range(model.n_steps)]

    def run() -> None:
        for index in range(1, model.n_steps):
            predictor.predict_all(predictor.open(index, latents[index - 1], [0] * count), latents[index])

    return milliseconds([run], repeats) / count


def measure(model: UQDM, images: np.ndarray, repeats: int) -> list[tuple[str, float, float]]:
    """Rows: what, and milliseconds an image to encode and to decode."""
    cases = make_cases(model, images)
    coders = [Own(item) for item in symbols_of(cases)]
    streams = [coder.encode() for coder in coders]

    def timed(runs: Sequence[Callable[[], object]]) -> float:
        return milliseconds(runs, repeats)

    calls = network_milliseconds(model, np.resize(images, (NETWORK_BATCH, *images.shape[1:])), max(repeats // 3, 1))
    seeds = range(16) if model.predictor().first_depends_on_seed else range(1)
    choosing = timed([lambda case=case: choose_seed(model.predictor(), case.levels[0], 0, seeds) for case in cases])
    return [
        ("coding, everything", timed([c.encode for c in cases]), timed([c.decode for c in cases])),
        ("  dither, lattice, last stage's window", timed([c.send for c in cases]), math.nan),
        ("  grids and their offsets", timed([c.grids for c in cases]), math.nan),
        (
            "  symbols and stream",
            timed([coder.encode for coder in coders]),
            timed([lambda c=coder, data=data: c.decode(data) for coder, data in zip(coders, streams, strict=True)]),
        ),
        (f"choosing the best of {len(seeds)} seeds", choosing, math.nan),
        (f"network, {model.n_steps - 1} calls, batch of {NETWORK_BATCH}", calls, calls),
    ]


def times_table(title: str, rows: Sequence[tuple[str, float, float]]) -> Table:
    table = Table(title=title)
    for heading in ("", "encode", "decode"):
        table.add_column(heading, justify="right" if heading else "left")
    for label, *times in rows:
        table.add_row(label, *map(_cell, times))
    return table


def comparison_table(title: str, rows: Sequence[Comparison]) -> Table:
    table = Table(title=title)
    for heading in ("", "encode, ms", "ratio", "decode, ms", "ratio", "bits", "ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    for row in rows:
        times = (row.encode_ms, row.encode_ratio, row.decode_ms, row.decode_ratio)
        bits = "" if math.isnan(row.bits) else f"{row.bits:,.0f}"
        bits_ratio = "" if math.isnan(row.bits) else f"{row.bits_ratio:.4f}"
        table.add_row(row.label, *map(_cell, times), bits, bits_ratio)
    return table


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", default=["uqdm-demo", "uqdm-pixel"], metavar="MODEL")
    parser.add_argument("--dataset", default="demo", help="data set, such as npz:PATH#KEY")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--coders-only", action="store_true", help="only compare the coders of the symbols")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"load average of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    slowest = max([show(load_model(name), arguments) for name in arguments.models])
    sys.exit(0 if slowest <= LIMIT_MS else 1)


def show(model: UQDM | BandedUQDM, arguments: argparse.Namespace) -> float:
    """Prints the tables of a model; returns the milliseconds of the slower direction, 0 if they are not measured."""
    images = load_tiles(arguments.dataset, arguments.images, model.model.image_size)
    console, slowest = Console(width=110), 0.0
    if not arguments.coders_only:
        is_banded = isinstance(model, BandedUQDM)
        measured = banded_coding.measure if is_banded else measure
        rows = measured(model, images, arguments.repeats)  # type: ignore[arg-type]
        slowest = max(rows[0][1:])
        size = "x".join([str(model.model.image_size)] * 2)
        title = f"{model.model.name}, one image of {size}, one thread, median milliseconds"
        console.print(times_table(title, rows))
    if isinstance(model, UQDM):  # the sections of a model in bands are few symbols each
        comparisons = compare(symbols_of(make_cases(model, images)), arguments.repeats)
        title = f"{model.model.name}, the same symbols, coders in turn; ratios to the codec's rANS; CPU time"
        console.print(comparison_table(title, comparisons))
    return slowest


if __name__ == "__main__":
    main()
