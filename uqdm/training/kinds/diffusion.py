"""Diffusion models: denoisers with a schedule."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.diffusion.levels import levels_of
from uqdm.model import checkpoint
from uqdm.model.checkpoint import Model
from uqdm.model.schedule import Schedule
from uqdm.model.zoo import load_named
from uqdm.progressive import tolerance
from uqdm.progressive.codable import codable_faults
from uqdm.training.config import TrainingConfig
from uqdm.training.contract import Objective
from uqdm.training.kinds.contract import LogColumns, ModelConfig, ModelKind
from uqdm.training.objective import DiffusionObjective, make_objective
from uqdm.training.recipe import BandedRecipe, OneLoopRecipe, RefineRecipe, TrainingRecipe, TransformRecipe
from uqdm.training.structure import TrainingConfigError
from uqdm.training.validation import ValidationResult, pictures, validate

MODEL_KEYS = ("schedule", "denoiser", "density", "process", "levels")
MAX_STEPS = 32
"""Logs of longer schedules have no columns of single steps."""


class Diffusion(ModelKind):
    """See :class:`ModelKind`."""

    def describes(self, model: ModelConfig) -> bool:
        """All configurations that are of no other kind."""
        return True

    def check(self, file: str, model: ModelConfig, image_size: int, recipe: TrainingRecipe, n_coded: int) -> None:
        """See :meth:`ModelKind.check`."""
        if isinstance(recipe, TransformRecipe):
            raise TrainingConfigError(f"{file}: recipe.level_weights: only models with a transform have levels")
        if isinstance(recipe, BandedRecipe):
            raise TrainingConfigError(f"{file}: recipe.bands_until: only models with bands have two parts")
        if isinstance(recipe, RefineRecipe):
            raise TrainingConfigError(f"{file}: recipe.n_pairs: only second stages are trained on pairs")
        try:
            denoiser, schedule = checkpoint.build(
                dict(model), device="meta"
            )  # shapes only: weights can take a gigabyte
        except (checkpoint.CheckpointError, ValueError) as error:
            raise TrainingConfigError(f"{file}: model: {str(error).removeprefix('config.json: ')}") from error
        if schedule.slope <= 0 or schedule.n_steps < 1:
            raise TrainingConfigError(f"{file}: model.schedule: slope and n_steps must be positive")
        process = model.get("process", "uniform")
        if image_size > 1 and process == "uniform" and denoiser.density == "logistic":
            for fault in codable_faults(denoiser, schedule, image_size, process):
                raise TrainingConfigError(f"{file}: the trained model could not code files: {fault}")
        for fault in recipe.faults(denoiser, schedule, image_size):  # type: ignore[attr-defined]
            raise TrainingConfigError(f"{file}: {fault}")
        if n_coded and (process == "gaussian" or model.get("density") == "gaussian"):
            raise TrainingConfigError(f"{file}: validation.coded: Gaussian models code no files; set it to 0")

    def named(self, name: str) -> tuple[dict[str, Any], int]:
        """See :meth:`ModelKind.named`."""
        start = load_named(name)
        return {key: start.config[key] for key in MODEL_KEYS if key in start.config}, start.image_size

    @float32_arithmetic()
    def start(self, config: TrainingConfig, model: ModelConfig) -> DiffusionObjective:
        """See :meth:`ModelKind.start`."""
        torch.manual_seed(config.recipe.learning.seed)
        denoiser, schedule = checkpoint.build(dict(model))
        if config.init is not None:
            denoiser.load_state_dict(load_named(config.init).denoiser.state_dict())
        denoiser = denoiser.to(memory_format=denoiser.memory_format)  # type: ignore[call-overload]
        process, levels = model.get("process", "uniform"), levels_of(dict(model))
        assert not isinstance(config.recipe, OneLoopRecipe)
        return make_objective(denoiser, schedule, config.recipe, process=process, levels=levels)

    def columns(self, model: ModelConfig, objective: Objective) -> LogColumns:
        """See :meth:`ModelKind.columns`."""
        n_steps = model["schedule"]["n_steps"]
        steps = range(1, n_steps + 1) if n_steps <= MAX_STEPS else range(0)
        rates = tuple(f"step_{i}_bpp" for i in steps)
        settings = ("slope", "gamma_max")
        training = (*rates, "prior_bpp", "last_stage_bpp", "x_hat_error", "grad_norm", "learning_rate", *settings)
        psnr = (f"step_{i}_psnr_db" for i in steps)
        return LogColumns(training, ("ideal_bpp", *rates, "last_stage_bpp", "file_bpp", *psnr))

    def snapshot(self, name: str, model: ModelConfig, image_size: int, objective: Objective) -> Model:
        """See :meth:`ModelKind.snapshot`."""
        assert isinstance(objective, DiffusionObjective)
        config = _with_schedule({"image_size": image_size, **model}, objective.schedule.fixed())
        return checkpoint.as_model(name, objective.denoiser, config)

    def validate(self, snapshot: Any, images_uint8: np.ndarray, n_coded: int, device: str) -> ValidationResult:
        """See :meth:`ModelKind.validate`."""
        return validate(snapshot, images_uint8, n_coded, device=device)

    def pictures(self, snapshot: Any, images_uint8: np.ndarray, device: str) -> np.ndarray:
        """See :meth:`ModelKind.pictures`."""
        return pictures(snapshot, images_uint8, device=device)

    def write(self, folder: Path, config: ModelConfig, objective: Objective, *, half: bool) -> None:
        """See :meth:`ModelKind.write`."""
        assert isinstance(objective, DiffusionObjective)
        checkpoint.save(folder, _with_schedule(config, objective.schedule.fixed()), objective.denoiser, half=half)
        if config["image_size"] > 1 and config.get("process", "uniform") == "uniform":
            tolerance.record(folder)


def _with_schedule(config: ModelConfig, schedule: Schedule) -> dict[str, Any]:
    """A model's configuration, with the given (perhaps learned) schedule."""
    return {**config, "schedule": dataclasses.asdict(schedule)}
