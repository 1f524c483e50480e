"""Reading and writing models: the project's folders (config.json, model.safetensors), and reading published ones.

Tensors come from safetensors, or from ``torch.load`` with ``weights_only=True``: no file can run code.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from uqdm.arithmetic import float32_arithmetic
from uqdm.model import published
from uqdm.model.config import FORMAT, check_model, check_own, least_weights, read_config
from uqdm.model.denoiser import DENSITY_NAMES, Denoiser
from uqdm.model.files import CONFIG, WEIGHTS, WEIGHTS_CHOICES, CheckpointError, name_of, write_file
from uqdm.model.identity import Identity, described, digest, schedule_of
from uqdm.model.multiscale import MultiscaleDenoiser
from uqdm.model.points import PointsDenoiser
from uqdm.model.schedule import Schedule
from uqdm.model.sectioned import SectionedDenoiser
from uqdm.model.stepwise import StepwiseDenoiser
from uqdm.model.unet import ScoreNetwork, UNetDenoiser
from uqdm.model.weights import check_finite, count, fill
from uqdm.text import counted

_SMALL = 1 << 20  # weights that fit on any machine
PROCESS_NAMES = ("uniform", "gaussian")


@dataclass(frozen=True, repr=False)
class Model:
    """A denoiser with its schedule, as needed to code images.

    ``image_size`` is the side, in pixels, of the square images that it was trained on (1 for points, which are images
    of one pixel). ``config`` is always in the project's own layout. ``sha256`` is the digest of configuration and
    weights as loaded: two models with the same digest code the same files.
    """

    name: str
    denoiser: Denoiser
    schedule: Schedule
    image_size: int
    config: dict[str, Any]
    sha256: str

    def __repr__(self) -> str:
        kind = f"{self.process}, {counted(self.schedule.n_steps, 'step')}, image size {self.image_size}"
        return f"Model({self.identity}, {kind}, {self.n_parameters:,} parameters)"

    @property
    def n_parameters(self) -> int:
        """Number of values of the denoiser's weights."""
        return sum(value.numel() for value in self.denoiser.parameters())

    @property
    def identity(self) -> Identity:
        """Its name and digest."""
        return Identity(self.name, self.sha256)

    @property
    def process(self) -> str:
        """The diffusion process of its training, one of ``PROCESS_NAMES``. Files need the uniform one."""
        return str(self.config.get("process", "uniform"))

    def schedule_at(self, n_steps: int) -> Schedule:
        """Its schedule with the same first and last noise level, in ``n_steps`` steps.

        Raises ValueError for another T than its own if it has a network for each step.
        """
        if n_steps != self.schedule.n_steps and not self.denoiser.any_schedule:
            raise ValueError(
                f"model {self.name} has a network for each of its T = {self.schedule.n_steps} steps, and none for the "
                f"noise levels of T = {n_steps}: keep to its own T, or take a model of one network for all noise "
                "levels (of kind unet or points), such as the published uqdm-tiny"
            )
        return replace(self.schedule, n_steps=n_steps)


@float32_arithmetic()
def load(folder: str | os.PathLike[str], weights: str = "ema") -> Model:
    """Loads a model folder: ``config.json`` with ``model.safetensors`` or the published ``checkpoint.pt``.

    For published checkpoints, ``weights="ema"`` restores the averaged weights and the learned slope of the schedule,
    which is the trained model. ``"as-released"`` keeps the raw weights and the initial slope, like the published
    loader. Raises :class:`CheckpointError`.
    """
    path = Path(folder)
    if weights not in WEIGHTS_CHOICES:
        raise CheckpointError(f"weights={weights!r}: choose one of {', '.join(WEIGHTS_CHOICES)}")
    config = read_config(path)
    if (path / WEIGHTS).is_file():
        return _load_own(path, config)
    if (path / published.WEIGHTS).is_file():
        return _load_published(path, config, weights)
    raise CheckpointError(f"{path}: neither {WEIGHTS} nor {published.WEIGHTS} is there; put one beside {CONFIG}")


@float32_arithmetic()
def build(config: dict[str, Any], *, device: str = "cpu") -> tuple[Denoiser, Schedule]:
    """Makes denoiser (with new weights) and schedule of a configuration in the project's own layout.

    ``device="meta"`` makes shapes only. Raises :class:`CheckpointError` for an invalid configuration.
    """
    check_model(config, CONFIG)
    kind, options = config["denoiser"]["kind"], dict(config["denoiser"])
    options.pop("kind")
    schedule = schedule_of(config)
    try:
        with contextlib.nullcontext() if device == "cpu" else torch.device(device):
            denoiser = _KINDS[kind](schedule, options)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{CONFIG}: denoiser: {error}") from error
    denoiser.density = str(config.get("density", DENSITY_NAMES[0]))
    return denoiser, schedule


