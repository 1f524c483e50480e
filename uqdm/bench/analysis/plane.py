"""The distortion-perception plane of a run: what realistic pictures cost in squared error.

The theory (docs/theory.md) says: a picture that is drawn from all images that the bytes may stand for has exactly twice
the least squared error, and perfect realism needs at most that. Two tables hold a run against it:

- ``stream``: each realistic picture of a point against the faithful picture of the same bits, image by image;
- ``rate``: each realistic picture against the faithful end of another curve at the same mean rate.

Both have intervals from resamples of images, drawn jointly for all pictures, and a verdict. Pictures are uint8:
clipping and rounding move the ratio, and rounding alone lowers it to (2 m + 1/12) / (2 m + 1/6) at a squared error m.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from uqdm.bench.analysis import bootstrap
from uqdm.bench.analysis.bd_table import find_anchor
from uqdm.bench.analysis.csv_cells import write_table
from uqdm.bench.analysis.curves import Curve, curves
from uqdm.bench.analysis.image_values import PICTURE, ImageValues
from uqdm.bench.analysis.options import FAITHFUL, REALISTIC
from uqdm.bench.analysis.paired import paired_figures
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.rates import image_rates
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.run.tables import records
from uqdm.bench.schema import PLANE, RATE_FILE, STATUS_OK
from uqdm.files import replacing
from uqdm.interpolate import lambda_of
from uqdm.registry import suggest

if TYPE_CHECKING:
    import pandas as pd

HOLDS, FAILS, CANNOT_TELL = "holds", "fails", "cannot be told"
STREAM, RATE = "stream", "rate"
SUFFIXES = (".csv", ".json")
"""Kinds of files that :func:`write_plane` writes."""

EXACT = "the faithful pictures are exact"
NOTHING_DRAWN = "both pictures have the same error on every image: nothing is left to draw"
FEW = "fewer than two images: no interval"
OUTSIDE = "the curve does not reach this rate"

_COLUMNS = ["dataset", "fingerprint", "image_index", "image_id", "status", "point_index", *PICTURE]
_COLUMNS += ["mse", "bpp", "rate_kind", "ideal_bits", "height", "width"]
_DECODED = "decoded"
"""The only reconstruction of most codecs, which is meant to be faithful."""


def make_plane(
    run_dir: Path,
    faithful: Sequence[str] | None = None,
    realistic: Sequence[str] | None = None,
    against: str | None = None,
) -> pd.DataFrame:
    """The table of a scored run, with the columns of ``PLANE``.

    Args:
        run_dir: the run's folder; with ``against``, of a summarized run.
        faithful: names of reconstructions of least squared error; the first that a point has is its own. None is
            :data:`~uqdm.bench.analysis.options.FAITHFUL`.
        realistic: names of realistic reconstructions; gains are over the first that a point has. None is
            :data:`~uqdm.bench.analysis.options.REALISTIC`.
        against: the label of a faithful curve, or the name of a codec with one: adds the table at equal rates.

    Raises :class:`~uqdm.bench.run.errors.ResultsError` for names that the run does not have, or if no point has both
    kinds of pictures.
    """
    rows = read_rows(run_dir, _COLUMNS)
    return plane_table(rows, faithful, realistic, against, read_summary(run_dir) if against else None)


def plane_table(
    rows: pd.DataFrame,
    faithful: Sequence[str] | None = None,
    realistic: Sequence[str] | None = None,
    against: str | None = None,
    summary: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The table from rows, and with ``against`` the summary of the same run; see :func:`make_plane`."""
    import pandas as pd

    ok = rows[(rows.status == STATUS_OK) & rows.mse.notna()]
    _check_names(ok, [*(faithful or ()), *(realistic or ())])
    ends = tuple(faithful or FAITHFUL), tuple(realistic or REALISTIC)
    lines: list[dict[str, Any]] = []
    for dataset, data in ok.groupby("dataset", sort=False):
        values = ImageValues(data.assign(rate_bpp=image_rates(data)), "mse")
        points = [point for point in _points(data, *ends) if point.realistic or point.between]
        for point in points:
            lines += _of_stream(point, values)
        if against is not None and summary is not None:
            curve = _faithful_curve(summary[summary.dataset == dataset], ends[0], against)
            for point in points:
                lines += _at_equal_rate(point, values, curve)
    if not lines:
        found = ", ".join(sorted(ok.reconstruction.unique()))
        raise ResultsError(
            f"no point has both a faithful picture ({', '.join(ends[0])}) and a realistic one ({', '.join(ends[1])}); "
            f"the run has: {found or 'none'}; name those of a codec with --faithful and --realistic"
        )
    return pd.DataFrame(lines, columns=PLANE.names)


