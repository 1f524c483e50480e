"""Codecs and metrics of other packages: they receive copies, results are checked, and errors do not affect others."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from toy_codecs import Model, Raw
from toy_images import MemoryImages, unmarked_images

import uqdm.codec as registry
from uqdm.bench import checked_calls as answers
from uqdm.bench.checked_calls import MeasurementError
from uqdm.bench.evaluation.measure import measure_images
from uqdm.bench.evaluation.measure_job import MeasuredShard, MeasureJob
from uqdm.bench.execute.worker import Worker
from uqdm.bench.metrics import Metric
from uqdm.bench.run.codec_settings import Request, resolve
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.provenance import provenance
from uqdm.bench.run.shards import shard_at
from uqdm.bench.run.stage_options import KeepOptions
from uqdm.bench.scoring.set_values import compute_set
from uqdm.codec import Codec, Encoded, ParameterError, Point, Reconstruction, StreamParts, register_codec
from uqdm.text import error_line


def _raise(error: BaseException) -> Any:
    raise error


class TextlessError(ValueError):
    """An error whose conversion to text fails."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def _recursion(images: Any) -> Any:
    return _recursion(images)


class Odd(Raw):
    """A codec whose parts a test replaces; the other parts are correct."""

    name = "odd"
    sweep = ({},)

    def __init__(self, **parts: Any) -> None:
        super().__init__()
        self._parts = parts

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        return self._parts.get("encode", super().encode)(images)

    def encode_detailed(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        streams = self.encode(images)
        made = [Encoded(stream, **self._parts.get("encoded", {})) for stream in streams]
        return self._parts.get("listed", list)(made)

    def points(self, stream: bytes) -> list[Point]:
        return self._parts["points"](len(stream)) if "points" in self._parts else super().points(stream)

    def reconstructions(self, stream: bytes) -> Any:
        (full,) = super().points(stream)
        made = Reconstruction(full, "decoded", self.decode([stream])[0].copy())
        made = replace(made, **self._parts.get("picture", {}))
        if "image" in self._parts:
            made = replace(made, image_uint8=self._parts["image"](made.image_uint8))
        return self._parts.get("pictures", iter)([made])

    def parts(self, stream: bytes) -> Any:
        return self._parts["parts"](len(stream)) if "parts" in self._parts else super().parts(stream)

    @property
    def black_pixel_bits(self) -> int | None:
        return self._parts.get("black_pixel_bits")


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "seed of 64 bits": ({"encoded": {"seed": 2**64 - 1}}, "seed is 18446744073709551615, not in"),
    "seed as text": ({"encoded": {"seed": "7"}}, "seed is str, not a whole number"),
    "seed of numpy, too large": ({"encoded": {"seed": np.uint64(2**63)}}, "seed is 9223372036854775808, not in"),
    "bits as a tensor": ({"encoded": {"ideal_bits": {"full": torch.tensor(1.5)}}}, "is Tensor, not a number"),
    "bits as an array": ({"encoded": {"ideal_bits": {"full": np.ones(1)}}}, "is ndarray, not a number"),
    "bits that are no number": ({"encoded": {"ideal_bits": {"full": np.nan}}}, "is nan, not finite"),
    "bits as a list": ({"encoded": {"ideal_bits": [1.0]}}, "ideal_bits is list, not a mapping"),
    "calls below 0": ({"encoded": {"calls": -1}}, "calls is -1, not in"),
    "calls over 32 bits": ({"encoded": {"calls": 2**40}}, "calls is 1099511627776, not in"),
    "a bytearray": ({"encode": lambda images: [bytearray(b"x")]}, "a stream is bytearray, not bytes"),
    "a memoryview": ({"encode": lambda images: [memoryview(b"x")]}, "a stream is memoryview, not bytes"),
    "nothing": ({"encode": lambda images: None}, "TypeError"),
    "no stream": ({"listed": lambda made: []}, "0 streams for 1 image"),
    "endless streams": ({"listed": lambda made: iter(lambda: made[0], None)}, "more than 1 streams for 1 image"),
    "bytes for Encoded": ({"listed": lambda made: [made[0].stream]}, "gave bytes, not Encoded"),
    "writes": ({"encode": lambda images: [images[0].fill(0) or b"x"]}, "wrote into the image that it was given"),
    "writes by torch": (
        {"encode": lambda images: [bytes(torch.from_numpy(images[0]).zero_().numpy())]},
        "wrote into the image",
    ),
    "exits": ({"encode": lambda images: _raise(SystemExit(3))}, "PluginError: it raised SystemExit: 3"),
    "interrupts": ({"encode": lambda images: _raise(KeyboardInterrupt())}, "it raised KeyboardInterrupt"),
    "half a character": ({"encode": lambda images: _raise(OSError("no \udcff.cfg"))}, r"no \udcff.cfg"),
    "escapes": ({"encode": lambda images: _raise(OSError("\x1b[2J\x00"))}, r"OSError: \x1b[2J\x00"),
    "a long error": ({"encode": lambda images: _raise(OSError("x" * 10**7))}, "..."),
    "an error without text": ({"encode": lambda images: _raise(TextlessError())}, "its text cannot be made"),
    "recursion": ({"encode": _recursion}, "RecursionError"),
    "bits of a pixel as text": ({"black_pixel_bits": "12"}, "black_pixel_bits is str"),
    "parts of another point": ({"parts": lambda n: {"step 1": StreamParts(n, 0, 0)}}, "which is no point of the"),
    "parts as numbers": ({"parts": lambda n: {"full": (n, 0, 0)}}, "parts of 'full' are tuple, not StreamParts"),
    "parts below 0": ({"parts": lambda n: {"full": StreamParts(n + 1, 0, -1)}}, "a part of 'full' is -1, not in"),
    "parts that lack a byte": ({"parts": lambda n: {"full": StreamParts(n - 2, 1, 0)}}, "bytes, and it has"),
    "parts as a list": ({"parts": lambda n: [n]}, "parts are list, not a mapping"),
    "points out of order": ({"points": lambda n: [Point("b", n), Point("a", 1)]}, "the last point must be"),
    "a point of a half byte": ({"points": lambda n: [Point("a", n / 2), Point("full", n)]}, "is float, not a whole"),
    "a point without text": ({"points": lambda n: [Point(1, n)]}, "point is int, not text"),
    "ways as text": ({"points": lambda n: [Point("full", n, "decoded")]}, "are str, not a tuple"),
    "endless points": ({"points": lambda n: (Point(f"{i}", 0) for i in iter(int, 1))}, "more than 10,000 points"),
    "pictures of nothing": ({"pictures": lambda made: iter([None])}, "a reconstruction is NoneType"),
    "exits between pictures": ({"pictures": lambda made: (_raise(SystemExit()) for _ in made)}, "SystemExit"),
    "another shape": ({"image": lambda image: image[:, :-1]}, "decoded uint8 ["),
    "another type": ({"image": lambda image: image.astype(np.int64)}, "decoded int64 ["),
    "a tensor": ({"image": torch.from_numpy}, "decoded Tensor for an image uint8 ["),
    "a list": ({"image": np.ndarray.tolist}, "decoded list for an image uint8 ["),
    "time that is no number": ({"picture": {"decode_ms": "3"}}, "decode_ms is str"),
    "more sums than 63 bits": ({"picture": {"macs": 10**400}}, "macs is a number of over 80 bits"),
    "a mark as a name": ({"picture": {"name": b"decoded"}}, "reconstruction is bytes, not text"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_result_that_violates_the_contract_is_a_failed_row_with_the_reason(case: str) -> None:
    parts, reason = BROKEN[case]
    images = unmarked_images(1)
    (row,) = measure_images(Odd(**parts), Odd(**parts), images).rows
    assert row["status"] == "failed"
    assert reason in row["error"]
    assert row["error"].isprintable()
    assert len(row["error"]) < 600
    (row,) = measure_images(Raw(), Raw(), images).rows  # of another codec, on the same images
    assert row["picture_sha256"] == picture_sha256(unmarked_images(1)[0])


def test_numpy_integers_and_reused_arrays_are_accepted() -> None:
    image = unmarked_images(1)[0]
    encoded = {"seed": np.uint64(7), "calls": np.int32(2), "ideal_bits": {"full": np.float32(1.5), "other": 1}}
    codec = Odd(encoded=encoded, black_pixel_bits=np.int64(8), image=np.ma.masked_array)
    (row,) = measure_images(codec, codec, [image]).rows
    assert (row["seed"], row["encode_calls"], row["ideal_bits"], row["black_pixel_bits"]) == (7, 2, 1.5, 8)
    assert {type(row[name]) for name in ("seed", "encode_calls", "black_pixel_bits", "file_bits")} == {int}

    class OneBuffer(Model):
        """Decodes every picture into the same array."""

        def reconstructions(self, stream: bytes) -> Any:
            buffer = np.zeros((*image.shape,), np.uint8)
            for found in super().reconstructions(stream):
                buffer[:] = found.image_uint8
                yield replace(found, image_uint8=buffer)

    stream = Model().encode([image])[0]
    kept, expected = (
        [picture.image_uint8 for picture, _ in answers.pictures(codec(), stream)] for codec in (OneBuffer, Model)
    )
    assert all(map(np.array_equal, kept, expected))


def test_an_interrupt_by_the_user_is_not_caught() -> None:
    import os
    import signal

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            measure_images(Odd(encode=lambda images: os.kill(os.getpid(), signal.SIGINT)), Raw(), unmarked_images(1))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


# ---- properties of a codec ------------------------------------------------------------------------------------


def _worker_rows(name: str) -> list[dict[str, Any]]:
    (codec_setting,) = resolve([Request(name)])[name]
    assert codec_setting.missing is None
    shard = shard_at(MemoryImages(unmarked_images(2)), codec_setting, 0, 2, KeepOptions())
    finished = MeasureJob(shard, provenance()).run(Worker(), unmarked_images(2))
    assert isinstance(finished, MeasuredShard)
    return pq.read_table(io.BytesIO(finished.rows)).to_pylist()


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("version", 3, "version is int, not text"),
        ("version", None, "version is NoneType, not text"),
        ("batch_size", 0, "batch_size is 0, not in 1 to"),
        ("batch_size", 2.0, "batch_size is float, not a whole number"),
        ("device", property(lambda self: 1 / 0), "ZeroDivisionError"),
        ("device", b"cpu", "device is bytes, not text"),
    ],
)
def test_an_invalid_property_of_a_codec_fails_its_images(
    attribute: str, value: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry.CODECS, "registered", {})
    register_codec(type("Odd", (Raw,), {"name": "odd-word", "sweep": ({},), attribute: value}))
    rows = _worker_rows("odd-word")
    assert [row["status"] for row in rows] == ["failed", "failed"]
    assert all(reason in row["error"] for row in rows)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"__init__": lambda self, **values: _raise(RuntimeError("no CUDA driver"))}, "RuntimeError: no CUDA driver"),
        ({"__init__": lambda self, **values: _raise(SystemExit("bye"))}, "SystemExit: bye"),
        ({"__init__": lambda self, **values: _raise(ParameterError("own default"))}, "own default"),
        ({"missing": classmethod(lambda cls: _raise(OSError("\x1b[31mlib")))}, r"OSError: \x1b[31mlib"),
        ({"version": property(lambda self: _raise(KeyboardInterrupt()))}, "KeyboardInterrupt"),
        ({"suffix": "/../../x"}, "suffix '/../../x'"),
        ({"setting": 7}, "setting is int, not text"),
        ({"values": property(lambda self: {"drop": object()}, lambda self, value: None)}, "parameter drop is object"),
    ],
)
def test_a_codec_that_cannot_be_made_is_left_out_with_its_name(
    attributes: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry.CODECS, "registered", {})
    register_codec(type("Odd", (Raw,), {"name": "unmade", "sweep": ({},), **attributes}))
    found = resolve([Request("unmade"), Request("png")])
    assert found["png"][0].missing is None
    (codec_setting,) = found["unmade"]
    assert "unmade" in str(codec_setting.missing)
    assert reason in str(codec_setting.missing)
    assert codec_setting.broken


