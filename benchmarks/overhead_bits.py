"""Where a file's bits go: everything over the ideal bits of the paper's accounting, by its cause.

    python benchmarks/overhead_bits.py [MODEL] [--dataset npz:imagenet64-sample.npz#eval] [--images 200] [--csv FILE]

MODEL is a shipped model's name or a model folder; of larger images, tiles of the model's size are taken. The ideal
bits are those of the same z_T and dither: the entropy estimates of the steps, and of the last stage given z_0.

Of a model in bands they are the information of all symbols under the unrounded densities. Its files have a check value,
a shift and an end of its stream in each stage, and lengths in place of an index.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from tile_images import load_tiles

from uqdm import load_model
from uqdm.coding import grids, previews
from uqdm.coding.ans import SHORT_CHECK_BITS, Reader, Writer
from uqdm.coding.bounds import Bounds
from uqdm.coding.container import Container, parse
from uqdm.coding.logistic import LOCATION_BITS, SCALE_UNITS
from uqdm.diffusion.density import LOGISTIC_SCALE_PER_DEVIATION
from uqdm.progressive import UQDM, tiles
from uqdm.progressive.banded.compressor import BandedUQDM
from uqdm.progressive.banded.rounding import SHIFT_BITS, Rounding, read_shift
from uqdm.progressive.banded.steps import Draws, Networks, advance, begin, bounded_bits, free_bits
from uqdm.progressive.banded.symbols import Read
from uqdm.progressive.encoder import SentStep, SentTile, in_bins, send_tiles, step_ideal_bits, write_chunk
from uqdm.progressive.predictor import Outputs

BATCH = 16
CHECK_BITS = 16  # of the header, and of each stage but the last


class CountingWriter(Writer):
    """Counts the bits of what is not a symbol."""

    bits = 0.0

    def raw(self, value: int, bits: int) -> None:
        """See :meth:`uqdm.coding.ans.Writer.raw`."""
        super().raw(value, bits)
        self.bits += bits

    def choices(self, values: np.ndarray, counts: np.ndarray) -> None:
        """See :meth:`uqdm.coding.ans.Writer.choices`."""
        super().choices(values, counts)
        self.bits += float(np.log2(counts).sum())


@dataclass(frozen=True)
class Bits:
    """Bits of one image's file, or means of many."""

    ideal_steps: float
    ideal_last_stage: float
    offsets: float
    pictures: float
    grids: float
    coder: float
    header: float
    index: float
    checks: float
    window: float
    file: float

    @property
    def ideal(self) -> float:
        """By the paper's accounting."""
        return self.ideal_steps + self.ideal_last_stage

    @property
    def overhead(self) -> float:
        """Everything but the ideal bits of the steps and the levels inside the window."""
        return self.offsets + self.pictures + self.grids + self.coder + self.header + self.index + self.checks


def measure(model: UQDM, tile: SentTile, file: bytes) -> Bits:
    """Splits one image's bits by cause."""
    predictor, tolerances = model.predictor(), model.tolerances()
    ideal = np.array(tile.ideal_bits)
    offsets = rounded = pictures = 0.0
    for index, step in enumerate(tile.steps):
        writer = CountingWriter()
        cells = grids.write(writer, step.mean_bins, step.log2_scale, in_bins(tolerances[index], predictor, index))
        offsets += writer.bits
        rounded += rounded_bits(step, cells)
        if index and predictor.format_version > 1:
            writer = CountingWriter()
            previews.write(writer, step.x_hat, tile.levels, tolerances[index].x_hat)
            pictures += writer.bits
    window = 0.0 if predictor.lattice[-1].window_is_free else float(np.log2(tile.choices[1]).sum())
    stream_bits = 8 * len(write_chunk([tile], predictor, tolerances, tile.seed, 0).stream)
    container = parse(file)
    checks = CHECK_BITS * container.header.n_stages
    container_bits = 8 * (container.header_bytes + container.index_bytes)
    if container_bits + stream_bits != 8 * len(file):
        raise RuntimeError("the parts do not add up to the file")
    return Bits(
        ideal_steps=ideal[:-1].sum(),
        ideal_last_stage=ideal[-1],
        offsets=offsets,
        pictures=pictures,
        grids=rounded - ideal[:-1].sum(),
        coder=stream_bits - offsets - pictures - rounded - window,
        header=8 * container.header_bytes - CHECK_BITS,
        index=8 * container.index_bytes - checks + CHECK_BITS,
        checks=checks,
        window=window,
        file=8 * len(file),
    )


def rounded_bits(step: SentStep, cells: grids.Cells) -> float:
    """Ideal bits of symbols under the rounded predictions, in floating point."""
    outputs = Outputs(cells.mean[None], cells.mean[None] / 65536, cells.scale[None] / 2048)
    bounds = step.bounds and step.bounds.at(None)
    return float(step_ideal_bits(step.symbols[None], step.known[None], outputs, bounds)[0])


# ---- models in bands ------------------------------------------------------------------------------------------


