"""Guards the self-test: correct codecs pass, and each fault fails the check that is named after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from PIL import Image

from uqdm import codec as registry
from uqdm.bench.evaluation.selftest import Check, self_test, shift_of
from uqdm.bench.run.codec_settings import CodecSetting, requests_to_check, resolve
from uqdm.codec import Codec, Parameter, codec_names, get_codec, register_codec

pytestmark = pytest.mark.slow

Fault = Callable[[np.ndarray], np.ndarray]


class Faulty(Codec):
    """PNG with a fault in the decoded picture."""

    name = "faulty"
    version = "1"
    parameters = (Parameter("lossless", bool, False),)
    fault: Fault

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        return get_codec("png").encode(images)

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        return [type(self).fault(image) for image in get_codec("png").decode(streams)]


@pytest.fixture
def checks_of() -> Iterator[Callable[..., list[Check]]]:
    register_codec(Faulty)

    def run(fault: Fault, **parameters: object) -> list[Check]:
        Faulty.fault = staticmethod(fault)
        return self_test([CodecSetting("faulty", parameters)])

    yield run
    del registry.CODECS.registered["faulty"]


def _failed(checks: list[Check]) -> set[str]:
    return {check.name for check in checks if not check.ok}


def _moved(image: np.ndarray, down: float, right: float) -> np.ndarray:
    """A picture moved by a part of a pixel, with bilinear interpolation and repeated borders."""
    height, width, _ = image.shape
    data = (1, 0, -right, 0, 1, -down)
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), "edge")
    moved = Image.fromarray(padded).transform(
        padded.shape[1::-1], Image.Transform.AFFINE, data, Image.Resampling.BILINEAR
    )
    return np.asarray(moved)[1 : height + 1, 1 : width + 1]


def _moved_colour(image: np.ndarray, right: float) -> np.ndarray:
    brightness, *colour = Image.fromarray(image).convert("YCbCr").split()
    planes = [_moved(np.repeat(np.asarray(plane)[..., None], 3, 2), 0, right)[..., 0] for plane in colour]
    merged = Image.merge("YCbCr", [brightness, *map(Image.fromarray, planes)])
    return np.asarray(merged.convert("RGB"))


def _scaled(image: np.ndarray, gain: float, offset: float) -> np.ndarray:
    return np.clip(np.round(image * gain + offset), 0, 255).astype(np.uint8)


SLOW = dict.fromkeys(("diffc", "ddcm", "turbo-ddcm", "interpolate", "uqdm"), pytest.mark.slow)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=SLOW.get(name, ())) for name in codec_names() if name != "program"]
)
def test_every_available_codec_passes_all_checks(name: str) -> None:
    codec_settings = resolve(requests_to_check(name))[name]
    if codec_settings[0].missing is not None:
        pytest.skip(codec_settings[0].missing)
    assert _failed(self_test(codec_settings)) == set()


def test_a_codec_that_returns_the_same_picture_passes_as_lossless(checks_of: Callable[..., list[Check]]) -> None:
    checks = checks_of(lambda image: image)
    assert _failed(checks) == set()
    assert {check.name.partition(":")[0] for check in checks} == {"round trip", "lossless"}


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (lambda image: _moved(image, 0.5, 0), "lossy: brightness in place"),
        (lambda image: _moved(image, 0, -0.5), "lossy: brightness in place"),
        (lambda image: _moved(image, 0.25, 0.25), "lossy: brightness in place"),
        (lambda image: _moved_colour(image, 0.5), "lossy: colour in place"),
        (lambda image: _scaled(image, 219 / 255, 16), "lossy: contrast"),
        (lambda image: _scaled(image, 219 / 255, 16), "lossy: range"),
        (lambda image: _scaled(image, 255 / 219, -16 * 255 / 219), "lossy: range"),
        (lambda image: image[..., ::-1], "lossy: gradient"),
        (lambda image: image[..., [1, 1, 1]], "lossy: gradient"),
        (lambda image: image // 64 * 64, "lossy: photograph"),
        (lambda image: image[:-1], "round trip"),
        (lambda image: image.astype(float), "round trip"),
        (lambda image: image.no_such_attribute, "round trip"),
    ],
)
def test_a_fault_is_found_by_its_check(fault: Fault, check: str, checks_of: Callable[..., list[Check]]) -> None:
    assert check in _failed(checks_of(fault))


def test_a_codec_that_claims_to_be_lossless_must_be_exact(checks_of: Callable[..., list[Check]]) -> None:
    def one_level_off(image: np.ndarray) -> np.ndarray:
        return np.where(image == 7, 8, image).astype(np.uint8)

    assert _failed(checks_of(one_level_off)) == set()
    assert _failed(checks_of(one_level_off, lossless=True)) >= {"lossless: noise"}


class LowRate(Codec):
    """WebP at a low quality, with swapped colours or not."""

    name = "low-rate"
    version = "1"
    parameters = (Parameter("swapped", bool, False),)

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        return get_codec("webp", quality=10).encode(images)

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        step = -1 if self.values["swapped"] else 1
        return [np.ascontiguousarray(image[..., ::step]) for image in get_codec("webp").decode(streams)]


def test_a_codec_of_low_rates_must_resemble_its_originals() -> None:
    register_codec(LowRate)
    try:
        checks = self_test([CodecSetting("low-rate", {})])
        assert _failed(checks) == set()
        assert {check.name for check in checks} == {
            "round trip",
            "lossy: gradient",
            "lossy: photograph",
            "lossy: brightness in place",
        }
        assert "lossy: gradient" in _failed(self_test([CodecSetting("low-rate", {"swapped": True})]))
    finally:
        del registry.CODECS.registered["low-rate"]


def test_blur_is_not_reported_as_a_shift(photographs_uint8: list[np.ndarray]) -> None:
    plane = photographs_uint8[0].mean(-1)
    blurred = plane.copy()
    blurred[1:-1, 1:-1] = (plane[:-2, 1:-1] + plane[2:, 1:-1] + plane[1:-1, :-2] + plane[1:-1, 2:]) / 4
    assert np.abs(shift_of(plane, blurred)).max() < 0.05  # not zero: the edges of the picture differ from side to side
