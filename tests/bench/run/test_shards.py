"""Guards the store of shards: names that depend only on the inputs, and files that are complete."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.evaluation.measure import measure_images
from uqdm.bench.evaluation.measure_job import MeasureJob, measured_shard
from uqdm.bench.run.codec_settings import CodecSetting, Request, resolve
from uqdm.bench.run.layout import ShardFolder
from uqdm.bench.run.shard_store import ShardStore
from uqdm.bench.run.shards import Shard, split
from uqdm.bench.run.stage_options import KeepOptions
from uqdm.codec import get_codec
from uqdm.files import replacing, sweep_temporaries, write_bytes

pytestmark = pytest.mark.usefixtures("toys")


@pytest.fixture
def dataset() -> MemoryImages:
    return MemoryImages(unmarked_images(7))


@pytest.fixture
def codec_setting() -> CodecSetting:
    return resolve([Request("toy-raw", {"drop": 2})])["toy-raw"][0]


@pytest.fixture
def shard(dataset: MemoryImages, codec_setting: CodecSetting) -> Shard:
    return list(split(dataset, codec_setting, 3, KeepOptions()))[1]


def stored(shard: Shard, dataset: MemoryImages, store: ShardStore) -> None:
    codec = get_codec("toy-raw", drop=2)
    finished = measured_shard(
        MeasureJob(shard, {}), measure_images(codec, codec, dataset.images[shard.start : shard.stop])
    )
    store.write(shard, finished.rows, finished.streams)


def test_shards_cover_every_image_once(dataset: MemoryImages, codec_setting: CodecSetting) -> None:
    shards = list(split(dataset, codec_setting, 3, KeepOptions()))
    assert [(shard.start, shard.stop) for shard in shards] == [(0, 3), (3, 6), (6, 7)]
    assert [image_id for shard in shards for image_id in shard.image_ids] == dataset.ids


def test_the_key_depends_on_all_inputs(shard: Shard) -> None:
    codec_setting = shard.codec_setting
    others = [
        replace(shard, dataset="other"),
        replace(shard, fingerprint="7-other"),
        replace(shard, start=4),
        replace(shard, image_ids=shard.image_ids[:2]),
        replace(shard, codec_setting=replace(codec_setting, name="other")),
        replace(shard, codec_setting=replace(codec_setting, version="toy 2")),
        replace(shard, codec_setting=replace(codec_setting, setting="drop=3", parameters={"drop": 3})),
    ]
    assert len({shard.key, *(other.key for other in others)}) == len(others) + 1


def test_the_key_does_not_depend_on_whether_streams_are_kept(shard: Shard) -> None:
    assert replace(shard, keep_streams=False).key == shard.key


def test_the_key_depends_on_values_not_on_objects(shard: Shard) -> None:
    assert (
        replace(shard, codec_setting=replace(shard.codec_setting, parameters=dict(shard.codec_setting.parameters))).key
        == shard.key
    )
    assert len(shard.key) == 32


def test_a_stored_shard_is_found(shard: Shard, dataset: MemoryImages, tmp_path: Path) -> None:
    store = ShardStore(tmp_path)
    assert store.counts(shard) is None
    stored(shard, dataset, store)
    assert store.counts(shard) == {"ok": 3, "failed": 0}


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "other columns", "no streams", "half streams"])
def test_a_damaged_shard_counts_as_missing(damage: str, shard: Shard, dataset: MemoryImages, tmp_path: Path) -> None:
    store = ShardStore(tmp_path)
    stored(shard, dataset, store)
    rows, streams = (store.files(shard).path(folder) for folder in (ShardFolder.ROWS, ShardFolder.STREAMS))
    data = rows.read_bytes()
    if damage == "truncate":
        rows.write_bytes(data[:-100])
    elif damage == "flip":
        rows.write_bytes(data[:40] + bytes([data[40] ^ 255]) + data[41:])
    elif damage == "empty":
        rows.write_bytes(b"")
    elif damage == "other columns":
        rows.write_bytes(streams.read_bytes())
    elif damage == "no streams":
        streams.unlink()
    else:
        streams.write_bytes(streams.read_bytes()[:-50])
    assert store.counts(shard) is None


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    with contextlib.suppress(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        assert not path.exists()
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []
    write_bytes(path, b"whole")
    assert path.read_bytes() == b"whole"


def test_temporary_files_of_dead_writers_are_removed(tmp_path: Path) -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    with replacing(tmp_path / "file") as alive:
        alive.write_bytes(b"half")
        dead = alive.with_name(alive.name.replace(f"-{os.getpid()}-", f"-{child}-"))
        dead.write_bytes(b"half")
        sweep_temporaries(tmp_path)
        assert (alive.exists(), dead.exists()) == (True, False)
