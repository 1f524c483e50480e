"""SSIMULACRA 2 against rate."""

from __future__ import annotations

from uqdm.bench.plots._metric_plot import metric_plot

PLOT = metric_plot("ssimulacra2", "SSIMULACRA 2", order=36)
