"""Means that are not in the summary, with intervals over images: ideal rates, and rates at equal PSNR."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uqdm.bench.analysis import bootstrap
from uqdm.bench.paper.judge import Estimate
from uqdm.bench.paper.protocol import Place
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.schema import STATUS_OK

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["codec", "setting", "point", "reconstruction", "image_index", "height", "width"]
_COLUMNS += ["ideal_bits", "bpp", "mse", "psnr_db", "status"]


class Estimates:
    """Reads the rows of a run when they are first needed."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._resampled: dict[tuple[str, ...], tuple[np.ndarray, np.ndarray]] = {}

    def ideal_rate(self, setting: str, place: Place) -> Estimate:
        """Mean over images of the model's ideal bits per pixel."""
        rows = self._rows(setting, place)
        values = (rows.ideal_bits / (rows.height * rows.width)).to_numpy()
        (mean,), (low,), (high,) = bootstrap.mean_intervals(values[:, None])
        return Estimate(float(mean), float(low), float(high))

    def overhead_percent(self, setting: str, place: Place) -> Estimate:
        """Mean rate of the files over the mean ideal rate, minus one, in percent."""
        rows = self._rows(setting, place)
        both = np.stack([rows.bpp, rows.ideal_bits / (rows.height * rows.width)], axis=1)
        file_bpp, ideal_bpp = bootstrap.column_means(both)
        value = 100 * float(file_bpp / ideal_bpp - 1)
        if len(both) < 2:
            return Estimate(value)
        resampled = bootstrap.resampled_means(both)
        return Estimate(value, *bootstrap.interval_around(value, 100 * (resampled[:, 0] / resampled[:, 1] - 1)))

    def rate_at_psnr(self, settings: Sequence[str], place: Place, psnr_db: float) -> Estimate:
        """Rate at a PSNR on the curve through the means of some settings; NaN where the curve does not reach it.

        ``place`` is a point of the curve; the others differ from it in the setting only. Between neighbours the curve
        is linear in dB and log rate. The interval is that of the rates of resampled images; resamples whose curve does
        not reach the PSNR are skipped.
        """
        key = (place.codec, *settings)
        if key not in self._resampled:
            self._resampled[key] = _resample([self._rows(setting, place) for setting in settings])
        rates_bpp, psnrs_db = self._resampled[key]
        found = [_rate_at(rates, psnrs, psnr_db) for rates, psnrs in zip(rates_bpp, psnrs_db, strict=True)]
        inside = np.array(found[1:])[~np.isnan(found[1:])]
        if math.isnan(found[0]) or len(inside) < bootstrap.N_RESAMPLES / 2:
            return Estimate(found[0])
        return Estimate(found[0], *bootstrap.interval_around(found[0], inside))

    @functools.cached_property
    def _all(self) -> pd.DataFrame:
        rows = read_rows(self._run_dir, _COLUMNS)
        return rows[rows.status == STATUS_OK]

    def _rows(self, setting: str, place: Place) -> pd.DataFrame:
        rows = self._all
        rows = rows[(rows.codec == place.codec) & (rows.setting == setting)]
        return rows[(rows.point == place.point) & (rows.reconstruction == place.reconstruction)]


def _resample(of_settings: Sequence[pd.DataFrame]) -> tuple[np.ndarray, np.ndarray]:
    """Mean rates and PSNRs [1 + resamples, settings]: first those of all images, then those of each resample."""
    rows = [one.sort_values("image_index") for one in of_settings]
    rates_bpp = np.stack([one.bpp.to_numpy() for one in rows], axis=1)
    psnrs_db = np.stack([one.psnr_db.mask(one.mse == 0).to_numpy() for one in rows], axis=1)
    both = np.concatenate([rates_bpp, psnrs_db], axis=1)
    means = bootstrap.column_means(both)[None]
    if len(both) > 1:
        means = np.concatenate([means, bootstrap.resampled_means(both)])
    mean_rates_bpp, mean_psnrs_db = np.split(means, 2, axis=1)
    return mean_rates_bpp, mean_psnrs_db


def _rate_at(rates_bpp: np.ndarray, psnrs_db: np.ndarray, psnr_db: float) -> float:
    """Rate at a PSNR between the points of one curve; NaN outside."""
    order = np.argsort(psnrs_db)
    psnrs_db, rates_bpp = psnrs_db[order], rates_bpp[order]
    if not psnrs_db[0] <= psnr_db <= psnrs_db[-1]:  # also where one is NaN, which sorts last
        return math.nan
    return float(np.exp(np.interp(psnr_db, psnrs_db, np.log(rates_bpp))))
