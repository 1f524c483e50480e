"""Where a file's bits go: everything over the ideal bits of the paper's accounting, by its cause.

    python benchmarks/overhead_bits.py [MODEL] [--dataset npz:imagenet64-sample.npz#eval] [--images 200] [--csv FILE]

MODEL is a shipped model's name or a model folder; of larger images, tiles of the model's size are taken. The ideal
bits are those of the same z_T and dither: the entropy estimates of the steps, and of the last stage given z_0.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tile_images import load_tiles

from uqdm import load_model
from uqdm.coding import grids, previews
from uqdm.coding.ans import Writer
from uqdm.coding.container import parse
from uqdm.progressive import UQDM, tiles
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


def measure_all(model: UQDM, images: np.ndarray) -> list[Bits]:
    """The bits of each image's file, all with seed 0."""
    predictor = model.predictor()
    found = []
    for begin in range(0, len(images), BATCH):
        batch = images[begin : begin + BATCH]
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
        ("ideal: last stage given z_0", bits.ideal_last_stage),
        ("ideal, by the paper's accounting", bits.ideal),
        ("coder: rANS and its state (which holds a check of 32 bits)", bits.coder),
        ("grids: rates lost by rounding", bits.grids),
        ("offsets of the grids", bits.offsets),
        ("offsets of pictures of several sections or bounded densities", bits.pictures),
        ("header", bits.header),
        ("index: lengths of the stages", bits.index),
        ("checks of header and stages", bits.checks),
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
