"""When two pictures may stand side by side as pictures of one rate, and which picture is nearest to a rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1.15
"""The greatest ratio of two rates that count as one: 15 % are 0.7 dB where PSNR rises by 3.5 dB as the rate doubles."""


def nearest(rows: pd.DataFrame, rate_bpp: float) -> dict[str, Any]:
    """The row whose ``rate_bpp`` is nearest in ratio; of several pictures of one rate that with the highest PSNR."""
    import numpy as np

    from uqdm.bench.run.tables import records

    distance = np.abs(np.log(rows.rate_bpp / rate_bpp))
    best: dict[str, Any] = records(rows[distance == distance.min()].sort_values("psnr_db", ascending=False))[0]
    return best


def is_equal_rate(rate: float, other: float, tolerance: float | None = None) -> bool:
    """Whether two rates, in any one unit, differ by at most the ratio ``tolerance``; by default :data:`TOLERANCE`.

    >>> is_equal_rate(1.0, 1.1), is_equal_rate(1.1, 1.0), is_equal_rate(1.83, 1.01), is_equal_rate(0, 0)
    (True, True, False, True)
    """
    if min(rate, other) <= 0:
        return rate == other
    return max(rate, other) / min(rate, other) <= (tolerance or TOLERANCE) * (1 + 1e-9)


def too_far(rate: float, nearest: float, where: str, tolerance: float | None = None) -> str:
    """Why no picture is shown at a rate: the nearest one, which ``where`` names, is too far away.

    >>> too_far(1.02, 1.834, "quality=50")
    'No picture within 15 % of 1.020 bpp; the nearest has 1.834 bpp (quality=50).'
    """
    allowed = f"{100 * ((tolerance or TOLERANCE) - 1):.3g} %"
    named = f" ({where})" if where else ""
    return f"No picture within {allowed} of {rate:.3f} bpp; the nearest has {nearest:.3f} bpp{named}."


def interpolated_db(rate: float, rates: list[float], psnr_db: list[float]) -> float | None:
    """PSNR at a rate between measured points, linear in dB and log rate; None outside of them.

    Points that are exact (infinite PSNR) or have no rate are left out; of several at one rate the best counts.

    >>> interpolated_db(2.0, [1.0, 4.0, 4.0], [30.0, 39.0, 40.0])
    35.0
    >>> interpolated_db(5.0, [1.0, 4.0], [30.0, 40.0]) is None
    True
    """
    best: dict[float, float] = {}
    for at, value in zip(rates, psnr_db, strict=True):
        if at > 0 and math.isfinite(value):
            best[at] = max(value, best.get(at, value))
    known = sorted(best)
    below = [at for at in known if at <= rate]
    above = [at for at in known if at >= rate]
    if not below or not above:
        return None
    low, high = below[-1], above[0]
    if low == high:
        return best[low]
    share = math.log(rate / low) / math.log(high / low)
    return best[low] + share * (best[high] - best[low])
