"""Training of models whose steps share no weights: each step by itself, several at a time in processes of a thread.

A step's run depends on the recipe, the data and the step alone, not on the number of processes. It is kept on disk as
it goes, and begins again, bit for bit, where it was killed.
"""

from __future__ import annotations

import csv
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from uqdm.diffusion.images import to_data
from uqdm.model import checkpoint
from uqdm.model.denoiser import Denoiser
from uqdm.training.data import random_crops
from uqdm.training.losses import step_losses
from uqdm.training.trainer import Ema, Progress, TrainingError

LOG_FIELDS = ("iteration", "seconds", "rate_bpp", "x_hat_error", "gradient_norm")


@dataclass(frozen=True)
class SeparateRecipe:
    """How to train each step. Lists have an entry for each step of the schedule."""

    iterations: list[int]
    batch_sizes: list[list[list[int]]]
    """For each step pairs of a first iteration, from 0 on, and the batch size from there."""
    x_hat_weights: list[list[list[float]]]
    """For each step such pairs with the weight of the error of x_hat, for pictures, beside the rate in bpp."""
    crop_sizes: list[int]
    cool_down: list[int]
    """The last iterations, over which the learning rate falls linearly to 0; before them it is constant."""
    learning_rate: float = 2e-3
    warm_up: int = 100
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    unbounded_weight: float = 0.3
    """Weight of the rate without bounds at first; falls linearly to 0 over ``unbounded_until`` iterations."""
    unbounded_until: int = 5000
    bfloat16: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_sizes", "x_hat_weights"):
            if not all(pairs and pairs[0][0] == 0 for pairs in getattr(self, name)):
                raise TrainingError(f"recipe.{name}: the pairs of each step must begin at iteration 0")
        for name in ("batch_sizes", "x_hat_weights", "crop_sizes", "cool_down"):
            if len(getattr(self, name)) != len(self.iterations):
                raise TrainingError(f"recipe.{name} needs {len(self.iterations)} entries, as recipe.iterations")

    def batch_at(self, index: int, iteration: int) -> int:
        """Batch size of a step at an iteration from 0 on."""
        return int(_at(self.batch_sizes[index], iteration))

    def x_hat_weight_at(self, index: int, iteration: int) -> float:
        """Weight of the error of x_hat at an iteration from 0 on."""
        return _at(self.x_hat_weights[index], iteration)

    def rate_at(self, index: int, iteration: int) -> float:
        """Learning rate of a step at an iteration from 0 on."""
        left = (self.iterations[index] - iteration) / max(1, self.cool_down[index])
        return self.learning_rate * min(1.0, (iteration + 1) / self.warm_up, left)

    def unbounded_at(self, iteration: int) -> float:
        """Weight of the rate without bounds at an iteration from 0 on."""
        return self.unbounded_weight * max(0.0, 1 - iteration / max(1, self.unbounded_until))


def _at(pairs: Sequence[Sequence[float]], iteration: int) -> float:
    """The value of the last pair that begins at or before the iteration."""
    return next(value for first, value in reversed(pairs) if first <= iteration)


