"""Guards the evaluation on a real Ray: rows, resuming, failures of single images, and skipped codecs."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from toy_codecs import KILL, RAISE
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.evaluation.evaluate import evaluate
from uqdm.bench.evaluation.finish import CodecOutcome
from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.bench.metrics import rows_schema
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.codec_settings import parse_request, resolve
from uqdm.bench.run.kept_pictures import png_picture
from uqdm.bench.run.provenance import read_provenance
from uqdm.bench.schema import MEASURED, STREAMS

pytestmark = pytest.mark.usefixtures("ray_on_two_cores")


def run(dataset: MemoryImages, codecs: Sequence[str], folder: Path, **options: object) -> list[CodecOutcome]:
    resolved = resolve(parse_request(codec) for codec in codecs)
    settings = EvaluationOptions(**{"shard_size": 4, "score": False, **options})  # type: ignore[arg-type]
    return evaluate(dataset, resolved, folder, settings, RunProgress(io.StringIO()))


def rows_of(folder: Path, codec: str) -> pd.DataFrame:
    return pd.read_parquet(folder / "per_image" / f"{codec}.parquet")


def shard_times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob("s*/**/*.parquet")}


def test_rows_streams_and_manifests_of_a_whole_run(tmp_path: Path) -> None:
    dataset = MemoryImages(unmarked_images(10))
    outcomes = run(dataset, ["toy-raw", "toy-model"], tmp_path)
    assert outcomes == [CodecOutcome("toy-raw", 20, 0, 0), CodecOutcome("toy-model", 10, 0, 0)]
    raw = rows_of(tmp_path, "toy-raw")
    assert list(zip(raw["setting"], raw["image_index"], strict=True)) == [
        (setting, index) for setting in ("drop=0", "drop=4") for index in range(10)
    ]
    assert raw["image_id"].tolist() == dataset.ids * 2
    assert set(raw["fingerprint"]) == {dataset.fingerprint}
    schema = pq.read_schema(tmp_path / "per_image" / "toy-raw.parquet")
    assert schema.equals(rows_schema())
    assert read_provenance(schema)["packages"]["numpy"]
    streams = pd.read_parquet(tmp_path / "streams" / "toy-raw")
    assert (8 * streams["stream"].map(len)).sum() == raw["file_bits"].sum()
    assert set(streams["suffix"]) == {".raw"}
    assert pq.read_schema(next((tmp_path / "streams" / "toy-raw").iterdir())).equals(STREAMS)
    manifest = json.loads((tmp_path / "manifests" / "toy-model.json").read_text())
    assert (manifest["ok"], manifest["failed"], manifest["dataset"]["n_images"]) == (10, 0, 10)
    listed = {shard["key"] for setting in manifest["settings"] for shard in setting["shards"]}
    assert listed == {path.stem for path in (tmp_path / "shards" / "toy-model").iterdir()}
    assert set(json.loads((tmp_path / "evaluation.json").read_text())["codecs"]) == {"toy-raw", "toy-model"}
    originals = pq.read_table(tmp_path / "originals.parquet").to_pylist()
    assert [row["image_id"] for row in originals] == dataset.ids
    assert all((png_picture(row) == dataset.images[index]).all() for index, row in enumerate(originals))


def test_a_second_run_measures_nothing_and_a_damaged_shard_is_redone(tmp_path: Path) -> None:
    dataset = MemoryImages(unmarked_images(8))
    run(dataset, ["toy-raw"], tmp_path)
    before = shard_times(tmp_path)
    first = rows_of(tmp_path, "toy-raw")
    dataset.loads = 0
    run(dataset, ["toy-raw"], tmp_path, cpus=1)
    assert (shard_times(tmp_path), dataset.loads) == (before, 0)
    damaged = min(path for path in before if "shards" in path.parts)
    damaged.write_bytes(damaged.read_bytes()[:-7])
    run(dataset, ["toy-raw"], tmp_path)
    changed = {path for path, time in shard_times(tmp_path).items() if time != before[path]}
    assert {path.name for path in changed} == {damaged.name}
    measured = [*MEASURED]
    pd.testing.assert_frame_equal(rows_of(tmp_path, "toy-raw").drop(columns=measured), first.drop(columns=measured))


def test_times_are_measured_again_in_rounds_by_one_worker(tmp_path: Path) -> None:
    dataset = MemoryImages(unmarked_images(6))
    (outcome,) = run(dataset, ["toy-raw"], tmp_path, timing_repeats=3, timing_images=5)
    assert outcome == CodecOutcome("toy-raw", 12, 0, 0)
    rows = rows_of(tmp_path, "toy-raw")
    assert set(rows.image_index[rows.timing_repeats == 3]) == set(range(5))
    for name in ("encode_ms", "decode_ms"):
        timed = rows[rows.timing_repeats == 3]
        assert (timed[f"{name}_min"] > 0).all()
        assert (timed[f"{name}_min"] <= timed[f"{name}_median"]).all()
    seconds = json.loads((tmp_path / "evaluation.json").read_text())["seconds"]
    assert {"work", "timing"} <= seconds.keys()
    run(dataset, ["toy-raw"], tmp_path)
    pd.testing.assert_frame_equal(rows_of(tmp_path, "toy-raw"), rows)


def test_rows_are_those_of_the_current_configuration(tmp_path: Path) -> None:
    dataset = MemoryImages(unmarked_images(4))
    run(dataset, ["toy-raw", "toy-model"], tmp_path)
    run(dataset, ["toy-raw:drop=4"], tmp_path)
    assert set(rows_of(tmp_path, "toy-raw")["setting"]) == {"drop=4"}
    assert (tmp_path / "per_image" / "toy-model.parquet").exists()
    run(dataset, ["toy-raw:drop=4"], tmp_path, prune=True)
    assert [path.name for path in (tmp_path / "per_image").iterdir()] == ["toy-raw.parquet"]
    assert [path.name for path in (tmp_path / "manifests").iterdir()] == ["toy-raw.json"]


@pytest.mark.parametrize("codec", ["toy-faulty", pytest.param("toy-model", marks=pytest.mark.proof)])
def test_a_crash_of_a_worker_fails_only_its_image(codec: str, tmp_path: Path) -> None:
    images = unmarked_images(8)
    images[5][0, 0, 0] = KILL
    (outcome,) = run(MemoryImages(images), [codec], tmp_path)
    assert (outcome.ok, outcome.failed) == (7, 1)
    rows = rows_of(tmp_path, codec)
    assert sorted(rows["image_index"].unique()) == list(range(8))
    failed = rows[rows["status"] == "failed"]
    assert failed["image_index"].tolist() == [5]
    assert "worker lost" in failed["error"].item()
    assert failed[["height", "width"]].to_numpy().tolist() == [list(images[5].shape[:2])]


def test_failed_images_are_measured_again_only_with_retry_failed(tmp_path: Path) -> None:
    images = unmarked_images(8)
    images[6][0, 0, 0] = RAISE
    dataset = MemoryImages(images)
    assert run(dataset, ["toy-faulty"], tmp_path)[0].failed == 1
    before = shard_times(tmp_path)
    assert run(dataset, ["toy-faulty"], tmp_path)[0].failed == 1
    assert shard_times(tmp_path) == before
    run(dataset, ["toy-faulty"], tmp_path, retry_failed=True)
    redone = {path.stem for path, time in shard_times(tmp_path).items() if time != before[path]}
    assert len(redone) == 1  # the shard with the failed image, not the other


def test_a_skipped_codec_has_a_row_for_each_setting_and_no_shards(tmp_path: Path) -> None:
    (outcome,) = run(MemoryImages(unmarked_images(3)), ["toy-absent"], tmp_path)
    assert outcome.skipped_settings == 2
    assert "SKIPPED" in str(outcome)
    rows = rows_of(tmp_path, "toy-absent")
    assert rows["status"].tolist() == ["skipped"] * 2
    assert rows["setting"].tolist() == ["drop=0", "drop=4"]
    assert rows["error"].str.contains("libtoy is not installed; install it").all()
    assert rows[["image_index", "bpp", "codec_version"]].isna().all(axis=None)
    assert not (tmp_path / "shards").exists()


def test_streams_that_are_not_kept_stay_until_they_are_scored(tmp_path: Path) -> None:
    dataset = MemoryImages(unmarked_images(3))
    run(dataset, ["toy-raw:drop=4"], tmp_path, keep_streams=False)
    streams = list((tmp_path / "streams").rglob("*.parquet"))
    assert len(streams) == 1
    assert all(reasons == [("*", "not scored yet")] for reasons in rows_of(tmp_path, "toy-raw")["unscored"])
    for path in streams:
        path.unlink()
    before = shard_times(tmp_path)
    run(dataset, ["toy-raw:drop=4"], tmp_path, keep_streams=False)
    assert shard_times(tmp_path) == before  # nothing was measured again, although streams are absent
    run(dataset, ["toy-raw:drop=4"], tmp_path, keep_streams=True)
    assert all(path.is_file() for path in streams)


def test_images_larger_than_the_object_store_allows_still_run_one_shard_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = MemoryImages(unmarked_images(12))
    monkeypatch.setattr("uqdm.bench.execute.executor.OBJECT_STORE_SHARE", 1e-12)
    assert run(dataset, ["toy-raw"], tmp_path) == [CodecOutcome("toy-raw", 24, 0, 0)]


@pytest.mark.parametrize("options", [{"shard_size": 0}, {"cpus": 0}])
def test_impossible_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        EvaluationOptions(**options)  # type: ignore[arg-type]


def test_requested_reconstructions_are_kept_and_match_the_rows(tmp_path: Path) -> None:
    images = unmarked_images(6)
    images[2][0, 0, 0] = RAISE
    dataset = MemoryImages(images)
    run(dataset, ["toy-faulty", "toy-model"], tmp_path, shard_size=6)
    assert not (tmp_path / "reconstructions").exists()
    run(dataset, ["toy-faulty", "toy-model"], tmp_path, shard_size=6, keep_reconstructions=True)
    for codec in ("toy-faulty", "toy-model"):
        rows = rows_of(tmp_path, codec)
        kept = pd.concat(pd.read_parquet(path) for path in (tmp_path / "reconstructions" / codec).glob("*.parquet"))
        names = ["image_index", "point", "reconstruction", "picture_sha256"]
        ok = rows[rows["status"] == "ok"][names].sort_values(names).reset_index(drop=True)
        assert kept[names].sort_values(names).reset_index(drop=True).equals(ok)
        assert kept["image_id"].tolist() == [dataset.ids[index] for index in kept["image_index"]]
        for picture in kept.to_dict("records"):
            png_picture(picture)  # raises if the picture does not have this hash


def test_rows_of_many_shards_are_in_few_row_groups_of_one_setting_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uqdm.bench.run.rows_writer.GROUP_ROWS", 5)
    run(MemoryImages(unmarked_images(7)), ["toy-raw", "toy-absent"], tmp_path, shard_size=2)
    found = pq.ParquetFile(tmp_path / "per_image" / "toy-raw.parquet")
    groups = [found.read_row_group(number)["setting"].to_pylist() for number in range(found.num_row_groups)]
    assert groups == [["drop=0"] * 4, ["drop=0"] * 3, ["drop=4"] * 4, ["drop=4"] * 3]
    assert rows_of(tmp_path, "toy-absent")["status"].tolist() == ["skipped"] * 2
