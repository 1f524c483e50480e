"""``uqdm bench show``: results of finished runs; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.cli import completion
from uqdm.cli.bench._notes import note_unfilled
from uqdm.cli.bench._parameters import AsCsv, AsJson, one_form
from uqdm.cli.json_output import json_rows, print_json
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_NAMED = ("run", "dataset", "codec", "setting", "point", "reconstruction", "rate_kind", "image_id", "device")
_STATE = ("status", "error")
_SUMMARY_COLUMNS = ("codec", "label", "setting", "point", "reconstruction", "n", "failed", "exact", "rate_kind", "bpp")
_ROW_COLUMNS = ("image_index", "image_id", "codec", "setting", "point", "reconstruction", "rate_kind", "bpp")
_PLAIN = {"status": {"ok"}, "point": {"full"}, "reconstruction": {"decoded", "exact"}, "rate_kind": {"file"}}
"""A column that has only these values is not shown."""
_IDEAL_RATES = ("ideal_bpp", "ideal_bits")  # shown if some rows have no other rate
_LAST_COLUMNS = ("encode_ms", "decode_ms")


@dataclass(frozen=True)
class _Query:
    """The requested part of the results, and its form."""

    patterns: dict[str, Sequence[str]]
    where: Sequence[str]
    columns: Sequence[str]
    sort: str | None
    descending: bool
    limit: int | None

    def anything(self) -> bool:
        """Whether anything but the short table is requested."""
        return any([*self.patterns.values(), self.where, self.columns, self.sort, self.descending, self.limit])


def show(
    run: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of runs [every run in results/]", file_okay=False, autocompletion=completion.runs),
    ] = None,
    rows: Annotated[bool, typer.Option("--rows", help="The rows of single images, not their means")] = False,
    codec: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this codec; * and ? stand for anything; may be repeated", autocompletion=completion.codecs
        ),
    ] = None,
    setting: Annotated[list[str] | None, typer.Option(help="Only this setting, e.g. 'quality=5*'")] = None,
    point: Annotated[list[str] | None, typer.Option(help="Only this point, e.g. 'step 2'")] = None,
    reconstruction: Annotated[list[str] | None, typer.Option(help="Only this kind of picture, e.g. denoise")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Only where COLUMN OPERATOR VALUE holds, e.g. 'bpp<2 and psnr_db>30', 'error!=null'"),
    ] = None,
    columns: Annotated[str | None, typer.Option(help="These columns, with commas between [the main ones]")] = None,
    sort: Annotated[str | None, typer.Option(help="Sort by this column")] = None,
    descending: Annotated[bool, typer.Option("--descending", help="Largest first")] = False,
    limit: Annotated[int | None, typer.Option(help="Only the first N", min=1)] = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Prints finished runs: the short table and its files; or, with any option, their means or single rows."""
    one_form(as_csv=as_csv, as_json=as_json)
    patterns = {"codec": codec, "setting": setting, "point": point, "reconstruction": reconstruction}
    named = [name.strip() for name in columns.split(",")] if columns else []
    query = _Query({k: v or () for k, v in patterns.items()}, where or (), named, sort, descending, limit)
    folders = run or _finished_runs()
    if not (rows or as_csv or as_json or query.anything()):
        _print_short(folders)
        return
    from uqdm.bench.metrics import rows_schema, summary_schema
    from uqdm.bench.run.layout import rows_dir

    schema = rows_schema() if rows else summary_schema()
    if as_json:
        print_json(json_rows(_with_columns(_chosen(folders, query, rows=rows), query), schema))
    else:
        _print(_chosen(folders, query, rows=rows), query, schema, as_csv=as_csv)
    note_unfilled(*(folder for folder in folders if rows_dir(folder).is_dir()))


def _finished_runs() -> list[Path]:
    from uqdm.bench.run.layout import summary_path

    runs = [folder for folder in sorted(Path("results").glob("*")) if summary_path(folder).is_file()]
    if not runs:
        raise FileNotFoundError("no finished run in results/; make one with: snakemake --cores all")
    return runs


