"""Gets one image's files out of a run: the original, the coded files, and the pictures that they decode to.

The manifests tell which shards hold the image; no others are read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from uqdm.bench import checked_calls as answers
from uqdm.bench.datasets import open_dataset
from uqdm.bench.file_identity import DAMAGED
from uqdm.bench.run.kept_pictures import png_bytes, png_picture, read_reconstructions
from uqdm.bench.run.layout import ShardFolder
from uqdm.bench.run.listed_shards import ListedShard, listed_shards
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.pictures import COLUMNS, check_picture
from uqdm.bench.run.reader import ResultsError, read_manifest, rows_files, rows_with
from uqdm.bench.run.stored_streams import StreamDamagedError, checked_stream
from uqdm.bench.schema import STATUS_OK
from uqdm.codec import get_codec
from uqdm.files import write_bytes
from uqdm.plugins import contained
from uqdm.registry import suggest
from uqdm.text import error_line

_NOT_KEPT = "its coded file was not kept; evaluate again with --streams (keep_streams: true)"
_LONGEST = 80  # characters of a part of a name
_ROW_COLUMNS = [*(name for name in COLUMNS if name not in ("mse", "psnr_db")), "original_sha256", "error"]


@dataclass(frozen=True)
class Wanted:
    """Which files of an image; None stands for all. Texts are those of the rows, ``quality=50`` or ``step 2``."""

    codec: str | None = None
    setting: str | None = None
    point: str | None = None
    reconstruction: str | None = None


@dataclass
class Extracted:
    """The files that were written, and what could not be had, with the reason."""

    image_index: int
    image_id: str
    files: list[Path] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)


def extract(run_dir: Path, image: str, out: Path, wanted: Wanted | None = None) -> Extracted:
    """Writes the files of one image, named by its id or by its index in the data set, into the folder ``out``.

    Every picture is checked against the hash in its row: it is the one that was measured. Pictures come from those
    that the run keeps, and else from decoding the coded file. Raises :class:`~uqdm.bench.run.reader.ResultsError`, with
    suggestions, where the run does not have what is asked for, and where it kept nothing of it.
    """
    wanted = wanted or Wanted()
    manifests = {path.stem: read_manifest(run_dir, path.stem) for path in rows_files(run_dir)}
    index, image_id = _find_image(run_dir, manifests, image)
    shards = list(_shards(manifests, index, wanted))
    extracted, names = Extracted(index, image_id), _Names(f"image{index}")
    write = _Writer(out, names, extracted)
    rows_of_shards = [(shard, _rows(run_dir, shard, index)) for shard in shards]
    _check_asked(wanted, [row for _, rows in rows_of_shards for row in rows])
    for shard, rows in rows_of_shards:
        _extract_shard(run_dir, shard, index, [row for row in rows if _matches(row, wanted)], write)
    if not extracted.files:
        raise ResultsError(f"nothing of image {image_id} is kept: {'; '.join(extracted.lacking)}")
    measured_sha256 = {row["original_sha256"] for _, rows in rows_of_shards for row in rows} - {None}
    _extract_original(next(iter(manifests.values()))["dataset"], measured_sha256, write)
    return extracted


def _find_image(run_dir: Path, manifests: Mapping[str, Any], image: str) -> tuple[int, str]:
    """Index and id of an image; a text that is both an id and an index is an id."""
    rows = next(path for path in rows_files(run_dir) if manifests[path.stem]["ok"] + manifests[path.stem]["failed"])
    rows_with(rows, [])  # raises where it is not the rows of this run
    columns = ["image_index", "image_id"]
    by_id = _read(rows, columns, "image_id", image)
    if by_id:
        return by_id[0]["image_index"], image
    by_index = _read(rows, columns, "image_index", int(image)) if re.fullmatch(r"[0-9]{1,9}", image) else []
    if by_index:
        return by_index[0]["image_index"], by_index[0]["image_id"]
    count = next(iter(manifests.values()))["dataset"]["n_images"]
    ids = pq.read_table(rows, columns=["image_id"], partitioning=None)["image_id"].unique().drop_null().to_pylist()
    raise ResultsError(
        f"{run_dir} has no image {image!r}{suggest(image, ids)}; give an id, such as {ids[0]!r}, or an index from 0 to "
        f"{count - 1}"
    )


def _shards(manifests: Mapping[str, Any], index: int, wanted: Wanted) -> Iterator[ListedShard]:
    if wanted.codec is not None and wanted.codec not in manifests:
        raise ResultsError(
            f"the run has no codec {wanted.codec!r}{suggest(wanted.codec, manifests)}; it has: {', '.join(manifests)}"
        )
    chosen = [manifest for name, manifest in manifests.items() if wanted.codec in (None, name)]
    _check_one("setting", wanted.setting, [one["setting"] for manifest in chosen for one in manifest["settings"]])
    for manifest in chosen:
        for shard in listed_shards(manifest, wanted.setting):
            if shard.start <= index < shard.stop:
                yield shard


def _read(path: Path, columns: list[str], column: str, value: Any) -> list[dict[str, Any]]:
    """Some columns of the rows of a file that have a value in a column."""
    found = pq.read_table(path, columns=columns, filters=[(column, "==", value)], partitioning=None)
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def _rows(run_dir: Path, shard: ListedShard, index: int) -> list[dict[str, Any]]:
    """The rows of the image in a shard; what an older release did not measure is None."""
    try:
        found = shard.read(run_dir, ShardFolder.ROWS, _ROW_COLUMNS, [index])
    except DAMAGED as error:
        raise _unreadable(shard, error) from error
    return [dict.fromkeys(_ROW_COLUMNS) | row for row in found.to_pylist()]


def _unreadable(shard: ListedShard, error: BaseException) -> ResultsError:
    return ResultsError(f"{shard.codec} at {shard.setting!r}: {error}; evaluate {shard.codec} again")


def _check_asked(wanted: Wanted, rows: list[dict[str, Any]]) -> None:
    for name in ("point", "reconstruction"):
        _check_one(name, getattr(wanted, name), [row[name] for row in rows if row["status"] == STATUS_OK])


def _check_one(name: str, asked: str | None, found: list[str]) -> None:
    known = list(dict.fromkeys(found))
    if asked is not None and known and asked not in known:
        listed = ", ".join(map(repr, known))
        raise ResultsError(f"there is no {name} {asked!r} here{suggest(asked, known)}; there are: {listed}")


def _matches(row: Mapping[str, Any], wanted: Wanted) -> bool:
    names = ("point", "reconstruction")
    return row["status"] != STATUS_OK or all(getattr(wanted, name) in (None, row[name]) for name in names)


@dataclass(frozen=True)
class _Writer:
    """Writes files under names of their own, and notes what there is not."""

    out: Path
    names: _Names
    extracted: Extracted

    def file(self, parts: tuple[str, ...], suffix: str, data: bytes) -> None:
        path = self.out / self.names.name(parts, suffix)
        write_bytes(path, data)
        self.extracted.files.append(path)

    def lacks(self, parts: tuple[str, ...], reason: str) -> None:
        self.extracted.lacking.append(f"{' '.join(filter(None, parts))}: {reason}")


def _extract_shard(run_dir: Path, shard: ListedShard, index: int, rows: list[dict[str, Any]], write: _Writer) -> None:
    """The coded file of the image at one setting, and the pictures of ``rows``."""
    parts = (shard.codec, shard.setting)
    measured_sha256 = rows[0]["stream_sha256"] if rows else None
    stream, lack = _stream(run_dir, shard, index, measured_sha256)
    if stream is not None:
        write.file(parts, stream["suffix"], stream["stream"])
    ok = [row for row in rows if row["status"] == STATUS_OK]
    for row in rows:
        if row["status"] != STATUS_OK:
            write.lacks(parts, f"failed when it was evaluated ({row['error']})")
    kept = _kept(run_dir, shard, index)
    missing = []
    for row in ok:
        png = kept.get((row["point"], row["reconstruction"], row["picture_sha256"]))
        if png is None:
            missing.append(row)
        else:
            write.file((*parts, row["point"], row["reconstruction"]), ".png", png)
    if stream is None and (missing or lack != _NOT_KEPT):
        write.lacks(parts, lack)
    elif missing and stream is not None:
        _decode(shard, stream["stream"], missing, write)


def _stream(
    run_dir: Path, shard: ListedShard, index: int, measured_sha256: str | None
) -> tuple[dict[str, Any] | None, str]:
    """The row of the image's coded file, which is the one that was measured; or None, and why there is none."""
    try:
        found = shard.streams(run_dir, [index])
        if found:
            checked_stream(found[0], measured_sha256)
    except FileNotFoundError:
        return None, _NOT_KEPT
    except StreamDamagedError as error:
        return None, f"{error}; evaluate {shard.codec} again"
    except DAMAGED as error:
        return None, str(_unreadable(shard, error))
    return (found[0], "") if found else (None, _NOT_KEPT)


