"""Reading and writing models: the project's folders (config.json, model.safetensors) and the published ones.

No file is ever unpickled freely: tensors come from safetensors, or from ``torch.load`` with ``weights_only=True``.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy._core import multiarray  # where a pickled numpy scalar's constructor lives
from torch import nn

from uqdm.model.denoiser import Denoiser
from uqdm.model.schedule import Schedule
from uqdm.model.sectioned import SectionedDenoiser
from uqdm.model.stepwise import StepwiseDenoiser
from uqdm.model.unet import ScoreNetwork, UNetDenoiser

CONFIG, WEIGHTS, PUBLISHED_WEIGHTS = "config.json", "model.safetensors", "checkpoint.pt"
FORMAT = "uqdm-model-1"
PUBLISHED_IMAGE_SIZE = 64  # their models are of ImageNet64; the configuration doesn't say
WEIGHTS_CHOICES = ("ema", "as-released")


class CheckpointError(ValueError):
    """A model folder cannot be read. The message names the file and the remedy."""


@dataclass(frozen=True)
class Model:
    """A denoiser with its schedule: all that is needed to code images.

    ``image_size`` is the side, in pixels, of the square images that it was trained on. ``sha256`` is the digest of
    configuration and weights as they were loaded, so that two models with one digest code alike.
    """

    name: str
    denoiser: Denoiser
    schedule: Schedule
    image_size: int
    config: dict[str, Any]
    sha256: str


def load(folder: str | os.PathLike[str], weights: str = "ema") -> Model:
    """Loads a model folder: ``config.json`` with ``model.safetensors`` or the published ``checkpoint.pt``.

    For published checkpoints, ``weights="ema"`` restores the averaged weights and the learned slope of the schedule,
    which is the model that was trained. ``"as-released"`` keeps the raw weights and the slope at its initial value,
    which is what the published loader ends up with. Raises :class:`CheckpointError`.
    """
    path = Path(folder)
    if weights not in WEIGHTS_CHOICES:
        raise CheckpointError(f"weights={weights!r}: choose one of {', '.join(WEIGHTS_CHOICES)}")
    config = _read_config(path)
    if (path / WEIGHTS).is_file():
        return _load_own(path, config)
    if (path / PUBLISHED_WEIGHTS).is_file():
        return _load_published(path, config, weights)
    raise CheckpointError(f"{path}: neither {WEIGHTS} nor {PUBLISHED_WEIGHTS} is there; put one beside {CONFIG}")


def build(config: dict[str, Any]) -> tuple[Denoiser, Schedule]:
    """Makes the denoiser (fresh weights) and the schedule that a configuration of the project's own describes."""
    try:
        schedule = Schedule(**{key: config["schedule"][key] for key in ("slope", "gamma_max", "n_steps")})
        kind, options = config["denoiser"]["kind"], dict(config["denoiser"])
        options.pop("kind")
        if kind == "stepwise":
            return StepwiseDenoiser(schedule, **options), schedule
        if kind == "sectioned":
            return SectionedDenoiser(schedule, **options), schedule
        if kind == "unet":
            forward_kernel_scale = options.pop("forward_kernel_scale", True)
            return UNetDenoiser(ScoreNetwork(**options), forward_kernel_scale=forward_kernel_scale), schedule
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{CONFIG}: {error}") from error
    raise CheckpointError(f"{CONFIG}: denoiser kind {kind!r} is unknown; known: sectioned, stepwise, unet")


def save(folder: str | os.PathLike[str], config: dict[str, Any], denoiser: nn.Module, *, half: bool = False) -> None:
    """Writes ``config.json`` and ``model.safetensors`` (float16 if ``half``) into ``folder``, each in one move."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    dtype = torch.float16 if half else torch.float32
    tensors = {key: value.detach().cpu().to(dtype).contiguous() for key, value in denoiser.state_dict().items()}
    _write(path / WEIGHTS, safetensors.torch.save(tensors))
    write_config(path, config)


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Writes a model's ``config.json``, in one move."""
    _write(folder / CONFIG, (json.dumps({**config, "format": FORMAT}, indent=2) + "\n").encode())


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def _read_config(path: Path) -> dict[str, Any]:
    file = path / CONFIG
    if not file.is_file():
        raise CheckpointError(f"{path}: no {CONFIG}; a model is a folder with {CONFIG} and its weights")
    try:
        config = json.loads(file.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{file}: not valid JSON ({error})") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{file}: expected a JSON object")
    return config