def test_an_invalid_requested_setting_is_an_error() -> None:
    with pytest.raises(ParameterError, match="quality=0"):
        resolve([Request("jpeg", {"quality": 0})])


def test_text_of_versions_and_settings_is_printable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.CODECS, "registered", {})
    register_codec(type("Odd", (Raw,), {"name": "coloured", "version": "lib\x1b[31m 1\n\u202e\udcff", "sweep": ({},)}))
    (codec_setting,) = resolve([Request("coloured")])["coloured"]
    assert codec_setting.version == r"lib\x1b[31m 1 \u202e\udcff"
    assert {row["status"] for row in _worker_rows("coloured")} == {"ok"}
    (codec_setting,) = resolve(
        [Request("program", {"encode": "cp {input} {output}\n", "decode": "cp {input} {output}"})]
    )["program"]
    assert codec_setting.setting.isprintable()
    assert codec_setting.parameters["encode"].endswith("\n")  # the command that runs is unchanged


# ---- metrics --------------------------------------------------------------------------------------------------


def _metric(compute: Callable[[np.ndarray, np.ndarray], Any]) -> Metric:
    return Metric(
        name="odd",
        label="Odd",
        unit="",
        direction="lower",
        value_range=(0, 255),
        source="this test",
        comment="odd",
        compute=compute,
    )


