"""The short table of a run: what each codec needs for equal quality, in a few lines of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uqdm.bench.curves import PSNR_LEVELS_DB, Curve, curves, lossless
from uqdm.bench.results import plots_dir, read_summary, report_path, rows_dir, summary_path
from uqdm.bench.schema import STATUS_SKIPPED

if TYPE_CHECKING:
    import pandas as pd

NONE = "-"
ROUGH_DB = 5
"""Points further apart than this make what is interpolated between them doubtful."""

_LINES = 20  # lines of codecs in a short table; the full table is in the summary
_ERROR_LENGTH = 160  # characters of a reason


@dataclass(frozen=True)
class Line:
    """One codec on one data set, one way to make pictures.

    A rate that is not reached is None; ``rough`` says which rates lie between points over ``ROUGH_DB`` apart.
    """

    dataset: str
    label: str
    bpp_at: tuple[float | None, ...]
    rough: tuple[bool, ...]
    lossless_bpp: float | None
    n: int
    failed: int

    def cells(self) -> list[str]:
        """The line as text, as under :data:`HEADINGS`."""
        marks = ["~" if rough else "" for rough in (*self.rough, False)]
        rates = (*self.bpp_at, self.lossless_bpp)
        texts = [NONE if rate is None else f"{mark}{rate:.3f}" for rate, mark in zip(rates, marks, strict=True)]
        return [self.label, *texts, str(self.n), str(self.failed)]


HEADINGS = ("codec", *(f"{level} dB" for level in PSNR_LEVELS_DB), "lossless", "images", "failed")


def lines(summary: pd.DataFrame) -> list[Line]:
    """A line for each curve and each codec that has none but ran, lowest rate first."""
    return [line for _, data in summary.groupby(["dataset", "fingerprint"]) for line in _dataset_lines(data)]


def absences(summary: pd.DataFrame) -> list[str]:
    """What is not in the curves, and why: skipped codecs, and images that failed; one text each.

    The full reasons are in the summary's column ``error``.
    """
    texts = []
    for (dataset, codec), rows in summary[summary.error.notna()].groupby(["dataset", "codec"]):
        on = f" on {dataset}" if summary.dataset.nunique() > 1 else ""
        skipped = rows[rows.status == STATUS_SKIPPED]
        failed = rows[rows.failed > 0]
        if len(skipped):
            texts.append(f"{codec}{on} skipped: {skipped.error.iloc[0]}")
        if len(failed):
            count = int(failed.drop_duplicates("setting").failed.sum())
            texts.append(f"{codec}{on}: {count} failed, the first with {failed.error.iloc[0]}")
    return texts


def short_table(summary: pd.DataFrame) -> str:
    """At most 25 lines of text: bits per pixel of each codec at a few PSNR levels and lossless.

    Rates between the measured points are interpolated (see :meth:`uqdm.bench.curves.Curve.bpp_at`).
    """
    text = []
    found = lines(summary)
    for dataset in dict.fromkeys(line.dataset for line in found):
        text.append(
            f"{dataset}: bits per pixel at equal PSNR (interpolated, ~ over more than {ROUGH_DB} dB) and lossless"
        )
        text += _aligned([list(HEADINGS), *(line.cells() for line in found if line.dataset == dataset)])
    if len(text) > _LINES:
        text = [*text[:_LINES], f"... and {len(text) - _LINES} lines more: see the summary"]
    gone = [_shortened(reason) for reason in absences(summary)]
    return "\n".join([*text, *gone[:3], *([f"... and {len(gone) - 3} reasons more: see the report"] * (len(gone) > 3))])


def closing_message(run_dir: Path) -> str:
    """What a run ends with: its short table, and where its report, plots, summary and rows are, if they are there."""
    places = {
        "report": report_path(run_dir),
        "plots": plots_dir(run_dir),
        "summary": summary_path(run_dir),
        "as CSV": summary_path(run_dir, ".csv"),
        "rows": rows_dir(run_dir),
    }
    table = [short_table(read_summary(run_dir)), ""] if summary_path(run_dir).is_file() else []
    return "\n".join([*table, *(f"{name:8} {path}" for name, path in places.items() if path.exists())])


def _dataset_lines(summary: pd.DataFrame) -> list[Line]:
    drawn = curves(summary)
    exact = lossless(summary).set_index("codec")["bpp"]
    ran = summary[summary.status != STATUS_SKIPPED]
    found = [_line(summary, curve.codec, curve, exact.get(curve.codec)) for curve in drawn]
    bare = [
        _line(summary, codec, None, exact.get(codec)) for codec in set(ran.codec) - {curve.codec for curve in drawn}
    ]
    return found + sorted(bare, key=lambda line: (line.lossless_bpp or math.inf, line.label))


def _line(summary: pd.DataFrame, codec: str, curve: Curve | None, exact_bpp: float | None) -> Line:
    rows = summary[summary.codec == codec]
    rates = [curve.bpp_at(level) if curve else math.nan for level in PSNR_LEVELS_DB]
    return Line(
        dataset=str(summary.dataset.iloc[0]),
        label=curve.label if curve else codec,
        rough=tuple(curve is not None and curve.gap_db(level) > ROUGH_DB for level in PSNR_LEVELS_DB),
        bpp_at=tuple(None if math.isnan(rate) else rate for rate in rates),
        lossless_bpp=None if exact_bpp is None else float(exact_bpp),
        n=int((curve.points if curve else rows).n.max()),
        failed=int(rows.drop_duplicates("setting").failed.sum()),
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width; the first is text, the others are figures."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    return ["  ".join(row) for row in padded]


def _shortened(text: str) -> str:
    return text if len(text) <= _ERROR_LENGTH else f"{text[: _ERROR_LENGTH - 3]}..."
