"""Conversion of RGB and the coded planes, in the integer arithmetic of libbpg 0.9.8, for identical pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from uqdm_baselines.bpg.header import ColourSpace, FileHeader, PixelFormat

Planes = list[np.ndarray]
"""One plane (gray) or three, uint8 [H, W] each; those of chroma are of ceil(H / 2) or ceil(W / 2) where subsampled."""

_TO_YCC_BITS = 23
_TO_RGB_BITS = 22
_LUMA_WEIGHTS = {  # of red and blue (BT.601, BT.709, BT.2020)
    ColourSpace.BT601: (0.299, 0.114),
    ColourSpace.BT709: (0.2126, 0.0722),
    ColourSpace.BT2020: (0.2627, 0.0593),
}
_BAND, _MARGIN = 256, 8  # rows; the filter of chroma sees six rows of luma beyond a band
_HALVE = np.array([2, -4, -8, 17, 57, 57, 17, -8, -4, 2])  # sum 128; sited halfway between the middle two
_DOUBLE = np.array([-1, 4, -10, 57, 18, -6, 2])  # sum 64; a quarter of a sample behind the middle, mirrored: before it


def to_planes(image_uint8: np.ndarray, header: FileHeader) -> Planes:
    """The planes of an image uint8 [H, W, 3], in the pixel format and colour space of ``header``.

    Supports the encoder's formats: full range; BT.601, RGB or gray. Raises ValueError if gray is requested and the
    channels differ.
    """
    if header.pixel_format == PixelFormat.GRAY:
        if not (image_uint8 == image_uint8[..., :1]).all():
            raise ValueError("pixel_format=gray takes images whose three channels are equal; choose 420, 444 or rgb")
        return [image_uint8[..., 0]]
    if header.colour_space == ColourSpace.RGB:
        red, green, blue = np.moveaxis(image_uint8, -1, 0)
        return [green, blue, red]
    luma, *chroma = _rgb_to_ycc(image_uint8)
    if header.pixel_format == PixelFormat.YUV420:
        chroma = list(_halve_chroma(np.stack(chroma)))
    return [luma, *chroma]


def to_image(planes: Planes, header: FileHeader) -> np.ndarray:
    """The image uint8 [H, W, 3] of planes that are cropped to the size of ``header``; in bands, to save memory."""
    image = np.empty((header.height, header.width, 3), np.uint8)
    for top in range(0, header.height, _BAND):
        bottom = min(top + _BAND, header.height)
        first, last = max(top - _MARGIN, 0), min(bottom + _MARGIN, header.height)
        ratios = [plane.shape[0] < header.height for plane in planes]  # of planes with half the rows
        band = [plane[first >> half : last + half >> half] for plane, half in zip(planes, ratios, strict=True)]
        image[top:bottom] = _band_to_image(band, header)[top - first : bottom - first]
    return image


def _band_to_image(planes: Planes, header: FileHeader) -> np.ndarray:
    """As :func:`to_image`, for some rows of each plane."""
    if header.pixel_format == PixelFormat.GRAY:
        samples = np.repeat(planes[0][..., None], 3, axis=-1)
        return _widen(samples) if header.limited_range else samples
    if header.colour_space == ColourSpace.RGB:
        green, blue, red = planes
        samples = np.stack([red, green, blue], axis=-1)
        return _widen(samples) if header.limited_range else samples
    chroma = _full_chroma(np.stack(planes[1:]), planes[0].shape, header.pixel_format)
    return _ycc_to_rgb(planes[0], chroma, header)


# ---- colour -------------------------------------------------------------------------------------------------


def _rgb_to_ycc(image_uint8: np.ndarray) -> Planes:
    red, blue = _LUMA_WEIGHTS[ColourSpace.BT601]
    green = 1 - red - blue
    weights = [
        [red, green, blue],
        [-0.5 * red / (1 - blue), -0.5 * green / (1 - blue), 0.5],
        [0.5, -0.5 * green / (1 - red), -0.5 * blue / (1 - red)],
    ]
    matrix = _fixed(np.array(weights), _TO_YCC_BITS)  # at most 2**23 x 255 + half: int32 holds it
    values = _shifted(image_uint8.astype(np.int32) @ matrix.T, _TO_YCC_BITS)
    values[..., 1:] += 128
    return list(np.moveaxis(_clipped(values), -1, 0))


def _ycc_to_rgb(luma: np.ndarray, chroma: np.ndarray, header: FileHeader) -> np.ndarray:
    """RGB from luma [H, W] and chroma [2, H, W], all uint8."""
    dtype: Any = np.int64 if header.limited_range else np.int32  # full range stays below 2**31
    luma_scale, chroma_scale = _scales(header.limited_range)
    if header.colour_space == ColourSpace.YCGCO:
        chroma_scale = luma_scale
    matrix = _fixed(_chroma_matrix(header.colour_space) * chroma_scale, _TO_RGB_BITS).astype(dtype)
    black = 16 if header.limited_range else 0
    base: np.ndarray = (luma.astype(dtype) - black) * int(_fixed(luma_scale, _TO_RGB_BITS))
    added: np.ndarray = (np.moveaxis(chroma, 0, -1).astype(dtype) - 128) @ matrix.T
    return _clipped(_shifted(base[..., None] + added, _TO_RGB_BITS))


def _chroma_matrix(space: ColourSpace) -> np.ndarray:
    """What one unit of the first and second chroma plane adds to red, green and blue; [3, 2]."""
    if space == ColourSpace.YCGCO:
        return np.array([[-1.0, 1.0], [1.0, 0.0], [-1.0, -1.0]])
    red, blue = _LUMA_WEIGHTS[space]
    green = 1 - red - blue
    return np.array(
        [
            [0.0, 2 * (1 - red)],
            [-2 * blue * (1 - blue) / green, -2 * red * (1 - red) / green],
            [2 * (1 - blue), 0.0],
        ]
    )


def _scales(limited_range: bool) -> tuple[float, float]:
    """Of luma and chroma, from the coded range to 0..255 (BT.601: luma 16..235, chroma 16..240)."""
    return (255 / 219, 255 / 224) if limited_range else (1.0, 1.0)


def _widen(samples_uint8: np.ndarray) -> np.ndarray:
    """Samples of limited range, 16..235, in the full range."""
    scale = int(_fixed(_scales(True)[0], _TO_RGB_BITS))
    return _clipped(_shifted((samples_uint8.astype(np.int64) - 16) * scale, _TO_RGB_BITS))


# ---- chroma -------------------------------------------------------------------------------------------------


def chroma_size(height: int, width: int, pixel_format: PixelFormat) -> tuple[int, int]:
    """Height and width of a chroma plane."""
    halved_height = -(-height // 2) if pixel_format == PixelFormat.YUV420 else height
    halved_width = -(-width // 2) if pixel_format in (PixelFormat.YUV420, PixelFormat.YUV422) else width
    return halved_height, halved_width


def _halve_chroma(chroma: np.ndarray) -> np.ndarray:
    """uint8 [2, H, W] at half the height and width: across first, with one bit more, then down."""
    across = _halve(chroma.astype(np.int32)) + 1 >> 1
    down = _halve(across.swapaxes(1, 2)).swapaxes(1, 2)
    return _clipped(_shifted(down, 13))


def _full_chroma(chroma: np.ndarray, size: tuple[int, ...], pixel_format: PixelFormat) -> np.ndarray:
    """Chroma uint8 [2, ...] at ``size``, that of luma: down first, with all bits, then across."""
    if pixel_format == PixelFormat.YUV444:
        return chroma
    values, bits = chroma.astype(np.int32), 6
    if pixel_format == PixelFormat.YUV420:
        values, bits = _double(values.swapaxes(1, 2), size[0]).swapaxes(1, 2), 12
    return _clipped(_shifted(_double(values, size[1]), bits))


def _halve(values: np.ndarray) -> np.ndarray:
    """Filters the last axis, of length n, to every second sample, ceil(n / 2) of them; edges are repeated."""
    count = -(-values.shape[-1] // 2)
    padded = np.pad(values, ((0, 0), (0, 0), (4, 5)), mode="edge")
    return _sum(tap * padded[..., k : k + 2 * count - 1 : 2] for k, tap in enumerate(_HALVE.tolist()))


def _double(values: np.ndarray, length: int) -> np.ndarray:
    """Filters the last axis to twice its samples, and keeps ``length`` of them; edges are repeated."""
    count = values.shape[-1]
    padded = np.pad(values, ((0, 0), (0, 0), (3, 3)), mode="edge")
    doubled = np.empty((*values.shape[:-1], 2 * count), np.int32)
    for phase, taps in enumerate((_DOUBLE[::-1], _DOUBLE)):
        doubled[..., phase::2] = _sum(tap * padded[..., k : k + count] for k, tap in enumerate(taps.tolist()))
    return doubled[..., :length]


def _sum(terms: Any) -> np.ndarray:
    """Adds arrays one by one, without holding all of them."""
    total = next(terms := iter(terms))
    for term in terms:
        total = total + term
    return total


# ---- arithmetic ---------------------------------------------------------------------------------------------


def _fixed(values: Any, bits: int) -> np.ndarray:
    return np.rint(np.asarray(values) * (1 << bits)).astype(np.int32)


def _shifted(values: np.ndarray, bits: int) -> np.ndarray:
    return values + (1 << bits - 1) >> bits


def _clipped(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)
