"""The curves of a contest: those of each contestant, faithful pictures first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from uqdm.bench.analysis.curves import Curve, curves, variant_names, variants
from uqdm.bench.schema import STATUS_OK, STATUS_REFERENCE
from uqdm.registry import suggest

if TYPE_CHECKING:
    import pandas as pd

_WAYS = ("decoded", "denoise", "mean", "ancestral", "sample", "flow")
"""Kinds of pictures in their order: faithful ones, then realistic ones."""


@dataclass(frozen=True)
class Entrant:
    """A contestant with its curves in the run; ``absent`` says why it has none."""

    name: str
    about: str
    codec: str = ""
    curves: tuple[Curve, ...] = ()
    absent: str = ""


def entrants(summary: pd.DataFrame, named: Mapping[str, str], absent: Mapping[str, str]) -> list[Entrant]:
    """The contestants in their order, from a summary of one data set.

    ``named`` are their names, which are labels or codecs of the run, with what each is; empty for all of the run.
    ``absent`` has the reasons of those that were not run. Raises ValueError for a name that the run does not have and
    that is not absent.
    """
    known = _variants_of(summary)
    drawn = curves(summary[summary.status == STATUS_OK])
    chosen = named or dict.fromkeys(known, "")
    for name in chosen:
        if name not in known and name not in absent:
            raise ValueError(f"contestant={name!r}: not in this run{suggest(name, known)}; it has: {', '.join(known)}")
    return [
        Entrant(name, about, absent=absent[name]) if name in absent else _entrant(name, about, known[name], drawn)
        for name, about in chosen.items()
    ]


@dataclass(frozen=True)
class _Ran:
    """The rows of one variant of a codec: its names of curves, and the first error of a row without pictures."""

    codec: str
    indices: frozenset[int]
    error: str


def _variants_of(summary: pd.DataFrame) -> dict[str, _Ran]:
    """What the run has by name, in order of the names: labels, or codecs with the least that distinguishes them."""
    rows = summary[summary.status != STATUS_REFERENCE]
    rows = rows.assign(variant=variants(rows))
    names = variant_names(rows)
    found = {}
    for variant, name in sorted(names.items(), key=lambda item: item[1]):
        own = rows[rows.variant == variant]
        errors = own.error.dropna()
        found[name] = _Ran(variant.codec, frozenset(own.index), "" if errors.empty else str(errors.iloc[0]))
    return found


def _entrant(name: str, about: str, ran: _Ran, drawn: Iterable[Curve]) -> Entrant:
    own = [curve for curve in drawn if set(curve.points.index) <= ran.indices]
    if not own:
        return Entrant(name, about, ran.codec, absent=ran.error or "it has no picture that is not exact")
    return Entrant(name, about, ran.codec, tuple(sorted(own, key=_place)))


def _place(curve: Curve) -> tuple[int, str]:
    way = curve.reconstruction
    return (_WAYS.index(way) if way in _WAYS else len(_WAYS), curve.label)


def within(curve: Curve, lowest_bpp: float, highest_bpp: float) -> Curve:
    """The part of a curve in an interval of rates, with the neighbours on both sides, so that lines reach its ends.

    >>> import pandas as pd
    >>> points = pd.DataFrame({"rate_bpp": [0.1, 0.2, 0.5, 1.0, 2.0], "psnr_db": [20.0, 22.0, 25.0, 28.0, 31.0]})
    >>> within(Curve("jpeg", "jpeg", points), 0.4, 0.6).points.rate_bpp.tolist()
    [0.2, 0.5, 1.0]
    """
    rates = curve.points.rate_bpp.to_numpy(float)
    first = max(int(np.searchsorted(rates, lowest_bpp)) - 1, 0)
    last = int(np.searchsorted(rates, highest_bpp, side="right")) + 1
    return replace(curve, points=curve.points.iloc[first:last])


def value_at(curve: Curve, column: str, rate_bpp: float) -> tuple[float, bool]:
    """A column at a rate, linear in log rate between the points around it, and whether these are far apart.

    NaN where the curve does not reach the rate, or does not have the column.
    """
    from uqdm.bench.analysis.short_table import ROUGH_RATIO

    if column not in curve.points or curve.points_with_bits[column].isna().all():
        return math.nan, False
    found = curve.at_rate(column, rate_bpp)
    return found.value, found.ratio > ROUGH_RATIO
