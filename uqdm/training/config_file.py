"""Reads a training configuration from YAML and checks it before training starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from uqdm.model import schema
from uqdm.training.config import TrainingConfig
from uqdm.training.kinds import kind_of
from uqdm.training.structure import TrainingConfigError, build


def read_config(file: str | os.PathLike[str]) -> TrainingConfig:
    """Reads and checks a YAML configuration (see ``config/train/``). Raises :class:`TrainingConfigError`."""
    data = _read_yaml(Path(file))
    config = build(TrainingConfig, data, str(file))
    try:
        schema.check(data, "training.json", str(file))  # limits that neither types nor recipes check
    except schema.SchemaError as error:
        raise TrainingConfigError(str(error)) from error
    if (config.model is None) == (config.init is None):
        raise TrainingConfigError(f"{file}: give either model (to train from scratch) or init (a model to start from)")
    if config.model is not None:
        if config.image_size is None:
            raise TrainingConfigError(f"{file}: image_size must be given (1 for points)")
        check_model(config, config.model, config.image_size, file)
    return config


def check_model(config: TrainingConfig, model: dict[str, Any], image_size: int, file: str | os.PathLike[str]) -> None:
    """Raises :class:`TrainingConfigError` where the configuration cannot train a model."""
    n_coded = 0 if config.validation is None else config.validation.coded
    kind_of(model).check(str(file), model, image_size, config.recipe, n_coded)


class _Loader(yaml.SafeLoader):
    """A loader of plain data that refuses repeated keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """As the base class does, but raises YAMLError for a repeated key."""
        made = super().construct_mapping(node, deep)
        keys = [key.value for key, _ in node.value]
        repeated = [key for key in keys if keys.count(key) > 1]
        if repeated:
            raise yaml.YAMLError(f"the key {repeated[0]!r} is repeated{node.start_mark}")
        return made


def _read_yaml(file: Path) -> Any:
    """The content of a file, with limits on size and nesting."""
    try:
        if file.stat().st_size > schema.MAX_BYTES:
            raise TrainingConfigError(f"{file}: larger than {schema.MAX_BYTES >> 20} MiB")
        data = yaml.load(file.read_bytes().decode("utf-8-sig"), _Loader)
        schema.check_extent(data, str(file))
    except RecursionError as error:
        raise TrainingConfigError(f"{file}: nested too deeply, more than {schema.MAX_DEPTH} levels") from error
    except schema.SchemaError as error:
        raise TrainingConfigError(str(error)) from error
    except TrainingConfigError:
        raise
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise TrainingConfigError(f"{file}: not valid YAML ({' '.join(str(error).split())})") from error
    return data
