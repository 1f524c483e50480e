"""Differences between two values of the same images: means, counts, a signed-rank test."""

from __future__ import annotations

from typing import Any

import numpy as np

from uqdm.bench.analysis.bootstrap import mean_of

NO_DIFFERENCE = "no image differs: nothing to test"
NOTHING_FINITE = "no image has a finite value in both"


def paired_figures(a: np.ndarray, b: np.ndarray, *, higher_is_better: bool) -> dict[str, Any]:
    """Figures of the values ``a`` and ``b`` [images], by the names of ``COMPARISON``; NaN where an image has none.

    Infinite values (the PSNR of exact images) count as better, worse or equal, and are left out of means and test.

    >>> figures = paired_figures(np.array([30.0, 31.0, np.inf]), np.array([30.5, 31.0, 40.0]), higher_is_better=True)
    >>> [figures[name] for name in ("n", "infinite", "difference", "better", "worse", "equal")]
    [3, 1, 0.25, 1, 1, 1]
    """
    there = ~(np.isnan(a) | np.isnan(b))
    a, b = a[there], b[there]
    finite = np.isfinite(a) & np.isfinite(b)
    higher, lower = int((b > a).sum()), int((b < a).sum())
    counts = {
        "n": len(a),
        "infinite": int((~finite).sum()),
        "better": higher if higher_is_better else lower,
        "worse": lower if higher_is_better else higher,
        "equal": int((a == b).sum()),
    }
    if not finite.any():
        return {**counts, "reason": NOTHING_FINITE}
    a, b = a[finite], b[finite]
    means = {"mean_a": mean_of(a), "mean_b": mean_of(b), "difference": mean_of(b - a)}
    return {**counts, **means, **signed_rank(b - a)}


def signed_rank(differences: np.ndarray) -> dict[str, float | str]:
    """Wilcoxon's signed-rank test of differences [n]: ``wilcoxon_p`` (two-sided) and ``effect``, or a ``reason``.

    Differences of zero are left out (Wilcoxon 1945). The effect is the matched-pairs rank-biserial correlation (Kerby
    2014): the sum of ranks of positive differences minus that of negative ones, over the sum of all.

    >>> signed_rank(np.array([1.0, 2.0, 3.0, 0.0]))
    {'wilcoxon_p': 0.25, 'effect': 1.0}
    """
    from scipy.stats import rankdata, wilcoxon

    nonzero = differences[differences != 0]
    if not nonzero.size:
        return {"reason": NO_DIFFERENCE}
    ranks = rankdata(np.abs(nonzero))
    effect = float((ranks * np.sign(nonzero)).sum() / ranks.sum())
    return {"wilcoxon_p": float(wilcoxon(nonzero).pvalue), "effect": effect}
