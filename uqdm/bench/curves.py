"""Rate-distortion curves out of a summary: which of its rows belong on one line, and what that line is called."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uqdm.bench.rates import is_ideal, labelled, with_rates
from uqdm.bench.schema import STATUS_OK

if TYPE_CHECKING:
    import pandas as pd


PSNR_LEVELS_DB = (30, 35, 40)
"""Levels at which codecs are compared."""

_OF_PICTURES = ("reconstruct", "points")
"""Parameters that say which pictures of a stream are shown, and change nothing else."""
_ALSO_CALLED = {"ancestral": "DiffC-A", "flow": "DiffC-F"}
"""Reconstructions of ideal Gaussian diffusion, by the names of Theis et al. 2022."""


@dataclass(frozen=True)
class Curve:
    """Rows of a summary in order of their rate: one codec on one data set, one way to make pictures.

    The points of a progressive stream are a curve; other settings are joined where they differ in one parameter.
    Points at which every image is exact have no PSNR, and are in no curve (see :func:`lossless`).

    ``points`` has the rates in ``rate_bpp``, ``rate_bpp_low`` and ``rate_bpp_high``: of files or, where the curve is
    ``ideal`` and its label says so, ideal ones. ``reconstruction`` is how its pictures are made.
    """

    codec: str
    label: str
    points: pd.DataFrame
    ideal: bool = False
    reconstruction: str = "decoded"

    def bpp_at(self, psnr_db: float) -> float:
        """Rate at ``psnr_db``, linear in dB and log rate between neighbours; NaN outside the curve.

        Where a curve crosses the level more than once, the lowest rate counts.
        """
        left = self._left_of(psnr_db)
        if left is None:
            return float("nan")
        (low, high), rates = self._psnr_db[left : left + 2], np.log(self.points["rate_bpp"].to_numpy()[left : left + 2])
        share = (psnr_db - low) / (high - low) if high != low else 0.0
        return float(np.exp(rates[0] + share * (rates[1] - rates[0])))

    def gap_db(self, psnr_db: float) -> float:
        """How far apart in dB the measured points are that :meth:`bpp_at` goes between; NaN outside the curve."""
        left = self._left_of(psnr_db)
        return float("nan") if left is None else float(abs(self._psnr_db[left + 1] - self._psnr_db[left]))

    @property
    def _psnr_db(self) -> np.ndarray:
        return self.points["psnr_db"].to_numpy()

    def _left_of(self, psnr_db: float) -> int | None:
        """The first point from which on the curve crosses the level before the next one."""
        first, second = self._psnr_db[:-1], self._psnr_db[1:]
        crossing = (np.minimum(first, second) <= psnr_db) & (psnr_db <= np.maximum(first, second))
        return int(np.argmax(crossing)) if crossing.any() else None


def curves(summary: pd.DataFrame) -> list[Curve]:
    """The curves of a summary of one data set, that of the lowest rate at equal PSNR first.

    Raises ValueError for rows of different images: curves of different fingerprints are never side by side unsaid.
    """
    contents = summary.fingerprint.unique()
    if len(contents) > 1:
        raise ValueError(f"curves of different images ({', '.join(contents)}) are no curves of one data set")
    summary = with_rates(summary)
    ok = summary[(summary.status == STATUS_OK) & (summary.rate_bpp > 0)]
    found = [curve for codec, rows in ok.groupby("codec") for curve in _curves_of(str(codec), rows)]
    return sorted(found, key=_rank)


def lossless(summary: pd.DataFrame) -> pd.DataFrame:
    """Of each codec in a summary of one data set the row of lowest rate at which every image is exact.

    Rates are in ``rate_bpp``, as in curves, and ``label`` is the codec's name, which says so where they are ideal.
    """
    exact = with_rates(summary[(summary.status == STATUS_OK) & (summary.exact == summary.n)])
    exact = exact.assign(label=[labelled(*row) for row in zip(exact.codec, is_ideal(exact), strict=True)])
    return exact.sort_values("rate_bpp", kind="stable").drop_duplicates("codec")


def families(settings: Iterable[str]) -> dict[str, str]:
    """For each setting the parameters in which it differs from others, but the swept one (it takes most values).

    >>> families(["quality=1,fast=true", "quality=2,fast=true", "quality=1,fast=false"])
    {'quality=1,fast=true': 'fast=true', 'quality=2,fast=true': 'fast=true', 'quality=1,fast=false': 'fast=false'}
    """
    parsed = {setting: parameters_of(setting) for setting in settings}
    values = {name: {each.get(name) for each in parsed.values()} for each in parsed.values() for name in each}
    swept = max(values, key=lambda name: len(values[name]), default=None)
    varied = [name for name in values if name != swept and len(values[name]) > 1]
    return {
        setting: ",".join(f"{name}={each[name]}" for name in varied if name in each) for setting, each in parsed.items()
    }


def short_settings(settings: Iterable[str]) -> dict[str, str]:
    """For each setting the parameters in which it differs from others; see :func:`shared_parameters` for the rest.

    >>> short_settings(["quality=1,fast=true", "quality=2,fast=true"])
    {'quality=1,fast=true': 'quality=1', 'quality=2,fast=true': 'quality=2'}
    """
    parsed = {setting: parameters_of(setting) for setting in settings}
    values = {name: {each.get(name) for each in parsed.values()} for each in parsed.values() for name in each}
    return {
        setting: ",".join(f"{name}={value}" for name, value in each.items() if len(values[name]) > 1)
        for setting, each in parsed.items()
    }


def shared_parameters(settings: Iterable[str]) -> str:
    """The parameters that are the same in all settings.

    >>> shared_parameters(["quality=1,fast=true", "quality=2,fast=true"])
    'fast=true'
    """
    parsed = [parameters_of(setting) for setting in settings]
    values = {name: {each.get(name) for each in parsed} for each in parsed for name in each}
    return ",".join(f"{name}={next(iter(found))}" for name, found in values.items() if len(found) == 1)


def _rank(curve: Curve) -> list[float]:
    """Rates at the middle level, then at the others; a level that is not reached comes last."""
    levels = sorted(PSNR_LEVELS_DB, key=lambda level: abs(level - np.median(PSNR_LEVELS_DB)))
    return [rate if rate == rate else np.inf for rate in map(curve.bpp_at, levels)]


def parameters_of(setting: str) -> dict[str, str]:
    """The parameters of a setting's text; a part without ``=`` goes on with the value before it.

    >>> parameters_of("layers=20,10,mct=0")
    {'layers': '20,10', 'mct': '0'}
    """
    parameters: dict[str, str] = {}
    name = ""
    for part in setting.split(",") if setting else ():
        if "=" in part:
            name, _, parameters[name] = part.partition("=")
        elif name:
            parameters[name] += f",{part}"
    return parameters


def _stream_names(settings: Iterable[str]) -> dict[str, str]:
    """As :func:`short_settings`, without what only says which pictures are shown, if the rest tells settings apart.

    >>> _stream_names(["steps=4,points=6", "steps=20,points=4"])
    {'steps=4,points=6': 'steps=4', 'steps=20,points=4': 'steps=20'}
    """
    names = short_settings(settings)
    told = {
        setting: ",".join(f"{key}={value}" for key, value in parameters_of(name).items() if key not in _OF_PICTURES)
        for setting, name in names.items()
    }
    return told if len(set(told.values())) == len(names) else names


def _curves_of(codec: str, rows: pd.DataFrame) -> list[Curve]:
    """A curve for each stream of several points, and for each family of settings of one; by reconstruction."""
    layered = rows.groupby("setting")["point"].transform("nunique") > 1
    family = rows["setting"].map(families(rows.loc[~layered & (rows.exact < rows.n), "setting"].unique()))
    streams = _stream_names(rows.loc[layered, "setting"].unique())
    kind = "" if is_ideal(rows).all() else "progressive "
    names = [f"{kind}{streams.get(setting, '')}" for setting in rows["setting"]]
    rows = rows.assign(family=family.where(~layered, names))
    grouped = list(rows[rows.exact < rows.n].groupby(["family", "reconstruction"]))
    n_families, n_ways = (len({name[position] for name, _ in grouped}) for position in (0, 1))
    found = []
    for (name, way), points in grouped:
        parts = [codec, *([name] if n_families > 1 else []), *([way] if n_ways > 1 else [])]
        ideal = bool(is_ideal(points).all())
        parts += [f"= {_ALSO_CALLED[way]}"] if ideal and way in _ALSO_CALLED else []
        label = labelled(" ".join(str(part).strip() for part in parts if part), ideal)
        points = points.sort_values(["rate_bpp", "point_index"], kind="stable")
        found.append(Curve(codec, label, points, ideal, str(way)))
    return found