def _load_own(path: Path, config: dict[str, Any]) -> Model:
    if config.get("format") != FORMAT:
        raise CheckpointError(f"{path / CONFIG}: format {config.get('format')!r}; this version reads {FORMAT!r}")
    denoiser, schedule = build(config)
    try:
        tensors = safetensors.torch.load_file(path / WEIGHTS)
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path / WEIGHTS}: not a safetensors file ({error})") from error
    _fill(denoiser, {key: value.float() for key, value in tensors.items()}, path / WEIGHTS)
    described = {key: config[key] for key in ("image_size", "denoiser")}
    return _finish(path.name, denoiser, schedule, int(config["image_size"]), config, described)


def _load_published(path: Path, config: dict[str, Any], weights: str) -> Model:
    options = config.get("model")
    if not isinstance(options, dict):
        raise CheckpointError(f"{path / CONFIG}: no 'model' section; expected the published layout")
    checkpoint = _read_published(path / PUBLISHED_WEIGHTS)
    network = _published_network(options, path / CONFIG)
    slope = float(torch.tensor(options["gamma_max"] - options["gamma_min"]))  # the published code holds it in float32
    tensors = checkpoint["model"]
    if weights == "ema":
        *averaged, last = checkpoint["ema"]["shadow_params"]
        tensors = dict(zip(tensors, averaged, strict=True))  # both in the order of definition
        slope = float(last)
    schedule = Schedule(slope=abs(slope), gamma_max=options["gamma_max"], n_steps=options["n_timesteps"])
    _fill(network, tensors, path / PUBLISHED_WEIGHTS)
    forward = options.get("base_prior_scale", "forward_kernel") == "forward_kernel"
    denoiser = UNetDenoiser(network, forward_kernel_scale=forward)
    return _finish(path.name, denoiser, schedule, PUBLISHED_IMAGE_SIZE, config, options)


def _published_network(options: dict[str, Any], file: Path) -> ScoreNetwork:
    expected = {"prior_type": "logistic", "noise_schedule": "learned_linear", "fix_gamma_max": True, "vocab_size": 256}
    for key, value in expected.items():
        if options.get(key) != value:
            raise CheckpointError(f"{file}: {key}={options.get(key)!r} is not supported (only {value!r})")
    return ScoreNetwork(
        embedding_dim=options["embedding_dim"],
        n_blocks=options["n_blocks"],
        norm_groups=options["norm_groups"],
        n_attention_heads=options["n_attention_heads"],
        n_channels=options["n_channels"],
        dropout=options["dropout_prob"],
        attention_everywhere=options["attention_everywhere"],
        fourier_features=options["use_fourier_features"],
        learned_scale=options["learned_prior_scale"],
        gamma_min=options["gamma_min"],
        gamma_max=options["gamma_max"],
    )


def _read_published(file: Path) -> dict[str, Any]:
    # The optimizer's state holds a numpy scalar: allow exactly the constructors that it is made of, nothing else.
    scalar: list[Any] = [np.dtype, np.dtypes.Float64DType, (multiarray.scalar, "numpy.core.multiarray.scalar")]
    try:
        with torch.serialization.safe_globals(scalar):
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{file}: cannot be read as a checkpoint of tensors ({error})") from error
    if not (isinstance(checkpoint, dict) and {"model", "ema"} <= checkpoint.keys()):
        raise CheckpointError(f"{file}: expected the entries 'model' and 'ema'")
    return checkpoint


def _fill(module: nn.Module, tensors: dict[str, torch.Tensor], file: Path) -> None:
    try:
        module.load_state_dict(tensors, strict=True)
    except (RuntimeError, AttributeError) as error:
        raise CheckpointError(f"{file}: its weights do not fit its configuration ({error})") from error


def _finish(
    name: str,
    denoiser: Denoiser,
    schedule: Schedule,
    image_size: int,
    config: dict[str, Any],
    described: dict[str, Any],
) -> Model:
    denoiser.eval().requires_grad_(False)
    return Model(name, denoiser, schedule, image_size, config, _digest(denoiser, schedule, described))


def _digest(denoiser: Denoiser, schedule: Schedule, described: dict[str, Any]) -> str:
    digest = hashlib.sha256(f"{schedule!r} {json.dumps(described, sort_keys=True)}\n".encode())
    for key, value in sorted(denoiser.state_dict().items()):
        array = value.detach().cpu().float().contiguous().numpy()
        digest.update(f"{key} {list(array.shape)}\n".encode())
        digest.update(array.astype("<f4").tobytes())
    return digest.hexdigest()
