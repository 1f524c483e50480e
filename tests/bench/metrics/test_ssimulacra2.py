"""Guards SSIMULACRA 2: the values of the authors' program, the published blur, and the order of qualities."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from scipy.signal import lfilter

from uqdm.bench.metrics.ssimulacra2 import SMALLEST_SIDE, _blurred, ssimulacra2

RADIUS, SIGMA = 5, 1.5


@pytest.fixture(scope="module")
def mosaic_uint8(photographs_uint8: list[np.ndarray]) -> np.ndarray:
    """Eight tiles of photographs as one picture [128, 256, 3]."""
    rows = [np.concatenate(photographs_uint8[start : start + 4], axis=1) for start in (0, 4)]
    return np.concatenate(rows)


def coarse(image_uint8: np.ndarray) -> np.ndarray:
    """Every value is rounded to the middle of 8."""
    return image_uint8 // 8 * 8 + 4


def blocks(image_uint8: np.ndarray) -> np.ndarray:
    """Each block of 3 x 3 pixels has the colour of its first."""
    rows, columns = (np.arange(length) // 3 * 3 for length in image_uint8.shape[:2])
    return image_uint8[rows][:, columns]


def noisy(image_uint8: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-40, 41, image_uint8.shape)
    return np.clip(image_uint8 + noise, 0, 255).astype(np.uint8)


# By the program ssimulacra2 of libjxl 0.11.1. It filters recursively in single precision, which moves the scores of
# good pictures more than those of bad ones.
@pytest.mark.parametrize(
    ("change", "of_all", "of_smallest", "tolerance"),
    [
        (coarse, 86.86370723, 88.89588177, 0.05),
        (blocks, -33.55090863, -41.53802606, 0.005),
        (noisy, 29.98009577, 30.3759061, 0.005),
    ],
)
def test_scores_are_those_of_the_authors_program(
    change: Callable[[np.ndarray], np.ndarray],
    of_all: float,
    of_smallest: float,
    tolerance: float,
    mosaic_uint8: np.ndarray,
) -> None:
    assert ssimulacra2(mosaic_uint8, change(mosaic_uint8)) == pytest.approx(of_all, abs=tolerance)
    smallest = mosaic_uint8[:SMALLEST_SIDE, :171]  # odd sides
    assert ssimulacra2(smallest, change(smallest)) == pytest.approx(of_smallest, abs=tolerance)


def test_the_blur_is_the_published_recursion() -> None:
    impulse = np.zeros((31, 31, 1))
    impulse[15, 15] = 1
    line = recursive_blur(impulse[15, :, 0])
    # The taps have 12 decimals; the recursion's own rounding is smaller.
    np.testing.assert_allclose(_blurred(impulse)[..., 0], np.outer(line, line), rtol=0, atol=1e-12)
    constant = _blurred(np.ones((31, 31, 1)))
    assert constant[15, 15, 0] == pytest.approx(1, abs=1e-11)
    assert constant[0, 15, 0] < 0.7  # zeros beyond the border


def recursive_blur(line: np.ndarray) -> np.ndarray:
    """Equations 33 to 57 of Charalampidis (2016) with three cosines."""
    omega = np.array([1, 3, 5]) * np.pi / (2 * RADIUS)
    p = np.array([1, -1, 1]) / np.tan(omega / 2)
    r = np.array([1, -1, 1]) * p**2 / np.sin(omega)
    rho = np.exp(-(SIGMA**2) * omega**2 / 2) / RADIUS
    zeta = np.array([p[1] * r[2] - r[1] * p[2], p[2] * r[0] - r[2] * p[0], p[0] * r[1] - r[0] * p[1]])
    zeta /= zeta[2]
    beta = np.linalg.solve(np.stack([p, r, zeta]), [1, RADIUS**2 - SIGMA**2, zeta @ rho])
    sums = np.zeros(len(line) + 2 * RADIUS)
    sums[: len(line)] += line
    sums[2 * RADIUS :] += line
    factors = -beta * np.cos(omega * (RADIUS + 1))
    parts = [lfilter([b], [1, -2 * np.cos(o), 1], sums) for b, o in zip(factors, omega, strict=True)]
    return np.asarray(sum(parts))[RADIUS - 1 : RADIUS - 1 + len(line)]


def test_a_better_jpeg_scores_higher(mosaic_uint8: np.ndarray) -> None:
    scores = [ssimulacra2(mosaic_uint8, jpeg(mosaic_uint8, quality)) for quality in (5, 20, 50, 80, 95)]
    assert scores == sorted(scores)
    assert scores[0] < 0 < 80 < scores[-1] < 100


def jpeg(image_uint8: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image_uint8).save(file, "jpeg", quality=quality, subsampling=0)
    return np.asarray(Image.open(file))
