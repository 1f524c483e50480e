"""Guards progressive files: each point is a true prefix, and its picture is the format's own."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deadline import no_hang
from PIL import Image

from uqdm.bench.evaluation.measure import measure_images
from uqdm.codec import StreamError, get_codec
from uqdm_baselines._jpeg2000_packets import layer_ends, packet_ends, read_header
from uqdm_baselines._prefixes import PrefixCodec
from uqdm_baselines.jpeg_progressive import scan_ends

CASES: list[tuple[str, dict[str, Any], int]] = [
    ("jpeg-progressive", {"quality": 90}, 10),
    ("jpeg2000-progressive", {"transform": "none-5/3"}, 6),
    ("jpeg2000-progressive", {"transform": "rct-5/3"}, 6),
    ("jpeg2000-progressive", {"transform": "ict-9/7"}, 6),
]
SIZES = [(1, 1), (1, 2), (3, 1), (5, 7), (16, 9), (63, 65), (1, 300), (200, 131)]


def _codec(name: str, **parameters: Any) -> PrefixCodec:
    codec = get_codec(name, **parameters)
    assert isinstance(codec, PrefixCodec)
    return codec


def _noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _psnr_db(one: np.ndarray, other: np.ndarray) -> float:
    mse = np.mean((one.astype(float) - other) ** 2)
    return float(10 * np.log10(255**2 / mse)) if mse else np.inf


@pytest.mark.parametrize(("name", "parameters", "count"), CASES)
def test_points_fulfil_the_contract_and_increase_in_quality(
    name: str, parameters: dict[str, Any], count: int, photographs_uint8: list[np.ndarray]
) -> None:
    codec = _codec(name, **parameters)
    for row_image, image in enumerate(photographs_uint8):
        rows = measure_images(codec, codec, [image]).rows
        assert [row["status"] for row in rows] == ["ok"] * count, (row_image, rows[0])
        assert all(before["file_bits"] <= after["file_bits"] for before, after in pairwise(rows))
        # one more part may move a picture's chroma away before it comes nearer: libjpeg's scans of single bits do
        (stream,) = codec.encode([image])
        pictures = [picture.image_uint8 for picture in codec.reconstructions(stream)]
        quality_db = [_psnr_db(picture, image) for picture in pictures]
        assert all(after >= before - 0.13 for before, after in pairwise(quality_db))  # 3 % of the squared error
        assert quality_db[-1] > quality_db[0] + 8


@pytest.mark.parametrize(("name", "parameters", "count"), CASES)
@pytest.mark.parametrize("size", SIZES)
def test_every_size_has_every_point(name: str, parameters: dict[str, Any], count: int, size: tuple[int, int]) -> None:
    codec = _codec(name, **parameters)
    image = _noise(*size)
    (stream,) = codec.encode([image])
    pictures = [picture.image_uint8 for picture in codec.reconstructions(stream)]
    assert len(pictures) == count
    assert {picture.shape for picture in pictures} == {image.shape}
    np.testing.assert_array_equal(pictures[-1], codec.decode([stream])[0])


@pytest.mark.parametrize(("name", "parameters", "count"), CASES)
def test_a_picture_depends_only_on_the_bytes_up_to_its_point(
    name: str, parameters: dict[str, Any], count: int, photographs_uint8: list[np.ndarray]
) -> None:
    codec = _codec(name, **parameters)
    (stream,) = codec.encode(photographs_uint8[:1])
    for picture in list(codec.reconstructions(stream))[:-1]:
        end = picture.point.n_bytes
        np.testing.assert_array_equal(codec.decode_prefix(stream[:end]), picture.image_uint8)
        if name.startswith("jpeg2000"):  # a layer that is not there as a whole is not shown
            np.testing.assert_array_equal(codec.decode_prefix(stream[: end + 1]), picture.image_uint8)


def test_a_jpeg_of_all_scans_equals_the_sequential_picture(photographs_uint8: list[np.ndarray]) -> None:
    progressive, sequential = get_codec("jpeg-progressive", quality=80), get_codec("jpeg", quality=80)
    for image in photographs_uint8[:3]:
        one, other = (codec.decode(codec.encode([image]))[0] for codec in (progressive, sequential))
        np.testing.assert_array_equal(one, other)


def test_scans_end_at_markers_and_not_at_stuffed_bytes_or_restarts(photographs_uint8: list[np.ndarray]) -> None:
    (stream,) = get_codec("jpeg-progressive", quality=98).encode([_noise(64, 64)])
    assert stream.count(b"\xff\x00") > 5  # stuffed bytes are there
    for end in scan_ends(stream):
        assert stream[end : end + 2] in (b"\xff\xc4", b"\xff\xda", b"\xff\xd9")  # DHT, SOS, EOI
    assert len(scan_ends(stream)) == stream.count(b"\xff\xda") == 10
    file = io.BytesIO()
    Image.fromarray(photographs_uint8[0]).save(file, "JPEG", restart_marker_blocks=1)
    assert file.getvalue().count(b"\xff\xd1") >= 1
    assert len(scan_ends(file.getvalue())) == 1


def _packet_lengths_by_marker(stream: bytes) -> list[int]:
    """The packet lengths that OpenJPEG wrote in its PLT markers (T.800, A.7.3)."""
    position, lengths, length = read_header(stream).tile_part_at + 12, [], 0
    while stream[position : position + 2] != b"\xff\x93":  # SOD
        size = int.from_bytes(stream[position + 2 : position + 4], "big")
        if stream[position : position + 2] == b"\xff\x58":
            for byte in stream[position + 5 : position + 2 + size]:
                length = length << 7 | byte & 127
                if byte < 128:
                    lengths.append(length)
                    length = 0
        position += 2 + size
    return lengths


@pytest.mark.parametrize("size", [*SIZES, (512, 384)])
@pytest.mark.parametrize("options", [{"mct": 0}, {"mct": 1, "irreversible": True}])
def test_packets_end_where_openjpeg_says(size: tuple[int, int], options: dict[str, Any]) -> None:
    image = _noise(*size) // 2 + np.arange(size[1], dtype=np.uint8)[None, :, None] // 4
    file = io.BytesIO()
    layers = [20, 10, 5, 3, 2, 1]
    Image.fromarray(image).save(file, "JPEG2000", quality_mode="rates", quality_layers=layers, plt=True, **options)
    header = read_header(file.getvalue())
    ends = packet_ends(file.getvalue(), header)
    assert [after - before for before, after in pairwise([header.data, *ends])] == _packet_lengths_by_marker(
        file.getvalue()
    )
    assert file.getvalue()[ends[-1] :] == b"\xff\xd9"


def test_a_layer_equals_the_picture_of_opj_decompress(photographs_uint8: list[np.ndarray], tmp_path: Path) -> None:
    """OpenJPEG's program can leave out layers of a whole file; a prefix must show the same, pixel for pixel."""
    if shutil.which("opj_decompress") is None:
        pytest.skip("opj_decompress is not installed")
    codec = _codec("jpeg2000-progressive")
    (stream,) = codec.encode(photographs_uint8[1:2])
    (tmp_path / "all.jp2").write_bytes(stream)
    for number, picture in enumerate(codec.reconstructions(stream), 1):
        command = ["opj_decompress", "-i", "all.jp2", "-o", f"{number}.png", "-l", str(number)]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"{number}.png")), picture.image_uint8)


