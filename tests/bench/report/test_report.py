"""Guards the report: it stands alone, holds every number and reason, and escapes what it is given."""

from __future__ import annotations

import base64
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_run import measure_run
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.metrics import summary_schema
from uqdm.bench.plots import all_plots, not_drawn, save_plot, shown_file
from uqdm.bench.report import render_report, save_report
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.summary_reader import read_summary


class Page(HTMLParser):
    """Collects the addresses that a page loads, its images, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster", "action", "background"):
                self.loaded.append(value or "")
            elif name == "href":
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


@pytest.fixture(scope="module")
def page(finished_run: Path) -> Page:
    return Page((finished_run / "report.html").read_text(encoding="utf-8"))


def test_the_page_loads_no_other_file(page: Page, finished_run: Path) -> None:
    assert len(page.loaded) == len(all_plots()) - len(not_drawn(finished_run / "plots"))
    assert all(address.startswith("data:image/") for address in page.loaded)
    assert all(address.startswith("#") for address in page.links)
    assert "link" not in page.tags
    assert {"iframe", "object", "embed", "base", "frame"}.isdisjoint(page.tags)
    html = (finished_run / "report.html").read_text(encoding="utf-8")
    code = "".join(re.findall(r"<(?:style|script)>.*?</(?:style|script)>", html, re.DOTALL))
    code = code.replace("http://www.w3.org/2000/svg", "")  # the name of a language
    assert len(code) > 10_000
    assert not re.search(r"//[a-z]+\.|@import|url\(|fetch\(|XMLHttp", code)
    assert "default-src &#39;none&#39;" in html  # the browser enforces it


def test_the_plots_are_those_of_the_run(page: Page, finished_run: Path) -> None:
    embedded = [base64.b64decode(address.partition(",")[2]) for address in page.loaded]
    shown = [shown_file(plot, finished_run) for plot in sorted(all_plots(), key=lambda plot: plot.order)]
    files = [path for path in shown if path is not None]
    assert files[0].name == "rate_distortion.svg"
    assert "progressive.png" in {path.name for path in files}
    assert embedded == [path.read_bytes() for path in files]
    assert b"http" not in re.sub(rb'(xmlns(:\w+)?|rdf:resource)="[^"]*"|<!DOCTYPE[^>]*>', b"", embedded[0])


def test_every_result_is_in_the_page(page: Page, finished_run: Path) -> None:
    ok = read_summary(finished_run).query("status == 'ok'")
    for row in ok.to_dict("records"):
        assert f"{row['bpp']:.3f} {row['bpp_low']:.3f} to {row['bpp_high']:.3f}" in page.text
        if row["exact"] < row["n"]:
            assert f"{row['psnr_db']:.2f} {row['psnr_db_low']:.2f} to {row['psnr_db_high']:.2f}" in page.text
    assert page.text.count(" exact ") >= (ok.exact == ok.n).sum()


def test_absent_codecs_protocol_and_provenance_are_in_the_page(page: Page) -> None:
    assert "toy-absent skipped: codec 'toy-absent' cannot run here: libtoy is not installed; install it" in page.text
    assert "toy-faulty: 1 failed, the first with encode: RuntimeError" in page.text
    assert "2,000 resamples, seed 0, the same resamples for every codec" in page.text
    assert "3 codecs at 4 settings on 7 images of memory (fingerprint 7-" in page.text
    assert re.search(r"toy-raw toy 1 2 20\d\d-\d\d-\d\d \d\d:\d\d UTC uqdm ", page.text)
    assert re.search(r"Packages: .*numpy \d", page.text)


def test_foreign_text_is_escaped(finished_run: Path, tmp_path: Path) -> None:
    run_dir = shutil.copytree(finished_run, tmp_path / "run")
    summary = read_summary(run_dir)
    summary["error"] = summary.error.where(summary.error.isna(), "<script>alert(1)</script> & more")
    pq.write_table(pa.Table.from_pandas(summary, summary_schema(), preserve_index=False), run_dir / "summary.parquet")
    html = render_report(run_dir)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in html


def test_a_missing_plot_names_the_command(finished_run: Path, tmp_path: Path) -> None:
    run_dir = shutil.copytree(finished_run, tmp_path / "run")
    (run_dir / "plots" / "progressive.png").unlink()
    before = (run_dir / "report.html").read_bytes()
    with pytest.raises(ResultsError, match=r"no .*progressive.png; make it with: uqdm bench plot --run"):
        save_report(run_dir)
    assert (run_dir / "report.html").read_bytes() == before


def test_a_run_in_which_every_codec_was_skipped_has_a_report(toys: Path, tmp_path: Path) -> None:
    run_dir = measure_run(tmp_path, MemoryImages(unmarked_images(2)), "toy-absent")
    summarize_run(run_dir)
    for plot in all_plots():
        save_plot(plot, run_dir)
    page = Page(render_report(run_dir))
    assert "0 codecs at 0 settings on no image of memory" in page.text
    assert "toy-absent skipped" in page.text
    assert page.loaded == []
    assert "Still plots" not in page.text
