"""Rate-distortion curves of a summary: which rows belong to one curve, and the labels of curves."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from uqdm.bench.analysis.variants import LONGEST_VALUE, Variant, heads, shortest_names, variant_of
from uqdm.bench.run.found_settings import TARGET_POINT
from uqdm.bench.run.rates import is_empty, is_ideal, labelled, with_rates
from uqdm.bench.run.setting_families import (
    curve_parameters,
    families,
    is_naming,
    is_numeric,
    swept_parameter,
    values_of,
)
from uqdm.bench.schema import STATUS_OK

if TYPE_CHECKING:
    import pandas as pd


PSNR_LEVELS_DB = (30, 35, 40)
"""PSNR levels at which codecs are compared."""

_OF_PICTURES = ("reconstruct", "points")
"""Parameters that choose which pictures of a stream are made, and change nothing else."""
_ALSO_CALLED = {"ancestral": "DiffC-A", "flow": "DiffC-F"}
"""Reconstructions of ideal Gaussian diffusion, by the names of Theis et al. 2022."""


class AtRate(NamedTuple):
    """A value at a rate, and the ratio of the rates of the two points that it is interpolated between."""

    value: float
    ratio: float


@dataclass(frozen=True)
class Curve:
    """Rows of a summary in order of their rate: one variant of a codec on one data set, one kind of reconstruction.

    The points of a progressive stream are a curve; other settings are joined where they differ in one parameter, also
    of a codec inside the codec, which names no codec or model
    (:func:`~uqdm.bench.run.setting_families.is_naming`). The label of a request names its curves; other curves have the
    codec's name with the least that distinguishes them.
    Points at which every image is exact have no PSNR and are in no curve (see :func:`lossless`). ``settings`` describes
    the parameters that the points share, and where others switch (see :func:`described`).

    ``points`` has the rates in ``rate_bpp``, ``rate_bpp_low`` and ``rate_bpp_high``: of files or, where the curve is
    ``ideal`` and its label says so, ideal ones. ``reconstruction`` is how its pictures are made.
    """

    codec: str
    label: str
    points: pd.DataFrame
    ideal: bool = False
    reconstruction: str = "decoded"
    settings: str = ""
    variant: Variant = field(default_factory=lambda: Variant(""))

    @property
    def title(self) -> str:
        """The label followed by the settings, as plots and tables show it.

        >>> import pandas as pd
        >>> Curve("avif", "avif", pd.DataFrame(), settings="speed=4").title
        'avif (speed=4)'
        """
        return f"{self.label} ({self.settings})" if self.settings else self.label

    @functools.cached_property
    def points_with_bits(self) -> pd.DataFrame:
        """The points that hold bits of the image (see :func:`uqdm.bench.run.rates.is_empty`)."""
        return self.points[~is_empty(self.points)]

    def bpp_at(self, psnr_db: float) -> float:
        """Rate at ``psnr_db``, linear in dB and log rate between neighbours; NaN outside the curve.

        Where a curve crosses the level more than once, the lowest rate counts.
        """
        left = self._left_of(psnr_db)
        if left is None:
            return float("nan")
        (low, high), rates = self._psnr_db[left : left + 2], np.log(self._rates_bpp[left : left + 2])
        share = (psnr_db - low) / (high - low) if high != low else 0.0
        return float(np.exp(rates[0] + share * (rates[1] - rates[0])))

    def cost_at(self, column: str, psnr_db: float) -> float:
        """A cost at ``psnr_db``, between the points and with the weights of :meth:`bpp_at`; NaN where either has none.

        It is interpolated in its logarithm, or as it is where one of the two is 0.

        >>> import pandas as pd
        >>> points = pd.DataFrame({"rate_bpp": [1.0, 2.0], "psnr_db": [30.0, 40.0], "encode_ms": [1.0, 100.0]})
        >>> round(Curve("jpeg", "jpeg", points).cost_at("encode_ms", 35), 9)
        10.0
        """
        left = self._left_of(psnr_db)
        if left is None:
            return float("nan")
        (low, high), costs = self._psnr_db[left : left + 2], self.points_with_bits[column].to_numpy(float)
        first, second = costs[left : left + 2]
        share = (psnr_db - low) / (high - low) if high != low else 0.0
        if min(first, second) > 0:
            return float(first * (second / first) ** share)
        return float(first + share * (second - first))

    def gap_db(self, psnr_db: float) -> float:
        """Distance in dB of the two points that :meth:`bpp_at` interpolates between; NaN outside the curve."""
        left = self._left_of(psnr_db)
        return float("nan") if left is None else float(abs(self._psnr_db[left + 1] - self._psnr_db[left]))

    def at_rate(self, metric: str, rate_bpp: float) -> AtRate:
        """A metric at a rate, linear in its unit and log rate between the points that have it; NaN outside of these.

        >>> import pandas as pd
        >>> points = pd.DataFrame({"rate_bpp": [1.0, 2.0, 8.0], "psnr_db": [30.0, np.nan, 36.0]})
        >>> Curve("jpeg", "jpeg", points).at_rate("psnr_db", 2.0)
        AtRate(value=32.0, ratio=8.0)
        """
        points = self.points_with_bits
        points = points[np.isfinite(points[metric].astype(float))].drop_duplicates("rate_bpp", keep="last")
        rates, values = points["rate_bpp"].to_numpy(float), points[metric].to_numpy(float)
        right = int(np.searchsorted(rates, rate_bpp))
        if right < len(rates) and rates[right] == rate_bpp:
            return AtRate(float(values[right]), 1.0)
        if not 0 < right < len(rates):
            return AtRate(math.nan, math.nan)
        value = np.interp(np.log(rate_bpp), np.log(rates[right - 1 : right + 1]), values[right - 1 : right + 1])
        return AtRate(float(value), float(rates[right] / rates[right - 1]))

    @property
    def _psnr_db(self) -> np.ndarray:
        return self.points_with_bits["psnr_db"].to_numpy()

    @property
    def _rates_bpp(self) -> np.ndarray:
        return self.points_with_bits["rate_bpp"].to_numpy()

    def _left_of(self, psnr_db: float) -> int | None:
        """The first point between which and the next one the curve crosses the level."""
        first, second = self._psnr_db[:-1], self._psnr_db[1:]
        crossing = (np.minimum(first, second) <= psnr_db) & (psnr_db <= np.maximum(first, second))
        return int(np.argmax(crossing)) if crossing.any() else None


def curves(summary: pd.DataFrame) -> list[Curve]:
    """The curves of a summary of one data set, the one with the lowest rate at equal PSNR first.

    Raises ValueError for rows of different images: curves of different fingerprints are not comparable.
    """
    contents = summary.fingerprint.unique()
    if len(contents) > 1:
        raise ValueError(f"curves of different images ({', '.join(contents)}) are no curves of one data set")
    summary = with_rates(summary)
    ok = summary[(summary.status == STATUS_OK) & (summary.rate_bpp > 0)]
    names = variant_names(ok)
    ok = ok.assign(variant=variants(ok))
    found = [curve for variant, name in sorted(names.items()) for curve in _curves_of(variant, name, ok)]
    return sorted(found, key=_rank)


def titles(summary: pd.DataFrame) -> dict[tuple[str, str], str]:
    """The title of each curve of a summary, by the name of its data set and its label."""
    return {
        (str(name), curve.label): curve.title for name, data in summary.groupby("dataset") for curve in curves(data)
    }


def lossless(summary: pd.DataFrame) -> pd.DataFrame:
    """For each variant the row of lowest rate at which every image is exact, from a summary of one data set.

    Rates are in ``rate_bpp``, as in curves. ``name`` is the variant's name, marked where rates are ideal, and
    ``variant`` the variant.
    """
    ok = summary[summary.status == STATUS_OK]
    named = variant_names(ok)
    ok = with_rates(ok).assign(variant=variants(ok))
    exact = ok[ok.exact == ok.n]
    heads = [named[variant] for variant in exact.variant]
    exact = exact.assign(name=[labelled(*row) for row in zip(heads, is_ideal(exact), strict=True)])
    return exact.sort_values("rate_bpp", kind="stable").drop_duplicates("variant")


def variants(rows: pd.DataFrame) -> pd.Series:
    """The :class:`~uqdm.bench.analysis.variants.Variant` of each row of a summary."""
    import pandas as pd

    labels = rows["label"] if "label" in rows else [None] * len(rows)
    found = [variant_of(*each) for each in zip(rows.codec, labels, rows.setting, strict=True)]
    return pd.Series(found, rows.index, dtype=object)


def variant_names(rows: pd.DataFrame) -> dict[Variant, str]:
    """The name of each variant among rows of a summary (see :func:`~uqdm.bench.analysis.variants.heads`)."""
    settings: dict[str, dict[Variant, list[str]]] = {}
    for variant, setting in zip(variants(rows), rows.setting, strict=True):
        settings.setdefault(variant.codec, {}).setdefault(variant, []).append(setting)
    return {variant: name for found in settings.values() for variant, name in heads(found).items()}


def described(settings: Iterable[str], omitted: Collection[str] = ()) -> str:
    """The parameters of the settings of one curve: shared values, and where others switch.

    The swept parameter and those in ``omitted`` are left out, and so are switches that are off, empty values and values
    too long to read.

    >>> described(["quality=1,full=false,fast=true", "quality=2,full=false,fast=true"])
    'fast'
    >>> described(["quality=10,chroma=4:2:0,speed=4", "quality=50,chroma=4:4:4,speed=4"])
    'chroma=4:2:0, 4:4:4 from quality=50; speed=4'
    """
    parsed = [curve_parameters(setting) for setting in settings]
    swept = swept_parameter(parsed) if len(parsed) > 1 else None
    if swept and is_numeric(parsed, swept):
        parsed = sorted(parsed, key=lambda each: float(each[swept]))
    texts = [_described(name, parsed, swept) for name in values_of(parsed) if name not in (swept, *omitted)]
    return "; ".join(text for text in texts if text)


def _described(name: str, parsed: Sequence[Mapping[str, str]], swept: str | None) -> str:
    """The text of one parameter for :func:`described`; settings are in order of the swept parameter."""
    values = [each.get(name, "") for each in parsed]
    if len(set(values)) == 1:
        return _constant(name, values[0])
    if swept is None or max(map(len, values)) > LONGEST_VALUE:
        return ""
    switches = [
        f"{value} from {swept}={each[swept]}"
        for each, value, before in zip(parsed[1:], values[1:], values, strict=False)
        if value != before
    ]
    return ", ".join([f"{name}={values[0]}", *switches])


def _constant(name: str, value: str) -> str:
    """The text of a parameter that all settings share."""
    if value == "true":
        return name
    return "" if value in ("", "false", "None") or len(value) > LONGEST_VALUE else f"{name}={value}"


def short_settings(settings: Iterable[str]) -> dict[str, str]:
    """For each setting the parameters in which it differs from others; see :func:`shared_parameters` for the rest.

    >>> short_settings(["quality=1,fast=true", "quality=2,fast=true"])
    {'quality=1,fast=true': 'quality=1', 'quality=2,fast=true': 'quality=2'}
    """
    parsed = {setting: curve_parameters(setting) for setting in settings}
    values = values_of(parsed.values())
    return {
        setting: ",".join(f"{name}={value}" for name, value in each.items() if len(values[name]) > 1)
        for setting, each in parsed.items()
    }


def shared_parameters(settings: Iterable[str]) -> str:
    """The parameters that are the same in all settings.

    >>> shared_parameters(["quality=1,fast=true", "quality=2,fast=true"])
    'fast=true'
    """
    parsed = [curve_parameters(setting) for setting in settings]
    values = values_of(parsed)
    return ",".join(f"{name}={next(iter(found))}" for name, found in values.items() if len(found) == 1)


def _rank(curve: Curve) -> list[float]:
    """Rates at the middle level, then at the others; infinite at levels that the curve does not reach."""
    levels = sorted(PSNR_LEVELS_DB, key=lambda level: abs(level - np.median(PSNR_LEVELS_DB)))
    return [rate if rate == rate else np.inf for rate in map(curve.bpp_at, levels)]


def _stream_names(settings: Iterable[str]) -> dict[str, str]:
    """The shortest name of each setting among others, without ``_OF_PICTURES`` if the other parameters suffice.

    >>> _stream_names(["steps=4,points=6", "steps=20,points=4"])
    {'steps=4,points=6': 'steps=4', 'steps=20,points=4': 'steps=20'}
    """
    parsed = {setting: curve_parameters(setting) for setting in settings}
    coded = [{name: value for name, value in each.items() if name not in _OF_PICTURES} for each in parsed.values()]
    names = shortest_names(coded)
    if len(set(names)) < len(parsed):
        names = shortest_names(list(parsed.values()))
    return dict(zip(parsed, names, strict=True))


def _family_names(families_of: Mapping[str, str]) -> dict[str, str]:
    """The shortest name of each family of settings; ``families_of`` has the family of each setting."""
    found = list(dict.fromkeys(families_of.values()))
    names = shortest_names([curve_parameters(family) for family in found])
    return dict(zip(found, names, strict=True))


def _curves_of(variant: Variant, head: str, ok: pd.DataFrame) -> list[Curve]:
    """A curve for each progressive stream and for each family of other settings of a variant, by reconstruction."""
    rows = ok[ok.variant == variant]
    layered = rows.groupby("setting")["point"].transform("nunique") > 1
    families_of = families(rows.loc[~layered & (rows.exact < rows.n), "setting"].unique())
    streams = _stream_names(rows.loc[layered, "setting"].unique())
    kind = "" if is_ideal(rows).all() or not families_of else "progressive "
    names = [f"{kind}{streams.get(setting, '')}" for setting in rows["setting"]]
    family = rows["setting"].map(families_of)
    rows = rows.assign(family=family.where(~layered, names))
    short = _family_names(families_of)
    grouped = list(rows[rows.exact < rows.n].groupby(["family", "reconstruction"]))
    n_families, n_ways = (len({name[position] for name, _ in grouped}) for position in (0, 1))
    found = []
    for names_of_group, points in grouped:
        name, way = map(str, names_of_group)
        is_stream = bool(layered[points.index].any())
        parts = [
            head,
            *([name if is_stream else short[name]] if n_families > 1 else []),
            *([way] if n_ways > 1 else []),
        ]
        ideal = bool(is_ideal(points).all())
        parts += [f"= {_ALSO_CALLED[way]}"] if ideal and way in _ALSO_CALLED else []
        label = labelled(" ".join(part.strip() for part in parts if part), ideal)
        points = points.sort_values(["rate_bpp", "point_index"], kind="stable")
        omitted = {*curve_parameters(short.get(name, ""))}
        if head != variant.codec:
            omitted |= {one for setting in points["setting"] for one in curve_parameters(setting) if is_naming(one)}
        is_of_streams = is_stream or bool((points["point"] == TARGET_POINT).all())
        settings = "" if is_of_streams else described(points["setting"].unique(), omitted)
        found.append(Curve(variant.codec, label, points, ideal, way, settings, variant))
    return found