@pytest.mark.parametrize(
    ("compute", "reason"),
    [
        (lambda original, decoded: np.subtract(original, decoded, out=decoded).mean(), "wrote into the picture"),
        (lambda original, decoded: original.fill(0) or 1.0, "wrote into the picture"),
        (lambda original, decoded: float(torch.from_numpy(decoded).zero_().sum()), "wrote into the picture"),
        (lambda original, decoded: np.nan, "gave no number"),
        (lambda original, decoded: 1 + 2j, "gave complex, not a number"),
        (lambda original, decoded: np.complex64(1), "gave complex64, not a number"),
        (lambda original, decoded: "12.5", "gave str, not a number"),
        (lambda original, decoded: None, "gave NoneType, not a number"),
        (lambda original, decoded: -np.inf, "gave -inf, which is not in its range"),
        (lambda original, decoded: -5.0, "gave -5.0, which is not in its range, 0 to 255"),
        (lambda original, decoded: True, "gave bool, not a number"),
        (lambda original, decoded: np.ma.masked, "gave MaskedConstant, not a number"),
        (lambda original, decoded: np.zeros(2), "can only convert an array of size 1"),
        (lambda original, decoded: 10**400, "too large"),
        (lambda original, decoded: _raise(SystemExit(1)), "SystemExit: 1"),
        (lambda original, decoded: _raise(KeyboardInterrupt("\x1b")), r"KeyboardInterrupt: \x1b"),
    ],
)
def test_a_metric_without_a_number_or_that_writes_has_a_reason(compute: Any, reason: str) -> None:
    original, decoded = unmarked_images(2)[0], unmarked_images(1)[0] // 2
    before = picture_sha256(original), picture_sha256(decoded)
    with pytest.raises(Exception, match=r"^") as caught:
        answers.score(_metric(compute), original, decoded)
    assert reason in error_line(caught.value)
    assert (picture_sha256(original), picture_sha256(decoded)) == before


