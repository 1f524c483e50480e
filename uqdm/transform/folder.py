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
from uqdm.coding.gaussian import CELL_BITS, MIN_OCTAVE, N_ROWS, gaussian_frequencies
from uqdm.model import schema
from uqdm.model.files import CONFIG, WEIGHTS, CheckpointError, write_file
from uqdm.model.weights import fill
from uqdm.transform.blocks import BlockTransforms
from uqdm.transform.model import Level, Model, model_of
from uqdm.transform.prior import Prior

FORMAT = "uqdm-transform-1"
SIDE_ROWS, SIDE_MEDIANS = "prior.rows", "prior.medians"
_MEDIAN_UNIT = 256
_MEDIANS = 1 << 15


@float32_arithmetic()
def load(folder: Path) -> Model:
    """The model of a folder; raises :class:`uqdm.model.files.CheckpointError`, which names the file."""
    try:
        config = schema.read_json(folder / CONFIG)
    except OSError as error:
        raise CheckpointError(f"{folder / CONFIG}: cannot be read ({error.strerror})") from error
    except schema.SchemaError as error:
        raise CheckpointError(str(error)) from error
    if config.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder / CONFIG}: format {config.get('format')!r} is not {FORMAT!r}: not a model of transform coding"
        )
    try:
        tensors = safetensors.torch.load_file(folder / WEIGHTS)
    except (safetensors.SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder / WEIGHTS}: not a safetensors file ({error})") from error
    rows, medians = tensors.pop(SIDE_ROWS, None), tensors.pop(SIDE_MEDIANS, None)
    transforms = build(config, str(folder / CONFIG), n_weights=sum(value.numel() for value in tensors.values()))
    fill(transforms, tensors, folder / WEIGHTS)
    prior = _prior(rows, medians, (transforms.n_levels, transforms.side_channels), folder / WEIGHTS)
    return model_of(folder.name, transforms, prior, _levels(config), _described(config))


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


def in_memory(name: str, config: Mapping[str, Any], transforms: BlockTransforms) -> Model:
    """A model of networks that are not on disk; the networks are no longer trained."""
    state = transforms.state_dict()
    rows, medians = _integers(state["side_log_deviation"], state["side_mean"])
    prior = _prior(rows, medians, (transforms.n_levels, transforms.side_channels), Path(name))
    return model_of(name, transforms, prior, _levels(config), _described(config))


def _integers(log_deviation: torch.Tensor, mean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of the table of normal distributions, and medians in units of 1/256: floats are rounded once, here."""
    exponents = log_deviation.cpu().double() / np.log(2)
    rows = ((exponents - MIN_OCTAVE) * (1 << CELL_BITS)).floor().clamp(0, N_ROWS - 1)
    medians = (mean.cpu().double() * _MEDIAN_UNIT).round().clamp(-_MEDIANS, _MEDIANS - 1)
    return rows.to(torch.uint8), medians.to(torch.int16)


def _prior(rows: torch.Tensor | None, medians: torch.Tensor | None, shape: tuple[int, int], file: Path) -> Prior:
    for name, value, kind in ((SIDE_ROWS, rows, torch.uint8), (SIDE_MEDIANS, medians, torch.int16)):
        if value is None or tuple(value.shape) != shape or value.dtype != kind:
            raise CheckpointError(f"{file}: tensor {name!r} must be {kind} of shape {list(shape)}")
    assert rows is not None
    assert medians is not None
    if int(rows.max()) >= N_ROWS:
        raise CheckpointError(f"{file}: tensor {SIDE_ROWS!r} holds {int(rows.max())}; rows are below {N_ROWS}")
    return Prior(
        gaussian_frequencies(), rows.numpy().astype(np.int64), medians.numpy().astype(np.float32) / _MEDIAN_UNIT
    )


def _levels(config: Mapping[str, Any]) -> tuple[Level, ...]:
    return tuple(Level(level["quantization"], float(level["weight"])) for level in config["levels"])


def _described(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: config[key] for key in ("transform", "levels")}
