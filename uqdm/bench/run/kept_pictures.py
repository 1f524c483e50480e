"""Decoded pictures that a run keeps, as PNGs: one Parquet file for each shard, with a row group for each image.

The pictures of one image can thus be read without those of the others.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from uqdm.bench.file_identity import DAMAGED, KIND_RECONSTRUCTIONS, Identity, open_parquet, with_identity
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.provenance import with_provenance
from uqdm.bench.schema import RECONSTRUCTIONS

if TYPE_CHECKING:
    from uqdm.bench.run.shards import Shard

_UNCOMPRESSED = ["png"]  # a PNG is compressed already, and no two are equal


class KeptPictureWriter:
    """Writes the pictures of a shard while it is measured (see :func:`uqdm.bench.evaluation.measure.measure_images`).

    The file is built in memory. An image's pictures are written when those of the next image begin, so that they can
    still be discarded if the image fails.
    """

    def __init__(self, shard: Shard, origin: Mapping[str, Any]) -> None:
        self._shard = shard
        self._schema = with_identity(with_provenance(RECONSTRUCTIONS, origin), shard.identity(KIND_RECONSTRUCTIONS))
        self._buffer = io.BytesIO()
        self._writer = picture_writer(self._buffer, self._schema)
        self._offset = -1
        self._rows: list[dict[str, Any]] = []

    def keep(self, offset: int, point_index: int, row: Mapping[str, Any], image_uint8: np.ndarray) -> None:
        """Adds a picture of the image at ``offset`` in the shard."""
        if offset != self._offset:
            self._flush()
            self._offset = offset
        names = {name: row[name] for name in ("point", "reconstruction", "picture_sha256")}
        self._rows.append({**self._place(offset), "point_index": point_index, **names, "png": png_bytes(image_uint8)})

    def discard(self, offset: int) -> None:
        """Removes the pictures of the image at ``offset``, if it is the last one that pictures were added of."""
        if offset == self._offset:
            self._rows.clear()

    def finish(self) -> bytes:
        """The whole Parquet file; no picture can be added afterwards."""
        self._flush()
        self._writer.close()
        return self._buffer.getvalue()

    def _place(self, offset: int) -> dict[str, Any]:
        codec_setting = self._shard.codec_setting
        return {
            "image_index": self._shard.start + offset,
            "image_id": self._shard.image_ids[offset],
            "codec": codec_setting.name,
            "setting": codec_setting.setting,
        }

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


def merge_kept_pictures(files: Sequence[bytes], identity: Identity | None = None) -> bytes:
    """Joins the files of a shard whose images were measured one by one into one file, in their order.

    ``identity`` is that of the shard; that of the first file if None.
    """
    parts = [pq.ParquetFile(pa.BufferReader(data)) for data in files]
    schema = parts[0].schema_arrow if identity is None else with_identity(parts[0].schema_arrow, identity)
    buffer = io.BytesIO()
    with picture_writer(buffer, schema) as writer:
        for part in parts:
            for group in range(part.num_row_groups):
                writer.write_table(part.read_row_group(group).cast(schema))
    return buffer.getvalue()


def has_kept_pictures(path: Path, identity: Identity | None = None) -> bool:
    """Whether a file of pictures is there, whole, and has this identity (any, if None)."""
    try:
        with open_parquet(path, identity) as file:
            for group in range(file.num_row_groups):
                file.read_row_group(group)  # its pages are checked
            return bool(file.schema_arrow.equals(RECONSTRUCTIONS))
    except DAMAGED:
        return False


def read_kept_pictures(path: Path, image_index: int, identity: Identity | None = None) -> list[dict[str, Any]]:
    """The pictures of one image as rows of ``RECONSTRUCTIONS``; other images' pictures are not read.

    Raises one of :data:`~uqdm.bench.file_identity.DAMAGED` if the file is absent, damaged, or of another ``identity``.
    """
    with open_parquet(path, identity) as file:
        column = file.schema_arrow.names.index("image_index")
        groups = [group for group in range(file.num_row_groups) if _may_hold(file, group, column, image_index)]
        rows: list[dict[str, Any]] = file.read_row_groups(groups).to_pylist() if groups else []
    return [row for row in rows if row["image_index"] == image_index]


def _may_hold(file: pq.ParquetFile, group: int, column: int, value: int) -> bool:
    found = file.metadata.row_group(group).column(column).statistics
    return found is None or not found.has_min_max or found.min <= value <= found.max


def picture_writer(buffer: io.BytesIO, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer of Parquet files with a column ``png``, which is not compressed again."""
    described = [name for name in schema.names if name not in _UNCOMPRESSED]
    compression = {name: "none" if name in _UNCOMPRESSED else "zstd" for name in schema.names}
    return pq.ParquetWriter(
        buffer,
        schema,
        compression=compression,
        use_dictionary=described,
        write_statistics=described,
        write_page_checksum=True,
    )


def png_bytes(image_uint8: np.ndarray) -> bytes:
    """A picture, uint8 [H, W, 3], as a PNG file.

    >>> png_bytes(np.zeros((2, 3, 3), np.uint8))[:4]
    b'\\x89PNG'
    """
    buffer = io.BytesIO()
    Image.fromarray(image_uint8).save(buffer, "PNG")
    return buffer.getvalue()


def png_picture(row: Mapping[str, Any]) -> np.ndarray:
    """The picture of a row, uint8 [H, W, 3]; raises ValueError if its hash is another than the row's."""
    with Image.open(io.BytesIO(row["png"]), formats=["PNG"]) as image:
        picture = np.asarray(image.convert("RGB"))
    if picture_sha256(picture) != row["picture_sha256"]:
        where = f" at {row['point']!r}" if "point" in row else ""
        raise ValueError(f"the stored picture of {row['image_id']}{where} is damaged")
    return picture
