"""The claims of theory about realism, judged by the pictures of a contest; the figures are those of ``bench plane``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uqdm.bench.analysis.curves import Curve
from uqdm.bench.analysis.options import FAITHFUL
from uqdm.bench.analysis.plane import CANNOT_TELL, FAILS, HOLDS, RATE, STREAM, make_plane
from uqdm.bench.contest.curves import Entrant, value_at
from uqdm.bench.contest.options import PageOptions
from uqdm.bench.report.results_table import Cell, Heading, Table
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.tables import records
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd

_DECODED = "decoded"

Row = dict[str, Any]
"""A row of the table of ``uqdm.bench.schema.PLANE``."""


@dataclass(frozen=True)
class Claim:
    """What theory says, the verdict of each curve, and a sentence on all of them."""

    name: str
    text: str
    source: str
    outcome: str
    table: Table


def claims(run_dir: Path, entrants: Sequence[Entrant], page: PageOptions) -> list[Claim]:
    """The claims that the pictures between the lowest and the highest rate of the page can judge; none without any."""
    against = best_faithful(entrants, page)
    try:
        plane = make_plane(run_dir, against=None if against is None else against.label)
    except ResultsError:  # no picture of the run has both a faithful and a realistic kind
        return []
    inside = plane[(plane.rate_bpp >= page.lowest_bpp) & (plane.rate_bpp <= page.highest_bpp)]
    drawn = [curve for one in entrants for curve in one.curves]
    found = [_same_bits(drawn, inside), _flow(drawn, inside)]
    if against is not None:
        found.append(_same_rate(drawn, inside, against))
    return [claim for claim in found if claim is not None]


def best_faithful(entrants: Sequence[Entrant], page: PageOptions) -> Curve | None:
    """The curve of faithful pictures in files with the highest PSNR at the middle rate of the page, if there is one."""
    middle = sorted(page.bpp)[len(page.bpp) // 2]
    faithful = [
        curve
        for one in entrants
        for curve in one.curves
        if not curve.ideal and curve.reconstruction in (*FAITHFUL, _DECODED)
    ]
    psnr_db = {curve.label: value_at(curve, "psnr_db", middle)[0] for curve in faithful}
    known = [curve for curve in faithful if math.isfinite(psnr_db[curve.label])]
    return max(known, key=lambda curve: psnr_db[curve.label], default=None)


def _same_bits(drawn: Sequence[Curve], plane: pd.DataFrame) -> Claim | None:
    return _ratio_claim(
        "same-bits",
        "Realism costs at most twice the squared error of the faithful picture of the same bits",
        "Yan et al. 2021: a sample of all images that the bits may stand for costs exactly twice, a ratio of 1, and "
        "nothing realistic needs more. Above 1 samples have a wrong distribution; below 1 they are not of all images.",
        [(curve, _rows_of(curve, plane[plane.basis == STREAM])) for curve in drawn],
    )


def _same_rate(drawn: Sequence[Curve], plane: pd.DataFrame, against: Curve) -> Claim | None:
    return _ratio_claim(
        "same-rate",
        f"Realism costs at most twice the squared error of {against.label}, the best faithful codec at the same rate",
        "The same bound, of the best codec of this page. What is above 1 is lost in a codec's bits or in its samples. "
        "Perfect realism below 1 takes common randomness (Yan et al. 2021).",
        [(curve, _rows_of(curve, plane[plane.basis == RATE])) for curve in drawn],
    )


def _ratio_claim(name: str, text: str, source: str, rows: Iterable[tuple[Curve, list[Row]]]) -> Claim | None:
    judged = [(curve, [row for row in found if isinstance(row["verdict"], str)]) for curve, found in rows]
    judged = [(curve, found) for curve, found in judged if found]
    if not judged:
        return None
    headings = [Heading("pictures"), Heading("points", numeric=True), Heading("rates, bpp")]
    headings += [Heading("squared error over twice the least", "of all points; its 95 % interval at the largest")]
    headings += [Heading("verdict", "of all points together")]
    verdicts = [overall([row["verdict"] for row in found]) for _, found in judged]
    cells = [_ratio_cells(curve, found, said) for (curve, found), said in zip(judged, verdicts, strict=True)]
    return Claim(name, text, source, _outcome(verdicts), Table(headings, cells))


def _ratio_cells(curve: Curve, rows: list[Row], said: str) -> list[Cell]:
    largest = max(rows, key=lambda row: row["ratio"])
    ends = largest["ratio_low"], largest["ratio_high"]
    interval = "no interval" if any(map(math.isnan, ends)) else f"{ends[0]:.2f} to {ends[1]:.2f}"
    ratios = Cell(_span([row["ratio"] for row in rows]), largest["ratio"], interval)
    return [*_place_cells(curve, rows), ratios, Cell(said, said)]


def _place_cells(curve: Curve, rows: list[Row]) -> list[Cell]:
    rates = [row["rate_bpp"] for row in rows]
    return [
        Cell(curve.label, curve.label),
        Cell(str(len(rows)), len(rows)),
        Cell(_span(rates), min(rates)),
    ]


def _span(values: Sequence[float]) -> str:
    """The least and the greatest value.

    >>> _span([0.5, 0.25]), _span([0.5])
    ('0.25 to 0.50', '0.50')
    """
    ends = dict.fromkeys(f"{end:.2f}" for end in (min(values), max(values)))
    return " to ".join(ends)


def overall(verdicts: Sequence[str]) -> str:
    """The verdict of several points: that of all of them, or what some of them contradict.

    >>> overall(["holds", "holds"]), overall(["holds", "fails"]), overall(["holds", "cannot be told"])
    ('holds', 'fails', 'cannot be told')
    """
    if FAILS in verdicts:
        return FAILS
    return HOLDS if set(verdicts) == {HOLDS} else CANNOT_TELL


def _outcome(verdicts: Sequence[str]) -> str:
    """How many curves have each verdict.

    >>> _outcome(["holds", "fails", "holds"])
    'Holds for 2 curves; fails for 1 curve.'
    """
    parts = [f"{said} for {counted(verdicts.count(said), 'curve')}" for said in (HOLDS, FAILS) if said in verdicts]
    parts += [f"{CANNOT_TELL} of {counted(verdicts.count(CANNOT_TELL), 'curve')}"] if CANNOT_TELL in verdicts else []
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _flow(drawn: Sequence[Curve], plane: pd.DataFrame) -> Claim | None:
    """The gain of the second realistic picture of a point over the first: of the flow over samples."""
    gained = [(curve, _rows_of(curve, plane[plane.gain_db.notna()])) for curve in drawn]
    gained = [(curve, found) for curve, found in gained if found]
    if not gained:
        return None
    headings = [Heading("pictures"), Heading("points", numeric=True), Heading("rates, bpp")]
    headings += [Heading("gain at the lowest rate, dB", numeric=True), Heading("at the highest rate, dB", numeric=True)]
    headings += [
        Heading("largest gain, dB", numeric=True),
        Heading("verdict", "holds if the gain is above 0 everywhere"),
    ]
    verdicts = [overall([_gain_verdict(row) for row in found]) for _, found in gained]
    cells = [_gain_cells(curve, found, said) for (curve, found), said in zip(gained, verdicts, strict=True)]
    return Claim(
        "flow",
        "The probability flow is nearer to the original than ancestral samples of the same bits, by up to 3 dB",
        "Theis et al. 2022: the gain of DiffC-F over DiffC-A tends to 3 dB as the rate grows.",
        _outcome(verdicts),
        Table(headings, cells),
    )


def _gain_verdict(row: Row) -> str:
    if row["gain_db_low"] > 0:
        return HOLDS
    return FAILS if row["gain_db_high"] < 0 else CANNOT_TELL


def _gain_cells(curve: Curve, rows: list[Row], said: str) -> list[Cell]:
    by_rate = sorted(rows, key=lambda row: row["rate_bpp"])
    shown = [by_rate[0], by_rate[-1], max(rows, key=lambda row: row["gain_db"])]
    gains = [
        Cell(f"{row['gain_db']:+.2f}", row["gain_db"], f"{row['gain_db_low']:+.2f} to {row['gain_db_high']:+.2f}")
        for row in shown
    ]
    return [*_place_cells(curve, rows), *gains, Cell(said, said)]


def _rows_of(curve: Curve, plane: pd.DataFrame) -> list[Row]:
    """The rows of a curve's pictures."""
    names = ("codec", "setting", "point", "reconstruction")
    key: Callable[[Row], tuple[Any, ...]] = lambda row: tuple(row[name] for name in names)  # noqa: E731
    own = set(map(key, records(curve.points)))
    return [row for row in records(plane) if key(row) in own]
