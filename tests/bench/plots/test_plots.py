"""Guards the plots: every codec is on them, their numbers are those of the rows, and they state what is missing."""

from __future__ import annotations

import itertools
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from small_run import measure_run
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.analysis.curve_styles import codec_style
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.metrics import summary_schema
from uqdm.bench.plots import (
    NothingToDrawError,
    all_plots,
    find_plot,
    not_drawn,
    progressive,
    rate_distortion,
    save_plot,
    shown_file,
)
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.summary_reader import read_summary


def svg_texts(path: Path) -> list[str]:
    texts = ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(text.itertext()).strip() for text in texts]


def write_summary(run_dir: Path, summary: pd.DataFrame) -> Path:
    run_dir.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pandas(summary, summary_schema(), preserve_index=False), run_dir / "summary.parquet")
    return run_dir


@pytest.fixture
def copied_run(finished_run: Path, tmp_path: Path) -> Iterator[Path]:
    return shutil.copytree(finished_run, tmp_path / "run")


@pytest.mark.slow
def test_every_plot_is_written_in_each_format(finished_run: Path) -> None:
    gone = not_drawn(finished_run / "plots")
    assert "distortion_perception" in gone
    for plot in all_plots():
        for path in plot.files(finished_run):
            assert path.is_file() == (plot.name not in gone)
            if plot.name in gone:
                continue
            assert path.stat().st_size > 1000
            if path.suffix == ".png":
                pixels = np.asarray(Image.open(path).convert("RGB"))
                assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100  # drawn on, not blank


def test_every_codec_is_named_on_the_curves(finished_run: Path) -> None:
    texts = svg_texts(finished_run / "plots" / "rate_distortion.svg")
    for label in ("toy-raw", "toy-faulty", "toy-model floor", "toy-model middle", "ideal rate"):
        drawn = label in texts or any(text.startswith(f"{label} ") for text in texts)
        assert drawn, f"{label} is not among {texts}"
    everything = " ".join(texts)
    assert "memory: 7 images." in everything
    assert "95 % bootstrap intervals over images" in everything
    assert "toy-absent skipped: codec 'toy-absent' cannot run here: libtoy is not installed" in everything
    assert "toy-faulty: 1 failed" in everything


def test_lossless_rates_are_sorted_labelled_and_apart(finished_run: Path) -> None:
    figure = rate_distortion.draw(finished_run)
    strip = figure.axes[0]
    rates = {text.get_text(): text for text in strip.texts if "bold" not in str(text.get_weight())}
    summary = read_summary(finished_run)
    exact = summary[summary.exact == summary.n].query("status == 'ok'").set_index("codec").bpp
    assert set(rates) == {f"{codec}  {bpp:.2f}" for codec, bpp in exact.items()}
    boxes = sorted(
        (text.get_window_extent(FigureCanvasAgg(figure).get_renderer()) for text in rates.values()), key=lambda b: b.y0
    )
    assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))


def test_the_marks_are_where_the_summary_says(finished_run: Path) -> None:
    summary = read_summary(finished_run).query("codec == 'toy-model' and reconstruction == 'middle'")
    axes = rate_distortion.draw(finished_run).axes[1]
    (line,) = [line for line in axes.lines if line.get_label() == "toy-model middle"]
    np.testing.assert_array_equal(line.get_xydata(), summary[["bpp", "psnr_db"]].to_numpy())
    (ideal,) = [line for line in axes.lines if line.get_label() == "toy-model middle, ideal rate"]
    np.testing.assert_array_equal(ideal.get_xdata(), summary.ideal_bpp)


def test_nothing_is_cut_off_or_drawn_over(finished_run: Path) -> None:
    figure = rate_distortion.draw(finished_run)
    figure.draw_without_rendering()  # places the labels of the axes
    renderer = FigureCanvasAgg(figure).get_renderer()
    page = figure.bbox
    for text in [*figure.texts, figure.axes[0].title, figure.axes[1].xaxis.label, figure.axes[1].yaxis.label]:
        box = text.get_window_extent(renderer)
        assert box.x0 >= page.x0, text.get_text()
        assert box.x1 <= page.x1, text.get_text()
        assert box.y0 >= page.y0, text.get_text()
        assert box.y1 <= page.y1, text.get_text()
    caption = figure.texts[0].get_window_extent(renderer)
    assert caption.y1 <= figure.axes[1].xaxis.label.get_window_extent(renderer).y0


def test_a_codec_keeps_its_colour_when_others_join(finished_run: Path) -> None:
    alone = codec_style("toy-raw")
    figure = rate_distortion.draw(finished_run)
    (line,) = [line for line in figure.axes[1].lines if line.get_label().startswith("toy-raw")]
    assert (line.get_color(), line.get_marker()) == alone


def test_known_codecs_differ_in_colour_and_marker() -> None:
    styles = [codec_style(name) for name in ("uqdm", "jpeg", "jpeg2000", "webp", "avif", "jxl", "png", "hyperprior")]
    assert len({colour for colour, _ in styles}) == len({marker for _, marker in styles}) == len(styles)


def test_data_sets_have_panels_of_their_own(finished_run: Path, tmp_path: Path) -> None:
    one = read_summary(finished_run)
    run_dir = write_summary(tmp_path / "run", pd.concat([one, one.assign(dataset="other")]))
    titles = [axes.get_title(loc="left") for axes in rate_distortion.draw(run_dir).axes]
    assert [title for title in titles if title] == ["memory: rate and distortion", "other: rate and distortion"]


