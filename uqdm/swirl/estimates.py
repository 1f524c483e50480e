"""The measurements of all seeds, with intervals over both seeds and points."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.bootstrap import LEVEL, column_means, mean_of
from uqdm.bench.metrics.sliced_wasserstein import sliced_wasserstein
from uqdm.bench.run.errors import ResultsError
from uqdm.swirl.measure import held_out
from uqdm.swirl.rates import PARTS

if TYPE_CHECKING:
    import pandas as pd

SystemAtT = tuple[str, int]
"""Name of a system, and its T."""
N_DIRECTIONS = 200
PEAK = 255
N_FLOORS = 8
"""Number of pairs of independent sets for the floor of the sliced Wasserstein distance."""


@dataclass(frozen=True)
class MeanWithInterval:
    """A mean over seeds and points with the ends of its interval, and the lowest and highest mean of a seed."""

    mean: float
    low: float
    high: float
    least: float
    most: float


class SwirlResults:
    """The results of some seeds below a run's folder. Raises :class:`uqdm.bench.run.errors.ResultsError`."""

    def __init__(self, run_dir: Path, seeds: Sequence[int]):
        self._folder, self.seeds = run_dir / "measured", list(seeds)
        for seed in self.seeds:
            if not (self._folder / f"seed{seed}.json").is_file():
                raise ResultsError(f"{self._folder}: seed {seed} was not measured; run `snakemake paper_swirl`")
        self.about = [json.loads((self._folder / f"seed{seed}.json").read_text()) for seed in self.seeds]

    @functools.cache  # noqa: B019 (the object lives only while a report is written)
    def table(self, name: str) -> pd.DataFrame:
        """One of the tables of :mod:`uqdm.swirl.measure` for all seeds, with a column ``seed``."""
        import pandas as pd

        parts = {seed: pd.read_parquet(self._folder / f"{name}-seed{seed}.parquet") for seed in self.seeds}
        return pd.concat([part.assign(seed=seed) for seed, part in parts.items()], ignore_index=True)

    @functools.cached_property
    def rates_bpd(self) -> dict[SystemAtT, np.ndarray]:
        """NELBO of each seed and point, [seeds, points]."""
        table = self.table("nelbo")
        total = table.assign(total=table[[f"{part}_bpd" for part in PARTS]].sum(axis=1))
        return {key: part.total.to_numpy().reshape(len(self.seeds), -1) for key, part in _by_key(total)}

    def steps(self, system: str) -> list[int]:
        """The measured T of a system, in order."""
        return sorted(n for name, n in self.rates_bpd if name == system)

    def rate(self, key: SystemAtT) -> MeanWithInterval:
        """NELBO in bits per dimension."""
        return estimate(self.rates_bpd[key])

    def difference(self, first: SystemAtT, second: SystemAtT) -> MeanWithInterval:
        """NELBO of the first minus that of the second, on the same seeds and points."""
        return estimate(self.rates_bpd[first] - self.rates_bpd[second])

    def ratio(self, first: SystemAtT, second: SystemAtT) -> MeanWithInterval:
        """NELBO of the first divided by that of the second; its interval is by linearization of the ratio."""
        above, below = self.rates_bpd[first], self.rates_bpd[second]
        whole = above.mean() / below.mean()
        linear = estimate(whole + (above - whole * below) / below.mean())
        return _estimate(linear.mean, linear.high - linear.mean, above.mean(axis=1) / below.mean(axis=1))

    # ---- sets of points -------------------------------------------------------------------------------------

    @property
    def n_sampled(self) -> int:
        """Points in a set of samples."""
        return int(self.about[0]["sampled_points"])

    @functools.cached_property
    def reference(self) -> np.ndarray:
        """The reference set for samples and reconstructions: used neither in training nor in coding."""
        return held_out(self.n_sampled, 2)

    @functools.cached_property
    def floor(self) -> np.ndarray:
        """Distances between the reference set and independent sets of data with the same number of points."""
        return np.array([distance(self.reference, held_out(self.n_sampled, 3 + i)) for i in range(N_FLOORS)])

    @functools.cached_property
    def samples(self) -> dict[SystemAtT, np.ndarray]:
        """Sliced Wasserstein distance of each seed's samples to the reference set, [seeds]."""
        return {
            key: np.array([distance(self.reference, one[["x", "y"]]) for _, one in part.groupby("seed")])
            for key, part in _by_key(self.table("samples"))
        }

    @functools.cached_property
    def curves(self) -> dict[SystemAtT, list[dict[str, Any]]]:
        """For each system that is sent step by step, its prefixes: ``known``, ``rate_bpd``, ``psnr_db``, ``distance``.

        PSNR is that of the mean squared error over all points and coordinates; its interval is over seeds and points,
        and ``distance_low`` and ``distance_high`` are the lowest and highest values of the seeds.
        """
        tables = _by_key(self.table("progressive"))
        return {key: [self._place(one) for _, one in part.groupby("known")] for key, part in tables}

    def _place(self, rows: pd.DataFrame) -> dict[str, Any]:
        drawn, originals = (rows[names].to_numpy(np.float64) for names in (["x", "y"], ["original_x", "original_y"]))
        errors = ((drawn - originals) ** 2).mean(axis=1).reshape(len(self.seeds), -1)
        psnr_db = float(_psnr_db(errors.mean()))
        half_db = _half_db(estimate(errors))
        distances = [distance(self.reference, one[["x", "y"]]) for _, one in rows.groupby("seed")]
        return {
            "known": int(rows.known.iloc[0]),
            "rate_bpd": float(rows.rate_bpd.mean()),
            "psnr_db": psnr_db,
            "psnr_db_low": psnr_db - half_db,
            "psnr_db_high": psnr_db + half_db,
            "distance": mean_of(np.array(distances)),
            "distance_low": min(distances),
            "distance_high": max(distances),
        }