def _print_short(folders: Sequence[Path]) -> None:
    from uqdm.bench.analysis.short_table import closing_message
    from uqdm.bench.run.layout import rows_dir
    from uqdm.bench.run.summary_reader import read_summary

    for folder in folders:
        read_summary(folder)  # raises an error with the remedy if there is none
        typer.echo(closing_message(folder, most_lines=None))
        if rows_dir(folder).is_dir():
            note_unfilled(folder)


def _chosen(folders: Sequence[Path], query: _Query, *, rows: bool) -> pd.DataFrame:
    """The requested results, with all of their columns."""
    import pandas as pd

    from uqdm.bench.metrics import rows_schema
    from uqdm.bench.run.rows_reader import read_rows
    from uqdm.bench.run.summary_reader import read_summary
    from uqdm.bench.run.unscored import as_text
    from uqdm.cli.bench._row_filter import matching, ordered, parse_conditions, where

    parts = []
    for folder in folders:
        part = read_rows(folder, rows_schema().names) if rows else read_summary(folder)
        if len(folders) > 1 or "run" in query.columns:
            part.insert(0, "run", str(folder))
        parts.append(part)
    frame = as_text(pd.concat(parts, ignore_index=True))
    frame = where(matching(frame, query.patterns), [one for text in query.where for one in parse_conditions(text)])
    return ordered(frame, query.sort, descending=query.descending)[: query.limit]


def _print(frame: pd.DataFrame, query: _Query, schema: pa.Schema, *, as_csv: bool) -> None:
    from uqdm.bench.analysis.short_table import EXACT
    from uqdm.cli.bench._row_filter import choose
    from uqdm.cli.bench._table import cell, print_csv, print_table

    if as_csv:
        print_csv(_with_columns(frame, query), schema)
        return
    shown, everywhere = (choose(frame, query.columns), []) if query.columns else _shortened(frame)
    texts = {"psnr_db": EXACT}
    columns = ([cell(value, texts.get(name, "infinite")) for value in shown[name]] for name in shown.columns)
    cells = zip(*columns, strict=True)
    print_table("", list(shown.columns), cells, texts=(*_NAMED, *_STATE))
    for text in everywhere:
        typer.echo(text)
    typer.echo(counted(len(frame), "row"))


def _with_columns(frame: pd.DataFrame, query: _Query) -> pd.DataFrame:
    """The columns that were asked for; all of them by default."""
    from uqdm.cli.bench._row_filter import choose

    return choose(frame, query.columns) if query.columns else frame


def _shortened(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The main columns, with only the differing part of settings; and the common part for each codec."""
    from uqdm.bench.analysis.curves import shared_parameters, short_settings

    settings, everywhere = frame.setting.copy(), []
    for codec, rows in frame.groupby("codec", sort=False):
        settings[rows.index] = rows.setting.map(short_settings(rows.setting.unique()))
        shared = shared_parameters(rows.setting.unique())
        everywhere += [f"{codec}: {shared} in all rows"] if shared else []
    names = _main_columns(frame)
    if len(frame) and not settings.any():
        names.remove("setting")
    return frame.assign(setting=settings)[names], everywhere


def _main_columns(frame: pd.DataFrame) -> list[str]:
    """Columns that distinguish rows, rates, metrics and times, without columns that hold no information."""
    from uqdm.bench.metrics import declared
    from uqdm.bench.run.rates import is_ideal

    first = _ROW_COLUMNS if "image_index" in frame else _SUMMARY_COLUMNS
    ideal = _IDEAL_RATES if is_ideal(frame).any() else ()
    metrics = [metric.name for metric in declared()]
    names = ["run", "dataset", *first, *ideal, *metrics, *_LAST_COLUMNS, *_STATE]
    found = list(dict.fromkeys(name for name in names if name in frame and frame[name].notna().any()))
    if frame.empty:
        return [name for name in (*first, *_LAST_COLUMNS) if name in frame]
    plain = [name for name, values in _PLAIN.items() if name in frame and set(frame[name].dropna()) <= values]
    return [name for name in found if name not in plain and (name != "dataset" or frame.dataset.nunique() > 1)]
