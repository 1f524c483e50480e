"""The settings of the swirl experiments: the configuration's section ``swirl``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VDM_STEPS = 1000
"""T of the trained VDM."""


@dataclass(frozen=True)
class Settings:
    """The keys of the section, except ``quick``."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Training seeds; each has its own models."""
    steps: tuple[int, ...] = (3, 4, 5, 10, 15, 20, 30)
    """Numbers of steps T of UQDM; one of them must be 5."""
    vdm_steps: tuple[int, ...] = (3, 4, 5, 10, 15, 20, 30, 100, 1000)
    """Numbers of steps at which the VDM of a seed is measured."""
    iterations: int = 3000
    """Training iterations of each UQDM."""
    vdm_iterations: int = 6000
    points: int = 3072
    """Number of held-out points for rates; a multiple of 1,024 gives whole blocks for files."""
    sampled_points: int = 1024
    """Number of points in a set of samples or reconstructions, and in the reference set."""


QUICK = Settings(
    seeds=(0, 1),
    steps=(3, 5, 10),
    vdm_steps=(5, 20, 1000),
    iterations=300,
    vdm_iterations=400,
    points=1024,
    sampled_points=256,
)
"""The settings of ``quick``: all stages in two minutes, with models that are not fully trained."""


def settings_of(section: Mapping[str, Any]) -> Settings:
    """The settings of a section; raises ValueError where they are inconsistent.

    >>> settings_of({"quick": True, "seeds": [7]}).seeds
    (7,)
    """
    base = QUICK if section.get("quick") else Settings()
    given = {key: value for key, value in section.items() if key != "quick" and value is not None}
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    settings = dataclasses.replace(base, **values)
    if 5 not in settings.steps:
        raise ValueError(f"swirl: steps {list(settings.steps)} lack 5, which the paper's claim is about")
    return settings


def training_options(settings: Settings) -> dict[str, str]:
    """The options of ``uqdm swirl train`` for each kind of models.

    A VDM is trained once, for T = 1000; the wide schedule is used at T = 5 only.

    >>> training_options(QUICK)["learned"]
    '--iterations 300 --steps 3 --steps 5 --steps 10'
    """
    steps = {"vdm": (VDM_STEPS,), "learned": settings.steps, "fixed": settings.steps, "wide": (5,)}
    iterations = {"vdm": settings.vdm_iterations}
    return {
        kind: " ".join([f"--iterations {iterations.get(kind, settings.iterations)}", *(f"--steps {n}" for n in counts)])
        for kind, counts in steps.items()
    }


def measure_options(settings: Settings) -> str:
    """The options of ``uqdm swirl measure``.

    >>> measure_options(QUICK)
    '--points 1024 --sampled-points 256 --vdm-steps 5 --vdm-steps 20 --vdm-steps 1000'
    """
    sizes = [f"--points {settings.points}", f"--sampled-points {settings.sampled_points}"]
    return " ".join([*sizes, *(f"--vdm-steps {n}" for n in settings.vdm_steps)])
