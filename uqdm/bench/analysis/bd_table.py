"""The table of Bjøntegaard deltas of a run: every curve against an anchor, for every metric with data.

Intervals are bootstrap intervals over images (see :mod:`uqdm.bench.analysis.bootstrap`): both curves are computed again
from the same resample. A set metric has no value for an image, so its deltas have no interval.

Beside the BD-rate of a set are those of its images (:mod:`uqdm.bench.analysis.bd_of_images`), and what it is without
each of them (:mod:`uqdm.bench.analysis.influence`).

Points that are no choice of rate or no measure of quality are left out of both curves: those that hold no bits of the
image (:func:`uqdm.bench.run.rates.is_empty`), and of set metrics those within the noise
(:mod:`uqdm.bench.analysis.noise_floor`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from uqdm.bench.analysis import bootstrap
from uqdm.bench.analysis.bd_of_images import RateRatios, image_bd_rates, log_rate_ratios, rate_ratios
from uqdm.bench.analysis.bjontegaard import (
    METHOD,
    MIN_POINTS,
    Delta,
    Points,
    bd_qualities,
    bd_quality,
    bd_rate,
    bd_rates,
)
from uqdm.bench.analysis.csv_cells import write_table
from uqdm.bench.analysis.curves import Curve, curves
from uqdm.bench.analysis.image_values import PICTURE, CurveValues, ImageValues
from uqdm.bench.analysis.influence import influence
from uqdm.bench.analysis.noise_floor import NoiseFloor
from uqdm.bench.analysis.options import ANCHORS
from uqdm.bench.metrics import Metric, SetMetric, all_metrics, declared, size_columns
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.layout import bd_of_images_path, bd_path
from uqdm.bench.run.rates import image_rates
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.schema import BD, BD_OF_IMAGES, RATE_RATIO_SHARES, STATUS_OK
from uqdm.files import replacing
from uqdm.registry import suggest
from uqdm.text import counted


class BdTables(NamedTuple):
    """The columns of ``BD``, a row for each curve and metric, and of ``BD_OF_IMAGES``, a row for each of its images."""

    curves: pd.DataFrame
    images: pd.DataFrame


def make_bd_table(run_dir: Path, anchor: str | None = None) -> pd.DataFrame:
    """The deltas of the curves alone, of :func:`make_bd_tables`."""
    return make_bd_tables(run_dir, anchor).curves


def make_bd_tables(run_dir: Path, anchor: str | None = None) -> BdTables:
    """The tables of a summarized run (see :func:`bd_tables`); nothing is written."""
    summary = read_summary(run_dir)
    metrics = [metric.name for metric in all_metrics()]
    rates = ["bpp", "rate_kind", "ideal_bits", "height", "width"]
    rows = read_rows(run_dir, ["dataset", "image_index", "image_id", "status", *rates, *PICTURE, *metrics])
    return bd_tables(summary, rows, anchor)


def write_bd_table(table: pd.DataFrame, path: Path) -> None:
    """Writes the deltas of the curves as CSV."""
    _write(table, BD, path)


def write_bd_of_images(table: pd.DataFrame, path: Path) -> None:
    """Writes the deltas of the images as CSV."""
    _write(table, BD_OF_IMAGES, path)


def save_bd_tables(tables: BdTables, run_dir: Path) -> None:
    """Writes both tables of a run into its folder."""
    write_bd_of_images(tables.images, bd_of_images_path(run_dir))
    write_bd_table(tables.curves, bd_path(run_dir))


def _write(table: pd.DataFrame, schema: pa.Schema, path: Path) -> None:
    with replacing(path) as temporary:
        write_table(pa.Table.from_pandas(table, schema, preserve_index=False), temporary)


def bd_table(summary: pd.DataFrame, rows: pd.DataFrame, anchor: str | None = None) -> pd.DataFrame:
    """The deltas of the curves alone, of :func:`bd_tables`."""
    return bd_tables(summary, rows, anchor).curves


def bd_tables(summary: pd.DataFrame, rows: pd.DataFrame, anchor: str | None = None) -> BdTables:
    """The deltas of every curve of a summary but the anchor's, with intervals from its rows, and of its images.

    ``anchor`` is the label of a curve, or the name of a codec (its first curve, where it has several); None is one of
    :data:`~uqdm.bench.analysis.options.ANCHORS`, or where none has a curve the first label with enough points, of files
    if there are any. Ideal rates count as they are, under labels that say so. Raises
    :class:`~uqdm.bench.run.errors.ResultsError` for a name that is not in the summary.
    """
    lines: list[dict[str, Any]] = []
    images: list[pd.DataFrame] = []
    for name, data in summary.groupby("dataset"):
        drawn = curves(data)
        base = find_anchor(data, drawn, anchor)
        others = [curve for curve in drawn if curve is not base]
        ok = rows[(rows.dataset == name) & (rows.status == STATUS_OK)]
        ok = ok.assign(rate_bpp=image_rates(ok))
        for metric in [metric for metric in declared() if _has_data(data, metric.name)]:
            if base is None:
                lines += [_without_anchor(metric, curve, anchor or ANCHORS[0]) for curve in others]
            elif isinstance(metric, Metric):
                found = _by_images(metric, base, others, ImageValues(ok, metric.name))
                lines += [line for line, _ in found]
                images += [table for _, table in found]
            else:
                floor = NoiseFloor.of(metric, data)
                lines += [_by_sets(metric, floor, base, curve) for curve in others]
    nothing = pd.DataFrame(columns=BD_OF_IMAGES.names)
    return BdTables(pd.DataFrame(lines, columns=BD.names), pd.concat(images, ignore_index=True) if images else nothing)


def find_anchor(summary: pd.DataFrame, drawn: Sequence[Curve], anchor: str | None) -> Curve | None:
    """The anchor among the curves of a summary, as :func:`bd_table` chooses it; None if its codec has no curve."""
    for wanted in (anchor,) if anchor else ANCHORS:
        for named in ([c for c in drawn if c.label == wanted], [c for c in drawn if c.codec == wanted]):
            if named:
                return named[0]
    if anchor is None:
        drawn = [curve for curve in drawn if not curve.ideal] or drawn
        enough = [curve for curve in drawn if len(curve.points_with_bits) >= MIN_POINTS]
        return min(enough or drawn, key=lambda curve: curve.label, default=None)
    known = sorted({*(curve.label for curve in drawn), *summary.codec})
    if anchor not in known:
        raise ResultsError(f"no anchor {anchor!r} in this run{suggest(anchor, known)}; it has: {', '.join(known)}")
    return None


def _has_data(summary: pd.DataFrame, name: str) -> bool:
    return name in summary.columns and bool(np.isfinite(summary[name].astype(float)).any())


def _names(metric: Metric | SetMetric, curve: Curve, anchor: str) -> dict[str, Any]:
    """The columns that identify a row."""
    first = curve.points.iloc[0]
    return {
        "dataset": first.dataset,
        "fingerprint": first.fingerprint,
        "metric": metric.name,
        "direction": metric.direction,
        "anchor": anchor,
        "codec": curve.codec,
        "curve": curve.label,
        "method": METHOD,
    }


def _without_anchor(metric: Metric | SetMetric, curve: Curve, anchor: str) -> dict[str, Any]:
    reason = f"{anchor} has no curve in this run: it was skipped, failed, or is exact at every point"
    return {**_names(metric, curve, anchor), "reason": reason}


# ---- metrics of single pictures: from the rows ---------------------------------------------------------------


@dataclass(frozen=True)
class _Means:
    """Means over images, and over the images of each resample [R, K], by column."""

    at: dict[int, int]
    bpp: np.ndarray
    quality: np.ndarray

    def of(self, curve: Curve, columns: Sequence[int]) -> _Side:
        """A curve's points, which are some of the columns."""
        places = [self.at[column] for column in columns]
        return _Side(curve.label, self.bpp[:, places], self.quality[:, places], _empty_points(curve))


