"""Guards the identity of stored files: a file that was replaced by something else is refused."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_run
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.analysis.extract import ExtractRequest, extract
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.evaluation.evaluate import evaluate
from uqdm.bench.evaluation.measure import measure_images
from uqdm.bench.evaluation.measure_job import MeasureJob, measured_shard
from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.bench.features.store import FeatureStore
from uqdm.bench.metrics import all_metrics
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.codec_settings import Request, parse_request, resolve
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.json_files import read_manifest, read_scores
from uqdm.bench.run.kept_pictures import KeptPictureWriter
from uqdm.bench.run.layout import ShardFolder, set_scores_path
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.score_store import PictureKey, Score, ScoreStore
from uqdm.bench.run.shard_store import ShardStore
from uqdm.bench.run.shards import Shard, split
from uqdm.bench.run.stage_options import KeepOptions
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.schema import MEASURED
from uqdm.codec import get_codec

pytestmark = pytest.mark.usefixtures("toys")

MANIPULATIONS: dict[str, Callable[[Path, Path], None]] = {}


def manipulation(function: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
    MANIPULATIONS[function.__name__] = function
    return function


@manipulation
def copied_over(path: Path, other: Path) -> None:
    shutil.copyfile(other, path)


@manipulation
def exchanged(path: Path, other: Path) -> None:
    held = path.read_bytes()
    path.write_bytes(other.read_bytes())
    path.with_name("held").write_bytes(held)


@manipulation
def linked_to_another(path: Path, other: Path) -> None:
    path.unlink()
    path.symlink_to(other)


@manipulation
def linked_to_itself(path: Path, other: Path) -> None:
    path.unlink()
    path.symlink_to(path)


@manipulation
def linked_to_a_device(path: Path, other: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@manipulation
def folder(path: Path, other: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "somebody's.txt").write_text("kept")


@manipulation
def folder_of_another(path: Path, other: Path) -> None:
    path.unlink()
    path.mkdir()
    shutil.copyfile(other, path / other.name)


@manipulation
def fifo(path: Path, other: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@manipulation
def empty(path: Path, other: Path) -> None:
    path.write_bytes(b"")


@manipulation
def cut(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])


@manipulation
def foreign(path: Path, other: Path) -> None:
    pd.DataFrame({"image_index": [0, 1], "stream": [b"a", b"b"]}).to_parquet(path)


@manipulation
def without_identity(path: Path, other: Path) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata(), path)


@pytest.fixture
def dataset() -> MemoryImages:
    return MemoryImages(unmarked_images(6))


@pytest.fixture
def shards(dataset: MemoryImages) -> list[Shard]:
    (codec_setting,) = resolve([Request("toy-raw", {"drop": 2})])["toy-raw"]
    return list(split(dataset, codec_setting, 3, KeepOptions(reconstructions=True)))


def store_shard(shard: Shard, dataset: MemoryImages, store: ShardStore) -> None:
    codec, keeper = get_codec("toy-raw", drop=2), KeptPictureWriter(shard, {})
    measured = measure_images(codec, codec, dataset.images[shard.start : shard.stop], [keeper])
    finished = measured_shard(MeasureJob(shard, {}), measured, keeper)
    assert finished.reconstructions is not None
    store.write(shard, finished.rows, finished.streams, finished.reconstructions)


@pytest.mark.parametrize("folder", ShardFolder)
@pytest.mark.parametrize("name", MANIPULATIONS)
def test_a_shard_whose_file_was_replaced_is_measured_again(
    name: str, folder: ShardFolder, dataset: MemoryImages, shards: list[Shard], tmp_path: Path
) -> None:
    store = ShardStore(tmp_path)
    for shard in shards:
        store_shard(shard, dataset, store)
    first, second = (store.files(shard).path(folder) for shard in shards)
    held = second.read_bytes()
    MANIPULATIONS[name](first, second)
    assert store.counts(shards[0]) is None
    assert store.counts(shards[1]) == {"ok": 3, "failed": 0}
    store_shard(shards[0], dataset, store)
    assert store.counts(shards[0]) == {"ok": 3, "failed": 0}
    assert second.read_bytes() == held
    if name.startswith("folder"):  # a folder of the user is kept
        (aside,) = first.parent.glob(".in-the-way-*")
        assert list(aside.iterdir())


def test_the_files_of_one_shard_are_not_interchangeable(
    dataset: MemoryImages, shards: list[Shard], tmp_path: Path
) -> None:
    store = ShardStore(tmp_path)
    paths = [store.files(shards[0]).path(folder) for folder in ShardFolder]
    for target in paths:
        for source in paths:
            store_shard(shards[0], dataset, store)
            if source != target:
                shutil.copyfile(source, target)
                assert store.counts(shards[0]) is None


def test_streams_that_are_fewer_or_changed_are_measured_again(
    dataset: MemoryImages, shards: list[Shard], tmp_path: Path
) -> None:
    """The identity is correct and the file can be read, but it has other streams than were measured."""
    store = ShardStore(tmp_path)
    for change in ("fewer", "other bytes", "other bytes and hash", "exchanged"):
        store_shard(shards[0], dataset, store)
        table = pq.read_table(store.streams_path(shards[0]))
        rows = table.to_pylist()
        if change == "fewer":
            rows.pop()
        elif change == "exchanged":
            for name in ("stream", "n_bytes", "stream_sha256"):
                rows[0][name], rows[1][name] = rows[1][name], rows[0][name]
        else:
            rows[1]["stream"] = bytes([rows[1]["stream"][0] ^ 1]) + rows[1]["stream"][1:]
            if change == "other bytes and hash":
                from uqdm.bench.run.stored_streams import check_columns

                rows[1] |= check_columns(rows[1]["stream"])
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), store.streams_path(shards[0]))
        assert store.counts(shards[0]) is None, change


@pytest.mark.parametrize("name", MANIPULATIONS)
def test_scores_and_features_of_others_are_not_used(
    name: str, dataset: MemoryImages, shards: list[Shard], tmp_path: Path
) -> None:
    metric, scores, features = (
        all_metrics()[0],
        ScoreStore(tmp_path),
        FeatureStore(tmp_path / "features", "12" * 32, 2048),
    )
    pictures = [PictureKey(shard.start, "full", "decoded", "ab") for shard in shards]
    vectors = [np.full(2048, number, np.float32) for number in range(2)]
    keys = ["ab" * 32, "cd" * 32]
    for number, shard in enumerate(shards):
        scores.write(shard, metric, [(pictures[number], Score("ab", float(number)))])
        scores.write_set(keys[number], {"fid": float(number)})
        features.put(keys[number], vectors[number])
    MANIPULATIONS[name](*(scores.path(shard, metric) for shard in shards))
    assert scores.read(shards[0], metric) == {}
    assert scores.read(shards[1], metric) == {pictures[1]: Score("ab", 1.0)}
    scores.write(shards[0], metric, [(pictures[0], Score("ab", 2.0))])
    assert scores.read(shards[0], metric)[pictures[0]].value == 2.0
    assert scores.read(shards[1], metric)[pictures[1]].value == 1.0
    if name == "without_identity":
        return
    MANIPULATIONS[name](*(set_scores_path(tmp_path, key) for key in keys))
    MANIPULATIONS[name](*(features._path(key) for key in keys))
    assert scores.read_set(keys[0]) is None
    assert features.get(keys[0]) is None
    scores.write_set(keys[0], {"fid": 3.0})
    features.put(keys[0], vectors[0])
    assert [scores.read_set(key) for key in keys] == [{"fid": 3.0}, {"fid": 1.0}]
    assert [features.get(key)[0] for key in keys] == [0, 1]  # type: ignore[index]


def test_damage_to_any_byte_of_small_files_is_detected(tmp_path: Path) -> None:
    scores, features = ScoreStore(tmp_path), FeatureStore(tmp_path / "features", "12" * 32, 2048)
    key, vector = "ab" * 32, np.arange(2048, dtype=np.float32)
    scores.write_set(key, {"fid": 1.5})
    features.put(key, vector)
    for path, read in ((set_scores_path(tmp_path, key), scores.read_set), (features._path(key), features.get)):
        held = path.read_bytes()
        for place in [*range(min(200, len(held))), *range(len(held) - 200, len(held))]:
            path.write_bytes(held[:place] + bytes([held[place] ^ 5]) + held[place + 1 :])
            found = read(key)  # None or the stored value: some bytes of a zip's headers have no meaning
            if isinstance(found, np.ndarray):
                np.testing.assert_array_equal(found, vector)
            else:
                assert found in (None, {"fid": 1.5})
        path.write_bytes(held)


def test_features_of_another_network_are_not_used(tmp_path: Path) -> None:
    one, other = (FeatureStore(tmp_path, digit * 64, 2048) for digit in "12")
    one.put("ab" * 32, np.zeros(2048, np.float32))
    path = other._path("ab" * 32)
    path.parent.mkdir(parents=True)
    shutil.copyfile(one._path("ab" * 32), path)
    assert other.get("ab" * 32) is None


@pytest.mark.usefixtures("ray_on_two_cores")
def test_an_evaluation_repairs_a_manipulated_folder(tmp_path: Path) -> None:
    """Twelve shards, each manipulated in another way, are measured again; the rows do not change."""
    dataset = MemoryImages(unmarked_images(2 * len(MANIPULATIONS)))
    codecs = resolve([parse_request("toy-raw:drop=2"), parse_request("toy-raw:drop=0")])
    said = io.StringIO()

    def rows() -> pd.DataFrame:
        evaluate(dataset, codecs, tmp_path, EvaluationOptions(shard_size=2, score=False), RunProgress(said))
        return pd.read_parquet(tmp_path / "per_image").drop(columns=[*MEASURED])

    before = rows()
    listed = read_manifest(tmp_path, "toy-raw")["settings"][0]["shards"]
    for number, name in enumerate(MANIPULATIONS):
        folder = "streams" if number % 3 == 2 else "shards"
        first, other = (
            tmp_path / folder / "toy-raw" / f"{listed[place]['key']}.parquet" for place in (number, number - 1)
        )
        if not other.is_file() or other.is_symlink():
            other = next(path for path in sorted(first.parent.iterdir()) if path.is_file() and path != first)
        MANIPULATIONS[name](first, other)
    said.truncate(0)
    pd.testing.assert_frame_equal(rows(), before)
    assert f"{2 * len(MANIPULATIONS)} of {4 * len(MANIPULATIONS)} images x settings are done already" in said.getvalue()
    assert len(pd.read_parquet(tmp_path / "streams" / "toy-raw")) == 4 * len(MANIPULATIONS)


@pytest.fixture(scope="module")
def two_runs(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two scored and summarized runs of the same codecs on the same images."""
    folder, dataset = tmp_path_factory.mktemp("runs"), MemoryImages(unmarked_images(4))
    runs = [small_run.measure_run(folder / name, dataset, "toy-raw:drop=2", "toy-model") for name in "ab"]
    for run in runs:
        summarize_run(run)
    return runs[0], runs[1]


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("per_image/toy-raw.parquet", lambda run: read_rows(run, ["bpp"])),
        ("manifests/toy-raw.json", lambda run: read_manifest(run, "toy-raw")),
        ("summary.parquet", read_summary),
        ("scores.json", read_scores),
    ],
)
def test_products_of_another_run_are_refused(
    file: str, read: Callable[[Path], object], two_runs: tuple[Path, Path], tmp_path: Path
) -> None:
    run = shutil.copytree(two_runs[0], tmp_path / "run")
    read(run)
    shutil.copyfile(two_runs[1] / file, run / file)
    with pytest.raises(ResultsError, match=r"of another run \(.*again"):
        read(run)
    for name in ("folder", "empty", "fifo"):
        MANIPULATIONS[name](run / file, two_runs[1] / file)
        with pytest.raises(ResultsError, match=r"does not read|no /"):
            read(run)
        shutil.rmtree(run / file) if (run / file).is_dir() else (run / file).unlink()
        shutil.copyfile(two_runs[0] / file, run / file)
    read(run)


