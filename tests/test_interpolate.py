"""Interpolations of a faithful and a realistic picture: names, pixels, and what is unchanged from the inner codec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from small_models import FREE_SLOPE, small_codec

from uqdm.bench.evaluation.measure import measure_images
from uqdm.bench.run.codec_settings import parse_request, resolve
from uqdm.bench.schema import STATUS_OK
from uqdm.codec import Codec, ParameterError, Point, Reconstruction, UnknownCodecError, get_codec
from uqdm.interpolate import Interpolated, interpolate, lambda_of, mix


class Ways(Codec):
    """A codec that stores raw bytes; its first point has three reconstructions, in another order."""

    name = "ways"
    version = "1"
    suffix = ".ways"
    varying_reconstructions = frozenset({"real"})

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        return [image.tobytes() for image in images]

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        return [np.frombuffer(stream, np.uint8).reshape(2, -1, 3) for stream in streams]

    def points(self, stream: bytes) -> list[Point]:
        return [Point("half", len(stream) // 2, ("real", "other", "mean")), Point("full", len(stream), ("exact",))]

    def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
        half, full = self.points(stream)
        (image,) = self.decode([stream])
        yield Reconstruction(half, "real", image ^ np.uint8(255), 5.0, calls=4, macs=40)
        yield Reconstruction(half, "other", image)
        yield Reconstruction(half, "mean", np.full_like(image, 128), 3.0, calls=2, macs=20)
        yield Reconstruction(full, "exact", image, 7.0)


IMAGE = np.random.default_rng(0).integers(0, 256, (2, 4, 3), dtype=np.uint8)


@pytest.fixture
def codec() -> Codec:
    return interpolate(Ways(), [0, 0.25, 1], mmse="mean", realistic="real")


def test_interpolation_keeps_the_codec_contract(codec: Codec) -> None:
    rows = measure_images(codec, codec, [IMAGE]).rows
    assert {row["status"] for row in rows} == {STATUS_OK}
    assert [(row["point"], row["reconstruction"], row["file_bits"]) for row in rows] == [
        ("half", "lambda 0", 96),
        ("half", "lambda 0.25", 96),
        ("half", "lambda 1", 96),
        ("full", "exact", 192),
    ]
    assert codec.suffix == ".ways"
    assert codec.version == "1"


def test_pixels_are_interpolated_and_ends_unchanged(codec: Codec) -> None:
    (stream,) = codec.encode([IMAGE])
    faithful, quarter, real, exact = (found.image_uint8 for found in codec.reconstructions(stream))
    assert (faithful == 128).all()
    np.testing.assert_array_equal(real, 255 - IMAGE)
    assert np.abs(quarter - (0.75 * 128 + 0.25 * (255.0 - IMAGE))).max() <= 0.5
    np.testing.assert_array_equal(exact, IMAGE)
    np.testing.assert_array_equal(codec.decode([stream])[0], exact)


def test_costs_are_the_sum_of_the_ends_used(codec: Codec) -> None:
    found = list(codec.reconstructions(codec.encode([IMAGE])[0]))
    costs = [(each.decode_ms, each.calls, each.macs) for each in found]
    assert costs == [(3, 2, 20), (8, 6, 60), (5, 4, 40), (7, None, None)]


def test_only_mixtures_of_varying_pictures_vary_between_machines(codec: Codec) -> None:
    assert codec.varying_reconstructions == {"real", "lambda 0.25", "lambda 1"}


def test_mixed_last_point_decodes_to_its_last_picture() -> None:
    class Whole(Ways):
        def points(self, stream: bytes) -> list[Point]:
            return [Point("half", len(stream), ("real", "other", "mean"))]

        def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
            (point,) = self.points(stream)
            image = self.decode([stream])[0]
            yield Reconstruction(point, "mean", np.full_like(image, 128))
            yield Reconstruction(point, "other", image)
            yield Reconstruction(point, "real", image ^ np.uint8(255))

    codec = interpolate(Whole(), 0.5, mmse="mean", realistic="real")
    (stream,) = codec.encode([IMAGE])
    np.testing.assert_array_equal(codec.decode([stream])[0], mix(np.full_like(IMAGE, 128), 255 - IMAGE, 0.5))


@pytest.mark.parametrize(
    ("lam", "message"),
    [("", "expected numbers"), ("0,x", "expected numbers"), ("-0.1", "0..1"), ("0,1.5", "0..1"), ("nan", "0..1")],
)
def test_invalid_lambda_is_refused(lam: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Interpolated(inner=Ways(), lam=lam)
    with pytest.raises(ParameterError, match="repeated"):
        Interpolated(inner=Ways(), lam="0.5,0.50")


def test_lambda_names_are_ordered_and_round_trip() -> None:
    codec = Interpolated(inner=Ways(), lam="1,0.50,0")
    assert codec.names == ("lambda 0", "lambda 0.5", "lambda 1")
    assert list(map(lambda_of, codec.names)) == [0, 0.5, 1]
    assert "lam=0,0.5,1" in codec.setting


def test_wrong_codecs_and_reconstructions_are_refused() -> None:
    with pytest.raises(UnknownCodecError, match="did you mean uqdm"):
        get_codec("interpolate", codec="uqmd")
    with pytest.raises(ParameterError, match="key=value"):
        get_codec("interpolate", codec="uqdm:seed")
    with pytest.raises(ParameterError, match="two reconstructions"):
        interpolate(Ways(), 0.5, mmse="mean", realistic="mean")
    codec = get_codec("interpolate", codec="png")
    with pytest.raises(ParameterError, match=r"no point of png has both 'denoise' and 'ancestral'; .*: decoded"):
        codec.points(codec.encode([IMAGE])[0])


@pytest.mark.parametrize("realistic", ["ancestral", "flow"])
def test_interpolated_uqdm_from_a_configuration_text(
    tmp_path: Path, realistic: str, photographs_uint8: list[np.ndarray]
) -> None:
    small_codec(tmp_path, FREE_SLOPE)
    text = f"interpolate:codec=uqdm:model={tmp_path};reconstruct=denoise+{realistic},lam=0,0.5,1,realistic={realistic}"
    (codec_setting,) = resolve([parse_request(text)])["interpolate"]
    assert parse_request(f"interpolate:{codec_setting.setting}").parameters == codec_setting.parameters
    codec = get_codec(codec_setting.name, **codec_setting.parameters)
    plain = get_codec("uqdm", model=str(tmp_path))
    (stream,) = codec.encode([photographs_uint8[0][:8, :8]])
    assert stream == plain.encode([photographs_uint8[0][:8, :8]])[0]
    own = {(found.point.name, found.name): found.image_uint8 for found in plain.reconstructions(stream)}
    found = {(each.point.name, each.name): each.image_uint8 for each in codec.reconstructions(stream)}
    assert len(found) == 5 * 3 + 1  # steps 0 to 4, and lossless
    for step in range(5):
        ends = own[f"step {step}", "denoise"], own[f"step {step}", realistic]
        for lam in (0, 0.5, 1):
            np.testing.assert_array_equal(found[f"step {step}", f"lambda {lam:g}"], mix(*ends, lam))
    np.testing.assert_array_equal(found["lossless", "exact"], photographs_uint8[0][:8, :8])
