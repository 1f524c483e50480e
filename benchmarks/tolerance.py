"""Differences of a network's outputs between ways to run it, in units of the tolerance of its files.

    python benchmarks/tolerance.py [--model uqdm-pixel] [--dataset npz:imagenet64-sample.npz#eval] [--images 32]

For every step but the first (which is always computed in float64, one tile at a time) each way is compared with
float64: largest and root mean square difference of x_hat (of that which is coded with, and of that which is shown,
where it is another) and of the binary logarithm of the scale, all divided by the step's tolerance. Sections are
computed one after the other, as a decoder does. What must stay below 1 is the last row, the largest difference between
any two ways: one of them may be the encoder, the other the decoder. Exits 1 if it does not. With a GPU, that is two
more ways. The layout in memory that the model's own class does not choose is shown as well, but is no way that files
are made or decoded.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from uqdm.bench.datasets import open_dataset
from uqdm.bench.robustness.cells import PLAIN_KERNELS
from uqdm.coding.randomness import dither, start
from uqdm.model.checkpoint import Model
from uqdm.model.zoo import load_named
from uqdm.progressive import tiles, tolerance
from uqdm.progressive.predictor import Predictor
from uqdm.progressive.tolerance import StepTolerance

OTHER_LAYOUT = {torch.channels_last: torch.contiguous_format, torch.contiguous_format: torch.channels_last}


@dataclass(frozen=True)
class Way:
    """One way to run the network in this process."""

    name: str
    batch: int = 1
    threads: int = 1
    onednn: bool = True
    other_layout: bool = False
    double: bool = False
    device: str = "cpu"


EXACT = Way("float64", double=True)
WAYS = (
    EXACT,
    Way("float64, batch 4", batch=4, double=True),
    Way("batch 1"),
    Way("batch 4", batch=4),
    Way("batch 16", batch=16),
    Way("batch 1, 2 threads", threads=2),
    Way("batch 16, 2 threads", batch=16, threads=2),
    Way("batch 1, no oneDNN", onednn=False),
    Way("batch 4, 2 threads, no oneDNN", batch=4, threads=2, onednn=False),
)
UNUSED = Way("batch 4, other layout", batch=4, other_layout=True)
PLAIN_WAYS = (Way("batch 1"), Way("batch 4, no oneDNN", batch=4, onednn=False))
CUDA_WAYS = (Way("GPU, batch 1", device="cuda"), Way("GPU, batch 16", batch=16, device="cuda"))


def relaid(model: Model) -> Model:
    """The model with the other layout of weights and latents."""
    denoiser = copy.deepcopy(model.denoiser)
    denoiser.memory_format = OTHER_LAYOUT[model.denoiser.memory_format]  # type: ignore[misc]
    return Model(model.name, denoiser, model.schedule, model.image_size, model.config, model.sha256)


def outputs(model: Model, way: Way, latents: list[np.ndarray]) -> np.ndarray:
    """x_hat, log2 scale and x_hat of pictures of all steps but the first, float64 [T - 1, 3, N, D].

    ``latents`` are those before each step and after the last, [N, D].
    """
    torch.set_num_threads(way.threads)
    torch.backends.mkldnn.set_flags(way.onednn)
    predictor = Predictor(relaid(model) if way.other_layout else model, way.device, double=way.double)
    rows = []
    for index, (n_t, n_s) in enumerate(itertools.pairwise(latents[1:]), 1):
        parts = []
        for i in range(0, len(n_t), way.batch):
            opened = predictor.open(index, n_t[i : i + way.batch], [])
            found = predictor.predict_all(opened, n_s[i : i + way.batch])
            parts.append([found.x_hat, found.log2_scale, opened.x_hat])
        rows.append([np.concatenate(values) for values in zip(*parts, strict=True)])
    torch.backends.mkldnn.set_flags(True)
    return np.array(rows)


def coded_latents(model: Model, levels: np.ndarray) -> list[np.ndarray]:
    """The latents before each step and after the last, int64 [N, D], as an encoder has them of these levels."""
    predictor = Predictor(model)
    latents = [np.stack([start(seed, predictor.n_coordinates) for seed in range(len(levels))])]
    for index, lattice in enumerate(predictor.lattice):
        j = np.stack([dither(seed, index + 1, 0, predictor.n_coordinates) for seed in range(len(levels))])
        latents.append(lattice.latent(lattice.quantize(latents[-1], levels, j), j))
    return latents


def all_outputs(name: str, model: Model, latents: list[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Each way's name and outputs, float64 first, and the one that is not used last."""
    for way in WAYS + (CUDA_WAYS if torch.cuda.is_available() else ()):
        yield way.name, outputs(model, way, latents)
    for number, way in enumerate(PLAIN_WAYS):
        yield f"{way.name}, plain kernels", _outputs_elsewhere(name, number, latents)
    yield UNUSED.name, outputs(model, UNUSED, latents)


