"""LPIPS by VGG16 against rate."""

from __future__ import annotations

from uqdm.bench.plots._metric_plot import metric_plot

PLOT = metric_plot("lpips_vgg", "LPIPS (VGG)", order=34)
