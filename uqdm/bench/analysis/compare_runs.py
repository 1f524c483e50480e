"""Compares two runs image by image: paired differences with bootstrap intervals and a signed-rank test.

Pictures are paired on the same images only: the fingerprints of the data sets must be equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from uqdm.bench.analysis import bootstrap
from uqdm.bench.analysis.curves import short_settings
from uqdm.bench.analysis.paired import paired_figures
from uqdm.bench.metrics import SetMetric, all_metrics, declared, size_columns
from uqdm.bench.run.codec_settings import parse_request
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.found_settings import TARGET_POINT
from uqdm.bench.run.layout import summary_path
from uqdm.bench.run.rates import image_rates, is_ideal
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.setting_families import AT, parameters_of
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.run.sweeps import names_value
from uqdm.bench.run.targets import is_target
from uqdm.bench.schema import COMPARISON, STATUS_OK
from uqdm.codec import ParameterError
from uqdm.registry import suggest

COSTS = ("encode_ms", "decode_ms", "encode_calls", "decode_calls", "macs_per_pixel", "peak_memory_bytes")
"""Columns beside rates and metrics that can be compared; less is better."""

_PICTURE = ["codec", "setting", "point", "reconstruction"]
_COLUMNS = ["dataset", "fingerprint", "image_index", "codec_version", "status", "bpp", "picture_sha256", *_PICTURE]
_COLUMNS += ["rate_kind", "ideal_bits", "height", "width"]
IDEAL_RATE = "ideal_bpp"
"""The column of ideal rates, separate from rates of files: the two are never compared."""
_RATES = ("bpp", IDEAL_RATE)
_NOT_NAMED = ("", "full", "decoded", "exact", TARGET_POINT)  # points and reconstructions that labels leave out

Key = tuple[str, str, str, str]
"""Codec, setting, point and reconstruction of a picture."""


@dataclass(frozen=True)
class Selector:
    """Selects pictures of one codec: by parameters, and by patterns of points and reconstructions."""

    codec: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    point: str = "*"
    reconstruction: str = "*"

    def picks(self, key: Key) -> bool:
        """Whether a picture is selected."""
        codec, setting, point, reconstruction = key
        found = parameters_of(setting)
        return (
            codec == self.codec
            and all(names_value(value, found.get(name)) for name, value in self.parameters.items())
            and fnmatchcase(point, self.point)
            and fnmatchcase(reconstruction, self.reconstruction)
        )


_HUB_NAME = re.compile(r"=hf:[^@,;=]+$")
"""A model of the hub, which a revision may follow, in place of a point."""


def parse_selector(text: str) -> Selector:
    """Reads ``CODEC[:key=value,...][@TARGET][@POINT[/RECONSTRUCTION]]``; ``*`` and ``?`` are wildcards in a point.

    A value may be a list or a range, as in a request (:mod:`uqdm.bench.run.sweeps`).

    >>> parse_selector("uqdm@step 2/denoise")
    Selector(codec='uqdm', parameters={}, point='step 2', reconstruction='denoise')
    >>> parse_selector("jpeg:quality=50").parameters
    {'quality': '50'}
    >>> parse_selector("uqdm:model=hf:owner/model@v1").parameters
    {'model': 'hf:owner/model@v1'}
    >>> parse_selector("jpeg@bpp=0.5|1").parameters
    {'@bpp': '0.5|1'}
    """
    before, at, behind = text.rpartition(AT)
    if is_target(behind) or _HUB_NAME.search(before):
        before, at, behind = "", "", text
    request = parse_request(before if at else behind)
    if request.label is not None:
        raise ParameterError(f"{text!r}: rows have no labels; choose pictures by the codec's parameters")
    parameters = {str(name): str(value) for name, value in (request.parameters or {}).items()}
    if request.target is not None:
        parameters |= parameters_of(AT + request.target)
    point, _, reconstruction = behind.partition("/") if at else ("", "", "")
    return Selector(request.name, parameters, point or "*", reconstruction or "*")


@dataclass(frozen=True)
class Comparison:
    """The comparison of two runs: a table with the columns of ``COMPARISON``, and notes.

    ``only_a`` and ``only_b`` are the pictures without a partner. ``notes`` say how pictures were paired, which codecs
    differ in their versions, and which requested columns have no values.
    """

    dataset: str
    fingerprint: str
    table: pd.DataFrame
    only_a: list[Key]
    only_b: list[Key]
    notes: list[str]


def compare_runs(
    run_a: Path,
    run_b: Path,
    select_a: str | None = None,
    select_b: str | None = None,
    columns: Sequence[str] = (),
) -> Comparison:
    """Pairs the pictures of two runs, or of one with itself, and compares them image by image.

    Args:
        run_a: folder of a scored run.
        run_b: folder of another, on the same images.
        select_a: text for :func:`parse_selector`; None takes every picture, or what ``select_b`` takes.
        select_b: as ``select_a``, for the other run.
        columns: what to compare of ``bpp``, ``ideal_bpp``, metrics and :data:`COSTS`; if empty, bpp of pairs of files,
            ideal_bpp where a run holds an ideal codec, and every metric with data.

    Pictures are paired by codec, setting, point and reconstruction. Where no two agree in all of these, codecs must be
    chosen: one codec with a setting on either side (two models, say) is paired by point and reconstruction, others by
    rate, each picture of A with the one of B, of each kind of reconstruction, whose mean rate is nearest. Raises
    :class:`~uqdm.bench.run.errors.ResultsError` where the runs were made on different images, or have nothing to pair.
    """
    sides = _read_both(run_a, run_b)
    chosen = [parse_selector(text) if text else None for text in (select_a or select_b, select_b or select_a)]
    keys = [side.keys(selector) for side, selector in zip(sides, chosen, strict=True)]
    pairs, how = _pair(sides, keys)
    wanted = {name: list(_compared(name, sides, pairs)) for name in _wanted(sides, columns)}
    if not columns:  # rates without values are left out unless requested
        wanted |= {name: [line for line in wanted[name] if line["n"]] for name in _RATES if name in wanted}
    lines = [{**sides[0].data, **line} for found in wanted.values() for line in found]
    table = pd.DataFrame(lines, columns=COMPARISON.names)
    left = [[key for key in found if key not in {pair[side] for pair in pairs}] for side, found in enumerate(keys)]
    lacking = [f"{name}: no pair has a value on both sides" for name in columns if not wanted[name]]
    return Comparison(
        **sides[0].data, table=table, only_a=left[0], only_b=left[1], notes=[*how, *_versions(sides, pairs), *lacking]
    )


def picture_labels(keys: Sequence[Key]) -> dict[Key, str]:
    """Short names of pictures: the parameters in which settings of a codec differ, point and reconstruction if needed.

    >>> keys = [("c", "q=5,fast=true", "full", "decoded"), ("c", "q=9,fast=true", "scan 2", "decoded")]
    >>> list(picture_labels(keys).values())
    ['c q=5', 'c q=9 scan 2']
    """
    settings: dict[str, dict[str, None]] = {}
    for codec, setting, _, _ in keys:
        settings.setdefault(codec, {})[setting] = None
    short = {codec: short_settings(found) for codec, found in settings.items()}
    return {
        key: " ".join(part for part in (key[0], short[key[0]][key[1]], *key[2:]) if part not in _NOT_NAMED)
        for key in keys
    }


# ---- the two runs -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Side:
    """One run on the common data set: its rows with status ok by picture, and its summary if there is one."""

    name: str
    run_dir: Path
    data: dict[str, str]
    rows: dict[Key, pd.DataFrame]
    summary: pd.DataFrame | None

    def keys(self, selector: Selector | None) -> list[Key]:
        """Its pictures, or those that a selector picks; raises ResultsError if there are none."""
        picked = [key for key in self.rows if selector is None or selector.picks(key)]
        if not picked:
            raise ResultsError(f"{self.name} ({self.run_dir}): {self._nothing(selector)}")
        return picked

    def _nothing(self, selector: Selector | None) -> str:
        codecs = sorted({key[0] for key in self.rows})
        if selector is None or not codecs:
            return "no row is ok"
        if selector.codec not in codecs:
            return f"no codec {selector.codec!r}{suggest(selector.codec, codecs)}; it has: {', '.join(codecs)}"
        labels = picture_labels([key for key in self.rows if key[0] == selector.codec]).values()
        return f"no picture of {selector.codec} is what was chosen; it has: {', '.join(labels)}"

    def ideal(self, keys: Iterable[Sequence[Key]]) -> bool:
        """Whether any of these pictures has an ideal rate instead of a file."""
        return any(is_ideal(self.rows[key]).any() for found in keys for key in found if key in self.rows)

    def has(self, name: str) -> bool:
        """Whether any picture has a value in a column of the rows or the summary."""
        if self.summary is not None and name in self.summary and self.summary[name].notna().any():
            return True
        return any(rows[name].notna().any() for rows in self.rows.values() if name in rows)

    def column(self, key: Key, name: str, images: pd.Index) -> np.ndarray:
        """A column of a picture's rows by image; NaN where there is no row."""
        return self.rows[key].set_index("image_index")[name].reindex(images).to_numpy()

    def summarized(self, key: Key) -> pd.Series | None:
        """A picture's row of the summary."""
        if self.summary is None:
            return None
        found = self.summary[(self.summary[_PICTURE] == list(key)).all(axis=1) & (self.summary.status == STATUS_OK)]
        return None if found.empty else found.iloc[0]


