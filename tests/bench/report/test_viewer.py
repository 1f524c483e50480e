"""Guards the viewer's data: every picture is that of its row, and files beside the page are whole and its own."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import report_run
from PIL import Image
from small_run import measure_run
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.analysis import equal_rate
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.report import page, save_report, viewer_pictures
from uqdm.bench.report import viewer as viewer_module
from uqdm.bench.report.extremes import middle_row
from uqdm.bench.report.originals import original_notes
from uqdm.bench.report.pictures import PicturePool
from uqdm.bench.report.viewer import MOST_PIXELS, Extent, extent_of, viewer_data
from uqdm.bench.report.viewer_pictures import ViewerPictures
from uqdm.bench.report.walk import walk_data
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.pictures import RunPictures
from uqdm.bench.run.summary_reader import read_summary

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_dir(reportable_run: Path) -> Path:
    return reportable_run


@pytest.fixture(scope="module")
def summary(run_dir: Path) -> pd.DataFrame:
    return read_summary(run_dir)


@pytest.fixture(scope="module")
def run(run_dir: Path) -> RunPictures:
    return RunPictures(run_dir, "cifar10-like")


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def data_of(html: str) -> dict[str, Any]:
    """The viewer's data in a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    viewer: dict[str, Any] = json.loads(found[1])["viewer"]
    return viewer


def test_every_codec_has_every_whole_picture_of_its_rows(run: RunPictures, summary: pd.DataFrame) -> None:
    pictures, thumbnails = ViewerPictures(), PicturePool()
    viewer = viewer_data(lambda _: run, summary, pictures, thumbnails)
    assert viewer["codecs"] == ["bpg", "jpeg", "png", "toy-model"]
    assert len(viewer["images"]) == report_run.N_IMAGES
    sources = pictures.sources("folder")
    assert pictures.files() == {}
    for image in viewer["images"]:
        original = shown(sources[image["original"]])
        np.testing.assert_array_equal(original, run.original(index_of(run, image["id"])))
        assert (image["height"], image["width"], image["cut"]) == (64, 64, None)
        for codec, entries in image["codecs"].items():
            rows = run.rows[(run.rows.image_id == image["id"]) & (run.rows.codec == codec)]
            assert len(entries) == len(rows)
            assert [entry["bpp"] for entry in entries] == sorted(rows.bpp)
            for entry in entries:
                error = np.mean((shown(sources[entry["picture"]]).astype(float) - original) ** 2)
                assert any(error == pytest.approx(mse, rel=1e-12) for mse in rows.mse[rows.bpp == entry["bpp"]])
                assert entry["exact"] == (error == 0)


def shown(source: str) -> np.ndarray:
    return pixels(base64.b64decode(source.partition(",")[2]))


def index_of(run: RunPictures, image_id: str) -> int:
    return int(run.rows.image_index[run.rows.image_id == image_id].iloc[0])


def test_where_not_all_images_are_shown_the_best_and_worst_are_among_them(
    run: RunPictures, summary: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_module, "MOST_IMAGES", 3)
    viewer = viewer_data(lambda _: run, summary, ViewerPictures(), PicturePool())
    ids = [image["id"] for image in viewer["images"]]
    middle = middle_row(summary, "toy-model")
    assert middle is not None
    rows = run.rows[run.rows.codec == "toy-model"]
    rates = rows.groupby("image_id").rate_bpp.max()
    for name in ("setting", "point", "reconstruction"):
        rows = rows[rows[name] == middle[name]]
    rows = rows.sort_values(["psnr_db", "image_index"])
    assert len(ids) == 3
    assert {rows.image_id.iloc[0], rows.image_id.iloc[-1]} <= set(ids)
    assert [rates[name] for name in ids] == sorted(rates[name] for name in ids)


def test_a_codec_whose_files_were_not_kept_is_left_out_with_the_reason(
    run_dir: Path, summary: pd.DataFrame, tmp_path: Path
) -> None:
    copy = shutil.copytree(run_dir, tmp_path / "run")
    shutil.rmtree(copy / "streams" / "bpg")
    viewer = viewer_data(lambda name: RunPictures(copy, name), summary, ViewerPictures(), PicturePool())
    assert viewer["codecs"] == ["jpeg", "png", "toy-model"]
    assert "the streams of bpg at " in viewer["unreadable"]["bpg"]
    shutil.rmtree(copy / "streams")
    nothing = viewer_data(lambda name: RunPictures(copy, name), summary, ViewerPictures(), PicturePool())
    assert "No pictures to compare: the streams of bpg at " in nothing["absent"]


def test_a_run_without_a_progressive_codec_has_a_viewer(toys: Path, tmp_path: Path) -> None:
    images = unmarked_images(3)
    run_dir = measure_run(tmp_path, MemoryImages(images), "toy-raw")
    viewer = viewer_data(
        lambda name: RunPictures(run_dir, name), summarize_run(run_dir), ViewerPictures(), PicturePool()
    )
    assert len(viewer["images"]) == 3
    assert [len(image["codecs"]["toy-raw"]) for image in viewer["images"]] == [2, 2, 2]
    assert {(image["height"], image["width"]) for image in viewer["images"]} == {one.shape[:2] for one in images}