def write_plane(table: pd.DataFrame, path: Path) -> None:
    """Writes the table as CSV, or as JSON: a list with an object for each row; the name's suffix decides."""
    arrow = pa.Table.from_pandas(table, PLANE, preserve_index=False)
    with replacing(path) as temporary:
        if path.suffix.lower() == ".json":
            temporary.write_text(json.dumps(arrow.to_pylist(), indent=1, allow_nan=False) + "\n")
        else:
            write_table(arrow, temporary)


def verdict(low: float, high: float) -> str:
    """What an interval of the ratio says of "at most twice the least squared error".

    >>> verdict(0.8, 1.0), verdict(1.01, 1.2), verdict(0.9, 1.1), verdict(float("nan"), float("nan"))
    ('holds', 'fails', 'cannot be told', 'cannot be told')
    """
    if high <= 1:
        return HOLDS
    return FAILS if low > 1 else CANNOT_TELL


# ---- points and their pictures -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Point:
    """A point of a setting: its names in the table, and the reconstructions of either kind that it has.

    ``between`` are mixtures of the two ends of a line, which are ``lambda 0`` and ``lambda 1``.
    """

    names: Mapping[str, Any]
    faithful: str
    realistic: tuple[str, ...]
    between: tuple[str, ...]

    def column(self, values: ImageValues, reconstruction: str) -> int:
        """The column of one of its pictures."""
        return values.column({**self.names, "reconstruction": reconstruction})


def _points(data: pd.DataFrame, faithful: Sequence[str], realistic: Sequence[str]) -> Iterator[_Point]:
    """The points of a data set that have a faithful picture, in the order of their streams."""
    for (codec, setting, _, name), rows in data.groupby(["codec", "setting", "point_index", "point"], sort=True):
        found = list(rows.reconstruction.unique())
        end = next((one for one in faithful if one in found), None)
        if end is None:
            continue
        first = rows.iloc[0]
        kind = first.rate_kind if isinstance(first.rate_kind, str) else RATE_FILE
        names = {"dataset": first.dataset, "fingerprint": first.fingerprint, "codec": codec, "setting": setting}
        drawn = tuple(one for one in realistic if one in found and one != end)
        yield _Point({**names, "point": name, "rate_kind": kind}, end, drawn, _between(found))


def _between(found: Iterable[str]) -> tuple[str, ...]:
    """The mixtures of a line with both ends, without these; none if an end is missing."""
    lams = {name: lam for name in found if (lam := lambda_of(name)) is not None}
    if not {0.0, 1.0} <= set(lams.values()):
        return ()
    return tuple(name for name in sorted(lams, key=lambda name: lams[name]) if 0 < lams[name] < 1)


def _check_names(ok: pd.DataFrame, named: Iterable[str]) -> None:
    known = sorted(ok.reconstruction.unique())
    for name in named:
        if name not in known:
            raise ResultsError(
                f"no reconstruction {name!r} in this run{suggest(name, known)}; it has: {', '.join(known) or 'none'}"
            )


# ---- pictures of the same bits ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Errors:
    """Squared errors of pictures by their names: of single images [n], and means of all and of resamples [1 + R]."""

    of_images: Mapping[str, np.ndarray]
    means: Mapping[str, np.ndarray]
    rate_bpp: float

    @property
    def n(self) -> int:
        """The number of images."""
        return len(next(iter(self.of_images.values())))


