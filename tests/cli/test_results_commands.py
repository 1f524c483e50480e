"""Guards `uqdm bench summarize|plot|report` on real files: their files and output, and their messages for bad input."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import new_plot
import pytest
from click.testing import Result
from small_run import measure_run
from typer.testing import CliRunner

from uqdm.bench import plots
from uqdm.bench.datasets import open_dataset
from uqdm.bench.plots import all_plots, not_drawn
from uqdm.cli.main import app

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photograph_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    codecs = ["jpeg:quality=20", "jpeg:quality=90", "png"]
    return measure_run(tmp_path_factory.mktemp("cli") / "run", open_dataset("demo", limit=3), *codecs)


def bench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def test_the_three_commands_make_all_products(photograph_run: Path) -> None:
    summarized = bench("summarize", "--run", photograph_run)
    assert summarized.exit_code == 0, summarized.output
    for text in ("jpeg", "png", "lossless", str(photograph_run / "summary.csv"), str(photograph_run / "per_image")):
        assert text in summarized.stdout
    plotted = bench("plot", "--run", photograph_run)
    drawn, gone = plotted.stdout.split(), not_drawn(photograph_run / "plots")
    assert {"progressive", "distortion_perception"} <= gone.keys()
    assert all(f"{name}: not drawn: {reason}" in plotted.stderr for name, reason in gone.items())
    wanted = [plot for plot in all_plots() if plot.name not in gone]
    assert drawn == [str(path) for plot in wanted for path in plot.files(photograph_run)]
    assert bench("report", "--run", photograph_run).stdout.strip() == str(photograph_run / "report.html")
    assert all(Path(path).stat().st_size for path in [*drawn, photograph_run / "report.html"])
    assert not list(photograph_run.rglob(".*")), "temporary files are left"


@pytest.fixture(params=[pytest.param("file", marks=pytest.mark.proof), "package"])  # every plot of ours is a file
def added_plot(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A new plot: a file in the package of plots, or an entry point of another package."""
    if request.param == "file":
        new_plot.drop(tmp_path)
        monkeypatch.setattr(plots, "__path__", [*plots.__path__, str(tmp_path)])
    else:
        new_plot.install(tmp_path / "package")
        monkeypatch.syspath_prepend(tmp_path / "package")
    plots.PLOTS.forget()
    yield
    plots.PLOTS.forget()
    for module in ("zzpackage", f"{plots.__name__}.{new_plot.NAME}"):
        sys.modules.pop(module, None)


@pytest.mark.usefixtures("added_plot")
def test_a_new_plot_is_drawn_and_is_in_the_report(photograph_run: Path, tmp_path: Path) -> None:
    bench("summarize", "--run", photograph_run)
    drawn = bench("plot", "--run", photograph_run, "--out", tmp_path).stdout.split()
    assert str(tmp_path / "rates.png") in drawn
    made = bench("report", "--run", photograph_run, "--plots", tmp_path, "--out", tmp_path / "page.html")
    assert made.exit_code == 0, made.output
    page = (tmp_path / "page.html").read_text()
    assert '<h3 id="rates">Rates</h3>' in page
    assert "<figcaption>A mark is a file.</figcaption>" in page


def test_only_one_plot(photograph_run: Path) -> None:
    bench("summarize", "--run", photograph_run)
    assert len(bench("plot", "--run", photograph_run, "--only", "rate_distortion").stdout.split()) == 3


def test_an_unknown_plot_name_gets_suggestions(photograph_run: Path) -> None:
    done = bench("plot", "--run", photograph_run, "--only", "rate-distortion")
    assert done.exit_code == 1
    assert "did you mean rate_distortion" in str(done.exception)


@pytest.mark.parametrize(
    ("command", "remedy"),
    [("summarize", "uqdm bench evaluate"), ("plot", "uqdm bench summarize"), ("report", "uqdm bench summarize")],
)
def test_an_empty_folder_names_the_command_that_fills_it(command: str, remedy: str, tmp_path: Path) -> None:
    done = bench(command, "--run", tmp_path)
    assert done.exit_code == 1
    assert f"make it with: {remedy}" in str(done.exception)


@pytest.mark.slow
def test_summarizing_and_reporting_start_without_heavy_libraries(photograph_run: Path) -> None:
    """Each is a job of the workflow: importing Ray, torch or matplotlib would cost it seconds."""
    code = (
        "import sys; from uqdm.cli.main import app\n"
        f"for command in ('summarize', 'plot', 'report'): app(['bench', command, '--run', {str(photograph_run)!r}], "
        "standalone_mode=False); print(sorted({'ray', 'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.count("[]\n") == 3, done.stdout
