"""``uqdm bench plane``: what realistic pictures cost in squared error, against twice the least."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uqdm.bench.analysis.options import FAITHFUL, REALISTIC
from uqdm.cli import completion
from uqdm.cli.bench._parameters import AsCsv, AsJson, one_form
from uqdm.cli.folding import show_text
from uqdm.cli.json_output import json_rows, print_json

if TYPE_CHECKING:
    from uqdm.bench.analysis.compare_runs import Key


def plane(
    run: Annotated[Path, typer.Argument(help="Folder of the run", file_okay=False, autocompletion=completion.runs)],
    faithful: Annotated[
        list[str] | None,
        typer.Option(help=f"Reconstruction of least squared error; may be repeated [{', '.join(FAITHFUL)}]"),
    ] = None,
    realistic: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Realistic reconstruction; may be repeated, gains are over the first [{', '.join(REALISTIC)}]"
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Codec, or curve such as 'uqdm denoise', whose faithful pictures at the same rate are the bound, too",
            autocompletion=completion.codecs,
        ),
    ] = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the table to this file, .csv or .json", dir_okay=False)
    ] = None,
) -> None:
    """Compares the squared error of realistic pictures with twice that of faithful ones, point by point.

    The ratio is 1 for pictures that are drawn from all that the bytes may stand for, and perfect realism needs no more.
    Each ratio has an interval over images and a verdict, and each second realistic picture its gain over the first.
    """
    from uqdm.bench.analysis.plane import make_plane, write_plane
    from uqdm.bench.schema import PLANE
    from uqdm.cli.bench._table import print_csv

    one_form(as_csv=as_csv, as_json=as_json)
    if out is not None:
        _check(out)
    table = make_plane(run, faithful, realistic, against)
    if as_csv:
        print_csv(table, PLANE)
    elif as_json:
        print_json(json_rows(table, PLANE))
    else:
        _print(table)
    if out is not None:
        write_plane(table, out)
        typer.echo(out, err=as_csv or as_json)


def _check(out: Path) -> None:
    from uqdm.bench.analysis.plane import SUFFIXES
    from uqdm.output import check_output, is_text

    if out.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{out}: the table is written as {' or '.join(SUFFIXES)}; name a file that ends so")
    check_output(out, is_text, force=None)


def _print(table: Any) -> None:
    from uqdm.bench.analysis.plane import RATE, STREAM
    from uqdm.bench.run.tables import records

    for dataset, rows in table.groupby("dataset", sort=False):
        found = records(rows)
        labels = _labels(found)
        drawn = [row for row in found if row["basis"] == STREAM and row["line_ratio"] != row["line_ratio"]]
        _print_ratios(f"{dataset}: realistic pictures against twice the faithful ones of the same bits", drawn, labels)
        for curve in dict.fromkeys(row["mmse"] for row in found if row["basis"] == RATE):
            at_rate = [row for row in found if row["basis"] == RATE and row["mmse"] == curve]
            _print_ratios(f"{dataset}: against twice the faithful curve {curve!r} at equal rate", at_rate, labels)
        _print_line(f"{dataset}: mixtures against m + lambda^2 (s - m)", found, labels)
    show_text("ratio: squared error over twice the faithful one's; verdict: on 'at most twice', by the whole interval")


def _print_ratios(title: str, rows: Sequence[dict[str, Any]], labels: dict[Key, str]) -> None:
    """One of the two tables: with gains for pictures of the same bits, else with gaps between points of the curve."""
    from uqdm.cli.bench._table import cell, print_table

    if not rows:
        return
    gains = any(row["gain_db"] == row["gain_db"] for row in rows)
    gaps = any(row["rate_gap"] == row["rate_gap"] for row in rows)
    headings = ["picture", "bpp", "MSE", "faithful", "ratio", "95 % interval", "verdict"]
    headings += ["gain, dB", "95 % interval "] * gains + ["points apart"] * gaps + ["images", "reason"]
    cells = [
        [
            labels[_key(row)],
            *(cell(row[name]) for name in ("rate_bpp", "mse", "mse_mmse", "ratio")),
            _interval(row, "ratio"),
            cell(row["verdict"]),
            *[cell(row["gain_db"]), _interval(row, "gain_db")] * gains,
            *[cell(row["rate_gap"])] * gaps,
            cell(row["n"]),
            row["reason"] if isinstance(row["reason"], str) else "",
        ]
        for row in rows
    ]
    print_table(title, headings, cells, texts=("picture", "verdict", "reason"))
    typer.echo()


def _print_line(title: str, rows: Sequence[dict[str, Any]], labels: dict[Key, str]) -> None:
    from uqdm.cli.bench._table import cell, print_table

    cells = [
        [labels[_key(row)], cell(row["mse"]), cell(row["line_ratio"]), _interval(row, "line_ratio"), cell(row["n"])]
        for row in rows
        if row["line_ratio"] == row["line_ratio"]
    ]
    if cells:
        print_table(title, ["picture", "MSE", "ratio", "95 % interval", "images"], cells, texts=("picture",))
        typer.echo()


def _interval(row: dict[str, Any], name: str) -> str:
    from uqdm.cli.bench._table import NONE

    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return NONE if low != low else f"{low:.4g} to {high:.4g}"


def _labels(rows: Sequence[dict[str, Any]]) -> dict[Key, str]:
    from uqdm.bench.analysis.compare_runs import picture_labels
    from uqdm.bench.run.rates import labelled
    from uqdm.bench.schema import RATE_IDEAL

    ideal = {_key(row): row["rate_kind"] == RATE_IDEAL for row in rows}
    return {key: labelled(label, ideal[key]) for key, label in picture_labels(list(ideal)).items()}


def _key(row: dict[str, Any]) -> Key:
    codec, setting, point, reconstruction = (row[name] for name in ("codec", "setting", "point", "reconstruction"))
    return codec, setting, point, reconstruction
