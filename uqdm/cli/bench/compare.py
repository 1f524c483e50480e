"""``uqdm bench compare``: two runs side by side, image by image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uqdm.cli import completion
from uqdm.cli.bench._notes import note_unfilled
from uqdm.cli.bench._parameters import AsCsv, AsJson, one_form
from uqdm.cli.folding import show_text
from uqdm.cli.json_output import json_rows, print_json

if TYPE_CHECKING:
    from uqdm.bench.analysis.compare_runs import Comparison, Key

_CHOICE = "CODEC[:key=value,...][@POINT[/RECONSTRUCTION]], e.g. 'uqdm@step 2/denoise'"
_FIGURES = ("A", "B", "B - A", "95 % interval", "p", "effect", "better", "worse", "equal", "same pixels", "images")
_KEY = ("codec", "setting", "point", "reconstruction")
_LISTED = 12  # unpaired pictures that are named


def compare(
    a: Annotated[Path, typer.Argument(help="Folder of a run", file_okay=False, autocompletion=completion.runs)],
    b: Annotated[
        Path,
        typer.Argument(
            help="Folder of another run on the same images, or of the same",
            file_okay=False,
            autocompletion=completion.runs,
        ),
    ],
    codec_a: Annotated[
        str | None,
        typer.Option(help=f"Only this of A: {_CHOICE} [as --codec-b, or all]", autocompletion=completion.codecs),
    ] = None,
    codec_b: Annotated[
        str | None,
        typer.Option(help="Only this of B, in the same form [as --codec-a]", autocompletion=completion.codecs),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="bpp, a metric, or a cost such as decode_ms; may be repeated [bpp and every metric]",
            autocompletion=completion.metrics,
        ),
    ] = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Compares two runs image by image: paired differences with intervals, and a signed-rank test.

    Pictures are paired by codec, setting, point and reconstruction. Other codecs or settings are compared with
    --codec-a and --codec-b; what cannot be paired by name is paired by the nearest rate.
    """
    from uqdm.bench.analysis.compare_runs import compare_runs
    from uqdm.bench.schema import COMPARISON
    from uqdm.cli.bench._table import print_csv

    one_form(as_csv=as_csv, as_json=as_json)
    found = compare_runs(a, b, codec_a, codec_b, metric or ())
    note_unfilled(a, b)
    if as_csv:
        print_csv(found.table, COMPARISON)
        return
    if as_json:
        _print_json(found, a, b)
        return
    _print(found, a, b)


def _print_json(found: Comparison, a: Path, b: Path) -> None:
    from uqdm.bench.schema import COMPARISON

    only = {side: [dict(zip(_KEY, key, strict=True)) for key in getattr(found, f"only_{side}")] for side in ("a", "b")}
    about = {"a": a, "b": b, "dataset": found.dataset, "fingerprint": found.fingerprint, "notes": found.notes}
    rows = json_rows(found.table, COMPARISON)
    print_json({**about, "rows": rows, "only_a": only["a"], "only_b": only["b"]})


def _print(found: Comparison, a: Path, b: Path) -> None:
    from uqdm.bench.analysis.compare_runs import picture_labels
    from uqdm.bench.run.tables import records

    for line in (f"A: {a}", f"B: {b}", f"on {found.dataset} (fingerprint {found.fingerprint})", *found.notes, ""):
        show_text(line)
    rows = records(found.table)
    labels = {
        side: picture_labels([*(_key(row, side) for row in rows), *alone])
        for side, alone in (("a", found.only_a), ("b", found.only_b))
    }
    for name in dict.fromkeys(found.table.metric):
        _print_metric(str(name), [row for row in rows if row["metric"] == name], labels)
    tests = int(found.table.wilcoxon_p.notna().sum())
    show_text(
        f"p: Wilcoxon's signed-rank test, two-sided, not adjusted for {tests} test{'s' * (tests != 1)}; effect: "
        "rank-biserial correlation, positive where B is higher; better, worse: images on which B is"
    )
    for side, alone in (("a", found.only_a), ("b", found.only_b)):
        if alone:
            more = f" and {len(alone) - _LISTED} more" if len(alone) > _LISTED else ""
            show_text(f"unpaired in {side.upper()}: {', '.join(labels[side][key] for key in alone[:_LISTED])}{more}")


def _print_metric(name: str, rows: list[dict[str, Any]], labels: dict[str, dict[Key, str]]) -> None:
    from uqdm.cli.bench._table import print_table

    pairs = [[labels[side][_key(row, side)] for side in "ab"] for row in rows]
    names = ("picture",) if all(one == other for one, other in pairs) else ("picture of A", "picture of B")
    notes = [_note(row) for row in rows]
    cells = [[*pair[: len(names)], *_cells(row)] for row, pair in zip(rows, pairs, strict=True)]
    headings = (*names, *_FIGURES)
    if any(notes):
        cells, headings = [[*row, note] for row, note in zip(cells, notes, strict=True)], (*headings, "note")
    print_table(f"{name} ({rows[0]['direction']} is better)", headings, cells, texts=(*names, "note"))
    typer.echo()


def _key(row: dict[str, Any], side: str) -> Key:
    codec, setting, point, reconstruction = (row[f"{name}_{side}"] for name in _KEY)
    return codec, setting, point, reconstruction


def _cells(row: dict[str, Any]) -> list[str]:
    from uqdm.cli.bench._table import NONE, cell

    low, high = row["difference_low"], row["difference_high"]
    counts = [cell(row[name]) for name in ("better", "worse", "equal", "same_pictures", "n")]
    return [
        cell(row["mean_a"]),
        cell(row["mean_b"]),
        NONE if row["difference"] != row["difference"] else f"{row['difference']:+.4g}",
        NONE if low != low else f"{low:+.4g} to {high:+.4g}",
        NONE if row["wilcoxon_p"] != row["wilcoxon_p"] else f"{row['wilcoxon_p']:.2g}",
        NONE if row["effect"] != row["effect"] else f"{row['effect']:+.2f}",
        *counts,
    ]


def _note(row: dict[str, Any]) -> str:
    """Why figures are missing; no text if nothing differs."""
    from uqdm.bench.analysis.paired import NO_DIFFERENCE

    reason = row["reason"]
    return reason if isinstance(reason, str) and reason != NO_DIFFERENCE else ""
