"""Interpolation between a faithful and a realistic picture of one stream: its distortion-perception trade-off.

The mean of all images that are consistent with a stream has the least squared error, and is blurred. A random sample
of them looks realistic, and has at most twice that error (Blau & Michaeli 2019; Yan et al. 2021). The line between the
two, pixel by pixel, has the optimal compromises in squared error and Wasserstein distance, if the two ends are optimal
(Freirich et al. 2021; eq. 17 of Yang & Mandt, "Advances in Diffusion-Based Generative Compression", 2026).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from uqdm import nested
from uqdm.codec import (
    Codec,
    Encoded,
    Parameter,
    ParameterError,
    Point,
    Reconstruction,
    StreamParts,
    check_parameters,
)

PREFIX = "lambda "
"""Prefix of the names of reconstructions: "lambda 0" is the faithful end, "lambda 1" the realistic one."""


def interpolate(
    codec: Codec, lam: float | Sequence[float], *, mmse: str = "denoise", realistic: str = "ancestral"
) -> Codec:
    """A codec with the streams of ``codec``, and interpolations of two of its reconstructions.

    If a point has both, they are replaced by (1 - lambda) x_mmse + lambda x_realistic, rounded, for each ``lam`` in
    0..1; other points stay as they are. Raises :class:`uqdm.codec.ParameterError` for another ``lam``.

    >>> from uqdm.codec import get_codec
    >>> interpolate(get_codec("uqdm", model="uqdm-pixel"), [0, 0.5, 1], realistic="flow").names
    ('lambda 0', 'lambda 0.5', 'lambda 1')
    """
    values = [lam] if isinstance(lam, (int, float)) else lam
    return Interpolated(
        inner=codec,
        codec=nested.text_of(codec),
        lam=",".join(map(str, values)),
        mmse=mmse,
        realistic=realistic,
    )


def lambda_of(reconstruction: str) -> float | None:
    """The lambda in a reconstruction's name; None for other reconstructions.

    >>> lambda_of("lambda 0.25"), lambda_of("denoise")
    (0.25, None)
    """
    return float(reconstruction.removeprefix(PREFIX)) if reconstruction.startswith(PREFIX) else None


class Interpolated(Codec):
    """Another codec's streams, with interpolations of its faithful and its realistic reconstruction."""

    name = "interpolate"
    summary = "pictures between the faithful and the realistic reconstruction of another codec's stream"
    parameters = (
        Parameter(
            "codec",
            str,
            "uqdm:reconstruct=denoise+ancestral",
            help="NAME or NAME:key=value;key=value of the codec",
            canonical=nested.canonical,
        ),
        Parameter("lam", str, "0,0.25,0.5,0.75,1", help="weights of the realistic picture, 0 to 1"),
        Parameter("mmse", str, "denoise", help="the codec's reconstruction of least squared error"),
        Parameter("realistic", str, "ancestral", help="its realistic reconstruction"),
    )
    holds_model = True
    uses_gpu = True  # such codecs are models

    def __init__(self, *, inner: Codec | None = None, **values: Any) -> None:
        super().__init__(**values)
        self._ends = (self.values["mmse"], self.values["realistic"])
        if len(set(self._ends)) == 1:
            raise ParameterError(f"mmse and realistic are both {self._ends[0]!r}: name two reconstructions")
        self.lambdas = _lambdas(self.values["lam"])
        self.values["lam"] = ",".join(f"{lam:g}" for lam in self.lambdas)
        self.inner = inner or nested.open_codec(self.values["codec"])
        if self.inner.ideal:
            raise ParameterError(f"interpolate: {self.inner.name} is an ideal codec, and has no files to decode")
        self.suffix, self.batch_size = self.inner.suffix, self.inner.batch_size
        varying = map(_name, filter(self._varies, self.lambdas))
        self.varying_reconstructions = self.inner.varying_reconstructions.union(varying)

    @property
    def version(self) -> str:
        """As the inner codec."""
        return self.inner.version

    @classmethod
    def version_of(cls, **values: Any) -> str:
        """As the inner codec."""
        return nested.version_of(check_parameters(cls, values)["codec"])

    @property
    def device(self) -> str:
        """As the inner codec."""
        return self.inner.device

    @property
    def black_pixel_bits(self) -> int | None:
        """As the inner codec."""
        return self.inner.black_pixel_bits

    def parts(self, stream: bytes) -> Mapping[str, StreamParts]:
        """As the inner codec."""
        return self.inner.parts(stream)

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        """As the inner codec."""
        return self.inner.encode(images)

    def encode_detailed(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        """As the inner codec."""
        return self.inner.encode_detailed(images)

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """The last picture of each stream: that of the greatest lambda, or the codec's own if it has only one."""
        return [
            list(self.reconstructions(stream))[-1].image_uint8 if self._is_mixed(self.inner.points(stream)[-1]) else own
            for stream, own in zip(streams, self.inner.decode(streams), strict=True)
        ]

    def points(self, stream: bytes) -> list[Point]:
        """The codec's own points, with a reconstruction for each lambda if both ends are among them."""
        return list(self._points(stream).values())

    def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
        """The codec's own, with each pair of ends replaced by their mixtures.

        The cost of a mixture (time, network calls) is that of both ends, each decoded separately.
        """
        points = self._points(stream)
        ends: dict[str, dict[str, Reconstruction]] = {}
        for found in self.inner.reconstructions(stream):
            point = points[found.point.name]
            if not self._is_mixed(found.point):
                yield replace(found, point=point)
            elif found.name in self._ends:
                pair = ends.setdefault(point.name, {})
                pair[found.name] = found
                if len(pair) == 2:
                    yield from self._mixtures(point, *(pair[name] for name in self._ends))

    def _mixtures(self, point: Point, mmse: Reconstruction, realistic: Reconstruction) -> Iterator[Reconstruction]:
        for lam in self.lambdas:
            image_uint8 = mix(mmse.image_uint8, realistic.image_uint8, lam)
            used = [end for end, weight in ((mmse, 1 - lam), (realistic, lam)) if weight]
            costs = {name: _sum(getattr(end, name) for end in used) for name in ("decode_ms", "calls", "macs")}
            yield Reconstruction(point, _name(lam), image_uint8, **costs)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the interpolations, in the order of lambda."""
        return tuple(map(_name, self.lambdas))

    def _varies(self, lam: float) -> bool:
        used = [end for end, weight in zip(self._ends, (1 - lam, lam), strict=True) if weight]
        return not self.inner.varying_reconstructions.isdisjoint(used)

    def _is_mixed(self, point: Point) -> bool:
        return set(self._ends) <= set(point.reconstructions)

    def _points(self, stream: bytes) -> dict[str, Point]:
        """By name; raises :class:`uqdm.codec.ParameterError` if no point has both ends."""
        theirs = self.inner.points(stream)
        if not any(map(self._is_mixed, theirs)):
            found = dict.fromkeys(name for point in theirs for name in point.reconstructions)
            raise ParameterError(
                f"interpolate: no point of {self.inner.name} has both {' and '.join(map(repr, self._ends))}; "
                f"its reconstructions: {', '.join(found)}"
            )
        return {
            point.name: replace(point, reconstructions=self.names) if self._is_mixed(point) else point
            for point in theirs
        }


def mix(mmse_uint8: np.ndarray, realistic_uint8: np.ndarray, lam: float) -> np.ndarray:
    """(1 - lambda) x_mmse + lambda x_realistic, rounded to uint8.

    >>> mix(np.uint8([0, 100, 255]), np.uint8([10, 101, 0]), 0.25)
    array([  2, 100, 191], dtype=uint8)
    """
    return np.rint((1 - lam) * mmse_uint8 + lam * realistic_uint8).astype(np.uint8)


def _sum(costs: Iterable[float | None]) -> Any:
    """The sum of costs; None if one is not reported."""
    known = list(costs)
    return None if None in known else sum(cost for cost in known if cost is not None)


def _name(lam: float) -> str:
    return f"{PREFIX}{lam:g}"


def _lambdas(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ParameterError(f"lam={text!r}: expected numbers, as in 0,0.5,1") from error
    if not all(0 <= value <= 1 for value in values):
        raise ParameterError(f"lam={text!r}: must be in 0..1")
    if len(set(map(_name, values))) < len(values):
        raise ParameterError(f"lam={text!r}: a value is repeated")
    return tuple(sorted(values))
