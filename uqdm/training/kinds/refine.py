"""Second stages: conditional flows from a codec's decoded pictures or latents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.codec import CodecUnavailableError, ParameterError, UnknownCodecError
from uqdm.model.config import read_checked
from uqdm.model.files import CONFIG, REFINE_FORMAT, CheckpointError
from uqdm.model.zoo import format_named
from uqdm.refine import model as models
from uqdm.refine import pictures as refined
from uqdm.refine.conditions import LATENTS
from uqdm.refine.identity import find
from uqdm.refine.model import RefineModel
from uqdm.training.config import TrainingConfig
from uqdm.training.contract import Objective
from uqdm.training.data import Source, open_source
from uqdm.training.data.pairs import codecs_of, coded, pairs_of
from uqdm.training.kinds.contract import LogColumns, ModelConfig, ModelKind
from uqdm.training.recipe import RefineRecipe, TrainingRecipe
from uqdm.training.refine_objective import RefineObjective
from uqdm.training.structure import TrainingConfigError

SAMPLE_STEPS = 8
_SEED = 2**31  # of the noise of validation


@dataclass(frozen=True)
class RefinedValues:
    """Means over the validation images, each coded with one of the settings in turn."""

    ideal_bpp: float
    """Rate of the codec's files."""
    psnr_db: dict[str, float]
    """PSNR of ``decoded`` pictures (where the model sees them), of the ``mean``, and of a ``sample``."""

    @property
    def file_bpp(self) -> float:
        """The same: the second stage adds no bits."""
        return self.ideal_bpp

    def columns(self) -> dict[str, float | None]:
        """See :meth:`uqdm.training.kinds.contract.Measured.columns`."""
        return {"file_bpp": self.file_bpp, **{f"{name}_psnr_db": value for name, value in self.psnr_db.items()}}


class SecondStage(ModelKind):
    """See :class:`ModelKind`."""

    def describes(self, model: ModelConfig) -> bool:
        """Whether it is of a second stage."""
        return "refine" in model

    def check(self, file: str, model: ModelConfig, image_size: int, recipe: TrainingRecipe, n_coded: int) -> None:
        """See :meth:`ModelKind.check`."""
        if not isinstance(recipe, RefineRecipe):
            raise TrainingConfigError(f"{file}: recipe.n_pairs must be given for a second stage")
        if recipe.crop_size not in (None, image_size):
            raise TrainingConfigError(f"{file}: recipe.crop_size: pairs cannot be cropped; leave it out")
        if n_coded:
            raise TrainingConfigError(f"{file}: validation.coded: all images are coded in any case; set it to 0")
        try:
            models.build({"image_size": image_size, **model}, f"{file}: model")
            described = model["refine"]
            codecs_of(described["codec"], described["settings"], described["condition"])
        except (CheckpointError, ParameterError, UnknownCodecError, CodecUnavailableError) as error:
            message = str(error)
            named = message if message.startswith(file) else f"{file}: model.refine: {message}"
            raise TrainingConfigError(named) from error

    def named(self, name: str) -> tuple[dict[str, Any], int] | None:
        """See :meth:`ModelKind.named`."""
        if format_named(name) != REFINE_FORMAT:
            return None
        config = read_checked(find(name), REFINE_FORMAT)
        return {"refine": config["refine"]}, int(config["image_size"])

    def open_source(self, config: TrainingConfig, model: ModelConfig, image_size: int) -> Source:
        """See :meth:`ModelKind.open_source`; all pairs are coded here."""
        assert isinstance(config.recipe, RefineRecipe)
        described, recipe = model["refine"], config.recipe
        codecs = codecs_of(described["codec"], described["settings"], described["condition"])
        source = open_source(config.data, image_size)
        return pairs_of(source, recipe.n_pairs, image_size, codecs, described["condition"], config.data.seed)

    @float32_arithmetic()
    def start(self, config: TrainingConfig, model: ModelConfig) -> RefineObjective:
        """See :meth:`ModelKind.start`."""
        recipe = config.recipe
        assert isinstance(recipe, RefineRecipe)
        torch.manual_seed(recipe.seed)
        network = models.build({"image_size": config.image_size or 64, **model}, CONFIG)
        if config.init is not None:
            network.load_state_dict(models.load(find(config.init)).network.state_dict())
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return RefineObjective(network, mean_share=recipe.mean_share, autocast=recipe.bfloat16)

    def columns(self, model: ModelConfig, objective: Objective) -> LogColumns:
        """See :meth:`ModelKind.columns`."""
        names = ("mean", "sample") if model["refine"]["condition"] == LATENTS else ("decoded", "mean", "sample")
        psnr = tuple(f"{name}_psnr_db" for name in names)
        return LogColumns(("flow_error", "mean_error", "grad_norm", "learning_rate"), ("file_bpp", *psnr))

    def snapshot(self, name: str, model: ModelConfig, image_size: int, objective: Objective) -> RefineModel:
        """See :meth:`ModelKind.snapshot`."""
        assert isinstance(objective, RefineObjective)
        return models.in_memory(name, {"image_size": image_size, **model}, objective.network)

    def validate(self, snapshot: Any, images_uint8: np.ndarray, n_coded: int, device: str) -> RefinedValues:
        """See :meth:`ModelKind.validate`."""
        found, bpp = _pictures(snapshot, images_uint8)
        return RefinedValues(bpp, {name: _psnr_db(made, images_uint8) for name, made in found.items()})

    def pictures(self, snapshot: Any, images_uint8: np.ndarray, device: str) -> np.ndarray:
        """A row for each image: itself, the decoded picture, the mean and a sample."""
        found, _ = _pictures(snapshot, images_uint8)
        columns = [images_uint8, *found.values()]
        return np.concatenate([np.concatenate(row, axis=1) for row in zip(*columns, strict=True)])

    def write(self, folder: Path, config: ModelConfig, objective: Objective, *, half: bool) -> None:
        """See :meth:`ModelKind.write`."""
        assert isinstance(objective, RefineObjective)
        models.save(folder, config, objective.network, half=half)


def _pictures(model: RefineModel, images_uint8: np.ndarray) -> tuple[dict[str, np.ndarray], float]:
    """Pictures by name, and the mean rate of the files in bits per pixel."""
    described = model.config["refine"]
    codecs = codecs_of(described["codec"], described["settings"], described["condition"])
    conditions = coded(images_uint8, codecs, described["condition"])
    height, width = images_uint8.shape[1:3]
    rng = np.random.default_rng(_SEED)
    found = {} if conditions.pictures_uint8 is None else {"decoded": conditions.pictures_uint8}
    found["mean"] = refined.mean(model, conditions, height, width)
    found["sample"] = refined.sample(model, conditions, [rng] * len(images_uint8), height, width, SAMPLE_STEPS)
    return found, float(np.mean(2.0**conditions.log2_bpp))


def _psnr_db(pictures_uint8: np.ndarray, images_uint8: np.ndarray) -> float:
    """Mean PSNR."""
    errors = (pictures_uint8.astype(np.float64) - images_uint8) ** 2
    return float(np.mean(10 * np.log10(255**2 / np.maximum(errors.reshape(len(errors), -1).mean(1), 1e-9))))
