"""Calls codecs and metrics, also those of other packages: passes copies to them, and checks what they return.

All values that this module returns have types that the results can hold. A violation of the contract, and any error
that a plug-in raises, is raised as an Exception; it does not affect other codecs, metrics or pictures.
"""

from __future__ import annotations

import itertools
import math
import numbers
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.codec import Codec, Encoded, Point, Reconstruction, StreamParts
from uqdm.errors import UserError
from uqdm.plugins import contained
from uqdm.text import counted, one_line

if TYPE_CHECKING:
    from uqdm.bench.metrics import Metric

MOST_POINTS = 10_000
"""The maximum number of points of a stream."""
_LONGEST_NAME = 200  # characters of a point's or a reconstruction's name
_LONGEST_VERSION = 2000
_INT32 = 2**31 - 1
_INT64 = 2**63 - 1
_MOST_BYTES = _INT64 // 8  # a size in bits is a column
_SUFFIX = re.compile(r"\.[A-Za-z0-9._-]{1,32}")


Observe = Callable[[], AbstractContextManager[None]]
"""Makes a context around a call of a codec, in which it is observed; its own time is excluded from timings."""


class MeasurementError(UserError):
    """A codec or metric violated its contract, by a wrong shape, point or type. The message says how."""


# ---- codecs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """Properties of a codec: the number of images per call, and the device that it computes on."""

    batch_size: int
    device: str


def facts_of(codec: Codec) -> Facts:
    """Reads and checks a codec's batch size and device; raises :class:`MeasurementError` if one is invalid."""
    with contained():
        batch_size, device = codec.batch_size, codec.device
    return Facts(_whole("batch_size", batch_size, 1, _INT32), _text("device", device, _LONGEST_NAME))


def version_of(codec: Codec) -> str:
    """A codec's version on one line; raises :class:`MeasurementError` if it is not text."""
    with contained():
        version = codec.version
    return _text("version", version, _LONGEST_VERSION)


def listed_version(codec: type[Codec], values: Mapping[str, Any]) -> str:
    """As :func:`version_of`, at these parameters, without construction if the codec can do so."""
    with contained():
        version = codec.version_of(**values)
    return _text("version", version, _LONGEST_VERSION)


def setting_of(codec: Codec) -> tuple[str, dict[str, Any], str]:
    """A codec's setting, its parameters and the suffix of its streams, checked so that they can be stored."""
    with contained():
        setting, values, suffix = codec.setting, dict(codec.values), codec.suffix
    if not isinstance(setting, str):
        raise MeasurementError(f"setting is {type(setting).__name__}, not text")
    if not isinstance(suffix, str) or not _SUFFIX.fullmatch(suffix):
        raise MeasurementError(f"suffix {suffix!r}: expected a dot and letters, as in .jxl")
    return one_line(setting), {_text("parameter", key, 200): _plain(key, values[key]) for key in values}, suffix


def _plain(key: str, value: Any) -> Any:
    """A parameter's value as a type that JSON and the key of a shard can hold."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is not None and type(value) not in (bool, int, float, str):
        raise MeasurementError(f"parameter {key} is {type(value).__name__}, not text, a number or a truth value")
    return value


def encode(codec: Codec, images: Sequence[np.ndarray], observe: Observe = nullcontext) -> tuple[list[Encoded], float]:
    """Encodes copies of images, uint8 [H, W, 3]; returns the results and the codec's total time in milliseconds."""
    copies = [image.copy() for image in images]
    with contained(), observe():
        started = time.perf_counter()
        found = codec.encode_detailed(list(copies))
        spent_ms = 1e3 * (time.perf_counter() - started)
        listed = list(itertools.islice(found, len(images) + 1))
    if len(listed) != len(images):
        count = f"more than {len(images)}" if len(listed) > len(images) else str(len(listed))
        raise MeasurementError(f"{count} streams for {counted(len(images), 'image')}")
    encoded = [_encoded(one) for one in listed]
    if not all(map(np.array_equal, images, copies)):
        raise MeasurementError("encode wrote into the image that it was given; it must work on a copy")
    return encoded, spent_ms


def _encoded(one: Any) -> Encoded:
    if not isinstance(one, Encoded):
        raise MeasurementError(f"encode_detailed gave {type(one).__name__}, not Encoded")
    if type(one.stream) is not bytes:
        raise MeasurementError(f"a stream is {type(one.stream).__name__}, not bytes")
    if not isinstance(one.ideal_bits, Mapping):
        raise MeasurementError(f"ideal_bits is {type(one.ideal_bits).__name__}, not a mapping")
    bits = {
        _text("point", name, _LONGEST_NAME): _real(f"ideal_bits of {name!r}", value)
        for name, value in one.ideal_bits.items()
        if value is not None
    }
    seed = None if one.seed is None else _whole("seed", one.seed, -_INT64 - 1, _INT64)
    return Encoded(one.stream, bits, seed, _count("calls", one.calls))


