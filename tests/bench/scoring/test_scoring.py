"""Guards scoring on a real Ray: metrics of what stored streams decode to, without encoding, resumed after a kill."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_run import evaluate_here
from toy_codecs import KILL, PASSES, RAISE
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import Images, open_dataset
from uqdm.bench.evaluation.evaluate import evaluate
from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.bench.metrics import METRICS, declared, rows_schema
from uqdm.bench.metrics.mse import mse
from uqdm.bench.metrics.ssim import ssim
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.codec_settings import parse_request, resolve
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.layout import lock_path
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.stored_streams import check_columns
from uqdm.bench.run.unscored import is_not_scored, to_frame
from uqdm.bench.scoring.options import ScoringOptions
from uqdm.bench.scoring.pictures import STREAMS_GONE
from uqdm.bench.scoring.run import Outcome, score_run
from uqdm.codec import get_codec

pytestmark = pytest.mark.usefixtures("ray_on_two_cores")

PICTURES_ONLY = tuple(name for name in rows_schema().names if name in {"mse", "psnr_db", "ssim", "ms_ssim"})
PICTURE = ["codec", "setting", "image_index", "point", "reconstruction"]


def measured(dataset: Images, codecs: Sequence[str], folder: Path, shard_size: int = 4) -> None:
    """Measures codecs in this process, which takes less time than the start of workers."""
    evaluate_here(folder, dataset, *codecs, shard_size=shard_size)


def evaluated(dataset: Images, codecs: Sequence[str], folder: Path, **options: object) -> None:
    resolved = resolve(parse_request(codec) for codec in codecs)
    settings = EvaluationOptions(**{"shard_size": 4, "score": False, **options})  # type: ignore[arg-type]
    evaluate(dataset, resolved, folder, settings, RunProgress(io.StringIO()))


def scored(folder: Path, dataset: Images, *metrics: str, cpus: int | None = None) -> Outcome:
    options = ScoringOptions(metrics or PICTURES_ONLY, cpus=cpus)
    return score_run(folder, options, RunProgress(io.StringIO()), dataset)


def rows_of(folder: Path) -> pd.DataFrame:
    found = pd.concat([to_frame(pq.read_table(path)) for path in sorted((folder / "per_image").glob("*.parquet"))])
    return found.sort_values(PICTURE).reset_index(drop=True)


def times(folder: Path, *names: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for name in names for path in (folder / name).rglob("[!.]*.parquet")}


def photographs(count: int) -> MemoryImages:
    demo = open_dataset("demo", limit=count)
    images = [demo.load(index).copy() for index in range(count)]
    for image in images:
        image[0, 0, 0] = 0  # no mark of the toy codecs
    return MemoryImages(images)


def test_scores_equal_a_direct_computation_on_one_and_two_workers(tmp_path: Path) -> None:
    dataset = open_dataset("demo", limit=5)
    codecs = ["jpeg:quality=40", "webp:quality=70", "png"]
    frames = []
    for name, shard_size, cpus in (("a", 2, 2), ("b", 5, 1)):
        measured(dataset, codecs, tmp_path / name, shard_size=shard_size)
        assert scored(tmp_path / name, dataset, cpus=cpus).scored == 15
        frames.append(rows_of(tmp_path / name))
    metrics = [*PICTURE, "picture_sha256", "mse", "psnr_db", "ssim", "unscored"]
    pd.testing.assert_frame_equal(frames[0][metrics], frames[1][metrics], check_exact=True)
    jpeg = get_codec("jpeg", quality=40)
    for index, row in enumerate(frames[0][frames[0]["codec"] == "jpeg"].to_dict("records")):
        original = dataset.load(index)
        (decoded,) = jpeg.decode(jpeg.encode([original]))
        assert row["picture_sha256"] == picture_sha256(decoded)
        assert (row["mse"], row["ssim"]) == (mse(original, decoded), ssim(original, decoded))
    assert (frames[0].loc[frames[0]["codec"] == "png", "psnr_db"] == np.inf).all()
    for reasons in frames[0]["unscored"]:
        assert reasons["ms_ssim"] == "64 px is under its smallest side of 161 px"
        assert reasons["lpips"] == "not asked for"


def test_a_second_scoring_decodes_nothing(tmp_path: Path) -> None:
    dataset = photographs(4)  # one shard for each setting
    measured(dataset, ["toy-raw", "toy-model"], tmp_path)
    assert scored(tmp_path, dataset).scored == 4 * (2 + 3)
    before, rows = times(tmp_path, "scores", "shards", "streams"), rows_of(tmp_path)
    assert scored(tmp_path, dataset).scored == 0
    assert times(tmp_path, "scores", "shards", "streams") == before
    pd.testing.assert_frame_equal(rows_of(tmp_path), rows, check_exact=True)


NEW_METRIC = """
import numpy as np
from uqdm.bench.metrics import Metric
def worst(original, reconstruction):
    return float(np.abs(original.astype(int) - reconstruction).max())
