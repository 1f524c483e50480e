"""DiffC with files and UQDM on the same weights: real bits, ideal bits, and time.

    python benchmarks/diffc.py [--dataset demo] [--images 16] [--size 16] [--model uqdm-pixel]
    python benchmarks/diffc.py --model PATH --steps 100 --deviation posterior     # VDM, steps merged
    python benchmarks/diffc.py --points PATH [--steps 100] [--blocks 16]          # a VDM of the swirl

Prints a row for each size of chunks and one for UQDM; every file is decoded. *Uncertain* messages are those whose
search ended at its cap. Means with 95 % bootstrap intervals over patches, or blocks of points. Times are those of the
process on one thread, which other work on the machine does not change much, after a warm-up.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from tile_images import load_tiles

from uqdm.bench.analysis.bootstrap import mean_intervals
from uqdm.diffc.chunks import Limits
from uqdm.diffc.coder import GaussianCoder
from uqdm.diffc.pictures import DiffC
from uqdm.diffusion.gaussian import DEVIATIONS
from uqdm.diffusion.levels import levels_of
from uqdm.model.checkpoint import Model
from uqdm.model.zoo import load_named
from uqdm.progressive import UQDM
from uqdm.training.data.swirl import swirl_points

MARGIN_BITS = 8


@dataclass(frozen=True)
class Cost:
    """Figures of one patch or block. Bits are per pixel or per point; NaN where UQDM has no such figure."""

    file_bits: float
    ideal_bits: float
    mse: float
    encode_ms: float
    decode_ms: float
    steps: float
    messages: float = np.nan
    uncertain_percent: float = np.nan


def patch_costs(model: Model, patches: np.ndarray, n_steps: int | None, deviation: str, limits: Limits) -> list[Cost]:
    """DiffC on patches, uint8 [N, H, W, 3]."""
    diffc = DiffC(model, n_steps, deviation, limits)
    _patch_cost(diffc, patches[0, :8, :8])
    return [_patch_cost(diffc, patch) for patch in patches]


def _patch_cost(diffc: DiffC, patch: np.ndarray) -> Cost:
    encode_s, made = timed(lambda: diffc.compress(patch))
    decode_s, decoded = timed(lambda: diffc.decompress(made.stream))
    n, tally = patch.shape[0] * patch.shape[1], made.tally
    return Cost(
        8 * len(made.stream) / n,
        sum(made.ideal_bits) / n,
        float(((decoded.astype(float) - patch) ** 2).mean()),
        1e3 * encode_s,
        1e3 * decode_s,
        len(made.ideal_bits),
        tally.chunks,
        100 * tally.uncertain / tally.chunks,
    )


def uqdm_patch_costs(model: Model, patches: np.ndarray) -> list[Cost]:
    """UQDM on the same patches, up to its last step before the lossless end, with tiles of their size."""
    codec = UQDM(replace(model, image_size=patches.shape[1]))
    _uqdm_patch_cost(codec, patches[0])
    return [_uqdm_patch_cost(codec, patch) for patch in patches]


def _uqdm_patch_cost(codec: UQDM, patch: np.ndarray) -> Cost:
    encode_s, (made,) = timed(lambda: codec.compress_detailed([patch]))
    n, n_steps = patch.shape[0] * patch.shape[1], codec.n_steps
    prefix = made.stream[: codec.open(made.stream).stage_end(n_steps)]
    decode_s, decoded = timed(lambda: codec.decompress([made.stream], step=n_steps)[0])
    mse = float(((decoded.astype(float) - patch) ** 2).mean())
    ideal = made.ideal_bits[n_steps] / n
    return Cost(8 * len(prefix) / n, ideal, mse, 1e3 * encode_s, 1e3 * decode_s, n_steps)


def block_costs(model: Model, blocks: np.ndarray, n_steps: int | None, limits: Limits) -> list[Cost]:
    """DiffC on blocks of points, uint8 [B, n, 2]; bits are a point's, without a header."""
    coder = GaussianCoder(model, n_steps, "posterior", limits)
    _block_cost(coder, blocks[0, :8], 0)
    return [_block_cost(coder, block, seed) for seed, block in enumerate(blocks)]


def _block_cost(coder: GaussianCoder, block: np.ndarray, seed: int) -> Cost:
    levels = levels_of(coder.model.config)
    x = levels.to_data(block[:, None, None, :])
    encode_s, sent = timed(lambda: coder.send(x, seed))
    body, shape = b"".join(sent.steps), tuple(x.shape)
    decode_s, latents = timed(lambda: list(coder.receive(body, shape, seed, len(sent.steps))))
    z_0 = latents[-1].z_t / coder.schedule.step(coder.schedule.n_steps - 1).alpha_s
    decoded = levels.nearest(z_0.double()).flatten(1).numpy()
    n, tally = len(block), sent.tally
    return Cost(
        8 * len(body) / n,
        sum(sent.ideal_bits) / n,
        float(((decoded - block) ** 2).mean()),
        1e3 * encode_s,
        1e3 * decode_s,
        len(sent.steps),
        tally.chunks,
        100 * tally.uncertain / tally.chunks,
    )