def _of_stream(point: _Point, values: ImageValues) -> Iterator[dict[str, Any]]:
    """The rows of a point's realistic pictures, and of the mixtures on its line."""
    errors = _errors(point, values)
    for name in (*point.realistic, *point.between):
        yield {
            **point.names,
            "reconstruction": name,
            "mmse": point.faithful,
            "basis": STREAM,
            "rate_bpp": errors.rate_bpp,
            "n": errors.n,
            **_ratio_figures(errors.means[name], errors.means[point.faithful], n=errors.n),
            **_single_images(errors, name, point.faithful),
            **_line(errors, name),
            **_unjudged(errors, name, point),
            **_gain(errors, name, point),
        }


def _errors(point: _Point, values: ImageValues) -> _Errors:
    """The errors on the images that have every picture of the point."""
    names = [point.faithful, *point.realistic, *point.between]
    columns = [point.column(values, name) for name in names]
    errors = values.quality[:, columns]
    common = np.isfinite(errors).all(axis=1)
    means = _means_of_resamples(errors[common])
    rate_bpp = bootstrap.mean_of(values.bpp[common, columns[0]])
    return _Errors(dict(zip(names, errors[common].T, strict=True)), dict(zip(names, means.T, strict=True)), rate_bpp)


def _means_of_resamples(columns: np.ndarray) -> np.ndarray:
    """Column means of all images [n, K], and below them those of resamples: [1 + R, K]; no resamples of one image."""
    resampled = bootstrap.resampled_means(columns) if len(columns) > 1 else np.empty((0, columns.shape[1]))
    return np.concatenate([bootstrap.column_means(columns)[None], resampled])


def _ratio_figures(mse: np.ndarray, mse_mmse: np.ndarray, *, n: int) -> dict[str, Any]:
    """Means, ratio, interval and verdict; the first of each [1 + R] is that of all images."""
    means = {"mse": mse[0], "mse_mmse": mse_mmse[0]}
    if mse_mmse[0] == 0:
        return {**means, "reason": EXACT}
    ratio, low, high, reason = _interval(_quotient(mse, 2 * mse_mmse))
    found = {**means, "ratio": ratio, "ratio_low": low, "ratio_high": high, "verdict": verdict(low, high)}
    return {**found, "reason": FEW if n < 2 else reason}


