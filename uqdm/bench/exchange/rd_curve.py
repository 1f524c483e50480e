"""A rate-distortion curve as it is exchanged: its points, and what its rates and figures are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uqdm.bench.metrics import declared
from uqdm.text import printable

if TYPE_CHECKING:
    import pandas as pd

RATE = "bpp"
"""The column of the rate, bits per pixel."""
LONGEST_TEXT = 500  # characters of a name or of a protocol


class PointsError(ValueError):
    """A file of points does not read, or has impossible figures. The message names the file and the remedy."""


@dataclass(frozen=True, eq=False)
class RdCurve:
    """A named curve. ``points`` has the column ``bpp`` and one for each metric, by its name here, in order of rate."""

    name: str
    points: pd.DataFrame
    rate_kind: str
    protocol: str = ""
    """How the figures were made."""
    source: str = ""
    """Where they come from."""

    @property
    def metrics(self) -> list[str]:
        """The metrics that some point has."""
        return [str(name) for name in self.points if name != RATE and self.points[name].notna().any()]


def metric_names() -> list[str]:
    """The metrics that points may have, by name."""
    return [metric.name for metric in declared()]


def checked_points(points: pd.DataFrame, where: str) -> pd.DataFrame:
    """Points in order of rate, as numbers; raises :class:`PointsError`, which begins with ``where``, for others.

    A rate is finite and positive, each metric is in its range or lacking, and each point has one.

    >>> import pandas as pd
    >>> checked_points(pd.DataFrame({"bpp": [2, 1], "psnr_db": [34, 30]}), "mine.csv").psnr_db.tolist()
    [30.0, 34.0]
    >>> checked_points(pd.DataFrame({"bpp": [1], "ms_ssim": [14.2]}), "mine.csv")
    Traceback (most recent call last):
    uqdm.bench.exchange.rd_curve.PointsError: mine.csv: ms_ssim is 14.2 at 1 bpp, outside of 0 to 1: is it in dB?
    """
    ranges = {metric.name: metric.value_range for metric in declared()}
    names = [name for name in points if name in ranges and points[name].notna().any()]
    if not len(points) or not names:
        raise PointsError(f"{where}: no points with a rate and a metric; metrics are {', '.join(ranges)}")
    numbers = points[[RATE, *names]].astype(float)
    for rate in numbers[RATE]:
        if not (np.isfinite(rate) and rate > 0):
            raise PointsError(f"{where}: {RATE} is {rate:g}; a rate is a positive number of bits per pixel")
    for name in names:
        _check_range(numbers, name, ranges[name], where)
    if numbers[names].isna().all(axis=1).any():
        rate = numbers[RATE][numbers[names].isna().all(axis=1)].iloc[0]
        raise PointsError(f"{where}: the point at {rate:g} bpp has no metric; remove it")
    return numbers.sort_values(RATE, kind="stable").reset_index(drop=True)


def _check_range(numbers: pd.DataFrame, name: str, bounds: tuple[float, float], where: str) -> None:
    for rate, value in zip(numbers[RATE], numbers[name], strict=True):
        if value < bounds[0] or value > bounds[1]:
            decibels = ": is it in dB?" if bounds == (0, 1) else ""
            ends = " to ".join(f"{end:g}" for end in bounds)
            raise PointsError(f"{where}: {name} is {value:g} at {rate:g} bpp, outside of {ends}{decibels}")


def checked_text(text: str, what: str, where: str) -> str:
    """A name or a protocol on one printable line; raises :class:`PointsError` for an empty or a very long one."""
    line = printable(" ".join(text.split()))
    if not line or len(line) > LONGEST_TEXT:
        raise PointsError(f"{where}: the {what} is {'empty' if not line else f'longer than {LONGEST_TEXT} characters'}")
    return line


def check_names(curves: Sequence[RdCurve], where: str) -> None:
    """Raises :class:`PointsError` where two curves have one name."""
    names = [curve.name for curve in curves]
    for name in names:
        if names.count(name) > 1:
            raise PointsError(f"{where}: two curves are named {name!r}; give each a name of its own")