@pytest.mark.parametrize(("name", "parameters", "count"), CASES[:2])
def test_prefixes_and_damaged_files_give_pictures_or_stream_errors(
    name: str, parameters: dict[str, Any], count: int, photographs_uint8: list[np.ndarray]
) -> None:
    codec = _codec(name, **parameters)
    (stream,) = codec.encode([photographs_uint8[0][:24, :24]])
    generator = np.random.default_rng(0)
    damaged = [bytearray(stream) for _ in range(300)]
    for each in damaged:
        each[generator.integers(len(each))] = generator.integers(256)
    for data in [*map(bytes, damaged), *(stream[:length] for length in range(0, len(stream), 5))]:
        for read in (codec.decode_prefix, codec.points):
            with no_hang(), contextlib.suppress(StreamError):
                read(data)


def test_a_hostile_jpeg2000_header_is_refused_before_its_packets_are_listed() -> None:
    (stream,) = _codec("jpeg2000-progressive").encode([_noise(40, 40)])
    header = read_header(stream)
    huge = bytearray(stream)
    for place in (4, 8, 20, 24):  # size of the picture, and of the tile
        huge[header.codestream + 4 + place : header.codestream + 8 + place] = (1 << 15).to_bytes(4, "big")
    with no_hang(), pytest.raises(StreamError, match="more than the"):
        layer_ends(bytes(huge), read_header(bytes(huge)))


def test_tuned_jpeg2000_beats_the_published_setting_by_decibels(photographs_uint8: list[np.ndarray]) -> None:
    tuned, published = get_codec("jpeg2000-tuned", ratio=10), get_codec("jpeg2000", layers="20,10")
    for image in photographs_uint8:
        streams = [codec.encode([image])[0] for codec in (tuned, published)]
        assert len(streams[0]) <= len(streams[1]) + 16  # as near as rate control comes
        pictures = [codec.decode([s])[0] for codec, s in zip((tuned, published), streams, strict=True)]
        assert _psnr_db(pictures[0], image) > _psnr_db(pictures[1], image) + 1
    assert streams[0].startswith(b"\xff\x4f\xff\x51")  # a bare codestream
    assert b"Created by" not in streams[0]
