"""Settings and libraries of each baseline: the file has the requested settings."""

from __future__ import annotations

import importlib.metadata
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from uqdm.codec import CodecUnavailableError, ParameterError, codec_class, get_codec
from uqdm_baselines import _pillow
from uqdm_baselines.jxl import _size


def _sampling_factors(stream: bytes) -> list[int]:
    """Sampling factors of the components, from the frame header (ITU-T T.81, B.2.2); SOF0 is the baseline process."""
    start = stream.index(b"\xff\xc0")
    return [stream[start + 11 + 3 * component] for component in range(3)]


def test_jpeg_is_baseline_and_420(photographs_uint8: list[np.ndarray]) -> None:
    (stream,) = get_codec("jpeg", quality=100).encode(photographs_uint8[:1])
    assert _sampling_factors(stream) == [0x22, 0x11, 0x11]
    assert b"\xff\xc2" not in stream  # SOF2, progressive


@pytest.mark.parametrize("name", ["jpeg", "jpeg-progressive", "jpeg-tuned"])
def test_jpeg_files_of_noise_are_written(name: str) -> None:
    """Their size is more than Pillow expects."""
    noise = 255 * np.random.default_rng(0).integers(0, 2, (300, 300, 3), dtype=np.uint8)
    for quality in (50, 93, 95, 100):
        codec = get_codec(name, quality=quality)
        assert codec.decode(codec.encode([noise]))[0].shape == noise.shape


def test_tuned_jpeg_has_flat_tables_and_the_requested_chroma(photographs_uint8: list[np.ndarray]) -> None:
    for subsampling, luma in (("4:4:4", 0x11), ("4:2:2", 0x21), ("4:2:0", 0x22)):
        codec = get_codec("jpeg-tuned", quality=90, subsampling=subsampling, scans="sequential")
        (stream,) = codec.encode(photographs_uint8[:1])
        assert _sampling_factors(stream) == [luma, 0x11, 0x11]
        with Image.open(io.BytesIO(stream)) as image:
            assert {tuple(table) for table in image.quantization.values()} == {(3,) * 64}  # type: ignore[attr-defined]


def test_tuned_bpg_defaults_to_444() -> None:
    assert get_codec("bpg-tuned", quality=20).values["pixel_format"] == "444"
    assert get_codec("bpg-tuned", quality=20, pixel_format="420").values["pixel_format"] == "420"
    assert get_codec("bpg-tuned", lossless=True).values["pixel_format"] == "rgb"


def test_tuned_jpeg_keeps_the_shorter_of_two_files_with_the_same_picture(photographs_uint8: list[np.ndarray]) -> None:
    tile = photographs_uint8[0]
    large = np.concatenate([np.concatenate(photographs_uint8[:4]), np.concatenate(photographs_uint8[4:])], axis=1)
    for image, shorter in ((tile, "sequential"), (np.tile(large, (2, 2, 1)), "progressive")):
        codecs = {scans: get_codec("jpeg-tuned", quality=75, scans=scans) for scans in ("sequential", "progressive")}
        streams = {scans: codec.encode([image])[0] for scans, codec in codecs.items()}
        assert min(streams, key=lambda scans: len(streams[scans])) == shorter
        assert get_codec("jpeg-tuned", quality=75).encode([image]) == [streams[shorter]]
        pictures = [get_codec("jpeg-tuned").decode([stream])[0] for stream in streams.values()]
        np.testing.assert_array_equal(*pictures)


def test_tuned_jpeg_with_the_standards_tables_is_the_papers_file(photographs_uint8: list[np.ndarray]) -> None:
    given = {"subsampling": "4:2:0", "tables": "annex-k", "scans": "sequential"}
    for quality in (1, 50, 100):
        streams = get_codec("jpeg-tuned", quality=quality, **given).encode(photographs_uint8)
        assert streams == get_codec("jpeg", quality=quality).encode(photographs_uint8)


def test_jpeg_tables_are_those_of_the_quality(photographs_uint8: list[np.ndarray]) -> None:
    (stream,) = get_codec("jpeg", quality=50).encode(photographs_uint8[:1])
    with Image.open(io.BytesIO(stream)) as image:
        assert image.quantization[0][:4] == [16, 11, 10, 16]  # type: ignore[attr-defined] # ITU-T T.81, table K.1


