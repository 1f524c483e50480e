"""Chooses what is shown of a run: images of low to high rate, points of a stream, progressive codecs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from uqdm.bench.run.rates import is_ideal
from uqdm.bench.schema import STATUS_OK

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

_PLAIN = ("full", "decoded")  # of a whole file, decoded: left out of names


def varied_images(rows: pd.DataFrame, count: int) -> list[int]:
    """Indices of at most ``count`` images that lack no point, from low to high rate.

    Images sorted by rate are cut into equal parts, and the first of the data set in each part is
    taken.
    """
    complete = rows.groupby("image_index")["point"].nunique()
    whole = rows.groupby("image_index")["bpp"].max()[complete == complete.max()].sort_values(kind="stable")
    parts = np.array_split(whole.index.to_numpy(int), min(count, len(whole)))
    return [int(part.min()) for part in parts]


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` items, evenly spread, the first and the last included.

    >>> spread("abcdefg", 3)
    ['a', 'd', 'g']
    """
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]


def telling_points(rows: pd.DataFrame) -> list[str]:
    """The points of a stream that show something new, in their order, from its rows of a few images.

    A point at which no bits of any image are known is left out. Of several points at which every image is exact the one
    of the lowest rate stays, and of equal rates the last one, which is the whole stream.
    """
    found = rows.assign(empty=rows.ideal_bits == 0, exact=rows.mse == 0).groupby("point_index", sort=True)
    points = found.agg({"point": "first", "empty": "all", "exact": "all", "bpp": "mean"})
    told = points[~points["empty"]]
    exact = told[told.exact]
    if len(exact):
        best = exact.index[exact.bpp == exact.bpp.min()].max()
        told = told[~told.exact | (told.index == best)]
    return [str(point) for point in told.point]


def progressive_settings(summary: pd.DataFrame, preferred: str = "uqdm") -> list[tuple[str, str, str]]:
    """Data set, codec and setting of the files of several points; the preferred codec's first, then by name."""
    ok = summary[(summary.status == STATUS_OK) & ~is_ideal(summary)]
    counts = ok.groupby(["dataset", "codec", "setting"], sort=False)["point"].nunique()
    found = [(str(dataset), str(codec), str(setting)) for dataset, codec, setting in counts.index[counts > 1]]
    return sorted(found, key=lambda key: (key[1] != preferred, key))


def place_of(row: Mapping[str, Any], setting: str) -> str:
    """Where a picture is among those of its codec, as text: its setting, ``setting`` in short, point and way of making.

    >>> place_of({"point": "step 2", "reconstruction": "denoise"}, "seed=0")
    'seed=0, step 2, denoise'
    >>> place_of({"point": "full", "reconstruction": "decoded"}, "quality=50")
    'quality=50'
    """
    parts = (setting, *(row[name] for name in ("point", "reconstruction") if row[name] not in _PLAIN))
    return ", ".join(filter(None, parts))
