"""The page of a contest: who takes part, equal rates, pictures, and what it loads."""

from __future__ import annotations

import base64
import io
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from uqdm.bench.analysis.curves import Curve
from uqdm.bench.contest.curves import Entrant, entrants, value_at
from uqdm.bench.contest.figures import drawings
from uqdm.bench.contest.options import PageOptions
from uqdm.bench.contest.page import render_contest
from uqdm.bench.contest.tables import entrant_table, rate_table, shown_metrics
from uqdm.bench.run.summary_reader import read_summary
from uqdm.cli.main import app

NAMED = {"small": "a model", "second & third": "", "first": "JPEG <here>", "nobody": "a codec without a model"}
ABSENT = {"nobody": "no model 'nowhere'"}
OPTIONS = PageOptions(bpp=(2.0, 4.0), lowest_bpp=1.0, highest_bpp=20.0, images=("0", "2"), tolerance_percent=50)


@pytest.fixture(scope="module")
def taking_part(contest_run: Path) -> list[Entrant]:
    return entrants(read_summary(contest_run), NAMED, ABSENT)


@pytest.fixture(scope="module")
def html(contest_run: Path) -> str:
    return render_contest(contest_run, OPTIONS, NAMED, ABSENT)


class Pictures(HTMLParser):
    """Attributes of the ``img`` elements of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.found.append({name: value or "" for name, value in attrs})


def decoded(source: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGB"))


def test_contestants_are_in_their_order_and_faithful_pictures_come_first(taking_part: list[Entrant]) -> None:
    assert [one.name for one in taking_part] == list(NAMED)
    labels = [[curve.label for curve in one.curves] for one in taking_part]
    assert labels == [["small denoise", "small ancestral", "small flow"], ["second & third"], ["first"], []]
    assert [one.absent for one in taking_part] == ["", "", "", "no model 'nowhere'"]


def test_without_names_all_of_the_run_takes_part(contest_run: Path) -> None:
    found = {one.name: one for one in entrants(read_summary(contest_run), {}, {})}
    assert set(found) == {"first", "second & third", "small", "toy-absent"}
    assert found["toy-absent"].absent.endswith("libtoy is not installed; install it from its home page")


def test_a_name_that_the_run_does_not_have_is_an_error_with_suggestions(contest_run: Path) -> None:
    with pytest.raises(ValueError, match=r"contestant='firt': not in this run .did you mean first"):
        entrants(read_summary(contest_run), {"firt": ""}, {})


def test_values_at_a_rate_lie_between_the_points_around_it(taking_part: list[Entrant]) -> None:
    curve = taking_part[2].curves[0]
    rates, psnr = (curve.points[name].to_numpy(float) for name in ("rate_bpp", "psnr_db"))
    middle = math.sqrt(rates[1] * rates[2])
    value, is_rough = value_at(curve, "psnr_db", middle)
    assert value == pytest.approx((psnr[1] + psnr[2]) / 2, rel=1e-12)
    assert is_rough == (rates[2] / rates[1] > 2)
    assert math.isnan(value_at(curve, "psnr_db", rates[0] / 2)[0])
    assert math.isnan(value_at(curve, "lpips", middle)[0])


def test_the_table_at_a_rate_has_metrics_calls_and_times_of_every_curve(taking_part: list[Entrant]) -> None:
    metrics = shown_metrics(taking_part)
    assert [metric.name for metric in metrics] == ["psnr_db", "ssim"]
    table = rate_table(taking_part, metrics, 8.0).table
    assert [heading.text for heading in table.headings] == [
        "codec and picture", "PSNR, dB", "SSIM", "calls to encode", "calls to decode", "encode, ms", "decode, ms",
    ]  # fmt: skip
    by_label = {row[0].text: row for row in table.rows}
    assert list(by_label) == ["small denoise", "small ancestral", "small flow", "second & third", "first"]
    curve = taking_part[0].curves[0]
    assert by_label["small denoise"][1].value == pytest.approx(value_at(curve, "psnr_db", 8.0)[0], rel=1e-12)
    assert float(by_label["small ancestral"][4].value) >= float(by_label["small denoise"][4].value)
    beyond = rate_table(taking_part, metrics, 1e4).table
    assert {cell.text for row in beyond.rows for cell in row[1:]} == {"-"}


def test_the_table_of_contestants_says_who_was_not_run_and_why(taking_part: list[Entrant]) -> None:
    rows = [[cell.text for cell in row] for row in entrant_table(taking_part).rows]
    assert rows[0][:5] == ["small", "uqdm", "a model", "files", "denoise, ancestral, flow"]
    assert rows[0][-1] == "yes"
    assert rows[3] == ["nobody", "-", "a codec without a model", "-", "-", "-", "not run: no model 'nowhere'"]


def test_pictures_are_those_of_the_run_beside_the_original(html: str) -> None:
    shown = [one for one in Pictures(html).found if "original" in one["alt"] or " bpp" in one["alt"]]
    originals = [one for one in shown if ", original, " in one["alt"]]
    assert len(originals) == 2 * len(OPTIONS.bpp)
    assert decoded(originals[0]["src"]).shape == (24, 32, 3)
    assert {one["alt"].split(", ")[1] for one in shown} >= {"original", "second & third", "first"}


def test_the_page_is_one_file_and_escapes_what_comes_from_elsewhere(html: str) -> None:
    assert "default-src 'none'" in html.replace("&#39;", "'")
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", html)
    assert "JPEG &lt;here&gt;" in html
    assert "not run: no model" in html
    assert re.findall(r'<h3 id="([\w-]+)"', html) == [
        "claim-same-bits", "claim-flow", "claim-same-rate", "rate-psnr_db", "rate-ssim",
    ]  # fmt: skip


def test_there_is_a_plot_for_each_metric_that_has_values_at_the_rates(
    taking_part: list[Entrant], contest_run: Path
) -> None:
    metrics = shown_metrics(taking_part)
    found = drawings(taking_part, metrics, OPTIONS)
    assert [one.name for one in found] == ["rate-psnr_db", "rate-ssim"]
    svg = base64.b64decode(found[0].source.partition(",")[2]).decode()
    assert all(label in svg for label in ("small denoise", "small ancestral", "first", "second &amp; third"))
    nowhere = PageOptions(bpp=(1e5,), lowest_bpp=1e5, highest_bpp=1e6)
    assert drawings(taking_part, metrics, nowhere) == []


def test_a_plane_joins_the_pictures_of_a_contestant_at_each_rate() -> None:
    points = pd.DataFrame(
        {"rate_bpp": [0.1, 1.0], "psnr_db": [20.0, 30.0], "lpips": [0.4, 0.1], "kid": [0.2, 0.1], "setting": ["", ""]}
    )
    points = points.assign(exact=0, rate_bpp_low=np.nan, rate_bpp_high=np.nan, ideal_bits=1.0, codec="toy")
    points = points.assign(bpp=points.rate_bpp, rate_kind="file", mse=1.0, ideal_bpp=np.nan)
    ways = [Curve("toy", f"toy {way}", points, reconstruction=way) for way in ("denoise", "ancestral")]
    one = Entrant("toy", "", "toy", tuple(ways))
    page = PageOptions(bpp=(0.2, 0.5), lowest_bpp=0.1, highest_bpp=1.0, realism=("lpips", "kid"))
    names = [drawing.name for drawing in drawings([one], shown_metrics([one]), page)]
    assert names[-2:] == ["plane-lpips", "plane-kid"]


def test_the_command_writes_the_page_into_the_run(contest_run: Path) -> None:
    arguments = ["bench", "contest", str(contest_run), "--bpp", "2,8", "--lowest-bpp", "1", "--highest-bpp", "20"]
    done = CliRunner().invoke(app, [*arguments, "--contestant", "first=JPEG", "--absent", "gone=no = model"])
    assert done.exit_code == 0, done.output
    page = contest_run / "contest.html"
    assert done.stdout.splitlines()[0] == str(page)
    assert "<!doctype html>" in page.read_text()
    wrong = CliRunner().invoke(app, [*arguments, "--contestant", "first"])
    assert "--contestant 'first': expected NAME=TEXT" in str(wrong.exception)


def test_rates_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"highest_bpp=0\.1: must be above lowest_bpp=0\.1"):
        PageOptions(highest_bpp=0.1)
    with pytest.raises(ValueError, match=r"bpp=-1\.0: must be above 0"):
        PageOptions(bpp=(-1.0,))