@dataclass(frozen=True)
class _Side:
    """One of two curves: rates and values [1 + R, K], of all images in the first row, then of each resample.

    ``left_out`` says which of its points are not among them.
    """

    label: str
    bpp: np.ndarray
    quality: np.ndarray
    left_out: str = ""

    @property
    def usable_places(self) -> np.ndarray:
        """The places of the points that have a value over all images, in order of their rate over all images."""
        kept = np.flatnonzero(np.isfinite(self.quality[0]))
        return kept[np.argsort(self.bpp[0, kept], kind="stable")]

    def usable(self) -> _Side:
        """These points."""
        order = self.usable_places
        return replace(self, bpp=self.bpp[:, order], quality=self.quality[:, order])

    def points(self) -> Points:
        """The points over all images."""
        return Points(self.bpp[0], self.quality[0], self.label, left_out=self.left_out)


def _empty_points(curve: Curve) -> str:
    empty = len(curve.points) - len(curve.points_with_bits)
    return f"{counted(empty, 'point')} without bits of the image left out" if empty else ""


def _by_images(
    metric: Metric, base: Curve, others: Sequence[Curve], values: ImageValues
) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Deltas of all curves and of their images. Curves that share images with the anchor share its resamples."""
    anchor_columns = values.columns(base)
    groups: dict[bytes, list[tuple[Curve, list[int]]]] = {}
    for curve in others:
        columns = values.columns(curve)
        common = np.isfinite(values.bpp[:, [*anchor_columns, *columns]]).all(axis=1)
        groups.setdefault(common.tobytes(), []).append((curve, columns))
    found = {}
    for key, group in groups.items():
        common = np.frombuffer(key, bool)
        means = _means(values, common, sorted({*anchor_columns, *(column for _, found in group for column in found)}))
        ids = values.images[common]
        details: list[_OfImages] = []
        for curve, columns in group:
            sides = means.of(base, anchor_columns), means.of(curve, columns)
            figures = {**_names(metric, curve, base.label), **_figures(metric, *sides), "n": int(common.sum())}
            pairs = zip(sides, (anchor_columns, columns), strict=True)
            both = [values.of(common, [of_side[place] for place in side.usable_places]) for side, of_side in pairs]
            details.append(_of_images(metric, figures, both[0], both[1], ids))
        ratios = rate_ratios(np.concatenate([one.log_ratios for one in details], axis=1))
        for (curve, _), one, place in zip(
            group, details, range(0, len(ratios.ratio), len(RATE_RATIO_SHARES)), strict=True
        ):
            of_curve = RateRatios(*(values[place : place + len(RATE_RATIO_SHARES)] for values in ratios))
            found[curve.label] = {**one.figures, **_ratio_figures(of_curve)}, one.table
    return [found[curve.label] for curve in others]


class _OfImages(NamedTuple):
    """The figures of a curve, with those from its single images, the logarithms of its rate ratios, and its images."""

    figures: dict[str, Any]
    log_ratios: np.ndarray
    table: pd.DataFrame


def _of_images(
    metric: Metric, figures: dict[str, Any], anchor: CurveValues, curve: CurveValues, ids: pd.Series
) -> _OfImages:
    """``anchor`` and ``curve`` have the points of the set's curves, in their order; ``ids`` are names by index."""
    single = image_bd_rates(anchor, curve, metric.direction)
    moved = influence(anchor, curve, figures["bd_rate_percent"], metric.direction)
    known = single.percent[np.isfinite(single.percent)]
    quartiles = np.quantile(known, [0.25, 0.5, 0.75]) if known.size else np.full(3, np.nan)
    more: dict[str, Any] = dict(
        zip(("image_bd_rate_q1", "image_bd_rate_median", "image_bd_rate_q3"), quartiles, strict=True)
    )
    more["image_bd_rate_n"] = int(known.size)
    place = moved.largest
    if place is not None and len(ids) > 1:
        more["influential_image"] = str(ids.iloc[place])
        more["bd_rate_without"] = float(moved.without_percent[place])
        more["influence_share"] = float(moved.shares[place])
        more["warning"] = moved.warning(figures["bd_rate_low"], figures["bd_rate_high"], list(map(str, ids)))
    low, high = figures["overlap_low"], figures["overlap_high"]
    levels = [low + share / 100 * (high - low) for share in RATE_RATIO_SHARES]
    named = {name: figures[name] for name in ("dataset", "metric", "anchor", "curve")}
    table = pd.DataFrame(
        {
            **named,
            "image_index": ids.index,
            "image_id": ids.to_numpy(),
            "bd_rate_percent": single.percent,
            "bd_rate_without": moved.without_percent,
            "reason": single.reasons,
        }
    )
    return _OfImages({**figures, **more}, log_rate_ratios(anchor, curve, levels, metric.direction), table)