def _kept(run_dir: Path, shard: ListedShard, index: int) -> dict[tuple[str, str, str], bytes]:
    """The pictures that the run keeps of an image, as PNG; none where they are damaged, or not kept."""
    try:
        path = shard.path(run_dir, ShardFolder.RECONSTRUCTIONS)
        rows = read_reconstructions(path, index, shard.identity(ShardFolder.RECONSTRUCTIONS))
        for row in rows:
            png_picture(row)
    except DAMAGED:
        return {}
    return {(row["point"], row["reconstruction"], row["picture_sha256"]): row["png"] for row in rows}


def _decode(shard: ListedShard, stream: bytes, rows: list[dict[str, Any]], write: _Writer) -> None:
    parts = (shard.codec, shard.setting)
    wanted = {(row["point"], row["reconstruction"]): row for row in rows}
    try:
        with contained():
            codec = get_codec(shard.codec, **shard.parameters)
        for found, _ in answers.pictures(codec, stream):
            row = wanted.pop((found.point.name, found.name), None)
            if row is not None:
                check_picture(codec, row, found.image_uint8)
                write.file((*parts, row["point"], row["reconstruction"]), ".png", png_bytes(found.image_uint8))
            if not wanted:
                return
    except Exception as error:  # a codec's fault, or that it is not installed here, must not cost the other codecs
        write.lacks(parts, f"cannot be decoded here: {error_line(error)}")
        return
    for point, reconstruction in wanted:
        write.lacks((*parts, point, reconstruction), "decoding its coded file gave no such picture")


