"""Guards the distortion-perception plot: marks where the summary says, the guide at twice the MSE, gaps explained."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from small_run import measure_run
from toy_images import MemoryImages

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.metrics import summary_schema
from uqdm.bench.plots import NothingToDrawError, find_plot, save_plot
from uqdm.bench.plots.distortion_perception import draw, mixtures
from uqdm.bench.run.summary_reader import read_summary


@pytest.fixture(scope="module")
def mixed_run(toys: Path, tmp_path_factory: pytest.TempPathFactory, photographs_uint8: list[np.ndarray]) -> Path:
    """Pictures between the two reconstructions of a stream; metrics of sets are not computed."""
    run_dir = tmp_path_factory.mktemp("mixed") / "run"
    codec = "interpolate:codec=toy-model,mmse=middle,realistic=floor,lam=0,0.5,1"
    measure_run(run_dir, MemoryImages(photographs_uint8[:4]), codec, "toy-raw:drop=4")
    summarize_run(run_dir)
    return run_dir


@pytest.fixture
def scored_run(mixed_run: Path, tmp_path: Path) -> Path:
    """The same, as if FID and KID had been computed."""
    run_dir = shutil.copytree(mixed_run, tmp_path / "run")
    summary = read_summary(run_dir)
    mixed = summary.reconstruction.str.startswith("lambda", na=False)
    for name, values in {"fid": [90.0, 80.0, 60.0], "kid": [0.04, 0.03, -0.01], "kid_sd": [0.01] * 3}.items():
        summary.loc[mixed, name] = values
    summary.loc[mixed, "fid_n"] = 4
    summary.loc[mixed, "fid_warning"] = "n=4 is under 2,048"
    table = pa.Table.from_pandas(summary, summary_schema(), preserve_index=False)
    pq.write_table(table, run_dir / "summary.parquet")
    return run_dir


def texts(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


def guides(axes: Axes) -> list[float]:
    return [float(line.get_xydata()[0, 0]) for line in axes.lines if line.get_label() == "_guide"]


def test_marks_and_guide_are_where_the_summary_says(scored_run: Path) -> None:
    rows = mixtures(read_summary(scored_run))
    assert rows.lam.tolist() == [0, 0.5, 1]
    figure = draw(scored_run)
    for axes, name in zip(figure.axes, ("fid", "kid"), strict=True):
        curve = axes.lines[0]
        np.testing.assert_array_equal(curve.get_xydata(), rows[["psnr_db", name]].to_numpy())
        assert guides(axes) == pytest.approx([rows.psnr_db.iloc[0] - 10 * np.log10(2)])
        assert curve.get_label() == f"high, {rows.bpp.iloc[0]:.2f} bpp"
    assert [axes.get_ylabel() for axes in figure.axes] == ["FID", "KID"]
    assert "4 for PSNR, 4 for FID and KID; under 2,048 FID is biased" in texts(figure)
    assert figure.axes[0].get_title("left") == "memory: distortion and realism of toy-model"
    for path in save_plot(find_plot("distortion_perception"), scored_run):
        assert path.stat().st_size > 10_000


def test_without_the_metrics_nothing_is_drawn(mixed_run: Path) -> None:
    assert len(mixtures(read_summary(mixed_run))) == 3
    with pytest.raises(NothingToDrawError, match="FID and KID are missing"):
        draw(mixed_run)


def test_a_run_without_such_pictures_says_how_to_get_them(finished_run: Path) -> None:
    with pytest.raises(NothingToDrawError, match=r'"interpolate" makes them, config/distortion_perception.yaml is an'):
        draw(finished_run)


def test_exact_pictures_are_left_out_of_the_curve(scored_run: Path) -> None:
    summary = read_summary(scored_run)
    summary.loc[summary.reconstruction == "lambda 0", "psnr_db"] = np.inf
    table = pa.Table.from_pandas(pd.DataFrame(summary), summary_schema(), preserve_index=False)
    pq.write_table(table, scored_run / "summary.parquet")
    axes = draw(scored_run).axes[0]
    assert len(axes.lines[0].get_xydata()) == 2
    assert not guides(axes)  # the guide is relative to lambda 0, which is left out
