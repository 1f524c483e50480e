"""The report of a run: one self-contained page with tables, plots and provenance."""

from uqdm.bench.report.page import render_report, save_report

__all__ = ["render_report", "save_report"]
