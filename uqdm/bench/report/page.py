"""Builds the page from the template ``page.html`` and the content that the other modules make.

The page loads nothing from elsewhere: its policy forbids every request but for pictures beside it, and every script
except the two in it.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from uqdm.bench.analysis.curves import titles
from uqdm.bench.analysis.equal_rate import TOLERANCE
from uqdm.bench.analysis.short_table import ROUGH_DB, ROUGH_RATIO, absences, common_rate
from uqdm.bench.exchange.imported import imported_curves
from uqdm.bench.grid.content import metric_columns
from uqdm.bench.metrics import headline_set_metrics, labels_of
from uqdm.bench.plots import Plot, all_plots, shown_file
from uqdm.bench.report import content
from uqdm.bench.report.bd import read_deltas
from uqdm.bench.report.bd_images import image_deltas
from uqdm.bench.report.comparison import comparison_tables
from uqdm.bench.report.extremes import extremes
from uqdm.bench.report.figures import figure_data
from uqdm.bench.report.grid import report_grid
from uqdm.bench.report.library import Library, csp_hash, plotly_library
from uqdm.bench.report.originals import original_notes
from uqdm.bench.report.pictures import PicturePool
from uqdm.bench.report.results_table import GROUPS, cost_table, full_table
from uqdm.bench.report.robustness import read_robustness
from uqdm.bench.report.sets import caveats
from uqdm.bench.report.templates import environment, text_of
from uqdm.bench.report.viewer import viewer_data
from uqdm.bench.report.viewer_pictures import ViewerPictures, remove_others, write_pictures
from uqdm.bench.report.walk import walk_data
from uqdm.bench.run.json_files import read_origin
from uqdm.bench.run.layout import report_path, report_pictures_path
from uqdm.bench.run.pictures import RunPictures
from uqdm.bench.run.summary_reader import read_summary, summary_provenance
from uqdm.files import write_bytes
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd

_MIME = {".svg": "image/svg+xml", ".png": "image/png"}
_SCRIPTS = (
    "elements.js",
    "theme.js",
    "marks.js",
    "codec_filter.js",
    "tables.js",
    "traces.js",
    "published.js",
    "imported.js",
    "axes.js",
    "plots.js",
    "walk.js",
    "viewer.js",
    "page.js",
)
_STYLES = ("page.css", "viewer.css", "grid.css")


@dataclass(frozen=True)
class RenderedPage:
    """The page as HTML, and the pictures that lie as files beside it, by their names."""

    html: str
    files: dict[str, bytes]


def save_report(
    run_dir: Path, path: Path | None = None, plots_folder: Path | None = None, published: str | None = None
) -> Path:
    """Writes the report of a run, to ``report.html`` in it if ``path`` is None, and returns its path.

    ``published`` chooses the published curves that it shows at first, as for the plots.

    ``plots_folder`` holds its plots; the run's own folder of plots if None. Pictures that are too many for one page are
    written to a folder beside it, which has its name and ``_pictures``. The folder of the run's own report is always
    made. It is written before the page, and pictures of the earlier page are removed after it: an error leaves the
    earlier page whole.
    """
    path = path or report_path(run_dir)
    folder = report_pictures_path(path)
    page = render_page(run_dir, plots_folder, folder.name, published)
    if page.files or path == report_path(run_dir):
        write_pictures(folder, page.files)
    write_bytes(path, page.html.encode())
    if folder.is_dir():
        remove_others(folder, page.files)
    return path


def render_report(run_dir: Path, plots_folder: Path | None = None) -> str:
    """The page as HTML; see :func:`render_page`."""
    return render_page(run_dir, plots_folder, report_pictures_path(report_path(run_dir)).name).html


def render_page(
    run_dir: Path, plots_folder: Path | None, pictures_folder: str, published: str | None = None
) -> RenderedPage:
    """The page, which shows the pictures that are too many for it from the folder of that name beside it.

    Raises :class:`~uqdm.bench.run.errors.ResultsError` if the summary or a plot is missing.
    """
    summary, origin = read_summary(run_dir), summary_provenance(run_dir)
    plots = _still_plots(run_dir, plots_folder, published)
    pool, library, whole = PicturePool(), plotly_library(), ViewerPictures()
    open_run = functools.cache(functools.partial(RunPictures, run_dir, more_columns=metric_columns()))
    walk = walk_data(open_run, summary, pool)
    shown = extremes(open_run, summary, pool)
    viewer = viewer_data(open_run, summary, whole, pool)
    of_images = image_deltas(run_dir, open_run, summary, pool, titles(summary))
    grid = report_grid(open_run, summary, pool)
    figures = figure_data(summary, read_origin(run_dir), published, imported_curves(run_dir))
    script = "\n".join(text_of(name) for name in _SCRIPTS)
    data = {"figures": figures, "walk": walk, "pictures": pool.uris}
    data["viewer"] = {**viewer, "folder": pictures_folder, "sources": whole.sources(quote(pictures_folder))}
    html = (
        environment()
        .get_template("page.html")
        .render(
            **_texts(run_dir, summary, origin),
            policy=_policy(script, library, whole),
            style="\n".join(text_of(name) for name in _STYLES),
            script=script,
            library=library.embedded,
            plots=plots,
            has_curves=bool(figures["datasets"]),
            walk=walk,
            rate_tolerance=round(100 * (TOLERANCE - 1)),
            viewer=viewer,
            extremes=shown,
            image_deltas=of_images,
            grid=grid,
            original_notes=original_notes(open_run(name) for name in summary.dataset.unique()),
            data=embed_json(data),
            size=_size(library, pool, whole, plots),
            pictures_folder="" if whole.in_page else pictures_folder,
        )
    )
    return RenderedPage(html, whole.files())


def embed_json(data: Mapping[str, Any]) -> str:
    """Data as JSON that is safe in a script element, whatever text it has.

    >>> embed_json({"id": "</script><!--"})
    '{"id":"\\\\u003c/script\\\\u003e\\\\u003c!--"}'
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _texts(run_dir: Path, summary: pd.DataFrame, origin: Mapping[str, Any]) -> dict[str, Any]:
    """The texts and tables of the page."""
    table = full_table(summary)
    return {
        "title": content.title(summary),
        "lead": content.lead(summary, origin),
        "rough_db": ROUGH_DB,
        "rough_ratio": ROUGH_RATIO,
        "comparison_metrics": ", ".join(["PSNR", labels_of(headline_set_metrics())]),
        "set_metrics": labels_of(headline_set_metrics()),
        "comparison": comparison_tables(summary),
        "comparison_rates": "; ".join(_rates(summary)),
        "several_datasets": summary.dataset.nunique() > 1,
        "caveats": caveats(summary),
        "deltas": read_deltas(run_dir, titles(summary)),
        "absences": absences(summary),
        "table": table,
        "groups": {
            group: name for group, name in GROUPS.items() if any(heading.group == group for heading in table.headings)
        },
        "costs": cost_table(summary),
        "robustness": read_robustness(run_dir),
        "protocol": content.protocol(origin),
        "codecs": content.codec_table(summary, origin),
        "packages": content.packages(origin),
    }


