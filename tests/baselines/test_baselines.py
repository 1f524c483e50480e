"""Properties of every baseline: real files, exact or bounded pixels, and detected damage."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uqdm.bench.evaluation.measure import measure_images
from uqdm.codec import Codec, ParameterError, StreamError, codec_class, get_codec
from uqdm_baselines import _pillow

NAMES = (
    "jpeg",
    "jpeg-tuned",
    "jpeg-progressive",
    "jpeg2000",
    "jpeg2000-progressive",
    "jpeg2000-tuned",
    "png",
    "webp",
    "avif",
    "jxl",
    "heic",
)
LOSSY: dict[str, dict[str, Any]] = {
    "jpeg": {"quality": 95},
    "jpeg-tuned": {"quality": 95},
    "jpeg2000": {"layers": "20,10,5,3"},
    "webp": {"quality": 95},
    "avif": {"quality": 90, "speed": 8},
    "jxl": {"quality": 95},
    "heic": {"quality": 90},
}
LOSSLESS: list[tuple[str, dict[str, Any]]] = [
    ("png", {}),
    ("webp", {"lossless": True}),
    ("jxl", {"lossless": True}),
    ("heic", {"lossless": True}),
    ("jpeg2000", {"layers": "20,10,5,3,2,1"}),
    ("jpeg2000", {"layers": "20,10,5,3,2,1", "transform": "rct-5/3"}),
    ("jpeg2000-tuned", {"ratio": 1.0, "transform": "rct-5/3"}),
]
SIZES = [(1, 1), (1, 2), (3, 1), (2, 2), (5, 7), (16, 9), (63, 65), (1, 300), (200, 131)]
SIGNATURES = {
    "jpeg": b"\xff\xd8\xff",
    "jpeg-tuned": b"\xff\xd8\xff",
    "jpeg-progressive": b"\xff\xd8\xff",
    "jpeg2000": b"\0\0\0\x0cjP  ",
    "jpeg2000-progressive": b"\0\0\0\x0cjP  ",
    "jpeg2000-tuned": b"\xff\x4f\xff\x51",
    "png": b"\x89PNG\r\n\x1a\n",
    "webp": b"RIFF",
    "avif": b"ftypavif",
    "jxl": b"\xff\x0a",
    "heic": b"ftypheix",
}


def _codec(name: str, **parameters: Any) -> Codec:
    missing = codec_class(name).missing()
    if missing is not None:
        pytest.skip(f"{name}: {missing}")
    return get_codec(name, **parameters)


def _noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _gradient() -> np.ndarray:
    """All grey levels from left to right, in red; upwards in green; both mixed in blue. Uint8 [256, 256, 3]."""
    ramp = np.arange(256)
    red, green = np.meshgrid(ramp, 255 - ramp)
    return np.stack([red, green, (red + green) // 2], axis=-1).astype(np.uint8)


def _mean_psnr_db(codec: Codec, images: list[np.ndarray]) -> float:
    decoded = codec.decode(codec.encode(images))
    errors = [np.mean((a.astype(float) - b) ** 2) for a, b in zip(images, decoded, strict=True)]
    return float(np.mean([10 * np.log10(255**2 / error) if error else np.inf for error in errors]))


@pytest.mark.parametrize(("name", "parameters"), LOSSLESS)
def test_lossless_is_exact_at_every_size(
    name: str, parameters: dict[str, Any], photographs_uint8: list[np.ndarray]
) -> None:
    codec = _codec(name, **parameters)
    images = [_noise(*size) for size in SIZES] + photographs_uint8 + [_gradient()]
    for image, decoded in zip(images, codec.decode(codec.encode(images)), strict=True):
        np.testing.assert_array_equal(decoded, image)


@pytest.mark.parametrize("name", LOSSY)
@pytest.mark.parametrize("size", SIZES)
def test_lossy_keeps_size_and_type_at_every_size(name: str, size: tuple[int, int]) -> None:
    codec = _codec(name, **LOSSY[name])
    (decoded,) = codec.decode(codec.encode([_noise(*size)]))
    assert decoded.shape == (*size, 3)
    assert decoded.dtype == np.uint8


# Greatest error of one value, and of a channel's mean over a picture, in grey levels. Video range taken for full
# range would move the mean by 8 and more, gamma and swapped channels by far more. Measured, rounded up by a quarter.
@pytest.mark.parametrize(
    ("name", "gradient_max", "gradient_mean", "photograph_mean"),
    [
        ("jpeg", 4, 0.15, 0.4),
        ("jpeg-tuned", 4, 0.15, 0.4),
        ("jpeg2000", 1, 0.1, 0.4),
        ("webp", 5, 0.25, 0.4),
        ("avif", 4, 0.15, 0.45),
        ("jxl", 14, 0.15, 0.7),
        ("heic", 5, 0.25, 0.4),
    ],
)
def test_lossy_shifts_neither_range_nor_colour(
    name: str,
    gradient_max: float,
    gradient_mean: float,
    photograph_mean: float,
    photographs_uint8: list[np.ndarray],
) -> None:
    codec = _codec(name, **LOSSY[name])
    gradient = _gradient()
    (decoded,) = codec.decode(codec.encode([gradient]))
    difference = decoded.astype(int) - gradient
    assert np.abs(difference).max() <= gradient_max
    assert np.abs(difference.mean((0, 1))).max() <= gradient_mean
    for image, decoded in zip(photographs_uint8, codec.decode(codec.encode(photographs_uint8)), strict=True):
        assert np.abs((decoded.astype(int) - image).mean((0, 1))).max() <= photograph_mean


@pytest.mark.parametrize("name", LOSSY)
@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
def test_lossy_keeps_a_flat_grey(name: str, level: int) -> None:
    codec = _codec(name, **LOSSY[name])
    image = np.full((32, 24, 3), level, np.uint8)
    (decoded,) = codec.decode(codec.encode([image]))
    assert np.abs(decoded.astype(int) - level).max() <= 1  # rounding of a colour transform


@pytest.mark.parametrize("name", [name for name in NAMES if "progressive" not in name])  # there the points rise
def test_rate_and_quality_increase_along_the_sweep(name: str, photographs_uint8: list[np.ndarray]) -> None:
    lossy = [settings for settings in codec_class(name).sweep if "lossless" not in settings]
    fast = {"speed": 9} if name == "avif" else {}
    codecs = [_codec(name, **settings, **fast) for settings in lossy]
    rates = [sum(map(len, codec.encode(photographs_uint8))) for codec in codecs]
    assert rates == sorted(set(rates))
    quality = [_mean_psnr_db(codec, photographs_uint8) for codec in codecs]
    assert quality == sorted(quality)


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_is_a_complete_file_for_other_software(name: str, photographs_uint8: list[np.ndarray]) -> None:
    codec = _codec(name, **LOSSY.get(name, {}))
    (stream,) = codec.encode(photographs_uint8[:1])
    assert isinstance(stream, bytes)
    assert SIGNATURES[name] in stream[:16]
    with Image.open(io.BytesIO(stream)) as image:
        assert (image.format, image.size, image.mode) == (codec.format, (64, 64), "RGB")  # type: ignore[attr-defined]
        np.testing.assert_array_equal(np.asarray(image), codec.decode([stream])[0])


@pytest.mark.parametrize("name", NAMES)
def test_streams_are_the_same_each_time_and_in_any_batch(name: str, photographs_uint8: list[np.ndarray]) -> None:
    codec = _codec(name)
    batch = codec.encode(photographs_uint8[:3])
    again = _codec(name)
    assert batch == [again.encode([image])[0] for image in photographs_uint8[:3]]


@pytest.mark.parametrize("name", NAMES)
def test_no_prefix_of_a_stream_decodes(name: str, photographs_uint8: list[np.ndarray]) -> None:
    codec = _codec(name)
    (stream,) = codec.encode([photographs_uint8[1][:24, :24]])
    for length in range(len(stream)):
        with pytest.raises(StreamError, match=name):
            codec.decode([stream[:length]])


@pytest.mark.parametrize("name", NAMES)
def test_junk_and_other_formats_are_stream_errors(name: str, photographs_uint8: list[np.ndarray]) -> None:
    codec = _codec(name)
    bmp = io.BytesIO()
    Image.fromarray(photographs_uint8[0]).save(bmp, "BMP")
    others = [
        get_codec(other).encode(photographs_uint8[:1])[0]
        for other in ("png", "jpeg")
        if SIGNATURES[other] != SIGNATURES[name]
    ]
    for stream in [b"\0" * 100, bytes(range(256)) * 4, bmp.getvalue(), *others]:
        with pytest.raises(StreamError, match=name):
            codec.decode([stream])


@pytest.mark.parametrize("name", NAMES)
def test_an_image_of_another_type_or_shape_is_refused(name: str) -> None:
    codec = _codec(name)
    for image in [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)]:
        with pytest.raises(ValueError, match=r"expected uint8 \[H, W, 3\]"):
            codec.encode([image])


@pytest.mark.parametrize("name", NAMES)
def test_too_many_pixels_are_refused_in_both_directions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = _codec(name)
    image = np.zeros((20, 30, 3), np.uint8)
    (stream,) = codec.encode([image])
    monkeypatch.setattr(_pillow, "MAX_PIXELS", 599)
    with pytest.raises(StreamError, match="20 x 30 pixels, more than the 599"):
        codec.decode([stream])
    with pytest.raises(ValueError, match="got 20 x 30"):
        codec.encode([image])


@pytest.mark.parametrize(("name", "side"), [("jpeg", 65500), ("webp", 16383), ("avif", 32768), ("heic", 16384)])
def test_the_longest_side_works_and_one_more_is_refused(name: str, side: int) -> None:
    codec = _codec(name)
    with pytest.raises(ValueError, match=f"at most {side} pixels a side"):
        codec.encode([np.zeros((1, side + 1, 3), np.uint8)])
    assert codec.decode(codec.encode([np.zeros((1, side, 3), np.uint8)]))[0].shape == (1, side, 3)


def test_a_small_png_with_a_huge_header_size_is_refused_at_its_header() -> None:
    header = struct.pack(">IIBBBBB", 2**20, 2**20, 8, 2, 0, 0, 0)
    chunks = [b"IHDR" + header, b"IDAT" + zlib.compress(b"")]
    framed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    stream = b"\x89PNG\r\n\x1a\n" + b"".join(framed)
    with pytest.raises(StreamError, match=r"png: .* exceeds limit of .* pixels"):
        get_codec("png").decode([stream])


def test_a_flipped_bit_in_a_png_is_detected(photographs_uint8: list[np.ndarray]) -> None:
    codec = get_codec("png")
    (stream,) = codec.encode(photographs_uint8[:1])
    for position in range(8, len(stream), 97):
        damaged = bytearray(stream)
        damaged[position] ^= 4
        with pytest.raises(StreamError):
            codec.decode([bytes(damaged)])


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_a_file_that_is_not_rgb_is_refused(mode: str) -> None:
    file = io.BytesIO()
    Image.new(mode, (4, 4)).save(file, "PNG")
    with pytest.raises(StreamError, match=f"of mode {mode}, expected one of mode RGB"):
        get_codec("png").decode([file.getvalue()])


@pytest.mark.parametrize("name", ["webp", "jxl"])
def test_lossless_with_a_quality_is_refused(name: str) -> None:
    with pytest.raises(ParameterError, match="leave quality out"):
        codec_class(name)(lossless=True, quality=3)
    again = dict(part.split("=") for part in codec_class(name)(lossless=True).setting.split(","))
    assert codec_class(name)(**again).values["lossless"] is True  # the setting's own text makes it again


@pytest.mark.parametrize("name", NAMES)
def test_bits_of_a_black_pixel_are_reported_with_the_rate(name: str, photographs_uint8: list[np.ndarray]) -> None:
    codec = _codec(name)
    (row, *_) = measure_images(codec, codec, photographs_uint8[:1]).rows
    assert row["black_pixel_bits"] == 8 * len(codec.encode([np.zeros((1, 1, 3), np.uint8)])[0])
    assert 0 < row["black_pixel_bits"] < 8 * len(codec.encode(photographs_uint8[:1])[0])
