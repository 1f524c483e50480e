"""The identity of a model of transform coding: a digest of all that its files use, without torch.

Torch takes seconds to import, and lists of codecs name their models.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import load_file

from uqdm.model.config import read_checked
from uqdm.model.files import TRANSFORM_FORMAT, WEIGHTS, CheckpointError, name_of
from uqdm.model.identity import Identity
from uqdm.transform.prior import Prior, normal_prior
from uqdm.transform.quantization import ROUNDING

SIDE_ROWS, SIDE_MEDIANS = "prior.rows", "prior.medians"


def digest(tensors: Mapping[str, np.ndarray], prior: Prior, description: Mapping[str, Any]) -> str:
    """The digest of weights, whose values count as float32, of a prior, and of a description."""
    found = hashlib.sha256(f"{json.dumps(description, sort_keys=True)}\n".encode())
    for key, value in sorted(tensors.items()):
        found.update(f"{key} {list(value.shape)}\n".encode())
        found.update(value.astype("<f4").tobytes())
    for table in (prior.frequencies.edges, prior.frequencies.starts, prior.frequencies.firsts, prior.rows):
        found.update(np.ascontiguousarray(table, "<i8").tobytes())
    found.update(prior.medians.astype("<f4").tobytes())
    return found.hexdigest()


def described(config: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a configuration that a model's files depend on."""
    return {key: config[key] for key in ("transform", "levels")}


def prior_of_folder(
    rows: np.ndarray | None, medians: np.ndarray | None, shape: tuple[int, int], file: Path, quantization: str
) -> Prior:
    """The prior of a folder's integers; raises :class:`uqdm.model.files.CheckpointError`, which names the file."""
    for name, value, kind in ((SIDE_ROWS, rows, np.uint8), (SIDE_MEDIANS, medians, np.int16)):
        if value is None or value.shape != shape or value.dtype != kind:
            raise CheckpointError(f"{file}: tensor {name!r} must be {kind.__name__} of shape {list(shape)}")
    assert rows is not None
    assert medians is not None
    try:
        return normal_prior(rows, medians, quantization)
    except ValueError as error:
        raise CheckpointError(f"{file}: tensor {SIDE_ROWS!r} {error}") from error


def identify(folder: Path, quantization: str = ROUNDING) -> Identity:
    """Name and digest of a folder's model for a quantization, as loading it would give.

    Raises :class:`uqdm.model.files.CheckpointError`. Whether the weights fit the networks is not checked.
    """
    config, file = read_checked(folder, TRANSFORM_FORMAT), folder / WEIGHTS
    try:
        tensors = load_file(file)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file}: not a safetensors file ({error})") from error
    rows, medians = tensors.pop(SIDE_ROWS, None), tensors.pop(SIDE_MEDIANS, None)
    shape = (len(config["levels"]), 0 if rows is None or rows.ndim < 2 else rows.shape[1])
    prior = prior_of_folder(rows, medians, shape, file, quantization)
    return Identity(name_of(folder), digest(tensors, prior, described(config)))
