"""Chooses what a grid shows: images, rates, the pictures of each column, and metrics."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uqdm.bench.analysis.curves import curves, variant_names, variants
from uqdm.bench.analysis.equal_rate import is_equal_rate
from uqdm.bench.metrics import Metric, all_metrics, check_names
from uqdm.bench.schema import STATUS_OK
from uqdm.registry import suggest

if TYPE_CHECKING:
    import pandas as pd

N_IMAGES = 3
N_METRICS = 4
"""Images, and metrics under a picture, where none are named."""
N_RATES = 2
_APART = 3.0  # least ratio of the rates that are chosen
_FIRST_METRICS = ("psnr_db", "lpips", "dists", "ssimulacra2", "ms_ssim", "ssim")


@dataclass(frozen=True)
class Column:
    """A codec, label or curve of the run: its name, its codec's, and the rows of its pictures."""

    name: str
    codec: str
    rows: pd.DataFrame


def chosen_images(rows: pd.DataFrame, asked: Sequence[str] | None, count: int = N_IMAGES) -> list[int]:
    """Indices of the images that are asked for by id or index; by default ``count`` of low to high PSNR.

    Images are sorted by the mean PSNR of their pictures and cut into equal parts, and the middle one of each part is
    taken. Images that lack pictures are used only if all do. Raises ValueError, with suggestions, for an unknown image.
    """
    if asked is not None:
        return list(dict.fromkeys(_index_of(rows, text) for text in asked))
    n_pictures = rows.groupby("image_index").size()
    complete = n_pictures.index[n_pictures == n_pictures.max()]
    lossy = rows[np.isfinite(rows.psnr_db) & rows.image_index.isin(complete)]
    mean_db = lossy.groupby("image_index")["psnr_db"].mean().sort_values(kind="stable")
    ordered = mean_db.index.to_numpy(int) if len(mean_db) else complete.to_numpy(int)
    return [int(part[len(part) // 2]) for part in np.array_split(ordered, min(count, len(ordered)))]


def _index_of(rows: pd.DataFrame, text: str) -> int:
    """The image of an id or index; a text that is both is an id."""
    by_id = rows.image_index[rows.image_id == text]
    if len(by_id):
        return int(by_id.iloc[0])
    known = rows.image_index.unique()
    if text.isdecimal() and int(text) in known:
        return int(text)
    ids = list(rows.image_id.unique())
    raise ValueError(
        f"images={text!r}: the run has no picture of such an image{suggest(text, ids)}; give an id, such as "
        f"{ids[0]!r}, or an index from {min(known)} to {max(known)}"
    )


def all_columns(rows: pd.DataFrame, summary: pd.DataFrame) -> list[Column]:
    """A column for each codec, or for each label, model or program of it, in the order of the report's curves."""
    ok = summary[summary.status == STATUS_OK]
    ok = ok.assign(variant=variants(ok))
    names = variant_names(ok)
    ordered = dict.fromkeys([*(curve.variant for curve in curves(ok)), *sorted(names)])
    found = []
    for variant in ordered:
        of_variant = ok[ok.variant == variant]
        found.append(Column(names[variant], variant.codec, _of(rows, ["codec", "setting"], of_variant)))
    return found


def named_columns(rows: pd.DataFrame, summary: pd.DataFrame, asked: Iterable[str]) -> list[Column]:
    """The columns of codecs, labels and curves, in that order; a codec with several models has a column for each.

    Raises ValueError, with suggestions, for a name that the run does not have.
    """
    known = all_columns(rows, summary)
    of_codecs = {str(codec): [column for column in known if column.codec == codec] for codec in rows.codec.unique()}
    by_name = of_codecs | {column.name: [column] for column in known}
    for curve in curves(summary[summary.status == STATUS_OK]):
        keys = ["codec", "setting", "point", "reconstruction"]
        by_name.setdefault(curve.label, [Column(curve.label, curve.codec, _of(rows, keys, curve.points))])
    found: dict[str, Column] = {}
    for name in asked:
        if name not in by_name:
            raise ValueError(f"codec={name!r}: not in this run{suggest(name, by_name)}; it has: {', '.join(by_name)}")
        found |= {column.name: column for column in by_name[name]}
    return list(found.values())


def _of(rows: pd.DataFrame, keys: list[str], wanted: pd.DataFrame) -> pd.DataFrame:
    """The rows with the values that some row of ``wanted`` has in the columns ``keys``."""
    pairs = set(zip(*(wanted[key] for key in keys), strict=True))
    return rows[[pair in pairs for pair in zip(*(rows[key] for key in keys), strict=True)]]


def chosen_rates(columns: Sequence[Column], image_index: int, tolerance: float) -> list[float]:
    """Two rates of one image, bits per pixel, at which most columns have a picture that is not exact.

    They are measured rates, rounded, and the second is at least three times the first. The pair with the greatest
    product of both numbers of columns is taken, of equally good ones that in the middle. One rate only, or none, if the
    rates of the pictures are too close together, or all are exact.
    """
    known = [_lossy_rates(column.rows[column.rows.image_index == image_index]) for column in columns]
    candidates = sorted({float(f"{rate:.3g}") for rates in known for rate in rates})
    counts = {rate: sum(_has(rates, rate, tolerance) for rates in known) for rate in candidates}
    pairs = [pair for pair in itertools.combinations(candidates, N_RATES) if pair[1] >= _APART * pair[0]]
    choices: list[tuple[float, ...]] = [*pairs] or [(rate,) for rate in candidates]
    totals = [math.prod(counts[rate] for rate in rates) for rates in choices]
    best = [rates for rates, total in zip(choices, totals, strict=True) if total == max(totals)]
    return list(best[len(best) // 2]) if best else []


def _lossy_rates(rows: pd.DataFrame) -> np.ndarray:
    """The rates of the pictures that hold bits of the image, and are not exact."""
    rates: np.ndarray = rows.rate_bpp[(rows.mse > 0) & (rows.rate_bpp > 0) & (rows.ideal_bits != 0)].to_numpy()
    return rates


def _has(rates: np.ndarray, wanted: float, tolerance: float) -> bool:
    return any(is_equal_rate(wanted, rate, tolerance) for rate in rates)


def chosen_metrics(rows: pd.DataFrame, asked: Collection[str] | None) -> list[Metric]:
    """The metrics under the pictures: those that are asked for, or PSNR and up to three that the run has.

    Raises ValueError for an unknown one, one of whole sets, and one that no picture of the run has.
    """
    known = {metric.name: metric for metric in all_metrics()}
    if asked is None:
        ordered = [*_FIRST_METRICS, *sorted(known.keys() - {*_FIRST_METRICS, "mse"})]
        return [known[name] for name in ordered if name in known and rows[name].notna().any()][:N_METRICS]
    check_names(asked)
    for name in asked:
        if name not in known:
            raise ValueError(f"metric={name!r}: it is computed on sets of pictures, and has no value for a single one")
        if not rows[name].notna().any():
            raise ValueError(f"metric={name!r}: no picture of this run has it; compute it with: uqdm bench score")
    return [known[name] for name in dict.fromkeys(asked)]
