"""``uqdm bench bd``: Bjøntegaard deltas of a run's curves against an anchor."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uqdm.bench.analysis.options import ANCHORS
from uqdm.cli import completion
from uqdm.cli.bench._notes import note_unfilled
from uqdm.cli.bench._parameters import RunFolder
from uqdm.cli.json_output import json_rows, print_json

if TYPE_CHECKING:
    import pandas as pd

    from uqdm.bench.analysis.bd_table import BdTables

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
    per_image: Annotated[
        bool,
        typer.Option(
            "--per-image",
            help="Print also where BD-rates come from: of single images, without one of them, and at single qualities",
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON: curves, and with --per-image also images; null for no value"),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="File to write alone [bd.csv and bd_per_image.csv in the run]", dir_okay=False)
    ] = None,
) -> None:
    """Writes bd.csv of a summarized run: BD-rate and BD-quality of every curve by every metric; prints them.

    bd_per_image.csv has the BD-rate of each image, and that of all images without it.
    """
    from uqdm.bench.analysis.bd_table import make_bd_tables
    from uqdm.bench.analysis.curves import titles
    from uqdm.bench.run.summary_reader import read_summary
    from uqdm.output import check_output, is_text
    from uqdm.registry import suggest

    if out is not None:
        check_output(out, is_text, force=None)
    tables = make_bd_tables(run, anchor)
    table = tables.curves
    known = list(dict.fromkeys(table.metric))
    for name in metric or ():
        if name not in known:
            raise LookupError(f"no deltas by {name!r}{suggest(name, known)}; there are some by: {', '.join(known)}")
    if as_json:
        _print_json(tables, metric or known, per_image=per_image)
    else:
        _print_tables(tables, metric or known, titles(read_summary(run)), per_image=per_image)
    note_unfilled(run)
    _write(tables, run, out, to_stderr=as_json)


def _print_json(tables: BdTables, metrics: Sequence[str], *, per_image: bool) -> None:
    from uqdm.bench.schema import BD, BD_OF_IMAGES

    curves = tables.curves[tables.curves.metric.isin(metrics)]
    images = tables.images[tables.images.metric.isin(metrics)]
    print_json({"curves": json_rows(curves, BD), **({"images": json_rows(images, BD_OF_IMAGES)} if per_image else {})})


def _print_tables(
    tables: BdTables, metrics: Sequence[str], titles: dict[tuple[str, str], str], *, per_image: bool
) -> None:
    for (dataset, by), rows in tables.curves.groupby(["dataset", "metric"], sort=False):
        if by in metrics:
            _print(str(dataset), str(by), rows, titles)
            if per_image:
                of_images = tables.images[(tables.images.dataset == dataset) & (tables.images.metric == by)]
                _print_images(rows, of_images, titles)


def _write(tables: BdTables, run: Path, out: Path | None, *, to_stderr: bool) -> None:
    """Writes the tables; for a read-only run a note says that they were not written."""
    from uqdm.bench.analysis.bd_table import save_bd_tables, write_bd_table
    from uqdm.bench.run.layout import bd_of_images_path, bd_path

    try:
        if out is not None:
            write_bd_table(tables.curves, out)
        else:
            save_bd_tables(tables, run)
    except OSError as error:
        if out is not None or error.errno not in _READ_ONLY:
            raise
        reason = os.strerror(error.errno)
        typer.echo(f"note: {bd_path(run)} was not written: {reason}; --out FILE writes it elsewhere", err=True)
        return
    if out is None:
        typer.echo(bd_of_images_path(run), err=to_stderr)
    typer.echo(out or bd_path(run), err=to_stderr)


def _print(dataset: str, metric: str, rows: pd.DataFrame, titles: dict[tuple[str, str], str]) -> None:
    from uqdm.bench.run.tables import records
    from uqdm.cli.bench._table import print_table

    first = rows.iloc[0]
    title = f"{dataset}: {metric} ({first.direction} is better), against {first.anchor}; {first.method}"
    headings = ("curve", "BD-rate, %", "95 % interval", "BD-quality", "95 % interval ", "overlap", "images", "reason")
    named = ({**row, "curve": titles.get((dataset, row["curve"]), row["curve"])} for row in records(rows))
    print_table(title, headings, map(_cells, named), texts=("curve", "reason"))


def _print_images(rows: pd.DataFrame, of_images: pd.DataFrame, titles: dict[tuple[str, str], str]) -> None:
    """Prints the figures of a metric that come from single images, and the images at both ends."""
    from uqdm.bench.analysis.bd_of_images import worst_and_best
    from uqdm.bench.run.tables import records
    from uqdm.bench.schema import RATE_RATIO_SHARES
    from uqdm.cli.bench._table import print_table

    known = [row for row in records(rows) if row["image_bd_rate_n"] > 0]
    if not known:
        return
    names = {row["curve"]: titles.get((row["dataset"], row["curve"]), row["curve"]) for row in known}
    headings = ["curve", "images", "median, %", "quartiles, %", "without", "BD-rate, %", "variance"]
    headings += [f"rate ratio at {share} %" for share in RATE_RATIO_SHARES]
    cells = [[names[row["curve"]], *_image_cells(row)] for row in known]
    print_table("BD-rates of single images, and rate ratios within the overlap", headings, cells, ("curve", "without"))
    ends = [
        [names[str(curve)], *(cell for row in pair for cell in _end_cells(row))]
        for curve, found in of_images.groupby("curve", sort=False)
        for pair in worst_and_best(found)
    ]
    if ends:
        headings = ["curve", "worst image", "BD-rate, %", "best image", "BD-rate, % "]
        print_table("Images of highest and lowest BD-rate", headings, ends, ("curve", "worst image", "best image"))


def _image_cells(row: dict[str, Any]) -> list[str]:
    from uqdm.bench.schema import RATE_RATIO_SHARES

    image, share = row["influential_image"], row["influence_share"]
    return [
        f"{row['image_bd_rate_n']:g} of {row['n']:g}",
        _figure(row["image_bd_rate_median"]),
        _interval(row["image_bd_rate_q1"], row["image_bd_rate_q3"]),
        image if isinstance(image, str) else "-",
        _figure(row["bd_rate_without"]),
        "-" if share != share or share is None else f"{100 * share:.0f} %",
        *(_ratio(row, f"rate_ratio_{share}") for share in RATE_RATIO_SHARES),
    ]


def _ratio(row: dict[str, Any], name: str) -> str:
    return "-" if row[name] != row[name] else f"{row[name]:.3f} (n={row[f'{name}_n']:g})"


def _end_cells(row: dict[str, Any] | None) -> list[str]:
    return ["", ""] if row is None else [row["image_id"], _figure(row["bd_rate_percent"])]


def _cells(row: dict[str, Any]) -> list[str]:
    rate, quality = (_figure(row[name]) for name in ("bd_rate_percent", "bd_quality"))
    ends = [_interval(row[f"bd_{kind}_low"], row[f"bd_{kind}_high"]) for kind in ("rate", "quality")]
    overlap = _interval(row["overlap_low"], row["overlap_high"])
    n, said = row["n"], [row[name] for name in ("reason", "note", "warning")]
    images, why = "-" if n != n else f"{n:g}", "; ".join(text for text in said if isinstance(text, str))
    return [row["curve"], rate, ends[0], quality, ends[1], overlap, images, why]


def _figure(value: float) -> str:
    return "-" if value != value else f"{value:+.4g}"


def _interval(low: float, high: float) -> str:
    return "-" if low != low else f"{low:.4g} to {high:.4g}"
