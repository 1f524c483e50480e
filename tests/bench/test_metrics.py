"""Guards the metrics: exact arithmetic, the field's definition of PSNR, and that a new file is a new column."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from uqdm.bench import metrics
from uqdm.bench.metrics.mse import mse
from uqdm.bench.metrics.psnr import psnr_db


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


NEW_METRIC = """
from uqdm.bench.metrics import Metric
METRIC = Metric(name="worst", label="Worst", unit="", direction="lower", value_range=(0, 255), source="this test",
                comment="largest error", compute=lambda original, reconstruction: 9.0)
"""


def test_a_new_file_is_a_new_metric_and_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "worst_error.py").write_text(NEW_METRIC)
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(tmp_path)])
    metrics.declared.cache_clear()
    try:
        (worst,) = [metric for metric in metrics.all_metrics() if metric.name == "worst"]
        assert worst.compute(noise(7), noise(8)) == 9.0
        assert metrics.rows_schema().field("worst").metadata == {b"comment": b"largest error"}
        assert {"worst", "worst_low", "worst_high"} <= set(metrics.summary_schema().names)
    finally:
        metrics.declared.cache_clear()
