"""Training by a configuration file: reads and checks it, trains, and writes the model folder."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from uqdm.model import checkpoint
from uqdm.model.denoiser import Denoiser
from uqdm.training.data import random_tiles
from uqdm.training.separate import SeparateRecipe, train_separately
from uqdm.training.trainer import Progress, Recipe, TrainingError, train

KEYS = {"name", "image_size", "data", "model", "recipe"}


class TrainingConfigError(ValueError):
    """A training configuration is wrong. The message names the file and the key."""


def read_config(file: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads and checks a YAML configuration (see ``config/train/``). Raises :class:`TrainingConfigError`."""
    try:
        config = yaml.safe_load(Path(file).read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingConfigError(f"{file}: not valid YAML ({error})") from error
    if not isinstance(config, dict) or config.keys() != KEYS:
        found = sorted(config) if isinstance(config, dict) else type(config).__name__
        raise TrainingConfigError(f"{file}: expected the keys {', '.join(sorted(KEYS))}; found {found}")
    recipe = _recipe(file, config)
    n_steps = config["model"]["schedule"]["n_steps"]
    if isinstance(recipe, SeparateRecipe):
        if len(recipe.iterations) != n_steps:
            raise TrainingConfigError(f"{file}: recipe.iterations needs {n_steps} entries, one for each step")
        return config
    for key in ("step_shares", "batch_sizes", "crop_sizes"):
        if len(getattr(recipe, key)) != n_steps:
            raise TrainingConfigError(f"{file}: recipe.{key} needs {n_steps} entries, one for each step")
    if abs(sum(recipe.step_shares) - 1) > 1e-9:
        raise TrainingConfigError(f"{file}: recipe.step_shares must sum to 1, not {sum(recipe.step_shares)}")
    return config


def _recipe(file: str | os.PathLike[str], config: dict[str, Any]) -> Recipe | SeparateRecipe:
    """The recipe; one with ``iterations`` for each step trains the steps separately."""
    kind = SeparateRecipe if "iterations" in config["recipe"] else Recipe
    known = {item.name for item in fields(kind)}
    unknown = config["recipe"].keys() - known
    if unknown:
        raise TrainingConfigError(f"{file}: recipe has no {sorted(unknown)}; it takes {', '.join(sorted(known))}")
    try:
        return kind(**config["recipe"])
    except (TypeError, TrainingError) as error:
        raise TrainingConfigError(f"{file}: recipe: {error}") from error


def train_from_config(
    config_file: str | os.PathLike[str],
    images: str | os.PathLike[str],
    out: str | os.PathLike[str],
    report: Callable[[Progress], Any] = lambda progress: None,
    report_every: int = 500,
    n_iterations: int | None = None,
) -> Path:
    """Trains on the folder ``images`` and writes the model to the folder ``out``, with ``log.csv`` beside it.

    With a :class:`~uqdm.training.separate.SeparateRecipe` there is a log and a state for each step instead, and what
    an earlier run left in ``out`` is continued.

    ``n_iterations`` overrides the recipe's. The folder must not hold a model yet. Returns the folder.
    """
    config, target = read_config(config_file), Path(out)
    if n_iterations is not None:
        _shorten(config["recipe"], n_iterations)
    if (target / checkpoint.WEIGHTS).exists():
        raise TrainingError(f"{target}: a model is there already; name another folder")
    recipe = _recipe(config_file, config)
    tiles = random_tiles(images, config["image_size"], **config["data"])
    if isinstance(recipe, SeparateRecipe):
        target.mkdir(parents=True, exist_ok=True)
        averaged = train_separately(config["model"], recipe, tiles, target, os.cpu_count() or 1, report)
        return _save(target, config, tiles, averaged)
    torch.manual_seed(recipe.seed)
    denoiser, schedule = checkpoint.build(config["model"])
    denoiser = denoiser.to(memory_format=torch.channels_last)
    target.mkdir(parents=True, exist_ok=True)
    with (target / "log.csv").open("w", newline="") as log:
        rows = csv.writer(log)
        rows.writerow(["iteration", "seconds", *(f"step_{i + 1}_bpp" for i in range(schedule.n_steps))])

        def on_progress(progress: Progress) -> None:
            rows.writerow([progress.iteration, f"{progress.seconds:.1f}", *(f"{v:.4f}" for v in progress.step_bpp)])
            log.flush()
            report(progress)

        averaged = train(denoiser, schedule, tiles, recipe, on_progress, report_every)
    return _save(target, config, tiles, averaged)


def n_iterations_of(config: dict[str, Any]) -> int:
    """Iterations of a configuration, those of all steps together."""
    recipe = config["recipe"]
    return sum(recipe["iterations"]) if "iterations" in recipe else recipe["n_iterations"]


def _shorten(recipe: dict[str, Any], n_iterations: int) -> None:
    """Sets the number of iterations; of separately trained steps in proportion, with their cool-downs."""
    if "iterations" not in recipe:
        recipe["n_iterations"] = n_iterations
        return
    share = n_iterations / sum(recipe["iterations"])
    for key in ("iterations", "cool_down"):
        recipe[key] = [max(1, round(share * count)) for count in recipe[key]]


def _save(target: Path, config: dict[str, Any], tiles: np.ndarray, averaged: Denoiser) -> Path:
    model = {"image_size": config["image_size"], **config["model"], "training": _provenance(config, tiles)}
    checkpoint.save(target, json.loads(json.dumps(model)), averaged, half=True)
    return target


def _provenance(config: dict[str, Any], tiles: np.ndarray) -> dict[str, Any]:
    return {"recipe": config["recipe"], "data": config["data"], "n_tiles": len(tiles), "torch": torch.__version__}