def _read_both(run_a: Path, run_b: Path) -> list[_Side]:
    columns = [*_COLUMNS, *COSTS, *(metric.name for metric in all_metrics())]
    both = [read_rows(run, columns) for run in (run_a, run_b)]
    name, fingerprint = _same_images((run_a, run_b), both)
    sides = []
    for side, run, rows in zip("AB", (run_a, run_b), both, strict=True):
        ok = rows[(rows.status == STATUS_OK) & (rows.fingerprint == fingerprint)]
        ok = ok.assign(rate_bpp=image_rates(ok), ideal_bpp=ok.ideal_bits / (ok.height * ok.width))
        pictures: dict[Key, pd.DataFrame] = {tuple(key): one for key, one in ok.groupby(_PICTURE, sort=False)}  # type: ignore[misc]
        summary = read_summary(run) if summary_path(run).is_file() else None
        data = {"dataset": name, "fingerprint": fingerprint}
        sides.append(_Side(side, run, data, pictures, summary))
    return sides


def _same_images(runs: Sequence[Path], both: Sequence[pd.DataFrame]) -> tuple[str, str]:
    """Name (in A) and fingerprint of the data set of both runs."""
    held = [dict(zip(rows.fingerprint, rows.dataset, strict=True)) for rows in both]
    common = [fingerprint for fingerprint in held[0] if fingerprint in held[1]]
    if len(common) == 1:
        return held[0][common[0]], common[0]
    problem = "several data sets in common" if common else "different images"
    listed = [
        f"{side} ({run}) has {', '.join(f'{name} ({fingerprint})' for fingerprint, name in one.items())}"
        for side, run, one in zip("AB", runs, held, strict=True)
    ]
    raise ResultsError(
        f"{problem}: {'; '.join(listed)}. Differences image by image need one and the same data set: evaluate both on "
        "it, with the same limit"
    )


