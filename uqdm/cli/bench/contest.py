"""``uqdm bench contest``: codecs held against each other on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqdm.bench.contest.options import PageOptions
from uqdm.cli import completion
from uqdm.cli.bench._notes import note_unfilled
from uqdm.cli.option_parameters import with_option_parameters


@with_option_parameters
def contest(
    run: Annotated[
        Path, typer.Argument(help="Folder of a summarized run", file_okay=False, autocompletion=completion.runs)
    ],
    options: PageOptions,
    contestant: Annotated[
        list[str] | None,
        typer.Option(help="NAME=TEXT: a codec or label of the run, and what it is; in this order [all of the run]"),
    ] = None,
    absent: Annotated[
        list[str] | None, typer.Option(help="NAME=REASON of a contestant that was not run; may be repeated")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Page to write [contest.html in the run]", dir_okay=False)] = None,
) -> None:
    """Writes a page that holds codecs against each other at equal rates: pictures, plots, tables, verdicts.

    snakemake contest measures the codecs of config/contest.yaml and makes this page of them.
    """
    from uqdm.bench.contest.configuration import parse_named
    from uqdm.bench.contest.page import save_contest
    from uqdm.output import check_output, is_html

    named, reasons = parse_named(contestant or [], "--contestant"), parse_named(absent or [], "--absent")
    if out is not None:
        check_output(out, is_html, force=None)
    typer.echo(save_contest(run, options, named, reasons, out))
    note_unfilled(run)
