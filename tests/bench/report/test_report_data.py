"""Guards what the report shows: curves, notes, pictures and tables are those of the run, and gaps are stated."""

from __future__ import annotations

import base64
import functools
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import report_run
from PIL import Image
from small_run import measure_run
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.analysis.curves import curves
from uqdm.bench.analysis.short_table import headings, lines
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import Origin
from uqdm.bench.grid.content import metric_columns
from uqdm.bench.report.bd import read_deltas
from uqdm.bench.report.bd_images import image_deltas
from uqdm.bench.report.comparison import comparison_tables
from uqdm.bench.report.extremes import extremes, middle_row
from uqdm.bench.report.figures import figure_data, plotted_metrics, published_note
from uqdm.bench.report.grid import report_grid
from uqdm.bench.report.library import csp_hash, plotly_library
from uqdm.bench.report.page import embed_json, render_report
from uqdm.bench.report.pictures import PicturePool, data_uri
from uqdm.bench.report.results_table import cost_table, full_table
from uqdm.bench.report.sets import absent, caveats
from uqdm.bench.report.walk import NO_STREAM, walk_data
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.pictures import RunPictures
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.schema import BD

pytestmark = pytest.mark.slow

COST_COLUMNS = ("batch_size", "device", "threads", "macs_per_pixel", "peak_memory_bytes")


@pytest.fixture(scope="module")
def run_dir(reportable_run: Path) -> Path:
    return reportable_run


@pytest.fixture(scope="module")
def summary(run_dir: Path) -> pd.DataFrame:
    return read_summary(run_dir)


@pytest.fixture(scope="module")
def run(run_dir: Path) -> RunPictures:
    return RunPictures(run_dir, "cifar10-like")


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def test_the_figures_hold_every_point_of_every_curve(summary: pd.DataFrame) -> None:
    (data,) = figure_data(summary)["datasets"]
    expected = {curve.label: curve.points for curve in curves(summary)}
    assert {curve["title"] for curve in data["curves"]} == {curve.title for curve in curves(summary)}
    assert {curve["label"] for curve in data["curves"]} == set(expected)
    for curve in data["curves"]:
        points = expected[curve["label"]]
        for name in ("psnr_db", "mse", "fid", "kid"):
            drawn = [point["values"][name][0] for point in curve["points"]]
            np.testing.assert_allclose(drawn, points[name], rtol=1e-6)  # seven digits are kept
        ends = [point["values"]["psnr_db"][1:] for point in curve["points"]]
        np.testing.assert_allclose(ends, points[["psnr_db_low", "psnr_db_high"]], rtol=1e-6)
        assert [point["set_n"] for point in curve["points"]] == [report_run.N_IMAGES] * len(points)
        assert all(point["warnings"]["fid"] == report_run.WARNING for point in curve["points"])
    assert [point["codec"] for point in data["lossless"]] == ["png", "toy-model"]  # lowest rate first
    assert data["floor"]["values"] == {"fid": 123.4, "kid": 0.0123}
    json.dumps(data, allow_nan=False)


def test_metrics_without_numbers_are_not_offered(summary: pd.DataFrame) -> None:
    names = [metric.name for metric in plotted_metrics(summary)]
    assert names[0] == "psnr_db"
    assert names[-2:] == ["fid", "kid"]
    without = summary.assign(fid=np.nan, kid=np.nan)
    assert not {"fid", "kid"} & {metric["name"] for metric in figure_data(without)["metrics"]}


def test_notes_on_published_curves_state_the_relation_of_the_images(summary: pd.DataFrame) -> None:
    ok = summary[summary.status == "ok"]
    by_name = published_note(ok, "cifar10", None)
    assert "not measured here, on the 10,000 test images of CIFAR-10. This run: 6 images of cifar10-like" in by_name
    assert by_name.endswith("cifar10-like is taken for images of that kind by its name; nothing proves it.")
    assert published_note(ok, "imagenet64", None).endswith("Compare shapes, not numbers.")
    known = Origin("cifar10-test", "the CIFAR-10 test set", "by fingerprint")
    assert "the first 6 of the published ones (by fingerprint)" in published_note(ok, "cifar10", known)


