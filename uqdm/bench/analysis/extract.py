"""Extracts one image's files from a run: the original, the coded files, and the pictures that they decode to.

The manifests say which shards hold the image; no others are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uqdm.bench.analysis.file_names import FileNames
from uqdm.bench.file_identity import DAMAGED, ShardFacts
from uqdm.bench.run.decoding import DecodeFault, StreamDecoder, decode_fault
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.found_settings import FOUND_COLUMNS, found_setting
from uqdm.bench.run.json_files import listed_shards, read_manifest
from uqdm.bench.run.kept_pictures import png_bytes, png_picture
from uqdm.bench.run.merged import check_not_merged
from uqdm.bench.run.originals import Originals
from uqdm.bench.run.rows_reader import image_ids, rows_files, rows_of_image, rows_with
from uqdm.bench.run.shard_files import ShardFiles, StoredStream
from uqdm.bench.run.stored_streams import StreamDamagedError
from uqdm.bench.schema import STATUS_OK
from uqdm.files import write_bytes
from uqdm.registry import suggest
from uqdm.text import error_line

_NOT_KEPT = "its coded file was not kept; evaluate again with --streams (keep_streams: true)"
_ROW_COLUMNS = [
    "image_id",
    "point",
    "reconstruction",
    *FOUND_COLUMNS,
    "original_sha256",
    "picture_sha256",
    "stream_sha256",
    "status",
    "error",
]
Row = dict[str, Any]


@dataclass(frozen=True)
class ExtractRequest:
    """Which files of an image; None stands for all. Texts are those of the rows, ``quality=50`` or ``step 2``."""

    codec: str | None = None
    setting: str | None = None
    point: str | None = None
    reconstruction: str | None = None


@dataclass
class Extracted:
    """The files that were written, and what is lacking, with the reason."""

    image_index: int
    image_id: str
    files: list[Path] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)


def extract(run_dir: Path, image: str, out: Path, asked: ExtractRequest | None = None) -> Extracted:
    """Writes the files of one image, named by its id or by its index in the data set, into the folder ``out``.

    Every picture is checked against the hash in its row: it is the one that was measured. Pictures
    come from those that the run keeps, otherwise from decoding the coded file. Raises
    :class:`~uqdm.bench.run.errors.ResultsError`, with suggestions, where the run does not have what
    is asked for, and where it kept nothing of it.
    """
    asked = asked or ExtractRequest()
    check_not_merged(run_dir, "extract from")
    manifests = {path.stem: read_manifest(run_dir, path.stem) for path in rows_files(run_dir)}
    index, image_id = _find_image(run_dir, manifests, image)
    extracted = Extracted(index, image_id)
    write = _Writer(out, FileNames(f"image{index}"), extracted)
    shards = [ShardFiles(run_dir, facts) for facts in _shards(manifests, index, asked)]
    rows_of_shards = [(shard, _rows(shard, index)) for shard in shards]
    _check_asked(asked, [row for _, rows in rows_of_shards for row in rows])
    for shard, rows in rows_of_shards:
        manifest = manifests[shard.facts.codec]
        _extract_shard(shard, manifest, index, [row for row in rows if _matches(row, asked)], write)
    if not extracted.files:
        raise ResultsError(f"nothing of image {image_id} is kept: {'; '.join(extracted.lacking)}")
    measured_sha256 = {row["original_sha256"] for _, rows in rows_of_shards for row in rows} - {None}
    originals = Originals(run_dir, next(iter(manifests.values()))["dataset"])
    _extract_original(originals, measured_sha256, write)
    return extracted


def _find_image(run_dir: Path, manifests: Mapping[str, Any], image: str) -> tuple[int, str]:
    """Index and id of an image; a text that is both an id and an index is an id."""
    path = next(path for path in rows_files(run_dir) if manifests[path.stem]["ok"] + manifests[path.stem]["failed"])
    rows_with(path, [])  # raises where it is not the rows of this run
    by_id = rows_of_image(path, "image_id", image)
    if by_id:
        return by_id[0]["image_index"], image
    by_index = rows_of_image(path, "image_index", int(image)) if re.fullmatch(r"[0-9]{1,9}", image) else []
    if by_index:
        return by_index[0]["image_index"], by_index[0]["image_id"]
    count = next(iter(manifests.values()))["dataset"]["n_images"]
    ids = image_ids(path)
    raise ResultsError(
        f"{run_dir} has no image {image!r}{suggest(image, ids)}; give an id, such as {ids[0]!r}, or an index from 0 to "
        f"{count - 1}"
    )


def _shards(manifests: Mapping[str, Any], index: int, asked: ExtractRequest) -> Iterator[ShardFacts]:
    if asked.codec is not None and asked.codec not in manifests:
        raise ResultsError(
            f"the run has no codec {asked.codec!r}{suggest(asked.codec, manifests)}; it has: {', '.join(manifests)}"
        )
    chosen = [manifest for name, manifest in manifests.items() if asked.codec in (None, name)]
    _check_one(
        "setting",
        asked.setting,
        [one["setting"] for manifest in chosen for one in manifest["settings"]],
    )
    for manifest in chosen:
        for facts in listed_shards(manifest, asked.setting):
            if facts.start <= index < facts.stop:
                yield facts


def _rows(shard: ShardFiles, index: int) -> list[Row]:
    """The rows of the image in a shard; what an older release did not measure is None."""
    try:
        found = shard.rows(_ROW_COLUMNS, [index])
    except DAMAGED as error:
        raise ResultsError(_unreadable(shard, error)) from error
    return [dict.fromkeys(_ROW_COLUMNS) | row for row in found.to_pylist()]


def _unreadable(shard: ShardFiles, error: BaseException) -> str:
    codec = shard.facts.codec
    return f"{codec} at {shard.facts.setting!r}: {error}; evaluate {codec} again"


def _check_asked(asked: ExtractRequest, rows: list[Row]) -> None:
    for name in ("point", "reconstruction"):
        _check_one(name, getattr(asked, name), [row[name] for row in rows if row["status"] == STATUS_OK])


def _check_one(name: str, asked: str | None, found: list[str]) -> None:
    known = list(dict.fromkeys(found))
    if asked is not None and known and asked not in known:
        listed = ", ".join(map(repr, known))
        raise ResultsError(f"there is no {name} {asked!r} here{suggest(asked, known)}; there are: {listed}")


def _matches(row: Row, asked: ExtractRequest) -> bool:
    names = ("point", "reconstruction")
    return row["status"] != STATUS_OK or all(getattr(asked, name) in (None, row[name]) for name in names)


@dataclass(frozen=True)
class _Writer:
    """Writes files under names of their own, and notes what is lacking."""

    out: Path
    names: FileNames
    extracted: Extracted

    def file(self, parts: tuple[str, ...], suffix: str, data: bytes) -> None:
        path = self.out / self.names.name(parts, suffix)
        write_bytes(path, data)
        self.extracted.files.append(path)

    def lacks(self, parts: tuple[str, ...], reason: str) -> None:
        self.extracted.lacking.append(f"{' '.join(filter(None, parts))}: {reason}")


def _extract_shard(shard: ShardFiles, manifest: Mapping[str, Any], index: int, rows: list[Row], write: _Writer) -> None:
    """The coded file of the image at one setting, and the pictures of ``rows``."""
    parts = (shard.facts.codec, shard.facts.setting)
    stream = _stream(shard, index, rows[0]["stream_sha256"] if rows else None)
    if isinstance(stream, StoredStream):
        write.file(parts, stream.suffix, stream.stream)
    kept = _kept(shard, index)
    missing: list[Row] = []
    for row in rows:
        png = kept.get((row["point"], row["reconstruction"], row["picture_sha256"]))
        if row["status"] != STATUS_OK:
            write.lacks(parts, f"failed when it was evaluated ({row['error']})")
        elif png is None:
            missing.append(row)
        else:
            write.file((*parts, row["point"], row["reconstruction"]), ".png", png)
    if isinstance(stream, StoredStream):
        _decode(parts, manifest, stream.stream, missing, write)
    elif missing or stream != _NOT_KEPT:
        write.lacks(parts, stream)


def _stream(shard: ShardFiles, index: int, measured_sha256: str | None) -> StoredStream | str:
    """The image's coded file, which is the one that was measured, or why there is none."""
    try:
        stream = shard.streams({index: measured_sha256}).get(index)
    except FileNotFoundError:
        return _NOT_KEPT
    except DAMAGED as error:
        return _unreadable(shard, error)
    if isinstance(stream, StreamDamagedError):
        return f"{stream}; evaluate {shard.facts.codec} again"
    return stream or _NOT_KEPT


