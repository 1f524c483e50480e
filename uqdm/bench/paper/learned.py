"""Rows of learned codecs: published ones that are run with named weights, and the shipped small model.

No setting of a published learned codec is known, so a published point is compared by the rate at its PSNR, read off the
measured curve. Points of the measured curve have rows of their own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from uqdm.bench.paper import protocol
from uqdm.bench.paper.columns import compared
from uqdm.bench.paper.judge import MIN_IMAGES, NOT_COMPARABLE, NOT_RUN, Estimate, Verdict, accepted, judge
from uqdm.bench.paper.measured import Run, fid_of, find_row, mean_of
from uqdm.bench.paper.points import PUBLISHED, QUANTITIES, figure
from uqdm.bench.paper.protocol import HYPERPRIOR, Place, Weights
from uqdm.model.files import CheckpointError
from uqdm.text import counted

_NO_SETTING = Verdict(NOT_COMPARABLE, "its setting is not published; rates are compared at equal PSNR")
_NO_POINT = Verdict(NOT_COMPARABLE, "no published point has its setting")
_BEYOND = Verdict(NOT_COMPARABLE, "the curve measured here does not reach that PSNR")
_NOWHERE = (math.nan, math.nan)

Measured = Mapping[str, Any]
"""A row of the summary."""


def small_rows(run: Run) -> Iterator[dict[str, Any]]:
    """The rows of the shipped model, which no published figure is of."""
    verdict = Verdict(NOT_COMPARABLE, protocol.SMALL_REASON)
    return _measured_rows(run, (HYPERPRIOR, protocol.SMALL_LABEL), protocol.SMALL_PLACES, verdict)


def weights_rows(run: Run, weights: Weights, points: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of a published learned codec: of its published points, then of the points measured with its weights."""
    found = [find_row(run.summary, place) for place in weights.places]
    measured = [row for row, _ in found if row is not None]
    lacking = next((Verdict(NOT_RUN, reason) for _, reason in found), None) if not measured else None
    for point in points:
        base = {"system": weights.system, "point": point["point"], "codec": HYPERPRIOR}
        base["setting"] = f"PSNR {point['psnr_db']:.3f} dB"
        for quantity in ("bpp", "bpp_at_psnr", "psnr_db", "fid") if measured else PUBLISHED:
            row = {**base, **figure(point, quantity)}
            if quantity == "bpp_at_psnr":
                row["codec_version"] = measured[0]["codec_version"]
                row |= _at_equal_psnr(run, weights, measured, point)
            else:
                row |= _unknown(row["published"], lacking or _NO_SETTING)
            yield row
    yield from _measured_rows(run, (weights.system, weights.label), weights.places, _NO_POINT)


def _unknown(published: float, verdict: Verdict) -> dict[str, Any]:
    return compared(Estimate(math.nan), published, _NOWHERE, verdict)


def _at_equal_psnr(
    run: Run, weights: Weights, measured: Sequence[Measured], point: Mapping[str, Any]
) -> dict[str, Any]:
    """The columns of the rate at the PSNR of a published point."""
    settings = [row["setting"] for row in measured if math.isfinite(row["psnr_db"])]
    estimate = run.estimates.rate_at_psnr(settings, weights.places[0], point["psnr_db"])
    verdict = _BEYOND if math.isnan(estimate.value) else _not_comparable(run, weights, measured)
    bounds = _NOWHERE
    if verdict is None:
        slack = protocol.EQUAL_PSNR_SHARE * point["bpp"] + 8 * protocol.LEARNED_BYTES / protocol.PIXELS[run.name]
        bounds = accepted(estimate, run.relation.sampling, slack)
        verdict = judge(point["bpp"], bounds)
    return compared(estimate, point["bpp"], bounds, verdict)


def _not_comparable(run: Run, weights: Weights, measured: Sequence[Measured]) -> Verdict | None:
    """Why rates cannot be compared; None if they can."""
    strange = sorted({*map(_architecture, weights.files)} - {protocol.LEARNED[weights.system].architecture})
    failed = sum(row["failed"] for row in measured)
    reasons = {
        "other images": run.relation.kind == "other",
        f"another architecture, {' and '.join(strange)}": bool(strange),
        "other weights than the published ones": not weights.is_published,
        f"{counted(failed, 'image')} failed": failed > 0,
        f"n={run.n_images} is too few for an interval": run.relation.sampling != 0 and run.n_images < MIN_IMAGES,
    }
    return next((Verdict(NOT_COMPARABLE, reason) for reason, holds in reasons.items() if holds), None)


@functools.lru_cache(maxsize=32)
def _architecture(file: str) -> str:
    """The architecture of a checkpoint."""
    from uqdm.transform.checkpoint import load  # torch takes seconds to import

    try:
        return load(Path(file)).transforms.architecture
    except CheckpointError:
        return "unknown: the file cannot be read any more"


def _measured_rows(
    run: Run, names: tuple[str, str], places: Sequence[Place], verdict: Verdict
) -> Iterator[dict[str, Any]]:
    """The rows of points without a published one: system and label, and a verdict for what was measured."""
    system, label = names
    for number, place in enumerate(places):
        measured, lacking = find_row(run.summary, place)
        for quantity in PUBLISHED:
            row = {"system": system, "model": label, "point": number, "setting": place.label, "codec": HYPERPRIOR}
            row |= {"quantity": quantity, "unit": QUANTITIES[quantity][1], "rate_kind": "file"}
            if measured is None:
                yield {**row, **_unknown(math.nan, Verdict(NOT_RUN, lacking))}
                continue
            estimate, absent = fid_of(run, measured) if quantity == "fid" else (mean_of(measured, quantity), None)
            row["codec_version"] = measured["codec_version"]
            yield {**row, **compared(estimate, math.nan, _NOWHERE, absent or verdict)}
