"""How far a Bjøntegaard delta depends on the interpolation of its curves.

Straight lines, PCHIP and Akima (J. ACM 17, 1970) run through the same points. Where these are close, all agree; the
range of the three shows what the points leave open, which no bootstrap interval does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import Akima1DInterpolator

Axis = tuple[np.ndarray, np.ndarray]
"""A curve: x, which rises strictly, and y, both [K]."""


def _by_lines(x: np.ndarray, y: np.ndarray, low: float, high: float) -> float:
    """The integral of straight lines through the points from ``low`` to ``high``."""
    at = np.concatenate([[low], x[(x > low) & (x < high)], [high]])
    return float(np.trapezoid(np.interp(at, x, y), at))


def _by_akima(x: np.ndarray, y: np.ndarray, low: float, high: float) -> float:
    return float(Akima1DInterpolator(x, y).integrate(low, high))


OTHERS = (_by_lines, _by_akima)
"""Integrals by interpolations beside PCHIP."""


def spread_of(axes: Sequence[Axis], by_pchip: float, interval: tuple[float, float]) -> tuple[float, float]:
    """Least and greatest mean difference of two curves, anchor first, over an interval of x that both cover.

    ``by_pchip`` is the difference by PCHIP, one of the three. NaN where it is.

    >>> x = np.array([0.0, 1.0, 2.0, 3.0])
    >>> line, bent = (x, x), (x, np.array([0.0, 0.0, 0.0, 3.0]))
    >>> spread_of([line, (x, x + 1)], 1.0, (0, 3))
    (1.0, 1.0)
    >>> spread_of([line, bent], -1.125, (0, 3))  # -1 by straight lines
    (-1.125, -1.0)
    """
    if not np.isfinite(by_pchip):
        return np.nan, np.nan
    areas = [[integral(x, y, *interval) for x, y in axes] for integral in OTHERS]
    found = [by_pchip, *((curve - anchor) / (interval[1] - interval[0]) for anchor, curve in areas)]
    return min(found), max(found)
