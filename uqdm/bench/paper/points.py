"""Published points as columns of the table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from uqdm.bench.paper.judge import NOT_RUN

QUANTITIES = {
    "bpp": ("rate", "bpp"),
    "bpp_at_psnr": ("rate at the published PSNR", "bpp"),
    "file_bpp": ("rate of the files", "bpp"),
    "psnr_db": ("PSNR", "dB"),
    "fid": ("FID", ""),
}
"""Label and unit of each quantity."""

PUBLISHED = ("bpp", "psnr_db", "fid")
"""The quantities of a published point."""


def published_only(point: Mapping[str, Any], reason: str) -> Iterator[dict[str, Any]]:
    """The rows of a published point without a counterpart in the run."""
    for quantity in PUBLISHED:
        row = {"system": point["system"], "point": point["point"], **figure(point, quantity)}
        yield {**row, "verdict": NOT_RUN, "reason": reason}


def figure(point: Mapping[str, Any], quantity: str) -> dict[str, Any]:
    """The columns of a published figure; its value is NaN for a quantity that is not published."""
    doubtful = quantity == "fid" and point["suspect"]
    published_value = point[quantity] if quantity in PUBLISHED else math.nan
    return {
        "quantity": quantity,
        "unit": QUANTITIES[quantity][1],
        "rate_kind": point["kind"],
        "published": published_value,
        "doubt": point["suspect_reason"] if doubtful else "",
    }