class CountingRead(Read):
    """Reads symbols, and adds up their information under the densities of the rounded locations and scales."""

    bits = 0.0

    def free(self, row: int, locations: np.ndarray, scales: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
        """See :meth:`uqdm.progressive.banded.symbols.Read.free`."""
        found = super().free(row, locations, scales, wanted)
        self.bits += free_bits(found, *_in_bins(locations, scales))
        return found

    def bounded(
        self, row: int, locations: np.ndarray, scales: np.ndarray, bounds: Bounds, wanted: np.ndarray | None
    ) -> np.ndarray:
        """See :meth:`uqdm.progressive.banded.symbols.Read.bounded`."""
        found = super().bounded(row, locations, scales, bounds, wanted)
        self.bits += bounded_bits(found, *_in_bins(locations, scales), bounds)
        return found


def _in_bins(locations: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Locations and deviations."""
    return locations / (1 << LOCATION_BITS), np.exp2(scales / SCALE_UNITS) / LOGISTIC_SCALE_PER_DEVIATION


def measure_banded(networks: Networks, container: Container) -> Bits:
    """Splits the bits of a file of one tile by cause."""
    header = container.header
    known, draws = begin(networks, 1), Draws([header.seed], [0])
    ideal, rounded, shifts = [], 0.0, 0
    for stage in range(header.n_stages):
        reader = Reader.short(container.segment(0, stage))
        shift = read_shift(reader)
        source = CountingRead([reader])
        known, coded = advance(networks, known, draws, Rounding([shift]), source, ideal=True)
        ideal.append(float(coded.ideal_bits[0]))
        rounded += source.bits
        shifts += 1 + SHIFT_BITS * (shift > 0)
    container_bits = 8 * (container.header_bytes + container.index_bytes)
    checks = SHORT_CHECK_BITS * header.n_stages
    return Bits(
        ideal_steps=sum(ideal[:-1]),
        ideal_last_stage=ideal[-1],
        offsets=shifts,
        pictures=0.0,
        grids=rounded - sum(ideal),
        coder=8 * len(container.data) - container_bits - shifts - checks - rounded,
        header=8 * container.header_bytes,
        index=8 * container.index_bytes,
        checks=checks,
        window=ideal[-1],
        file=8 * len(container.data),
    )


# ---- all images -----------------------------------------------------------------------------------------------


def measure_all(model: UQDM | BandedUQDM, images: np.ndarray) -> list[Bits]:
    """The bits of each image's file, all with seed 0; images have the size of a tile."""
    if isinstance(model, BandedUQDM):
        networks = Networks(model.model, torch.device(model.device))
        return [measure_banded(networks, model.open(file)) for file in model.compress(images)]
    predictor = model.predictor()
    found = []
    for first in range(0, len(images), BATCH):
        batch = images[first : first + BATCH]
        n = len(batch)
        sent = send_tiles(predictor, tiles.to_coordinates(batch), [0] * n, [0] * n, ideal=True)
        files = model.compress(batch, seeds=1)
        found += [measure(model, tile, file) for tile, file in zip(sent, files, strict=True)]
    return found


def mean(rows: list[Bits]) -> Bits:
    names = Bits.__dataclass_fields__
    return Bits(**{name: float(np.mean([getattr(row, name) for row in rows])) for name in names})


def lines(bits: Bits) -> list[tuple[str, float]]:
    """Rows of the table: cause, and bits an image."""
    return [
        ("ideal: steps", bits.ideal_steps),
        ("ideal: last stage given z_0, or the windows", bits.ideal_last_stage),
        ("ideal, by the paper's accounting", bits.ideal),
        ("coder: frequencies and ends of streams (a check of 32 bits, but in bands)", bits.coder),
        ("grids: rates lost by rounding", bits.grids),
        ("offsets of the grids; in bands shifts of the cells", bits.offsets),
        ("offsets of pictures of several sections or bounded densities", bits.pictures),
        ("header", bits.header),
        ("index, or lengths of the stages", bits.index),
        ("checks of header and stages; in bands of stages alone", bits.checks),
        ("all of these, before the last stage's gain", bits.overhead),
        ("last stage's gain: window of z_1 and z_0", bits.window - bits.ideal_last_stage),
        ("file against the paper's accounting", bits.file - bits.ideal),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", nargs="?", default="uqdm-pixel")
    parser.add_argument("--dataset", default="demo", help="data set, such as npz:PATH#KEY")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--csv", type=Path, help="also writes the bits of every image here")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    images = load_tiles(arguments.dataset, arguments.images, model.model.image_size)
    rows = measure_all(model, images)
    if arguments.csv:
        with arguments.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, Bits.__dataclass_fields__)
            writer.writeheader()
            writer.writerows(vars(row) for row in rows)
    bits = mean(rows)
    table = Table(title=f"{model.model.name}, {len(images)} images of {images.shape[2]}x{images.shape[1]}")
    for heading in ("", "bits/image", "% of ideal"):
        table.add_column(heading, justify="right" if heading else "left")
    for label, value in lines(bits):
        table.add_row(label, f"{value:,.1f}", f"{100 * value / bits.ideal:+.3f}" if "ideal" not in label else "")
    Console(width=110).print(table)
    relative = [100 * (row.file / row.ideal - 1) for row in rows]
    spread = np.std(relative, ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else np.nan
    print(
        f"file against the paper's accounting, mean of images: {np.mean(relative):+.3f} % (standard error {spread:.3f})"
    )


if __name__ == "__main__":
    main()
