"""Measured tolerances for differences of a model's outputs between machines, batch sizes and thread counts."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uqdm.arithmetic import float32_arithmetic
from uqdm.coding.randomness import dither, start
from uqdm.diffusion.images import N_LEVELS
from uqdm.model.checkpoint import Model, load, write_config
from uqdm.places import cache_folder
from uqdm.progressive.codable import check_codable
from uqdm.progressive.predictor import Predictor

MARGIN = 2.5
"""A tolerance is this many times the largest difference that was measured."""
SECTIONED_MARGIN = 3.0
"""The same for models of several sections: each section has a head, so more outputs may have large differences."""
_METHOD = 4  # increase it when the measurement or the margin changes: cached values are then measured again
_FLOOR = 2.0**-24  # lower bound of measured differences


@dataclass(frozen=True)
class StepTolerance:
    """Tolerated absolute differences at one step: of x_hat, in data units, and of the scale's exponent, in octaves.

    That of x_hat holds for the estimates for coding and for the one for pictures.
    """

    x_hat: float
    log2_scale: float


# Differences in float64 are about 1e-13; the outputs of the first step are always computed in float64.
_DOUBLE = StepTolerance(2.0**-32, 2.0**-32)


def of_model(model: Model, *, double: bool = False) -> list[StepTolerance]:
    """The tolerances in a model's configuration, else measured ones (a few network calls)."""
    if double:
        return [_DOUBLE] * model.schedule.n_steps
    given = model.config.get("tolerance")
    if given is not None:
        return _from_data(given)
    return _kept(model)


def _kept(model: Model) -> list[StepTolerance]:
    """Measured tolerances of a model, cached on disk. Only an encoder uses them; each file states its own."""
    file = cache_folder() / "tolerance" / f"{model.sha256[:32]}-{_METHOD}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        kept = _from_data(json.loads(file.read_text(encoding="utf-8")))
        if len(kept) == model.schedule.n_steps and all(0 < v <= 1 for item in kept for v in vars(item).values()):
            return kept
    measured = measure(model)  # nothing valid is cached
    with contextlib.suppress(OSError):  # without a writable cache folder it is measured again each time
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
        temporary.write_text(json.dumps(to_data(measured)))
        os.replace(temporary, file)
    return measured


def to_data(tolerances: list[StepTolerance]) -> list[dict[str, float]]:
    """Tolerances in the form of a model's configuration."""
    return [{"x_hat": item.x_hat, "log2_scale": item.log2_scale} for item in tolerances]


def _from_data(data: Any) -> list[StepTolerance]:
    return [StepTolerance(float(item["x_hat"]), float(item["log2_scale"])) for item in data]


def record(folder: Path) -> None:
    """Measures a model in the project's own layout, and writes the tolerances into its configuration.

    Raises ValueError for a model that cannot code files of images.
    """
    model = load(folder)
    check_codable(model)
    write_config(folder, {**model.config, "tolerance": to_data(measure(model))})


@float32_arithmetic()
def measure(model: Model) -> list[StepTolerance]:
    """Compares float32 outputs, one tile at a time and several at once, with float64 ones on synthetic images.

    Outputs of a section are computed from the latents that the decoder has at that point.
    """
    single, double = Predictor(model), Predictor(model, double=True)
    tiles = _images(model.image_size)
    seeds = list(range(len(tiles)))
    n_t = np.stack([start(seed, single.n_coordinates) for seed in seeds])
    tolerances = []
    for index, lattice in enumerate(single.lattice):
        j = np.stack([dither(seed, index + 1, 0, single.n_coordinates) for seed in seeds])
        n_s = lattice.latent(lattice.quantize(n_t, tiles, j), j)
        if index == 0:
            tolerances.append(_DOUBLE)
        else:
            exact = _values(double, index, n_t, n_s)
            found = [_difference(exact, _values(single, index, n_t, n_s))]
            rows = [(slice(i, i + 1), _values(single, index, n_t[i : i + 1], n_s[i : i + 1])) for i in seeds]
            found += [_difference([value[row] for value in exact], values) for row, values in rows]
            margin = MARGIN if single.sections[index].count == 1 else SECTIONED_MARGIN
            x_hat, scale = (margin * max(_FLOOR, *values) for values in zip(*found, strict=True))
            tolerances.append(StepTolerance(x_hat, scale))
        n_t = n_s
    return tolerances


def _values(predictor: Predictor, index: int, n_t: np.ndarray, n_s: np.ndarray) -> list[np.ndarray]:
    """log2_scale and x_hat of all sections, and the x_hat of pictures, of a step after the first."""
    opened = predictor.open(index, n_t, [])
    outputs = predictor.predict_all(opened, n_s)
    return [outputs.log2_scale, outputs.x_hat, opened.x_hat]


def _difference(exact: list[np.ndarray], other: list[np.ndarray]) -> tuple[float, float]:
    """Differences of x_hat (the larger of the two) and of log2_scale."""
    scale, *x_hats = (float(np.abs(a - b).max()) for a, b in zip(exact, other, strict=True))
    return max(x_hats), scale


def _images(size: int) -> np.ndarray:
    """Levels int64 [4, 3 size^2]: a smooth surface, sharp edges, noise, and grey with noise in the last bit."""
    rng = np.random.Generator(np.random.Philox(0))
    y, x = np.mgrid[:size, :size]
    smooth = (x * 3 + y * 2) % N_LEVELS
    edges = ((x // 8 + y // 8) % 2) * (N_LEVELS - 1)
    grey = np.full((3, size, size), 128) + rng.integers(0, 2, (3, size, size))
    noise = rng.integers(0, N_LEVELS, (3, size, size))
    images = [np.broadcast_to(smooth, (3, size, size)), np.broadcast_to(edges, (3, size, size)), noise, grey]
    return np.stack([image.reshape(-1) for image in images]).astype(np.int64)
