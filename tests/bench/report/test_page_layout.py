"""Looks at the report in headless Chromium: order, axes, filter, sorting, themes, widths and print.

The run has what is easily drawn wrong: a setting of 300 characters, a file without bits of the image, a negative KID.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_report_page import RESET, hover, names

from uqdm.bench.analysis.curves import curves
from uqdm.bench.metrics import summary_schema
from uqdm.bench.report import save_report
from uqdm.bench.run.layout import summary_path
from uqdm.bench.run.provenance import with_provenance
from uqdm.bench.run.summary_reader import read_summary, summary_provenance

pytestmark = pytest.mark.slow

LONG = "x" * 300
EMPTY_BPP = 0.05
NEGATIVE_KID = -0.01
PLOTS = ("main-plot", "fid-plot", "kid-plot")
TABLES = ("comparison-table-1", "result-table", "delta-table", "cost-table", "codec-table")
PAPER_WIDTH = 703  # pixels of A4 between its margins

Open = Callable[..., Any]


def make_odd(run_dir: Path) -> None:
    """Gives a run a long setting, a point without bits of the image, and a negative KID."""
    summary, origin = read_summary(run_dir), summary_provenance(run_dir)
    jpeg, bpg = summary.codec == "jpeg", summary.codec == "bpg"
    longest = jpeg & (summary.setting == "quality=10")
    assert longest.sum() == 1
    summary["setting"] = summary.setting.where(~longest, f"quality=10,comment={LONG}")
    empty = bpg & summary.setting.str.startswith("quality=40")
    assert empty.sum() == 1
    at_start = {"bpp": EMPTY_BPP, "bpp_low": EMPTY_BPP, "bpp_high": EMPTY_BPP, "ideal_bpp": 0.0, "psnr_db": 5.0}
    for name, value in at_start.items():
        summary[name] = summary[name].where(~empty, value)
    summary["kid"] = summary.kid.where(~(jpeg & (summary.setting == "quality=90")), NEGATIVE_KID)
    schema = with_provenance(summary_schema(), origin)
    rows = summary.astype(object).where(summary.notna(), None).to_dict("records")
    columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in schema]
    pq.write_table(pa.table(columns, schema=schema), summary_path(run_dir))


@pytest.fixture(scope="module")
def run_dir(browser: Any, reportable_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shutil.copytree(reportable_run, tmp_path_factory.mktemp("odd") / "run")
    make_odd(folder)
    save_report(folder)
    return folder


@pytest.fixture(scope="module")
def opened(browser: Any, run_dir: Path) -> Iterator[Open]:
    """Opens the report at a width and in a colour scheme; pages are kept, with their controls reset."""
    pages: dict[tuple[int, str], Any] = {}
    complaints: list[str] = []

    def open_page(width: int = 1280, scheme: str = "light") -> Any:
        key = (width, scheme)
        if key not in pages:
            page = pages[key] = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto((run_dir / "report.html").as_uri())
            page.wait_for_selector("body[data-ready]", timeout=60_000)
        page = pages[key]
        page.evaluate(RESET)
        return page

    yield open_page
    assert complaints == []


def ranges(page: Any, plot: str) -> dict[str, tuple[float, float]]:
    """The ends of the axes, as values."""
    found: dict[str, list[Any]] = page.evaluate(
        """(id) => {
          const { xaxis, yaxis } = document.getElementById(id)._fullLayout;
          return { x: [xaxis.type, ...xaxis.range], y: [yaxis.type, ...yaxis.range] };
        }""",
        plot,
    )
    return {axis: (10**low, 10**high) if kind == "log" else (low, high) for axis, (kind, low, high) in found.items()}


def axis_types(page: Any, plot: str) -> tuple[str, str]:
    script = "(id) => [document.getElementById(id)._fullLayout].flatMap((all) => [all.xaxis.type, all.yaxis.type])"
    return tuple(page.evaluate(script, plot))


def values(page: Any, plot: str, name: str) -> list[float | None]:
    script = "([id, name]) => document.getElementById(id).data.find((trace) => trace.name === name).y"
    found: list[float | None] = page.evaluate(script, [plot, name])
    return found


# ---- order ------------------------------------------------------------------------------------------------------


def test_curves_come_first_and_costs_after_the_pictures(opened: Open) -> None:
    headings = opened().locator("main h2").evaluate_all("(all) => all.map((one) => one.id)")
    expected = ["curves", "comparison", "deltas", "viewer", "walk", "extremes", "costs", "absent", "protocol"]
    assert [name for name in headings if name in expected] == expected
    assert headings[0] == "curves"


# ---- axes -------------------------------------------------------------------------------------------------------


def test_axes_leave_out_the_file_without_bits_until_zoomed_out(opened: Open, run_dir: Path) -> None:
    page = opened()
    page.select_option("#published", "")
    drawn = next(curve for curve in curves(read_summary(run_dir)) if curve.codec == "bpg").points
    others = read_summary(run_dir).query("status == 'ok' and ideal_bpp != 0")
    for is_log in (True, False):
        page.set_checked("#log-rate", is_log)
        assert min(page.evaluate("document.getElementById('main-plot').data.flatMap(({x}) => x)")) == EMPTY_BPP
        for plot in PLOTS:
            low, _ = ranges(page, plot)["x"]
            assert (low > EMPTY_BPP) if is_log else (low == 0)
        bottom, top = ranges(page, "main-plot")["y"]
        assert drawn.psnr_db.min() < bottom < others.psnr_db.min()
        zoom_out = page.locator("figure:has(#main-plot) button[title='Zoom out']")
        for _ in range(5):
            zoom_out.click()
        low, _ = ranges(page, "main-plot")["x"]
        assert low < EMPTY_BPP
        assert ranges(page, "main-plot")["y"][0] < drawn.psnr_db.min()
        page.locator("figure:has(#main-plot) button[title='Reset the axes']").click()
        np.testing.assert_allclose(ranges(page, "main-plot")["y"], (bottom, top))
    assert "before any bits of the image" in page.locator("#main-caption").inner_text()


def test_set_metrics_have_log_axes_and_legends(opened: Open, run_dir: Path) -> None:
    page = opened()
    page.select_option("#published", "")
    assert [axis_types(page, plot)[1] for plot in PLOTS] == ["linear", "log", "log"]
    drawn = {curve.label for curve in curves(read_summary(run_dir))}
    for plot in PLOTS[1:]:
        entries = set(page.locator(f"figure:has(#{plot}) .legend li").all_inner_texts())
        assert drawn < entries
        assert len(entries - drawn) == 1  # the floor
        assert page.locator(f"figure:has(#{plot}) .legend svg").count() == len(entries)
    page.select_option("#metric", "fid")
    assert axis_types(page, "main-plot")[1] == "log"
    page.uncheck("#log-quality")
    assert [axis_types(page, plot)[1] for plot in PLOTS] == ["linear"] * 3


def test_a_logarithmic_axis_says_which_points_it_cannot_show(opened: Open, run_dir: Path) -> None:
    hidden = sum(int((curve.points.kid <= 0).sum()) for curve in curves(read_summary(run_dir)))
    assert hidden > 1
    page = opened()
    page.select_option("#published", "")
    jpeg = next(
        one for one in names(page, "kid-plot") if one.startswith("jpeg") and None in values(page, "kid-plot", one)
    )
    said = f"{hidden} points at or below 0 cannot be shown on a logarithmic axis"
    assert said in page.locator("#kid-caption").inner_text()
    assert min(ranges(page, "kid-plot")["y"]) > 0
    page.uncheck("#log-quality")
    assert NEGATIVE_KID in values(page, "kid-plot", jpeg)
    assert "logarithmic" not in page.locator("#kid-caption").inner_text()


BOXES = """(plot) => {
  const sides = ({ left, top, right, bottom }) => [left, top, right, bottom];
  const figure = document.getElementById(plot).closest("figure");
  const boxes = (selector) => [...figure.querySelectorAll(selector)].map((one) => sides(one.getBoundingClientRect()));
  return [boxes(".tools button"), boxes("svg text, .canvas, h3")];
}"""


@pytest.mark.parametrize("width", [375, 1280, 2000])
def test_the_tools_cover_nothing(opened: Open, width: int) -> None:
    page = opened(width)
    for plot in PLOTS:
        tools, others = page.evaluate(BOXES, plot)
        assert len(tools) == 4
        assert len(others) > 5
        for left, top, right, bottom in tools:
            assert not [one for one in others if left < one[2] and one[0] < right and top < one[3] and one[1] < bottom]


def test_a_plot_is_saved_as_a_light_svg(opened: Open, tmp_path: Path) -> None:
    page = opened(1280, "dark")
    with page.expect_download() as download:
        page.locator("figure:has(#fid-plot) button[title='Save as SVG']").click()
    download.value.save_as(tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert "FID" in text
    assert re.match(r"<svg[^>]*><rect[^>]*fill: rgb\(255, 255, 255\)", text)


# ---- filter and tables --------------------------------------------------------------------------------------------


def shown_codecs(page: Any, table: str) -> set[str]:
    rows = page.locator(f"#{table} tbody tr[data-codec]:visible")
    return set(rows.evaluate_all("(rows) => rows.map((row) => row.dataset.codec)"))


def test_a_hidden_codec_is_hidden_in_plots_and_all_tables(opened: Open) -> None:
    page = opened()
    page.select_option("#delta-controls select[name=anchor]", "bpg")
    before = {table: shown_codecs(page, table) for table in TABLES}
    assert all("jpeg" in codecs for codecs in before.values())
    page.focus("#codecs [data-key=jpeg] input")
    page.keyboard.press("Space")
    assert {table: shown_codecs(page, table) for table in TABLES} == {
        table: codecs - {"jpeg"} for table, codecs in before.items()
    }
    assert not any(name.startswith("jpeg") for plot in PLOTS for name in names(page, plot))
    assert page.locator("#shown-codecs").inner_text() == "3 of 4 codecs"
    notes = page.locator(".hidden-rows:visible")
    assert notes.count() == len(TABLES)
    assert page.locator("#result-table tr", has_text="originals").is_visible()  # a reference is no codec
    notes.first.locator("button").click()
    assert {table: shown_codecs(page, table) for table in TABLES} == before
    assert notes.count() == 0


def test_a_hidden_curve_is_hidden_in_tables_of_curves(opened: Open) -> None:
    page = opened()
    rows = page.locator("#result-table tr[data-codec=toy-model]:visible")
    before = rows.count()
    page.locator("#codecs .family .chip", has_text="floor").locator("input").uncheck()
    assert rows.count() == before - 1
    assert page.locator("#comparison-table-1 tr[data-codec=toy-model]:visible").count() == 1
    assert "toy-model" in names(page)  # its lossless point
    page.locator("#codecs .family .chip", has_text="middle").locator("input").uncheck()
    assert rows.count() == 0
    assert not [name for name in names(page) if name.startswith("toy-model")]


def test_the_fragment_keeps_the_filter(opened: Open, browser: Any, run_dir: Path) -> None:
    page = opened()
    page.uncheck("#codecs [data-key=png] input")
    page.locator("#codecs .family .chip", has_text="floor").locator("input").uncheck()
    page.click("nav a[href='#costs']")
    page.wait_for_function("() => location.hash.includes('at=costs')")
    address = page.evaluate("location.href")
    other = browser.new_page()
    other.goto(address)
    other.wait_for_selector("body[data-ready]", timeout=60_000)
    assert not other.locator("#codecs [data-key=png] input").is_checked()
    assert "png" not in names(other)
    assert "toy-model floor" not in names(other)
    assert other.locator("#shown-codecs").inner_text() == "3 of 4 codecs"
    other.goto(f"{(run_dir / 'report.html').as_uri()}#hide=no-such-codec&hide=jpeg")
    other.wait_for_function("() => !document.querySelector('#codecs [data-key=jpeg] input').checked")
    assert other.locator("#codecs [data-key=png] input").is_checked()
    other.close()


@pytest.mark.parametrize("table", TABLES)
def test_every_table_sorts_by_every_heading(opened: Open, table: str) -> None:
    page = opened()
    page.check("#column-controls input[value=all]")
    headings = page.locator(f"#{table} thead th")
    for column in range(headings.count()):
        button = headings.nth(column).locator("button")
        found = {}
        for order in ("ascending", "descending"):
            button.focus()
            page.keyboard.press("Enter")
            assert headings.nth(column).get_attribute("aria-sort") == order
            cells = page.locator(f"#{table} tbody tr td:nth-child({column + 1})")
            found[order] = cells.evaluate_all("(cells) => cells.map((cell) => cell.dataset.value)")
        known = {order: [one for one in found[order] if one not in ("", "-", "nan")] for order in found}
        for order, texts in found.items():
            assert texts[: len(known[order])] == known[order], "cells without a value are last"
        numbers = headings.nth(column).get_attribute("class") == "number"
        keys = [float(one) for one in known["ascending"]] if numbers else known["ascending"]
        if numbers:
            assert keys == sorted(keys)
            assert [float(one) for one in known["descending"]] == keys[::-1]
        else:
            assert sorted(known["descending"]) == sorted(keys)
            assert known["descending"][0] == keys[-1]


# ---- themes -------------------------------------------------------------------------------------------------------

CONTRASTS = """() => {
  const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { r, g, b, a }; };
  const luminance = ({ r, g, b }) => [r, g, b].map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.a === 1) return colour;
    }
    throw new Error("no ground");
  };
  const ratio = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const found = { texts: [], curves: [] };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
    if (["SCRIPT", "STYLE", "OPTION", "NOSCRIPT"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const colour = parse(element.closest("svg") ? style.fill : style.color);
    if (element.closest(":disabled")) continue;
    found.texts.push([ratio(colour, ground(element)), walker.currentNode.data.trim().slice(0, 40), style.color]);
  }
  for (const plot of document.querySelectorAll(".canvas")) {
    const paper = parse(plot._fullLayout.plot_bgcolor);
    for (const trace of plot._fullData) {
      const colour = parse(hex(trace.marker?.color ?? trace.line.color));
      found.curves.push([ratio(colour, paper), trace.name]);
    }
  }
  function hex(text) {
    if (!text.startsWith("#")) return text;
    return [1, 3, 5].map((start) => parseInt(text.slice(start, start + 2), 16)).join(" ");
  }
  return found;
}"""


@pytest.mark.parametrize(("scheme", "curve_contrast"), [("light", 1.9), ("dark", 3.0)])
def test_texts_and_curves_have_enough_contrast(opened: Open, scheme: str, curve_contrast: float) -> None:
    page = opened(1280, scheme)
    page.select_option("#published", "imagenet64")
    page.uncheck("#codecs [data-key=png] input")
    found = page.evaluate(CONTRASTS)
    assert len(found["texts"]) > 200
    assert len(found["curves"]) > 10
    assert [one for one in found["texts"] if one[0] < 4.5] == []  # WCAG 2.2, 1.4.3, level AA
    assert [one for one in found["curves"] if one[0] < curve_contrast] == []


def test_the_theme_follows_the_system_and_the_switch(opened: Open) -> None:
    page = opened(1280, "dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    plot = "document.getElementById('main-plot')._fullLayout.paper_bgcolor"
    dark, light = "rgb(21, 23, 26)", "rgb(255, 255, 255)"
    assert (page.evaluate(ground), page.evaluate(plot)) == (dark, dark)
    page.select_option("#theme", "light")
    assert (page.evaluate(ground), page.evaluate(plot)) == (light, light)
    page.select_option("#theme", "")
    assert (page.evaluate(ground), page.evaluate(plot)) == (dark, dark)
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"() => {plot} === '{light}'")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"() => {plot} === '{dark}'")


# ---- widths, long texts and print -----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [375, 1280, 2000])
def test_long_settings_do_not_widen_the_page(opened: Open, width: int) -> None:
    page = opened(width)
    for group in ("rate", "quality", "all"):
        page.check(f"#column-controls input[value={group}]")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    fold = page.locator("#result-table .fold")
    assert fold.count() == 1
    assert LONG in fold.get_attribute("title")
    folded = fold.bounding_box()
    assert folded["height"] < 80
    assert folded["width"] < 0.9 * width
    fold.press("Enter")
    assert fold.get_attribute("aria-expanded") == "true"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    fold.press("Enter")
    if width > 1000:  # the numbers beside the long setting are in the window
        page.check("#column-controls input[value=rate]")
        cell = page.locator("#result-table tr", has=page.locator(".fold")).locator("td.number:visible").last
        assert cell.bounding_box()["x"] < width


def test_the_pointer_shows_a_long_setting_within_the_plot(opened: Open) -> None:
    page = opened()
    page.select_option("#published", "")
    long = page.evaluate(
        "document.getElementById('fid-plot').data.find(({ text }) => text.some((one) => one.includes('xxx'))).name"
    )
    hover(page, "fid-plot", long, 0)
    box = page.locator("#fid-plot .hovertext path").first.bounding_box()
    assert box["width"] < 450


def test_a_wide_window_is_used(opened: Open) -> None:
    page = opened(2000)
    tops = [page.locator(f"#{plot}").bounding_box()["y"] for plot in PLOTS]
    assert max(tops) - min(tops) < 40  # side by side
    for table in TABLES:
        assert page.locator(f"#{table}").bounding_box()["width"] > 1800
    assert page.locator("main").bounding_box()["width"] == 2000


@pytest.mark.parametrize("group", ["rate", "all"])
def test_print_has_whole_tables_and_light_plots(opened: Open, group: str) -> None:
    page = opened(1280, "dark")
    page.check(f"#column-controls input[value={group}]")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.set_viewport_size({"width": PAPER_WIDTH, "height": 1000})
    page.emulate_media(media="print", color_scheme="dark")
    try:
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("document.documentElement.scrollWidth") <= PAPER_WIDTH + 2
        for table in TABLES:
            assert page.locator(f"#{table}").bounding_box()["width"] <= PAPER_WIDTH + 2
        for plot in PLOTS:
            assert page.locator(f"#{plot} .main-svg").first.bounding_box()["width"] <= PAPER_WIDTH
        assert page.evaluate("document.getElementById('kid-plot')._fullLayout.paper_bgcolor") == "rgb(255, 255, 255)"
        assert page.locator("#main-plot ~ .legend li").first.is_visible()
        heights = page.evaluate(
            "[...document.querySelectorAll('.plot, tr, .pair')].map((one) => one.getBoundingClientRect().height)"
        )
        assert max(heights) < 700  # what is kept together is less than a page, so that it leaves no large gap
        overflows = page.evaluate(
            "[...document.querySelectorAll('.wide')].map((one) => getComputedStyle(one).overflowX)"
        )
        assert set(overflows) == {"visible"}
    finally:
        page.emulate_media(media="screen", color_scheme="dark")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.getElementById('kid-plot')._fullLayout.paper_bgcolor") == "rgb(21, 23, 26)"