def test_the_caveats_name_images_extractor_floor_and_warning(summary: pd.DataFrame) -> None:
    said = caveats(summary)
    assert said.warnings == [f"FID: {report_run.WARNING}"]
    text = " ".join(said.facts)
    assert "Sets of 6 pictures against as many originals" in text
    assert "weights 0123456789abcdef; resized: bilinear to 299 x 299" in text
    assert "Floor: originals, first half against second half (3 images): FID 123.4, KID 0.01230." in text
    assert "No MS-SSIM" in text
    assert "64 px is under its smallest side of 161 px" in text
    assert caveats(summary.assign(fid=np.nan, kid=np.nan)).facts[0] == absent() == "This run has no FID or KID."


def test_pictures_are_lossless_cut_to_their_centre_and_held_once() -> None:
    image = np.random.default_rng(0).integers(0, 256, (300, 50, 3), np.uint8)
    pool = PicturePool()
    assert [pool.add(image), pool.add(image.copy()), pool.add(image[::-1])] == [0, 0, 1]
    np.testing.assert_array_equal(pixels(pool.uris[0]), image[22:278])
    np.testing.assert_array_equal(pixels(data_uri(image)), image)


def test_the_walk_has_the_pictures_of_the_rows(run: RunPictures, summary: pd.DataFrame) -> None:
    pool = PicturePool()
    walk = walk_data(lambda _: run, summary, pool)
    assert walk["companions"][:2] == ["jpeg", "bpg"]
    assert len(walk["images"]) == report_run.N_IMAGES
    for image in walk["images"]:
        rows = run.rows[(run.rows.image_id == image["id"]) & (run.rows.codec == "toy-model")]
        (steps,) = image["streams"]
        entries = [(step["point"], one) for step in steps for one in step["pictures"]]
        assert len(entries) == len(rows)
        for point, entry in entries:
            (row,) = rows[(rows.point == point) & (rows.reconstruction == entry["name"])].to_dict("records")
            shown = pixels(pool.uris[entry["picture"]]).astype(float)
            original = pixels(pool.uris[image["original"]])
            assert np.mean((shown - original) ** 2) == pytest.approx(row["mse"], rel=1e-12)  # one rounding
            assert entry["bpp"] == row["bpp"]
            assert entry["exact"] == (row["mse"] == 0)


def test_the_grid_at_equal_rates_shows_pictures_of_the_run(run_dir: Path, summary: pd.DataFrame) -> None:
    run, pool = RunPictures(run_dir, "cifar10-like", metric_columns()), PicturePool()
    grid = report_grid(lambda _: run, summary, pool)
    assert len({row.image_id for row in grid.rows}) == 3
    assert {"jpeg", "bpg"} <= {column.codec for column in grid.columns}
    for row in grid.rows:
        rows = run.rows[run.rows.image_id == row.image_id]
        original = run.original(int(rows.image_index.iloc[0]))
        assert original is not None
        shown = [tile for tile in row.tiles if tile.picture is not None]
        assert len(shown) >= 2
        for tile in shown:
            assert tile.picture is not None
            error = np.mean((pixels(pool.uris[int(tile.picture.value)]).astype(float) - original) ** 2)
            measured = rows.mse[rows.codec == tile.codec] if tile.codec else [0]
            assert any(error == pytest.approx(mse, rel=1e-12, abs=0) for mse in measured)  # one rounding


def test_best_and_worst_are_those_of_the_rows(run: RunPictures, summary: pd.DataFrame) -> None:
    pool = PicturePool()
    found = {one.codec: one for one in extremes(lambda _: run, summary, pool)}
    middle = middle_row(summary, "jpeg")
    assert middle is not None
    assert (middle["setting"], found["jpeg"].where) == ("quality=50", "quality=50")
    rows = run.rows[(run.rows.codec == "jpeg") & (run.rows.setting == "quality=50")].sort_values("psnr_db")
    assert [shown.image_id for shown in found["jpeg"].worst] == list(rows.image_id[:3])
    assert [shown.image_id for shown in found["jpeg"].best] == list(rows.image_id[::-1][:3])
    worst = found["jpeg"].worst[0]
    np.testing.assert_array_equal(pixels(pool.uris[worst.picture]), run.picture(rows.iloc[0].to_dict()))
    assert found["png"].absent.startswith("Every picture is exact")


def test_without_streams_the_report_says_so(run_dir: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run_dir, tmp_path / "run")
    shutil.rmtree(copy / "streams")
    html = render_report(copy)
    assert "No file to walk through: the streams of toy-model at &#39;drop=0&#39; were not kept" in html
    assert html.count("The data set no longer gives every original: no data set &#39;cifar10-like&#39;") == 1
    assert "No pictures: the streams of jpeg at &#39;quality=50&#39; were not kept" in html