# ---- pairs of pictures --------------------------------------------------------------------------


def _pair(sides: Sequence[_Side], keys: Sequence[Sequence[Key]]) -> tuple[list[tuple[Key, Key]], list[str]]:
    """Pairs of pictures, and how they were found."""
    there = set(keys[1])
    same = [(key, key) for key in keys[0] if key in there]
    if same:
        return same, ["paired by codec, setting, point and reconstruction"]
    codecs = [{key[0] for key in found} for found in keys]
    if max(map(len, codecs)) > 1:
        raise ResultsError(
            f"{sides[0].run_dir} and {sides[1].run_dir} have no picture of one codec, setting, point and "
            "reconstruction; choose a codec of each with --codec-a and --codec-b"
        )
    if codecs[0] == codecs[1] and all(len({key[1] for key in found}) == 1 for found in keys):
        of_b = {key[2:]: key for key in keys[1]}
        by_point = [(key, of_b[key[2:]]) for key in keys[0] if key[2:] in of_b]
        if by_point:
            return by_point, ["paired by point and reconstruction", *_only_settings(by_point)]
    by_rate = list(_by_rate(sides, keys))
    how = "paired by rate: each picture of A with that of B whose mean rate is nearest"
    how += "".join(f"; rates of {side.name} are ideal, of no files" for side in sides if side.ideal(keys))
    return by_rate, [how, *_only_settings(by_rate)]


def _only_settings(pairs: Sequence[tuple[Key, Key]]) -> list[str]:
    """The setting of a side with a single one, which the names of its pictures leave out."""
    settings = [{(key[0], key[1]) for key in side} for side in zip(*pairs, strict=True)]
    return [f"{side} is {' at '.join(*found)}" for side, found in zip("AB", settings, strict=True) if len(found) == 1]


def _by_rate(sides: Sequence[_Side], keys: Sequence[Sequence[Key]]) -> Iterator[tuple[Key, Key]]:
    log_rates = [
        {key: np.log(side.rows[key].rate_bpp.mean()) for key in found} for side, found in zip(sides, keys, strict=True)
    ]
    ways: dict[str, list[Key]] = {}
    for key in keys[1]:
        ways.setdefault(key[3], []).append(key)
    for others in ways.values():
        of_way = {other: log_rates[1][other] for other in others}
        for key in keys[0]:
            distances = {other: abs(rate - log_rates[0][key]) for other, rate in of_way.items()}
            yield key, min(distances, key=distances.__getitem__)


