"""Model folders of transform coding: ``config.json``, and ``model.safetensors`` with weights and integers of the prior.

The integers are rounded once, when a model is written, so that they are the same on every machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.coding.gaussian import CELL_BITS, MIN_OCTAVE, N_ROWS
from uqdm.model import schema
from uqdm.model.config import read_checked
from uqdm.model.files import CONFIG, TRANSFORM_FORMAT, WEIGHTS, CheckpointError, name_of, write_file
from uqdm.model.weights import fill
from uqdm.transform.blocks import BlockTransforms
from uqdm.transform.identity import SIDE_MEDIANS, SIDE_ROWS, described, prior_of_folder
from uqdm.transform.model import Level, Model, model_of
from uqdm.transform.prior import MEDIAN_UNIT
from uqdm.transform.quantization import ROUNDING

FORMAT = TRANSFORM_FORMAT
_MEDIANS = 1 << 15


@float32_arithmetic()
def load(folder: Path, quantization: str = ROUNDING) -> Model:
    """The model of a folder; raises :class:`uqdm.model.files.CheckpointError`, which names the file."""
    config = read_checked(folder, TRANSFORM_FORMAT)
    try:
        tensors = safetensors.torch.load_file(folder / WEIGHTS)
    except (safetensors.SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder / WEIGHTS}: not a safetensors file ({error})") from error
    rows, medians = (_as_numpy(tensors.pop(name, None)) for name in (SIDE_ROWS, SIDE_MEDIANS))
    transforms = build(config, str(folder / CONFIG), n_weights=sum(value.numel() for value in tensors.values()))
    fill(transforms, tensors, folder / WEIGHTS)
    prior = prior_of_folder(rows, medians, _side_shape(transforms), folder / WEIGHTS, quantization)
    return model_of(name_of(folder), transforms, prior, _levels(config), described(config))


def build(config: Mapping[str, Any], where: str, *, n_weights: int | None = None) -> BlockTransforms:
    """New networks of a configuration; raises :class:`uqdm.model.files.CheckpointError` for one that is not valid.

    With ``n_weights``, one that describes another number of values is refused before memory is allocated.
    """
    try:
        schema.check(dict(config), "transform.json", where)
    except schema.SchemaError as error:
        raise CheckpointError(str(error)) from error
    options = {key: value for key, value in config["transform"].items() if key != "architecture"}
    steps = [level["step"] for level in config["levels"]]
    if sum(options.get("sections", [1])) > 192:
        raise CheckpointError(
            f"{where}: transform.sections: an 8 x 8 block has 192 coefficients, so at most 192 in all"
        )
    with torch.device("meta"):
        wanted = sum(value.numel() for value in BlockTransforms(steps, **options).parameters())
    if n_weights is not None and wanted != n_weights:
        raise CheckpointError(f"{where}: it describes {wanted} values, and {WEIGHTS} holds {n_weights}")
    return BlockTransforms(steps, **options)


@float32_arithmetic()
def save(folder: Path, config: Mapping[str, Any], transforms: BlockTransforms, *, half: bool) -> None:
    """Writes a folder, the weights last; ``half`` stores them as float16."""
    kept = torch.float16 if half else torch.float32
    tensors = {name: value.detach().cpu().to(kept).contiguous() for name, value in transforms.state_dict().items()}
    rows, medians = _integers(tensors["side_log_deviation"], tensors["side_mean"])
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / CONFIG, (json.dumps({**config, "format": FORMAT}, indent=2) + "\n").encode())
    write_file(folder / WEIGHTS, safetensors.torch.save({**tensors, SIDE_ROWS: rows, SIDE_MEDIANS: medians}))


def in_memory(name: str, config: Mapping[str, Any], transforms: BlockTransforms, quantization: str = ROUNDING) -> Model:
    """A model of networks that are not on disk; the networks are no longer trained."""
    state = transforms.state_dict()
    rows, medians = (value.numpy() for value in _integers(state["side_log_deviation"], state["side_mean"]))
    prior = prior_of_folder(rows, medians, _side_shape(transforms), Path(name), quantization)
    return model_of(name, transforms, prior, _levels(config), described(config))


def _as_numpy(tensor: torch.Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.numpy()


def _side_shape(transforms: BlockTransforms) -> tuple[int, int]:
    return transforms.n_levels, transforms.side_channels


def _integers(log_deviation: torch.Tensor, mean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of the table of normal distributions, and medians in units of 1/256: floats are rounded once, here."""
    exponents = log_deviation.cpu().double() / np.log(2)
    rows = ((exponents - MIN_OCTAVE) * (1 << CELL_BITS)).floor().clamp(0, N_ROWS - 1)
    medians = (mean.cpu().double() * MEDIAN_UNIT).round().clamp(-_MEDIANS, _MEDIANS - 1)
    return rows.to(torch.uint8), medians.to(torch.int16)


def _levels(config: Mapping[str, Any]) -> tuple[Level, ...]:
    return tuple(Level(level["quantization"], float(level["weight"])) for level in config["levels"])