def black_pixel_bits(codec: Codec) -> int | None:
    """See :attr:`uqdm.codec.Codec.black_pixel_bits`."""
    with contained():
        bits = codec.black_pixel_bits
    return None if bits is None else _whole("black_pixel_bits", bits, 0, _INT64)


def parts(codec: Codec, stream: bytes, points: Sequence[Point]) -> dict[str, StreamParts]:
    """See :meth:`uqdm.codec.Codec.parts`; raises :class:`MeasurementError` if parts are not those of the points."""
    with contained():
        found = codec.parts(stream)
    if not isinstance(found, Mapping):
        raise MeasurementError(f"parts are {type(found).__name__}, not a mapping")
    sizes = {point.name: point.n_bytes for point in points}
    return {name: _parts(name, one, sizes) for name, one in found.items()}


def _parts(name: Any, one: Any, sizes: Mapping[str, int]) -> StreamParts:
    if name not in sizes:
        raise MeasurementError(f"parts of {name!r}, which is no point of the stream")
    if not isinstance(one, StreamParts):
        raise MeasurementError(f"parts of {name!r} are {type(one).__name__}, not StreamParts")
    whole = (one.payload_bytes, one.side_bytes, one.container_bytes)
    checked = StreamParts(*(_whole(f"a part of {name!r}", count, 0, _MOST_BYTES) for count in whole))
    if checked.n_bytes != sizes[name]:
        raise MeasurementError(f"the parts of {name!r} have {checked.n_bytes:,} bytes, and it has {sizes[name]:,}")
    return checked


def points(codec: Codec, stream: bytes) -> list[Point]:
    """The points of a stream."""
    with contained():
        listed = list(itertools.islice(codec.points(stream), MOST_POINTS + 1))
    if len(listed) > MOST_POINTS:
        raise MeasurementError(f"a stream has more than {MOST_POINTS:,} points")
    return [_point(one) for one in listed]


def _point(one: Any) -> Point:
    if not isinstance(one, Point):
        raise MeasurementError(f"a point is {type(one).__name__}, not Point")
    if isinstance(one.reconstructions, str) or not isinstance(one.reconstructions, Sequence):
        raise MeasurementError(f"reconstructions of a point are {type(one.reconstructions).__name__}, not a tuple")
    names = tuple(_text("reconstruction", name, _LONGEST_NAME) for name in one.reconstructions)
    n_bytes = _whole("n_bytes of a point", one.n_bytes, -_MOST_BYTES, _MOST_BYTES)
    return Point(_text("point", one.name, _LONGEST_NAME), n_bytes, names)


def pictures(
    codec: Codec, stream: bytes, shape: tuple[int, ...] | None = None, observe: Observe = nullcontext
) -> Iterator[tuple[Reconstruction, float]]:
    """Decodes a stream: yields each reconstruction, with a copy of its picture, and the decoder's time up to it in ms.

    The time excludes what the caller does between two pictures. A codec that makes several pictures at once reports the
    time of each itself. Raises :class:`MeasurementError` for a picture that is not uint8 [H, W, 3] or not of ``shape``.
    """
    spent_ms = 0.0
    end = object()
    with contained():
        found = iter(codec.reconstructions(stream))
    while True:
        with contained(), observe():
            started = time.perf_counter()
            one = next(found, end)
            spent_ms += 1e3 * (time.perf_counter() - started)
        if one is end:
            return
        picture = _reconstruction(one, shape)
        yield picture, spent_ms if picture.decode_ms is None else picture.decode_ms


def decode(codec: Codec, streams: Sequence[bytes]) -> list[np.ndarray]:
    """The picture of each whole stream, all decoded in one call; raises :class:`MeasurementError` for other results."""
    with contained():
        found = list(itertools.islice(codec.decode(list(streams)), len(streams) + 1))
    if len(found) != len(streams):
        raise MeasurementError(f"decode gave another number of pictures for {counted(len(streams), 'stream')}")
    return [_picture(one, None) for one in found]


def _reconstruction(one: Any, shape: tuple[int, ...] | None) -> Reconstruction:
    if not isinstance(one, Reconstruction):
        raise MeasurementError(f"a reconstruction is {type(one).__name__}, not Reconstruction")
    decode_ms = None if one.decode_ms is None else _real("decode_ms", one.decode_ms)
    if decode_ms is not None and decode_ms < 0:
        raise MeasurementError(f"decode_ms is {decode_ms:g}")
    return Reconstruction(
        _point(one.point),
        _text("reconstruction", one.name, _LONGEST_NAME),
        _picture(one.image_uint8, shape),
        decode_ms,
        _count("calls", one.calls),
        None if one.macs is None else _whole("macs", one.macs, 0, _INT64),
    )


