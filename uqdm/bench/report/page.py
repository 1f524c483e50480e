"""Puts the page together; ``page.html`` says how it looks, ``content.py`` what stands in its tables."""

from __future__ import annotations

import base64
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from uqdm.bench.files import write_bytes
from uqdm.bench.plots import Plot, all_plots
from uqdm.bench.report import content
from uqdm.bench.results import ResultsError, read_summary, report_path, summary_provenance
from uqdm.bench.tables import HEADINGS, ROUGH_DB, absences, lines

_MIME = {".svg": "image/svg+xml", ".png": "image/png"}


def save_report(run_dir: Path) -> Path:
    """Writes ``report.html`` of a run and returns its path."""
    path = report_path(run_dir)
    write_bytes(path, render_report(run_dir).encode())
    return path


def render_report(run_dir: Path) -> str:
    """The page as HTML; raises :class:`~uqdm.bench.results.ResultsError` if the summary or a plot is missing."""
    summary, origin = read_summary(run_dir), summary_provenance(run_dir)
    files = resources.files(__package__)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(str(__package__), package_path=""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    compared = lines(summary)
    return environment.get_template("page.html").render(
        style=files.joinpath("page.css").read_text(encoding="utf-8"),
        script=files.joinpath("page.js").read_text(encoding="utf-8"),
        title=content.title(summary),
        lead=content.lead(summary, origin),
        rough_db=ROUGH_DB,
        comparison_headings=HEADINGS,
        comparison={
            name: [line.cells() for line in compared if line.dataset == name] for name in summary.dataset.unique()
        },
        absences=absences(summary),
        plots=[_embedded(plot, run_dir) for plot in sorted(all_plots(), key=lambda plot: plot.order)],
        table=content.full_table(summary),
        protocol=content.protocol(origin),
        codecs=content.codec_table(summary, origin),
        packages=content.packages(origin),
    )


def _embedded(plot: Plot, run_dir: Path) -> dict[str, Any]:
    """A plot as the page needs it: title, caption, and its picture as a data URI (the SVG if there is one)."""
    path = next((path for path in plot.files(run_dir) if path.suffix == ".svg"), plot.files(run_dir)[0])
    if not path.is_file():
        raise ResultsError(f"no {path}; make it with: uqdm bench plot --run {run_dir}")
    data = base64.b64encode(path.read_bytes()).decode()
    return {
        "name": plot.name,
        "title": plot.title,
        "caption": plot.caption(run_dir),
        "caption_drawn": plot.caption_drawn,
        "source": f"data:{_MIME[path.suffix]};base64,{data}",
    }
