"""Time of coding an image, one thread: encoding and decoding without the network, beside the network and a baseline.

    python benchmarks/coding.py [MODEL] [--dataset npz:imagenet64-sample.npz#eval] [--images 8] [--repeats 15]

Coding is everything between the network's outputs and the file, and back: dither, lattice, grids, tables, symbols,
stream, checks and container, for all steps and the last stage. It is timed by running the compressor's own code on
outputs that were kept. The baseline codes the same symbols with constriction, whose models of distributions that it
does not know are Python functions (``pip install -e .[benchmark]``). Exits 1 where coding takes longer than 3 ms.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import constriction
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from tile_images import load_tiles

from uqdm import load_model
from uqdm.coding import grids
from uqdm.coding.ans import Reader, Writer
from uqdm.coding.bounds import Bounds
from uqdm.coding.container import pack, parse
from uqdm.coding.grids import Cells
from uqdm.progressive import UQDM, tiles
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
    """An image with all that coding it starts from and ends in."""

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


class Symbols:
    """The symbols of all steps of an image with their rounded distributions, for coders alone."""

    def __init__(self, case: Case):
        cells = [cell for _, cell in case.grids()]
        steps = case.tile.steps
        self.symbols = np.concatenate([step.symbols for step in steps])
        known = np.concatenate([step.known for step in steps])
        self.bounds = None if steps[0].bounds is None else _joined([step.bounds for step in steps])
        self.locations = known + np.concatenate([cell.mean for cell in cells])
        self.scales = np.concatenate([cell.scale for cell in cells])

    def encode(self) -> bytes:
        """Our coder."""
        writer = Writer()
        if self.bounds is None:
            writer.symbols(self.symbols, self.locations, self.scales)
        else:
            writer.bounded(self.symbols, self.locations, self.scales, self.bounds)
        return writer.finish()[0]

    def decode(self, stream: bytes) -> np.ndarray:
        """Our coder."""
        if self.bounds is None:
            return Reader(stream).symbols(self.locations, self.scales)
        return Reader(stream).bounded(self.locations, self.scales, self.bounds)


def _joined(bounds: list[Bounds]) -> Bounds:
    return Bounds(*(np.concatenate([getattr(item, field.name) for item in bounds]) for field in fields(Bounds)))


class Baseline:
    """The same symbols with constriction and a model of Python functions, which knows no bounds."""

    def __init__(self, symbols: Symbols):
        self.symbols = symbols.symbols.astype(np.int32)
        # Its bins are centred on the symbols, ours begin there.
        self.parameters = symbols.locations / 65536 - 0.5, np.exp2(symbols.scales / 2048)
        self.model = constriction.stream.model.CustomModel(
            lambda x, location, scale: 0.5 + 0.5 * math.tanh((x - location) / scale / 2),
            lambda p, location, scale: location + scale * math.log(p / (1 - p)) if 0 < p < 1 else location,
            int(self.symbols.min()) - 1,
            int(self.symbols.max()) + 1,
        )

    def encode(self) -> np.ndarray:
        """Words of the stream."""
        coder = constriction.stream.stack.AnsCoder()
        coder.encode_reverse(self.symbols, self.model, *self.parameters)
        return coder.get_compressed()

    def decode(self, stream: np.ndarray) -> np.ndarray:
        """The symbols."""
        return constriction.stream.stack.AnsCoder(stream).decode(self.model, *self.parameters)


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
    symbols = [Symbols(case) for case in cases]
    streams = [item.encode() for item in symbols]
    baselines = [Baseline(item) for item in symbols]
    others = [item.encode() for item in baselines]
    for item, baseline, stream, other in zip(symbols, baselines, streams, others, strict=True):
        if not ((item.decode(stream) == item.symbols).all() and (baseline.decode(other) == item.symbols).all()):
            raise RuntimeError("a coder does not give back its symbols")

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
            timed([s.encode for s in symbols]),
            timed([lambda s=s, data=data: s.decode(data) for s, data in zip(symbols, streams, strict=True)]),
        ),
        (
            "symbols alone, constriction with Python functions",
            timed([b.encode for b in baselines]),
            timed([lambda b=b, data=data: b.decode(data) for b, data in zip(baselines, others, strict=True)]),
        ),
        (f"choosing the best of {len(seeds)} seeds", choosing, math.nan),
        (f"network, {model.n_steps - 1} calls, batch of {NETWORK_BATCH}", calls, calls),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", nargs="?", default="uqdm-demo")
    parser.add_argument("--dataset", default="demo", help="data set, such as npz:PATH#KEY")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(arguments.model)
    images = load_tiles(arguments.dataset, arguments.images, model.model.image_size)
    print(f"load average of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    rows = measure(model, images, arguments.repeats)
    size = "x".join([str(model.model.image_size)] * 2)
    table = Table(title=f"{model.model.name}, one image of {size}, one thread, median milliseconds")
    for heading in ("", "encode", "decode"):
        table.add_column(heading, justify="right" if heading else "left")
    for label, *times in rows:
        table.add_row(label, *("" if math.isnan(value) else f"{value:.2f}" for value in times))
    Console(width=110).print(table)
    sys.exit(0 if max(rows[0][1:]) <= LIMIT_MS else 1)


if __name__ == "__main__":
    main()
