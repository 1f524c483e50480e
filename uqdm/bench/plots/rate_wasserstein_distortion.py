"""Wasserstein distortion against rate."""

from __future__ import annotations

from uqdm.bench.plots._metric_plot import metric_plot

PLOT = metric_plot("wasserstein_distortion", "Wasserstein distortion", order=37)
