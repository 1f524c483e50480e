"""Models of transform coding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.model.config import read_checked
from uqdm.model.files import CONFIG, CheckpointError
from uqdm.model.zoo import format_named
from uqdm.training.config import TrainingConfig
from uqdm.training.contract import Objective
from uqdm.training.kinds.contract import LogColumns, ModelConfig, ModelKind
from uqdm.training.recipe import TrainingRecipe, TransformRecipe
from uqdm.training.structure import TrainingConfigError
from uqdm.training.transform_objective import TransformObjective, quantized
from uqdm.transform import folder as folders
from uqdm.transform.model import Level
from uqdm.transform.zoo import find

MODEL_KEYS = ("transform", "levels")
_SEED = 2**31  # of the dither of validation


@dataclass(frozen=True)
class LevelValues:
    """Means over the validation images at each level: rates by the model's probabilities, and PSNR."""

    rates_bpp: list[float]
    psnr_db: list[float]

    @property
    def ideal_bpp(self) -> float:
        """Mean rate of all levels."""
        return sum(self.rates_bpp) / len(self.rates_bpp)

    @property
    def file_bpp(self) -> None:
        """None: files are the codecs' matter."""

    def columns(self) -> dict[str, float | None]:
        """See :meth:`uqdm.training.kinds.contract.Measured.columns`."""
        found: dict[str, float | None] = {"ideal_bpp": self.ideal_bpp}
        for number, (rate, psnr) in enumerate(zip(self.rates_bpp, self.psnr_db, strict=True), start=1):
            found |= {f"level_{number}_bpp": rate, f"level_{number}_psnr_db": psnr}
        return found


class TransformCoding(ModelKind):
    """See :class:`ModelKind`."""

    def describes(self, model: ModelConfig) -> bool:
        """Whether it has a transform."""
        return "transform" in model

    def check(self, file: str, model: ModelConfig, image_size: int, recipe: TrainingRecipe, n_coded: int) -> None:
        """See :meth:`ModelKind.check`."""
        if not isinstance(recipe, TransformRecipe):
            raise TrainingConfigError(f"{file}: recipe.level_weights must be given for a model with a transform")
        try:
            networks = folders.build(model, f"{file}: model")
        except CheckpointError as error:
            raise TrainingConfigError(str(error)) from error
        if len(recipe.level_weights) != networks.n_levels:
            raise TrainingConfigError(f"{file}: recipe.level_weights needs {networks.n_levels} entries, one a level")
        for name, size in (("image_size", image_size), ("recipe.crop_size", recipe.crop_size or image_size)):
            if size % networks.stride or size > image_size:
                raise TrainingConfigError(
                    f"{file}: {name} is {size}; choose a multiple of {networks.stride} of at most {image_size}"
                )
        if n_coded:
            raise TrainingConfigError(
                f"{file}: validation.coded: training of a transform codes no files; set it to 0, and measure the model "
                "with `uqdm bench run`"
            )

    def named(self, name: str) -> tuple[dict[str, Any], int] | None:
        """See :meth:`ModelKind.named`."""
        if format_named(name) != folders.FORMAT:
            return None
        folder = find(name)
        config = read_checked(folder, folders.FORMAT)
        if "image_size" not in config:
            raise CheckpointError(f"{folder / CONFIG} has no image_size: add the size of the tiles to train on")
        return {key: config[key] for key in MODEL_KEYS}, int(config["image_size"])

    @float32_arithmetic()
    def start(self, config: TrainingConfig, model: ModelConfig) -> TransformObjective:
        """See :meth:`ModelKind.start`."""
        assert isinstance(config.recipe, TransformRecipe)
        torch.manual_seed(config.recipe.seed)
        networks = folders.build(model, CONFIG)
        if config.init is not None:
            networks.load_state_dict(folders.load(find(config.init)).transforms.state_dict())
        networks = networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        levels = [Level(level["quantization"], float(level["weight"])) for level in model["levels"]]
        return TransformObjective(networks, levels, config.recipe.level_weights, autocast=config.recipe.bfloat16)

    def columns(self, model: ModelConfig, objective: Objective) -> LogColumns:
        """See :meth:`ModelKind.columns`."""
        levels = range(1, objective.n_choices + 1)
        training = ("side_bpp", "distortion", "grad_norm", "learning_rate")
        rates, psnr = (tuple(f"level_{i}_{unit}" for i in levels) for unit in ("bpp", "psnr_db"))
        return LogColumns(training, ("ideal_bpp", *rates, *psnr))

    @float32_arithmetic()
    @torch.inference_mode()
    def validate(self, snapshot: Any, images_uint8: np.ndarray, n_coded: int, device: str) -> LevelValues:
        """See :meth:`ModelKind.validate`; no files are coded."""
        found = [quantized(snapshot, images_uint8, index) for index in range(snapshot.n_choices)]
        pixels = images_uint8.shape[1] * images_uint8.shape[2]
        rates = [float(bits.mean()) / pixels for _, bits in found]
        return LevelValues(rates, [_psnr_db(pictures, images_uint8) for pictures, _ in found])

    @float32_arithmetic()
    @torch.inference_mode()
    def pictures(self, snapshot: Any, images_uint8: np.ndarray, device: str) -> np.ndarray:
        """A row for each image: itself, then its picture at each level."""
        columns = [images_uint8, *(quantized(snapshot, images_uint8, index)[0] for index in range(snapshot.n_choices))]
        return np.concatenate([np.concatenate(row, axis=1) for row in zip(*columns, strict=True)])

    def write(self, folder: Path, config: ModelConfig, objective: Objective, *, half: bool) -> None:
        """See :meth:`ModelKind.write`."""
        assert isinstance(objective, TransformObjective)
        folders.save(folder, config, objective.transforms, half=half)


def _psnr_db(pictures_uint8: np.ndarray, images_uint8: np.ndarray) -> float:
    """Mean PSNR."""
    errors = (pictures_uint8.astype(np.float64) - images_uint8) ** 2
    return float(np.mean(10 * np.log10(255**2 / np.maximum(errors.reshape(len(errors), -1).mean(1), 1e-9))))
