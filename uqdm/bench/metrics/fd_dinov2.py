"""Frechet distance of DINOv2 features."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from uqdm.bench.metrics import SetBasis, SetMetric
from uqdm.bench.metrics.fid import LEAST, LEAST_REASON, too_few


def fd_dinov2(originals: np.ndarray, pictures: np.ndarray) -> Mapping[str, float]:
    """Frechet distance of two sets of DINOv2 features [n, d] and [m, d], as FID computes it.

    >>> features = np.random.default_rng(0).normal(size=(50, 8))
    >>> round(fd_dinov2(features, features + 1)["fd_dinov2"], 6)
    8.0
    """
    from uqdm.bench.features.statistics import Gaussian, frechet_distance

    return {"fd_dinov2": frechet_distance(Gaussian.of(originals), Gaussian.of(pictures))}


METRIC = SetMetric(
    name="fd_dinov2",
    label="FD-DINOv2",
    unit="",
    direction="lower",
    value_range=(0, float("inf")),
    source="Stein et al., NeurIPS 2023 (dgm-eval); network: Oquab et al., 2023",
    comment="Frechet distance of DINOv2 ViT-L/14 features (1024, class token); biased for few images, see fd_dinov2_n",
    compute=fd_dinov2,
    meaningful_set=LEAST,
    meaningful_reason=LEAST_REASON,
    extractor="dinov2",
    basis=SetBasis(
        n="fd_dinov2_n",
        extractor="fd_dinov2_extractor",
        resize="fd_dinov2_resize",
        warning="fd_dinov2_warning",
        warn=too_few,
        caution="under 1,024 FD-DINOv2 is biased",
    ),
)
