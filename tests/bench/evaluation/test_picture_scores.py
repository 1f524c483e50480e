"""Metrics that are computed during evaluation: they equal those of scoring, and do not change a codec's costs."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_run import evaluate_here, score_here
from toy_images import MemoryImages

from uqdm.bench.checked_calls import score
from uqdm.bench.evaluation.metric_process import MetricProcess
from uqdm.bench.evaluation.picture_scores import PictureScores
from uqdm.bench.metrics import all_metrics
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.metric_choice import MetricChoice
from uqdm.bench.run.rows_reader import read_rows, rows_files
from uqdm.bench.run.unscored import is_not_scored
from uqdm.bench.scoring.options import ScoringOptions
from uqdm.bench.scoring.run import score_run

CODECS = ("jpeg:quality=50", "png")
PICTURES_ONLY = ("ssim",)


@pytest.fixture
def process() -> Iterator[MetricProcess]:
    made = MetricProcess(("mse", "psnr_db", "ssim", "ms_ssim"))
    yield made
    made.close()


@pytest.fixture
def pair_uint8(photographs_uint8: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return photographs_uint8[0], photographs_uint8[1]


def rows(run_dir: Path) -> list[dict[str, object]]:
    columns = ["codec", "setting", "image_index", "point", "mse", "psnr_db", "ssim", "ms_ssim", "unscored", "status"]
    return read_rows(run_dir, columns).astype(object).to_dict("records")


def test_metrics_of_evaluation_are_those_of_scoring_and_rows_are_written_once(
    tmp_path: Path, photographs_uint8: list[np.ndarray]
) -> None:
    dataset = MemoryImages(photographs_uint8[:4])
    evaluate_here(tmp_path / "later", dataset, *CODECS)
    assert all(map(is_not_scored, read_rows(tmp_path / "later", ["unscored"])["unscored"]))
    options = ScoringOptions(PICTURES_ONLY)
    score_here(tmp_path / "later", dataset, options)

    evaluate_here(tmp_path / "at_once", dataset, *CODECS, metrics=MetricChoice(PICTURES_ONLY))
    assert str(rows(tmp_path / "at_once")) == str(rows(tmp_path / "later"))  # as text, where NaN equals NaN
    written = {path: path.stat().st_mtime_ns for path in rows_files(tmp_path / "at_once")}
    outcome = score_run(tmp_path / "at_once", options, RunProgress(io.StringIO()), dataset)
    assert (outcome.scored, outcome.faults) == (0, 0)
    assert {path: path.stat().st_mtime_ns for path in rows_files(tmp_path / "at_once")} == written


def test_a_metric_requested_after_evaluation_is_added_by_scoring(
    tmp_path: Path, photographs_uint8: list[np.ndarray]
) -> None:
    dataset = MemoryImages(photographs_uint8[:2])
    evaluate_here(tmp_path, dataset, CODECS[0], metrics=MetricChoice(("mse",)))
    before = read_rows(tmp_path, ["mse", "ssim", "unscored"])
    assert before["mse"].notna().all()
    assert before["ssim"].isna().all()
    assert [reasons["ssim"] for reasons in before["unscored"]] == ["not asked for"] * 2
    score_here(tmp_path, dataset, ScoringOptions(PICTURES_ONLY))
    after = read_rows(tmp_path, ["mse", "ssim"])
    assert (after["mse"] == before["mse"]).all()
    assert after["ssim"].notna().all()


def test_the_process_gives_the_values_of_the_metrics(
    process: MetricProcess, pair_uint8: tuple[np.ndarray, np.ndarray]
) -> None:
    (found,) = process.scores([pair_uint8])
    defined = {metric.name: metric for metric in all_metrics() if metric.name in ("mse", "psnr_db", "ssim")}
    assert found == {name: score(metric, *pair_uint8) for name, metric in defined.items()}  # 64 px: no MS-SSIM


@pytest.mark.slow
@pytest.mark.usefixtures("perceptual_weights")
def test_the_process_scores_groups_by_networks(photographs_uint8: list[np.ndarray]) -> None:
    pairs = [(image, 255 - image) for image in photographs_uint8[:3]]
    process = MetricProcess(("lpips",))
    try:
        together = process.scores(pairs)
        alone = [process.scores([pair])[0] for pair in pairs]
    finally:
        process.close()
    assert all(0.1 < one["lpips"] < 2 for one in together)
    # Another order of float32 additions.
    assert [one["lpips"] for one in together] == pytest.approx([one["lpips"] for one in alone], rel=1e-5)


def test_a_killed_process_loses_the_scores_of_its_pictures_alone(
    process: MetricProcess, pair_uint8: tuple[np.ndarray, np.ndarray]
) -> None:
    whole = process.scores([pair_uint8])
    assert process._process is not None
    os.kill(process._process.pid, signal.SIGKILL)
    process._process.wait()
    assert process.scores([pair_uint8, pair_uint8]) == [{}, {}]
    assert process.scores([pair_uint8]) == whole


def test_scores_of_a_failed_image_are_discarded(
    process: MetricProcess, pair_uint8: tuple[np.ndarray, np.ndarray]
) -> None:
    scores = PictureScores(process, [7, 8], pair_uint8)
    row = {"point": "all", "reconstruction": "decoded", "picture_sha256": "0" * 64}
    for offset in (0, 1):
        scores.keep(offset, 0, row, pair_uint8[0])
    scores.discard(1)
    found = scores.finish()
    assert [picture.image_index for picture, _ in found["mse"]] == [7]
    assert [one.value for _, one in found["mse"]] == [0.0]


def test_pictures_are_scored_in_groups_of_one_size(process: MetricProcess, photographs_uint8: list[np.ndarray]) -> None:
    images = [*photographs_uint8, *(image[:40] for image in photographs_uint8[:3]), *photographs_uint8] * 3
    decoded = [255 - image for image in images]
    scores = PictureScores(process, range(len(images)), images)
    for offset, picture in enumerate(decoded):
        row = {"point": "all", "reconstruction": "decoded", "picture_sha256": str(offset)}
        scores.keep(offset, 0, row, picture)
        picture[:] = 0  # the codec uses its array again
    found = scores.finish()["ssim"]
    (ssim,) = [metric for metric in all_metrics() if metric.name == "ssim"]
    expected = [(index, score(ssim, image, 255 - image)) for index, image in enumerate(images)]
    assert [(picture.image_index, one.value) for picture, one in found] == expected
    assert all(picture.row_sha256 == one.picture_sha256 == str(picture.image_index) for picture, one in found)
