"""Guards the table as Markdown, LaTeX and CSV, and the figures: complete, escaped, and not cut."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from small_run import measure_run
from toy_images import MemoryImages
from typer.testing import CliRunner

from uqdm.bench.analysis.published_curves import Relation, published
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.paper import figures
from uqdm.bench.paper.cells import HEADINGS, REFERENCE_HEADINGS
from uqdm.bench.paper.costs import cost_table
from uqdm.bench.paper.head import Head, counts, head
from uqdm.bench.paper.latex import latex
from uqdm.bench.paper.markdown import markdown
from uqdm.bench.paper.measured import Run, read_run
from uqdm.bench.paper.protocol import Model
from uqdm.bench.paper.rows import COLUMNS, table
from uqdm.cli.main import app

pytestmark = pytest.mark.slow

MODELS = [Model("tiny_50%", "uqdm-pixel")]  # a label full of what LaTeX and Markdown take for markup


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory, photographs_uint8: list[np.ndarray]) -> Path:
    folder = tmp_path_factory.mktemp("paper") / "run"
    images = MemoryImages([image[:32, :32].copy() for image in photographs_uint8[:3]], name="cifar10-part_of_it")
    codecs = [*(f"jpeg:quality={quality}" for quality in (10, 50, 90)), "jpeg2000:layers=20,10", "bpg:quality=30"]
    measure_run(folder, images, *codecs, "bpg:quality=20", "bpg:quality=40", "uqdm:model=uqdm-pixel,seeds=1")
    summarize_run(folder)
    return folder


@pytest.fixture(scope="module")
def run(run_dir: Path) -> Run:
    return read_run(run_dir, "cifar10")


@pytest.fixture(scope="module")
def rows(run: Run) -> pd.DataFrame:
    return table(run, MODELS)


@pytest.fixture(scope="module")
def costs(run: Run) -> pd.DataFrame:
    return cost_table(run, MODELS)


@pytest.fixture(scope="module")
def above(run: Run, rows: pd.DataFrame) -> Head:
    return head(replace(run, n_images=300), rows, MODELS)


# ---- the head -----------------------------------------------------------------------------------------------


def test_the_head_describes_the_images_and_the_rows_that_can_agree(above: Head, run: Run) -> None:
    images, can = " ".join(above.images), " ".join(above.can_agree)
    assert "Figure 3" in images
    assert "10,000 test images of CIFAR-10" in images
    assert f"300 images of cifar10-part_of_it, fingerprint {run.fingerprint}" in images
    assert "nothing proves it" in images
    assert "No FID can: it depends on the number of images, 300 here and 10,000 as published." in can
    assert "UQDM by tiny_50% cannot: it is another model" in can
    assert "Of BPG only the rate at equal PSNR can" in can
    assert "Not run, since the configuration names no weights for them: vae-b, vae-m." in can
    assert "Nothing here runs vdm-d, vdm-a, vdm-f, vdm-1000d: " in can


def test_the_head_of_the_very_images_and_of_others(run: Run, rows: pd.DataFrame) -> None:
    same = replace(run, n_images=10_000, relation=Relation("same", "The images are the published ones.", 0.0))
    found = head(same, rows, [replace(MODELS[0], is_published=True)])
    assert "FID can: it is over as many images as published." in found.can_agree
    assert any(text.endswith("says that it is the published model.") for text in found.can_agree)
    assert "is the mean measured here, widened by 0.00005" in found.rules[0]
    assert head(run, rows, MODELS).can_agree[0].startswith("No row: intervals over fewer than 30 images")
    other = replace(run, relation=Relation("other", "The images are others.", np.nan))
    assert head(other, rows, MODELS).can_agree[0].startswith("No row")


def test_verdicts_are_counted(rows: pd.DataFrame, costs: pd.DataFrame) -> None:
    tally = dict(counts(rows, costs))
    assert sum(sum(words.values()) for words in tally.values()) == rows.codec.notna().sum() + len(costs)
    assert tally["JPEG"]["not run"] == 9 * 3  # settings that this run lacks
    assert tally["UQDM, flow: tiny_50% (uqdm-f)"]["not comparable"] == 5 * 4


# ---- Markdown and LaTeX -------------------------------------------------------------------------------------


def test_the_page_holds_every_row_in_tables_of_equal_width(
    above: Head, rows: pd.DataFrame, costs: pd.DataFrame
) -> None:
    page = markdown(above, rows, costs)
    lines = [line for line in page.splitlines() if line.startswith("|")]
    points = rows[rows.codec.isna()].groupby(["system", "point"]).ngroups
    # Seven systems and Appendix C in the tally, and heading and rule of each of ten tables.
    assert len(lines) == rows.codec.notna().sum() + points + len(costs) + 8 + 2 * 10
    assert "| tiny\\_50%, step 1, flow | network calls to decode, per picture" in re.sub(" +", " ", page)
    for block in re.split(r"\n\n", page):
        if block.startswith("|"):
            assert len({len(line) for line in block.splitlines()}) == 1
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert "tiny\\_50%" in page
    assert "tiny_50%" not in page
    assert "Figures with ? are doubtful. FID only" in page
    assert "| not run: no weights are named: list checkpoints of bmshj2018-hyperprior" in page


def test_every_line_of_the_latex_has_its_columns(above: Head, rows: pd.DataFrame, costs: pd.DataFrame) -> None:
    text = latex(above, rows, costs)
    widths = {len(HEADINGS), len(REFERENCE_HEADINGS), 5}
    found = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(found) > 100
    assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in found} == widths
    assert r"tiny\_50\%" in text
    assert not re.search(r"(?<!\\)[#$^~_]", text.replace("% \\usepackage", ""))


def test_the_latex_compiles(above: Head, rows: pd.DataFrame, costs: pd.DataFrame, tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    (tmp_path / "table.tex").write_text(latex(above, rows, costs))
    (tmp_path / "page.tex").write_text(
        "\\documentclass{article}\\usepackage{array,booktabs,longtable}\\begin{document}\\input{table}\\end{document}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    if b"booktabs.sty' not found" in done.stdout:
        pytest.skip("this LaTeX has no booktabs")
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "page.pdf").stat().st_size > 10_000


# ---- figures ------------------------------------------------------------------------------------------------


def test_published_and_measured_points_are_where_the_table_says(run: Run, rows: pd.DataFrame) -> None:
    axes = figures.draw(run, rows, "psnr_db").axes[0]
    jpeg = [line for line in axes.lines if line.get_label() == "jpeg"]
    assert [line.get_markerfacecolor() == "none" for line in jpeg] == [True, False]
    expected = published("cifar10").query("system == 'jpeg'")[["bpp", "psnr_db"]].to_numpy()
    np.testing.assert_array_equal(jpeg[0].get_xydata(), expected)
    ours = rows.query("system == 'jpeg'").pivot(index="point", columns="quantity", values="ours").dropna(subset=["bpp"])
    np.testing.assert_array_equal(jpeg[1].get_xydata(), ours[["bpp", "psnr_db"]].to_numpy())
    labels = {line.get_label() for line in axes.lines}
    assert {"uqdm-d", "uqdm-d, tiny_50%", "vdm-1000d"} <= labels


def test_a_figure_without_comparable_fid_says_why(run: Run, rows: pd.DataFrame) -> None:
    figure = figures.draw(run, rows, "fid")
    axes = figure.axes[0]
    assert {line.get_markerfacecolor() for line in axes.lines} == {"none"}
    assert "vdm-1000d" not in {line.get_label() for line in axes.lines}
    said = "No comparable FID measured here: n=3 against 10,000"
    assert said in [text.get_text() for text in axes.texts]
    caption = " ".join(figure.texts[0].get_text().split())
    assert said in caption
    assert "Left out: vdm-1000d" in caption


def test_comparable_fid_is_drawn(run: Run, rows: pd.DataFrame) -> None:
    at = (rows.system == "jpeg") & (rows["quantity"] == "fid")
    scored = rows.assign(ours=rows.ours.where(~at, rows.published))
    lines = figures.draw(run, scored, "fid").axes[0].lines
    assert [line.get_label() for line in lines if line.get_markerfacecolor() != "none"] == ["jpeg"]


@pytest.mark.parametrize("quantity", ["psnr_db", "fid"])
def test_nothing_is_cut_off(run: Run, rows: pd.DataFrame, quantity: str) -> None:
    figure = figures.draw(run, rows, quantity)
    figure.draw_without_rendering()
    renderer, page = FigureCanvasAgg(figure).get_renderer(), figure.bbox
    axes = figure.axes[0]
    for artist in [*figure.texts, axes.title, axes.xaxis.label, axes.yaxis.label, *axes.get_children()[-1:]]:
        box = artist.get_window_extent(renderer)
        assert box.x0 >= page.x0, artist
        assert box.y0 >= page.y0, artist
        assert box.x1 <= page.x1, artist
        assert box.y1 <= page.y1, artist
    legends = [artist for artist in axes.get_children() if type(artist).__name__ == "Legend"]
    boxes = sorted((legend.get_window_extent(renderer) for legend in legends), key=lambda box: box.y0)
    assert len(boxes) == (2 if quantity == "psnr_db" else 1)
    assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and box.y0 >= page.y0 for box in boxes)


# ---- the command --------------------------------------------------------------------------------------------


def test_the_command_writes_everything_and_counts(run_dir: Path) -> None:
    options = ["--run", str(run_dir), "--published", "cifar10", "--model", "tiny=uqdm-pixel"]
    done = CliRunner().invoke(app, ["bench", "paper", *options])
    assert done.exit_code == 0, done.output
    figures = ("figures/rate_distortion.svg", "figures/rate_fid.png", "figures/progressive.png")
    for name in ("table.csv", "table.md", "table.tex", "costs.csv", *figures):
        assert (run_dir / name).stat().st_size > 1000
    written = pd.read_csv(run_dir / "table.csv")
    assert list(written.columns) == list(COLUMNS)
    last = done.stdout.splitlines()[-1]
    verdicts = pd.concat([written.verdict, pd.read_csv(run_dir / "costs.csv").verdict])
    assert f"{(verdicts == 'agrees').sum()} agrees, {(verdicts == 'differs').sum()} differs" in last
    assert last.endswith("table.md")


def test_the_command_names_what_is_wrong(run_dir: Path, tmp_path: Path) -> None:
    unknown = CliRunner().invoke(app, ["bench", "paper", "--run", str(run_dir), "--published", "kodak"])
    assert isinstance(unknown.exception, LookupError)
    missing = CliRunner().invoke(app, ["bench", "paper", "--run", str(tmp_path), "--published", "cifar10"])
    assert "make it with: uqdm bench summarize" in str(missing.exception)