def _outputs_elsewhere(name: str, number: int, latents: list[np.ndarray]) -> np.ndarray:
    # torch chooses its kernels when it is loaded: this needs a separate process.
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "latents.npy", np.stack(latents), allow_pickle=False)
        command = [sys.executable, __file__, "--model", name, "--worker", str(number), folder]
        subprocess.run(command, check=True, env={**os.environ, **PLAIN_KERNELS})
        return np.load(Path(folder) / "outputs.npy", allow_pickle=False)


def _work(name: str, way: Way, folder: Path) -> None:
    latents = list(np.load(folder / "latents.npy", allow_pickle=False))
    np.save(folder / "outputs.npy", outputs(load_named(name), way, latents), allow_pickle=False)


def measure(name: str, model: Model, levels: np.ndarray, units: list[StepTolerance]) -> tuple[Table, float]:
    """The table for tiles of these levels, int64 [N, D], and the largest ratio of its last row."""
    scale = np.array([[unit.x_hat, unit.log2_scale, unit.x_hat] for unit in units[1:]])[:, :, None, None]
    exact = lowest = highest = np.empty(0)
    table = Table(
        "max / rms of",
        *[f"step {index + 2}: {what}" for index in range(len(scale)) for what in ("x_hat", "scale", "shown")],
    )
    for way, found in all_outputs(name, model, coded_latents(model, levels)):
        if not exact.size:
            exact = lowest = highest = found
            continue
        if way != UNUSED.name:
            lowest, highest = np.minimum(lowest, found), np.maximum(highest, found)
        difference = np.abs(found - exact) / scale
        rms = np.sqrt((difference**2).mean((2, 3)))
        table.add_row(way, *[f"{a:.3f} / {b:.4f}" for a, b in zip(difference.max((2, 3)).flat, rms.flat, strict=True)])
    widest = ((highest - lowest) / scale).max((2, 3))
    table.add_section()
    table.add_row("any two, but for the other layout", *[f"{value:.3f}" for value in widest.flat])
    return table, float(widest.max())


def levels_of(dataset: str, n_images: int, size: int) -> np.ndarray:
    """The first tile of each image of a data set, int64 [N, D]."""
    opened = open_dataset(dataset, limit=n_images)
    return tiles.to_coordinates(np.concatenate([tiles.cut(opened.load(i), size, [0]) for i in range(len(opened))]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="uqdm-pixel", help="name of a shipped model, or path of a model folder")
    parser.add_argument("--dataset", default="demo", help="data set, such as npz:PATH#KEY")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--worker", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        _work(arguments.model, PLAIN_WAYS[int(arguments.worker[0])], Path(arguments.worker[1]))
        return
    model = load_named(arguments.model)
    units, console, worst = tolerance.of_model(model), Console(width=200), 0.0
    print(f"{model.name}, margin {tolerance.MARGIN}, differences from float64 in units of the tolerance:")
    for number, unit in enumerate(units[1:], 2):
        print(f"  step {number}: x_hat {unit.x_hat:.3g}, log2 scale {unit.log2_scale:.3g} octaves")
    real = levels_of(arguments.dataset, arguments.images, model.image_size)
    made_up = tolerance._images(model.image_size)
    for what, levels in (("made-up images", made_up), (f"{len(real)} images of {arguments.dataset}", real)):
        table, widest = measure(arguments.model, model, levels, units)
        table.title, worst = what, max(worst, widest)
        console.print(table)
    print(
        f"largest difference between any two ways: {worst:.2f} of the tolerance ({'kept' if worst < 1 else 'NOT KEPT'})"
    )
    sys.exit(0 if worst < 1 else 1)


if __name__ == "__main__":
    main()