class StepRun:
    """The training of one step, with all its state."""

    def __init__(self, denoiser: Denoiser, schedule: Any, recipe: SeparateRecipe, index: int):
        self.denoiser, self.schedule, self.recipe, self.index = denoiser, schedule, recipe, index
        self.named = dict(_parameters_of(denoiser, schedule, index))
        for parameter in denoiser.parameters():
            parameter.requires_grad_(False)
        for parameter in self.named.values():
            parameter.requires_grad_(True)
        self.optimizer = torch.optim.AdamW(
            self.named.values(), lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay
        )
        self.ema = Ema(denoiser, recipe.ema_decay)
        self.rng = np.random.default_rng([recipe.seed, index])
        self.noise_seed = int(np.random.default_rng([recipe.seed, index, 1]).integers(2**62))
        self.iteration, self.seconds = 0, 0.0
        self.rate_factor = 1.0
        """What the recipe's learning rate is multiplied by; for trials that end by the clock."""
        torch.manual_seed(self.noise_seed)

    def advance(self, tiles_uint8: np.ndarray) -> dict[str, float]:
        """One iteration; returns the row of the log."""
        recipe, index, begun = self.recipe, self.index, time.monotonic()
        batch = recipe.batch_at(index, self.iteration)
        crops = random_crops(tiles_uint8, batch, recipe.crop_sizes[index], self.rng)
        x = to_data(crops).contiguous(memory_format=torch.channels_last)
        self.optimizer.param_groups[0]["lr"] = self.rate_factor * recipe.rate_at(index, self.iteration)
        early = recipe.unbounded_at(self.iteration)
        losses = step_losses(self.denoiser, self.schedule, x, index, bfloat16=recipe.bfloat16, with_unbounded=early > 0)
        loss = losses.rate_bpp + recipe.x_hat_weight_at(index, self.iteration) * losses.x_hat_error
        if early > 0:
            loss = loss + early * losses.unbounded_bpp
        if not torch.isfinite(loss):
            raise TrainingError(
                f"step {index}, iteration {self.iteration}: the rate is {losses.rate_bpp.item()} bpp; "
                "lower the learning rate"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.named.values(), recipe.clip_norm)
        self.optimizer.step()
        self.ema.update(self.denoiser)
        self.iteration += 1
        self.seconds += time.monotonic() - begun
        values = (self.iteration, self.seconds, losses.rate_bpp.item(), losses.x_hat_error.item(), float(norm))
        return dict(zip(LOG_FIELDS, values, strict=True))

    def state(self) -> dict[str, Any]:
        """Everything that the next iteration depends on."""
        return {
            "iteration": self.iteration,
            "seconds": self.seconds,
            "denoiser": self.denoiser.state_dict(),
            "ema": self.ema.module.state_dict(),
            "ema_updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(),
            "torch": torch.get_rng_state(),
            "numpy": self.rng.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state."""
        self.iteration, self.seconds = state["iteration"], state["seconds"]
        self.denoiser.load_state_dict(state["denoiser"])
        self.ema.module.load_state_dict(state["ema"])
        self.ema.updates.update(state["ema_updates"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["torch"])
        self.rng.bit_generator.state = state["numpy"]


def _parameters_of(denoiser: Denoiser, schedule: Any, index: int) -> list[tuple[str, nn.Parameter]]:
    """The parameters that a step's prediction depends on, found by a backward pass."""
    denoiser.zero_grad(set_to_none=True)
    denoiser.requires_grad_(True)
    x = torch.zeros(1, 3, 16, 16)
    losses = step_losses(denoiser, schedule, x, index)
    (losses.rate_bpp + losses.x_hat_error).backward()
    found = [(name, value) for name, value in denoiser.named_parameters() if value.grad is not None]
    denoiser.zero_grad(set_to_none=True)
    return found


def train_step(
    model: dict[str, Any],
    recipe: SeparateRecipe,
    index: int,
    tiles_uint8: np.ndarray,
    folder: Path,
    log_every: int = 100,
    keep_every: int = 500,
) -> None:
    """Trains step ``index`` in ``folder``: ``step-I.pt`` is its state, ``step-I.csv`` its log, means over its rows."""
    torch.manual_seed(recipe.seed)
    denoiser, schedule = checkpoint.build(model)
    run = StepRun(denoiser.to(memory_format=torch.channels_last).train(), schedule, recipe, index)
    kept, log = folder / f"step-{index}.pt", folder / f"step-{index}.csv"
    if kept.exists():
        run.restore(torch.load(kept, weights_only=True))
    rows = _read_log(log, run.iteration)
    recent: list[dict[str, float]] = []
    while run.iteration < recipe.iterations[index]:
        recent.append(run.advance(tiles_uint8))
        if run.iteration % log_every == 0:
            last = recent[-1]
            means = {key: float(np.mean([row[key] for row in recent])) for key in LOG_FIELDS[2:]}
            rows.append({"iteration": last["iteration"], "seconds": round(last["seconds"], 1), **means})
            recent = []
        if run.iteration % keep_every == 0 or run.iteration == recipe.iterations[index]:
            _keep(kept, run.state())
            _write_log(log, rows)


def _keep(file: Path, state: dict[str, Any]) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    torch.save(state, temporary)
    os.replace(temporary, file)


def _read_log(file: Path, until: float = math.inf) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    with file.open(newline="") as opened:
        return [row for row in csv.DictReader(opened) if int(row["iteration"]) <= until]


def _write_log(file: Path, rows: list[dict[str, Any]]) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    with temporary.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, LOG_FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, file)


def train_separately(
    model: dict[str, Any],
    recipe: SeparateRecipe,
    tiles_uint8: np.ndarray,
    folder: Path,
    processes: int,
    report: Callable[[Progress], Any] = lambda progress: None,
    report_s: float = 60.0,
) -> Denoiser:
    """Trains every step in ``folder``, the longest first, ``processes`` at a time; returns the averaged model.

    Work that an earlier call left in the folder is continued. ``report`` is told about every ``report_s`` seconds.
    """
    order = sorted(range(len(recipe.iterations)), key=lambda index: -recipe.iterations[index])
    tiles, start = folder / "tiles.npy", time.monotonic()
    np.save(tiles, tiles_uint8)
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, initializer=torch.set_num_threads, initargs=(1,), maxtasksperchild=1) as pool:
        done = pool.map_async(_job, [(model, recipe, index, folder) for index in order], chunksize=1)
        while not done.ready():
            done.wait(report_s)
            report(_progress(folder, len(order), time.monotonic() - start))
        done.get()
    tiles.unlink()
    return assemble(model, recipe, folder)


def assemble(model: dict[str, Any], recipe: SeparateRecipe, folder: Path) -> Denoiser:
    """Puts the averaged weights of all steps' runs in ``folder`` into one denoiser."""
    denoiser, schedule = checkpoint.build(model)
    averaged = denoiser.state_dict()
    for index in range(len(recipe.iterations)):
        state = torch.load(folder / f"step-{index}.pt", weights_only=True)["ema"]
        averaged.update({name: state[name] for name, _ in _parameters_of(denoiser, schedule, index)})
    denoiser.load_state_dict(averaged)
    return denoiser.eval()


def _job(job: tuple[dict[str, Any], SeparateRecipe, int, Path]) -> None:
    model, recipe, index, folder = job
    train_step(model, recipe, index, np.load(folder / "tiles.npy", mmap_mode="r"), folder)


def _progress(folder: Path, n_steps: int, seconds: float) -> Progress:
    logs = [_read_log(folder / f"step-{index}.csv") for index in range(n_steps)]
    last = [rows[-1] if rows else None for rows in logs]
    return Progress(
        sum(int(row["iteration"]) for row in last if row),
        seconds,
        [float(row["rate_bpp"]) if row else math.nan for row in last],
    )
