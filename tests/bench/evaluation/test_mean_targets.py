"""Guards targets for the mean over the images: which setting is found, its rows, and a search that was stopped."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drivers import Driver
from small_run import SHARD_SIZE, evaluate_here, measure_plan, measure_run

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.evaluation.codec_plan import CodecPlan
from uqdm.bench.evaluation.context import Context
from uqdm.bench.evaluation.hidden_results import finished_manifests, hidden_results, named_settings
from uqdm.bench.evaluation.mean_targets import with_settings_found
from uqdm.bench.execute.worker import Worker
from uqdm.bench.run.codec_settings import CodecSetting, parse_request, resolve
from uqdm.bench.run.metric_choice import MetricChoice
from uqdm.bench.run.provenance import provenance
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.shard_store import ShardStore
from uqdm.bench.schema import MEASURED
from uqdm.codec import get_codec

N_IMAGES = 4
COLUMNS = ["codec", "setting", "image_index", "point", "target", "found_setting", "found_point", "target_tries"]
COLUMNS += ["target_error", "bpp", "status", "error"]


def context_of(run_dir: Path, metrics: MetricChoice | None = None) -> Context:
    return Context(open_dataset("demo", limit=N_IMAGES), ShardStore(run_dir), provenance(), SHARD_SIZE, metrics=metrics)


def asked(*texts: str) -> dict[str, list[CodecSetting]]:
    return resolve([parse_request(text) for text in texts])


def mean_bpp(quality: int) -> float:
    images = open_dataset("demo", limit=N_IMAGES)
    codec = get_codec("jpeg", quality=quality)
    return float(np.mean([8 * len(codec.encode([images.load(n)])[0]) / 64**2 for n in range(N_IMAGES)]))


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    codecs = ["jpeg@mean_bpp=2|2.004", "jpeg@mean_bpp=0.1", "jpeg:quality=90", "jpeg-progressive@mean_bpp=1.3"]
    return measure_run(tmp_path_factory.mktemp("mean") / "run", open_dataset("demo", limit=N_IMAGES), *codecs)


def test_the_rows_are_the_ordinary_ones_of_the_setting_nearest_to_the_target(run_dir: Path) -> None:
    rows = read_rows(run_dir, COLUMNS)
    rows = rows[(rows.codec == "jpeg") & rows.target.notna() & (rows.status == "ok")]
    (setting,) = rows.setting.unique()
    quality = int(setting.removeprefix("quality="))
    assert min(range(quality - 2, quality + 3), key=lambda value: abs(mean_bpp(value) - 2)) == quality
    assert rows.image_index.tolist() == [0, 1, 2, 3]
    assert set(rows.target) == {"mean_bpp=2; mean_bpp=2.004"}  # both found it
    assert set(rows.found_setting) == {setting}
    assert rows.target_error.to_numpy() == pytest.approx(mean_bpp(quality) / 2 - 1, abs=1e-12)


def test_no_other_try_is_among_the_rows(run_dir: Path) -> None:
    rows = read_rows(run_dir, COLUMNS)
    jpeg = rows[rows.codec == "jpeg"]
    assert set(jpeg.setting[jpeg.target.isna()]) == {"quality=90"}
    assert jpeg.setting.nunique() == 3  # the one that was found, the one that was named, the one that is unreachable
    assert len(list((run_dir / "superseded" / "streams" / "jpeg").iterdir())) > 4  # files of the tries


def test_a_mean_that_no_setting_reaches_is_a_skipped_row_that_says_so(run_dir: Path) -> None:
    rows = read_rows(run_dir, COLUMNS)
    (error,) = rows.error[rows.setting == "@mean_bpp=0.1"]
    low, high = mean_bpp(1), mean_bpp(100)
    assert f"unreachable: mean_bpp from {low:.4g} to {high:.4g} on these 4 images" in error
    summary = summarize_run(run_dir).set_index("setting")
    assert tuple(summary.loc["@mean_bpp=0.1", ["status", "target"]]) == ("skipped", "mean_bpp=0.1")


def test_the_point_of_a_progressive_file_that_answers_is_marked(run_dir: Path) -> None:
    rows = read_rows(run_dir, COLUMNS)
    rows = rows[rows.codec == "jpeg-progressive"]
    means = rows.groupby("point").bpp.mean()
    marked = rows[rows.target.notna()]
    assert set(marked.point) == {(means - 1.3).abs().idxmin()}
    assert marked.target_tries.tolist() == [1] * N_IMAGES
    assert rows.point.nunique() == 10


def test_the_metric_of_a_target_is_computed_where_scoring_comes_later(tmp_path: Path) -> None:
    evaluate_here(tmp_path, open_dataset("demo", limit=2), "jpeg@mean_psnr_db=32", metrics=None)
    rows = read_rows(tmp_path, [*COLUMNS, "psnr_db"])
    assert set(rows.target) == {"mean_psnr_db=32"}
    assert rows.psnr_db.isna().all()  # of the rows of this evaluation
    assert rows.target_error.abs().max() < 0.3


def test_a_stopped_search_goes_on_from_the_stored_tries(tmp_path: Path) -> None:
    """Together, the stopped search and the next one measure each shard once."""
    worker, measured = Worker(), list[str]()

    class StoppedError(Exception):
        pass

    def measure(at_most: int, context: Context, plan: CodecPlan) -> None:
        if len(measured) == at_most:
            raise StoppedError
        measured.append(plan.codec_settings[0].setting)
        measure_plan(worker, context, plan)

    with pytest.raises(StoppedError):
        with_settings_found(
            context_of(tmp_path), asked("jpeg@mean_bpp=2"), functools.partial(measure, 3), lambda text: None
        )
    found = with_settings_found(
        context_of(tmp_path), asked("jpeg@mean_bpp=2"), functools.partial(measure, 99), lambda text: None
    )
    assert len(measured) == len(set(measured))
    assert found["jpeg"][0].mean_found is not None
    assert found["jpeg"][0].mean_found.target_tries == len(measured)


def test_the_same_target_again_hides_nothing_and_another_request_does(run_dir: Path) -> None:
    manifests, images = finished_manifests(run_dir), open_dataset("demo", limit=N_IMAGES)

    def warnings(*texts: str) -> list[str]:
        settings = {name: named_settings(listed) for name, listed in asked(*texts).items()}
        return list(hidden_results(manifests, images, settings, prune=False))

    same = ["jpeg@mean_bpp=2|2.004|0.1", "jpeg:quality=90", "jpeg-progressive@mean_bpp=1.3"]
    assert warnings(*same) == []
    (warning,) = warnings("jpeg@mean_bpp=1", "jpeg:quality=90", "jpeg-progressive@mean_bpp=1.3")
    assert "--codec jpeg:@mean_bpp=2" in warning


@pytest.mark.cluster
@pytest.mark.proof
def test_a_killed_run_resumes_with_the_rows_of_an_undisturbed_one(tmp_path: Path) -> None:
    codecs = ["jpeg@mean_bpp=2", "jpeg2000-tuned@bpp=1|2", "jpeg-progressive@bpp=2"]
    options = ["--limit=12", "--cpus=2"]
    killed = Driver(tmp_path / "killed", codecs, "demo", options=options)
    killed.wait_for_shards(5)
    killed.kill()
    output = Driver(tmp_path / "killed", codecs, "demo", options=options).finish(600)
    assert "0 failed" in output
    Driver(tmp_path / "undisturbed", codecs, "demo", options=options).finish(600)
    both = [pd.read_parquet(tmp_path / name / "per_image") for name in ("killed", "undisturbed")]
    first, second = (rows.drop(columns=[*MEASURED]) for rows in both)
    pd.testing.assert_frame_equal(first, second)