def _picture(decoded: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    """A copy of the picture: the array belongs to the codec, which may reuse it."""
    good = isinstance(decoded, np.ndarray) and decoded.dtype == np.uint8 and decoded.ndim == 3
    if not good or decoded.shape[2] != 3 or 0 in decoded.shape or decoded.shape != (shape or decoded.shape):
        is_array = isinstance(decoded, np.ndarray)
        got = f"{decoded.dtype} {list(decoded.shape)}" if is_array else type(decoded).__name__
        wanted = f"for an image uint8 {list(shape)}" if shape is not None else "in place of uint8 [H, W, 3]"
        raise MeasurementError(f"decoded {got} {wanted}")
    return np.array(decoded, order="C")


# ---- metrics --------------------------------------------------------------------------------------------------


_WROTE = "it wrote into the picture that it was given; it must work on a copy"


def score(metric: Metric, original: np.ndarray, decoded: np.ndarray) -> float:
    """Computes a metric on copies of two pictures; raises an Exception if the value is not a number in its range."""
    pair = (original.copy(), decoded.copy())
    with contained():
        value = metric.compute(*pair)
    if not (np.array_equal(pair[0], original) and np.array_equal(pair[1], decoded)):
        raise MeasurementError(_WROTE)
    return _checked_value(metric, value)


def _checked_value(metric: Metric, value: Any) -> float:
    number = metric_value(value)
    low, high = metric.value_range
    if not _less(low) <= number <= -_less(-high):
        raise MeasurementError(f"gave {number}, which is not in its range, {low:g} to {high:g}")
    return number


def scores(metric: Metric, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float | Exception]:
    """The value of each pair of an original and a decoded picture, all of one size, or why it has none."""
    if metric.compute_batch is not None and len(pairs) > 1:
        try:
            return list(_scores_at_once(metric, pairs))
        except Exception:  # each alone: finds the pair that fails, and needs less memory
            return [_score_or_fault(metric, *pair) for pair in pairs]
    return [_score_or_fault(metric, *pair) for pair in pairs]


def _scores_at_once(metric: Metric, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    assert metric.compute_batch is not None
    originals, decoded = ([side.copy() for side in sides] for sides in zip(*pairs, strict=True))
    with contained():
        values = list(metric.compute_batch(originals, decoded))
    if len(values) != len(pairs):
        raise MeasurementError(f"gave {len(values)} values for {counted(len(pairs), 'picture')}")
    unchanged = all(
        map(np.array_equal, itertools.chain(originals, decoded), itertools.chain(*zip(*pairs, strict=True)))
    )
    if not unchanged:
        raise MeasurementError(_WROTE)
    return [_checked_value(metric, value) for value in values]


def _score_or_fault(metric: Metric, original: np.ndarray, decoded: np.ndarray) -> float | Exception:
    try:
        return score(metric, original, decoded)
    except Exception as error:
        return error


def _less(bound: float) -> float:
    """A slightly smaller bound, which accepts values that are below ``bound`` by a rounding error of float32."""
    return bound - 1e-4 * max(1.0, abs(bound)) if math.isfinite(bound) else bound


def metric_value(value: Any) -> float:
    """The value of a metric as a float; raises :class:`MeasurementError` for NaN and values that are not numbers.

    >>> metric_value(np.float32(0.5)), metric_value(np.array(2))
    (0.5, 2.0)
    """
    plain = value
    if not isinstance(value, numbers.Real) and hasattr(value, "item") and not np.ma.is_masked(value):
        plain = value.item()  # an array or tensor with one element
    if not isinstance(plain, numbers.Real) or isinstance(plain, bool):
        raise MeasurementError(f"gave {type(value).__name__}, not a number")
    number = float(plain)
    if math.isnan(number):
        raise MeasurementError("gave no number")
    return number


# ---- values ---------------------------------------------------------------------------------------------------


def _text(what: str, value: Any, longest: int) -> str:
    if not isinstance(value, str):
        raise MeasurementError(f"{what} is {type(value).__name__}, not text")
    return one_line(value, longest)


def _whole(what: str, value: Any, least: int, most: int) -> int:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise MeasurementError(f"{what} is {type(value).__name__}, not a whole number")
    number = int(value)
    if not least <= number <= most:
        shown = str(number) if abs(number) < 2**80 else "a number of over 80 bits"
        raise MeasurementError(f"{what} is {shown}, not in {least} to {most}")
    return number


def _count(what: str, value: Any) -> int | None:
    return None if value is None else _whole(what, value, 0, _INT32)


def _real(what: str, value: Any) -> float:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise MeasurementError(f"{what} is {type(value).__name__}, not a number")
    number = float(value)
    if not math.isfinite(number):
        raise MeasurementError(f"{what} is {number}, not finite")
    return number
