"""The page of a contest: verdicts, pictures at equal rates, plots and tables, in one file that loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from uqdm.bench.contest.claims import claims
from uqdm.bench.contest.curves import Entrant, entrants
from uqdm.bench.contest.figures import drawings
from uqdm.bench.contest.options import PageOptions
from uqdm.bench.contest.tables import entrant_table, rate_table, shown_metrics
from uqdm.bench.grid.content import make_grid, metric_columns
from uqdm.bench.plots import NothingToDrawError
from uqdm.bench.report import content
from uqdm.bench.report.grid import ShownGrid, shown_grid
from uqdm.bench.report.library import csp_hash
from uqdm.bench.report.pictures import data_uri
from uqdm.bench.report.sets import caveats
from uqdm.bench.report.templates import environment, text_of
from uqdm.bench.run.layout import contest_path
from uqdm.bench.run.pictures import RunPictures
from uqdm.bench.run.summary_reader import read_summary, summary_provenance
from uqdm.bench.schema import STATUS_SKIPPED
from uqdm.files import write_bytes

if TYPE_CHECKING:
    import pandas as pd

_SCRIPTS = ("elements.js", "theme.js", "tables.js")
_STYLES = ("page.css", "viewer.css", "grid.css")
_POLICY = "default-src 'none'; script-src {}; style-src 'unsafe-inline'; img-src data:"
_UNDER_PICTURES = ("psnr_db", "lpips")


def save_contest(
    run_dir: Path,
    options: PageOptions,
    named: Mapping[str, str] | None = None,
    absent: Mapping[str, str] | None = None,
    path: Path | None = None,
) -> Path:
    """Writes the page of a summarized run, to ``contest.html`` in it if ``path`` is None, and returns its path.

    ``named`` and ``absent`` are those of :func:`uqdm.bench.contest.curves.entrants`. Raises
    :class:`~uqdm.bench.run.errors.ResultsError` without a summary, and ValueError for names that the run does not have.
    """
    path = path or contest_path(run_dir)
    html = render_contest(run_dir, options, named or {}, absent or {})
    write_bytes(path, html.encode())
    return path


def render_contest(run_dir: Path, options: PageOptions, named: Mapping[str, str], absent: Mapping[str, str]) -> str:
    """The page as HTML, pictures included."""
    summary = read_summary(run_dir)
    summary = summary[summary.dataset == summary.dataset.iloc[0]]
    taking_part = entrants(summary, named, absent)
    metrics = shown_metrics(taking_part)
    script = "\n".join([*map(text_of, _SCRIPTS), _text("page.js")])
    return (
        _environment()
        .get_template("contest.html")
        .render(
            title=f"Diffusion codecs on {summary.dataset.iloc[0]}",
            lead=content.lead(summary, summary_provenance(run_dir)),
            policy=_POLICY.format(csp_hash(script.encode())),
            style="\n".join([*map(text_of, _STYLES), _text("contest.css")]),
            script=script,
            options=options,
            claims=claims(run_dir, taking_part, options),
            grid=_pictures(run_dir, summary, taking_part, options),
            drawings=drawings(taking_part, metrics, options),
            tables_at_rates=[rate_table(taking_part, metrics, rate) for rate in options.bpp],
            entrant_table=entrant_table(taking_part),
            caveats=caveats(summary),
            protocol=content.protocol(summary_provenance(run_dir)),
        )
    )


def _pictures(run_dir: Path, summary: pd.DataFrame, taking_part: Sequence[Entrant], options: PageOptions) -> ShownGrid:
    labels = tuple(curve.label for one in taking_part for curve in one.curves)
    if not labels:
        reasons = dict.fromkeys(summary[summary.status == STATUS_SKIPPED].error.dropna())
        return ShownGrid(absent="; ".join(["No pictures: no contestant was run", *reasons]) + ".")
    run = RunPictures(run_dir, str(summary.dataset.iloc[0]), metric_columns())
    metrics = tuple(name for name in _UNDER_PICTURES if run.rows[name].notna().any())
    try:
        grid = make_grid(run, summary, options.grid(labels, metrics))
    except NothingToDrawError as error:
        return ShownGrid(absent=f"No pictures: {error}.")
    return shown_grid(grid, lambda image_uint8: ("src", data_uri(image_uint8)))


def _environment() -> jinja2.Environment:
    """The templates of reports, and those beside this module."""
    found = environment()
    assert found.loader is not None
    found.loader = jinja2.ChoiceLoader([jinja2.PackageLoader(str(__package__), package_path=""), found.loader])
    return found


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
