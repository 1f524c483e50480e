"""Checks that a codec reproduces pictures: the checks of ``uqdm doctor``.

At every setting, the round trip of a photograph must fulfil the contract. The best lossy setting and one lossless
setting are then checked further: other pictures must be reproduced within a stated error, or exactly; black and white
must keep their values; and the picture must not be shifted by a part of a pixel. A codec of low rates need not do all
that: its pictures must resemble the originals, and be in their places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from uqdm.bench.evaluation.measure import measure_images
from uqdm.bench.metrics.mse import mse
from uqdm.bench.metrics.psnr import psnr_db
from uqdm.bench.run.codec_settings import CodecSetting
from uqdm.bench.schema import STATUS_OK
from uqdm.codec import Codec, get_codec
from uqdm.text import counted

# The minimum that a codec's best setting must reach. A correct codec is far above; swapped channels, a wrong matrix
# or a lost plane are far below. Noise is grey, since many formats store colour at half resolution.
MIN_PSNR_DB: Mapping[str, float] = {"gradient": 38.0, "noise": 20.0, "photograph": 30.0}
LOW_BPP = 1.5
"""A codec that has fewer bits per pixel than this for the photograph, at its best setting, is one of low rates."""
LOW_MIN_PSNR_DB: Mapping[str, float] = {"gradient": 17.0, "photograph": 18.0}
"""The minimum for such a codec; with swapped channels the gradient has 15.5 dB, the photograph 16.5."""
MAX_LEVEL_ERROR = 2.0
"""Maximum error of the mean of a flat picture, in grey levels; video range read as full range is 16 off."""
MAX_SLOPE_ERROR = 0.03
"""Maximum error of the slope of decoded against original values; video range read as full range is 0.14 off."""
MAX_SHIFT_PX = {"brightness": 0.1, "colour": 0.25}
"""Maximum shift in pixels. A shift by half a pixel, or by half a sample of colour at half resolution, is 0.5."""
FLAT_LEVELS = (0, 16, 128, 235, 255)

_SIDE = 64  # pixels


@dataclass(frozen=True)
class Check:
    """A check of a codec, whether it passed, and the figures."""

    name: str
    ok: bool
    detail: str = ""


def self_test(codec_settings: Sequence[CodecSetting]) -> list[Check]:
    """Runs all checks on the settings of one codec, which must be available on this machine.

    >>> all(check.ok for check in self_test([CodecSetting("png")]))
    True
    """
    photograph = _photograph()
    if codec_settings[0].ideal:
        return list(_check_ideal([get_codec(one.name, **one.parameters) for one in codec_settings], photograph))
    errors: list[tuple[float, Codec]] = []
    rates_bpp: dict[Codec, float] = {}
    failures = []
    for codec_setting in codec_settings:
        codec = get_codec(codec_setting.name, **codec_setting.parameters)
        measured = measure_images(codec, codec, [photograph])
        failed = [row["error"] for row in measured.rows if row["status"] != STATUS_OK]
        failures += [f"{codec.setting or 'default'}: {reason}" for reason in failed]
        streams = [stream for stream in measured.streams if stream is not None]
        rates_bpp[codec] = 8 * sum(map(len, streams)) / (photograph.shape[0] * photograph.shape[1])
        whole = [] if failed else codec.decode(streams)
        errors += [(mse(photograph, decoded), codec) for decoded in whole]
    checks = [Check("round trip", not failures, "; ".join(failures[:2]) or counted(len(codec_settings), "setting"))]
    for codec, exact in _best(errors):
        found = _check_codec(codec, photograph, exact=exact, low=rates_bpp[codec] < LOW_BPP)
        kind = "lossless" if exact else "lossy"
        checks += [replace(check, name=f"{kind}: {check.name}") for check in found]
    return checks


def _check_ideal(codecs: Sequence[Codec], photograph: np.ndarray) -> Iterator[Check]:
    """Checks codecs without files: rates at every point, and pictures that improve from point to point."""
    for codec in codecs:
        measured = measure_images(codec, codec, [photograph])
        failed = [row["error"] for row in measured.rows if row["status"] != STATUS_OK]
        yield Check("rates and pictures", not failed, failed[0] if failed else counted(len(measured.rows), "picture"))
        if failed:
            continue
        best_db: dict[str, float] = {}
        for found in codec.reconstructions(measured.streams[0] or b""):
            best_db[found.point.name] = max(
                psnr_db(photograph, found.image_uint8), best_db.get(found.point.name, -np.inf)
            )
        found_db = list(best_db.values())
        rising = found_db == sorted(found_db)
        yield Check("better with every point", rising, ", ".join(f"{db:.1f} dB" for db in found_db))


def _best(errors: Sequence[tuple[float, Codec]]) -> Iterator[tuple[Codec, bool]]:
    """The worst codec that must be exact (it was, or claims to be lossless), and the best of the others."""
    must = [(error, codec) for error, codec in errors if error == 0 or codec.values.get("lossless") is True]
    for exact, group in ((True, must), (False, [pair for pair in errors if pair not in must])):
        if group:
            worst_or_best = max if exact else min
            yield worst_or_best(group, key=lambda pair: pair[0])[1], exact


def _check_codec(codec: Codec, photograph: np.ndarray, *, exact: bool, low: bool) -> list[Check]:
    if low and not exact:
        return _check_low_rates(codec, photograph)
    pictures = {"gradient": _gradient(), "noise": _noise(), "photograph": photograph}
    flats = [np.full((32, 24, 3), level, np.uint8) for level in FLAT_LEVELS]
    try:
        decoded = codec.decode(codec.encode([*pictures.values(), *flats]))
    except Exception as error:
        return [Check("test pictures", False, f"{type(error).__name__}: {error}")]
    returned = dict(zip(pictures, decoded, strict=False))
    return [
        *_identity(pictures, returned, least_db=None if exact else MIN_PSNR_DB),
        _slope(pictures["gradient"], returned["gradient"]),
        _levels(decoded[len(pictures) :]),
        *_shifts(photograph, returned["photograph"]),
    ]


def _check_low_rates(codec: Codec, photograph: np.ndarray) -> list[Check]:
    pictures = {"gradient": _gradient(), "photograph": photograph}
    try:
        decoded = codec.decode(codec.encode(list(pictures.values())))
    except Exception as error:
        return [Check("test pictures", False, f"{type(error).__name__}: {error}")]
    returned = dict(zip(pictures, decoded, strict=True))
    return [
        *_identity(pictures, returned, least_db=LOW_MIN_PSNR_DB),
        *_shifts(photograph, returned["photograph"], ("brightness",)),
    ]


def _identity(
    pictures: Mapping[str, np.ndarray], returned: Mapping[str, np.ndarray], *, least_db: Mapping[str, float] | None
) -> Iterator[Check]:
    """Checks the error of each picture, which must be exact if ``least_db`` is None."""
    exact = least_db is None
    for name, picture in pictures.items():
        found_db = psnr_db(picture, returned[name])
        least = np.inf if least_db is None else least_db[name]
        asked = "must be exact" if exact else f"at least {least:g}"
        yield Check(name, bool(found_db >= least), "exact" if found_db == np.inf else f"{found_db:.1f} dB, {asked}")


def _slope(gradient: np.ndarray, returned: np.ndarray) -> Check:
    """Checks the contrast: the slope of decoded against original values, in each channel."""
    slopes = [np.polyfit(gradient[..., c].ravel(), returned[..., c].ravel().astype(float), 1)[0] for c in range(3)]
    worst = max(slopes, key=lambda slope: abs(slope - 1))
    return Check("contrast", bool(abs(worst - 1) <= MAX_SLOPE_ERROR), f"{worst:.4f} of the original")


def _levels(flats: Sequence[np.ndarray]) -> Check:
    """Checks the range: the mean of each channel of flat greys."""
    pairs = zip(flats, FLAT_LEVELS, strict=True)
    worst = max((np.abs(flat.mean((0, 1)) - level).max(), level) for flat, level in pairs)
    return Check("range", bool(worst[0] <= MAX_LEVEL_ERROR), f"at most {worst[0]:.2f} levels off, at {worst[1]}")


_PLANES = {"brightness": [(1, 1, 1)], "colour": [(2, -1, -1), (-1, -1, 2)]}


def _shifts(photograph: np.ndarray, returned: np.ndarray, names: Iterable[str] = tuple(_PLANES)) -> Iterator[Check]:
    for name in names:
        original, decoded = (
            [image @ np.array(row, float) for row in _PLANES[name]] for image in (photograph, returned)
        )
        shift_px = max(map(shift_of, original, decoded), key=lambda pair: max(map(abs, pair)))
        ok = max(map(abs, shift_px)) <= MAX_SHIFT_PX[name]
        yield Check(f"{name} in place", ok, f"{shift_px[0]:+.3f} px down, {shift_px[1]:+.3f} px right")


def shift_of(original: np.ndarray, decoded: np.ndarray) -> tuple[float, float]:
    """The shift of a decoded plane [H, W] down and right, in pixels, by least squares on the slopes of the original.

    Exact for small shifts of smooth pictures; large shifts are underestimated, but not near zero. Blur has no effect.

    >>> plane = np.add.outer(np.arange(9.0) ** 2, np.arange(9.0) ** 2)
    >>> moved = np.add.outer((np.arange(9) - 0.5) ** 2, np.arange(9.0) ** 2)
    >>> [round(value, 2) for value in shift_of(plane, moved)]
    [0.5, 0.0]
    """
    centre = slice(1, -1)
    down, right = (slope[centre, centre].ravel() for slope in np.gradient(original))
    # The columns of the original and of ones fit a change of contrast or brightness, which other checks cover.
    columns = np.stack([-down, -right, original[centre, centre].ravel(), np.ones(down.size)], axis=1)
    solved = np.linalg.lstsq(columns, (decoded - original)[centre, centre].ravel(), rcond=None)[0]
    return float(solved[0]), float(solved[1])


def _photograph() -> np.ndarray:
    from uqdm.bench.datasets import open_dataset

    return open_dataset("demo", limit=1).load(0)


def _gradient() -> np.ndarray:
    """Red rises to the right, green upwards, blue is their mean; each from 0 to 255."""
    ramp = np.linspace(0, 255, _SIDE)
    red, green = np.meshgrid(ramp, ramp[::-1])
    return np.stack([red, green, (red + green) / 2], axis=-1).round().astype(np.uint8)


def _noise() -> np.ndarray:
    """Grey noise, uniform over all levels."""
    plane = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 1), dtype=np.uint8)
    return np.repeat(plane, 3, axis=2)
