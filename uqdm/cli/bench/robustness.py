"""``uqdm bench robustness``: what codecs do with damaged files, and in other processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.bench.robustness.options import RobustnessOptions
from uqdm.cli import completion
from uqdm.cli.bench._requests import DATA_SETS, CodecRequests, CodecsFile, requests
from uqdm.cli.option_parameters import with_option_parameters

if TYPE_CHECKING:
    from uqdm.bench.robustness.coded_files import CodecFiles
    from uqdm.bench.run.codec_settings import Request


@with_option_parameters
def robustness(
    source: Annotated[
        str,
        typer.Argument(help=f"Folder of a run, or a data set: {DATA_SETS}", autocompletion=completion.runs),
    ],
    options: RobustnessOptions,
    codec: CodecRequests = None,
    codecs_file: CodecsFile = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for robustness.csv and robustness.parquet [the run]", file_okay=False),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N images of a data set", min=1)] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown")] = False,
) -> None:
    """Damages coded files and decodes them, in separate processes with limits of time and memory; counts the outcomes.

    Each file is cut, has bits flipped, bytes overwritten, appended or replaced by those of another file or by random
    ones. Decoding raises an error, or gives the same picture, that of a shorter prefix, or a wrong one; or the process
    crashes, hangs or exceeds its memory. Undamaged files are decoded with other numbers of threads, other batches and
    other kernels, and every picture is compared.

    Without --codec: every codec of a run, each at the middle one of its settings. A data set needs --codec and --out.
    """
    from uqdm.bench.robustness.save import measure_all, save_table
    from uqdm.bench.robustness.table import markdown as as_markdown
    from uqdm.bench.robustness.table import shown_tables
    from uqdm.bench.run.layout import is_run
    from uqdm.cli.bench._table import print_table

    asked = requests(codec or [], codecs_file)
    if is_run(Path(source)):
        files = _of_run(Path(source), asked, limit)
        folder = out or Path(source)
    else:
        files = _of_images(source, asked, limit, out)
        folder = out or Path()
    found = measure_all(files, options, lambda text: typer.echo(text, err=True))
    for shown in shown_tables(found):
        if markdown:
            typer.echo(f"{shown.title}:\n\n{as_markdown(shown)}\n")
        else:
            print_table(shown.title, list(shown.headings), shown.lines, texts=("codec",))
            typer.echo()
    for path in save_table(found, folder):
        typer.echo(path)


def _of_run(run_dir: Path, asked: list[Request], limit: int | None) -> list[CodecFiles]:
    from uqdm.bench.robustness.coded_files import files_of_run

    if limit is not None:
        raise ValueError(f"--limit is for data sets, and {run_dir} is a run; leave it out")
    return files_of_run(run_dir, asked)


def _of_images(source: str, asked: list[Request], limit: int | None, out: Path | None) -> list[CodecFiles]:
    from uqdm.bench.datasets import open_dataset, spec_of
    from uqdm.bench.robustness.coded_files import files_of_images

    if not asked or out is None:
        lacking = "--codec" if not asked else "--out"
        raise ValueError(f"{source} is a data set, not the folder of a run: {lacking} is missing")
    return files_of_images(open_dataset(spec_of(source), limit), asked)
