"""Guards the plots of metrics against rate, of single images, and of times: their marks, legends and captions."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from uqdm.bench.analysis.costs import pareto_front
from uqdm.bench.analysis.curve_styles import curve_styles
from uqdm.bench.analysis.curves import curves
from uqdm.bench.metrics import summary_schema
from uqdm.bench.plots import (
    NothingToDrawError,
    find_plot,
    not_drawn,
    per_image,
    quality_time,
    rate_cost,
    save_plot,
)
from uqdm.bench.plots._labels import Label, place_labels
from uqdm.bench.plots._panels import legend_texts
from uqdm.bench.run.layout import summary_path
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.summary_reader import read_summary

NEW = (
    "rate_fid",
    "rate_kid",
    "rate_ssim",
    "rate_lpips",
    "rate_lpips_vgg",
    "rate_dists",
    "per_image",
    "quality_time",
    "rate_distortion",
)


@pytest.fixture
def changed_run(reportable_run: Path, tmp_path: Path) -> Path:
    """A copy of the summary and the rows of the run, for changes."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    shutil.copytree(reportable_run / "per_image", run_dir / "per_image")
    for name in ("run.json", "summary.parquet"):
        shutil.copy(reportable_run / name, run_dir / name)
    return run_dir


def rewrite(run_dir: Path, summary: pd.DataFrame) -> Path:
    table = pa.Table.from_pandas(summary, summary_schema(), preserve_index=False)
    pq.write_table(table, summary_path(run_dir))
    return run_dir


def drawn(run_dir: Path, name: str) -> Figure:
    return find_plot(name).draw(run_dir)


def text_of(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


def test_every_metric_with_values_has_a_plot_in_three_formats(reportable_run: Path, tmp_path: Path) -> None:
    gone = not_drawn(reportable_run / "plots")
    for name in NEW:
        plot = find_plot(name)
        has_values = name != "rate_lpips_vgg"  # in tests no networks run, and the run has made-up LPIPS and DISTS
        assert (name not in gone) == has_values, gone
        assert [path.suffix for path in plot.files(reportable_run)] == [".png", ".svg", ".pdf"]
        assert plot.files(reportable_run)[1].is_file() == has_values  # the run has the shown format of each alone
    assert all(path.is_file() for path in save_plot(find_plot("rate_fid"), reportable_run, tmp_path))


@pytest.mark.parametrize("name", ["fid", "ssim", "lpips", "dists"])
def test_marks_are_where_the_summary_says_in_the_style_of_their_curve(reportable_run: Path, name: str) -> None:
    found = curves(read_summary(reportable_run))
    styles = curve_styles(found)
    (axes,) = drawn(reportable_run, f"rate_{name}").axes
    lines = {line.get_label(): line for line in axes.lines}
    for curve in found:
        line, style = lines[curve.title], styles[curve.label]
        points = curve.points.dropna(subset=[name])
        np.testing.assert_array_equal(line.get_xydata(), points[["rate_bpp", name]].to_numpy(float))
        assert (line.get_color(), line.get_marker()) == (style.colour, style.marker)


def test_realism_is_on_a_logarithmic_axis_with_its_floor(reportable_run: Path) -> None:
    assert drawn(reportable_run, "rate_ssim").axes[0].get_yscale() == "linear"
    (axes,) = drawn(reportable_run, "rate_fid").axes
    assert axes.get_yscale() == "log"
    assert axes.lines[-1].get_ydata()[0] == 123.4
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend[-1].startswith("floor: originals, first half")


def test_values_below_zero_are_marked_on_the_edge_and_explained(changed_run: Path) -> None:
    summary = read_summary(changed_run)
    worst = summary.index[summary.codec == "jpeg"][0]
    summary.loc[worst, "kid"] = -0.003
    figure = drawn(rewrite(changed_run, summary), "rate_kid")
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "v" and len(line.get_xdata())]
    found = {float(rate) for line in marks for rate, value in line.get_xydata() if value == 0}
    expected = {rate for curve in curves(summary) for rate in curve.points.rate_bpp[curve.points.kid <= 0]}
    assert summary.bpp[worst] in found
    assert found == expected
    assert "Hollow triangles on the lower edge: values of 0 or less" in text_of(figure)


def test_a_metric_without_values_has_no_plot_and_the_reason_of_the_rows(changed_run: Path) -> None:
    summary = read_summary(changed_run)
    reasons = pd.Series([{"lpips": "weights are missing"}] * len(summary), dtype=object)
    rewrite(changed_run, summary.assign(lpips=np.nan, unscored=reasons))
    with pytest.raises(NothingToDrawError, match="no curve has values of LPIPS: weights are missing"):
        drawn(changed_run, "rate_lpips")


def test_single_images_are_those_of_the_rows_at_the_nearest_point(reportable_run: Path) -> None:
    ((name, rate, clouds),) = per_image.read_clouds(reportable_run)
    assert rate == per_image.rate_of(read_summary(reportable_run))
    rows = read_rows(reportable_run, ["codec", "setting", "point", "reconstruction", "bpp", "psnr_db"])
    assert clouds
    for cloud in clouds:
        assert max(cloud.rate_bpp.mean() / rate, rate / cloud.rate_bpp.mean()) <= per_image.NEAR
        codec = cloud.label.split()[0].removesuffix(",")
        of_codec = rows[rows.codec == codec]
        pairs = set(zip(of_codec.bpp, of_codec.psnr_db, strict=True))
        assert set(zip(cloud.rate_bpp, cloud.psnr_db, strict=True)) <= pairs
    figure = drawn(reportable_run, "per_image")
    assert figure.axes[0].get_title("left").startswith(f"{name}: single images near ")


