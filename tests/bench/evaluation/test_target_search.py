"""Guards rows, files and pictures of codecs whose setting is searched for a target, image by image."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from small_run import SHARD_SIZE, evaluate_here, measure_run
from toy_codecs import Raw
from toy_images import MemoryImages

import uqdm.codec
from uqdm.bench.analysis.curves import curves
from uqdm.bench.analysis.extract import ExtractRequest, extract
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.evaluation.codec_plan import CodecPlan
from uqdm.bench.evaluation.context import Context
from uqdm.bench.evaluation.measure_job import MeasureJob
from uqdm.bench.execute.worker import Worker
from uqdm.bench.metrics.psnr import psnr_db
from uqdm.bench.run.codec_settings import parse_request, resolve
from uqdm.bench.run.kept_pictures import png_picture
from uqdm.bench.run.metric_choice import MetricChoice
from uqdm.bench.run.pictures import RunPictures
from uqdm.bench.run.provenance import provenance
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.shard_store import ShardStore
from uqdm.bench.run.stage_options import KeepOptions
from uqdm.bench.run.tables import records
from uqdm.codec import get_codec

N_IMAGES = 2
COLUMNS = ["codec", "setting", "image_index", "point", "point_index", "reconstruction", "target", "found_setting"]
COLUMNS += ["found_point", "target_tries", "target_error", "file_bits", "bpp", "psnr_db", "status", "error"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JPEG at targets of its own, and in progressive files."""
    codecs = ["jpeg@bpp=2|3|4", "jpeg@psnr_db>=33", "jpeg@bpp<=0.7", "jpeg-progressive@bpp=2"]
    codecs += ["jpeg-progressive:quality=20..80@bpp=2"]
    return measure_run(tmp_path_factory.mktemp("targets") / "run", open_dataset("demo", limit=N_IMAGES), *codecs)


def rows_at(run_dir: Path, setting: str) -> list[dict[str, Any]]:
    """The rows at a setting, with None in place of what is null."""
    rows = read_rows(run_dir, COLUMNS)
    found = records(rows[rows.setting == setting])
    return [{name: None if pd.isna(value) else value for name, value in row.items()} for row in found]


def jpeg_bytes(quality: int, image_index: int) -> int:
    codec = get_codec("jpeg", quality=quality)
    return len(codec.encode([open_dataset("demo", limit=N_IMAGES).load(image_index)])[0])


def test_each_image_has_the_quality_next_to_its_target(run_dir: Path) -> None:
    for row in rows_at(run_dir, "@bpp=3"):
        quality = int(row["found_setting"].removeprefix("quality="))
        sizes = {value: jpeg_bytes(value, row["image_index"]) for value in (quality - 1, quality, quality + 1)}
        assert row["file_bits"] == 8 * sizes[quality]
        assert min(sizes, key=lambda value: abs(8 * sizes[value] / 64**2 - 3)) == quality
        assert row["target_error"] == pytest.approx(row["bpp"] / 3 - 1, abs=1e-12)
        assert (row["target"], row["point"], row["found_point"]) == ("bpp=3", "full", None)
        assert 3 <= row["target_tries"] <= 9


def test_a_quality_that_is_asked_for_is_met_at_the_lowest_rate(run_dir: Path) -> None:
    images = open_dataset("demo", limit=N_IMAGES)
    for row in rows_at(run_dir, "@psnr_db>=33"):
        quality = int(row["found_setting"].removeprefix("quality="))
        lower = get_codec("jpeg", quality=quality - 1)
        original = images.load(row["image_index"])
        assert row["psnr_db"] >= 33 > psnr_db(original, lower.decode(lower.encode([original]))[0])
        assert row["target_error"] == pytest.approx(row["psnr_db"] - 33, abs=1e-9)


def test_an_image_that_cannot_reach_the_target_has_a_failed_row_that_says_so(run_dir: Path) -> None:
    first, second = rows_at(run_dir, "@bpp<=0.7")
    least = 8 * jpeg_bytes(1, 0) / 64**2
    assert least > 0.7
    assert first["status"] == "failed"
    assert first["error"].startswith(f"unreachable: bpp from {least:.4g} to ")
    assert (first["target"], first["target_tries"], first["target_error"]) == ("bpp<=0.7", 2, None)
    assert (second["status"], second["bpp"] <= 0.7) == ("ok", True)


def test_summaries_count_unreachable_images_and_name_target_and_distance(run_dir: Path) -> None:
    summary = summarize_run(run_dir).set_index("setting")
    assert tuple(summary.loc["@bpp<=0.7", ["n", "failed", "target"]]) == (1, 1, "bpp<=0.7")
    errors = [abs(row["target_error"]) for row in rows_at(run_dir, "@bpp=3")]
    assert summary.loc["@bpp=3", "target_error"] == pytest.approx(np.mean(errors), abs=1e-12)


def test_targets_of_one_quantity_are_points_of_one_curve(run_dir: Path) -> None:
    summary = summarize_run(run_dir)
    found = {curve.label: curve.points for curve in curves(summary[summary.codec == "jpeg"])}
    assert set(found) == {"jpeg target=bpp", "jpeg target=psnr_db>=", "jpeg target=bpp<="}
    assert found["jpeg target=bpp"].bpp.round().tolist() == [2, 3, 4]


