"""Verdicts of a contest: those of ``bench plane`` at the points of each curve, taken together."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from uqdm.bench.analysis.plane import CANNOT_TELL, FAILS, HOLDS, STREAM, make_plane
from uqdm.bench.contest.claims import best_faithful, claims
from uqdm.bench.contest.curves import Entrant, entrants, value_at
from uqdm.bench.contest.options import PageOptions
from uqdm.bench.run.summary_reader import read_summary

PAGE = PageOptions(bpp=(2.0, 4.0), lowest_bpp=1.0, highest_bpp=20.0)


@pytest.fixture(scope="module")
def taking_part(contest_run: Path) -> list[Entrant]:
    return entrants(read_summary(contest_run), {"small": "", "first": "", "second & third": ""}, {})


def test_the_best_faithful_curve_is_that_of_the_highest_psnr_at_the_middle_rate(taking_part: list[Entrant]) -> None:
    best = best_faithful(taking_part, PAGE)
    assert best is not None
    drawn = [curve for one in taking_part for curve in one.curves]
    values = {curve.label: value_at(curve, "psnr_db", 4.0)[0] for curve in drawn if curve.reconstruction != "flow"}
    values.pop("small ancestral")
    assert values[best.label] == max(value for value in values.values() if value == value)
    assert best_faithful([], PAGE) is None


def test_each_claim_has_the_figures_of_the_points_of_its_curves(contest_run: Path, taking_part: list[Entrant]) -> None:
    found = {claim.name: claim for claim in claims(contest_run, taking_part, PAGE)}
    assert list(found) == ["same-bits", "flow", "same-rate"]
    plane = make_plane(contest_run)
    inside = plane[(plane.basis == STREAM) & plane.rate_bpp.between(PAGE.lowest_bpp, PAGE.highest_bpp)]
    sampled = inside[(inside.reconstruction == "ancestral") & inside.verdict.notna()]
    rows = {row[0].text: row for row in found["same-bits"].table.rows}
    assert set(rows) == {"small ancestral", "small flow"}
    cells = rows["small ancestral"]
    assert cells[1].value == len(sampled)
    assert cells[3].value == pytest.approx(sampled.ratio.max(), rel=1e-12)
    verdicts = set(sampled.verdict)
    assert cells[-1].text == (FAILS if FAILS in verdicts else HOLDS if verdicts == {HOLDS} else CANNOT_TELL)
    flown = inside[(inside.reconstruction == "flow") & inside.gain_db.notna()].sort_values("rate_bpp")
    (gains,) = found["flow"].table.rows
    assert gains[0].text == "small flow"
    assert [cell.value for cell in gains[3:6]] == [flown.gain_db.iloc[0], flown.gain_db.iloc[-1], flown.gain_db.max()]


def test_points_outside_of_the_rates_are_not_judged(contest_run: Path, taking_part: list[Entrant]) -> None:
    low = dataclasses.replace(PAGE, lowest_bpp=1e-6, highest_bpp=1e-5)
    assert claims(contest_run, taking_part, low) == []


def test_without_a_codec_of_two_pictures_there_is_no_claim(contest_run: Path, taking_part: list[Entrant]) -> None:
    assert claims(contest_run, [one for one in taking_part if one.name == "first"], PAGE) == []
