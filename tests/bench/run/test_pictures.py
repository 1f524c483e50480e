"""Guards where a run's pictures come from: those that it keeps, otherwise its coded files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import small_run
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.evaluation.measure import measure_images
from uqdm.bench.run.errors import StreamsNotKeptError
from uqdm.bench.run.kept_pictures import KeptPictureWriter
from uqdm.bench.run.layout import ShardFolder, shard_path
from uqdm.bench.run.picture_cache import PictureCache
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.pictures import RunPictures
from uqdm.bench.run.stored_run import open_run
from uqdm.bench.run.tables import records
from uqdm.codec import get_codec

IMAGES = unmarked_images(3)


@pytest.fixture
def run_dir(toys: Path, tmp_path: Path) -> Path:
    """A run of a progressive codec that keeps pictures but has lost its coded files."""
    folder = tmp_path / "run"
    small_run.evaluate_here(folder, MemoryImages(IMAGES), "toy-model")
    (codec,) = open_run(folder, MemoryImages(IMAGES)).codecs
    (shard,) = codec.shards
    keeper, model = KeptPictureWriter(shard, {}), get_codec("toy-model")
    measure_images(model, model, IMAGES, [keeper])
    path = shard_path(folder, ShardFolder.RECONSTRUCTIONS, "toy-model", shard.key)
    path.parent.mkdir(parents=True)
    path.write_bytes(keeper.finish())
    shutil.rmtree(folder / "streams")
    return folder


def test_kept_pictures_are_used_without_coded_files(run_dir: Path) -> None:
    run = RunPictures(run_dir, "memory")
    for row in records(run.rows):
        assert picture_sha256(run.picture(row)) == row["picture_sha256"]


def test_a_damaged_file_of_kept_pictures_is_not_used(run_dir: Path) -> None:
    (path,) = (run_dir / "reconstructions" / "toy-model").iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    run = RunPictures(run_dir, "memory")
    with pytest.raises(StreamsNotKeptError, match="were not kept"):
        run.picture(records(run.rows)[0])


def test_the_cache_drops_what_was_used_longest_ago() -> None:
    cache = PictureCache[str, str, None](most_bytes=20)
    made: list[str] = []

    def get(key: str) -> None:
        cache.get(key, lambda: made.append(key) or {"full": np.zeros(8, np.uint8), "none": None})

    for key in "ababcbca":
        get(key)
    assert "".join(made) == "abca"
