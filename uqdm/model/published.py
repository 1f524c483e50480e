"""The published models' layout: a folder of config.json and checkpoint.pt, read without unpickling, and written.

``checkpoint.pt`` holds ``model`` (the network's tensors alone), ``ema`` (averages of the network's tensors in the order
of definition, then of the schedule's), ``optimizer`` and ``step``. The published loader takes the network from
``model`` and keeps the schedule of the configuration; learned parameters of the schedule are in the averages only.
"""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core import multiarray  # module of the constructor of a pickled numpy scalar

from uqdm.model.config import check_published
from uqdm.model.files import CONFIG, CheckpointError, write_file
from uqdm.model.files import PUBLISHED_WEIGHTS as WEIGHTS
from uqdm.model.schedule import Schedule
from uqdm.model.unet import UNetDenoiser

IMAGE_SIZE = 64  # the published models are of ImageNet64; their configuration does not state it
PREFIX = "network."
"""Prefix of the network's tensors inside :class:`uqdm.model.unet.UNetDenoiser`."""

_DENSITIES = {"logistic": "logistic", "normal": "gaussian", "gaussian": "gaussian"}
_NETWORK = {  # published name of a network option, and the project's
    "embedding_dim": "embedding_dim",
    "n_blocks": "n_blocks",
    "norm_groups": "norm_groups",
    "n_attention_heads": "n_attention_heads",
    "n_channels": "n_channels",
    "dropout_prob": "dropout",
    "attention_everywhere": "attention_everywhere",
    "use_fourier_features": "fourier_features",
    "learned_prior_scale": "learned_scale",
    "gamma_min": "gamma_min",
    "gamma_max": "gamma_max",
}
_SCHEDULES = {  # (noise_schedule, fix_gamma_max) -> schedule parameters in the averages, in order
    ("fixed_linear", False): (),
    ("fixed_linear", True): (),
    ("learned_linear", True): ("slope",),
    ("learned_linear", False): ("gamma_min", "slope"),
}


