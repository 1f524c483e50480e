"""``uqdm bench report``: the page of a summarized and plotted run, or of several runs on the same images."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from uqdm.cli import completion
from uqdm.cli.bench._notes import note_unfilled
from uqdm.cli.bench._parameters import PublishedChoice

_PAGE = ".html"


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of runs; several are merged", file_okay=False, autocompletion=completion.runs),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run, in place of the argument", file_okay=False, autocompletion=completion.runs
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write [report.html in the run]; of several runs the folder to merge them into, or a page "
            "PAGE.html alone [a folder beside the first run]",
        ),
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder of its plots [plots in the run]", file_okay=False)] = None,
    anchor: Annotated[
        str | None,
        typer.Option(
            help="Of several runs: codec or curve to compare the others with [see bench bd]",
            autocompletion=completion.codecs,
        ),
    ] = None,
    published: PublishedChoice = None,
) -> None:
    """Writes report.html of a run: tables, plots, pictures, protocol and provenance.

    Several runs on the same images, measured by the same protocol, are merged into a folder that has the rows of all,
    and summary, BD-rates, plots and report of these. The runs themselves stay as they are. A codec that several runs
    have is one codec where its files, pictures and versions are equal; otherwise it bears the names of the runs.

    Pictures that are too many for one page lie in report_pictures beside it.
    """
    from uqdm.bench.analysis.published_systems import check_choice

    check_choice(published)
    named = [*(runs or ()), *([run] if run is not None else ())]
    if not named:
        raise typer.BadParameter("name the folder of a run, or of several")
    if len(named) > 1:
        if plots is not None:
            raise typer.BadParameter("--plots is for one run; the plots of several are drawn anew")
        _report_merged(named, out, anchor, published)
        return
    if anchor is not None:
        raise typer.BadParameter("--anchor is for several runs; use: uqdm bench bd --anchor, then report again")
    from uqdm.bench.report import save_report
    from uqdm.output import check_output, is_html

    if out is not None:
        check_output(out, is_html, force=None)
    typer.echo(save_report(named[0], out, plots, published))
    note_unfilled(named[0])


def _report_merged(runs: Sequence[Path], out: Path | None, anchor: str | None, published: str | None) -> None:
    """Merges runs, and makes the products of all rows: in a folder, or as a page alone."""
    from uqdm.bench.analysis.merge_runs import merged_folder
    from uqdm.bench.report import save_report
    from uqdm.output import check_output, is_html

    if out is None or out.suffix.lower() != _PAGE:
        _merge(runs, out or merged_folder(runs), anchor, published)
        return
    check_output(out, is_html, force=None)
    with tempfile.TemporaryDirectory(prefix="uqdm-") as temporary:
        folder = Path(temporary, "merged")
        _merge(runs, folder, anchor, published, quiet=True)
        typer.echo(save_report(folder, out, published=published))


def _merge(
    runs: Sequence[Path], folder: Path, anchor: str | None, published: str | None, *, quiet: bool = False
) -> None:
    from uqdm.bench.analysis.merge_runs import merge_runs
    from uqdm.bench.analysis.short_table import closing_message
    from uqdm.cli.bench.run import make_products

    names = merge_runs(runs, folder)
    typer.echo(f"merged {', '.join(names)}", err=True)
    failed: list[str] = []
    make_products(folder, anchor, published, failed)
    if failed:
        raise ValueError(f"{', '.join(failed)} failed, as said above")
    if not quiet:
        typer.echo(closing_message(folder))
        note_unfilled(folder)