def test_without_a_progressive_codec_the_walk_says_so(toys: Path, tmp_path: Path) -> None:
    run_dir = measure_run(tmp_path, MemoryImages(unmarked_images(2)), "toy-raw")
    summary = summarize_run(run_dir)
    assert walk_data(lambda name: RunPictures(run_dir, name), summary, PicturePool()) == {"absent": NO_STREAM}


def test_the_table_has_groups_and_the_floor(summary: pd.DataFrame) -> None:
    table = full_table(summary)
    columns = [heading.text for heading in table.headings]
    groups = {heading.text: heading.group for heading in table.headings}
    assert groups["FID"] == groups["KID"] == "quality"
    assert "encode, ms" not in columns  # in the table of costs
    assert "MS-SSIM" not in columns  # no number in it
    cells = [dict(zip(columns, row, strict=True)) for row in table.rows]
    (floor,) = [row for row in cells if row["codec"].text == "originals"]
    assert (floor["setting"].text, floor["FID"].text, floor["rate, bpp"].text) == (
        "first half against second half",
        "123.4",
        "-",
    )
    jpeg = next(row for row in cells if row["codec"].text == "jpeg")
    assert jpeg["FID"].value == summary[summary.codec == "jpeg"].fid.iloc[0]
    assert jpeg["KID"].interval == "sd 0.0020"  # beside its value, and in no column of its own
    assert not [column for column in columns if "sd" in column]


def test_costs_have_a_table_of_their_own(summary: pd.DataFrame) -> None:
    table = cost_table(summary)
    assert table is not None
    columns = [heading.text for heading in table.headings]
    assert {"codec", "setting", "encode, ms", "decode, ms", "peak memory"} <= set(columns)
    assert not {"rate, bpp", "PSNR, dB", "FID"} & set(columns)
    times = [row[columns.index("encode, ms")].value for row in table.rows]
    assert times == list(summary[summary.status == "ok"].encode_ms)
    costs = [name for name in summary if name.startswith(("encode", "decode")) or name in COST_COLUMNS]
    assert cost_table(summary.assign(**dict.fromkeys(costs))) is None


def test_rows_name_their_codec_and_curve_for_the_filter(summary: pd.DataFrame) -> None:
    table = full_table(summary)
    assert len(table.keys) == len(table.rows)
    labels = {curve.label for curve in curves(summary)}
    columns = [heading.text for heading in table.headings]
    for row, key in zip(table.rows, table.keys, strict=True):
        cells = dict(zip(columns, row, strict=True))
        assert key.get("codec", "originals") == cells["codec"].text
        is_lossy = cells["codec"].text != "originals" and cells["PSNR, dB"].text != "exact"
        assert (key.get("curve") in labels) == is_lossy
    keys = [key for key in table.keys if key.get("codec") in ("toy-model", "png")]
    assert keys == [
        {"codec": "png"},  # it has no curve
        {"codec": "toy-model", "curve": "toy-model floor"},
        {"codec": "toy-model", "curve": "toy-model middle"},
        {"codec": "toy-model", "curve": "toy-model floor\ntoy-model middle"},  # exact pictures
    ]


def test_the_comparison_is_the_short_table(summary: pd.DataFrame) -> None:
    (table,) = comparison_tables(summary).values()
    found = lines(summary)
    assert [heading.text for heading in table.headings] == list(headings())
    assert [[cell.text for cell in row[1:]] for row in table.rows] == [line.cells()[1:] for line in found]
    assert [key["curve"] for key in table.keys] == [line.label for line in found]
    rates = [row[1].value for row in table.rows]
    assert [rate for rate in rates if rate == rate] == [round(line.bpp_at[0], 3) for line in found if line.bpp_at[0]]


def test_points_without_bits_of_the_image_are_marked(summary: pd.DataFrame) -> None:
    bpg = summary.codec == "bpg"
    (data,) = figure_data(summary.assign(ideal_bpp=summary.ideal_bpp.where(~bpg, 0.0)))["datasets"]
    marked = {curve["codec"]: {point["empty"] for point in curve["points"]} for curve in data["curves"]}
    assert marked == {"bpg": {True}, "jpeg": {False}, "toy-model": {False}}


