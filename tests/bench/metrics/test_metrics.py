"""Guards the metrics: exact arithmetic, the field's definition of PSNR, and that a new file is a new column."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from uqdm.bench import metrics
from uqdm.bench.metrics.ms_ssim import WEIGHTS, ms_ssim
from uqdm.bench.metrics.mse import mse
from uqdm.bench.metrics.psnr import psnr_db
from uqdm.bench.metrics.sliced_wasserstein import sliced_wasserstein
from uqdm.bench.metrics.ssim import ssim


def noise(seed: int, shape: tuple[int, ...] = (33, 21, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_mse_equals_the_exact_fraction() -> None:
    first, second = noise(1), noise(2)
    pairs = zip(first.ravel().tolist(), second.ravel().tolist(), strict=True)
    assert mse(first, second) == float(Fraction(sum((a - b) ** 2 for a, b in pairs), first.size))


def test_mse_of_a_large_image_does_not_overflow() -> None:
    # 2,100 x 2,100 x 3 squared errors of 255^2 sum to 8.6e11: more than 32 bits, and more than float32 holds exactly.
    black, white = np.zeros((2100, 2100, 3), np.uint8), np.full((2100, 2100, 3), 255, np.uint8)
    assert mse(black, white) == 65025.0


def test_psnr_agrees_with_scikit_image() -> None:
    first, second = noise(3), noise(4)
    # Both are a logarithm of a float64 mean: they differ by rounding only.
    assert psnr_db(first, second) == pytest.approx(peak_signal_noise_ratio(first, second, data_range=255), rel=1e-12)


def test_psnr_of_an_exact_picture_is_infinite() -> None:
    assert psnr_db(noise(5), noise(5)) == math.inf


def test_wrong_type_and_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        mse(noise(6), noise(6).astype(np.float32))
    with pytest.raises(ValueError, match="shape"):
        mse(noise(6), noise(6)[1:])


def photograph_pair(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A cut of a photograph, and the same with noise of 25 grey levels."""
    original = skimage.data.astronaut()[:height, 100 : 100 + width]
    noisy = original + np.random.default_rng(9).normal(0, 25, original.shape)
    return original, np.clip(noisy, 0, 255).astype(np.uint8)


