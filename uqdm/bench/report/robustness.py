"""The tables of robustness of a run, where ``uqdm bench robustness`` has measured it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from uqdm.bench.file_identity import DAMAGED
from uqdm.bench.report.results_table import Cell, Heading, Table
from uqdm.bench.robustness.table import ShownTable, shown_tables
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.layout import robustness_path
from uqdm.bench.run.tables import with_columns
from uqdm.bench.schema import ROBUSTNESS


@dataclass(frozen=True)
class TitledTable:
    """A table with its title, and its name in the page."""

    id: str
    title: str
    table: Table


def read_robustness(run_dir: Path) -> list[TitledTable]:
    """The tables of a run; none where it was not measured.

    Raises :class:`~uqdm.bench.run.errors.ResultsError` where the file is damaged or of another kind.
    """
    path = robustness_path(run_dir, ".parquet")
    if not path.is_file():
        return []
    try:
        table = pq.read_table(path)
        lacking = [name for name in ROBUSTNESS.names if name not in table.column_names]
        if lacking:
            raise ValueError(f"no column {', '.join(lacking)}")
        frame = with_columns(table, ROBUSTNESS).to_pandas()
    except DAMAGED as error:
        raise ResultsError(f"{path}: {error}; make it again: uqdm bench robustness {run_dir}") from error
    return [_titled(number, shown) for number, shown in enumerate(shown_tables(frame), 1)]


def _titled(number: int, shown: ShownTable) -> TitledTable:
    headings = [
        Heading(text, explanation, numeric=place > 0)
        for place, (text, explanation) in enumerate(shown.headings.items())
    ]
    rows = [[Cell(name, name), *(Cell(text, _value(text)) for text in cells)] for name, *cells in shown.lines]
    keys: list[Mapping[str, str]] = [{"codec": name.partition(":")[0]} for name, *_ in shown.lines]
    return TitledTable(f"robustness-table-{number}", shown.title, Table(headings, rows, keys))


def _value(text: str) -> float:
    """The number that a cell begins with, which sorts it; -1 if there is none.

    >>> _value("1,024 of 2,048"), _value("-")
    (1024.0, -1.0)
    """
    first = text.partition(" ")[0].replace(",", "")
    return float(first) if first.isdigit() else -1.0
