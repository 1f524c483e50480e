"""Drives the picker of published curves of a large set in headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from report_run import draw_what_is_shown
from small_run import measure_run
from test_report_page import hover, traces
from toy_images import MemoryImages

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.report import save_report

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run on two images of a data set that is named as a published one."""
    images = [open_dataset("demo", 2).load(index) for index in range(2)]
    run_dir = tmp_path_factory.mktemp("named") / "run"
    measure_run(run_dir, MemoryImages(images, name="tecnick"), "jpeg:quality=10", "jpeg:quality=90")
    summarize_run(run_dir)
    draw_what_is_shown(run_dir)
    return save_report(run_dir)


def published(page: Any) -> set[str]:
    return {trace["name"] for trace in traces(page) if trace["published"]}


def test_systems_are_shown_by_family_by_search_and_all(browser: Any, report: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(report.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=30_000)
    best = {"vtm9.1-lalic", "qres34m", "dcae", "qarv", "rd-upper-bound-resnet-vae"}
    assert published(page) == best
    note = page.locator("#published-note").text_content()
    assert "tecnick is taken for images of that kind by its name; nothing proves it. It has 2 images" in note
    page.evaluate("Plotly.relayout('main-plot', {'xaxis.autorange': true, 'yaxis.autorange': true})")
    said = hover(page, "main-plot", "qarv", 12)
    for part in ("QARV (Duan 2023)", "(file)", "duanzhiihao/lossy-vae"):
        assert part in said
    outlines = "[...document.querySelectorAll('.hoverlayer tspan')].map((one) => getComputedStyle(one).outlineStyle)"
    assert set(page.evaluate(outlines)) == {"none"}  # no style of the page has a class of the plotting library
    page.fill("#systems-search", "mlic")
    assert page.locator("#systems .chip:visible").count() == 3
    page.check("#systems .chip:has-text('MLIC++') input")
    assert published(page) == best | {"mlicplusplus"}
    assert page.input_value("#systems-choice") == "named"
    assert "VVC VTM" in page.locator("#main-plot ~ .legend").text_content()
    page.uncheck("#systems .chip:has-text('MLIC++') input")
    assert published(page) == best
    page.select_option("#systems-choice", "all")
    assert len(published(page)) == 48
    page.select_option("#metric", "mse")  # no MSE was published
    assert published(page) == set()
    page.select_option("#metric", "psnr_db")
    page.select_option("#systems-choice", "none")
    assert published(page) == set()
    assert complaints == []
