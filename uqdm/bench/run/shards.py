"""Shards, the units of work and of storage. A shard is a range of images x one codec x one setting.

The name of a shard's files is a hash of all that its rows depend on; the number of workers is not part of it. Stored
results are therefore found again, and everything that would change a row changes the name.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from uqdm.bench.datasets import Images
from uqdm.bench.file_identity import ShardFacts
from uqdm.bench.lazy_ids import IdRange
from uqdm.bench.run.codec_settings import CodecSetting
from uqdm.bench.run.stage_options import KeepOptions
from uqdm.bench.schema import ADDED_COLUMNS, ROWS, SHARD_FORMAT, STATUS_FAILED


@dataclass(frozen=True)
class Shard:
    """A range of images, from index ``start``, that one codec at one setting is measured on.

    ``keep_streams`` says whether the coded files stay after scoring, ``keep_reconstructions`` whether decoded pictures
    are kept; neither changes a row.
    """

    dataset: str
    fingerprint: str
    start: int
    image_ids: Sequence[str]
    codec_setting: CodecSetting
    keep_streams: bool
    keep_reconstructions: bool = False

    @property
    def stop(self) -> int:
        """Index of the first image after the range."""
        return self.start + len(self.image_ids)

    def alone(self) -> list[Shard]:
        """The shard split into its single images."""
        ids = enumerate(self.image_ids, start=self.start)
        return [replace(self, start=start, image_ids=(image_id,)) for start, image_id in ids]

    @cached_property
    def key(self) -> str:
        """Hash of all that the rows depend on: 32 hexadecimal digits of a SHA-256."""
        codec_setting = self.codec_setting
        depends_on = {
            "row_format": SHARD_FORMAT,
            "columns": [name for name in ROWS.names if name not in ADDED_COLUMNS],
            "dataset": [self.dataset, self.fingerprint, self.start, list(self.image_ids)],
            "codec": [codec_setting.name, codec_setting.version, codec_setting.setting, dict(codec_setting.parameters)],
        }
        return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def facts(self) -> ShardFacts:
        """The identity of the files of this shard, without their kind."""
        return ShardFacts(
            row_format=SHARD_FORMAT,
            key=self.key,
            dataset=self.dataset,
            fingerprint=self.fingerprint,
            start=self.start,
            stop=self.stop,
            codec=self.codec_setting.name,
            codec_version=self.codec_setting.version,
            setting=self.codec_setting.setting,
        )

    def identity(self, kind: str) -> dict[str, Any]:
        """The identity of this shard's file of one kind (see :mod:`uqdm.bench.file_identity`)."""
        return self.facts.identity(kind)


def shard_at(dataset: Images, codec_setting: CodecSetting, start: int, shard_size: int, kept: KeepOptions) -> Shard:
    """The shard of a codec at one setting that begins at image ``start``."""
    ids = IdRange(dataset.ids, start, start + shard_size)
    return Shard(dataset.name, dataset.fingerprint, start, ids, codec_setting, kept.streams, kept.reconstructions)


def split(dataset: Images, codec_setting: CodecSetting, shard_size: int, kept: KeepOptions) -> Iterator[Shard]:
    """The shards of a codec at one setting, in the order of the images."""
    for start in range(0, len(dataset), shard_size):
        yield shard_at(dataset, codec_setting, start, shard_size, kept)


def count_images(rows: pa.Table) -> Counter[str]:
    """Images by status; an image counts as failed if any of its rows is."""
    failed: set[Any] = set()
    seen: set[Any] = set()
    for index, status in zip(rows["image_index"].to_pylist(), rows["status"].to_pylist(), strict=True):
        seen.add(index)
        if status == STATUS_FAILED:
            failed.add(index)
    return Counter(ok=len(seen - failed), failed=len(failed))


def to_parquet(table: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file whose pages have checksums."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()
