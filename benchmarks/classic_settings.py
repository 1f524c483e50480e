"""What classic codecs gain or lose by other settings than those of their sweeps: rate at equal PSNR.

    python benchmarks/classic_settings.py --dataset demo
    python benchmarks/classic_settings.py --dataset folder:PHOTOGRAPHS --limit 24 --codec avif --points

Each codec runs at the settings of its sweep, and at alternatives: another chroma format, transform or effort
throughout. A line has the BD-rate of an alternative against the sweep (positive: it needs more bits at equal PSNR),
the interval of PSNR that it is a mean over, and the milliseconds of one core that an image takes to encode, a mean
over the settings. "best of its formats" joins, at each rate, the better of the chroma formats as measured on these
images: it shows what the fixed choice of the sweep costs. ``--points`` prints every mean rate and PSNR.

Images are spread evenly over the data set. PSNR is the mean over images, as everywhere in the benchmark.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uqdm.bench.analysis.bjontegaard import Points, bd_rate
from uqdm.bench.datasets import open_dataset
from uqdm.bench.scoring.selection import evenly
from uqdm.codec import codec_class, get_codec

QUALITIES = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)
JPEG_QUALITIES = (1, *QUALITIES[1:])
JXL_QUALITIES = (*QUALITIES[:-1], 99)
QUANTISERS = (51, 45, 40, 35, 30, 25, 20, 15, 10, 5, 0)
CHROMA = ("4:2:0", "4:2:2", "4:4:4")


@dataclass(frozen=True)
class Variant:
    """A codec at several settings; ``is_format`` says that it differs from the sweep in the chroma format alone."""

    title: str
    codec: str
    settings: Sequence[Mapping[str, Any]]
    is_format: bool = False


@dataclass(frozen=True)
class Point:
    """Means over images at one setting."""

    setting: str
    bpp: float
    psnr_db: float
    encode_ms: float


def variants(codec: str) -> list[Variant]:
    """The alternatives that the sweep of a codec is compared with."""
    if codec == "jpeg-tuned":
        return [
            *(_swept(codec, JPEG_QUALITIES, is_format=True, subsampling=chroma) for chroma in CHROMA),
            _swept(codec, JPEG_QUALITIES, subsampling="4:4:4", scans="sequential"),
            _swept(codec, JPEG_QUALITIES, subsampling="4:4:4", scans="progressive"),
            _swept(codec, JPEG_QUALITIES, subsampling="4:4:4", tables="annex-k"),
            Variant("the paper's: codec jpeg", "jpeg", codec_class("jpeg").sweep),
        ]
    if codec == "jpeg2000-tuned":
        ratios = [setting["ratio"] for setting in codec_class(codec).sweep if "transform" not in setting]
        return [
            *(_ratios(ratios, transform=transform) for transform in ("rct-5/3", "none-5/3")),
            Variant("the paper's: codec jpeg2000", "jpeg2000", codec_class("jpeg2000").sweep),
        ]
    if codec == "webp":
        return [_swept(codec, QUALITIES, method=method) for method in (0, 4, 5, 6)]
    if codec == "avif":
        return [
            *(_swept(codec, QUALITIES, is_format=True, subsampling=chroma) for chroma in CHROMA),
            *(_swept(codec, QUALITIES, subsampling="4:4:4", speed=speed) for speed in (2, 6, 8)),
        ]
    if codec == "jxl":
        return [_swept(codec, JXL_QUALITIES, effort=effort) for effort in (3, 5, 7, 8, 9)]
    return [
        *(_swept(codec, QUANTISERS, is_format=True, pixel_format=name) for name in ("420", "444", "rgb")),
        *(_swept(codec, QUANTISERS, pixel_format="444", preset=name) for name in ("medium", "slower")),
        Variant("the paper's: codec bpg", "bpg", codec_class("bpg").sweep),
    ]


def _swept(codec: str, qualities: Iterable[int], is_format: bool = False, **others: Any) -> Variant:
    title = ", ".join(f"{name}={value}" for name, value in others.items())
    return Variant(title, codec, [{"quality": quality, **others} for quality in qualities], is_format)


def _ratios(ratios: Iterable[float], transform: str) -> Variant:
    settings = [{"ratio": ratio, "transform": transform} for ratio in ratios]
    return Variant(f"transform={transform}", "jpeg2000-tuned", settings)


CODECS = ("jpeg-tuned", "jpeg2000-tuned", "webp", "avif", "jxl", "bpg-tuned")


class Measurement:
    """Measures settings on some images, each once."""

    def __init__(self, images: Sequence[np.ndarray]) -> None:
        self._images = images
        self._known: dict[tuple[str, str], Point] = {}

    def points(self, variant: Variant) -> list[Point]:
        """Those of a variant at which not every image is exact."""
        found = [self._point(variant.codec, setting) for setting in variant.settings]
        return [point for point in found if np.isfinite(point.psnr_db)]

    def _point(self, name: str, parameters: Mapping[str, Any]) -> Point:
        codec = get_codec(name, **parameters)
        key = name, codec.setting
        if key not in self._known:
            started = time.process_time()
            streams = codec.encode(self._images)
            encode_ms = 1e3 * (time.process_time() - started) / len(self._images)
            decoded = codec.decode(streams)
            rates = [8 * len(stream) / image[..., 0].size for stream, image in self._with_images(streams)]
            errors = [np.mean((one.astype(float) - image) ** 2) for one, image in self._with_images(decoded)]
            psnr_db = [10 * np.log10(255**2 / error) for error in errors if error]
            mean_db = float(np.mean(psnr_db)) if psnr_db else np.inf
            self._known[key] = Point(codec.setting, float(np.mean(rates)), mean_db, encode_ms)
        return self._known[key]

    def _with_images(self, made: Sequence[Any]) -> Iterable[tuple[Any, np.ndarray]]:
        return zip(made, self._images, strict=True)


def envelope(curves: Sequence[Sequence[Point]]) -> list[Point]:
    """The points that are below none of the curves, each linear in dB and log rate between its points."""
    found = []
    for point in (point for curve in curves for point in curve):
        best_db = max(_psnr_at(curve, point.bpp) for curve in curves)
        if point.psnr_db >= best_db:
            found.append(point)
    return sorted(found, key=lambda point: point.bpp)


def _psnr_at(curve: Sequence[Point], bpp: float) -> float:
    """PSNR of a curve at a rate; minus infinity outside of it."""
    rising = _as_points(curve)
    inside = rising.rate_bpp[0] <= bpp <= rising.rate_bpp[-1]
    return float(np.interp(np.log(bpp), np.log(rising.rate_bpp), rising.quality)) if inside else -np.inf


def lines(codec: str, measurement: Measurement, show_points: bool) -> list[str]:
    """Rows of a Markdown table: the sweep, then every alternative against it."""
    sweep = Variant("sweep", codec, codec_class(codec).sweep)
    chosen = measurement.points(sweep)
    rows = [f"| {codec} | its sweep | 0 | | {_encode_ms(chosen):.1f} |"]
    of_formats: list[list[Point]] = []
    shown = [(sweep.title, chosen)]
    for variant in variants(codec):
        points = measurement.points(variant)
        shown.append((variant.title, points))
        of_formats += [points] if variant.is_format else []
        rows.append(_line(codec, variant.title, chosen, points))
    if of_formats:
        best = envelope(of_formats)
        shown.append(("best of its formats", best))
        rows.append(_line(codec, "best of its formats", chosen, best))
    if show_points:
        for title, points in shown:
            print(
                f"{codec}, {title}: " + "; ".join(f"{p.bpp:.3f} bpp {p.psnr_db:.2f} dB ({p.setting})" for p in points)
            )
    return rows


def _line(codec: str, title: str, chosen: Sequence[Point], points: Sequence[Point]) -> str:
    delta = bd_rate(_as_points(chosen), _as_points(points))
    text = f"{delta.value:+.1f} %" if delta.reason is None else delta.reason
    return f"| {codec} | {title} | {text} | {delta.low:.1f} to {delta.high:.1f} dB | {_encode_ms(points):.1f} |"


def _as_points(points: Sequence[Point]) -> Points:
    """The points in order of their rate, without those that are worse than a cheaper one: a curve has to rise."""
    rising: list[Point] = []
    for point in sorted(points, key=lambda one: one.bpp):
        if not rising or point.psnr_db > rising[-1].psnr_db:
            rising.append(point)
    return Points(np.array([point.bpp for point in rising]), np.array([point.psnr_db for point in rising]))


def _encode_ms(points: Sequence[Point]) -> float:
    return float(np.mean([point.encode_ms for point in points]))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="demo", help="as everywhere in the benchmark: demo, folder:PATH, ...")
    parser.add_argument("--limit", type=int, help="so many images, spread evenly over the data set [all]")
    parser.add_argument("--codec", action="append", choices=CODECS, help="only these; may be repeated [all]")
    parser.add_argument("--points", action="store_true", help="print every mean rate and PSNR too")
    options = parser.parse_args(arguments)
    dataset = open_dataset(options.dataset)
    indices = evenly(len(dataset), options.limit)
    measurement = Measurement([dataset.load(index) for index in indices])
    print(f"{dataset.name}: n = {len(indices)} of {len(dataset)} images, {dataset.fingerprint}")
    rows = [row for codec in options.codec or CODECS for row in lines(codec, measurement, options.points)]
    print(
        "| codec | setting | BD-rate against the sweep | over PSNR | encode, CPU ms |\n| --- | --- | --- | --- | --- |"
    )
    print("\n".join(rows))


if __name__ == "__main__":
    main()
