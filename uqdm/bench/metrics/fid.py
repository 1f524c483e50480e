"""Frechet Inception distance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from uqdm.bench.metrics import SetBasis, SetMetric


def fid(originals: np.ndarray, pictures: np.ndarray) -> Mapping[str, float]:
    """FID of two sets of Inception features [n, d] and [m, d], in float64.

    Biased upwards for few items; with fewer than d items the covariances are singular. See docs/fid.md.

    >>> features = np.random.default_rng(0).normal(size=(50, 8))
    >>> round(fid(features, features + 1)["fid"], 6)  # moved by 1 in each of 8 features
    8.0
    """
    from uqdm.bench.features.statistics import Gaussian, frechet_distance

    return {"fid": frechet_distance(Gaussian.of(originals), Gaussian.of(pictures))}


LEAST = 16
"""Fewest items of a Frechet distance: from here on, another choice of images changes it by less than a tenth.

Measured in docs/fid.md: the deviation over choices of images is 24 % of the value for 3 images and 13 % for 8.
"""
LEAST_REASON = "with fewer, other images change it by more than a tenth"


def too_few(n_images: int, n_features: int) -> str | None:
    """Why FID of so few images is unreliable; None if there are at least as many images as features.

    >>> too_few(64, 2048), too_few(2048, 2048)
    ('n=64 is under 2,048: biased, singular covariance', None)
    """
    if n_images >= n_features:
        return None
    return f"n={n_images:,} is under {n_features:,}: biased, singular covariance"


METRIC = SetMetric(
    name="fid",
    label="FID",
    unit="",
    direction="lower",
    value_range=(0, float("inf")),
    source="Heusel et al., NeurIPS 2017, eq. 6; as torch-fidelity computes it",
    comment="Frechet distance of Inception features (2048, network of 2015-12-05); biased for few images, see fid_n",
    compute=fid,
    meaningful_set=LEAST,
    meaningful_reason=LEAST_REASON,
    short_decimals=1,
    basis=SetBasis(
        n="fid_n",
        extractor="fid_extractor",
        resize="fid_resize",
        warning="fid_warning",
        warn=too_few,
        caution="under 2,048 FID is biased",
    ),
)