def test_a_progressive_file_answers_with_its_nearest_point(run_dir: Path) -> None:
    for row in rows_at(run_dir, "quality=90,@bpp=2"):
        codec = get_codec("jpeg-progressive", quality=90)
        (stream,) = codec.encode([open_dataset("demo", limit=N_IMAGES).load(row["image_index"])])
        nearest = min(codec.points(stream), key=lambda point: abs(8 * point.n_bytes / 64**2 - 2))
        assert (row["found_point"], row["file_bits"]) == (nearest.name, 8 * nearest.n_bytes)
        assert (row["point"], row["point_index"], row["found_setting"], row["target_tries"]) == ("target", 0, "", 1)


def test_whole_files_of_a_progressive_codec_are_searched_where_a_range_is_named(run_dir: Path) -> None:
    rows = rows_at(run_dir, "quality=20..80,@bpp=2")
    assert {(row["point"], row["found_point"]) for row in rows} == {("target", "scan 10")}
    assert all(abs(row["target_error"]) < 0.02 for row in rows)


def test_every_picture_decodes_again_from_the_stored_files(run_dir: Path, tmp_path: Path) -> None:
    """Rows hold the hash of each picture, and readers refuse another one."""
    pictures = RunPictures(run_dir, "demo")
    for row in records(pictures.rows):
        original = pictures.original(row["image_index"])
        assert original is not None
        assert psnr_db(original, pictures.picture(row)) == pytest.approx(row["psnr_db"], abs=1e-9)
    extracted = extract(run_dir, "1", tmp_path)
    assert not extracted.lacking
    assert "image1__jpeg-progressive__quality=90,-bpp=2__target__decoded.png" in {p.name for p in extracted.files}


class Stepped(Raw):
    """Values in steps, packed. The step is not in the file: it decodes only with the parameters that it was made by."""

    name = "toy-stepped"
    parameters = (uqdm.codec.Parameter("step", int, 1, minimum=1, maximum=64),)
    sweep: ClassVar = ({"step": 1}, {"step": 8})

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        head = [np.array(image.shape[:2], "<u4").tobytes() for image in images]
        packed = [zlib.compress((image // self.values["step"]).tobytes()) for image in images]
        return [one + other for one, other in zip(head, packed, strict=True)]

    def _decode(self, stream: bytes) -> np.ndarray:
        height, width = np.frombuffer(stream[:8], "<u4")
        values = np.frombuffer(zlib.decompress(stream[8:]), np.uint8).reshape(height, width, 3)
        return values * np.uint8(self.values["step"])


@pytest.fixture
def stepped() -> Iterator[None]:
    uqdm.codec.register_codec(Stepped)
    yield
    uqdm.codec.CODECS.forget()


@pytest.mark.usefixtures("stepped")
def test_files_decode_with_the_parameters_that_were_found(tmp_path: Path) -> None:
    """Also where a metric is computed later, from the stored files."""
    images = MemoryImages([open_dataset("demo", limit=2).load(index) for index in range(2)])
    measure_run(tmp_path, images, "toy-stepped@psnr_db=40")
    rows = rows_at(tmp_path, "@psnr_db=40")
    assert {row["status"] for row in rows} == {"ok"}
    assert all(row["found_setting"] not in ("step=1", "") for row in rows)
    assert all(abs(row["psnr_db"] - 40) < 3 for row in rows)
    extracted = extract(tmp_path, "0", tmp_path / "files", ExtractRequest(reconstruction="decoded"))
    (picture,) = [path for path in extracted.files if path.name.endswith("decoded.png")]
    assert psnr_db(images.load(0), np.asarray(Image.open(picture))) == pytest.approx(rows[0]["psnr_db"], abs=1e-9)


def test_all_kinds_of_pictures_share_the_point_of_a_rate(toys: Path, tmp_path: Path) -> None:
    images = MemoryImages([open_dataset("demo", limit=1).load(0)])
    evaluate_here(tmp_path, images, "toy-model@bpp<=30", "toy-raw@psnr_db>=30")
    found = [(row["reconstruction"], row["found_point"]) for row in rows_at(tmp_path, "drop=0,@bpp<=30")]
    assert found == [("floor", "high"), ("middle", "high")]
    (row,) = rows_at(tmp_path, "@psnr_db>=30")
    assert row["found_setting"].startswith("drop=")


def test_kept_pictures_and_scores_are_those_of_the_chosen_points(toys: Path, tmp_path: Path) -> None:
    images = MemoryImages([open_dataset("demo", limit=3).load(index) for index in range(3)])
    ((name, codec_settings),) = resolve([parse_request("jpeg-progressive@psnr_db=30")]).items()
    kept = KeepOptions(streams=True, reconstructions=True)
    context = Context(images, ShardStore(tmp_path), provenance(), SHARD_SIZE, kept, MetricChoice(("psnr_db",)))
    (shard,) = CodecPlan(context, name, codec_settings).shards()
    done = MeasureJob(shard, context.origin, ("psnr_db",)).run(Worker(), [images.load(n) for n in range(3)])
    context.store.write(shard, done.rows, done.streams, done.reconstructions)
    rows = context.store.read(shard).to_pylist()
    assert len(rows) == 3
    assert len(done.scores["psnr_db"]) == 3
    for row, (picture, score) in zip(rows, done.scores["psnr_db"], strict=True):
        (kept_picture,) = context.store.files(shard).kept_pictures(row["image_index"])
        decoded = png_picture(kept_picture)
        assert (picture.point, kept_picture["point"]) == ("target", "target")
        assert score.value == psnr_db(images.load(row["image_index"]), decoded) == 30 + row["target_error"]
