"""Guards the distances between sets of features, against closed forms and torch-fidelity's own functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from uqdm.bench.features.statistics import Gaussian, frechet_distance
from uqdm.bench.metrics import kid
from uqdm.bench.metrics.kid import kernel_distance

RNG = np.random.default_rng(0)


def features(n: int, d: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """Correlated features, mostly small as the network's are."""
    mixing = np.random.default_rng(1).normal(size=(d, d)) / np.sqrt(d)
    return RNG.gamma(0.5, scale, size=(n, d)) @ mixing + shift


@pytest.mark.parametrize(("n", "m"), [(300, 200), (20, 300), (20, 30), (2, 2)])
def test_frechet_distance_is_torch_fidelitys(n: int, m: int) -> None:
    """With more items than features, fewer on one side, and on both (singular covariances)."""
    one, other = features(n, 48), features(m, 48, 1.5, 0.2)
    statistics_of = [fid_features_to_statistics(torch.from_numpy(each)) for each in (one, other)]
    reference = fid_statistics_to_metric(*statistics_of, verbose=False)[KEY_METRIC_FID]
    # torch-fidelity takes roots of eigenvalues that are 0 up to rounding: 48 of about 1e-7
    assert frechet_distance(Gaussian.of(one), Gaussian.of(other)) == pytest.approx(reference, abs=2e-5)


@pytest.mark.parametrize("n", [30, 300])
def test_the_covariance_is_the_unbiased_one(n: int) -> None:
    sample = features(n, 48)
    gaussian = Gaussian.of(sample.astype(np.float32))
    np.testing.assert_allclose(gaussian.factor.T @ gaussian.factor, np.cov(sample.T), atol=1e-6)  # the input is float32
    assert gaussian.mean.dtype == gaussian.factor.dtype == np.float64
    assert len(gaussian.factor) == min(n, 48)


@pytest.mark.parametrize("n", [20, 300])
def test_frechet_distance_is_a_distance(n: int) -> None:
    one, other = (Gaussian.of(features(n, 48, scale)) for scale in (1, 2))
    assert 0 <= frechet_distance(one, one) < 1e-10
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one), rel=1e-12)
    moved = Gaussian(one.mean + 0.5, one.factor)
    assert frechet_distance(one, moved) == pytest.approx(48 * 0.25, rel=1e-9)  # |m1 - m2|^2 alone


@pytest.mark.parametrize("kept", [4096, 10])
def test_kernel_distance_is_torch_fidelitys(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    """Same subsets, same numbers; whether all pairs' kernels are kept or each subset's are computed."""
    monkeypatch.setattr(kid, "MAX_KERNEL_SIDE", kept)
    one, other = features(61, 48), features(80, 48, 1.5)
    reference = kid_features_to_metric(
        torch.from_numpy(one),
        torch.from_numpy(other),
        kid_subsets=100,
        kid_subset_size=30,
        rng_seed=2020,
        verbose=False,
    )
    mean, deviation = kernel_distance(one, other)
    assert mean == pytest.approx(reference[KEY_METRIC_KID_MEAN], rel=1e-12)
    assert deviation == pytest.approx(reference[KEY_METRIC_KID_STD], rel=1e-9)


def test_kernel_distance_is_unbiased_and_finite_for_few_items() -> None:
    mean, deviation = kernel_distance(features(4, 48), features(4, 48))
    assert np.isfinite(mean)
    assert deviation > 0
    found = [kernel_distance(features(20, 8), features(20, 8))[0] for _ in range(200)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))  # of equal distributions it is 0 on average
    assert min(found) < 0


@pytest.mark.parametrize("wrong", [np.zeros((1, 8)), np.zeros(8), np.full((4, 8), np.nan)])
def test_too_few_or_infinite_features_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="features"):
        Gaussian.of(wrong)
    with pytest.raises(ValueError, match="features"):
        kernel_distance(features(4, 8), wrong)
    with pytest.raises(ValueError, match="at least 4 items, got 4 and 3"):
        kernel_distance(features(4, 8), features(3, 8))
