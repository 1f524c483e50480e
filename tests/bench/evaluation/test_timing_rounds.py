"""Guards repeated times: rounds interleave codecs, rows get least and median, and nothing else of a row changes."""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path

import pandas as pd
import pytest
from small_run import SHARD_SIZE, evaluate_here
from toy_codecs import RAISE
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.evaluation.codec_plan import CodecPlan
from uqdm.bench.evaluation.context import Context
from uqdm.bench.evaluation.finish import finish_codec
from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.bench.evaluation.timing_job import PictureTime, TimingJob
from uqdm.bench.evaluation.timing_rounds import TimingRounds, time_rows
from uqdm.bench.execute.worker import Worker
from uqdm.bench.run.codec_settings import parse_request, resolve
from uqdm.bench.run.provenance import provenance
from uqdm.bench.run.shard_store import ShardStore
from uqdm.bench.run.timing_store import TimingStore
from uqdm.bench.schema import REPEATED_TIMES

CODECS = ("jpeg:quality=50", "jpeg:quality=90", "toy-model")


def planned(folder: Path, dataset: MemoryImages, codecs: tuple[str, ...] = CODECS) -> tuple[Context, list[CodecPlan]]:
    context = Context(dataset, ShardStore(folder), provenance(), SHARD_SIZE)
    plans = [CodecPlan(context, *one) for one in resolve(map(parse_request, codecs)).items()]
    for plan in plans:
        plan.find_stored()
    return context, plans


def run_here(rounds: TimingRounds, dataset: MemoryImages) -> list[tuple[TimingJob, list[PictureTime]]]:
    """The jobs of all rounds in one worker, in their order, with their times."""
    worker, found = Worker(), []
    for job in rounds.jobs():
        times = job.run(worker, [dataset.load(index) for index in range(job.shard.start, job.shard.stop)])
        assert isinstance(times, list)
        found.append((job, times))
    return found


def test_a_round_measures_every_setting_before_the_next_begins(toys: Path, tmp_path: Path) -> None:
    """Of 7 images 5 are timed: a shard of three, and two of the next."""
    dataset = MemoryImages(unmarked_images(7))
    rounds = TimingRounds.of(*planned(tmp_path, dataset), EvaluationOptions(timing_repeats=3, timing_images=5))
    found = [(job.shard.codec_setting.setting, job.shard.start, job.shard.stop) for job in rounds.jobs()]
    settings = ["quality=50", "quality=90", next(iter(resolve([parse_request("toy-model")])["toy-model"])).setting]
    one_round = [(setting, *ends) for ends, setting in itertools.product([(0, 3), (3, 5)], settings)]
    assert found == 3 * one_round


def test_rows_get_the_least_and_the_median_time_and_nothing_else(toys: Path, tmp_path: Path) -> None:
    images = unmarked_images(5)
    dataset = MemoryImages(images)
    evaluate_here(tmp_path, dataset, *CODECS)
    context, plans = planned(tmp_path, dataset)
    options = EvaluationOptions(timing_repeats=3, timing_images=4)
    before = [pd.read_parquet(tmp_path / "per_image" / f"{plan.name}.parquet") for plan in plans]
    rounds = TimingRounds.of(context, plans, options)
    times: dict[tuple[str, str, int, str, str], list[PictureTime]] = {}
    for job, found in run_here(rounds, dataset):
        setting = job.shard.codec_setting
        for one in found:
            key = (setting.name, setting.setting, one.image_index, one.point, one.reconstruction)
            times.setdefault(key, []).append(one)
        rounds.collect(job, found)
    rounds.store()
    for plan, rows in zip(plans, before, strict=True):
        finish_codec(context, plan)
        timed = pd.read_parquet(tmp_path / "per_image" / f"{plan.name}.parquet")
        names = [*REPEATED_TIMES, "timing_repeats"]
        pd.testing.assert_frame_equal(timed.drop(columns=names), rows.drop(columns=names))
        assert rows[names].isna().all(axis=None)
        assert timed.timing_repeats.dropna().unique().tolist() == [3]
        assert timed.image_index[timed.timing_repeats.isna()].unique().tolist() == [4]
        for row in timed[timed.timing_repeats.notna()].to_dict("records"):
            key = (*(row[name] for name in ("codec", "setting", "image_index", "point", "reconstruction")),)
            for name in ("encode_ms", "decode_ms"):
                values = [getattr(one, name) for one in times[key]]
                assert (row[f"{name}_min"], row[f"{name}_median"]) == (min(values), statistics.median(values))
    assert TimingRounds.of(context, plans, options).shards == []
    more = EvaluationOptions(timing_repeats=3, timing_images=5)
    assert len(TimingRounds.of(context, plans, more).shards) == 2 * 3
    other = planned(tmp_path, dataset, (*CODECS, "png"))
    assert len(TimingRounds.of(*other, options).shards) == 2 * 4, "a new codec is timed together with the others"
    assert TimingRounds.of(context, plans, EvaluationOptions()).shards == []


def test_an_image_that_fails_has_no_times(toys: Path, tmp_path: Path) -> None:
    images = unmarked_images(3)
    images[1][0, 0, 0] = RAISE
    dataset = MemoryImages(images)
    context, plans = planned(tmp_path, dataset, ("toy-faulty",))
    rounds = TimingRounds.of(context, plans, EvaluationOptions(timing_repeats=2))
    for job, found in run_here(rounds, dataset):
        assert {one.image_index for one in found} == {0, 2}
        rounds.collect(job, found)
    rounds.store()
    (shard,) = plans[0].shards()
    store = TimingStore(tmp_path)
    assert store.has(shard, range(3), 2)
    assert not store.has(shard, range(3), 3)


def test_a_picture_that_failed_in_one_round_has_no_times() -> None:
    times = [PictureTime(0, "full", "decoded", 2.0, 1.0), PictureTime(1, "full", "decoded", 4.0, 3.0)]
    rows = time_rows([*times, times[0]], range(2), 2)
    assert [(row["image_index"], row.get("encode_ms_median")) for row in rows] == [(0, 2.0), (1, None)]


@pytest.mark.parametrize("damage", [b"", b"PAR1 of something else"])
def test_a_damaged_file_of_times_counts_as_none(damage: bytes, toys: Path, tmp_path: Path) -> None:
    dataset = MemoryImages(unmarked_images(2))
    evaluate_here(tmp_path, dataset, "jpeg:quality=50")
    context, plans = planned(tmp_path, dataset, ("jpeg:quality=50",))
    (shard,) = plans[0].shards()
    store = TimingStore(tmp_path)
    store.write(shard, time_rows([PictureTime(0, "full", "decoded", 2.0, 1.0)], range(2), 1))
    rows = store.with_times(context.store.read(shard), shard)
    assert rows["encode_ms_min"].to_pylist() == [2.0, None]
    (path,) = (tmp_path / "timings" / "jpeg").iterdir()
    path.write_bytes(damage)
    assert store.with_times(context.store.read(shard), shard).equals(context.store.read(shard))
    assert not store.has(shard, range(2), 1)
