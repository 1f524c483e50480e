"""How much a model's outputs differ between machines, batch sizes and thread counts: measured, with a margin."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uqdm.coding.randomness import dither, start
from uqdm.diffusion.images import N_LEVELS
from uqdm.model.checkpoint import Model, load, write_config
from uqdm.progressive.predictor import Outputs, Predictor

MARGIN = 2.5
"""A tolerance is this many times the largest difference that was measured."""
_METHOD = 2  # raise it when what is measured, or the margin, changes: kept values are then measured again
_FLOOR = 2.0**-24  # no measured difference is trusted below this


@dataclass(frozen=True)
class StepTolerance:
    """Absolute differences to bear at one step: of x_hat, in data units, and of the scale's exponent, in octaves."""

    x_hat: float
    log2_scale: float


# Differences seen in float64 are some 1e-13; outputs of a first step are always computed so.
_DOUBLE = StepTolerance(2.0**-32, 2.0**-32)


def of_model(model: Model, *, double: bool = False) -> list[StepTolerance]:
    """The tolerances that a model's configuration gives, or else measured ones (a few calls of the network)."""
    if double:
        return [_DOUBLE] * model.schedule.n_steps
    given = model.config.get("tolerance")
    if given is not None:
        return _from_data(given)
    return _kept(model)


def _kept(model: Model) -> list[StepTolerance]:
    """Measured tolerances of a model, kept on disk: only an encoder uses them, and files tell what they bear."""
    root = Path(os.environ.get("UQDM_CACHE") or Path.home() / ".cache" / "uqdm")
    file = root / "tolerance" / f"{model.sha256[:32]}-{_METHOD}.json"
    try:
        return _from_data(json.loads(file.read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        measured = measure(model)
    with contextlib.suppress(OSError):  # a folder that cannot be written to costs time, nothing else
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
        temporary.write_text(json.dumps(to_data(measured)))
        os.replace(temporary, file)
    return measured


def to_data(tolerances: list[StepTolerance]) -> list[dict[str, float]]:
    """Tolerances as they stand in a model's configuration."""
    return [{"x_hat": item.x_hat, "log2_scale": item.log2_scale} for item in tolerances]


def _from_data(data: Any) -> list[StepTolerance]:
    return [StepTolerance(float(item["x_hat"]), float(item["log2_scale"])) for item in data]


def record(folder: Path) -> None:
    """Measures a model of the project's own, and writes what was found into its configuration."""
    model = load(folder)
    write_config(folder, {**model.config, "tolerance": to_data(measure(model))})


def measure(model: Model) -> list[StepTolerance]:
    """Compares float32 outputs, one tile at a time and several at once, with float64 ones on made-up images."""
    single, double = Predictor(model), Predictor(model, double=True)
    tiles = _images(model.image_size)
    seeds = list(range(len(tiles)))
    n_t = np.stack([start(seed, single.n_coordinates) for seed in seeds])
    tolerances = []
    for index in range(model.schedule.n_steps):
        exact = double.predict(index, n_t, seeds)
        batch = single.predict(index, n_t, seeds)
        rows = [single.predict(index, n_t[i : i + 1], seeds[i : i + 1]) for i in seeds]
        found = [_difference(exact, batch, slice(None))]
        found += [_difference(exact, row, slice(i, i + 1)) for i, row in enumerate(rows)]
        x_hat, scale = (MARGIN * max(_FLOOR, *values) for values in zip(*found, strict=True))
        tolerances.append(StepTolerance(x_hat, scale) if index else _DOUBLE)
        j = np.stack([dither(seed, index + 1, 0, single.n_coordinates) for seed in seeds])
        n_t = single.lattice[index].latent(single.lattice[index].quantize(n_t, tiles, j), j)
    return tolerances


def _difference(exact: Outputs, other: Outputs, rows: slice) -> tuple[float, float]:
    x_hat = np.abs(exact.x_hat[rows] - other.x_hat).max()
    return float(x_hat), float(np.abs(exact.log2_scale[rows] - other.log2_scale).max())


def _images(size: int) -> np.ndarray:
    """Levels int64 [4, 3 size^2]: a smooth surface, hard edges, noise, and a grey with a noisy last digit."""
    rng = np.random.Generator(np.random.Philox(0))
    y, x = np.mgrid[:size, :size]
    smooth = (x * 3 + y * 2) % N_LEVELS
    edges = ((x // 8 + y // 8) % 2) * (N_LEVELS - 1)
    grey = np.full((3, size, size), 128) + rng.integers(0, 2, (3, size, size))
    noise = rng.integers(0, N_LEVELS, (3, size, size))
    images = [np.broadcast_to(smooth, (3, size, size)), np.broadcast_to(edges, (3, size, size)), noise, grey]
    return np.stack([image.reshape(-1) for image in images]).astype(np.int64)
