"""The gallery of a run: its plots with captions, and its report."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_run import measure_run
from typer.testing import CliRunner

from docs_tools import demo_run, gallery
from uqdm.bench.datasets import open_dataset
from uqdm.bench.plots import find_plot, save_plot
from uqdm.bench.run.layout import report_path, report_pictures_path
from uqdm.cli.main import app
from uqdm.codec import codec_class


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two codecs with one plot, and files in the places of its report."""
    folder = measure_run(tmp_path_factory.mktemp("run"), open_dataset("demo", limit=2), "jpeg", "png")
    done = CliRunner().invoke(app, ["bench", "summarize", "--run", str(folder)])
    assert done.exit_code == 0, done.output
    save_plot(find_plot("rate_distortion"), folder)
    report_path(folder).write_text("<p>report</p>")
    report_pictures_path(report_path(folder)).mkdir()
    (report_pictures_path(report_path(folder)) / "0.png").write_bytes(b"png")
    return folder


def test_plots_of_a_run_are_shown(run_dir: Path) -> None:
    section = gallery.section(run_dir)
    plots, _ = section.pages
    assert section.files["gallery/plots/rate_distortion.svg"] == run_dir / "plots" / "rate_distortion.svg"
    assert "](plots/rate_distortion.svg)" in plots.markdown
    assert "quality_time" not in plots.markdown, "it was not drawn"
    assert f"--out results/{run_dir.name}" in plots.markdown


def test_the_report_is_a_live_page(run_dir: Path) -> None:
    section = gallery.section(run_dir)
    _, report = section.pages
    assert '<iframe class="report" src="run/report.html"' in report.markdown
    assert {"gallery/run/report.html", "gallery/run/report_pictures/0.png"} <= section.files.keys()


def test_the_run_of_the_site_needs_no_weights_and_has_codecs_that_exist(tmp_path: Path) -> None:
    from uqdm.bench.metrics import all_metrics

    assert {codec_class(name).name for name in demo_run.CODECS} == set(demo_run.CODECS)
    metrics = {metric.name: metric for metric in all_metrics()}
    assert all(metrics[name].missing() is None for name in demo_run.METRICS)
    assert demo_run.arguments(tmp_path)[-2:] == ["--out", str(tmp_path)]