def _extract_original(facts: Mapping[str, Any], measured_sha256: set[str], write: _Writer) -> None:
    """The image itself, where its data set can be opened and it is still the one that was evaluated.

    ``measured_sha256`` is its hash in the rows. Where these have none, an older release wrote them, and all images of
    the data set are read to compare its fingerprint.
    """
    index, image_id = write.extracted.image_index, write.extracted.image_id
    try:
        if measured_sha256:
            image_uint8 = _single_original(facts["spec"], index, image_id)
            if {picture_sha256(image_uint8)} != measured_sha256:
                raise ResultsError(f"{image_id} in {facts['spec']} is not the image that was evaluated")
        else:
            dataset = open_dataset(facts["spec"], facts["n_images"])
            if dataset.fingerprint != facts["fingerprint"]:
                raise ResultsError(f"{facts['spec']} is not what was evaluated any more")
            image_uint8 = dataset.load(index)
    except (OSError, ValueError, LookupError) as error:
        write.lacks(("original",), error_line(error))
        return
    write.file(("original",), ".png", png_bytes(image_uint8))


def _single_original(spec: str, index: int, image_id: str) -> np.ndarray:
    """One image of a data set, none of whose others is looked at; found by its name where images came or went."""
    dataset = open_dataset(spec, index + 1, check=False)
    if len(dataset) <= index or dataset.ids[index] != image_id:
        dataset = open_dataset(spec, check=False)
        if image_id not in dataset.ids:
            raise ResultsError(f"{spec} holds no image {image_id} any more")
        index = dataset.ids.index(image_id)
    return dataset.load(index)


class _Names:
    """Names of files: readable, safe on every file system, and never the same twice."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._taken: set[str] = set()

    def name(self, parts: tuple[str, ...], suffix: str) -> str:
        """``PREFIX__PART__PART.SUFFIX``; where two would be the same, the second has a hash of its parts."""
        stem = "__".join([self._prefix, *(safe(part) for part in parts if part)])
        ending = re.sub(r"[^A-Za-z0-9.-]", "", suffix)
        if (stem + ending).casefold() in self._taken:
            stem += f"-{_digest(repr(parts))}"
        self._taken.add((stem + ending).casefold())
        return stem + ending


def safe(text: str) -> str:
    """A text as a part of a file's name: letters, digits and ``.=,+-``; a long one is cut, and has a hash instead.

    >>> safe("quality=50"), safe("step 2"), safe("../a b")
    ('quality=50', 'step-2', 'a-b')
    """
    kept = re.sub(r"[^A-Za-z0-9.=,+-]+", "-", text).strip(".-") or "-"
    return kept if len(kept) <= _LONGEST else f"{kept[: _LONGEST - 9]}-{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