def _kept(shard: ShardFiles, index: int) -> dict[tuple[str, str, str], bytes]:
    """The pictures that the run keeps of an image, as PNG; none where they are damaged, or not kept."""
    try:
        rows = shard.kept_pictures(index)
        for row in rows:
            png_picture(row)  # raises where it is another picture
    except DAMAGED:
        return {}
    return {(row["point"], row["reconstruction"], row["picture_sha256"]): row["png"] for row in rows}


def _decode(
    parts: tuple[str, str],
    manifest: Mapping[str, Any],
    stream: bytes,
    rows: list[Row],
    write: _Writer,
) -> None:
    """Writes the pictures of ``rows``; what a codec's decoder raised is noted once, not for each picture."""
    if not rows:
        return
    measured_sha256 = {(row["point"], row["reconstruction"]): row["picture_sha256"] for row in rows}
    try:
        decoder = StreamDecoder.of_setting(manifest, parts[1])
    except Exception as error:  # a codec's fault, or that it is not installed here, must not cost the other codecs
        write.lacks(parts, decode_fault(error).reason)
        return
    errors: set[str] = set()
    for name, picture in decoder.pictures(stream, measured_sha256, found_setting(rows)):
        if not isinstance(picture, DecodeFault):
            write.file((*parts, *name), ".png", png_bytes(picture))
        elif picture.error is None:
            write.lacks((*parts, *name), picture.reason)
        else:
            errors.add(picture.reason)
    for reason in errors:
        write.lacks(parts, reason)


def _extract_original(originals: Originals, measured_sha256: set[str], write: _Writer) -> None:
    """The image itself, where its data set or the run still has the one that was evaluated."""
    extracted = write.extracted
    image_uint8 = originals.find(extracted.image_index, extracted.image_id, measured_sha256)
    if image_uint8 is not None:
        write.file(("original",), ".png", png_bytes(image_uint8))
    for error in originals.faults.values() if image_uint8 is None else ():
        write.lacks(("original",), error_line(error))
