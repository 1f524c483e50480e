"""Guards that the files of a shard are read with neither data set nor codec, also those of older releases."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_run
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.analysis.extract import extract
from uqdm.bench.file_identity import WrongFileError
from uqdm.bench.run.json_files import listed_shards, read_manifest
from uqdm.bench.run.layout import ShardFolder, manifest_path
from uqdm.bench.run.pictures import read_streams
from uqdm.bench.run.shard_files import ShardFiles, StoredStream, measured_sha256
from uqdm.bench.run.stored_streams import StreamDamagedError

IMAGES = unmarked_images(3)


@pytest.fixture
def run_dir(toys: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    small_run.evaluate_here(folder, MemoryImages(IMAGES), "toy-raw:drop=0")
    return folder


def files_of(run_dir: Path) -> ShardFiles:
    (facts,) = listed_shards(read_manifest(run_dir, "toy-raw"))
    return ShardFiles(run_dir, facts)


def test_rows_and_streams_of_some_images_are_read(run_dir: Path) -> None:
    files = files_of(run_dir)
    rows = files.rows(["point", "no_such_column"], [2])
    assert rows.to_pylist() == [{"image_index": 2, "point": "full"}]
    measured = measured_sha256(files.rows())
    streams = files.streams({2: measured[2], 7: None})
    assert list(streams) == [2]
    stored = streams[2]
    assert isinstance(stored, StoredStream)
    assert (stored.stream[8:], stored.suffix) == (IMAGES[2].tobytes(), ".raw")
    assert isinstance(files.streams({2: measured[1]})[2], StreamDamagedError)


def test_files_of_another_shard_are_refused(run_dir: Path) -> None:
    files = files_of(run_dir)
    other = ShardFiles(run_dir, replace(files.facts, setting="drop=1"))
    with pytest.raises(WrongFileError, match="setting 'drop=0', expected setting 'drop=1'"):
        other.rows()


def test_files_of_a_release_without_identities_and_hashes_are_read(run_dir: Path, tmp_path: Path) -> None:
    files = files_of(run_dir)
    for folder in (ShardFolder.ROWS, ShardFolder.STREAMS):
        path = files.path(folder)
        table = pq.read_table(path, partitioning=None)
        later = ["n_bytes", "stream_sha256", "original_sha256"]
        names = [name for name in table.column_names if name not in later]
        pq.write_table(pa.table({name: table[name] for name in names}), path)
    path = manifest_path(run_dir, "toy-raw")
    path.write_text(json.dumps({**json.loads(path.read_text()), "row_format": 5}))
    streams = read_streams(run_dir, "toy-raw", "drop=0", {0: None, 2: None})
    assert [stream[8:] for stream in streams.values()] == [IMAGES[0].tobytes(), IMAGES[2].tobytes()]
    extracted = extract(run_dir, "1", tmp_path / "out")
    assert [path.name for path in extracted.files] == [
        "image1__toy-raw__drop=0.raw",
        "image1__toy-raw__drop=0__full__decoded.png",
    ]
