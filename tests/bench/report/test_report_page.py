"""Drives the report in headless Chromium: nothing fails, nothing is loaded, and the controls do what they say."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import report_run
from PIL import Image

from uqdm.bench.analysis.equal_rate import TOLERANCE
from uqdm.bench.report import save_report
from uqdm.bench.run.pictures import RunPictures
from uqdm.bench.run.summary_reader import read_summary

Open = Callable[..., Any]


BPG_TITLE = "bpg (pixel_format=420; implementation=builtin; preset=slow)"


@pytest.fixture(scope="module")
def run_dir(browser: Any, reportable_run: Path) -> Path:
    save_report(reportable_run)
    return reportable_run


class Viewer:
    """Opens the report once for each width, and keeps the messages and requests of the pages."""

    def __init__(self, browser: Any, address: str) -> None:
        self._browser, self._address = browser, address
        self._pages: dict[tuple[int, str], Any] = {}
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def open(self, width: int = 1280, script: str = "") -> Any:
        """A page with all its controls in their initial state; ``script`` runs before those of the page."""
        if (width, script) not in self._pages:
            self._pages[width, script] = self._new(width, script)
        page = self._pages[width, script]
        page.evaluate(RESET)
        return page

    def _new(self, width: int, script: str) -> Any:
        page = self._browser.new_page(viewport={"width": width, "height": 900})
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.add_init_script(script)
        page.goto(self._address)
        page.wait_for_selector("body[data-ready]", timeout=30_000)
        return page

    def check(self) -> None:
        """Nothing was logged or failed, only the page itself was requested, and its title is unchanged."""
        assert self.complaints == []
        assert {url for url in self.requests if not url.startswith(("data:", "blob:"))} == {self._address}
        assert {page.title() for page in self._pages.values()} == {"Image compression benchmark: cifar10-like"}


RESET = """() => {
  document.querySelectorAll("form").forEach((form) => form.reset());
  [...document.querySelectorAll("#codecs button")].find((button) => button.textContent === "all").click();
  for (const id of ["dataset", "walk-stream", "column-controls", "delta-controls"]) {
    document.getElementById(id).dispatchEvent(new Event("input", { bubbles: true }));
  }
}"""


@pytest.fixture(scope="module")
def viewer(browser: Any, run_dir: Path) -> Viewer:
    return Viewer(browser, (run_dir / "report.html").as_uri())


@pytest.fixture
def open_page(viewer: Viewer) -> Iterator[Open]:
    """Opens the report at a width; afterwards nothing must have been logged, failed, or requested elsewhere."""
    yield viewer.open
    viewer.check()


def traces(page: Any, plot: str = "main-plot") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(
        "(id) => document.getElementById(id).data.map(({name, x, y, published}) => ({name, x, y, published}))", plot
    )
    return found


def names(page: Any, plot: str = "main-plot") -> set[str]:
    return {trace["name"] for trace in traces(page, plot) if not trace["published"]}


def hover(page: Any, plot: str, name: str, index: int) -> str:
    """Rests the pointer on a point of a curve and returns what then shows."""
    place = page.evaluate(
        """([id, name, index]) => {
          const plot = document.getElementById(id);
          plot.scrollIntoView({ block: "center" });
          const { xaxis, yaxis } = plot._fullLayout, box = plot.getBoundingClientRect();
          const { x, y } = plot.data.find((trace) => trace.name === name);
          return [box.left + xaxis._offset + xaxis.d2p(x[index]), box.top + yaxis._offset + yaxis.d2p(y[index])];
        }""",
        [plot, name, index],
    )
    page.mouse.move(*place)
    page.wait_for_selector(f"#{plot} .hovertext")
    text: str = page.locator(f"#{plot} .hoverlayer").text_content()
    return text


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_its_width(open_page: Open, width: int) -> None:
    page = open_page(width)
    for group in ("all", "rate"):
        page.check(f"#column-controls input[value={group}]")
        assert page.evaluate("document.documentElement.scrollWidth") == width
    page.select_option("#published", "imagenet64")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    canvases = page.locator(".canvas .main-svg").first
    assert 0.8 * width < canvases.bounding_box()["width"] <= width


@pytest.mark.parametrize("width", [1280, 400])
def test_the_pointer_shows_setting_images_and_interval(open_page: Open, run_dir: Path, width: int) -> None:
    page = open_page(width)
    page.select_option("#published", "")
    row = read_summary(run_dir).query("codec == 'jpeg' and setting == 'quality=10'").iloc[0]
    text = hover(page, "main-plot", "jpeg", 0)
    for shown in (
        "jpeg",
        "quality=10",
        "n = 6",
        f"{row.psnr_db:.4g} ({row.psnr_db_low:.4g} to {row.psnr_db_high:.4g})",
    ):
        assert shown in text
    assert f"rate {row.bpp:.4g} (" in text
    text = hover(page, "fid-plot", "jpeg", 0)
    assert f"FID {row.fid:.4g}n = 6n=6 is under 2,048" in text


def test_the_curves_are_those_of_the_summary(open_page: Open, run_dir: Path) -> None:
    page = open_page()
    rows = read_summary(run_dir).query("codec == 'bpg' and status == 'ok'").sort_values("bpp")
    for plot, column in (("main-plot", "psnr_db"), ("fid-plot", "fid"), ("kid-plot", "kid")):
        (drawn,) = [trace for trace in traces(page, plot) if trace["name"] == "bpg" and not trace["published"]]
        np.testing.assert_allclose(drawn["x"], rows.bpp, rtol=1e-6)  # the page holds seven digits
        np.testing.assert_allclose(drawn["y"], rows[column], rtol=1e-6)
    page.select_option("#metric", "mse")
    (drawn,) = [trace for trace in traces(page) if trace["name"] == "bpg" and not trace["published"]]
    np.testing.assert_allclose(drawn["y"], rows.mse, rtol=1e-6)
    assert "MSE" in page.locator("#main-plot .ytitle").text_content()


def test_codecs_switch_off_in_every_plot(open_page: Open) -> None:
    page = open_page()
    curves = {"jpeg", "bpg", "toy-model floor", "toy-model middle"}
    assert names(page, "fid-plot") == names(page, "kid-plot") == curves
    assert names(page) == {*curves, "png", "toy-model"}  # lossless ones on top
    assert page.locator("[data-key=bpg]").inner_text().strip() == BPG_TITLE
    page.uncheck("[data-key=jpeg] input")
    page.locator("#codecs .family .chip", has_text="floor").locator("input").uncheck()
    assert names(page, "fid-plot") == names(page, "kid-plot") == {"bpg", "toy-model middle"}
    page.uncheck("[data-key=toy-model] input")
    assert names(page) == {"bpg", "png"}
    page.click("#codecs button:text('none')")
    assert names(page) == set()
    page.click("#codecs button:text('all')")
    assert names(page) == {*curves, "png", "toy-model"}


def test_published_curves_can_be_switched_and_have_a_note(open_page: Open) -> None:
    page = open_page()
    note = page.locator("#published-note")
    assert page.input_value("#published") == "cifar10"  # by the name of the data set
    assert "the 10,000 test images of CIFAR-10" in note.text_content()
    assert "This run: 6 images of cifar10-like" in note.text_content()
    systems = {trace["name"] for trace in traces(page, "fid-plot") if trace["published"]}
    assert {"uqdm-d", "vdm-a", "bpg"} <= systems
    assert not any(trace["published"] for trace in traces(page, "kid-plot"))  # no KID was published
    page.select_option("#published", "imagenet64")
    assert "Compare shapes, not numbers." in note.text_content()
    assert "ctc" in {trace["name"] for trace in traces(page) if trace["published"]}
    page.uncheck("#systems .chip:has-text('ctc') input")
    assert "ctc" not in {trace["name"] for trace in traces(page) if trace["published"]}
    page.select_option("#published", "")
    assert not note.is_visible()
    assert not any(trace["published"] for trace in traces(page))


def test_the_rate_axis_switches_between_linear_and_log(open_page: Open) -> None:
    page = open_page()
    kind = "['main-plot', 'fid-plot', 'kid-plot'].map((id) => document.getElementById(id)._fullLayout.xaxis.type)"
    page.set_checked("#log-rate", True)
    assert page.evaluate(kind) == ["log"] * 3
    page.set_checked("#log-rate", False)
    assert page.evaluate(kind) == ["linear"] * 3


def shown_pictures(page: Any) -> list[np.ndarray]:
    sources = page.locator("#walk-pictures img").evaluate_all("(images) => images.map((image) => image.src)")
    data = [base64.b64decode(source.partition(",")[2]) for source in sources]
    return [np.asarray(Image.open(io.BytesIO(one)).convert("RGB")) for one in data]


@pytest.mark.parametrize("width", [1280, 400])
def test_the_slider_walks_through_the_file(open_page: Open, run_dir: Path, width: int) -> None:
    page = open_page(width)
    run = RunPictures(run_dir, "cifar10-like")
    page.check("#walk-images input[value='0']", force=True)
    image_id = page.locator("#walk-images label").first.get_attribute("title")
    rows = run.rows[run.rows.image_id == image_id]
    stream = rows[rows.codec == "toy-model"].set_index(["point", "reconstruction"])
    page.focus("#walk-step")
    for key, point, kind in (("Home", "high", "floor"), ("ArrowRight", "all", "decoded")):
        page.keyboard.press(key)
        row = stream.loc[point, kind]
        assert page.locator("#walk-text").text_content().startswith(f"{point}: the first {row.file_bits / 8:,.0f} of ")
        own = page.locator("#walk-pictures .own").inner_text()
        assert f"{row.bpp:.3f} bpp" in own
        assert ("exact" if row.mse == 0 else f"{row.psnr_db:.2f} dB") in own
        pictures = shown_pictures(page)
        assert page.locator("#walk-pictures figure").count() == 4
        np.testing.assert_array_equal(pictures[0], run.original(int(row.image_index)))
        expected = run.picture({**row.to_dict(), "point": point, "reconstruction": kind})
        np.testing.assert_array_equal(pictures[1], expected)
        check_nearest(run, rows, row.bpp, page, pictures[2:])


def check_nearest(run: RunPictures, rows: Any, bpp: float, page: Any, pictures: list[np.ndarray]) -> None:
    """JPEG and BPG are at the setting whose rate differs from ``bpp`` by the smallest factor, or left blank."""
    captions = page.locator("#walk-pictures figcaption").all_inner_texts()[2:]
    left = list(pictures)
    for codec, caption in zip(("jpeg", "bpg"), captions, strict=True):
        files = rows[rows.codec == codec]
        factors = [max(other / bpp, bpp / other) for other in files.bpp]
        row = files.iloc[int(np.argmin(factors))]
        assert caption.startswith(codec)
        assert f"{row.bpp:.3f} bpp" in caption
        if min(factors) > TOLERANCE:
            assert f"No picture within 15 % of {bpp:.3f} bpp; the nearest has {row.bpp:.3f} bpp" in caption
        else:
            np.testing.assert_array_equal(left.pop(0), run.picture(row.to_dict()))
            assert f"{row.psnr_db:.2f} dB" in caption
    assert left == []


def test_image_kind_and_companions_are_chosen(open_page: Open) -> None:
    page = open_page()
    page.focus("#walk-step")
    page.keyboard.press("Home")
    first = shown_pictures(page)
    page.select_option("#walk-kind", "middle")
    second = shown_pictures(page)
    is_equal = [np.array_equal(*pair) for pair in zip(first, second, strict=True)]
    assert is_equal == [place != 1 for place in range(len(first))]
    page.select_option("#walk-right", "png")
    assert page.locator("#walk-pictures figcaption").last.inner_text().startswith("png")
    page.check("#walk-images input[value='0']", force=True)
    assert not any(np.array_equal(*pair) for pair in zip(second, shown_pictures(page), strict=True))


def test_headings_sort_and_columns_switch(open_page: Open, run_dir: Path) -> None:
    page = open_page()
    button = page.locator("#result-table button:text-is('rate, bpp')")
    column = button.locator("..").evaluate("(heading) => heading.cellIndex")
    cells = page.locator(f"#result-table tbody td:nth-child({column + 1})")
    rates = sorted(read_summary(run_dir).bpp.dropna())
    for order in (1, -1):
        button.click()
        shown = [float(value) for value in cells.evaluate_all("(cells) => cells.map((cell) => cell.dataset.value)")]
        assert [rate for rate in shown if np.isfinite(rate)] == rates[::order]
    assert button.locator("..").get_attribute("aria-sort") == "descending"
    heading = page.locator("#result-table th", has_text="SSIM").first
    assert not heading.is_visible()
    page.check("#column-controls input[value=quality]")
    assert heading.is_visible()
    assert not button.is_visible()


def test_deltas_are_narrowed_to_a_metric_and_an_anchor(open_page: Open) -> None:
    page = open_page()
    rows = page.locator("#delta-table tbody tr:visible")
    assert [row.split("\t")[:3] for row in rows.all_inner_texts()] == [
        [BPG_TITLE, "PSNR", "jpeg"],
        ["toy-model", "PSNR", "jpeg"],
    ]
    assert "-12.3\n-15.0 to -9.1" in rows.first.inner_text()
    assert "the curves share no quality" in rows.last.inner_text()
    of_images = page.locator("#image-delta-table tbody tr:visible")
    assert [row.split("\t")[:3] for row in of_images.all_inner_texts()] == [[BPG_TITLE, "PSNR", "jpeg"]]
    assert page.locator(".triples figure").count() == 3
    page.select_option("#delta-controls select[name=metric]", "fid")
    page.select_option("#delta-controls select[name=anchor]", "bpg")
    assert [row.split("\t")[:3] for row in rows.all_inner_texts()] == [
        ["jpeg", "FID", "bpg"],
        ["toy-model", "FID", "bpg"],
    ]
    assert of_images.count() == 0


def test_every_picture_of_the_page_is_there(open_page: Open) -> None:
    page = open_page()
    sizes = page.evaluate("[...document.images].map((image) => image.complete && image.naturalWidth)")
    assert len(sizes) > 30
    assert all(sizes)


def test_names_are_escaped_in_the_page(open_page: Open) -> None:
    page = open_page()
    titles = page.locator("#walk-images label").evaluate_all("(labels) => labels.map((label) => label.title)")
    shown = page.locator(".pair .id").all_inner_texts()
    assert report_run.NASTY in [*titles, *shown]
    assert page.locator("img[src=x]").count() == 0


def test_a_browser_without_decompression_says_so(open_page: Open) -> None:
    page = open_page(script="delete window.DecompressionStream;")
    assert "The interactive plots do not run in this browser" in page.locator("#no-plots").inner_text()
    assert page.locator("#walk-pictures figure").count() == 4  # all else does
    assert len(shown_pictures(page)) >= 2
