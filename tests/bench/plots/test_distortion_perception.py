"""Guards the distortion-perception plot: marks where the summary says, the guide at twice the MSE, gaps explained."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from small_run import evaluate_here, score_here
from toy_images import MemoryImages

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.metrics import summary_schema
from uqdm.bench.plots import NothingToDrawError, find_plot, save_plot
from uqdm.bench.plots.distortion_perception import draw, mixtures
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.schema import STATUS_REFERENCE
from uqdm.bench.scoring.options import ScoringOptions


@pytest.fixture(scope="module")
def mixed_run(toys: Path, tmp_path_factory: pytest.TempPathFactory, photographs_uint8: list[np.ndarray]) -> Path:
    """Pictures between the two reconstructions of a stream; metrics of sets are not computed."""
    run_dir = tmp_path_factory.mktemp("mixed") / "run"
    codec = "interpolate:codec=toy-model,mmse=middle,realistic=floor,lam=0,0.5,1"
    images = MemoryImages(photographs_uint8[:4])
    evaluate_here(run_dir, images, codec, "toy-raw:drop=4")
    score_here(run_dir, images, ScoringOptions(metrics=("ssim",)))
    summarize_run(run_dir)
    return run_dir


@pytest.fixture
def scored_run(mixed_run: Path, tmp_path: Path) -> Path:
    """The same, as if FID and KID had been computed."""
    run_dir = shutil.copytree(mixed_run, tmp_path / "run")
    columns = {"fid": [90.0, 80.0, 60.0], "kid": [0.04, 0.03, -0.01], "kid_sd": 0.01}
    change(run_dir, {**columns, "fid_n": 4, "fid_warning": "n=4 is under 2,048"})
    return run_dir


def change(run_dir: Path, columns: dict[str, Any], floors: dict[str, float] | None = None) -> None:
    """Writes columns of the mixtures, and the values of originals against originals, into the summary."""
    summary = read_summary(run_dir)
    mixed = summary.reconstruction.str.startswith("lambda", na=False)
    for name, values in columns.items():
        summary.loc[mixed, name] = values
    if floors:
        names = {"codec": "originals", "setting": "halves", "reconstruction": None, "status": STATUS_REFERENCE}
        line = summary[mixed].iloc[:1].assign(**names, fid=np.nan, kid=np.nan, sliced_w2=np.nan).assign(**floors)
        summary = pd.concat([summary, line], ignore_index=True)
    table = pa.Table.from_pandas(summary, summary_schema(), preserve_index=False)
    pq.write_table(table, run_dir / "summary.parquet")


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
    assert figure.axes[0].get_title("left") == "memory: distortion and realism of toy-model, middle to floor"
    for path in save_plot(find_plot("distortion_perception"), scored_run):
        assert path.stat().st_size > 10_000


def test_without_the_metrics_nothing_is_drawn(mixed_run: Path) -> None:
    assert len(mixtures(read_summary(mixed_run))) == 3
    with pytest.raises(NothingToDrawError, match="FID, KID, LPIPS and Sliced W2 are missing"):
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


def test_lpips_has_its_interval_and_distances_of_sets_their_floors(scored_run: Path) -> None:
    lpips = {"lpips": [0.5, 0.4, 0.3], "lpips_low": [0.4, 0.3, 0.2], "lpips_high": [0.7, 0.6, 0.5]}
    change(scored_run, {**lpips, "sliced_w2": [5.0, 4.0, 3.0], "sliced_w2_n": 4}, {"fid": 300.0, "sliced_w2": 2.6})
    figure = draw(scored_run)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["FID", "KID", "LPIPS", "Sliced W2, grey levels"]
    fid, kid, pairs, sliced = figure.axes
    assert [float(line.get_ydata()[0]) for line in sliced.lines if line.get_label() == "_floor"] == [2.6]
    assert not [line for axes in (fid, kid, pairs) for line in axes.lines if line.get_label() == "_floor"]
    assert "floor: 300, above the panel" in legend(fid)  # a line there would flatten the curve
    assert "floor: 2.6" in legend(sliced)
    assert not any("floor" in text for text in (*legend(kid), *legend(pairs)))
    (bars,) = [segments for container in pairs.containers for segments in container[2]]
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    assert ends == pytest.approx(np.array([[0.4, 0.7], [0.3, 0.6], [0.2, 0.5]]), rel=1e-9)
    assert "4 for PSNR, 4 for FID, KID and Sliced W2; under 2,048" in texts(figure)
    assert "LPIPS compares each picture with its original" in texts(figure)


def legend(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_settings_with_the_same_ends_share_their_panels(scored_run: Path) -> None:
    """As a second stage over a codec at several qualities, whose ends are called mean and sample."""
    summary = read_summary(scored_run)
    mixed = summary[summary.reconstruction.str.startswith("lambda", na=False)]
    setting = "codec=refine:codec=(hyperprior:quality={});steps=8,lam=0,0.5,1,mmse=mean,realistic=sample"
    found = [
        mixed.assign(setting=setting.format(quality), bpp=bpp, point="full", fid=mixed.fid / bpp)
        for quality, bpp in ((5, 2.0), (1, 0.5))
    ]
    table = pa.Table.from_pandas(pd.concat(found), summary_schema(), preserve_index=False)
    pq.write_table(table, scored_run / "summary.parquet")
    axes = draw(scored_run).axes
    assert len(axes) == 2
    assert axes[0].get_title("left") == "memory: distortion and realism of refine over hyperprior, mean to sample"
    assert legend(axes[0])[:2] == ["codec.codec.quality=1, 0.50 bpp", "codec.codec.quality=5, 2.00 bpp"]