@pytest.mark.parametrize(("transform", "colour", "wavelet"), [("none-5/3", 0, 1), ("rct-5/3", 1, 1), ("ict-9/7", 1, 0)])
def test_jpeg2000_codes_the_requested_layers_and_transform(
    transform: str, colour: int, wavelet: int, photographs_uint8: list[np.ndarray]
) -> None:
    (stream,) = get_codec("jpeg2000", layers="20,10,5", transform=transform).encode(photographs_uint8[:1])
    style = stream.index(b"\xff\x52")  # COD marker segment (ITU-T T.800, A.6.1)
    progression, layers = stream[style + 5], int.from_bytes(stream[style + 6 : style + 8], "big")
    assert (progression, layers) == (0, 3)  # 0 is layer, resolution, component, position
    assert stream[style + 8] == colour  # 1: component transform on
    assert stream[style + 13] == wavelet  # 1: reversible 5/3


def test_jpeg2000_ratios_are_whole_file_ratios(photographs_uint8: list[np.ndarray]) -> None:
    image = np.concatenate([np.concatenate(photographs_uint8[:4]), np.concatenate(photographs_uint8[4:])], axis=1)
    for ratio, layers in [(20, "20"), (10, "20,10"), (5, "20,10,5")]:
        (stream,) = get_codec("jpeg2000", layers=layers).encode([image])
        # OpenJPEG aims at the ratio from below; 300 bytes are more than its boxes, headers and last code-block pass
        assert image.nbytes / ratio - 300 <= len(stream) <= image.nbytes / ratio + 300


def test_jpeg2000_with_a_colour_transform_is_better_at_equal_rate(photographs_uint8: list[np.ndarray]) -> None:
    def error(transform: str) -> float:
        codec = get_codec("jpeg2000", layers="20,10,5", transform=transform)
        decoded = codec.decode(codec.encode(photographs_uint8))
        return float(np.mean((np.array(decoded, float) - np.array(photographs_uint8)) ** 2))

    assert error("ict-9/7") < error("none-5/3")


def test_jpeg2000_refuses_other_layers() -> None:
    with pytest.raises(ParameterError, match="choose one of 20, 20,10"):
        get_codec("jpeg2000", layers="7")


@pytest.mark.parametrize(("subsampling", "flags"), [("4:4:4", 0), ("4:2:2", 0x08), ("4:2:0", 0x0C)])
def test_avif_has_the_requested_subsampling(subsampling: str, flags: int, photographs_uint8: list[np.ndarray]) -> None:
    pytest.importorskip("pillow_avif")
    (stream,) = get_codec("avif", subsampling=subsampling, speed=9).encode(photographs_uint8[:1])
    # The AV1 configuration box: third byte, chroma_subsampling_x and _y (AV1 in ISOBMFF, 2.3.3)
    assert stream[stream.index(b"av1C") + 6] & 0x0C == flags


def test_avif_is_coded_by_the_plugin_named_in_the_version(photographs_uint8: list[np.ndarray]) -> None:
    plugin = pytest.importorskip("pillow_avif.AvifImagePlugin")
    codec = get_codec("avif", speed=9)
    (stream,) = codec.encode(photographs_uint8[:1])
    assert codec.version.startswith(f"pillow-avif-plugin {importlib.metadata.version('pillow-avif-plugin')}, libavif ")
    assert Image.SAVE["AVIF"].__module__ == plugin.__name__
    with _pillow.open_image(stream, "AVIF") as image:
        assert isinstance(image, plugin.AvifImageFile)


def test_avif_refuses_to_run_under_another_encoders_name(
    photographs_uint8: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pillow_avif")
    codec = get_codec("avif")
    monkeypatch.setitem(Image.SAVE, "AVIF", Image.SAVE["PNG"])
    with pytest.raises(RuntimeError, match="another package has replaced"):
        codec.encode(photographs_uint8[:1])


def test_avif_is_tuned_for_psnr(photographs_uint8: list[np.ndarray]) -> None:
    """libaom's default for still pictures costs a decibel and more at equal rate."""
    pytest.importorskip("pillow_avif")

    def rate_and_error(quality: int, tuned: bool) -> tuple[int, float]:
        codec = get_codec("avif", quality=quality, speed=6)
        options = codec.save_options()  # type: ignore[attr-defined]
        if not tuned:
            del options["advanced"]
            codec.save_options = lambda: options  # type: ignore[attr-defined]
        streams = codec.encode(photographs_uint8)
        squares = (np.array(codec.decode(streams), float) - np.array(photographs_uint8)) ** 2
        return sum(map(len, streams)), float(squares.mean())

    (rate, error), (default_rate, default_error) = rate_and_error(70, True), rate_and_error(84, False)
    assert rate < default_rate
    assert error < default_error


def _psnr_db(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


def test_avif_at_quality_100_loses_only_rounding(photographs_uint8: list[np.ndarray]) -> None:
    """By libyuv's conversion it has 49.7 dB; the three planes rounded to integers have some 53.5."""
    pytest.importorskip("pillow_avif")
    codec = get_codec("avif", quality=100, speed=8)
    decoded = codec.decode(codec.encode(photographs_uint8))
    pairs = list(zip(decoded, photographs_uint8, strict=True))
    assert np.mean([_psnr_db(*pair) for pair in pairs]) > 52.8
    assert max(np.abs(one.astype(int) - other).max() for one, other in pairs) <= 3


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (64, 64)])
def test_avif_has_no_alpha_plane(size: tuple[int, int], photographs_uint8: list[np.ndarray]) -> None:
    pytest.importorskip("pillow_avif")
    (stream,) = get_codec("avif", speed=9).encode([photographs_uint8[0][: size[0], : size[1]]])
    assert b"auxC" not in stream  # the property of an alpha item (ISO/IEC 23008-12, 6.5.8)
    assert stream.count(b"infe") == 1  # one item in all


