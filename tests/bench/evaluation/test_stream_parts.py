"""Payload, side data and container of every row add up to its file, for every codec that can tell."""

from __future__ import annotations

import numpy as np
import pytest

from uqdm.bench.evaluation.measure import measure_images
from uqdm.codec import get_codec
from uqdm.coding import container

PARTS = ("payload_bits", "side_bits", "container_bits")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        pytest.param("uqdm", {"model": "uqdm-pixel", "reconstruct": "denoise", "seeds": 1}, marks=pytest.mark.slow),
        pytest.param("diffc", {"chunk_bits": 6, "margin_bits": 2, "send": 2}, marks=pytest.mark.slow),
        ("turbo-ddcm", {"codewords": 64, "steps": 3, "points": 0, "reconstruct": "denoise"}),
        ("bpg", {"quality": 30}),
        ("bpg", {"lossless": True}),
        ("jpeg", {}),
        ("jpeg-progressive", {}),
        ("png", {}),
    ],
)
def test_the_parts_of_every_row_add_up_to_its_file(
    name: str, parameters: dict[str, object], photographs_uint8: list[np.ndarray]
) -> None:
    codec = get_codec(name, **parameters)
    side = 8 if name == "diffc" else 40
    images = [np.ascontiguousarray(image[:side, :side]) for image in photographs_uint8[:1]]
    rows = measure_images(codec, codec, images).rows
    assert {row["status"] for row in rows} == {"ok"}
    assert [sum(row[part] for part in PARTS) for row in rows] == [row["file_bits"] for row in rows]
    assert all(row[part] > 0 for row in rows[1:] or rows for part in PARTS)
    assert len({row["container_bits"] for row in rows}) == 1 or name == "jpeg-progressive"  # the end marker comes last


@pytest.mark.slow
def test_parts_of_a_file_are_those_of_its_index(photographs_uint8: list[np.ndarray]) -> None:
    codec = get_codec("uqdm", model="uqdm-pixel", seeds=1)
    (stream,) = codec.encode([photographs_uint8[0][:40, :70]])
    file = container.parse(stream)
    parts = codec.parts(stream)
    assert parts["step 0"].payload_bytes == 0
    segments = [stage for chunk in file.stages for stage in chunk]
    assert parts["lossless"].payload_bytes == sum(stage.end - stage.begin for stage in segments)
    # The container's fields: magic, version, model id, flags, layout and tolerance, and one byte for each side.
    assert {one.container_bytes for one in parts.values()} == {2 + 1 + 3 + 3 + 2}


def test_parts_of_a_classic_file_are_its_segments(photographs_uint8: list[np.ndarray]) -> None:
    (jpeg,) = get_codec("jpeg").encode(photographs_uint8[:1])
    begin = jpeg.index(b"\xff\xda")
    begin += 2 + int.from_bytes(jpeg[begin + 2 : begin + 4], "big")
    assert get_codec("jpeg").parts(jpeg)["full"].payload_bytes == len(jpeg) - begin - 2  # before the end marker
    (png,) = get_codec("png").encode(photographs_uint8[:1])
    parts = get_codec("png").parts(png)["full"]
    assert parts.payload_bytes == len(png) - (8 + 25 + 12 * png.count(b"IDAT") + 12)
    assert parts.side_bytes == 4 * (2 + png.count(b"IDAT"))


def test_a_codec_that_cannot_tell_leaves_them_null(photographs_uint8: list[np.ndarray]) -> None:
    codec = get_codec("webp")
    (row,) = measure_images(codec, codec, photographs_uint8[:1]).rows
    assert [row[part] for part in PARTS] == [None, None, None]
    assert row["black_pixel_bits"] > 0
