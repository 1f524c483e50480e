"""Trains the models of the swirl experiments; models that exist already are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uqdm.model.checkpoint import WEIGHTS
from uqdm.registry import suggest
from uqdm.training.config import Data, Output, TrainingConfig
from uqdm.training.job import TrainingCallbacks, TrainingJob
from uqdm.training.loop import CHECKPOINT
from uqdm.training.recipe import JointRecipe
from uqdm.training.run import train
from uqdm.training.stop import telling_what_is_kept
from uqdm.training.trainer import TrainingProgress

GAMMA_MAX = 5.0
GAMMA_MIN = -9.0
"""Constant: noise of deviation 0.011, half a level. Less noise would spend bits on details below the levels."""
GAMMA_MIN_WIDE = -13.3
"""gamma_min of the two-dimensional example of Kingma et al. (2021), the initial value of a VDM's schedule."""
BATCH_SIZE = 256


@dataclass(frozen=True)
class Kind:
    """The settings of a kind of trained model, besides T and the seed."""

    process: str
    learned_scale: bool
    gamma_min: float
    learned_schedule: tuple[str, ...] = ()


KINDS = {
    "vdm": Kind("gaussian", False, GAMMA_MIN_WIDE, ("slope", "gamma_max")),
    "learned": Kind("uniform", True, GAMMA_MIN),
    "fixed": Kind("uniform", False, GAMMA_MIN),
    "wide": Kind("uniform", True, GAMMA_MIN_WIDE),
}
"""VDM; UQDM with a learned variance, with a fixed one, and with a learned one on the wide schedule."""


def kind_of(kind: str) -> Kind:
    """The settings of a kind of models; raises LookupError for an unknown one.

    >>> kind_of("fixed").learned_scale
    False
    """
    if kind not in KINDS:
        raise LookupError(f"no kind of model {kind!r}{suggest(kind, KINDS)}; known: {', '.join(KINDS)}")
    return KINDS[kind]


def model_config(kind: str, n_steps: int) -> dict[str, Any]:
    """A model's configuration, as in the ``config.json`` of its folder; raises LookupError for an unknown kind.

    >>> model_config("fixed", 5)["denoiser"]["learned_scale"]
    False
    """
    of = kind_of(kind)
    return {
        "process": of.process,
        "levels": {"mean": [115.6, 135.3], "deviation": [47.2, 41.6]},  # of 1,024 points
        "schedule": {"slope": GAMMA_MAX - of.gamma_min, "gamma_max": GAMMA_MAX, "n_steps": n_steps},
        "denoiser": {"kind": "points", "width": 512, "learned_scale": of.learned_scale},
    }


def recipe(kind: str, n_iterations: int, seed: int) -> JointRecipe:
    """AdamW on the whole bound, estimated by one random step for each point: the cost does not depend on T."""
    return JointRecipe(
        objective="random_step",
        n_iterations=n_iterations,
        batch_size=BATCH_SIZE,
        learning_rate=3e-3,
        betas=(0.9, 0.999),
        weight_decay=1e-4,
        ema_decay=0.99,
        bfloat16=False,
        learned_schedule=list(kind_of(kind).learned_schedule),
        seed=seed,
    )


def job_of(models: Path, kind: str, n_steps: int, n_iterations: int, seed: int) -> TrainingJob:
    """The training run of a model. Its folder's name has a digest of all settings that the weights depend on."""
    config = TrainingConfig(
        name=f"{kind}-T{n_steps}-seed{seed}",
        recipe=recipe(kind, n_iterations, seed),
        data=Data(source="swirl"),
        model=model_config(kind, n_steps),
        image_size=1,
        output=Output(report_every=500, checkpoint_every=1000, pictures_every=n_iterations, weights="float32"),
    )
    assert config.model is not None
    blank = TrainingJob(config, models, config.model, 1)
    digest = hashlib.sha256(json.dumps(blank.identity, sort_keys=True).encode()).hexdigest()
    return TrainingJob(config, models / f"{config.name}-{digest[:8]}", config.model, 1)


def train_models(
    models: Path,
    kind: str,
    steps: list[int],
    n_iterations: int,
    seed: int,
    report: Callable[[str], Any] = lambda line: None,
) -> list[Path]:
    """Trains a model of ``kind`` for each number of steps unless it exists; returns the folders.

    A run that was killed resumes from its last checkpoint.
    """
    folders = []
    for n_steps in steps:
        job = job_of(models, kind, n_steps, n_iterations, seed)
        if not (job.out / WEIGHTS).is_file():
            with telling_what_is_kept(job):
                train(job, _reporting(job.config.name, report))
            (job.out / CHECKPOINT).unlink()
        report(f"{job.out}")
        folders.append(job.out)
    return folders


def _reporting(name: str, report: Callable[[str], Any]) -> TrainingCallbacks:
    """Callbacks that report a line for each progress event."""

    def progress(seen: TrainingProgress) -> None:
        report(f"{name}: iteration {seen.iteration}, {seen.total_bpp / 2:.3f} bits per dimension")

    return TrainingCallbacks(progress=progress)
