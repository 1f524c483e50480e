"""Drives the viewer of whole pictures in headless Chromium, with pictures in the page and with files beside it."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
import pytest
from PIL import Image

from uqdm.bench.analysis.equal_rate import TOLERANCE
from uqdm.bench.report import save_report, viewer_pictures
from uqdm.bench.run.pictures import RunPictures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_dir(chromium: str, reportable_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run, with two reports: pictures in the page, and as files beside it."""
    folder = shutil.copytree(reportable_run, tmp_path_factory.mktemp("viewer") / "run")
    save_report(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(viewer_pictures, "INLINE_BYTES", 1000)
        save_report(folder, folder / "beside.html")
    return folder


@pytest.fixture(scope="module")
def run(run_dir: Path) -> RunPictures:
    return RunPictures(run_dir, "cifar10-like")


@pytest.fixture(scope="module", params=["report.html", "beside.html"])
def opened(request: pytest.FixtureRequest, browser: Any, run_dir: Path) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((run_dir / request.param).as_uri())
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    yield page
    assert complaints == []
    assert {urlparse(url).scheme for url in requests} <= {"file", "data", "blob"}
    loaded = [Path(unquote(urlparse(url).path)) for url in requests if url.startswith("file:")]
    assert {path.parent.name for path in loaded} <= {"run", "beside_pictures"}


@pytest.fixture
def page(opened: Any) -> Any:
    opened.evaluate("document.getElementById('viewer-controls').reset()")
    opened.wait_for_timeout(50)
    return opened


def picture(page: Any, side: int) -> np.ndarray:
    """What a side shows."""
    page.wait_for_function(
        "(side) => { const one = document.querySelectorAll('.frame img')[side]; return one.complete && one.src; }",
        arg=side,
    )
    source = page.locator(".frame img").nth(side).evaluate("(image) => image.src")
    if source.startswith("file:"):
        return np.asarray(Image.open(unquote(urlparse(source).path)).convert("RGB"))
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGB"))


def image_rows(page: Any, run: RunPictures) -> Any:
    name = page.locator("#viewer-images label:has(input:checked)").get_attribute("title")
    return run.rows[run.rows.image_id == name]


def visible(page: Any) -> list[bool]:
    return [page.locator(".frame").nth(side).is_visible() for side in (0, 1)]


def test_the_pictures_are_those_of_the_run(page: Any, run: RunPictures) -> None:
    page.select_option("#viewer-codec-0", "original")
    page.select_option("#viewer-codec-1", "jpeg")
    rows = image_rows(page, run).query("codec == 'jpeg'").sort_values("bpp")
    np.testing.assert_array_equal(picture(page, 0), run.original(int(rows.image_index.iloc[0])))
    assert page.locator("#viewer-entry-1").is_enabled()
    for place, row in enumerate(rows.to_dict("records")):
        page.select_option("#viewer-entry-1", index=place)
        np.testing.assert_array_equal(picture(page, 1), run.picture(row))
        caption = page.locator("#viewer-rates").inner_text()
        assert f"{row['bpp']:.3f} bpp, {row['psnr_db']:.2f} dB" in caption
        assert page.locator(".frame img").nth(1).get_attribute("alt").endswith(f"{row['psnr_db']:.2f} dB")


def test_b_has_the_rate_of_a_or_is_left_blank(page: Any, run: RunPictures) -> None:
    page.select_option("#viewer-codec-0", "jpeg")
    page.select_option("#viewer-codec-1", "bpg")
    rows = image_rows(page, run)
    others = rows[rows.codec == "bpg"].bpp.to_numpy()
    seen = set()
    for place, row in enumerate(rows[rows.codec == "jpeg"].sort_values("bpp").to_dict("records")):
        page.select_option("#viewer-entry-0", index=place)
        factors = np.maximum(others / row["bpp"], row["bpp"] / others)
        caption = page.locator("#viewer-rates").inner_text()
        nearest = others[int(factors.argmin())]
        assert f"{row['bpp']:.3f} bpp" in caption
        assert f"{nearest:.3f} bpp" in caption
        is_blank = "blank" in page.locator(".frame").nth(1).get_attribute("class").split()
        assert is_blank == (factors.min() > TOLERANCE)
        assert ("No picture of bpg within 15 %" in caption) == is_blank
        seen.add(is_blank)
    assert True in seen
    assert page.locator("#viewer-entry-1").is_disabled()
    page.uncheck("#viewer-equal")
    assert page.locator("#viewer-entry-1").is_enabled()
    assert "blank" not in page.locator(".frame").nth(1).get_attribute("class").split()


def test_flip_shows_one_picture_at_a_time(page: Any) -> None:
    page.select_option("#viewer-codec-0", "original")
    page.check("#viewer-mode input[value=flip]")
    assert visible(page) == [True, False]
    page.click("#viewer-flip")
    assert visible(page) == [False, True]
    page.locator(".canvas-of-two").click()
    assert visible(page) == [True, False]
    page.focus("#viewer-stage")
    for key, expected in (("f", [False, True]), (" ", [True, False]), ("b", [True, True]), ("f", [True, False])):
        page.keyboard.press(key)
        assert visible(page) == expected
    assert page.locator("#viewer-flip").inner_text() == "Flip: A is shown"


def test_the_line_wipes_where_it_is_dragged(page: Any) -> None:
    page.select_option("#viewer-codec-0", "original")
    page.locator("#viewer-stage").scroll_into_view_if_needed()
    box = page.locator(".canvas-of-two").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 30)
    page.mouse.up()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 30)
    assert page.input_value("#viewer-position") == "25"
    assert page.locator(".frame").nth(1).evaluate("(frame) => frame.style.clipPath") == "inset(0px 0px 0px 25%)"
    line = page.locator(".divider").bounding_box()
    assert line["x"] + line["width"] / 2 == pytest.approx(box["x"] + 0.25 * box["width"], abs=2)
    page.focus("#viewer-position")
    page.keyboard.press("End")
    assert page.locator(".frame").nth(1).evaluate("(frame) => frame.style.clipPath") == "inset(0px 0px 0px 100%)"


