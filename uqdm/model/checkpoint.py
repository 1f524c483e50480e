"""Reading and writing models: the project's folders (config.json, model.safetensors), and reading published ones.

No file is ever unpickled freely: tensors come from safetensors, or from ``torch.load`` with ``weights_only=True``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from uqdm.model import published
from uqdm.model.denoiser import DENSITY_NAMES, Denoiser
from uqdm.model.files import CheckpointError, write_file
from uqdm.model.points import PointsDenoiser
from uqdm.model.schedule import Schedule
from uqdm.model.sectioned import SectionedDenoiser
from uqdm.model.stepwise import StepwiseDenoiser
from uqdm.model.unet import ScoreNetwork, UNetDenoiser

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FORMAT = "uqdm-model-1"
WEIGHTS_CHOICES = ("ema", "as-released")
PROCESS_NAMES = ("uniform", "gaussian")
_DESCRIBING = ("image_size", "denoiser", "density", "process", "levels")  # what files of a model depend on


@dataclass(frozen=True)
class Model:
    """A denoiser with its schedule: all that is needed to code images.

    ``image_size`` is the side, in pixels, of the square images that it was trained on (1 for points, which are images
    of one pixel). ``config`` is that of the project's own layout, whatever was loaded. ``sha256`` is the digest of
    configuration and weights as they were loaded, so that two models with one digest code alike.
    """

    name: str
    denoiser: Denoiser
    schedule: Schedule
    image_size: int
    config: dict[str, Any]
    sha256: str

    @property
    def process(self) -> str:
        """The diffusion process that it was trained for, one of ``PROCESS_NAMES``. Files need the uniform one."""
        return str(self.config.get("process", "uniform"))

    def schedule_at(self, n_steps: int) -> Schedule:
        """Its schedule, of the same noise levels at either end, in ``n_steps`` steps.

        Raises ValueError for another number than its own where its networks are made for the steps that they have.
        """
        if n_steps != self.schedule.n_steps and not self.denoiser.any_schedule:
            raise ValueError(
                f"model {self.name} has a network for each of its T = {self.schedule.n_steps} steps, and none for the "
                f"noise levels of T = {n_steps}: keep to its own T, or take a model of one network for all noise "
                "levels (of kind unet or points), such as the published uqdm-tiny"
            )
        return replace(self.schedule, n_steps=n_steps)


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
    if (path / published.WEIGHTS).is_file():
        return _load_published(path, config, weights)
    raise CheckpointError(f"{path}: neither {WEIGHTS} nor {published.WEIGHTS} is there; put one beside {CONFIG}")


def build(config: dict[str, Any]) -> tuple[Denoiser, Schedule]:
    """Makes the denoiser (fresh weights) and the schedule that a configuration of the project's own describes."""
    try:
        schedule = build_schedule(config)
        kind, options = config["denoiser"]["kind"], dict(config["denoiser"])
        options.pop("kind")
        if kind not in _KINDS:
            raise CheckpointError(f"{CONFIG}: denoiser kind {kind!r} is unknown; known: {', '.join(sorted(_KINDS))}")
        denoiser = _KINDS[kind](schedule, options)
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{CONFIG}: {error}") from error
    denoiser.density = _choice(config, "density", DENSITY_NAMES)
    _choice(config, "process", PROCESS_NAMES)
    return denoiser, schedule


def build_schedule(config: dict[str, Any]) -> Schedule:
    """The schedule that a configuration describes."""
    return Schedule(**{key: config["schedule"][key] for key in ("slope", "gamma_max", "n_steps")})


def _choice(config: dict[str, Any], key: str, known: tuple[str, ...]) -> str:
    value = config.get(key, known[0])
    if value not in known:
        raise CheckpointError(f"{CONFIG}: {key} {value!r} is unknown; known: {', '.join(known)}")
    return str(value)


def _unet(schedule: Schedule, options: dict[str, Any]) -> Denoiser:
    forward_kernel_scale = options.pop("forward_kernel_scale", True)
    return UNetDenoiser(ScoreNetwork(**options), forward_kernel_scale=forward_kernel_scale)


