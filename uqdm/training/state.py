"""Checkpoints: all that a training run needs to resume bit for bit, in one safetensors file with JSON in its header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

from uqdm.model.files import write_file
from uqdm.training.trainer import Training, TrainingError

FORMAT = "uqdm-training-1"


def save(training: Training, config: dict[str, Any], file: Path) -> None:
    """Writes a checkpoint atomically; :func:`restore` compares ``config``."""
    tensors = {f"weights.{key}": value for key, value in training.objective.state_dict().items()}
    tensors |= {f"averages.{key}": value for key, value in training.averages.module.state_dict().items()}
    for name, parameter in training.objective.named_parameters():
        for key, value in training.optimizer.state[parameter].items():
            tensors[f"optimizer.{key}.{name}"] = value
    tensors |= {f"random.{key}": value for key, value in _random_states(training).items()}
    state = {
        "format": FORMAT,
        "config": config,
        "iteration": training.iteration,
        "seconds": training.seconds,
        "means": training.means,
        "updates": training.averages.updates,
        "data": training.feed.state,
        "torch": torch.__version__,
    }
    held = {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_file(file, safetensors.torch.save(held, {"state": json.dumps(state)}))


def _random_states(training: Training) -> dict[str, torch.Tensor]:
    states = {"noise": training.noise.get_state(), "torch": torch.get_rng_state()}
    if training.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(training.device)
    return states


def read_state(file: Path) -> dict[str, Any]:
    """The JSON part of a checkpoint; raises :class:`TrainingError` if the file is not a checkpoint."""
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            state = json.loads((opened.metadata() or {})["state"])
    except (safetensors.SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise TrainingError(f"{file}: not a checkpoint ({error}); remove it to start again") from error
    if state.get("format") != FORMAT:
        raise TrainingError(f"{file}: format {state.get('format')!r}; this version reads {FORMAT!r}")
    return state


def restore(training: Training, config: dict[str, Any], file: Path) -> None:
    """Restores a new run from a checkpoint; raises :class:`TrainingError` if it is of another configuration."""
    state = read_state(file)
    differing = sorted(key for key in config.keys() | state["config"].keys() if _differ(key, config, state["config"]))
    if differing:
        raise TrainingError(
            f"{file}: the checkpoint is of another configuration ({', '.join(differing)} changed); "
            "name another folder, or remove it to start again"
        )
    tensors = safetensors.torch.load_file(file)
    training.objective.load_state_dict(_below("weights.", tensors))
    training.averages.module.load_state_dict(_below("averages.", tensors))
    for key, value in _below("optimizer.", tensors).items():
        entry, name = key.split(".", 1)
        parameter = training.objective.get_parameter(name)
        # AdamW counts its steps on the CPU, and in float32 whatever the parameter is.
        training.optimizer.state[parameter][entry] = value if entry == "step" else value.to(parameter.device)
    training.noise.set_state(tensors["random.noise"])
    torch.set_rng_state(tensors["random.torch"])
    if training.device.type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], training.device)
    training.iteration, training.seconds = state["iteration"], state["seconds"]
    training.means, training.averages.updates = state["means"], state["updates"]
    rng = np.random.default_rng()
    rng.bit_generator.state = state["data"]
    training.start_feed(rng)


def trained_averages(file: Path) -> dict[str, torch.Tensor]:
    """The averages of those weights of the objective that the checkpoint's run has trained."""
    trained = read_state(file)["updates"]
    averages = _below("averages.", safetensors.torch.load_file(file))
    return {name: averages[name] for name in trained}


def _differ(key: str, first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.get(key) != second.get(key)


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