def _rates(summary: pd.DataFrame) -> list[str]:
    """The rates at which the codecs of each data set are compared."""
    rates = {str(name): common_rate(rows) for name, rows in summary.groupby("dataset")}
    return [f"{rate:.3g} bpp{f' on {name}' if len(rates) > 1 else ''}" for name, rate in rates.items() if rate == rate]


def _policy(script: str, library: Library, whole: ViewerPictures) -> str:
    """The page's policy: it loads nothing from elsewhere, and runs only its own script and the library.

    Pictures are data URIs; where there are files of pictures, also those of the place that the page is in.
    """
    files = "" if whole.in_page else " 'self' file:"
    return (
        f"default-src 'none'; script-src {csp_hash(script.encode())} {library.csp_hash}; style-src 'unsafe-inline'; "
        f"img-src data: blob:{files}; base-uri 'none'; form-action 'none'"
    )


def _size(library: Library, pool: PicturePool, whole: ViewerPictures, plots: Sequence[Mapping[str, Any]]) -> str:
    n_pictures = len(pool.uris) + (len(whole) if whole.in_page else 0)
    parts = {
        "the plotting library": len(library.embedded),
        counted(n_pictures, "picture"): pool.n_bytes + (whole.n_bytes if whole.in_page else 0),
        "still plots": sum(len(plot["source"]) for plot in plots),
    }
    listed = ", ".join(f"{name} {count / 1e6:.1f} MB" for name, count in parts.items())
    kept = "This page is one file and loads nothing." if whole.in_page else _beside(whole)
    return f"{kept} Besides text it contains: {listed}. {library.credit}."


def _beside(whole: ViewerPictures) -> str:
    return (
        f"This page loads nothing but the {len(whole)} pictures in the folder beside it "
        f"({whole.n_bytes / 1e6:.1f} MB): copy both together."
    )


def _still_plots(run_dir: Path, folder: Path | None, published: str | None) -> list[dict[str, Any]]:
    """The plots that the run has something to draw for, in the order of the page."""
    found = [(plot, shown_file(plot, run_dir, folder)) for plot in sorted(all_plots(), key=lambda plot: plot.order)]
    return [_embedded(plot, run_dir, path, published) for plot, path in found if path is not None]


def _embedded(plot: Plot, run_dir: Path, path: Path, published: str | None) -> dict[str, Any]:
    """A plot for the template: title, caption, and its picture as a data URI."""
    data = base64.b64encode(path.read_bytes()).decode()
    return {
        "name": plot.name,
        "title": plot.title,
        "caption": plot.captioned(run_dir, published),
        "caption_drawn": plot.caption_drawn,
        "source": f"data:{_MIME[path.suffix]};base64,{data}",
    }
