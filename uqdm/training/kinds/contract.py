"""What training needs to know of a kind of models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from uqdm.training.config import TrainingConfig
from uqdm.training.contract import Objective
from uqdm.training.data import Source, open_source
from uqdm.training.recipe import TrainingRecipe

ModelConfig = Mapping[str, Any]
"""The configuration of a model, as in the ``config.json`` of its folder."""


class Measured(Protocol):
    """What validation found."""

    @property
    def ideal_bpp(self) -> float:
        """The rate by the model's probabilities."""

    @property
    def file_bpp(self) -> float | None:
        """The rate of files; None if none were made."""

    def columns(self) -> dict[str, float | None]:
        """Values of the validation log by column."""


@dataclass(frozen=True)
class LogColumns:
    """Columns of the logs, besides those that all kinds have."""

    training: tuple[str, ...]
    validation: tuple[str, ...]


class ModelKind(ABC):
    """A kind of models; each method gets what it needs, and keeps nothing."""

    @abstractmethod
    def describes(self, model: ModelConfig) -> bool:
        """Whether a configuration is of this kind."""

    @abstractmethod
    def check(self, file: str, model: ModelConfig, image_size: int, recipe: TrainingRecipe, n_coded: int) -> None:
        """Raises :class:`uqdm.training.structure.TrainingConfigError` where a model cannot be trained by the recipe.

        ``n_coded`` is the number of images that validation is to code in files.
        """

    @abstractmethod
    def named(self, name: str) -> tuple[dict[str, Any], int] | None:
        """Configuration and image size of a stored model by name or path; None if it is of another kind."""

    @abstractmethod
    def start(self, config: TrainingConfig, model: ModelConfig) -> Objective:
        """The objective with the weights that training starts from."""

    def open_source(self, config: TrainingConfig, model: ModelConfig, image_size: int) -> Source:
        """The source of training data; by default images as the configuration's ``data`` names them."""
        return open_source(config.data, image_size)

    @abstractmethod
    def columns(self, model: ModelConfig, objective: Objective) -> LogColumns:
        """Columns of the logs."""

    def snapshot(self, name: str, model: ModelConfig, image_size: int, objective: Objective) -> Any:
        """A model with the weights of an objective, to be measured; by default the objective itself."""
        return objective

    @abstractmethod
    def validate(self, snapshot: Any, images_uint8: np.ndarray, n_coded: int, device: str) -> Measured:
        """Measures a model on images [n, S, S, C]; the first ``n_coded`` are coded to files and decoded."""

    @abstractmethod
    def pictures(self, snapshot: Any, images_uint8: np.ndarray, device: str) -> np.ndarray:
        """A sheet of pictures, uint8 [H, W, 3]."""

    @abstractmethod
    def write(self, folder: Path, config: ModelConfig, objective: Objective, *, half: bool) -> None:
        """Writes a model's files into a folder; ``half`` stores weights as float16.

        ``config`` is the configuration that training started from, with its provenance.
        """
