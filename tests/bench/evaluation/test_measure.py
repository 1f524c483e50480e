"""Guards the content of rows: rates of whole files, hashes of decoded pictures, and failures of single images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from toy_codecs import RAISE, WRONG_DTYPE, WRONG_POINT, WRONG_SHAPE, Faulty, Model, Raw
from toy_images import unmarked_images

from uqdm.bench.evaluation.measure import measure_images
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.codec import Codec, Encoded, Point, Reconstruction


def measure(codec: Codec, images: list[np.ndarray]) -> tuple[list[dict[str, Any]], list[bytes | None]]:
    measured = measure_images(codec, codec, images)
    return measured.rows, measured.streams


def test_rows_hold_whole_file_bits_and_the_hash_of_the_picture() -> None:
    images = unmarked_images(3)
    rows, streams = measure(Raw(drop=4), images)
    for image, row, stream in zip(images, rows, streams, strict=True):
        assert stream is not None
        assert row["file_bits"] == 8 * len(stream) == 8 * (8 + image.size)
        assert row["bpp"] == row["file_bits"] / (image.shape[0] * image.shape[1])
        assert row["picture_sha256"] == picture_sha256(image >> 4 << 4) != picture_sha256(image)
        assert row["unscored"] == {"*": "not scored yet"}
        assert (row["status"], row["roundtrip_checked"], row["point"]) == ("ok", True, "full")


def test_a_progressive_stream_gives_a_row_for_each_picture() -> None:
    (image,) = unmarked_images(1)
    rows, _ = measure(Model(), [image])
    assert [(row["point"], row["point_index"], row["reconstruction"]) for row in rows] == [
        ("high", 0, "floor"),
        ("high", 0, "middle"),
        ("all", 1, "decoded"),
    ]
    assert [row["file_bits"] for row in rows] == [8 * (8 + image.size)] * 2 + [8 * (8 + 2 * image.size)]
    assert [row["ideal_bits"] for row in rows] == [4.0 * image.size] * 2 + [8.0 * image.size]
    assert {row["seed"] for row in rows} == {7}
    assert rows[-1]["picture_sha256"] == picture_sha256(image) != rows[0]["picture_sha256"]
    assert [row["decode_ms"] for row in rows] == sorted(row["decode_ms"] for row in rows)


def test_only_the_image_at_fault_fails_in_a_batch() -> None:
    images = unmarked_images(10)
    faults = {1: RAISE, 4: WRONG_SHAPE, 5: WRONG_DTYPE, 9: WRONG_POINT}
    for index, mark in faults.items():
        images[index][0, 0, 0] = mark
    rows, streams = measure(Faulty(), images)
    assert {row["image_index"]: row["status"] for row in rows} == {
        index: "failed" if index in faults else "ok" for index in range(10)
    }
    errors = {row["image_index"]: row.get("error") for row in rows}
    assert errors[1] == "encode: RuntimeError: cannot encode this image"
    assert "decoded uint8 [5, 7, 3] for an image uint8 [6, 7, 3]" in str(errors[4])
    assert "float32" in str(errors[5])
    assert "whole stream" in str(errors[9])
    assert [index for index, stream in enumerate(streams) if stream is None] == [1]


class Misbehaved(Raw):
    """Violates one clause of the contract, by name."""

    def __init__(self, clause: str) -> None:
        super().__init__()
        self.clause = clause

    def encode_detailed(self, images: Any) -> list[Encoded]:
        encoded = super().encode_detailed(images)
        if self.clause == "count":
            return encoded + encoded
        return [Encoded(bytearray(one.stream)) for one in encoded] if self.clause == "type" else encoded  # type: ignore[arg-type]

    def points(self, stream: bytes) -> list[Point]:
        full = Point("full", len(stream))
        return {"falling": [Point("a", len(stream) + 1), full], "twice": [full, full], "none": []}.get(
            self.clause, [full]
        )

    def reconstructions(self, stream: bytes) -> Any:
        (image,) = self.decode([stream])
        picture = Reconstruction(Point("full", len(stream)), "decoded", image)
        other = Reconstruction(Point("half", len(stream)), "decoded", image)
        return iter({"missing": [], "repeated": [picture, picture], "other": [other]}.get(self.clause, [picture]))


@pytest.mark.parametrize("clause", ["count", "type", "falling", "twice", "none", "missing", "repeated", "other"])
def test_a_violated_contract_is_a_failed_row(clause: str) -> None:
    rows, _ = measure(Misbehaved(clause), unmarked_images(1))
    assert [row["status"] for row in rows] == ["failed"]
    assert "MeasurementError" in rows[0]["error"]


def test_the_same_codec_without_a_violation_is_ok() -> None:
    rows, _ = measure(Misbehaved("no clause"), unmarked_images(1))
    assert [row["status"] for row in rows] == ["ok"]


class Remembers(Raw):
    """Decodes with stored inputs of the encoder in place of the stream."""

    def encode(self, images: Any) -> list[bytes]:
        self.memory = {bytes([index]): image for index, image in enumerate(images)}
        return list(self.memory)

    def decode(self, streams: Any) -> list[np.ndarray]:
        return [self.memory[stream] for stream in streams]


def test_a_second_instance_detects_a_decoder_that_uses_the_encoders_state() -> None:
    measured = measure_images(Remembers(), Remembers(), unmarked_images(1))
    assert [row["status"] for row in measured.rows] == ["failed"]


def test_bits_of_a_black_pixel_are_a_column_and_null_if_unknown() -> None:
    class Telling(Raw):
        black_pixel_bits = 64  # type: ignore[assignment]

    (image,) = unmarked_images(1)
    assert measure(Raw(), [image])[0][0]["black_pixel_bits"] is None
    assert measure(Telling(), [image])[0][0]["black_pixel_bits"] == 64


COSTS = ("batch_size", "device", "encode_calls", "decode_calls", "macs_per_pixel")


def test_a_codec_without_a_network_has_zero_calls() -> None:
    rows, _ = measure(Raw(), unmarked_images(1))
    assert [rows[0][name] for name in COSTS] == [1, "cpu", 0, 0, 0]


def test_unknown_costs_of_a_model_are_null_and_not_zero() -> None:
    rows, _ = measure(Model(), unmarked_images(6))
    # The last batch has two images, but its rows must not depend on the split of the data set into shards.
    assert {tuple(row[name] for name in COSTS) for row in rows} == {(4, "cpu", None, None, None)}


def test_costs_are_those_that_a_codec_reports() -> None:
    class Telling(Model):
        device = "cuda:some GPU"  # type: ignore[assignment]

        def encode_detailed(self, images: Any) -> list[Encoded]:
            return [replace(one, calls=5) for one in super().encode_detailed(images)]

        def reconstructions(self, stream: bytes) -> Any:
            return (replace(picture, calls=2, macs=700) for picture in super().reconstructions(stream))

    (image,) = unmarked_images(1)
    rows, _ = measure(Telling(), [image])
    pixels = image.shape[0] * image.shape[1]
    assert {tuple(row[name] for name in COSTS) for row in rows} == {(4, "cuda:some GPU", 5, 2, 700 / pixels)}
