"""Checks whether a model can code files: by the fields of the format and the range of the lattice's integers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from uqdm.coding.container import MAX_EPS, N_STAGES, TILE_SIZE
from uqdm.coding.lattice import MAX_BINS, MAX_LATENT, START_UNIT, LatticeStep
from uqdm.coding.randomness import START_BITS
from uqdm.model.checkpoint import Model
from uqdm.model.denoiser import Denoiser
from uqdm.model.schedule import Schedule, Step

CHANNELS = 3
_MAX_START = 5 << START_BITS  # |n(0)|: all quantiles are within 4.4 deviations


def check_codable(model: Model) -> None:
    """Raises ValueError, with every reason, for a model that cannot code files of images."""
    found = list(codable_faults(model.denoiser, model.schedule, model.image_size, model.process))
    found += list(_tolerance_faults(model.config.get("tolerance"), model.schedule))
    if found:
        raise ValueError(f"model {model.name} cannot code files: {'; '.join(found)}")


def codable_faults(denoiser: Denoiser, schedule: Schedule, image_size: int, process: str) -> Iterator[str]:
    """Reasons why a model cannot code files; they hold images, uniform noise, logistic densities and short fields.

    Weights are not needed, so that this can be checked before training.
    """
    if image_size == 1:
        yield "it is of points, not of images"
        return
    if process != "uniform":
        yield f"its process is {process}, not uniform"
    if denoiser.density != "logistic":
        yield f"its density is {denoiser.density}, not logistic"
    if denoiser.channels != CHANNELS:
        yield f"its images have {denoiser.channels} channels, not {CHANNELS}"
    if TILE_SIZE.fault(image_size):
        yield f"a file holds tiles of {TILE_SIZE.allowed} pixels a side, not of image_size {image_size}"
    if N_STAGES.fault(schedule.n_steps):
        yield f"a file holds {N_STAGES.allowed} stages, not n_steps {schedule.n_steps}"
        return
    yield from lattice_faults(schedule, bounded=denoiser.bounded)
    if schedule.n_steps == N_STAGES.most and not _last_stage_is_free(schedule):
        yield f"a file holds {N_STAGES.allowed} stages, not n_steps {schedule.n_steps} and a last stage of pixels"


def lattice_of(steps: Sequence[Step]) -> list[LatticeStep]:
    """The lattice of each step of a schedule."""
    lattice: list[LatticeStep] = []
    for step in steps:
        unit = lattice[-1].unit if lattice else START_UNIT
        lattice.append(LatticeStep.make(unit, step.z_weight, step.x_weight, step.width))
    return lattice


def lattice_faults(schedule: Schedule, *, bounded: bool = False) -> Iterator[str]:
    """Reasons why the integers of the lattice cannot hold the latents of a schedule."""
    try:
        lattice = lattice_of(schedule.steps())
    except (ArithmeticError, ValueError) as error:  # steps without noise, or beyond floating point
        yield f"the constants of its schedule cannot be computed ({type(error).__name__})"
        return
    if bounded and max(step.n_bins for step in lattice) > MAX_BINS:
        yield f"a step's noise is so narrow that bounded symbols are more than {MAX_BINS}"
    latent = _MAX_START
    for index, step in enumerate(lattice):
        latent = (step.a * latent + 256 * step.b >> 32) + 1024
        if latent > MAX_LATENT:
            yield f"the noise of step {index + 1} is too narrow: latents go beyond {MAX_LATENT}"
            return


def _last_stage_is_free(schedule: Schedule) -> bool:
    try:
        return lattice_of(schedule.steps())[-1].window_is_free
    except (ArithmeticError, ValueError):
        return True  # another fault is reported


def _tolerance_faults(given: Any, schedule: Schedule) -> Iterator[str]:
    """Tolerances of a configuration that are too large for the header."""
    for step, item in zip(schedule.steps() if given else [], given or [], strict=False):
        bins = float(item["x_hat"]) * step.x_weight / step.width
        if not max(bins, float(item["log2_scale"])) <= MAX_EPS:
            yield f"the tolerance of step {step.index + 1} is more than {MAX_EPS} bins or octaves"
