"""``uqdm bench bd``: Bjøntegaard deltas of a run's curves against an anchor."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uqdm.bench.analysis.options import ANCHORS
from uqdm.cli import completion
from uqdm.cli.bench._notes import note_unfilled
from uqdm.cli.bench._parameters import RunFolder

if TYPE_CHECKING:
    import pandas as pd

_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)

_BY_DEFAULT = f"the first of {', '.join(ANCHORS)} that the run has, or else one of its own"


def bd(
    run: RunFolder,
    anchor: Annotated[
        str | None,
        typer.Option(
            help=f"Codec, or curve such as 'uqdm flow', to compare the others with [{_BY_DEFAULT}]",
            autocompletion=completion.codecs,
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="Print these only, e.g. psnr_db; may be repeated [every metric]", autocompletion=completion.metrics
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write [bd.csv in the run]", dir_okay=False)] = None,
) -> None:
    """Writes bd.csv of a summarized run: BD-rate and BD-quality of every curve by every metric; prints them."""
    from uqdm.bench.analysis.bd_table import make_bd_table
    from uqdm.bench.analysis.curves import titles
    from uqdm.bench.run.summary_reader import read_summary
    from uqdm.output import check_output, is_text
    from uqdm.registry import suggest

    if out is not None:
        check_output(out, is_text, force=None)
    table = make_bd_table(run, anchor)
    known = list(dict.fromkeys(table.metric))
    for name in metric or ():
        if name not in known:
            raise LookupError(f"no deltas by {name!r}{suggest(name, known)}; there are some by: {', '.join(known)}")
    shown = titles(read_summary(run))
    for (dataset, by), rows in table.groupby(["dataset", "metric"], sort=False):
        if not metric or by in metric:
            _print(str(dataset), str(by), rows, shown)
    note_unfilled(run)
    _write(table, run, out)


def _write(table: pd.DataFrame, run: Path, out: Path | None) -> None:
    """Writes the table; for a read-only run a note says that it was not written."""
    from uqdm.bench.analysis.bd_table import write_bd_table
    from uqdm.bench.run.layout import bd_path

    try:
        write_bd_table(table, out or bd_path(run))
    except OSError as error:
        if out is not None or error.errno not in _READ_ONLY:
            raise
        reason = os.strerror(error.errno)
        typer.echo(f"note: {bd_path(run)} was not written: {reason}; --out FILE writes it elsewhere", err=True)
        return
    typer.echo(out or bd_path(run))


def _print(dataset: str, metric: str, rows: pd.DataFrame, titles: dict[tuple[str, str], str]) -> None:
    from uqdm.bench.run.tables import records
    from uqdm.cli.bench._table import print_table

    first = rows.iloc[0]
    title = f"{dataset}: {metric} ({first.direction} is better), against {first.anchor}; {first.method}"
    headings = ("curve", "BD-rate, %", "95 % interval", "BD-quality", "95 % interval ", "overlap", "images", "reason")
    named = ({**row, "curve": titles.get((dataset, row["curve"]), row["curve"])} for row in records(rows))
    print_table(title, headings, map(_cells, named), texts=("curve", "reason"))


def _cells(row: dict[str, Any]) -> list[str]:
    rate, quality = (_figure(row[name]) for name in ("bd_rate_percent", "bd_quality"))
    ends = [_interval(row[f"bd_{kind}_low"], row[f"bd_{kind}_high"]) for kind in ("rate", "quality")]
    overlap = _interval(row["overlap_low"], row["overlap_high"])
    n, said = row["n"], [row[name] for name in ("reason", "note")]
    images, why = "-" if n != n else f"{n:g}", "; ".join(text for text in said if isinstance(text, str))
    return [row["curve"], rate, ends[0], quality, ends[1], overlap, images, why]


def _figure(value: float) -> str:
    return "-" if value != value else f"{value:+.4g}"


def _interval(low: float, high: float) -> str:
    return "-" if low != low else f"{low:.4g} to {high:.4g}"