_KINDS: dict[str, Callable[[Schedule, dict[str, Any]], Denoiser]] = {
    "stepwise": lambda schedule, options: StepwiseDenoiser(schedule, **options),
    "sectioned": lambda schedule, options: SectionedDenoiser(schedule, **options),
    "unet": _unet,
    "points": lambda schedule, options: PointsDenoiser(**options),
}


def save(folder: str | os.PathLike[str], config: dict[str, Any], denoiser: nn.Module, *, half: bool = False) -> None:
    """Writes ``config.json`` and ``model.safetensors`` (float16 if ``half``) into ``folder``, each in one move."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    dtype = torch.float16 if half else torch.float32
    tensors = {key: value.detach().cpu().to(dtype).contiguous() for key, value in denoiser.state_dict().items()}
    write_file(path / WEIGHTS, safetensors.torch.save(tensors))
    write_config(path, config)


def export(model: Model, folder: str | os.PathLike[str], layout: str) -> None:
    """Writes a loaded model in the project's ``own`` layout, or in the ``published`` one (see :mod:`published`).

    The copy has the model's digest (in the published layout only if float32 holds the schedule exactly). Raises
    :class:`CheckpointError` where the published layout has no place for the model, or a model is there already.
    """
    path = Path(folder)
    if any((path / name).exists() for name in (CONFIG, WEIGHTS, published.WEIGHTS)):
        raise CheckpointError(f"{path}: a model is there already; name another folder")
    if layout == "own":
        save(path, model.config, model.denoiser)
        return
    if not isinstance(model.denoiser, UNetDenoiser) or model.process != "uniform":
        raise CheckpointError(f"{model.name}: the published layout holds only the published kind of network")
    provenance = model.config.get("training", {})
    recipe = provenance.get("recipe") if isinstance(provenance, dict) else None
    step = int(recipe["n_iterations"]) if recipe else 0
    published.write(path, model.denoiser, model.schedule, step=step, recipe=recipe)


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Writes a model's ``config.json``, in one move."""
    write_file(folder / CONFIG, (json.dumps({**config, "format": FORMAT}, indent=2) + "\n").encode())


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
    denoiser, _ = build(config)
    try:
        tensors = safetensors.torch.load_file(path / WEIGHTS)
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path / WEIGHTS}: not a safetensors file ({error})") from error
    _fill(denoiser, {key: value.float() for key, value in tensors.items()}, path / WEIGHTS)
    return as_model(path.name, denoiser, config)


def _load_published(path: Path, config: dict[str, Any], weights: str) -> Model:
    own, tensors = published.read(path, config, averaged=weights == "ema")
    denoiser, _ = build(own)
    _fill(denoiser, tensors, path / published.WEIGHTS)
    return as_model(path.name, denoiser, own)


def _fill(module: nn.Module, tensors: dict[str, torch.Tensor], file: Path) -> None:
    try:
        module.load_state_dict(tensors, strict=True)
    except (RuntimeError, AttributeError) as error:
        raise CheckpointError(f"{file}: its weights do not fit its configuration ({error})") from error


def as_model(name: str, denoiser: Denoiser, config: dict[str, Any]) -> Model:
    """A model of weights in memory; ``config`` is that of the project's own layout."""
    schedule = build_schedule(config)
    denoiser.eval().requires_grad_(False)
    described = {key: config[key] for key in _DESCRIBING if key in config}
    digest = _digest(denoiser, schedule, described)
    return Model(name, denoiser, schedule, int(config["image_size"]), config, digest)


def _digest(denoiser: Denoiser, schedule: Schedule, described: dict[str, Any]) -> str:
    digest = hashlib.sha256(f"{schedule!r} {json.dumps(described, sort_keys=True)}\n".encode())
    for key, value in sorted(denoiser.state_dict().items()):
        array = value.detach().cpu().float().contiguous().numpy()
        digest.update(f"{key} {list(array.shape)}\n".encode())
        digest.update(array.astype("<f4").tobytes())
    return digest.hexdigest()
