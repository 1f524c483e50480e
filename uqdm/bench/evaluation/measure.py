"""Measures one codec on images: encodes, decodes the streams, and makes the rows. It does not import Ray.

Metrics are computed elsewhere: observers receive each picture once it is decoded.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from uqdm.bench import checked_calls
from uqdm.bench.checked_calls import Facts, MeasurementError
from uqdm.bench.evaluation.thread_use import ThreadUse
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.stored_streams import stream_sha256
from uqdm.bench.schema import NOT_SCORED, STATUS_FAILED, STATUS_OK
from uqdm.codec import Codec, Encoded, Point, Reconstruction, StreamParts
from uqdm.plugins import contained
from uqdm.text import error_line

_MOST_TO_WARM = 256  # images

Row = dict[str, Any]
_Keep = Callable[[int, Row, np.ndarray], None]

_PARTS = ("payload_bits", "side_bits", "container_bits")
_NO_FILE = dict.fromkeys(
    ("file_bits", *_PARTS, "black_pixel_bits", "bpp", "encode_ms", "decode_ms", "roundtrip_checked")
)
"""Columns that are null in rows of an ideal codec: its record is not a file, and no coder is timed."""


@dataclass
class Measured:
    """Measurements of a codec on some images: rows, and the stream of each image (None if encoding failed)."""

    rows: list[Row] = field(default_factory=list)
    streams: list[bytes | None] = field(default_factory=list)
    threads: int | None = None
    """Threads that the codec used (see :class:`~uqdm.bench.evaluation.thread_use.ThreadUse`); None if it never ran."""


class PictureObserver(Protocol):
    """Receives the decoded pictures, to keep or to score them; its time is excluded from timings."""

    def keep(self, offset: int, point_index: int, row: Row, image_uint8: np.ndarray) -> None:
        """Receives the pictures of image ``offset`` in order; ``row`` has the point, reconstruction and hash of each.

        The array belongs to the codec: it must be copied or coded before this method returns.
        """

    def discard(self, offset: int) -> None:
        """Discards the pictures of an image that failed later."""


def measure_images(
    encoder: Codec, decoder: Codec, images: Sequence[np.ndarray], observers: Sequence[PictureObserver] = ()
) -> Measured:
    """Rows for uint8 images [H, W, 3], with ``image_index`` counted from 0 in ``images``.

    An image on which the codec raises, or breaks its contract, gives a single row with status failed and the reason.
    ``decoder`` may be ``encoder``; a second instance, where construction is cheap, excludes that the decoder uses state
    of the encoder. ``observers`` receive every picture of the images that do not fail.
    """
    measured, use = Measured(), ThreadUse()
    try:
        facts = checked_calls.facts_of(encoder)
    except Exception as error:
        return _all_failed(images, f"codec: {error_line(error)}")
    for start in range(0, len(images), facts.batch_size):
        batch = images[start : start + facts.batch_size]
        for offset, outcome in enumerate(_encode(encoder, batch, facts, use)):
            keep = [functools.partial(observer.keep, start + offset) for observer in observers]
            rows, stream = _measure_image(decoder, images[start + offset], outcome, keep, use)
            if rows[0]["status"] != STATUS_OK:
                for observer in observers:
                    observer.discard(start + offset)
            measured.rows += [{"image_index": start + offset, **row} for row in rows]
            measured.streams.append(stream)
    measured.threads = use.threads()
    return measured


def _all_failed(images: Sequence[np.ndarray], reason: str) -> Measured:
    rows = [
        {"image_index": index, "height": image.shape[0], "width": image.shape[1], **failure(reason)}
        for index, image in enumerate(images)
    ]
    return Measured(rows, [None] * len(images))


def warm_up(encoder: Codec, decoder: Codec, image: np.ndarray) -> None:
    """Encodes a batch of a corner of ``image`` and decodes it, so that set-up at first use is excluded from timings."""
    corner = np.ascontiguousarray(image[:64, :64])
    try:
        with contained():
            count = min(encoder.batch_size, _MOST_TO_WARM)
            encoded = encoder.encode_detailed([corner.copy() for _ in range(count)])
            for _ in decoder.reconstructions(encoded[0].stream):
                pass
    except Exception:  # errors of the codec are recorded when it is measured
        return


def _encode(
    codec: Codec, batch: Sequence[np.ndarray], facts: Facts, use: ThreadUse
) -> list[tuple[Encoded, Row] | Exception]:
    """Encodes a batch: for each image the stream with the columns of its encoding, or the codec's error."""
    try:
        encoded, spent_ms = checked_calls.encode(codec, batch, use.call)
    except Exception as error:
        if len(batch) == 1:
            return [error]
        return [_encode(codec, [image], facts, use)[0] for image in batch]  # finds the image that fails
    shared = {"encode_ms": spent_ms / len(batch), "batch_size": facts.batch_size, "device": facts.device}
    return [(one, {**shared, "encode_calls": _count_column(codec, one.calls)}) for one in encoded]


def _count_column(codec: Codec, count: int | None) -> int | None:
    """The value of a column of counts: 0 if a codec without a model reports none."""
    return 0 if count is None and not codec.holds_model else count


