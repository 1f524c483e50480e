"""Frechet distance of CLIP features."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from uqdm.bench.metrics import SetBasis, SetMetric
from uqdm.bench.metrics.fid import LEAST, LEAST_REASON, too_few


def fd_clip(originals: np.ndarray, pictures: np.ndarray) -> Mapping[str, float]:
    """Frechet distance of two sets of CLIP features [n, d] and [m, d], as FID computes it.

    >>> features = np.random.default_rng(0).normal(size=(50, 8))
    >>> round(fd_clip(features, features + 1)["fd_clip"], 6)
    8.0
    """
    from uqdm.bench.features.statistics import Gaussian, frechet_distance

    return {"fd_clip": frechet_distance(Gaussian.of(originals), Gaussian.of(pictures))}


METRIC = SetMetric(
    name="fd_clip",
    label="FD-CLIP",
    unit="",
    direction="lower",
    value_range=(0, float("inf")),
    source="Kynkäänniemi et al., ICLR 2023; prepared as by Parmar et al., CVPR 2022; network: Radford et al., 2021",
    comment="Frechet distance of CLIP ViT-B/32 image embeddings (512); biased for few images, see fd_clip_n",
    compute=fd_clip,
    meaningful_set=LEAST,
    meaningful_reason=LEAST_REASON,
    extractor="clip",
    basis=SetBasis(
        n="fd_clip_n",
        extractor="fd_clip_extractor",
        resize="fd_clip_resize",
        warning="fd_clip_warning",
        warn=too_few,
        caution="under 512 FD-CLIP is biased",
    ),
)