def _ratio_figures(ratios: RateRatios) -> dict[str, Any]:
    """The ratios at each of ``RATE_RATIO_SHARES`` by the names of ``BD``."""
    found: dict[str, Any] = {}
    for share, ratio, low, high, n in zip(RATE_RATIO_SHARES, *ratios, strict=True):
        name = f"rate_ratio_{share}"
        found |= {name: ratio, f"{name}_low": low, f"{name}_high": high, f"{name}_n": int(n)}
    return found


def _means(values: ImageValues, common: np.ndarray, columns: Sequence[int]) -> _Means:
    both = np.concatenate([values.bpp[common][:, columns], values.quality[common][:, columns]], axis=1)
    means = bootstrap.column_means(both)
    resampled = bootstrap.resampled_means(both) if len(both) > 1 else np.empty((0, both.shape[1]))
    rates, quality = np.split(np.concatenate([means[None], resampled]), 2, axis=1)
    return _Means({column: place for place, column in enumerate(columns)}, rates, quality)


def _figures(metric: Metric | SetMetric, anchor: _Side, curve: _Side) -> dict[str, Any]:
    """Deltas with intervals and spreads."""
    anchor, curve = anchor.usable(), curve.usable()
    pair = anchor.points(), curve.points()
    resampled = [values[1:] for values in (anchor.bpp, anchor.quality, curve.bpp, curve.quality)]
    rate, quality = bd_rate(*pair, metric.direction), bd_quality(*pair)
    rates = np.empty(0) if rate.reason else bd_rates(*resampled, direction=metric.direction)
    qualities = np.empty(0) if quality.reason else bd_qualities(*resampled)
    rate_ends, quality_ends = (
        bootstrap.defined_interval(rate.value, rates),
        bootstrap.defined_interval(quality.value, qualities),
    )
    reasons = {
        "BD-rate": rate.reason,
        "BD-quality": quality.reason,
        "interval of BD-rate": rate_ends[2],
        "interval of BD-quality": quality_ends[2],
    }
    return {
        **dict(zip(("bd_rate_percent", "bd_rate_low", "bd_rate_high"), (rate.value, *rate_ends), strict=False)),
        **dict(zip(("bd_quality", "bd_quality_low", "bd_quality_high"), (quality.value, *quality_ends), strict=False)),
        **_spread(rate, "bd_rate"),
        **_spread(quality, "bd_quality"),
        **_overlap(rate, ""),
        **_overlap(quality, "rate_"),
        "points": len(pair[1].quality),
        "anchor_points": len(pair[0].quality),
        "reason": _joined(reasons),
        "note": _note(rate, quality),
    }