def _by_key(table: pd.DataFrame) -> list[tuple[SystemAtT, pd.DataFrame]]:
    """The rows of each system and T, in the order of the table."""
    groups: Any = table.groupby(["system", "n_steps"], sort=False)
    return [((str(system), int(n_steps)), part) for (system, n_steps), part in groups]


def estimate(values: np.ndarray) -> MeanWithInterval:
    """The mean of values [seeds, points] over seeds and points, both as random samples.

    Its variance is the sum of that of the seeds' means divided by their number, and that of the points' means divided
    by their number. The interval is Student's, with the degrees of freedom of such a sum (Satterthwaite, Biometrics
    Bulletin 2, 1946). So few seeds that agree by chance do not narrow the interval. With one seed it is that
    over points.

    >>> found = estimate(np.array([[1.0, 3.0], [1.0, 3.0]]))  # two points that differ by 2, two equal seeds
    >>> round(found.mean, 9), round((found.high - found.low) / 2, 2)  # the quantile for one degree of freedom is 12.7
    (2.0, 12.71)
    """
    from scipy.stats import t as student

    parts = [(float(side.var(ddof=1)) / len(side), len(side) - 1) for side in _sides(values)]
    variance = sum(part for part, _ in parts)
    freedom = 1 / sum((part / variance) ** 2 / n for part, n in parts) if variance else 1.0
    half = float(student.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(variance)
    return _estimate(mean_of(values.ravel()), half, column_means(values.T))


def _estimate(mean: float, half: float, by_seed: np.ndarray) -> MeanWithInterval:
    """A mean with its interval, and with the range of the seeds' means extended to contain it."""
    least, most = (float(end) for end in (by_seed.min(), by_seed.max()))
    return MeanWithInterval(mean, mean - half, mean + half, min(least, mean), max(most, mean))


def _sides(values: np.ndarray) -> list[np.ndarray]:
    """Means of the seeds, and of the points, each if there are several."""
    return [side for side in (column_means(values.T), column_means(values)) if len(side) > 1]


def _half_db(mse: MeanWithInterval) -> float:
    """Half the interval of a PSNR, by linearization of the logarithm."""
    return 10 / np.log(10) * (mse.high - mse.low) / 2 / mse.mean if mse.mean else 0.0


def distance(reference: np.ndarray, points: Any) -> float:
    """Sliced 1-Wasserstein distance of points in 0..255, over 255, by ``N_DIRECTIONS`` directions."""
    scaled = [np.asarray(side, np.float64) / PEAK for side in (reference, points)]
    return sliced_wasserstein(*scaled, order=1, n_directions=N_DIRECTIONS)["sliced_wasserstein"]


def _psnr_db(mse: Any) -> Any:
    with np.errstate(divide="ignore"):
        return 10 * np.log10(PEAK**2 / np.asarray(mse))