@pytest.mark.parametrize("value", [1, 1.5, np.float32(1.5), np.array([1.5]), torch.tensor(1.5), np.int64(3)])
def test_numbers_of_every_type_are_accepted_from_metrics(value: Any) -> None:
    images = unmarked_images(2)
    assert answers.score(_metric(lambda *_: value), images[0], images[1]) == np.asarray(value).item()


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (lambda originals, decoded: [2.0] * len(decoded), [2.0, 2.0]),
        (lambda originals, decoded: [2.0], [1.0, 1.0]),
        (lambda originals, decoded: [2.0, np.nan], [1.0, 1.0]),
        (lambda originals, decoded: [2.0, 256.0], [1.0, 1.0]),
        (lambda originals, decoded: decoded[1].fill(0) or [2.0, 2.0], [1.0, 1.0]),
        (lambda originals, decoded: _raise(MemoryError()), [1.0, 1.0]),
    ],
)
def test_pictures_are_scored_one_by_one_where_a_batch_fails(batch: Any, expected: list[float]) -> None:
    images = unmarked_images(2)
    metric = replace(_metric(lambda *_: 1.0), compute_batch=batch)
    assert answers.scores(metric, [(images[0], images[1]), (images[1], images[0])]) == expected
    assert answers.scores(metric, [(images[0], images[1])]) == [1.0]


def test_a_picture_that_fails_does_not_affect_the_others() -> None:
    bright, dark = np.full((2, 8, 8, 3), 255, np.uint8), np.zeros((8, 8, 3), np.uint8)
    metric = _metric(lambda original, decoded: float(decoded.max()) or _raise(ValueError("dark")))
    fine, fault = answers.scores(metric, [(bright[0], bright[1]), (bright[0], dark)])
    assert fine == 255.0
    assert str(fault) == "dark"


def test_a_metric_of_sets_is_checked_too() -> None:
    from uqdm.bench.metrics import SetMetric

    def outcome(compute: Any) -> Any:
        declared: dict[str, Any] = dict(vars(_metric(compute)))
        del declared["compute_batch"]
        return compute_set(SetMetric(**declared), np.ones((3, 2)), np.ones((3, 2)))

    assert outcome(lambda *_: {"odd": np.float32(0.5)}) == {"odd": 0.5}
    assert "gave complex, not a number" in outcome(lambda *_: {"odd": 1j})
    assert "gave no number" in outcome(lambda *_: {"odd": np.nan})
    assert "gave the columns ['\\x1b', 'odd']" in outcome(lambda *_: {"odd": 1, "\x1b": 2}).replace("\\\\", "\\")
    assert "SystemExit" in outcome(lambda *_: _raise(SystemExit()))
    assert "TypeError" in outcome(lambda *_: 3)


def test_errors_are_of_one_class() -> None:
    from uqdm.bench.evaluation import measure

    assert measure.MeasurementError is MeasurementError
    assert issubclass(Odd, Codec)
