"""The best published system of each family, computed from the curves: it needs the fewest bits at equal quality.

Every two systems of a family are compared over the range of quality that they share, by the mean difference of log
rate, as BD-rate does. The system that needs fewer bits than the most others is the best; among equals, the one with
the lowest mean difference. A system with fewer than three points, or without a shared range, is compared with none.
Digitised and doubtful figures do not take part.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import numpy as np

from uqdm.bench.analysis.published_systems import PublishedSystem, names_in

MIN_POINTS = 3
_SAMPLES = 64  # qualities in the shared range at which rates are compared

Direction = Literal["lower", "higher"]


def best_of_families(
    systems: Sequence[PublishedSystem], metric: str, direction: Direction = "higher"
) -> dict[str, str]:
    """For each family with a system of three or more points in ``metric``, the name of the best.

    >>> from uqdm.bench.analysis.published_systems import published_systems
    >>> best_of_families(published_systems("kodak"), "psnr_db")["overfitted"]
    'coolchic-v5.0'
    """
    curves = {one.name: curve for one in systems if one.plain and (curve := _curve(one, metric, direction))}
    members = defaultdict(list)
    for one in systems:
        if one.name in curves:
            members[one.family].append(one.name)
    return {family: _best({name: curves[name] for name in names}) for family, names in members.items()}


def chosen_systems(
    systems: Sequence[PublishedSystem], choice: str, metric: str, direction: Direction = "higher"
) -> list[PublishedSystem]:
    """The systems with a value of ``metric`` that a choice names: best, none, all, or names with commas between.

    Digitised and doubtful ones are only among those that are named.
    """
    if choice == "none":
        return []
    having = [one for one in systems if metric in one.metrics]
    if choice == "all":
        return [one for one in having if one.plain]
    names = best_of_families(having, metric, direction).values() if choice == "best" else names_in(choice)
    return [one for one in having if one.name in set(names)]


_Curve = tuple[np.ndarray, np.ndarray]  # quality, rising, and log rate


def _curve(system: PublishedSystem, metric: str, direction: Direction) -> _Curve | None:
    """The points that no cheaper point equals or betters; None for fewer than three."""
    if metric not in system.points:
        return None
    known = system.points[np.isfinite(system.points[metric].astype(float)) & (system.points.bpp > 0)]
    known = known.sort_values("bpp", kind="stable")
    quality = known[metric].to_numpy(float) * (1 if direction == "higher" else -1)
    if metric == "ms_ssim":
        quality = -10 * np.log10(np.maximum(1 - quality, 1e-9))  # dB, as is usual: near 1 steps are small
    rising = quality > np.concatenate([[-np.inf], np.maximum.accumulate(quality)[:-1]])
    if rising.sum() < MIN_POINTS:
        return None
    return quality[rising], np.log(known.bpp.to_numpy(float)[rising])


def _best(curves: dict[str, _Curve]) -> str:
    wins = dict.fromkeys(curves, 0)
    excess: dict[str, list[float]] = {name: [] for name in curves}
    for one, other in itertools.combinations(curves, 2):
        difference = _log_rate_difference(curves[one], curves[other])
        if difference is None:
            continue
        wins[one] += difference < 0
        wins[other] += difference > 0
        excess[one].append(difference)
        excess[other].append(-difference)
    mean = {name: float(np.mean(found)) if found else np.inf for name, found in excess.items()}
    return min(curves, key=lambda name: (-wins[name], mean[name], name))


def _log_rate_difference(one: _Curve, other: _Curve) -> float | None:
    """Mean of log rate of ``one`` minus that of ``other`` over the qualities that both have; None if there are none."""
    low = max(one[0][0], other[0][0])
    high = min(one[0][-1], other[0][-1])
    if not low < high:
        return None
    at = np.linspace(low, high, _SAMPLES)
    return float(np.mean(np.interp(at, *one) - np.interp(at, *other)))
