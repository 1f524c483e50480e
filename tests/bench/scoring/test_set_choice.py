"""Guards what set metrics are computed on: which patches, how few items are too few, and how jobs are cut."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from small_run import evaluate_here, score_here
from toy_images import MemoryImages

from uqdm.bench.analysis.short_table import short_table
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.metrics import SetMetric
from uqdm.bench.metrics.fid import METRIC as FID
from uqdm.bench.metrics.kid import METRIC as KID
from uqdm.bench.metrics.patch_fid import METRIC as PATCH_FID
from uqdm.bench.metrics.patch_fid_256 import METRIC as PATCH_FID_256
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.report.sets import caveats
from uqdm.bench.run.codec_settings import CodecSetting
from uqdm.bench.run.json_files import read_scores
from uqdm.bench.run.score_store import PictureKey
from uqdm.bench.run.shard_store import ShardStore
from uqdm.bench.run.shards import Shard
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.scoring.extraction import ExtractorSpec, FeatureJob, FeatureRequest, split_jobs
from uqdm.bench.scoring.feature_source import FeatureSource
from uqdm.bench.scoring.options import ScoringOptions
from uqdm.bench.scoring.patch_choice import PatchChoice, evenly_chosen
from uqdm.bench.scoring.pictures import Streams
from uqdm.bench.scoring.run import score_run
from uqdm.bench.scoring.selection import SetMetricBounds
from uqdm.bench.scoring.set_features import absent_features
from uqdm.bench.scoring.set_lines import SetLine, SetPicture

PHOTO = (512, 768)
N_PATCHES = 173  # of a photo: 8 x 12 and 7 x 11


# ---- patches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_images", [1, 3, 24, 64, 100])
def test_chosen_patches_are_spread_evenly_over_images_and_positions(n_images: int) -> None:
    chosen = evenly_chosen([N_PATCHES] * n_images, 64)
    counts = [len(numbers) for numbers in chosen]
    assert sum(counts) == 64
    assert max(counts) - min(counts) <= 1
    assert all(sorted(set(numbers)) == list(numbers) for numbers in chosen)
    # Eight equal parts of the places have 64 / 8 = 8 patches each; the sequence deviates by at most 3.
    parts = np.bincount(np.concatenate(chosen).astype(int) * 8 // N_PATCHES, minlength=8)
    assert parts.min() >= 5
    assert parts.max() <= 11


def test_images_have_shares_in_proportion_to_their_patches() -> None:
    chosen = evenly_chosen([10, 30, 60], 20)
    assert [len(numbers) for numbers in chosen] == [2, 6, 12]
    assert evenly_chosen([10, 30, 60], 100) == evenly_chosen([10, 30, 60], None)
    assert evenly_chosen([], 5) == []


def test_positions_are_those_of_the_metric_and_the_same_at_every_call() -> None:
    choice = PatchChoice({2: PHOTO, 7: PHOTO}, 10)
    assert choice.positions(FID, 7) == (0,)
    first = choice.positions(PATCH_FID, 7)
    assert len(first) == 5
    assert first == choice.positions(PATCH_FID, 7) == PatchChoice({2: PHOTO, 7: PHOTO}, 10).positions(PATCH_FID, 7)


def test_a_metric_of_all_patches_takes_all_or_is_not_computed() -> None:
    line = line_of(3, PHOTO, 23)  # a photo has 2 x 3 and 1 x 2 patches of 256x256
    assert len(line.keys(PATCH_FID_256, line.pictures)) == 24
    reason = line.undefined_reason(PATCH_FID_256, SetMetricBounds())
    assert reason == "it takes all 24 patches, more than 23; use --set-patches 0 to compute it"
    assert line_of(3, PHOTO, 24).undefined_reason(PATCH_FID_256, SetMetricBounds()) is None
    assert line_of(3, PHOTO, None).undefined_reason(PATCH_FID_256, SetMetricBounds()) is None
    assert line.undefined_reason(PATCH_FID, SetMetricBounds()) is None  # takes some of them
    small = line_of(3, (255, 900), None).undefined_reason(PATCH_FID_256, SetMetricBounds())
    assert small == "255 px is under its smallest side of 256 px"


def line_of(n_images: int, size: tuple[int, int], most: int | None = 64) -> SetLine:
    originals = [SetPicture(None, index, f"original-{index}", size) for index in range(n_images)]
    pictures = [SetPicture(None, index, f"picture-{index}", size) for index in range(n_images)]
    return SetLine({}, originals, pictures, PatchChoice(dict.fromkeys(range(n_images), size), most))


def test_a_line_that_lacks_an_image_takes_the_same_patches_of_the_others() -> None:
    whole = line_of(3, PHOTO)
    part = replace(whole, originals=whole.originals[1:], pictures=whole.pictures[1:])
    assert set(part.keys(PATCH_FID, part.pictures)) < set(whole.keys(PATCH_FID, whole.pictures))
    assert [whole.positions(PATCH_FID, one) for one in whole.originals] == [
        whole.positions(PATCH_FID, one) for one in whole.pictures
    ]


class Extractor:
    """An extractor that computes nothing."""

    sha256 = "5" * 64
    resize = ""
    n_features = 12
    caution = None

    def features(self, images: object, batch: int) -> NoReturn:
        raise NotImplementedError


def test_the_warning_of_too_few_images_is_in_rows_with_fid_alone() -> None:
    line = line_of(3, PHOTO)
    line.columns = {"patch_fid": 1.0, "patch_fid_n": 64.0}
    row = line.row({"inception": Extractor()})
    assert (row["fid_n"], row["fid_warning"]) == (3, None)
    line.columns["fid"] = 1.0
    row = line.row({"inception": Extractor()})
    assert row["fid_warning"] == "n=3 is under 12: biased, singular covariance"
    assert (row["fd_clip_n"], row["fd_clip_extractor"], row["fd_clip_warning"]) == (None, None, None)


def test_the_number_of_patches_is_part_of_the_name_of_stored_values() -> None:
    keys = {line_of(3, PHOTO, most).key(PATCH_FID, Extractor()) for most in (16, 64, None)}
    assert len(keys) == 3
    assert line_of(3, PHOTO, 16).key(FID, Extractor()) == line_of(3, PHOTO, 64).key(FID, Extractor())


# ---- too few ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("metric", "noun"), [(FID, "images"), (KID, "images"), (PATCH_FID, "patches")])
def test_a_reason_names_the_number_the_bound_and_the_remedy(metric: SetMetric, noun: str) -> None:
    reason = SetMetricBounds().too_few(metric, metric.meaningful_set - 1)
    assert reason is not None
    assert reason.startswith(f"{metric.meaningful_set - 1} {noun}, at least {metric.meaningful_set} needed; ")
    assert f"; use --set-least {metric.meaningful_set - 1} to compute it (with fewer, " in reason
    assert len(reason) <= 128  # with the names of metrics in front it fits into the notes of the short table
    assert SetMetricBounds().too_few(metric, metric.meaningful_set) is None


def test_the_bound_can_be_lowered_and_raised() -> None:
    assert SetMetricBounds(least=3).too_few(FID, 3) is None
    assert SetMetricBounds(least=100).too_few(FID, 99) == (
        "99 images, at least 100 needed; use --set-least 99 to compute it"
    )


def test_patches_count_for_a_metric_of_patches_and_images_for_the_others() -> None:
    line = line_of(3, PHOTO)
    assert line.undefined_reason(PATCH_FID, SetMetricBounds()) is None
    assert "3 images" in str(line.undefined_reason(FID, SetMetricBounds()))
    assert line.undefined_reason(FID, SetMetricBounds(least=2)) is None
    assert line.undefined_reason(KID, SetMetricBounds(least=2)) == "n=3 is under the 4 that it needs"
    assert "8 patches" in str(line_of(3, PHOTO, 8).undefined_reason(PATCH_FID, SetMetricBounds(patches=8)))


def test_metrics_of_too_few_images_load_no_network_and_every_table_says_why(tmp_path: Path) -> None:
    demo = open_dataset("demo", limit=3)
    dataset, run_dir = MemoryImages([demo.load(index) for index in range(3)]), tmp_path / "run"
    evaluate_here(run_dir, dataset, "jpeg:quality=30", "jpeg:quality=80", "png")

    def fail(*arguments: object) -> NoReturn:
        raise AssertionError("nothing is to compute")

    options = ScoringOptions(("psnr_db", "mse", "fid", "kid"), tmp_path / "features")
    score_here(run_dir, dataset, replace(options, metrics=("psnr_db", "mse")))
    score_run(run_dir, options, RunProgress(io.StringIO()), dataset, FeatureSource(fail, fail))
    for row in read_scores(run_dir)["sets"]:
        n = 1 if row["codec"] == "originals" else 3
        told = "n=1 is under the 2" if n == 1 else "3 images, at least 16 needed"
        assert row["unscored"]["fid"].startswith(told)
    summary = summarize_run(run_dir)
    assert summary["fid"].isna().all()
    text = " ".join(short_table(read_summary(run_dir)).split())  # its notes are folded
    assert f"no FID and KID: {SetMetricBounds().too_few(FID, 3)}" in text
    assert any(
        "No FID here: 3 images, at least 16 needed; use --set-least 3" in fact for fact in caveats(summary).facts
    )


# ---- features -----------------------------------------------------------------------------------------------


class Known:
    """A store that has some keys."""

    def __init__(self, keys: set[str]) -> None:
        self.keys = keys

    def get(self, key: str) -> np.ndarray | None:
        return np.zeros(1, np.float32) if key in self.keys else None

    def put(self, key: str, features: np.ndarray) -> None:
        raise NotImplementedError


def test_only_patches_that_are_not_stored_are_requested_originals_first() -> None:
    line = line_of(3, PHOTO)
    keys = line.keys(PATCH_FID, line.pictures)
    absent = list(absent_features([(line, PATCH_FID), (line, PATCH_FID)], {"inception": Known(set(keys[:-2]))}))
    assert [one.request.sha256 for one in absent] == ["original-0", "original-1", "original-2", "picture-2"]
    assert absent[-1].request.keys == [("inception", key) for key in keys[-2:]]
    assert sum(one.request.n_passes for one in absent) == 64 + 2


def job_of(*requests: FeatureRequest) -> FeatureJob:
    shard = Shard("memory", "0", 0, tuple(f"image-{index}" for index in range(50)), CodecSetting("png"), True)
    spec = ExtractorSpec("inception", lambda name, weights: NotImplemented, None, 4)
    return FeatureJob(shard, Streams(ShardStore(Path("nowhere")), shard), requests, {"inception": spec})


def request(index: int, n_patches: int, point: str = "full") -> FeatureRequest:
    key = PictureKey(index, point, "decoded", f"{index}-{point}")
    return FeatureRequest(key, f"{index}-{point}", PATCH_FID.patches, tuple(range(n_patches)))


def test_jobs_have_few_passes_and_together_all_of_them() -> None:
    requests = [request(0, 173), request(1, 10), request(2, 5), request(3, 40)]
    jobs = split_jobs(job_of(*requests), 32)
    assert max(job.n_passes for job in jobs) == 32
    keys = [key for job in jobs for one in job.requests for key in one.keys]
    assert keys == [key for one in requests for key in one.keys]
    assert [(job.shard.start, job.shard.stop) for job in jobs[:6]] == [(0, 1)] * 5 + [(0, 3)]


def test_pictures_of_an_image_stay_in_one_job_where_they_fit() -> None:
    points = [request(index, 10, point) for index in (0, 1) for point in ("a", "b", "c")]
    jobs = split_jobs(job_of(*points), 32)
    assert [[one.picture.image_index for one in job.requests] for job in jobs] == [[0] * 3, [1] * 3]
