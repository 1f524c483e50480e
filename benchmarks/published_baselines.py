"""Compares the paper's baselines, measured here, with the paper's own rows on CIFAR-10.

    python benchmarks/published_baselines.py cifar10-part.npz#test

The images are the first of the CIFAR-10 test set (1,017 of them here; the paper's rows are of all 10,000, so its
rows differ from these by sampling too: the 95 % bootstrap interval of the mean is printed with each figure, and with
--limit the differences grow to its width). Rate:
mean over images of whole-file bits per pixel. PSNR: mean over the images that are not exact. Exits 1 if a row is out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from uqdm.bench.analysis.bootstrap import mean_intervals
from uqdm.bench.analysis.curves import Curve
from uqdm.bench.analysis.published_curves import published
from uqdm.bench.datasets import open_dataset
from uqdm.bench.evaluation.measure import measure_images
from uqdm.bench.paper.protocol import EQUAL_PSNR_SHARE, Place, known_difference
from uqdm.codec import codec_class, codec_names, get_codec

RATE_TOLERANCE, PSNR_TOLERANCE_DB = 0.01, 0.15
BPG_ENDS_REASON = "judged at q 10 to 40 only"

Judge = Callable[["Row"], str]


@dataclass(frozen=True)
class Row:
    """One published point and what was measured for it: rate in bits per pixel, PSNR in dB."""

    label: str
    setting: dict[str, Any]
    paper_bpp: float
    paper_psnr_db: float
    bpp: float
    psnr_db: float
    bpp_half_width: float  # of the 95 % interval over images
    psnr_half_width_db: float
    at_equal_psnr: bool = False

    @property
    def rate_change(self) -> float:
        """Relative to the paper."""
        return self.bpp / self.paper_bpp - 1

    @property
    def psnr_change_db(self) -> float:
        """Zero where both are exact."""
        return 0.0 if self.psnr_db == self.paper_psnr_db else self.psnr_db - self.paper_psnr_db


def measure(name: str, settings: dict[str, Any], images: Sequence[np.ndarray]) -> dict[str, float]:
    """Mean rate and PSNR of a codec on the images, each with the half width of its 95 % interval."""
    codec = get_codec(name, **settings)
    rows = pd.DataFrame(measure_images(codec, get_codec(name, **settings), images).rows)
    failed = rows[rows.status != "ok"]
    if not failed.empty:
        raise SystemExit(f"{name} {settings}: {len(failed)} of {len(rows)} images failed: {failed.error.iloc[0]}")
    psnr_db = rows.psnr_db.mask(rows.mse == 0)
    values = np.stack([rows.bpp, psnr_db], axis=1)
    means, low, high = mean_intervals(values)
    widths = (high - low) / 2
    return {
        "bpp": float(means[0]),
        "psnr_db": float(means[1]) if psnr_db.notna().any() else np.inf,
        "bpp_half_width": float(widths[0]),
        "psnr_half_width_db": float(widths[1]),
    }


def rows_of(system: str, settings: Sequence[dict[str, Any]], images: Sequence[np.ndarray]) -> Iterator[Row]:
    """The published points of a system, each with the codec of that name at the setting of the same position."""
    paper = published("cifar10").query("system == @system")
    if len(paper) != len(settings):
        raise SystemExit(f"{system}: {len(settings)} settings for {len(paper)} published points")
    for setting, bpp, psnr_db in zip(settings, paper.bpp, paper.psnr_db, strict=True):
        label = f"{system} " + " ".join(f"{key}={value}" for key, value in setting.items())
        yield Row(label, setting, bpp, psnr_db, **measure(system, setting, images))


def at_equal_psnr(rows: Sequence[Row]) -> list[Row]:
    """The same rows with the rate that the measured curve has at the paper's PSNR (see Curve.bpp_at)."""
    lossy = pd.DataFrame([{"bpp": row.bpp, "psnr_db": row.psnr_db} for row in rows if np.isfinite(row.psnr_db)])
    curve = Curve("bpg", "bpg", lossy.sort_values("bpp"))
    return [
        Row(
            row.label,
            row.setting,
            row.paper_bpp,
            row.paper_psnr_db,
            curve.bpp_at(row.paper_psnr_db),
            row.paper_psnr_db,
            row.bpp_half_width,
            row.psnr_half_width_db,
            at_equal_psnr=True,
        )
        if np.isfinite(row.psnr_db)
        else row
        for row in rows
    ]


