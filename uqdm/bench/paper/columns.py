"""Columns that the tables of figures and of costs share, and the values of those that compare two figures."""

from __future__ import annotations

from typing import Any

from uqdm.bench.paper.judge import Estimate, Verdict

QUANTITY = {
    "quantity": "one of QUANTITIES",
    "unit": "of the quantity",
}
COMPARED = {
    "published": "the published figure; empty where there is none",
    "ours": "the figure counted or measured here; empty where there is none, or where it would not be comparable",
    "difference": "ours minus published",
    "low": "lower end of the 95 % bootstrap interval of ours over images",
    "high": "upper end of it",
    "agrees_from": "lowest published figure that agrees",
    "agrees_to": "highest published figure that agrees",
    "verdict": "'agrees', 'differs', 'not comparable' or 'not run'",
    "reason": "why",
}
IMAGES = {
    "images": "data set of the run; empty for counts",
    "fingerprint": "count and content hash of its images",
    "n": "images of the run",
}


def compared(estimate: Estimate, published: float, bounds: tuple[float, float], verdict: Verdict) -> dict[str, Any]:
    """The columns ``COMPARED`` of a row; ``bounds`` are the published figures that agree, from lowest to highest."""
    return {
        "published": published,
        "ours": estimate.value,
        "difference": 0.0 if estimate.value == published else estimate.value - published,  # infinite PSNR is equal
        "low": estimate.low,
        "high": estimate.high,
        "agrees_from": bounds[0],
        "agrees_to": bounds[1],
        "verdict": verdict.word,
        "reason": verdict.reason,
    }