METRIC = Metric(name="worst", label="Worst", unit="", direction="lower", value_range=(0, 255), source="this test",
                comment="largest error", compute=worst)
"""


@pytest.fixture
def new_metric(toys: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """A metric of another package, also installed for workers; it is removed after the test."""
    (toys / "toy_metric.py").write_text(NEW_METRIC)
    information = toys / "toy_metric-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-metric\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[uqdm.metrics]\nworst = toy_metric:METRIC\n")

    def appear() -> None:
        METRICS.forget()

    declared()  # as it was before
    yield appear
    (information / "entry_points.txt").unlink()
    (information / "METADATA").unlink()
    information.rmdir()
    METRICS.forget()


def test_a_new_metric_is_computed_alone_and_nothing_is_encoded(
    tmp_path: Path, toys: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = photographs(5)
    measured(dataset, ["toy-once"], tmp_path)
    scored(tmp_path, dataset)
    (toys / PASSES).write_text("encoding is over")  # from now on, the codec raises when it encodes
    before = times(tmp_path, "scores", "shards", "streams")
    appear = request.getfixturevalue("new_metric")
    appear()
    try:
        assert scored(tmp_path, dataset, "worst").scored == 5
    finally:
        (toys / PASSES).unlink()
    rows = rows_of(tmp_path)
    assert (rows["status"] == "ok").all()
    assert rows["worst"].tolist() == [15.0] * 5  # four bits dropped, and every tile has a pixel with all four set
    assert rows[["mse", "ssim"]].notna().all(axis=None)  # values of other metrics are still stored
    after = times(tmp_path, "scores", "shards", "streams")
    assert before.items() <= after.items()
    assert len(after) - len(before) == 2  # a file for each shard


def test_stored_scores_are_reused_after_another_evaluation(tmp_path: Path) -> None:
    dataset = photographs(4)
    measured(dataset, ["toy-raw:drop=4"], tmp_path)
    with pytest.raises(ResultsError, match=r"4 rows are not scored yet \(toy-raw\); make it with: uqdm bench score"):
        summarize_run(tmp_path)
    scored(tmp_path, dataset)
    assert summarize_run(tmp_path).mse.notna().all()
    measured(dataset, ["toy-raw"], tmp_path)
    assert rows_of(tmp_path)["unscored"].map(is_not_scored).all()
    assert scored(tmp_path, dataset).scored == 4  # the setting that was added


@pytest.mark.proof
def test_unkept_streams_are_removed_and_a_later_metric_has_the_reason(tmp_path: Path) -> None:
    dataset = photographs(4)
    evaluated(dataset, ["toy-raw:drop=4"], tmp_path, keep_streams=False)
    scored(tmp_path, dataset, "psnr_db")
    assert list((tmp_path / "streams").rglob("*.parquet")) == []
    assert scored(tmp_path, dataset).scored == 0
    rows = rows_of(tmp_path)
    assert rows[["mse", "psnr_db"]].notna().all(axis=None)
    assert rows["ssim"].isna().all()
    assert {reasons["ssim"] for reasons in rows["unscored"]} == {STREAMS_GONE}
    evaluated(dataset, ["toy-raw:drop=4"], tmp_path, keep_streams=True)
    scored(tmp_path, dataset)
    assert rows_of(tmp_path)["ssim"].notna().all()


@pytest.mark.proof
def test_a_picture_that_is_decoded_differently_is_a_failed_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = photographs(3)
    measured(dataset, ["toy-once", "toy-noisy"], tmp_path)
    (path,) = (tmp_path / "streams" / "toy-once").iterdir()
    streams = pd.read_parquet(path)
    changed = bytearray(streams.loc[1, "stream"])
    changed[-1] ^= 16
    _replace_stream(path, 1, bytes(changed))
    outcome = scored(tmp_path, dataset)
    assert outcome.faults == 1
    rows = rows_of(tmp_path)
    once = rows[rows["codec"] == "toy-once"]
    assert once["status"].tolist() == ["ok", "failed", "ok"]
    assert once["error"].iloc[1].startswith("score: the stored coded file is not the one that was measured: its SHA")
    summary = summarize_run(tmp_path).set_index("codec")
    assert (summary.loc["toy-once", "n"], summary.loc["toy-once", "failed"]) == (2, 1)
    noisy = rows[rows["codec"] == "toy-noisy"]  # may vary: scored and identified as it is decoded here
    assert (noisy["status"] == "ok").all()
    evaluated_as = pd.read_parquet(next((tmp_path / "shards" / "toy-noisy").iterdir()))["picture_sha256"]
    assert set(noisy["picture_sha256"]).isdisjoint(evaluated_as)
    _replace_stream(path, 1, bytes(changed), measured_so=True)  # as if the codec now decoded differently
    assert scored(tmp_path, dataset).faults == 1
    error = rows_of(tmp_path).query("codec == 'toy-once'")["error"].iloc[1]
    assert error.startswith("score: decodes to another picture at 'full' than was measured (SHA-256 ")
    _replace_stream(path, 1, streams.loc[1, "stream"], measured_so=True)
    held = path.read_bytes()
    path.write_bytes(held[:-20])
    assert scored(tmp_path, dataset).faults == 3
    error = rows_of(tmp_path).query("codec == 'toy-once'")["error"].iloc[1]
    assert "evaluate again, which measures its shard anew" in error
    path.write_bytes(held)
    assert scored(tmp_path, dataset).faults == 0
    assert (rows_of(tmp_path)["status"] == "ok").all()


def _replace_stream(path: Path, index: int, stream: bytes, *, measured_so: bool = False) -> None:
    """Replaces a coded file; with ``measured_so``, also its length and hash, here and in the rows."""
    columns = {"stream": stream, **(check_columns(stream) if measured_so else {})}
    _edit(path, index, columns)
    if measured_so:
        rows_path = path.parents[2] / "shards" / path.parent.name / path.name
        _edit(rows_path, index, {"stream_sha256": columns["stream_sha256"]})


def _edit(path: Path, index: int, columns: dict[str, object]) -> None:
    table = pq.read_table(path, partitioning=None)
    rows = [row | columns if row["image_index"] == index else row for row in table.to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def test_errors_of_codecs_affect_only_their_image(tmp_path: Path) -> None:
    images = unmarked_images(8)
    images[2][0, 0, 0] = RAISE
    images[5][0, 0, 0] = KILL  # kills the worker when it is encoded
    dataset = MemoryImages(images)
    evaluated(dataset, ["toy-faulty", "toy-absent"], tmp_path)
    scored(tmp_path, dataset)
    rows = rows_of(tmp_path)
    faulty = rows[rows["codec"] == "toy-faulty"]
    assert faulty["status"].tolist() == ["ok", "ok", "failed", "ok", "ok", "failed", "ok", "ok"]
    assert faulty.loc[faulty["status"] == "ok", "mse"].tolist() == [0.0] * 6
    assert faulty.loc[faulty["status"] == "failed", ["mse", "unscored"]].isna().all(axis=None)
    assert rows.loc[rows["codec"] == "toy-absent", "status"].tolist() == ["skipped"] * 2
    assert any(
        reasons["ssim"].startswith("5 px is under") for reasons in faulty.loc[faulty["status"] == "ok", "unscored"]
    )


def test_a_stream_that_kills_its_worker_fails_only_its_picture(tmp_path: Path) -> None:
    dataset = photographs(4)
    measured(dataset, ["toy-raw:drop=4"], tmp_path)
    measured(dataset, ["toy-deadly"], tmp_path)
    (path,) = (tmp_path / "streams" / "toy-deadly").iterdir()
    stream = bytearray(pd.read_parquet(path).loc[2, "stream"])
    stream[8] = KILL
    _replace_stream(path, 2, bytes(stream), measured_so=True)
    outcome = scored(tmp_path, dataset)
    rows = rows_of(tmp_path)
    assert rows.loc[rows["codec"] == "toy-deadly", "status"].tolist() == ["ok", "ok", "failed", "ok"]
    assert outcome.first_fault is not None
    assert "worker lost" in outcome.first_fault
    assert (rows.loc[rows["codec"] == "toy-raw", "status"] == "ok").all()


def test_other_originals_are_refused(tmp_path: Path) -> None:
    measured(open_dataset("demo", limit=3), ["png"], tmp_path)
    with pytest.raises(ResultsError, match=r"is not what was evaluated: its fingerprint is .*, and was 3-"):
        scored(tmp_path, open_dataset("demo", limit=2))


def test_originals_are_opened_again_by_the_spec_in_the_run(tmp_path: Path) -> None:
    measured(open_dataset("demo", limit=3), ["png"], tmp_path)
    assert score_run(tmp_path, ScoringOptions(PICTURES_ONLY), RunProgress(io.StringIO())).scored == 3
    manifest = tmp_path / "manifests" / "png.json"
    facts = json.loads(manifest.read_text())
    facts["dataset"]["spec"] = "folder:/nowhere"
    manifest.write_text(json.dumps(facts))
    with pytest.raises(ResultsError, match=r"the originals are needed to score pictures: .*nowhere"):
        score_run(tmp_path, ScoringOptions(PICTURES_ONLY), RunProgress(io.StringIO()))


def test_the_error_for_an_unknown_metric_lists_the_names() -> None:
    with pytest.raises(ValueError, match=r"no metric 'psnr' \(did you mean psnr_db\?\); known: .*ssim"):
        ScoringOptions(("psnr",))


def test_a_killed_scoring_resumes(tmp_path: Path) -> None:
    measured(open_dataset("demo", limit=24), ["toy-slow-decoder"], tmp_path, shard_size=1)
    command = [sys.executable, "-m", "uqdm.cli.main", "bench", "score", "--run", str(tmp_path)]
    command += ["--cpus", "1", *(f"--metric={name}" for name in PICTURES_ONLY)]
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
    )
    try:
        deadline = time.monotonic() + 120
        while len(times(tmp_path, "scores")) < 12 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    before = times(tmp_path, "scores")
    assert len(before) >= 12
    assert not (tmp_path / "scores.json").exists(), "scoring was over before it could be killed"
    outcome = score_run(tmp_path, ScoringOptions(PICTURES_ONLY), RunProgress(io.StringIO()))
    assert 0 < outcome.scored <= 24 - len(before) // 3 + 1  # three metrics a shard; one shard may be incomplete
    assert {path: time for path, time in times(tmp_path, "scores").items() if path in before}.keys() == before.keys()
    assert rows_of(tmp_path)[["mse", "psnr_db", "ssim"]].notna().all(axis=None)
    assert [path for path in tmp_path.rglob(".*") if path != lock_path(tmp_path)] == []  # no temporary files remain
