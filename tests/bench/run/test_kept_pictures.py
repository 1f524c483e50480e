"""Guards the pictures that a run keeps: they are those that were measured, and each image is readable by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy_codecs import Faulty, Model
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.evaluation.measure import measure_images
from uqdm.bench.run.codec_settings import CodecSetting
from uqdm.bench.run.kept_pictures import (
    KeptPictureWriter,
    has_kept_pictures,
    merge_kept_pictures,
    png_picture,
    read_kept_pictures,
)
from uqdm.bench.run.layout import ShardFolder, shard_path
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.provenance import read_provenance
from uqdm.bench.run.shards import Shard, split
from uqdm.bench.run.stage_options import KeepOptions
from uqdm.bench.schema import RECONSTRUCTIONS
from uqdm.codec import Codec, Reconstruction

ORIGIN = {"project": "toy"}


class FailsLate(Model):
    """Gives the first pictures of a marked image, then raises."""

    def reconstructions(self, stream):
        for number, found in enumerate(super().reconstructions(stream)):
            if stream[8] == 0 and number == 2:
                raise RuntimeError("too late")
            yield found


class Reuses(Model):
    """Gives every picture in the same array."""

    def reconstructions(self, stream):
        held = None
        for found in super().reconstructions(stream):
            held = np.empty_like(found.image_uint8) if held is None else held
            held[:] = found.image_uint8
            yield Reconstruction(found.point, found.name, held)


def shard_of(images: list[np.ndarray], start: int = 0) -> Shard:
    (shard,) = split(MemoryImages(images), CodecSetting("toy-model", setting="drop=0"), len(images), KeepOptions())
    return Shard(shard.dataset, shard.fingerprint, start, shard.image_ids, shard.codec_setting, keep_streams=True)


def kept(codec: Codec, images: list[np.ndarray], start: int = 0) -> tuple[list[dict], bytes]:
    keeper = KeptPictureWriter(shard_of(images, start), ORIGIN)
    measured = measure_images(codec, codec, images, [keeper])
    assert [row["status"] for row in measure_images(codec, codec, images).rows] == [
        row["status"] for row in measured.rows
    ]
    return measured.rows, keeper.finish()


def stored(folder: Path, data: bytes) -> Path:
    path = shard_path(folder, ShardFolder.RECONSTRUCTIONS, "toy-model", "key")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("codec", [Model(), Reuses()])
def test_every_picture_is_kept_as_it_was_measured(codec: Codec, tmp_path: Path) -> None:
    images = unmarked_images(5)
    rows, data = kept(codec, images, start=20)
    path = stored(tmp_path, data)
    assert has_kept_pictures(path)
    schema = pq.read_schema(path)
    assert schema.equals(RECONSTRUCTIONS)
    assert read_provenance(schema) == ORIGIN
    columns = ["point_index", "point", "reconstruction", "picture_sha256"]
    for index, image in enumerate(images):
        found = read_kept_pictures(path, 20 + index)
        assert {row["image_id"] for row in found} == {f"image-{index:03}"}
        expected = [row for row in rows if row["image_index"] == index]
        assert [[row[name] for name in columns] for row in found] == [
            [row[name] for name in columns] for row in expected
        ]
        pictures = {(row["point"], row["reconstruction"]): png_picture(row) for row in found}
        np.testing.assert_array_equal(pictures["all", "decoded"], image)
        np.testing.assert_array_equal(pictures["high", "floor"], image >> 4 << 4)
        assert [picture_sha256(png_picture(row)) for row in found] == [row["picture_sha256"] for row in found]
    assert read_kept_pictures(path, 19) == []


def test_an_image_that_fails_late_has_no_pictures(tmp_path: Path) -> None:
    images = [image + np.uint8(16) * (index != 1) for index, image in enumerate(unmarked_images(3))]
    rows, data = kept(FailsLate(), images)
    assert [row["status"] for row in rows if row["image_index"] == 1] == ["failed"]
    path = stored(tmp_path, data)
    assert [len(read_kept_pictures(path, index)) for index in range(3)] == [3, 0, 3]


def test_a_shard_of_failures_has_a_file_without_pictures(tmp_path: Path) -> None:
    images = unmarked_images(2)
    for image in images:
        image[0, 0, 0] = 201
    _, data = kept(Faulty(), images)
    path = stored(tmp_path, data)
    assert has_kept_pictures(path)
    assert read_kept_pictures(path, 0) == []


def test_one_image_is_read_without_the_others(tmp_path: Path) -> None:
    _, data = kept(Model(), unmarked_images(6))
    path = stored(tmp_path, data)
    metadata = pq.read_metadata(path)
    assert metadata.num_row_groups == 6
    last = metadata.row_group(5).column(RECONSTRUCTIONS.names.index("png"))
    damaged = bytearray(data)
    middle = last.data_page_offset + last.total_compressed_size // 2
    damaged[middle] ^= 255
    stored(tmp_path, bytes(damaged))
    assert len(read_kept_pictures(path, 0)) == 3
    with pytest.raises(OSError, match=r"CRC|checksum"):
        read_kept_pictures(path, 5)


def test_files_of_single_images_merge_to_the_file_of_the_shard(tmp_path: Path) -> None:
    images = unmarked_images(3)
    _, data = kept(Model(), images)
    shard = shard_of(images)
    parts = []
    for alone in shard.alone():
        keeper = KeptPictureWriter(alone, ORIGIN)
        measure_images(Model(), Model(), [images[alone.start]], [keeper])
        parts.append(keeper.finish())
    merged = merge_kept_pictures(parts)
    whole, joined = (pq.ParquetFile(stored(tmp_path / name, file)) for name, file in (("a", data), ("b", merged)))
    assert joined.read().equals(whole.read())
    assert joined.num_row_groups == whole.num_row_groups == 3


def test_a_stored_picture_with_another_hash_is_an_error() -> None:
    keeper = KeptPictureWriter(shard_of(unmarked_images(1)), ORIGIN)
    picture = np.zeros((2, 3, 3), np.uint8)
    keeper.keep(0, 0, {"point": "all", "reconstruction": "decoded", "picture_sha256": "0" * 64}, picture)
    (row,) = pq.read_table(pa.BufferReader(keeper.finish())).to_pylist()
    with pytest.raises(ValueError, match="image-000 at 'all' is damaged"):
        png_picture(row)
