"""The table that compares codecs at equal quality and at equal rate, as in the terminal's short table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from uqdm.bench.analysis.short_table import EXACT, Line, headings, lines
from uqdm.bench.report.results_table import Cell, Heading, Table

if TYPE_CHECKING:
    import pandas as pd


def comparison_tables(summary: pd.DataFrame) -> dict[str, Table]:
    """A table for each data set: a row for each curve, and for each codec without one."""
    found = lines(summary)
    return {str(name): _table([line for line in found if line.dataset == name]) for name in summary.dataset.unique()}


def _table(found: list[Line]) -> Table:
    first, *others = headings()
    named = [Heading(first), *(Heading(text, numeric=True) for text in others)]
    return Table(named, [_cells(line) for line in found], [_keys(line) for line in found])


def _cells(line: Line) -> list[Cell]:
    return [Cell(line.title, line.label), *(Cell(text, sort_value(text)) for text in line.cells()[1:])]


def _keys(line: Line) -> Mapping[str, str]:
    return {"codec": line.codec, "curve": line.label}


def sort_value(text: str) -> float:
    """The number in a cell of the short table; NaN where there is none.

    >>> sort_value("~1.25"), sort_value("1,024"), sort_value("exact"), sort_value("-")
    (1.25, 1024.0, inf, nan)
    """
    if text == EXACT:
        return math.inf
    try:
        return float(text.lstrip("~").replace(",", ""))
    except ValueError:
        return math.nan
