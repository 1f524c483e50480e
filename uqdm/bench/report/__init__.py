"""The report of a run: one page that holds its tables, plots and provenance, and needs nothing else."""

from uqdm.bench.report.page import render_report, save_report

__all__ = ["render_report", "save_report"]
