"""Guards that the folders which users read have the files of the current rows, and that other files are kept."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.evaluation.codec_plan import CodecPlan
from uqdm.bench.evaluation.context import Context
from uqdm.bench.evaluation.finish import finish_codec, prune_others
from uqdm.bench.evaluation.measure_job import MeasureJob
from uqdm.bench.execute.worker import Worker
from uqdm.bench.run.codec_settings import parse_request, resolve
from uqdm.bench.run.pictures import read_streams
from uqdm.bench.run.provenance import provenance
from uqdm.bench.run.shard_store import ShardStore
from uqdm.bench.run.stage_options import KeepOptions

pytestmark = pytest.mark.usefixtures("toys")
SHARD_SIZE = 2


def evaluated(run: Path, n_images: int, *codecs: str, shard_size: int = SHARD_SIZE, streams: bool = True) -> int:
    """Evaluates in this process, with decoded pictures kept; returns how many shards were measured."""
    dataset = MemoryImages(unmarked_images(n_images))
    context = Context(dataset, ShardStore(run), provenance(), shard_size, KeepOptions(streams, reconstructions=True))
    measured = 0
    for name, codec_settings in resolve([parse_request(text) for text in codecs]).items():
        plan = CodecPlan(context, name, codec_settings)
        plan.find_stored()
        for shard in list(plan.missing()):
            images = [dataset.load(index) for index in range(shard.start, shard.stop)]
            finished = MeasureJob(shard, context.origin).run(Worker(), images)
            context.store.write(shard, finished.rows, finished.streams, finished.reconstructions)
            plan.mark_stored(shard, finished.counts)
            measured += 1
        finish_codec(context, plan)
    return measured


def names(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return sorted(zip(frame.setting, frame.image_id, strict=True))


def check_current(run: Path, codec: str, n_images: int, *settings: str) -> None:
    """Checks that rows, streams and pictures, as users read them, have the same images and settings."""
    expected = sorted((setting, f"image-{index:03}") for setting in settings for index in range(n_images))
    for folder in ("streams", "reconstructions"):
        assert names(pd.read_parquet(run / folder / codec)) == expected, folder
    assert names(pd.read_parquet(run / "per_image" / f"{codec}.parquet")) == expected


def test_streams_and_reconstructions_have_the_files_of_the_present_rows_alone(tmp_path: Path) -> None:
    assert evaluated(tmp_path, 4, "toy-raw:drop=2") == 2
    check_current(tmp_path, "toy-raw", 4, "drop=2")
    assert evaluated(tmp_path, 3, "toy-raw:drop=3") == 2  # other setting, other images
    check_current(tmp_path, "toy-raw", 3, "drop=3")
    assert len(list((tmp_path / "superseded").rglob("*.parquet"))) == 4
    assert evaluated(tmp_path, 4, "toy-raw:drop=2") == 0  # the first images again: found, and moved back
    check_current(tmp_path, "toy-raw", 4, "drop=2")
    assert evaluated(tmp_path, 4, "toy-raw:drop=2", shard_size=3) == 2  # the same rows in other shards
    check_current(tmp_path, "toy-raw", 4, "drop=2")
    assert evaluated(tmp_path, 4, "toy-raw:drop=2", "toy-raw:drop=3", shard_size=3) == 2
    check_current(tmp_path, "toy-raw", 4, "drop=2", "drop=3")


def test_files_of_a_codec_that_is_dropped_or_cannot_run_are_moved(tmp_path: Path) -> None:
    evaluated(tmp_path, 2, "toy-raw:drop=2", "toy-once")
    prune_others(tmp_path, keep=["toy-raw"])
    assert set(pd.read_parquet(tmp_path / "streams").codec) == {"toy-raw"}
    check_current(tmp_path, "toy-raw", 2, "drop=2")
    assert evaluated(tmp_path, 2, "toy-once") == 0
    assert set(pd.read_parquet(tmp_path / "streams").codec) == {"toy-raw", "toy-once"}


def test_superseded_files_are_found_before_they_are_moved_back(tmp_path: Path) -> None:
    """A run that was killed between moving files and writing the manifest: readers find them in either place."""
    evaluated(tmp_path, 2, "toy-raw:drop=2")
    streams = read_streams(tmp_path, "toy-raw", "drop=2", {0: None, 1: None})
    (path,) = (tmp_path / "streams" / "toy-raw").iterdir()
    aside = tmp_path / "superseded" / "streams" / "toy-raw" / path.name
    aside.parent.mkdir(parents=True)
    path.rename(aside)
    assert read_streams(tmp_path, "toy-raw", "drop=2", {0: None, 1: None}) == streams
    assert evaluated(tmp_path, 2, "toy-raw:drop=2") == 0
    assert path.is_file()


def test_a_file_that_is_not_of_the_run_is_moved_and_kept(tmp_path: Path) -> None:
    evaluated(tmp_path, 2, "toy-raw:drop=2")
    (path,) = (tmp_path / "streams" / "toy-raw").iterdir()
    path.with_name("a copy.parquet").write_bytes(path.read_bytes())
    evaluated(tmp_path, 2, "toy-raw:drop=2")
    check_current(tmp_path, "toy-raw", 2, "drop=2")
    assert (tmp_path / "superseded" / "streams" / "toy-raw" / "a copy.parquet").is_file()