def test_ms_ssim_is_the_product_of_its_scales() -> None:
    """Each scale by scikit-image's SSIM, divided by the luminance term except at the last scale."""
    original, noisy = photograph_pair(176, 192)
    halves = [(original.astype(float), noisy.astype(float))]
    while len(halves) < len(WEIGHTS):
        halves.append(tuple(s.reshape(s.shape[0] // 2, 2, -1, 2, 3).mean((1, 3)) for s in halves[-1]))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255, "full": True}
    value = np.ones(3)
    for scale, (x, y) in enumerate(halves):
        for channel in range(3):
            _, similarity = structural_similarity(x[..., channel], y[..., channel], **options)
            if scale < len(WEIGHTS) - 1:
                means = [gaussian_filter(side[..., channel], 1.5, truncate=3.5) for side in (x, y)]
                c1 = (0.01 * 255) ** 2
                similarity /= (2 * means[0] * means[1] + c1) / (means[0] ** 2 + means[1] ** 2 + c1)
            value[channel] *= similarity[5:-5, 5:-5].mean() ** WEIGHTS[scale]
    # Both are float64 throughout; they differ in the order of additions.
    assert ms_ssim(original, noisy) == pytest.approx(value.mean(), rel=1e-9)


def test_ms_ssim_agrees_with_torchmetrics() -> None:
    original, noisy = photograph_pair(192, 256)
    tensors = [torch.from_numpy(side.transpose(2, 0, 1).astype(float))[None] for side in (noisy, original)]
    theirs = float(multiscale_structural_similarity_index_measure(*tensors, data_range=255.0))
    # torchmetrics averages over channels before the product, and pads the border at the last scale.
    assert ms_ssim(original, noisy) == pytest.approx(theirs, abs=3e-4)


def test_ms_ssim_needs_161_pixels() -> None:
    smallest, noisy = photograph_pair(161, 161)
    assert 0.5 < ms_ssim(smallest, noisy) < 1
    declared_side = next(metric.smallest_side for metric in metrics.all_metrics() if metric.name == "ms_ssim")
    assert declared_side == 161
    # With one pixel less, no window fits inside the coarsest scale.
    with np.errstate(invalid="ignore"), pytest.warns(RuntimeWarning, match="empty"):
        assert math.isnan(ms_ssim(smallest[1:], noisy[1:]))


def test_ssim_is_one_for_equal_pictures_and_less_for_others() -> None:
    original, noisy = photograph_pair(64, 64)
    assert ssim(original, original) == 1
    assert 0 < ssim(original, noisy) < 0.95


def test_every_metric_declares_itself() -> None:
    for metric in metrics.declared():
        assert metric.label
        assert metric.source
        assert metric.comment
        assert metric.direction in ("lower", "higher")
        assert metric.value_range[0] < metric.value_range[1]
        assert metric.smallest_side >= 1
    for metric in metrics.all_metrics():
        original, noisy = photograph_pair(176, 176)
        if metric.missing() is None:
            equal, other = metric.compute(original, original), metric.compute(original, noisy)
            assert all(metric.value_range[0] <= value <= metric.value_range[1] for value in (equal, other))
            assert equal < other if metric.direction == "lower" else equal > other


def test_sliced_wasserstein_between_gaussians() -> None:
    """Of two Gaussians that differ by a shift s in d dimensions it is |s| / sqrt(d), up to sampling."""
    generator = np.random.default_rng(1)
    first, second = generator.normal(size=(2, 4000, 3))
    shift = np.array([3.0, 0.0, 4.0])
    found = sliced_wasserstein(first, second + shift)["sliced_wasserstein"]
    # 512 directions: the mean of cos^2 has a deviation of 0.3 / sqrt(512) about 1/3, so 2 % of the distance.
    assert found == pytest.approx(5 / math.sqrt(3), rel=0.06)
    assert sliced_wasserstein(first, first)["sliced_wasserstein"] == 0


def test_sliced_wasserstein_of_sets_of_different_size() -> None:
    """In one dimension, by hand: the quantile functions of {0, 1} and {0, 0, 3} are compared piece by piece."""
    found = sliced_wasserstein(np.array([[0.0], [1.0]]), np.array([[0.0], [0.0], [3.0]]))["sliced_wasserstein"]
    # Quantiles 0|1 at 1/2 and 0|0|3 at 2/3: squared gaps 0 on [0, 1/2], 1 on [1/2, 2/3], 4 on [2/3, 1].
    assert found == pytest.approx(math.sqrt(1 / 6 + 4 / 3), rel=1e-12)
    with pytest.raises(ValueError, match="shapes"):
        sliced_wasserstein(np.zeros((2, 1)), np.zeros((2, 2)))


NEW_METRIC = """
from uqdm.bench.metrics import Metric
METRIC = Metric(name="worst", label="Worst", unit="", direction="lower", value_range=(0, 255), source="this test",
                comment="largest error", compute=lambda original, reconstruction: 9.0)
"""


def test_a_new_module_adds_a_metric_and_a_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "worst_error.py").write_text(NEW_METRIC)
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(tmp_path)])
    metrics.METRICS.forget()
    try:
        (worst,) = [metric for metric in metrics.all_metrics() if metric.name == "worst"]
        assert worst.compute(noise(7), noise(8)) == 9.0
        assert metrics.rows_schema().field("worst").metadata == {b"comment": b"largest error"}
        assert {"worst", "worst_low", "worst_high"} <= set(metrics.summary_schema().names)
    finally:
        metrics.METRICS.forget()
