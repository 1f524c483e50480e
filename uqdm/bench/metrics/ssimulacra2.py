"""SSIMULACRA 2: structure, ringing and blurring at six scales, in a perceptual colour space."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from uqdm.bench.metrics import Metric
from uqdm.bench.metrics.ms_ssim import halved

N_SCALES = 6
SMALLEST_SIDE = 113  # pixels: halved four times and rounded up this is 8, the least side that is halved once more

_C2 = 0.0009
_CONES = np.array([[0.30, 0.622, 0.078], [0.23, 0.692, 0.078], [0.24342268924547819, 0.20476744424496821, 0.0]])
_CONES[2, 2] = 1 - _CONES[2].sum()
"""Responses [3, 3] of long, medium and short cones to linear RGB, as in JPEG XL; each adds up to 1."""
_CONE_BIAS = 0.0037930732552754493
_TAPS = (0.264621105488, 0.212928592010, 0.109335372777, 0.036011114658, 0.009414367810)
"""Taps 0 to 4 of the blur, symmetric: a Gaussian of sigma 1.5 by three truncated cosines (Charalampidis 2016)."""

# Per channel (X, Y, B - Y) and scale: structure, ringing and blurring by their means, then by their 4-norms.
_WEIGHTS = (
    (0, 0.0007376606707406586, 0, 0, 0.0007793481682867309, 0),  # X, full size
    (0, 0.0004371155730107379, 0, 1.1041726426657346, 0.00066284834129271, 0.00015231632783718752),
    (0, 0.0016406437456599754, 0, 1.8422455520539298, 11.441172603757666, 0),
    (0.0007989109436015163, 0.000176816438078653, 0, 1.8787594979546387, 10.94906990605142, 0),
    (0.0007289346991508072, 0.9677937080626833, 0, 0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053),
    (0.0004550992113792063, 0, 0, 0.0013648766163243398, 0, 0),
    (0, 0, 0, 7.466890328078848, 0, 17.445833984131262),  # Y, full size
    (0.0006235601634041466, 0, 0, 6.683678146179332, 0.00037724407979611296, 1.027889937768264),
    (225.20515300849274, 0, 0, 19.213238186143016, 0.0011401524586618361, 0.001237755635509985),
    (176.39317598450694, 0, 0, 24.43300999870476, 0.28520802612117757, 0.0004485436923833408),
    (0, 0, 0, 34.77906344483772, 44.835625328877896, 0),
    (0, 0, 0, 0, 0, 0),
    (0, 0.0008680556573291698, 0, 0, 0, 0),  # B, full size
    (0, 0.0005313191874358747, 0, 0.00016533814161379112, 0, 0),
    (0, 0, 0, 0.0004179171803251336, 0.0017290828234722833, 0),
    (0.0020827005846636437, 0, 0, 8.826982764996862, 23.19243343998926, 0),
    (
        95.1080498811086,
        0.9863978034400682,
        0.9834382792465353,
        0.0012286405048278493,
        171.2667255897307,
        0.9807858872435379,
    ),
    (0, 0, 0, 0.0005130064588990679, 0, 0.00010854057858411537),
)


def ssimulacra2(original_uint8: np.ndarray, reconstruction_uint8: np.ndarray) -> float:
    """SSIMULACRA 2.1 of uint8 [H, W, 3] in sRGB, with sides of at least 113 pixels.

    100 for equal pictures, 90 hard to tell apart, 70 high quality, 50 medium, 30 low; there is no lower bound. The
    authors' program differs by its rounding: it filters recursively in single precision, which changes a score by up
    to 0.2 (docs/metrics.md). It also takes sides from 8 pixels on, but with fewer than six scales it applies weights
    that were fitted for other maps.

    >>> picture = np.random.default_rng(0).integers(0, 256, (113, 120, 3), dtype=np.uint8)
    >>> ssimulacra2(picture, picture)
    100.0
    """
    errors = list(_scale_errors(_linear(original_uint8), _linear(reconstruction_uint8)))  # of (norm, map, C)
    weights = np.reshape(_WEIGHTS, (3, N_SCALES, 2, 3))  # (C, scale, norm, map)
    error = 0.9562382616834844 * np.einsum("csnm,snmc->", weights, np.stack(errors))
    bent = 2.326765642916932 * error - 0.020884521182843837 * error**2 + 6.248496625763138e-05 * error**3
    return float(100 - 10 * max(bent, 0) ** 0.6276336467831387)


def _scale_errors(original: np.ndarray, reconstruction: np.ndarray) -> Iterator[np.ndarray]:
    """Errors (norm, map, C) of two pictures in linear light at each scale, the full size first."""
    for scale in range(N_SCALES):
        if scale:
            original, reconstruction = halved(original), halved(reconstruction)
        maps = np.stack(_error_maps(_positive_xyb(original), _positive_xyb(reconstruction)))  # (map, H, W, C)
        yield np.stack([maps.mean((1, 2)), (maps**4).mean((1, 2)) ** 0.25])


def _error_maps(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loss of structure, ringing (edges that the original lacks) and blurring (lost edges), each [H, W, C]."""
    mean_x, mean_y = _blurred(x), _blurred(y)
    covariance = _blurred(x * y) - mean_x * mean_y
    variances = (_blurred(x * x) - mean_x**2) + (_blurred(y * y) - mean_y**2)  # so that equal pictures have error 0
    luminance = 1 - (mean_x - mean_y) ** 2  # SSIM's without its denominator: the colour space is perceptual already
    structure = np.maximum(1 - luminance * (2 * covariance + _C2) / (variances + _C2), 0)
    edges = (1 + np.abs(y - mean_y)) / (1 + np.abs(x - mean_x)) - 1
    return structure, np.maximum(edges, 0), np.maximum(-edges, 0)


def _linear(image_uint8: np.ndarray) -> np.ndarray:
    """Linear light, 0..1, of sRGB (IEC 61966-2-1)."""
    values = np.arange(256) / 255
    table = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return np.asarray(table[image_uint8])


def _positive_xyb(linear: np.ndarray) -> np.ndarray:
    """JPEG XL's X, Y and B - Y, scaled and shifted to about 0..1."""
    long, middle, short = np.moveaxis(np.cbrt(linear @ _CONES.T + _CONE_BIAS) - np.cbrt(_CONE_BIAS), -1, 0)
    luma = (long + middle) / 2
    return np.stack([7 * (long - middle) + 0.42, luma + 0.01, short - luma + 0.55], axis=-1)


def _blurred(values: np.ndarray) -> np.ndarray:
    """The blur of [H, W, C], with zeros beyond the border as in the authors' program."""
    from scipy.ndimage import correlate1d

    kernel = [*_TAPS[:0:-1], *_TAPS]
    rows = correlate1d(values, kernel, axis=0, mode="constant")
    return np.asarray(correlate1d(rows, kernel, axis=1, mode="constant"))


METRIC = Metric(
    name="ssimulacra2",
    label="SSIMULACRA 2",
    unit="",
    direction="higher",
    value_range=(float("-inf"), 100),
    source="Sneyers, SSIMULACRA 2.1, April 2023 (cloudinary/ssimulacra2); blur: Charalampidis, 2016, eqs. 33 to 57",
    comment="SSIMULACRA 2.1: structure, ringing and blurring at six scales in XYB; 100 if equal, below 0 if very bad",
    smallest_side=SMALLEST_SIDE,
    compute=ssimulacra2,
)