def _versions(sides: Sequence[_Side], pairs: Sequence[tuple[Key, Key]]) -> list[str]:
    """A note for each codec of which the two sides have different versions."""
    notes: dict[str, None] = {}
    for pair in pairs:
        found = ["; ".join(sorted(s.rows[key].codec_version.unique())) for s, key in zip(sides, pair, strict=True)]
        if pair[0][0] == pair[1][0] and found[0] != found[1]:
            notes[f"versions of {pair[0][0]} differ: {found[0]} in A, {found[1]} in B"] = None
    return list(notes)


# ---- differences ---------------------------------------------------------------------------------------------


def _wanted(sides: Sequence[_Side], columns: Sequence[str]) -> list[str]:
    """The columns to compare: the requested ones, or bpp and every metric with values on both sides."""
    metrics = [metric.name for metric in declared()]
    known = ["bpp", IDEAL_RATE, *metrics, *COSTS]
    for name in columns:
        if name not in known:
            raise ResultsError(f"no metric {name!r}{suggest(name, known)}; there are: {', '.join(known)}")
    if columns:
        return list(columns)
    ideal = [IDEAL_RATE] if any(side.ideal([list(side.rows)]) for side in sides) else []
    return ["bpp", *ideal, *(name for name in metrics if all(side.has(name) for side in sides))]


def _compared(name: str, sides: Sequence[_Side], pairs: Sequence[tuple[Key, Key]]) -> Iterator[dict[str, Any]]:
    """The lines of one metric, pair by pair, without pairs that lack a value of a set metric."""
    metric = next((one for one in declared() if one.name == name), None)
    direction = metric.direction if metric is not None else "lower"
    found: Sequence[dict[str, Any] | None]
    if isinstance(metric, SetMetric):
        found = [_of_sets(metric, sides, pair) for pair in pairs]
    else:
        found = _of_images(name, sides, pairs, higher_is_better=direction == "higher")
    for pair, figures in zip(pairs, found, strict=True):
        if figures is not None:
            yield {
                "metric": name,
                "direction": direction,
                **_columns("a", pair[0]),
                **_columns("b", pair[1]),
                **figures,
            }


def _columns(side: str, key: Key) -> dict[str, str]:
    return {f"{name}_{side}": value for name, value in zip(_PICTURE, key, strict=True)}


def _of_images(
    name: str, sides: Sequence[_Side], pairs: Sequence[tuple[Key, Key]], *, higher_is_better: bool
) -> list[dict[str, Any]]:
    """Figures of every pair, all from the same resamples of images."""
    ids = [side.rows[pair[number]].image_index for number, side in enumerate(sides) for pair in pairs]
    images = pd.Index(pd.concat(ids).unique()).sort_values()

    def of(side: int, column: str) -> list[np.ndarray]:
        return [sides[side].column(pair[side], column, images) for pair in pairs]

    a, b = (np.stack(of(side, name), axis=1).astype(float) for side in (0, 1))
    finite = np.isfinite(a) & np.isfinite(b)
    difference = np.full(a.shape, np.nan)
    difference[finite] = b[finite] - a[finite]
    mean, low, high = bootstrap.mean_intervals(difference)
    same = [
        sum(isinstance(x, str) and x == y for x, y in zip(*two, strict=True))
        for two in zip(of(0, "picture_sha256"), of(1, "picture_sha256"), strict=True)
    ]
    return [
        {
            **paired_figures(a[:, number], b[:, number], higher_is_better=higher_is_better),
            "difference": mean[number],
            "difference_low": low[number],
            "difference_high": high[number],
            "same_pictures": same[number],
        }
        for number in range(len(pairs))
    ]


def _of_sets(metric: SetMetric, sides: Sequence[_Side], pair: tuple[Key, Key]) -> dict[str, Any] | None:
    """Both values of a set metric, without interval and test."""
    name = metric.name
    rows = [row for side, key in zip(sides, pair, strict=True) if (row := side.summarized(key)) is not None]
    if len(rows) < 2 or any(pd.isna(row[name]) for row in rows):
        return None
    (a, size_a), (b, size_b) = ((float(row[name]), _size(metric, row)) for row in rows)
    figures = {"n": min(size_a, size_b), "mean_a": a, "mean_b": b}
    if size_a != size_b:
        return {**figures, "reason": f"of {size_a} and {size_b} {metric.items}: such figures are not comparable"}
    reason = "a metric of sets has no value for an image: no interval and no test"
    return {**figures, "difference": b - a, "reason": reason}


def _size(metric: SetMetric, row: pd.Series) -> int:
    """The number of items that a value was computed on; older runs have the number of images alone."""
    return next(int(row[name]) for name in size_columns(metric) if not pd.isna(row[name]))
