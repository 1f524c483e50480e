"""Parameters that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqdm.bench.analysis.options import PUBLISHED_DEFAULT, PUBLISHED_HELP
from uqdm.cli import completion

RunFolder = Annotated[
    Path, typer.Option(help="Folder of the run, e.g. results/demo", file_okay=False, autocompletion=completion.runs)
]
LogFile = Annotated[Path | None, typer.Option(help="Write the progress lines to this file too", dir_okay=False)]
PublishedChoice = Annotated[str | None, typer.Option(help=f"{PUBLISHED_HELP} [{PUBLISHED_DEFAULT}]")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON: the rows as objects, with every digit; null for no value")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, with every digit and every column")]


def one_form(*, as_csv: bool, as_json: bool) -> None:
    """Refuses --csv together with --json."""
    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json exclude each other; leave one out")