def _spread(delta: Delta, name: str) -> dict[str, float]:
    return dict(zip((f"{name}_spread_low", f"{name}_spread_high"), delta.spread, strict=True))


def _note(rate: Delta, quality: Delta) -> str | None:
    """Which figures depend on the interpolation, and how far; None if none does."""
    texts = []
    if rate.is_uncertain:
        texts.append("BD-rate {:+.1f} to {:+.1f} %".format(*rate.spread))
    if quality.is_uncertain:
        texts.append("BD-quality {:+.3g} to {:+.3g}".format(*quality.spread))
    return f"depends on the interpolation: {', '.join(texts)}" if texts else None


def _overlap(delta: Delta, prefix: str) -> dict[str, float]:
    return {
        f"{prefix}overlap_low": delta.low,
        f"{prefix}overlap_high": delta.high,
        f"{prefix}overlap_share": delta.share,
        f"anchor_{prefix}overlap_share": delta.anchor_share,
    }


def _joined(reasons: dict[str, str | None]) -> str | None:
    """The reasons as one text, each after the delta that it concerns; without a name if it concerns both."""
    rate, quality = reasons["BD-rate"], reasons["BD-quality"]
    if rate is not None and rate == quality:
        return rate
    return "; ".join(f"{what}: {reason}" for what, reason in reasons.items() if reason) or None


# ---- metrics of sets: from the summary -----------------------------------------------------------------------


def _by_sets(metric: SetMetric, floor: NoiseFloor, base: Curve, curve: Curve) -> dict[str, Any]:
    """Deltas of a set metric: no interval, and no delta if the sets differ in size."""
    names = {**_names(metric, curve, base.label), "noise_floor": floor.value}
    both = [one.points_with_bits for one in (base, curve)]
    both = [points[np.isfinite(points[metric.name].astype(float))] for points in both]
    sizes = pd.concat([_sizes(metric, one) for one in both]).unique()
    if len(sizes) > 1:
        listed = " and ".join(f"{size:g}" for size in sorted(sizes))
        return {**names, "reason": f"{metric.label} of {listed} {metric.items}: such figures are not comparable"}
    sides = [_above(floor, metric, *pair) for pair in zip((base, curve), both, strict=True)]
    return {**names, **_figures(metric, *sides), "n": int(sizes[0]) if len(sizes) else None}


def _above(floor: NoiseFloor, metric: SetMetric, curve: Curve, points: pd.DataFrame) -> _Side:
    """The points of a curve that are worse than the noise floor."""
    values = points[metric.name].to_numpy(float)
    kept = floor.worse(values)
    noisy = len(points) - int(kept.sum())
    left_out = [_empty_points(curve)]
    if noisy:
        left_out.append(f"{counted(noisy, 'point')} within the noise floor of {floor.value:.4g} left out")
    side = points.rate_bpp.to_numpy(float)[None, kept], values[None, kept]
    return _Side(curve.label, *side, "; ".join(filter(None, left_out)))


def _sizes(metric: SetMetric, points: pd.DataFrame) -> pd.Series:
    """The number of items of each point that a metric was computed on; older runs have the number of images alone."""
    known = [name for name in size_columns(metric) if name in points and points[name].notna().all()]
    return points[[*known, "n"][0]]