@pytest.mark.skipif(shutil.which("avifdec") is None, reason="avifdec is not on PATH")
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_avifdec_and_the_codec_decode_the_same_picture(
    subsampling: str, tmp_path: Path, photographs_uint8: list[np.ndarray]
) -> None:
    pytest.importorskip("pillow_avif")
    codec = get_codec("avif", quality=90, subsampling=subsampling, speed=8)
    (stream,) = codec.encode(photographs_uint8[:1])
    (decoded,) = codec.decode([stream])
    file, picture = tmp_path / "a.avif", tmp_path / "a.png"
    file.write_bytes(stream)
    subprocess.run(["avifdec", str(file), str(picture)], check=True, capture_output=True)
    with Image.open(picture) as image:
        assert image.mode == "RGB"
        assert np.abs(np.asarray(image).astype(int) - decoded).max() <= 2  # of another version of libyuv


@pytest.mark.parametrize(
    ("settings", "chroma"),
    [({}, 3), ({"subsampling": "4:2:2"}, 2), ({"subsampling": "4:2:0"}, 1), ({"lossless": True}, 3)],
)
def test_heic_has_the_requested_subsampling(
    settings: dict[str, Any], chroma: int, photographs_uint8: list[np.ndarray]
) -> None:
    pytest.importorskip("pillow_heif")
    (stream,) = get_codec("heic", **settings).encode(photographs_uint8[:1])
    # The HEVC configuration box: chroma_format_idc, after segmentation and parallelism (ISO 14496-15, 8.3.3)
    assert stream[stream.index(b"hvcC") + 4 + 16] & 3 == chroma


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (64, 64), (48, 64), (64, 36), (1, 600), (9000, 3), (256, 264)])
def test_jxl_size_headers_are_parsed(size: tuple[int, int]) -> None:
    pytest.importorskip("pillow_jxl")
    (stream,) = get_codec("jxl").encode([np.zeros((*size, 3), np.uint8)])
    assert _size(stream[2:]) == size


@pytest.mark.parametrize("name", ["jpeg", "jpeg2000", "png", "webp"])
def test_the_version_names_pillow_and_its_library(name: str) -> None:
    version = get_codec(name).version
    assert re.fullmatch(rf"Pillow {re.escape(Image.__version__)}, [\w-]+ \d[\w.]*", version)


def test_the_version_of_jxl_names_plugin_and_libjxl() -> None:
    pytest.importorskip("pillow_jxl")
    assert re.fullmatch(r"pillow-jxl-plugin [\d.]+(, libjxl [\d.]+)?", get_codec("jxl").version)


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("avif", "pillow_avif", "codecs"), ("jxl", "pillow_jxl", "codecs"), ("heic", "pillow_heif", "heic")],
)
def test_a_missing_plugin_is_reported_with_a_remedy(
    name: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in [key for key in sys.modules if key.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)  # import then fails as if it were not installed
    with pytest.raises(CodecUnavailableError, match=rf'does not import: .*; pip install "uqdm\[{extra}\]"'):
        get_codec(name)


@pytest.mark.parametrize("name", ["jpeg", "jpeg2000", "png", "webp"])
def test_a_pillow_without_the_library_is_reported_with_a_remedy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda feature: False)
    with pytest.raises(CodecUnavailableError, match=r"was built without .*; install a Pillow wheel"):
        get_codec(name)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("jpeg", {"quality": 0}, "at least 1"),
        ("jpeg", {"quality": 50.5}, "expected int"),
        ("jxl", {"quality": 100}, "at most 99"),
        ("webp", {"qualty": 1}, "did you mean quality"),
        ("avif", {"subsampling": "4:1:1"}, "choose one of 4:4:4"),
        ("png", {"level": 1}, "it takes: none"),
        ("heic", {"lossless": True, "subsampling": "4:2:0"}, "leave subsampling out"),
        ("jpeg2000-tuned", {"ratio": 0.5}, "at least 1"),
    ],
)
def test_a_wrong_parameter_is_reported_before_anything_runs(
    name: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        codec_class(name)(**parameters)