def read(folder: Path, config: dict[str, Any], *, averaged: bool) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The project's own configuration and the denoiser's tensors of a published folder.

    ``averaged`` takes the averages, also of the schedule; otherwise the result is that of the published loader. Raises
    :class:`uqdm.model.files.CheckpointError`.
    """
    if not isinstance(config.get("model"), dict):
        raise CheckpointError(f"{folder / CONFIG}: no 'model' section; expected the published layout")
    check_published(config, str(folder / CONFIG))
    options = config["model"]
    learned = _check(options, folder / CONFIG)
    checkpoint = _read_tensors(folder / WEIGHTS)
    tensors, schedule = checkpoint["model"], {}
    if averaged:
        averages = checkpoint["ema"]["shadow_params"]
        if len(averages) != len(tensors) + len(learned):
            raise CheckpointError(
                f"{folder / WEIGHTS}: {len(averages)} averages for {len(tensors)} tensors of the network and "
                f"{len(learned)} of the schedule; weights='as-released' does without them"
            )
        pairs = zip(learned, averages[len(tensors) :], strict=True)
        schedule = {name: _scalar(value, name, folder / WEIGHTS) for name, value in pairs}
        tensors = dict(zip(tensors, averages[: len(tensors)], strict=True))
    return _own_config(options, schedule), {PREFIX + key: value for key, value in tensors.items()}


def _check(options: dict[str, Any], file: Path) -> tuple[str, ...]:
    """Schedule parameters in the averages; raises where an option is not supported."""
    kind = (options["noise_schedule"], bool(options.get("fix_gamma_max")))
    supported = {
        "prior_type": options["prior_type"] in _DENSITIES,
        "noise_schedule": kind in _SCHEDULES,
        "vocab_size": options.get("vocab_size", 256) == 256,
    }
    for key, is_known in supported.items():
        if not is_known:
            raise CheckpointError(f"{file}: {key}={options[key]!r} is not supported")
    return _SCHEDULES[kind]


def _own_config(options: dict[str, Any], learned: dict[str, float]) -> dict[str, Any]:
    gamma_min, gamma_max = options["gamma_min"], options["gamma_max"]
    # The initial slope is float32.
    slope = abs(learned.get("slope", float(torch.tensor(gamma_max - gamma_min, dtype=torch.float32))))
    if "gamma_min" in learned:
        gamma_max = learned["gamma_min"] + slope
    forward = options.get("base_prior_scale", "forward_kernel") == "forward_kernel"
    network = {own: options[theirs] for theirs, own in _NETWORK.items()}
    return {
        "image_size": IMAGE_SIZE,
        "density": _DENSITIES[options["prior_type"]],
        "schedule": {"slope": slope, "gamma_max": gamma_max, "n_steps": options["n_timesteps"]},
        "denoiser": {"kind": "unet", **network, "forward_kernel_scale": forward},
    }


def _read_tensors(file: Path) -> dict[str, Any]:
    # The optimizer's state has a numpy scalar: only the constructors of such a scalar are allowed.
    scalar: list[Any] = [np.dtype, np.dtypes.Float64DType, (multiarray.scalar, "numpy.core.multiarray.scalar")]
    try:
        with torch.serialization.safe_globals(scalar):
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{file}: cannot be read as a checkpoint of tensors ({error})") from error
    if not (isinstance(checkpoint, dict) and {"model", "ema"} <= checkpoint.keys()):
        raise CheckpointError(f"{file}: expected the entries 'model' and 'ema'")
    tensors, averages = checkpoint["model"], checkpoint["ema"]
    if not (isinstance(tensors, dict) and all(isinstance(name, str) for name in tensors)):
        raise CheckpointError(f"{file}: 'model' does not hold tensors by name")
    if not (isinstance(averages, dict) and isinstance(averages.get("shadow_params"), list | tuple)):
        raise CheckpointError(f"{file}: 'ema' has no list of averages 'shadow_params'")
    return checkpoint


def _scalar(value: Any, name: str, file: Path) -> float:
    """Values of the schedule parameters in the averages."""
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or value.is_meta or value.layout != torch.strided:
        raise CheckpointError(f"{file}: the average of the schedule's {name} is no single number")
    found = float(value)
    if not math.isfinite(found):
        raise CheckpointError(f"{file}: the average of the schedule's {name} is {found}")
    return found


def write(
    folder: Path, denoiser: UNetDenoiser, schedule: Schedule, *, step: int = 0, recipe: dict[str, Any] | None = None
) -> None:
    """Writes a folder that the published code loads; weights and averages are both those of ``denoiser``.

    ``step`` is the number of training iterations, ``recipe`` the training section of the configuration. The layout
    is float32: the schedule is rounded. The published loader ignores the learned slope, so its schedule is right only
    where the slope is gamma_max - gamma_min of the network's constants; :func:`read` restores it.
    """
    network = denoiser.network
    averages = [value.detach().clone().float() for value in network.state_dict().values()]
    fixed_end = schedule.gamma_max == network.gamma_max
    ends = [] if fixed_end else [schedule.gamma_max - schedule.slope]
    entries = [*averages, *(torch.tensor(value) for value in [*ends, schedule.slope])]
    recipe = recipe or {}
    checkpoint = {
        "model": dict(zip(network.state_dict(), averages, strict=True)),
        "ema": {"decay": recipe.get("ema_decay", 0.9999), "num_updates": step, "shadow_params": entries},
        "optimizer": _fresh_optimizer(entries, recipe),
        "step": step,
    }
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / WEIGHTS, buffer.getvalue())
    config = _their_config(denoiser, schedule, recipe, step, fix_gamma_max=fixed_end)
    write_file(folder / CONFIG, (json.dumps(config, indent=2) + "\n").encode())


def _fresh_optimizer(entries: list[torch.Tensor], recipe: dict[str, Any]) -> dict[str, Any]:
    parameters = [torch.nn.Parameter(torch.zeros_like(value)) for value in entries]
    return torch.optim.Adam(parameters, lr=recipe.get("learning_rate", 2e-4)).state_dict()


def _their_config(
    denoiser: UNetDenoiser, schedule: Schedule, recipe: dict[str, Any], step: int, *, fix_gamma_max: bool
) -> dict[str, Any]:
    options = denoiser.network.options
    model = {
        "n_timesteps": schedule.n_steps,
        "prior_type": {own: theirs for theirs, own in _DENSITIES.items()}[denoiser.density],
        "base_prior_scale": "forward_kernel" if denoiser.forward_kernel_scale else "default",
        "noise_schedule": "learned_linear",
        "fix_gamma_max": fix_gamma_max,
        "ema_rate": recipe.get("ema_decay", 0.9999),
        "vocab_size": 256,
        **{theirs: options[own] for theirs, own in _NETWORK.items()},
    }
    return {
        "restore_ckpt": WEIGHTS,
        "model": model,
        "training": {
            "n_steps": step,
            "log_metrics_every_steps": 1000,
            "checkpoint_every_steps": 10000,
            "eval_every_steps": 10000,
            "eval_steps_to_run": 50,
        },
        "optim": {
            "weight_decay": recipe.get("weight_decay", 0),
            "beta1": 0.9,
            "eps": 1e-8,
            "warmup": recipe.get("warm_up", 1000),
            "lr": recipe.get("learning_rate", 2e-4),
            "grad_clip_norm": recipe.get("clip_norm", 1.0),
        },
        "data": {
            "shuffle": False,
            "pin_memory": True,
            "batch_size": recipe.get("batch_size") or 2,
            "num_workers": 1,
            "data_spec": "imagenet",
        },
    }