def test_one_image_is_drawn_without_intervals(finished_run: Path, tmp_path: Path) -> None:
    ends = ["bpp_low", "bpp_high", "psnr_db_low", "psnr_db_high"]
    one = read_summary(finished_run).assign(n=1, **dict.fromkeys(ends, np.nan))
    one["exact"] = (one.psnr_db == np.inf).astype(int)
    files = save_plot(find_plot("rate_distortion"), write_summary(tmp_path / "run", one))
    assert "memory: 1 image." in " ".join(svg_texts(files[1]))


def test_a_plot_with_nothing_to_show_has_no_files_and_removes_earlier_ones(finished_run: Path, tmp_path: Path) -> None:
    plot, run_dir = find_plot("rate_distortion"), write_summary(tmp_path / "run", read_summary(finished_run))
    files = save_plot(plot, run_dir)
    assert [path.suffix for path in files] == [".png", ".svg", ".pdf"]
    assert shown_file(plot, run_dir) == files[1]
    write_summary(run_dir, read_summary(finished_run).query("status == 'skipped'"))
    said: list[str] = []
    assert save_plot(plot, run_dir, say=said.append) == []
    assert [path.name for path in (run_dir / "plots").iterdir()] == ["not_drawn.json"]
    (text,) = said
    assert text.startswith("rate_distortion: not drawn: no codec succeeded on any image; toy-absent skipped: ")
    assert shown_file(plot, run_dir) is None
    write_summary(run_dir, read_summary(finished_run))
    assert save_plot(plot, run_dir) == files
    assert not_drawn(run_dir / "plots") == {}


def test_the_same_summary_gives_the_same_svg(finished_run: Path) -> None:
    plot = find_plot("rate_distortion")
    first = plot.files(finished_run)[1].read_bytes()
    assert save_plot(plot, finished_run)[1].read_bytes() == first


def test_the_strip_holds_the_numbers_of_the_rows_and_the_pictures_of_the_streams(finished_run: Path) -> None:
    strip = progressive.read_strip(finished_run)
    assert strip is not None
    assert (strip.codec, len(strip.pictures)) == ("toy-model", progressive.N_IMAGES)
    columns = ["codec", "image_id", "point", "reconstruction", "bpp", "psnr_db", "status"]
    rows = read_rows(finished_run, columns).query("codec == 'toy-model'")
    for pictures, original in zip(strip.pictures, strip.originals, strict=True):
        assert [picture.point for picture in pictures] == ["high", "all"]
        assert original is not None
        for picture in pictures:
            row = rows[(rows.image_id == picture.image_id) & (rows.point == picture.point)]
            row = row[row.reconstruction == picture.reconstruction]
            assert (picture.bpp, picture.psnr_db) == (row.bpp.item(), row.psnr_db.item())
            error = np.mean((original.astype(float) - picture.image_uint8) ** 2)
            # The same quotient of integers, rounded in another order.
            assert picture.psnr_db == pytest.approx(10 * np.log10(255**2 / error) if error else np.inf, rel=1e-14)
        assert pictures[-1].psnr_db == np.inf


def test_every_number_and_picture_of_the_strip_is_drawn(finished_run: Path) -> None:
    strip = progressive.read_strip(finished_run)
    assert strip is not None
    figure = progressive.draw(finished_run)
    texts = [text.get_text() for text in figure.texts]
    for pictures in strip.pictures:
        for picture in pictures:
            assert progressive.label_of(picture) in texts
    pixels = np.asarray(Image.open(finished_run / "plots" / "progressive.png").convert("RGB"))
    assert pixels.shape[:2] == (int(figure.bbox.height), int(figure.bbox.width))
    enlarged = strip.pictures[0][1].image_uint8.repeat(3, axis=0).repeat(3, axis=1)
    left, top = progressive._left(1), progressive._HEAD
    np.testing.assert_array_equal(pixels[top : top + 192, left : left + 192], enlarged)


def test_a_stream_that_decodes_to_another_picture_is_refused(copied_run: Path) -> None:
    path = copied_run / "per_image" / "toy-model.parquet"
    table = pq.read_table(path)
    position = table.schema.get_field_index("picture_sha256")
    changed = pa.array(["0" * 64] * len(table))
    pq.write_table(table.set_column(position, table.schema.field("picture_sha256"), changed), path)
    with pytest.raises(ResultsError, match=r"another picture at 'high' than was measured \(SHA-256 .*, row 0000"):
        progressive.draw(copied_run)


def test_without_streams_there_is_no_strip(copied_run: Path) -> None:
    shutil.rmtree(copied_run / "streams")
    with pytest.raises(NothingToDrawError, match="the streams of toy-model at 'drop=0' were not kept"):
        progressive.draw(copied_run)


def test_without_a_progressive_codec_there_is_no_strip(toys: Path, tmp_path: Path) -> None:
    run_dir = measure_run(tmp_path, MemoryImages(unmarked_images(2)), "toy-raw")
    summarize_run(run_dir)
    with pytest.raises(NothingToDrawError, match="no codec of this run has streams with more than one point"):
        progressive.draw(run_dir)


def test_large_images_are_shown_by_their_centre(toys: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (300, 250, 3), np.uint8)
    image[0, 0, 0] = 0
    run_dir = measure_run(tmp_path, MemoryImages([image]), "toy-model")
    summarize_run(run_dir)
    path = save_plot(find_plot("progressive"), run_dir)[0]
    pixels = np.asarray(Image.open(path).convert("RGB"))
    left, top = progressive._left(1), progressive._HEAD
    np.testing.assert_array_equal(pixels[top : top + 192, left : left + 192], image[54:246, 29:221])
