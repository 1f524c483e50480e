"""Samplers of models by name or path."""

from __future__ import annotations

import os

from uqdm.banded import model as banded
from uqdm.diffusion.choices import OWN
from uqdm.model.files import BANDED_FORMAT, TRANSFORM_FORMAT, CheckpointError
from uqdm.model.zoo import find, format_named, load_named
from uqdm.progressive.device import checked_device
from uqdm.sampling.bands import BandedSampler
from uqdm.sampling.diffusion import DiffusionSampler
from uqdm.sampling.sampler import Sampler

MAX_SEED = (1 << 32) - 1


def sampler_of(
    name_or_path: str | os.PathLike[str],
    n_steps: int | None = None,
    *,
    deviation: str = OWN,
    weights: str = "ema",
    seed: int = 0,
    device: str = "cpu",
) -> Sampler:
    """The sampler of a shipped model by name or of a model folder by path.

    ``n_steps`` and ``deviation`` are those of :class:`uqdm.sampling.diffusion.DiffusionSampler`; a model in bands has
    no choice of them. Raises :class:`uqdm.model.files.CheckpointError` where there is no such model, or it is one of
    transform coding, and ValueError for options that it does not have.

    >>> sampler_of("uqdm-pixel").draw(2).shape
    (2, 64, 64, 3)
    """
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed={seed}: must be in 0..{MAX_SEED}")
    checked_device(device)  # before weights are read
    found = format_named(name_or_path)
    if found == TRANSFORM_FORMAT:
        raise CheckpointError(
            f"{name_or_path} is a model of transform coding, which samples no pictures: its densities are those of "
            "coefficients for coding. Name a diffusion model; `uqdm models` lists them"
        )
    if found == BANDED_FORMAT:
        for option, value, only in (("steps", n_steps, None), ("deviation", deviation, OWN)):
            if value != only:
                raise ValueError(
                    f"{option}={value}: {name_or_path} has networks for its own steps and one density; leave it out"
                )
        return BandedSampler(banded.load(find(name_or_path)), seed=seed, device=device)
    return DiffusionSampler(load_named(name_or_path, weights), n_steps, deviation=deviation, seed=seed, device=device)
