"""The cells of the tables as text, for Markdown and LaTeX."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from uqdm.bench.paper import costs
from uqdm.bench.paper.points import QUANTITIES

HEADINGS = ("setting", "quantity", "published", "here", "difference", "95 % interval", "verdict")
REFERENCE_HEADINGS = ("system", "point", "kind of rate", "rate, bpp", "PSNR, dB", "FID", "verdict")
COST_HEADINGS = ("of", "quantity", "published", "here", "difference", "95 % interval", "verdict")
DOUBTFUL = "?"
"""Mark after a published figure that is doubtful."""

_DECIMALS = {"bpp": 4, "bpp_at_psnr": 4, "file_bpp": 4, "psnr_db": 3, "fid": 3}
_DECIMALS |= {"file_overhead": 2, "encode_seconds": 3, "decode_seconds": 3}


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row of the table, as under :data:`HEADINGS`."""
    decimals = _DECIMALS[row["quantity"]]
    label, unit = QUANTITIES[row["quantity"]]
    ends = [number(row[end], decimals) for end in ("low", "high")]
    return [
        row["setting"],
        f"{label}, {unit}" if unit else label,
        number(row["published"], decimals) + (DOUBTFUL if row["doubt"] else ""),
        number(row["ours"], decimals),
        number(row["difference"], decimals, signed=True),
        " to ".join(ends) if all(ends) else "",
        f"{row['verdict']}: {row['reason']}" if row["reason"] else row["verdict"],
    ]


def reference_cells(row: Mapping[str, Any]) -> list[str]:
    """A published point without a run, as under :data:`REFERENCE_HEADINGS`."""
    return [
        row["system"],
        str(row["point"]),
        row["rate_kind"],
        *(number(row[name], _DECIMALS[name]) for name in ("bpp", "psnr_db")),
        number(row["fid"], _DECIMALS["fid"]) + (DOUBTFUL if row["doubt"] else ""),
        f"{row['verdict']}: {row['reason']}",
    ]


def cost_cells(row: Mapping[str, Any]) -> list[str]:
    """A row of the table of Appendix C, as under :data:`COST_HEADINGS`."""
    decimals = _DECIMALS.get(row["quantity"], 0)
    label, unit = costs.QUANTITIES[row["quantity"]]
    ends = [number(row[end], decimals) for end in ("low", "high")]
    at_most = "at most " if row["quantity"] == "file_overhead" else ""
    return [
        ", ".join(filter(None, [row["system"], row["setting"]])),
        f"{label}, {unit}" if unit else label,
        at_most + number(row["published"], decimals),
        number(row["ours"], decimals),
        number(row["difference"], decimals, signed=True),
        " to ".join(ends) if all(ends) else "",
        f"{row['verdict']}: {row['reason']}" if row["reason"] else row["verdict"],
    ]


def number(value: float, decimals: int, *, signed: bool = False) -> str:
    """A figure as text; empty if there is none.

    >>> number(1.25, 3), number(math.nan, 3), number(math.inf, 3), number(0.5, 2, signed=True)
    ('1.250', '', 'exact', '+0.50')
    """
    if value is None or math.isnan(value):
        return ""
    if math.isinf(value):
        return "" if signed else "exact"
    return f"{value:+,.{decimals}f}" if signed else f"{value:,.{decimals}f}"