def test_the_page_says_what_reading_changed_and_that_exact_means_these_pixels(toys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, mode in (("a.png", "RGBA"), ("b.png", "RGB")):
        Image.new(mode, (16, 16), (10, 20, 30, 40)[: len(mode)]).save(folder / name)
    run_dir = measure_run(tmp_path / "run", open_dataset(f"folder:{folder}"), "toy-raw", "jpeg:quality=50")
    run = RunPictures(run_dir, "images")
    viewer = viewer_data(lambda _: run, summarize_run(run_dir), ViewerPictures(), PicturePool())
    assert {image["id"]: image["changes"] for image in viewer["images"]} == {
        "a.png": "alpha composited on white",
        "b.png": "",
    }
    (note,) = original_notes([run])
    assert note.startswith("1 of 2 images: alpha composited on white (a.png); rates and metrics are of these pixels")
    assert note.endswith("Exact, or lossless, means equal to these pixels.")


@pytest.mark.parametrize("pixels", [64**2, 768 * 512, 4000 * 3000, 12000 * 9000])
@pytest.mark.parametrize("per_codec", [{"jpeg": 12}, {"jpeg": 12, "uqdm": 14, "vdm": 300}])
def test_the_number_of_pixels_is_bounded(pixels: int, per_codec: dict[str, int]) -> None:
    extent = extent_of(pixels, per_codec, n_images=24)
    n_pictures = 1 + sum(min(extent.per_codec, count) for count in per_codec.values())
    assert extent.images * n_pictures * min(pixels, extent.side**2) <= MOST_PIXELS
    assert extent.images >= 1


def test_settings_are_left_out_before_images() -> None:
    many = {"jpeg": 100, "webp": 100}
    assert extent_of(768 * 512, many, n_images=2) == Extent(2, 24, viewer_pictures.MOST_SIDE)
    assert extent_of(1500 * 1000, many, n_images=24) == Extent(3, 12, viewer_pictures.MOST_SIDE)


def test_pictures_that_are_too_many_for_the_page_lie_beside_it(
    run_dir: Path, run: RunPictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_pictures, "INLINE_BYTES", 1000)
    path, folder = tmp_path / "my report.html", tmp_path / "my report_pictures"
    folder.mkdir()
    stale, own = folder / f"{'0' * 32}.webp", folder / "holiday.webp"
    for file in (stale, own):
        file.write_bytes(b"")
    save_report(run_dir, path)
    html = path.read_text()
    viewer = data_of(html)
    assert not stale.exists()
    assert own.exists()
    assert "img-src data: blob: &#39;self&#39; file:;" in html
    assert set(viewer["sources"].values()) == {
        f"my%20report_pictures/{file.name}" for file in folder.iterdir() if file != own
    }
    image = viewer["images"][0]
    np.testing.assert_array_equal(
        pixels((folder / f"{image['original']}.webp").read_bytes()), run.original(index_of(run, image["id"]))
    )
    monkeypatch.undo()
    save_report(run_dir, path)  # all pictures fit into the page again
    assert [file.name for file in folder.iterdir()] == ["holiday.webp"]
    assert "img-src data: blob:;" in path.read_text()


def test_an_error_leaves_the_earlier_page_and_its_pictures(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_pictures, "INLINE_BYTES", 1000)
    path, folder = tmp_path / "report.html", tmp_path / "report_pictures"
    save_report(run_dir, path)
    before = {file: file.read_bytes() for file in (path, *folder.iterdir())}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(page, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save_report(run_dir, path)
    plotless = shutil.copytree(run_dir, tmp_path / "run")
    shutil.rmtree(plotless / "plots")
    with pytest.raises(ResultsError, match="uqdm bench plot"):
        save_report(plotless, path)
    assert {file: file.read_bytes() for file in (path, *folder.iterdir())} == before


def test_the_folder_of_the_run_s_own_report_is_always_there(run_dir: Path) -> None:
    save_report(run_dir)
    assert list((run_dir / "report_pictures").iterdir()) == []


def test_beside_a_step_only_pictures_of_its_rate_are_shown(
    run: RunPictures, summary: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, others = run.rows[run.rows.codec == "toy-model"], run.rows[run.rows.codec != "toy-model"]
    pairs = model.merge(others, on="image_index")
    nearest = np.exp(np.abs(np.log(pairs.bpp_x / pairs.bpp_y)))
    nearest = nearest.groupby([pairs.image_index, pairs.bpp_x, pairs.codec_y]).min()
    monkeypatch.setattr(equal_rate, "TOLERANCE", tolerance := float(nearest.median()))
    walk = walk_data(lambda _: run, summary, PicturePool())
    found = [
        (image["id"], step["bpp"], codec, one)
        for image in walk["images"]
        for steps in image["streams"]
        for step in steps
        for codec, one in step["beside"].items()
    ]
    assert {"absent" in one for *_, one in found} == {True, False}
    for image_id, bpp, codec, one in found:
        factor = nearest[index_of(run, image_id), bpp, codec]
        assert ("absent" in one) == (factor > tolerance)
        if "absent" in one:
            rates = others.bpp[(others.codec == codec) & (others.image_id == image_id)]
            allowed = f"{100 * (tolerance - 1):.3g} %"
            assert f"No picture within {allowed} of {bpp:.3f} bpp; the nearest has " in one["absent"]
            assert one["interpolated_db"] is None or rates.min() <= bpp <= rates.max()
        else:
            assert max(one["bpp"] / bpp, bpp / one["bpp"]) == pytest.approx(factor)
