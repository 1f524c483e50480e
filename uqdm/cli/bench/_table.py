"""Tables in the terminal and as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import typer

from uqdm.cli.folding import folded_table, wrapped
from uqdm.cli.terminal import showable
from uqdm.text import printable

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

NONE = "-"
_FREE = ("reason", "note", "error", "unscored")  # texts of any length, which may take several lines
_LEAST_WIDTH = 24  # of these, in characters
_PIPE_WIDTH = 10_000  # characters, if the output is not a screen


def print_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], texts: Sequence[str] = ()) -> None:
    """Prints a table, at most as wide as the terminal. Columns in ``texts`` are left-aligned.

    Where the terminal is too narrow for a row, it takes several lines (:func:`uqdm.cli.folding.folded_table`). Text
    from files is printed without markup, with escapes for control characters.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, least = Console(highlight=False), 0
    title, headings = _shown(title), list(map(_shown, headings))
    rows = [list(map(_shown, row)) for row in rows]
    table = Table(title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.show_edge = False
    for number, heading in enumerate(headings):
        widest = max([len(heading), *(len(row[number]) for row in rows)])
        wraps = heading in _FREE
        width = min(widest, _LEAST_WIDTH) if wraps else widest
        side: Literal["left", "right"] = "left" if heading in texts else "right"
        table.add_column(Text(heading), justify=side, overflow="fold", no_wrap=not wraps, min_width=width)
        least += width + 3  # a blank on either side, and the line between columns
    if console.is_terminal and least > console.width:
        lines = folded_table(headings, rows, console.width, texts, _FREE)
        typer.echo("\n".join([*(wrapped(title, console.width, further="") if title else ()), *lines]))
        return
    for row in rows:
        table.add_row(*map(Text, row))
    console.width = console.width if console.is_terminal else _PIPE_WIDTH
    console.print(table)


def _shown(text: str) -> str:
    """A text without control characters, with escapes for characters that the terminal lacks."""
    return showable(printable(text))


def print_csv(frame: pd.DataFrame, schema: pa.Schema) -> None:
    """Prints CSV at full precision, text as people can open it; nulls are empty, nullable integers stay integers."""
    import pandas as pd
    import pyarrow as pa

    from uqdm.bench.analysis.csv_cells import frame_for_people

    whole = [field.name for field in schema if pa.types.is_integer(field.type) and field.name in frame]
    frame = frame_for_people(frame.astype({name: pd.Int64Dtype() for name in whole}))
    typer.echo(frame.to_csv(index=False), nl=False)


def cell(value: Any, infinite: str = "infinite") -> str:
    """A value as text, figures to five digits; ``infinite`` is the text for infinite values.

    >>> [cell(value) for value in ("jpeg", None, float("nan"), 12.34567, 76320.0, True, float("inf"))]
    ['jpeg', '-', '-', '12.346', '76,320', 'yes', 'infinite']
    """
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return NONE
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    number = float(value)
    if math.isinf(number):
        return infinite if number > 0 else f"-{infinite}"
    if number.is_integer() or abs(number) >= 1e5:
        return f"{number:,.0f}"
    return f"{number:.5g}"
