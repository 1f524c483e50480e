"""Where BD-rates come from: those of single images as strips, and the influence of one image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.bd_of_images import ENDS
from uqdm.bench.analysis.short_table import NONE
from uqdm.bench.metrics import declared
from uqdm.bench.report.bd import KEYS, comment_of, number_cell, read_bd, read_csv
from uqdm.bench.report.bd_worst import PICTURED, WorstImages, worst_images
from uqdm.bench.report.pictures import PicturePool
from uqdm.bench.report.results_table import Cell, Heading, Table
from uqdm.bench.run.layout import bd_of_images_path
from uqdm.bench.run.pictures import OpenRun
from uqdm.bench.run.tables import records
from uqdm.bench.schema import BD_OF_IMAGES, RATE_RATIO_SHARES

if TYPE_CHECKING:
    import pandas as pd

MOST_DOTS = 60
"""Images of a strip; of more, only those at its ends are drawn."""
_WIDTH = 220
_HEIGHT = 26


@dataclass(frozen=True)
class Warned:
    """A warning that one image carries a result, and the keys by which the page hides it."""

    text: str
    keys: Mapping[str, str]


@dataclass(frozen=True)
class ImageDeltas:
    """The part of the page on single images."""

    table: Table
    warnings: list[Warned]
    worst: list[WorstImages]


def image_deltas(
    run_dir: Path, open_run: OpenRun, summary: pd.DataFrame, pool: PicturePool, titles: Mapping[tuple[str, str], str]
) -> ImageDeltas | None:
    """The figures of single images in ``bd.csv`` and ``bd_per_image.csv``; None where the run has none.

    ``titles`` are those of curves by data set and label. Raises :class:`~uqdm.bench.run.errors.ResultsError` where a
    file has other columns.
    """
    path, found = bd_of_images_path(run_dir), read_bd(run_dir)
    if found is None or not path.is_file():
        return None
    images = read_csv(path, BD_OF_IMAGES)
    rows = [row for row in records(found) if row["image_bd_rate_n"] > 0]
    if not rows:
        return None
    groups = dict(list(images.groupby(["dataset", "metric", "anchor", "curve"])))
    several = found.dataset.nunique() > 1
    labels = {metric.name: metric.label for metric in declared()}
    ranges = {key: _range(part) for key, part in images.groupby(["dataset", "metric", "anchor"])}
    cells = []
    for row in rows:
        key = (row["dataset"], row["metric"], row["anchor"])
        title = titles.get((row["dataset"], row["curve"]), row["curve"])
        named = [Cell(text, text) for text in (title, labels.get(row["metric"], row["metric"]), row["anchor"])]
        of_dataset = [Cell(row["dataset"], row["dataset"])] if several else []
        percent = groups[*key, row["curve"]].bd_rate_percent.dropna().to_numpy(float)
        cells.append([*of_dataset, *named, *_figures(row, percent, ranges[key])])
    return ImageDeltas(
        Table(_headings(several), cells, [{name: row[name] for name in KEYS} for row in rows]),
        [_warned(row, titles, several) for row in rows if row["warning"]],
        worst_images(open_run, summary, pool, [row for row in rows if row["metric"] == PICTURED], groups, titles),
    )


def _headings(several: bool) -> list[Heading]:
    return [
        *([Heading("data set")] if several else []),
        Heading("curve", "codec, kind of reconstruction where it has several, and settings"),
        Heading("metric", "the quality"),
        Heading("anchor", "the curve that it is compared with"),
        Heading("BD-rates of images", "a dot is an image, a box the quartiles, the diamond the BD-rate of the set"),
        Heading("images", "images with a BD-rate of their own, of all; the others have a reason in bd_per_image.csv"),
        Heading("median, %", "median and quartiles of the BD-rates of single images", numeric=True),
        Heading("most influential image", comment_of("influential_image")),
        Heading("without it, %", comment_of("bd_rate_without"), numeric=True),
        Heading("share of variance", comment_of("influence_share"), numeric=True),
        *(
            Heading(f"rate ratio at {share} %", comment_of(f"rate_ratio_{share}"), numeric=True)
            for share in RATE_RATIO_SHARES
        ),
    ]


def _figures(row: Mapping[str, Any], percent: np.ndarray, interval: tuple[float, float]) -> list[Cell]:
    quartiles = {"median_low": row["image_bd_rate_q1"], "median_high": row["image_bd_rate_q3"]}
    counts = f"{row['image_bd_rate_n']:,.0f} of {row['n']:,.0f}"
    ends = f"{percent.min():+.1f} to {percent.max():+.1f} %"
    image, share = row["influential_image"] or NONE, row["influence_share"]
    return [
        Cell(f"BD-rates of images from {ends}", float(np.median(percent)), ends, svg=strip(row, percent, interval)),
        Cell(counts, row["image_bd_rate_n"]),
        number_cell({**row, **quartiles}, "image_bd_rate_median", "median", "+.1f"),
        Cell(image, image),
        Cell(_percent(row["bd_rate_without"]), row["bd_rate_without"]),
        Cell(NONE if math.isnan(share) else f"{100 * share:.0f} %", share),
        *(_ratio(row, f"rate_ratio_{share}") for share in RATE_RATIO_SHARES),
    ]


def _percent(value: float) -> str:
    return f"{value:+.1f}" if math.isfinite(value) else NONE


def _ratio(row: Mapping[str, Any], name: str) -> Cell:
    if math.isnan(row[name]):
        return Cell(NONE, math.nan)
    ends = [row[f"{name}_{end}"] for end in ("low", "high")]
    interval = "" if any(map(math.isnan, ends)) else f"{ends[0]:.3f} to {ends[1]:.3f}; "
    return Cell(f"{row[name]:.3f}", row[name], f"{interval}n={row[f'{name}_n']:.0f}")


def _range(images: pd.DataFrame) -> tuple[float, float]:
    """The interval that all strips of one metric and anchor show, in log rate; it includes 0."""
    logs = _log_rate(images.bd_rate_percent.dropna().to_numpy(float))
    return min(0.0, *logs), max(0.0, *logs)


def _log_rate(percent: np.ndarray | float) -> np.ndarray:
    """BD-rates as logarithms of ratios: twice and half the rate are equally far from none."""
    return np.log1p(np.maximum(np.asarray(percent, float), -99.99) / 100)


def strip(row: Mapping[str, Any], percent: np.ndarray, interval: tuple[float, float]) -> str:
    """The BD-rates of images on a line, in log rate, as SVG: box, median, images, and the set's own as a diamond."""
    low, high = interval
    width = high - low or 1.0

    def at(value: np.ndarray | float) -> Any:
        return np.round(4 + (_WIDTH - 8) * (_log_rate(value) - low) / width, 1)

    middle = _HEIGHT / 2
    q1, median, q3 = (float(at(row[f"image_bd_rate_{name}"])) for name in ("q1", "median", "q3"))
    ranked = np.sort(percent)
    dots = ranked if len(ranked) <= MOST_DOTS else np.concatenate([ranked[:ENDS], ranked[-ENDS:]])
    parts = [
        f'<line class="zero" x1="{at(0.0)}" x2="{at(0.0)}" y1="0" y2="{_HEIGHT}"/>',
        f'<rect class="box" x="{q1}" y="4" width="{max(q3 - q1, 0.5):.1f}" height="{_HEIGHT - 8}"/>',
        f'<line class="middle" x1="{median}" x2="{median}" y1="4" y2="{_HEIGHT - 4}"/>',
        *(f'<circle class="image" cx="{x}" cy="{middle:g}" r="2.5"/>' for x in at(dots)),
    ]
    if math.isfinite(row["bd_rate_percent"]) and low <= _log_rate(row["bd_rate_percent"]) <= high:
        x = float(at(row["bd_rate_percent"]))
        parts.append(f'<path class="set" d="M{x} {middle - 5:g}l4 5l-4 5l-4 -5z"/>')
    label = f"BD-rates of {len(percent)} images, median {np.median(percent):+.1f} %"
    shape = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg class="strip" role="img" aria-label="{label}" {shape}>{"".join(parts)}</svg>'


def _warned(row: Mapping[str, Any], titles: Mapping[tuple[str, str], str], several: bool) -> Warned:
    where = f" on {row['dataset']}" if several else ""
    title = titles.get((row["dataset"], row["curve"]), row["curve"])
    return Warned(f"{title}{where}: {row['warning']}.", {name: row[name] for name in KEYS})