def judge_row(row: Row) -> str:
    """Agreement in both figures."""
    ok = abs(row.rate_change) <= RATE_TOLERANCE and abs(row.psnr_change_db) <= PSNR_TOLERANCE_DB
    return "ok" if ok else "OUT"


def judge_jpeg(row: Row) -> str:
    """As any row, but where the library is known to differ."""
    reason = known_difference(Place("jpeg", row.setting), get_codec("jpeg").version)
    return f"differs: {reason}" if reason and judge_row(row) != "ok" else judge_row(row)


def judge_bpg(row: Row) -> str:
    """Rate at equal PSNR for q 10 to 40."""
    if not np.isfinite(row.paper_psnr_db):
        return f"shown: {known_difference(Place('bpg', row.setting), get_codec('bpg').version)}"
    if row.setting.get("quality") not in (10, 20, 30, 40):
        return f"shown: {BPG_ENDS_REASON}"
    return "ok" if abs(row.rate_change) <= EQUAL_PSNR_SHARE else "OUT"


def line_of(row: Row, verdict: str) -> str:
    """One line of the table."""
    rate = f"{row.paper_bpp:9.4f} {row.bpp:9.4f} ±{row.bpp_half_width:.3f} {row.rate_change:+8.2%}"
    if row.at_equal_psnr:
        return f"{row.label:<32} {rate} {row.paper_psnr_db:8.3f} (rate at equal PSNR)    {verdict}"
    width = "" if np.isnan(row.psnr_half_width_db) else f"±{row.psnr_half_width_db:.2f}"
    psnr = f"{row.paper_psnr_db:8.3f} {row.psnr_db:8.3f} {width:>5} {row.psnr_change_db:+7.3f}"
    return f"{row.label:<32} {rate} {psnr}  {verdict}"


def report(title: str, rows: Sequence[Row], judge: Judge) -> int:
    """Prints a table; returns how many rows are out."""
    print(f"\n{title}")
    print(f"{'':<32} {'paper':>9} {'here':>9} {'95 %':>6} {'rate':>8} {'paper':>8} {'here':>8} {'95 %':>5} {'dB':>7}")
    verdicts = [judge(row) for row in rows]
    print("\n".join(line_of(row, verdict) for row, verdict in zip(rows, verdicts, strict=True)))
    return verdicts.count("OUT")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", help="PATH[#KEY] of an .npz file with CIFAR-10 test images")
    parser.add_argument("--limit", type=int, help="only the first N images")
    options = parser.parse_args()
    dataset = open_dataset(f"npz:{options.images}", options.limit)
    images = [dataset.load(index) for index in range(len(dataset))]
    print(f"{dataset.name}: n = {len(images)} images, {dataset.fingerprint}")
    out = 0
    for name, judge in (("jpeg", judge_jpeg), ("jpeg2000", judge_row)):
        sweep = [dict(setting) for setting in codec_class(name).sweep]
        out += report(get_codec(name).version, list(rows_of(name, sweep, images)), judge)
    if "bpg" in codec_names() and codec_class("bpg").missing() is None:
        sweep = [dict(setting) for setting in codec_class("bpg").sweep]
        rows = at_equal_psnr(list(rows_of("bpg", sweep, images)))
        out += report(get_codec("bpg").version, rows, judge_bpg)
    else:
        print("\nbpg: no codec of that name works here; its rows are left out")
    print(f"\n{'every row agrees, or differs for the stated reason' if not out else f'{out} row(s) out'}")
    sys.exit(1 if out else 0)


if __name__ == "__main__":
    main()