def test_rows_of_another_codec_or_program_are_refused(two_runs: tuple[Path, Path], tmp_path: Path) -> None:
    run = shutil.copytree(two_runs[0], tmp_path / "run")
    path = run / "per_image" / "toy-raw.parquet"
    shutil.copyfile(run / "per_image" / "toy-model.parquet", path)
    with pytest.raises(ResultsError, match=r"holds the rows of 'toy-model'; evaluate again"):
        read_rows(run, ["bpp"])
    for changed in ({"fingerprint": "4-other"}, {"setting": "drop=3"}, {"codec": "toy-model"}):
        pd.read_parquet(two_runs[0] / "per_image" / "toy-raw.parquet").assign(**changed).to_parquet(path)
        with pytest.raises(ResultsError, match="not the rows that this run's manifest is of"):
            read_rows(run, ["bpp"])


def test_extraction_reports_wrong_files(two_runs: tuple[Path, Path], tmp_path: Path) -> None:
    run = shutil.copytree(two_runs[0], tmp_path / "run")
    first, second = sorted((run / "streams" / "toy-model").iterdir())
    for path, other in ((first, second), (second, first)):
        for name in ("copied_over", "folder", "cut", "without_identity"):
            held = path.read_bytes()
            MANIPULATIONS[name](path, other)
            lacking = [extract(run, image, tmp_path / "out", ExtractRequest()).lacking for image in "03"]
            (told,) = [one for found in lacking for one in found if one.startswith("toy-model")]
            assert "evaluate toy-model again" in told
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            path.write_bytes(held)