def test_sizes_are_whole_pixels_and_crisp(page: Any) -> None:
    sizes = []
    for zoom in ("1", "4"):
        page.select_option("#viewer-zoom", zoom)
        box = page.locator(".frame").first.bounding_box()
        sizes.append((box["width"], box["height"]))
    assert sizes == [(64, 64), (256, 256)]
    rendering = "(image) => getComputedStyle(image).imageRendering"
    assert page.locator(".frame img").first.evaluate(rendering) == "pixelated"
    page.focus("#viewer-stage")
    page.keyboard.press("-")
    assert page.input_value("#viewer-zoom") == "3"
    page.select_option("#viewer-zoom", "fit")
    assert page.locator(".frame").first.bounding_box()["width"] % 64 == 0


def test_keys_choose_settings_and_images(page: Any) -> None:
    page.select_option("#viewer-codec-0", "jpeg")
    page.select_option("#viewer-entry-0", index=0)
    page.focus("#viewer-stage")
    page.keyboard.press(".")
    assert page.locator("#viewer-entry-0").evaluate("(select) => select.selectedIndex") == 1
    page.keyboard.press(",")
    assert page.locator("#viewer-entry-0").evaluate("(select) => select.selectedIndex") == 0
    before = page.locator("#viewer-images label:has(input:checked)").get_attribute("title")
    setting = page.locator("#viewer-entry-0 option:checked").get_attribute("data-where")
    page.keyboard.press("]")
    assert page.locator("#viewer-images label:has(input:checked)").get_attribute("title") != before
    assert page.locator("#viewer-entry-0 option:checked").get_attribute("data-where") == setting  # stays with the image


def captions(page: Any) -> list[str]:
    found: list[str] = page.locator("#viewer-rates .caption").all_inner_texts()
    return found


def test_best_and_worst_images_open_in_the_viewer(page: Any) -> None:
    figure = page.locator("figure.pair", has=page.locator("button.view:visible")).last
    button = figure.locator("button.view")
    codec, where, image = (button.get_attribute(f"data-{name}") for name in ("codec", "where", "image"))
    button.click()
    assert page.locator("#viewer-images label:has(input:checked)").get_attribute("title") == image
    a, b = captions(page)
    assert "original" in a
    assert f"{codec}: {where}, " in b
    rate = figure.locator("figcaption").inner_text().splitlines()[0].split()[-2]
    assert f"{rate} bpp" in b
    assert page.locator("#viewer-stage").evaluate("(stage) => stage === document.activeElement")


def test_the_pictures_of_the_slider_open_in_the_viewer(page: Any) -> None:
    page.focus("#walk-step")
    page.keyboard.press("Home")
    shown = page.locator("#walk-pictures .own .numbers").inner_text().split()[0]
    page.click("#walk-whole")
    assert any(f"toy-model: high, floor, {shown} bpp" in caption for caption in captions(page))
    assert "blank" not in page.locator(".frame").nth(1).get_attribute("class").split()


def test_controls_have_names(page: Any) -> None:
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("#viewer-controls select, #viewer-controls input")]
          .filter((one) => !one.labels?.length && !one.ariaLabel).map((one) => one.id)"""
    )
    assert unnamed == []
    assert page.locator("#viewer-stage").get_attribute("aria-describedby") == "viewer-keys"
    assert page.locator(".frame img:not([alt])").count() == 0


def test_a_page_without_its_pictures_says_so(browser: Any, run_dir: Path, tmp_path: Path) -> None:
    shutil.copy(run_dir / "beside.html", tmp_path)
    page = browser.new_page(viewport={"width": 400, "height": 900})
    page.goto((tmp_path / "beside.html").as_uri())
    page.wait_for_selector("#viewer-rates .warning", timeout=60_000)
    said = page.locator("#viewer-rates").inner_text()
    assert "they lie in the folder beside_pictures, which belongs next to it" in said
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    page.close()