def test_deltas_are_read_or_refused_by_column(run_dir: Path, tmp_path: Path) -> None:
    assert read_deltas(tmp_path) is None
    report_run.write_deltas(tmp_path)
    deltas = read_deltas(tmp_path)
    (dataset, label), *_ = [(row.dataset, row.curve) for row in pd.read_csv(tmp_path / "bd.csv").itertuples()]
    titled = read_deltas(tmp_path, {(dataset, label): f"{label} (as given)"})
    assert titled is not None
    assert titled.table.rows[0][0].text == f"{label} (as given)"
    assert deltas is not None
    assert (deltas.metrics, deltas.anchors) == ({"psnr_db": "PSNR", "fid": "FID"}, ["jpeg", "bpg"])
    keys = [(key["metric"], key["anchor"], key["codec"]) for key in deltas.table.keys]
    row = deltas.table.rows[keys.index(("psnr_db", "jpeg", "bpg"))]
    assert [cell.text for cell in row][3:6] == ["-12.3", "+1.23", "22.1 to 35.2 (70 / 50 %)"]
    older_names = ("_spread_", "noise_floor", "note", "image", "rate_without", "influence", "warning", "rate_ratio")
    added = [name for name in BD.names if any(part in name for part in older_names)]
    pd.read_csv(tmp_path / "bd.csv").drop(columns=added).to_csv(tmp_path / "bd.csv", index=False)
    older = read_deltas(tmp_path)
    assert older is not None
    assert older.table == deltas.table
    noted = pd.read_csv(tmp_path / "bd.csv").assign(note="depends on the interpolation: BD-rate -1.0 to +1.0 %")
    noted.to_csv(tmp_path / "bd.csv", index=False)
    table = read_deltas(tmp_path)
    assert table is not None
    remarks = {row[-1].text for row in table.table.rows}
    note = "depends on the interpolation: BD-rate -1.0 to +1.0 %"
    assert remarks == {note, f"the curves share no quality; {note}"}
    pd.read_csv(tmp_path / "bd.csv").drop(columns="method").to_csv(tmp_path / "bd.csv", index=False)
    with pytest.raises(ResultsError, match=r"bd\.csv: no column method; make it again: uqdm bench bd --run "):
        read_deltas(tmp_path)


def test_images_of_bd_rates_are_shown_from_the_worst(run_dir: Path, summary: pd.DataFrame, tmp_path: Path) -> None:
    shutil.copytree(run_dir, tmp_path / "run")
    table = pd.read_csv(run_dir / "bd.csv")
    table["warning"] = ["one image decides" if n == 5 else None for n in table.image_bd_rate_n]
    table.to_csv(tmp_path / "run" / "bd.csv", index=False)
    pool = PicturePool()
    found = image_deltas(tmp_path / "run", functools.partial(RunPictures, tmp_path / "run"), summary, pool, {})
    assert found is not None
    ((curve, metric, _, drawing, images, median, *_),) = found.table.rows
    assert (curve.text, metric.text, images.text) == ("bpg", "PSNR", "5 of 6")
    assert (drawing.interval, drawing.svg.count("<circle")) == ("-20.0 to +3.0 %", 5)
    assert (median.text, median.interval) == ("-11.0", "-14.0 to -9.0")
    assert [warned.text for warned in found.warnings] == ["bpg: one image decides."]
    (worst,) = found.worst
    assert [(one.image_id, one.bd_rate_percent) for one in worst.images] == [("2", 3.0), ("3", -9.0), ("4", -11.0)]
    assert worst.best.startswith(f"{report_run.NASTY} (-20.0 %), 1 (-14.0 %)")
    run = RunPictures(run_dir, "cifar10-like")
    for one in worst.images:
        rows = run.rows[(run.rows.image_index == int(one.image_id)) & (run.rows.codec == "bpg")]
        shown = rows[rows.rate_bpp.map("{:.3f} bpp".format).map(one.captions[-1].endswith)].iloc[0].to_dict()
        assert np.array_equal(pixels(pool.uris[one.picture]), run.picture(shown))
        assert (one.anchor is None) == bool(one.note) == (len(one.captions) == 1)


def test_data_cannot_end_its_script_element() -> None:
    data = {"id": "</script><!-- \u2028 &amp;"}
    text = embed_json(data)
    assert "<" not in text
    assert json.loads(text) == data


def test_the_library_is_the_package_s_own() -> None:
    import gzip

    from plotly.offline import get_plotlyjs

    library = plotly_library()
    code = gzip.decompress(base64.b64decode(library.embedded))
    assert code.decode() == get_plotlyjs()
    assert library.csp_hash == csp_hash(code)
    assert len(library.embedded) < 2.5e6  # under half of the script
