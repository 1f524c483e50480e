"""``uqdm bench published``: lists published curves of other systems, or prints their points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.cli import completion
from uqdm.cli.bench._parameters import AsCsv, AsJson, one_form
from uqdm.cli.json_output import json_rows, print_json
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from uqdm.bench.analysis.published_systems import PublishedSystem

_TEXTS = ("set", "images", "system", "family", "name", "metrics", "rate", "source", "note")


def published(
    dataset: Annotated[
        str | None,
        typer.Option(
            help="List the systems on this set, e.g. kodak [list the sets]", autocompletion=completion.published
        ),
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option(help="Only systems of this family; may be repeated", autocompletion=completion.families),
    ] = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Lists published curves: the sets, or the systems on one set with their sources; with --csv or --json every point.

    Reports and plots of a run on the same images show these curves. They enter no statistics.
    """
    from uqdm.bench.analysis.published_systems import check_families, published_systems, set_names

    one_form(as_csv=as_csv, as_json=as_json)
    check_families(family or ())
    if dataset is None:
        names = set_names()
    else:
        published_systems(dataset)  # raises an error that lists the sets
        names = [dataset]
    if as_csv:
        typer.echo(_points(names, family or ()).to_csv(index=False), nl=False)
    elif as_json:
        print_json(json_rows(_points(names, family or ())))
    elif dataset is None:
        _print_sets(names, family or ())
    else:
        _print_systems(dataset, family or ())


def _print_sets(names: Sequence[str], families: Sequence[str]) -> None:
    from uqdm.bench.analysis.published_curves import images_of
    from uqdm.cli.bench._table import print_table

    rows = []
    for name in names:
        systems, images = _of(name, families), images_of(name)
        found = list(dict.fromkeys(one.family for one in systems))
        points = sum(len(one.points) for one in systems)
        note = "; ".join(filter(None, [images.text, images.caveat]))
        rows.append([name, str(len(systems)), str(points), ", ".join(found), note])
    print_table("", ["set", "systems", "points", "families", "note"], rows, texts=("set", "families", "note"))


def _print_systems(name: str, families: Sequence[str]) -> None:
    from uqdm.bench.analysis.published_curves import images_of
    from uqdm.cli.bench._table import print_table

    systems = _of(name, families)
    headings = ["system", "family", "points", "bpp", "metrics", "rate", "source", "note"]
    print_table(f"{name}: {images_of(name).text}", headings, map(_cells, systems), texts=_TEXTS)
    typer.echo(f"{counted(len(systems), 'system')}; the rate is: {_kinds(systems)}")


def _cells(one: PublishedSystem) -> list[str]:
    rates = f"{one.points.bpp.min():.3g} to {one.points.bpp.max():.3g}"
    note = "; ".join(filter(None, [one.label, one.flag, one.caveat]))
    metrics = ", ".join(one.metrics) or "none that is comparable"
    return [one.name, one.family, str(len(one.points)), rates, metrics, one.rate_kind, one.source, note]


def _kinds(systems: Sequence[PublishedSystem]) -> str:
    from uqdm.bench.analysis.published_systems import RATE_KINDS

    used = {one.rate_kind for one in systems}
    return "; ".join(f"{kind}, {text}" for kind, text in RATE_KINDS.items() if kind in used)


def _points(names: Sequence[str], families: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    from uqdm.bench.analysis.published_systems import point_table

    table = pd.concat([point_table(name) for name in names], ignore_index=True)
    return table[table.family.isin(families)] if families else table


def _of(name: str, families: Sequence[str]) -> list[PublishedSystem]:
    from uqdm.bench.analysis.published_systems import published_systems

    return [one for one in published_systems(name) if not families or one.family in families]