def _quotient(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The quotients of means; NaN where that below is 0."""
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _interval(figures: np.ndarray) -> tuple[float, float, float, str | None]:
    """The first of figures [1 + R], the ends of its interval from the others, and why there are none."""
    return float(figures[0]), *bootstrap.defined_interval(float(figures[0]), figures[1:])


def _single_images(errors: _Errors, name: str, faithful: str) -> dict[str, Any]:
    """How many images are below and above the bound, with a test."""
    found = paired_figures(2 * errors.of_images[faithful], errors.of_images[name], higher_is_better=False)
    return {"below": found["better"], "above": found["worse"], "wilcoxon_p": found.get("wilcoxon_p")}


def _unjudged(errors: _Errors, name: str, point: _Point) -> dict[str, Any]:
    """No verdict on mixtures, which are not realistic, and on pictures that are the faithful ones."""
    if name in point.between:
        return {"verdict": None}
    return {"verdict": None, "reason": NOTHING_DRAWN} if _is_same(errors, name, point.faithful) else {}


def _is_same(errors: _Errors, one: str, other: str) -> bool:
    """Whether two pictures have the same error on every image, and it is not 0 on all of them."""
    return bool(errors.of_images[one].any() and (errors.of_images[one] == errors.of_images[other]).all())


def _gain(errors: _Errors, name: str, point: _Point) -> dict[str, Any]:
    """How much nearer a realistic picture is than the first one of its point, in dB."""
    first = point.realistic[0] if point.realistic else name
    if name == first or name in point.between or _is_same(errors, name, first):
        return {}
    quotient = _quotient(errors.means[first], errors.means[name])
    gain_db, low, high, _ = _interval(10 * np.log10(np.where(quotient > 0, quotient, np.nan)))
    return {"gain_over": first, "gain_db": gain_db, "gain_db_low": low, "gain_db_high": high}


def _line(errors: _Errors, name: str) -> dict[str, Any]:
    """The error of a mixture against what the ends predict, where these are among the pictures."""
    lam = lambda_of(name)
    if lam is None or not 0 < lam < 1:
        return {} if lam is None else {"lam": lam}
    ends = [next((one for one in errors.means if lambda_of(one) == end), None) for end in (0, 1)]
    if None in ends:
        return {"lam": lam}
    least, realistic = (errors.means[str(end)] for end in ends)
    figures = _interval(_quotient(errors.means[name], least + lam**2 * (realistic - least)))
    return {"lam": lam, **dict(zip(("line_ratio", "line_ratio_low", "line_ratio_high"), figures, strict=False))}


# ---- pictures of the same rate ---------------------------------------------------------------------------------


def _faithful_curve(summary: pd.DataFrame, faithful: Sequence[str], against: str) -> Curve:
    """The faithful curve that a label or the name of a codec means; raises ResultsError if there is none."""
    drawn = [curve for curve in curves(summary) if curve.reconstruction in {*faithful, _DECODED}]
    curve = find_anchor(summary, drawn, against)
    if curve is None:
        labels = ", ".join(one.label for one in drawn) or "none"
        raise ResultsError(f"{against} has no curve of faithful pictures in this run; faithful curves: {labels}")
    return curve


def _at_equal_rate(point: _Point, values: ImageValues, curve: Curve) -> Iterator[dict[str, Any]]:
    """The rows of a point's realistic pictures against a curve, unless they are of the curve's own streams."""
    if (point.names["codec"], point.names["setting"]) in {
        (one["codec"], one["setting"]) for one in records(curve.points)
    }:
        return
    columns = values.columns(curve)
    for name in point.realistic:
        own = point.column(values, name)
        together = [own, *columns]
        common = np.isfinite(values.quality[:, together]).all(axis=1)
        n = int(common.sum())
        names = {**point.names, "reconstruction": name, "mmse": curve.label, "basis": RATE, "n": n}
        if not n or not columns:
            yield {**names, "reason": OUTSIDE}
            continue
        both = np.concatenate([values.bpp[common][:, together], values.quality[common][:, together]], axis=1)
        rates, errors = np.split(_means_of_resamples(both), 2, axis=1)
        least, gap = errors_at(rates[:, 0], rates[:, 1:], errors[:, 1:])
        yield {**names, "rate_bpp": rates[0, 0], **_rate_figures(errors[:, 0], least, gap, n)}


def _rate_figures(mse: np.ndarray, least: np.ndarray, gap: float, n: int) -> dict[str, Any]:
    if np.isnan(least[0]):
        return {"mse": mse[0], "reason": OUTSIDE}
    return {"rate_gap": gap, **_ratio_figures(mse, least, n=n)}


def errors_at(rates_bpp: np.ndarray, curve_bpp: np.ndarray, curve_mse: np.ndarray) -> tuple[np.ndarray, float]:
    """Squared errors [R] of a curve at rates [R], linear in log error and log rate between its points [R, K].

    NaN outside of the curve. Points without an error in all of the R are left out. The second value is the ratio of the
    rates of the two points on either side of the first rate; 1 at a point.

    >>> mse, gap = errors_at(np.array([2.0, 8.0]), np.array([[1.0, 4.0]] * 2), np.array([[16.0, 4.0]] * 2))
    >>> mse.round(9).tolist(), gap
    ([8.0, nan], 4.0)
    """
    known = (curve_mse > 0).all(axis=0)
    found, gap = np.full(len(rates_bpp), np.nan), np.nan
    if not known.any():
        return found, gap
    for place, rate in enumerate(rates_bpp):
        order = np.argsort(curve_bpp[place, known], kind="stable")
        points, errors = curve_bpp[place, known][order], curve_mse[place, known][order]
        found[place] = np.exp(np.interp(np.log(rate), np.log(points), np.log(errors), left=np.nan, right=np.nan))
        gap = _gap(rate, points) if place == 0 else gap
    return found, gap


def _gap(rate: float, points: np.ndarray) -> float:
    right = int(np.searchsorted(points, rate))
    if right < len(points) and points[right] == rate:
        return 1.0
    return float(points[right] / points[right - 1]) if 0 < right < len(points) else np.nan
