"""Rates and values of a metric of single images, by picture: what curves of single images and resamples are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from uqdm.bench.run.tables import records

if TYPE_CHECKING:
    from uqdm.bench.analysis.curves import Curve

PICTURE = ["codec", "setting", "point", "reconstruction"]
"""The columns that name a picture of an image."""


class CurveValues(NamedTuple):
    """Rates in bpp and values of a metric of the points of a curve, both [images, points], NaN where there is none."""

    bpp: np.ndarray
    quality: np.ndarray


class ImageValues:
    """Rates and values of one metric [images, pictures].

    Both are NaN where an image has no row or no value. The value alone is NaN where it is infinite: an exact image has
    a rate, but no PSNR.
    """

    def __init__(self, ok: pd.DataFrame, metric: str) -> None:
        numbers = ok.groupby(PICTURE, sort=False).ngroup()
        first = ~numbers.duplicated()
        keys = ok.loc[first, PICTURE].itertuples(index=False, name=None)
        self._column = dict(zip(keys, numbers[first], strict=True))
        ids = ok.drop_duplicates("image_index").set_index("image_index")["image_id"].sort_index()
        self.images: pd.Series = ids
        """The ids of the images, by their index in the data set."""
        self.bpp, self.quality = (np.full((len(ids), len(self._column)), np.nan) for _ in range(2))
        place = ids.index.get_indexer(pd.Index(ok.image_index)), numbers.to_numpy()
        self.bpp[place] = ok.rate_bpp.where(ok[metric].notna())
        self.quality[place] = ok[metric].where(np.isfinite(ok[metric]))

    def column(self, picture: Mapping[str, str]) -> int:
        """The column of a picture, named by ``PICTURE``; raises KeyError if no image has it."""
        return self._column[tuple(picture[name] for name in PICTURE)]

    def columns(self, curve: Curve) -> list[int]:
        """The columns of a curve's points that have bits and a value, in order of their rate."""
        found = [self.column(row) for row in records(curve.points_with_bits)]
        return [column for column in found if np.isfinite(self.quality[:, column]).any()]

    def of(self, common: np.ndarray, columns: Sequence[int]) -> CurveValues:
        """The values of some images, a mask, and columns."""
        return CurveValues(self.bpp[common][:, columns], self.quality[common][:, columns])