def test_curves_far_from_the_rate_are_named(reportable_run: Path) -> None:
    summary = read_summary(reportable_run)
    labels = {curve.label for curve in curves(summary)}
    ((_, _, clouds),) = per_image.read_clouds(reportable_run)
    gone = labels - {label for label in labels if any(cloud.label.startswith(f"{label}") for cloud in clouds)}
    text = text_of(drawn(reportable_run, "per_image"))
    assert all(label in text.partition("Not near that rate:")[2] for label in gone)


def test_times_are_interpolated_between_the_points_of_the_curve(reportable_run: Path) -> None:
    summary = read_summary(reportable_run)
    at_rate = quality_time.at_rate(summary)
    rate, found = at_rate.rate_bpp, at_rate.values
    assert found
    for curve in curves(summary):
        if curve.label not in found:
            continue
        points = curve.points[["rate_bpp", "psnr_db", "decode_ms"]].sort_values("rate_bpp")
        left = points[points.rate_bpp <= rate].iloc[-1]
        right = points[points.rate_bpp >= rate].iloc[0]
        for name in ("psnr_db", "decode_ms"):
            low, high = sorted((left[name], right[name]))
            assert low * (1 - 1e-12) <= found[curve.label][name] <= high * (1 + 1e-12)
    gone = {curve.label for curve in curves(summary)} - found.keys()
    assert all(label in text_of(drawn(reportable_run, "quality_time")) for label in gone)


def test_without_times_there_is_no_plot_of_them(changed_run: Path) -> None:
    rewrite(changed_run, read_summary(changed_run).assign(encode_ms=np.nan))
    with pytest.raises(NothingToDrawError, match="no curve has times"):
        drawn(changed_run, "quality_time")


def test_costs_are_those_of_the_curves_at_the_quality_and_faint_behind_the_front(reportable_run: Path) -> None:
    rows = rate_cost.levels(reportable_run)
    assert rows
    figure = rate_cost.draw(reportable_run)
    panels = iter(figure.axes)
    columns = [name for name in rate_cost.AXES if any(name in row.points for row in rows)]
    for row in rows:
        styles = curve_styles(row.drawn)
        for name in columns:
            axes, points = next(panels), row.points.get(name, [])
            unit = 2**20 if name == "peak_memory_bytes" else 1
            shown = {
                (*np.asarray(line.get_xydata())[0].tolist(), line.get_color(), line.get_alpha() is not None)
                for line in axes.lines[1:]
                if np.size(line.get_xydata())
            }
            front = pareto_front(points)
            assert shown == {
                (point.cost / unit, point.rate_bpp, styles[point.label].colour, point not in front) for point in points
            }
            labels = {text.get_text() for text in axes.texts}
            assert labels <= {point.label for point in front}
            assert axes.get_xscale() == ("symlog" if any(point.cost == 0 for point in points) else "log")


def test_labels_cover_no_label_and_no_point() -> None:
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    places = np.random.default_rng(0).uniform(0.05, 0.95, (25, 2))
    points = [(float(x), float(y)) for x, y in places]
    axes.set(xlim=(0, 1), ylim=(0, 1))
    drawn = place_labels(axes, [Label(f"codec {n}", *point, "black") for n, point in enumerate(points)], points)
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in drawn]
    assert len(drawn) >= 15
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert not any(box.contains(*axes.transData.transform(point)) for box in boxes for point in points)
    assert [text for text in axes.texts if isinstance(text, Annotation)] == drawn


@pytest.mark.parametrize("name", ["rate_fid", "rate_kid", "per_image", "quality_time", "rate_cost", "rate_distortion"])
def test_nothing_is_cut_off_or_drawn_over(reportable_run: Path, name: str) -> None:
    """Texts are inside the figure; legends cover no panel, and the caption covers no label of an axis."""
    figure = drawn(reportable_run, name)
    figure.draw_without_rendering()
    renderer = FigureCanvasAgg(figure).get_renderer()
    page, caption = figure.bbox, figure.texts[0].get_window_extent(renderer)
    legends = [axes.get_legend() for axes in figure.axes if axes.get_legend() is not None]
    boxes = [legend.get_window_extent(renderer) for legend in legends]
    shown = [axis.label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) if axis.get_label_text()]
    labels = [label.get_window_extent(renderer) for label in shown]
    for box in [caption, *boxes, *labels]:
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1
        assert page.y0 <= box.y0
        assert box.y1 <= page.y1
    assert not any(box.overlaps(axes.bbox) for box, axes in itertools.product(boxes, figure.axes))
    assert not any(caption.overlaps(label) for label in labels)


def test_many_curves_with_long_settings_have_a_legend_inside_the_figure(changed_run: Path) -> None:
    summary = read_summary(changed_run)
    jpeg = summary[summary.codec == "jpeg"]
    more = [
        jpeg.assign(codec=f"program-{n}", setting=jpeg.setting + f",command=tool{n} --{'long-option ' * 20}")
        for n in range(24)
    ]
    figure = drawn(rewrite(changed_run, pd.concat([summary, *more], ignore_index=True)), "rate_ssim")
    figure.draw_without_rendering()
    box = figure.axes[0].get_legend().get_window_extent(FigureCanvasAgg(figure).get_renderer())
    assert box.y0 >= 0
    assert box.x1 <= figure.bbox.x1


def test_long_titles_are_cut_in_a_legend() -> None:
    (text,) = legend_texts([f"codec ({'parameter=value; ' * 30})"])
    assert text.endswith("...")
    assert len(text) < 100
    assert max(map(len, text.splitlines())) <= 38