def _unet(schedule: Schedule, options: dict[str, Any]) -> Denoiser:
    forward_kernel_scale = options.pop("forward_kernel_scale", True)
    return UNetDenoiser(ScoreNetwork(**options), forward_kernel_scale=forward_kernel_scale)


_KINDS: dict[str, Callable[[Schedule, dict[str, Any]], Denoiser]] = {
    "stepwise": lambda schedule, options: StepwiseDenoiser(schedule, **options),
    "sectioned": lambda schedule, options: SectionedDenoiser(schedule, **options),
    "unet": _unet,
    "multiscale": lambda schedule, options: MultiscaleDenoiser(**options),
    "points": lambda schedule, options: PointsDenoiser(**options),
}


@float32_arithmetic()
def save(folder: str | os.PathLike[str], config: dict[str, Any], denoiser: nn.Module, *, half: bool = False) -> None:
    """Writes ``config.json`` and ``model.safetensors`` (float16 if ``half``) into ``folder``, each atomically."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    dtype = torch.float16 if half else torch.float32
    tensors = {key: value.detach().cpu().to(dtype).contiguous() for key, value in denoiser.state_dict().items()}
    for key, value in tensors.items():  # a value may be beyond float16
        check_finite(value, key, path / WEIGHTS)
    write_file(path / WEIGHTS, safetensors.torch.save(tensors))
    write_config(path, config)


@float32_arithmetic()
def export(model: Model, folder: str | os.PathLike[str], layout: str) -> None:
    """Writes a loaded model in the project's ``own`` layout, or in the ``published`` one (see :mod:`published`).

    The copy has the model's digest (in the published layout only if float32 holds the schedule exactly). Raises
    :class:`CheckpointError` where the published layout cannot hold the model, or ``path`` holds a model already.
    """
    path = Path(folder)
    if any((path / name).exists() for name in (CONFIG, WEIGHTS, published.WEIGHTS)):
        raise CheckpointError(f"{path}: the folder holds a model already; name another folder")
    if layout == "own":
        save(path, model.config, model.denoiser)
        return
    if not isinstance(model.denoiser, UNetDenoiser) or model.process != "uniform":
        raise CheckpointError(f"{model.name}: the published layout holds only the published kind of network")
    recipe = (model.config.get("training") or {}).get("recipe") or {}
    step = recipe.get("n_iterations", 0)
    published.write(path, model.denoiser, model.schedule, step=step, recipe=recipe)


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Writes a model's ``config.json`` atomically."""
    write_file(folder / CONFIG, (json.dumps({**config, "format": FORMAT}, indent=2) + "\n").encode())


def _load_own(path: Path, config: dict[str, Any]) -> Model:
    check_own(config, str(path / CONFIG))
    try:
        tensors = safetensors.torch.load_file(path / WEIGHTS)
    except (safetensors.SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path / WEIGHTS}: not a safetensors file ({error})") from error
    return as_model(name_of(path), _filled(config, tensors, path / WEIGHTS), config)


def _load_published(path: Path, config: dict[str, Any], weights: str) -> Model:
    own, tensors = published.read(path, config, averaged=weights == "ema")
    check_model(own, str(path / CONFIG))
    return as_model(name_of(path), _filled(own, tensors, path / published.WEIGHTS), own)


def _filled(config: dict[str, Any], tensors: dict[str, Any], file: Path) -> Denoiser:
    """The denoiser of a checked configuration with weights from a file; the random state is unchanged."""
    # Far too few weights are refused before memory is allocated; otherwise the wrong tensor is named.
    if least_weights(config) > 2 * count(tensors) + _SMALL:
        raise CheckpointError(
            f"{file}: its weights do not fit its configuration: {CONFIG} describes at least {least_weights(config)} "
            f"values, the file holds {count(tensors)}"
        )
    with torch.random.fork_rng(devices=[]):
        denoiser, _ = build(config)
    fill(denoiser, tensors, file)
    return denoiser


@float32_arithmetic()
def as_model(name: str, denoiser: Denoiser, config: dict[str, Any]) -> Model:
    """A model of weights in memory; ``config`` is that of the project's own layout."""
    denoiser.eval().requires_grad_(False)
    schedule = schedule_of(config)
    sha256 = _digest(denoiser, schedule, described(config))
    return Model(name, denoiser, schedule, int(config["image_size"]), config, sha256)


def _digest(denoiser: Denoiser, schedule: Schedule, description: dict[str, Any]) -> str:
    tensors = denoiser.state_dict().items()
    return digest(schedule, description, ((key, value.detach().cpu().float().numpy()) for key, value in tensors))
