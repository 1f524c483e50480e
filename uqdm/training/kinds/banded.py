"""Models of a process in bands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.banded import model as models
from uqdm.model.config import read_checked
from uqdm.model.files import BANDED_FORMAT, CONFIG, CheckpointError
from uqdm.model.zoo import find, format_named
from uqdm.training.banded_objective import BandedObjective, Measurement, measured
from uqdm.training.config import TrainingConfig
from uqdm.training.contract import Objective
from uqdm.training.kinds.contract import LogColumns, ModelConfig, ModelKind
from uqdm.training.recipe import BandedRecipe, TrainingRecipe
from uqdm.training.structure import TrainingConfigError

_LEAST_SIDE = 16


@dataclass(frozen=True)
class BandedValues:
    """Means over the validation images: rate of each step by the model's probabilities, and PSNR of each picture."""

    rates_bpp: list[float]
    psnr_db: list[float]

    @property
    def ideal_bpp(self) -> float:
        """Rate of the whole, lossless."""
        return sum(self.rates_bpp)

    @property
    def file_bpp(self) -> None:
        """None: files are the codec's matter."""

    def columns(self) -> dict[str, float | None]:
        """See :meth:`uqdm.training.kinds.contract.Measured.columns`."""
        found: dict[str, float | None] = {"ideal_bpp": self.ideal_bpp, "last_stage_bpp": self.rates_bpp[-1]}
        found |= {f"step_{number}_bpp": rate for number, rate in enumerate(self.rates_bpp[:-1], start=1)}
        return found | {f"step_{number}_psnr_db": value for number, value in enumerate(self.psnr_db)}


class Banded(ModelKind):
    """See :class:`ModelKind`."""

    def describes(self, model: ModelConfig) -> bool:
        """Whether it has bands."""
        return "banded" in model

    def check(self, file: str, model: ModelConfig, image_size: int, recipe: TrainingRecipe, n_coded: int) -> None:
        """See :meth:`ModelKind.check`."""
        if not isinstance(recipe, BandedRecipe):
            raise TrainingConfigError(f"{file}: recipe.step_weights must be given for a model of a process in bands")
        try:
            schedule = models.checked_schedule({"image_size": image_size, **model}, f"{file}: model")
        except CheckpointError as error:
            raise TrainingConfigError(str(error)) from error
        n_entries = schedule.n_steps + 1
        for name in ("step_weights", "picture_weights"):
            if len(getattr(recipe, name)) != n_entries:
                raise TrainingConfigError(f"{file}: recipe.{name} needs {n_entries} entries")
        for name in ("crop_size", "late_crop_size"):
            size = getattr(recipe, name)
            if size is not None and (not _LEAST_SIDE <= size <= image_size or size % _LEAST_SIDE):
                raise TrainingConfigError(
                    f"{file}: recipe.{name} is {size}; choose a multiple of {_LEAST_SIDE} of at most {image_size}"
                )
        if n_coded:
            raise TrainingConfigError(
                f"{file}: validation.coded: training in bands codes no files; set it to 0, and measure the model with "
                "`uqdm bench run`"
            )

    def named(self, name: str) -> tuple[dict[str, Any], int] | None:
        """See :meth:`ModelKind.named`."""
        if format_named(name) != BANDED_FORMAT:
            return None
        config = read_checked(find(name), BANDED_FORMAT)
        return {"banded": config["banded"]}, int(config["image_size"])

    @float32_arithmetic()
    def start(self, config: TrainingConfig, model: ModelConfig) -> BandedObjective:
        """See :meth:`ModelKind.start`."""
        recipe = config.recipe
        assert isinstance(recipe, BandedRecipe)
        torch.manual_seed(recipe.seed)
        networks = models.build({"image_size": config.image_size or 64, **model}, CONFIG)
        if config.init is not None:
            networks.load_state_dict(models.load(find(config.init)).networks.state_dict())
        networks = networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return BandedObjective(networks, recipe.step_weights, recipe.picture_weights, autocast=recipe.bfloat16)

    def columns(self, model: ModelConfig, objective: Objective) -> LogColumns:
        """See :meth:`ModelKind.columns`."""
        steps = range(1, objective.n_steps + 1)
        rates = tuple(f"step_{i}_bpp" for i in steps)
        training = (*rates, "last_stage_bpp", "x_hat_error", "grad_norm", "learning_rate")
        psnr = (f"step_{i}_psnr_db" for i in (0, *steps))
        return LogColumns(training, ("ideal_bpp", *rates, "last_stage_bpp", *psnr))

    def validate(self, snapshot: Any, images_uint8: np.ndarray, n_coded: int, device: str) -> BandedValues:
        """See :meth:`ModelKind.validate`; no files are coded."""
        found = _measured(snapshot, images_uint8)
        return BandedValues(found.rates_bpp, found.psnr_db)

    def pictures(self, snapshot: Any, images_uint8: np.ndarray, device: str) -> np.ndarray:
        """A row for each image: itself, then its picture after each step."""
        columns = [images_uint8, *_measured(snapshot, images_uint8).pictures_uint8]
        return np.concatenate([np.concatenate(row, axis=1) for row in zip(*columns, strict=True)])

    def write(self, folder: Path, config: ModelConfig, objective: Objective, *, half: bool) -> None:
        """See :meth:`ModelKind.write`."""
        assert isinstance(objective, BandedObjective)
        models.save(folder, config, objective.networks, half=half)


@float32_arithmetic()
def _measured(snapshot: BandedObjective, images_uint8: np.ndarray) -> Measurement:
    was_training = snapshot.training
    found = measured(snapshot.eval(), images_uint8)
    snapshot.train(was_training)
    return found