def uqdm_block_costs(model: Model, blocks: np.ndarray, n_steps: int) -> list[Cost]:
    """UQDM on the same points with the same weights, in few steps and to the lossless end; files with headers."""
    from uqdm.progressive.points import PointsCodec

    few = replace(model, schedule=model.schedule_at(n_steps), config={**model.config, "process": "uniform"})
    codec = PointsCodec(few)
    _uqdm_block_cost(codec, blocks[0], n_steps)
    return [_uqdm_block_cost(codec, block, n_steps) for block in blocks]


def _uqdm_block_cost(codec: object, block: np.ndarray, n_steps: int) -> Cost:
    encode_s, stream = timed(lambda: codec.compress(block))
    decode_s, decoded = timed(lambda: codec.decompress(stream))
    mse = float(((decoded.astype(float) - block) ** 2).mean())
    ideal = sum(codec.ideal_bits(block)) / len(block)
    return Cost(8 * len(stream) / len(block), ideal, mse, 1e3 * encode_s, 1e3 * decode_s, n_steps)


def timed(work: Callable[[], object]) -> tuple[float, object]:
    begun = time.process_time()
    result = work()
    return time.process_time() - begun, result


def show(title: str, named: Sequence[tuple[str, list[Cost]]], per: str) -> None:
    """A table of means with intervals."""
    names = [field.name for field in fields(Cost)]
    table = Table("what", "n", *(name if not name.endswith("_bits") else f"{name}/{per}" for name in names))
    for name, costs in named:
        values = np.array([[getattr(cost, field) for field in names] for cost in costs])
        cells = [_cell(*of) for of in zip(*mean_intervals(values), strict=True)]
        table.add_row(name, str(len(costs)), *cells)
    console = Console(width=200)
    console.print(title)
    console.print(table)


def _cell(mean: float, low: float, high: float) -> str:
    if mean != mean:
        return ""
    return f"{mean:.4g}" if low == high else f"{mean:.4g} ({low:.4g}-{high:.4g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="uqdm-pixel")
    parser.add_argument("--dataset", default="demo")
    parser.add_argument("--images", type=int, default=16, help="patches, from as many images")
    parser.add_argument("--size", type=int, default=16, help="side of the patches, in pixels")
    parser.add_argument("--points", help="a VDM of the swirl, in place of images")
    parser.add_argument("--blocks", type=int, default=16)
    parser.add_argument("--block-points", type=int, default=64)
    parser.add_argument("--steps", type=int, default=None, help="T of the schedule [the model's own]")
    parser.add_argument("--uqdm-steps", type=int, default=5, help="T of UQDM on points")
    parser.add_argument("--deviation", default="matched", choices=DEVIATIONS)
    parser.add_argument("--chunk-bits", type=int, nargs="+", default=[2, 4, 6, 8])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    limits = [Limits(bits, MARGIN_BITS) for bits in arguments.chunk_bits]
    model = load_named(arguments.points or arguments.model)
    steps = arguments.steps or model.schedule.n_steps
    if arguments.points:
        rng = np.random.default_rng(1)
        blocks = np.stack([swirl_points(arguments.block_points, rng) for _ in range(arguments.blocks)])
        title, per = f"{model.name}: blocks of {arguments.block_points} points, DiffC with T = {steps}", "point"
        runs = [(f"DiffC, {of.chunk_bits} bits", block_costs(model, blocks, steps, of)) for of in limits]
        runs.append((f"UQDM, T = {arguments.uqdm_steps}", uqdm_block_costs(model, blocks, arguments.uqdm_steps)))
    else:
        patches = load_tiles(arguments.dataset, arguments.images, arguments.size)
        title = f"{model.name}: {arguments.dataset}, {arguments.size}x{arguments.size}, DiffC with T = {steps}"
        title, per = f"{title}, deviation {arguments.deviation}", "pixel"
        runs = [
            (f"DiffC, {of.chunk_bits} bits", patch_costs(model, patches, steps, arguments.deviation, of))
            for of in limits
        ]
        runs.append((f"UQDM, T = {model.schedule.n_steps}", uqdm_patch_costs(model, patches)))
    show(title, runs, per)


if __name__ == "__main__":
    main()