def _measure_image(
    codec: Codec,
    image: np.ndarray,
    outcome: tuple[Encoded, Row] | Exception,
    keep: Sequence[_Keep],
    use: ThreadUse,
) -> tuple[list[Row], bytes | None]:
    """The rows of one image (one for each picture, or a single failed row) and its stream."""
    size = image_columns(image)
    if isinstance(outcome, Exception):
        return [{**size, **failure(f"encode: {error_line(outcome)}")}], None
    encoded, encoding = outcome
    size["stream_sha256"] = stream_sha256(encoded.stream)
    try:
        pictures = list(_decode(codec, image, encoded, keep, use))
        black_pixel_bits = checked_calls.black_pixel_bits(codec)
    except Exception as error:
        return [{**size, **failure(f"decode: {error_line(error)}")}], encoded.stream
    pixels = image.shape[0] * image.shape[1]
    shared = {**size, **encoding, "seed": encoded.seed, "black_pixel_bits": black_pixel_bits}
    shared |= {"status": STATUS_OK, "roundtrip_checked": True}
    rows = [{**shared, **row, "bpp": row["file_bits"] / pixels} for row in pictures]
    return [{**row, **_NO_FILE} if codec.ideal else row for row in rows], encoded.stream


def image_columns(image: np.ndarray) -> Row:
    """The columns of an image, uint8 [H, W, 3], which do not depend on the codec."""
    return {"height": image.shape[0], "width": image.shape[1], "original_sha256": picture_sha256(image)}


def failure(reason: str) -> Row:
    """The columns of a failed row that do not depend on the image."""
    return {"status": STATUS_FAILED, "error": reason, "roundtrip_checked": False}


def _decode(codec: Codec, image: np.ndarray, encoded: Encoded, keep: Sequence[_Keep], use: ThreadUse) -> Iterator[Row]:
    """Decodes a stream, and yields the columns of each picture; raises MeasurementError if one is missing."""
    stream = bytes(bytearray(encoded.stream))  # a copy: decoding must not depend on the encoder's object
    points = _checked_points(codec, stream)
    if codec.ideal:
        _check_ideal(points, encoded)
    parts = {} if codec.ideal else checked_calls.parts(codec, stream, points)
    expected = {(point.name, name) for point in points for name in point.reconstructions}
    for picture, decode_ms in checked_calls.pictures(codec, stream, image.shape, use.call):
        key = (picture.point.name, picture.name)
        if key not in expected:
            raise MeasurementError(f"picture {key} is repeated, or not among the points of the stream")
        expected.remove(key)
        index = [point.name for point in points].index(picture.point.name)
        columns = _picture_columns(encoded, points[index], picture, parts.get(picture.point.name))
        for take in keep:
            take(index, columns, picture.image_uint8)
        yield {**columns, **_cost_columns(codec, picture, image), "point_index": index, "decode_ms": decode_ms}
    if expected:
        raise MeasurementError(f"pictures are missing: {sorted(expected)}")


def _checked_points(codec: Codec, stream: bytes) -> list[Point]:
    points = checked_calls.points(codec, stream)
    sizes = [point.n_bytes for point in points]
    names = [point.name for point in points]
    if not points or sizes[-1] != len(stream):
        raise MeasurementError(f"the last point must be the whole stream of {len(stream)} bytes; points end at {sizes}")
    if sizes != sorted(sizes) or sizes[0] < 0:
        raise MeasurementError(f"the bytes of the points must not fall: {sizes}")
    if len(set(names)) < len(names):
        raise MeasurementError(f"two points share a name: {names}")
    return points


def _check_ideal(points: Sequence[Point], encoded: Encoded) -> None:
    """Checks ideal rates: every point must have one, and they must not decrease from point to point."""
    bits = [encoded.ideal_bits.get(point.name, math.nan) for point in points]
    if not all(map(math.isfinite, bits)) or bits != sorted(bits) or bits[0] < 0:
        named = ", ".join(f"{point.name}: {found:g}" for point, found in zip(points, bits, strict=True))
        raise MeasurementError(f"an ideal codec's bits must be known at every point, and not fall: {named}")


def _picture_columns(encoded: Encoded, point: Point, picture: Reconstruction, parts: StreamParts | None) -> Row:
    return {
        "point": point.name,
        "reconstruction": picture.name,
        "file_bits": 8 * point.n_bytes,
        **_part_columns(parts),
        "ideal_bits": encoded.ideal_bits.get(point.name),
        "picture_sha256": picture_sha256(picture.image_uint8),
        "unscored": NOT_SCORED,
    }


def _part_columns(parts: StreamParts | None) -> Row:
    if parts is None:
        return dict.fromkeys(_PARTS)
    sizes = (parts.payload_bytes, parts.side_bytes, parts.container_bytes)
    return dict(zip(_PARTS, (8 * n_bytes for n_bytes in sizes), strict=True))


def _cost_columns(codec: Codec, picture: Reconstruction, image: np.ndarray) -> Row:
    macs = _count_column(codec, picture.macs)
    per_pixel = None if macs is None else macs / (image.shape[0] * image.shape[1])
    return {"decode_calls": _count_column(codec, picture.calls), "macs_per_pixel": per_pixel}
